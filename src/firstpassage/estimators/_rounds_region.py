"""Where parameters are plausible given one data set, and draws of the prior from there.

A region is a set of highest density of an amortized posterior at the observed data, within a box around it and within
the regions of all rounds before.

References
----------
Deistler, Goncalves and Macke (2022), Truncated proposals for scalable and hassle-free simulation-based inference,
NeurIPS: the threshold (section 3), rejection and sampling-importance-resampling (appendix A.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.models import restricted
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

LEFT_OUT = 1e-4  # mass of the posterior that lies outside of its region
_DRAWS = 20_000  # by which the threshold and the box are found
_WIDER = 0.05  # of the width of the draws, that the box is wider at each end
_BLOCK = 16_384  # candidates that are looked at together
_RARE = 1 / 200  # share of accepted candidates below which draws of the posterior are resampled instead
_MORE = 32  # draws of the posterior for each one that is resampled

Theta = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """Hold one round's set of highest density.

    Parameters
    ----------
    posterior : Posterior
        That of the round before.
    observed : object
        The data of one subject.
    threshold : float
        The lowest log density inside, nats.
    box : mapping of str to (float, float)
        Around it.
    """

    posterior: Posterior
    observed: Any
    threshold: float
    box: Mapping[str, tuple[float, float]]

    def inside(self, theta: Theta) -> np.ndarray:
        """Tell which parameter sets (n,) lie in it."""
        within = restricted.in_box(theta, self.box)
        if within.any():
            log_q = self.posterior.log_prob({name: value[within] for name, value in theta.items()}, self.observed)
            within[within] = log_q >= self.threshold
        return within


@dataclass(frozen=True, eq=False, kw_only=True)
class Truncated:
    """Hold draws of the prior in a region, and how they were found.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        The draws.
    acceptance : float
        Share of the candidates that lay in the region.
    by : {"rejection", "resampling"}
        Rejection of draws of the prior is exact; resampled draws of the posterior are nearly so.
    """

    theta: dict[str, np.ndarray]
    acceptance: float
    by: str


def region(posterior: Posterior, observed: Any, *, seed: int) -> Region:
    """Find the region that holds all but `LEFT_OUT` of a posterior at the observed data."""
    drawn, _ = posterior.propose([posterior.read(observed)], draws=_DRAWS, seed=seed)
    theta = dict(zip(posterior.parameter_names, drawn[0].T, strict=True))
    log_q = posterior.log_prob(theta, observed)
    threshold = float(np.quantile(log_q, LEFT_OUT))
    kept = {name: value[log_q >= threshold] for name, value in theta.items()}
    return Region(posterior=posterior, observed=observed, threshold=threshold, box=_around(kept, posterior))


def inside(regions: Sequence[Region], theta: Theta) -> np.ndarray:
    """Tell which parameter sets (n,) lie in all of the regions."""
    within = np.ones(len(next(iter(theta.values()))), dtype=bool)
    for one in reversed(regions):  # the last one is the smallest
        within[within] = one.inside({name: value[within] for name, value in theta.items()})
    return within


def truncated(model: Model, regions: Sequence[Region], n: int, *, seed: int) -> Truncated:
    """Draw n parameter sets from the prior in all of the regions.

    Raises
    ------
    ModelError
        If hardly any draw of the prior lies there.
    """
    found: list[dict[str, np.ndarray]] = []
    looked = kept = 0
    while kept < n:
        own = seeds.derive(seed, f"candidates {looked}")
        candidates = restricted.draw(model, _BLOCK, box=regions[-1].box, seed=own)
        within = inside(regions, candidates)
        found.append({name: value[within] for name, value in candidates.items()})
        looked, kept = looked + len(within), kept + int(within.sum())
        if looked >= 4 * _BLOCK and kept < _RARE * looked:
            return _resampled(regions, n, acceptance=kept / looked, seed=seed)
    theta = {name: np.concatenate([one[name] for one in found])[:n] for name in found[0]}
    return Truncated(theta=theta, acceptance=kept / looked, by="rejection")


def _around(theta: Theta, posterior: Posterior) -> dict[str, tuple[float, float]]:
    """Put a box around draws, somewhat wider than they are, within the one before."""
    box = {}
    for name, (low, high) in posterior.box.items():
        values = theta[name]
        more = _WIDER * np.ptp(values)
        box[name] = max(low, float(values.min() - more)), min(high, float(values.max() + more))
    return box


def _resampled(regions: Sequence[Region], n: int, *, acceptance: float, seed: int) -> Truncated:
    """Draw from the last posterior, weigh by prior over posterior, and choose n without replacement."""
    last = regions[-1]
    x = last.posterior.read(last.observed)
    theta, log_q, log_prior = (
        one[0] for one in last.posterior.weigh([x], draws=_MORE * n, seed=seeds.derive(seed, "to resample"))
    )
    named = dict(zip(last.posterior.parameter_names, theta.T, strict=True))
    log_weight = np.where(inside(regions, named), log_prior - log_q, -np.inf)
    noise = seeds.generator(seed, "resampling").gumbel(size=len(log_weight))
    rows = np.argsort(-(log_weight + noise), kind="stable")[:n]
    return Truncated(theta={name: value[rows] for name, value in named.items()}, acceptance=acceptance, by="resampling")
