"""Coverage of credible balls around points that depend on the data: a test of the joint posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import _ranks
from firstpassage.diagnostics._design import Design
from firstpassage.diagnostics._simulated import Sampler, Simulated, Trials, resolve, simulate, tables
from firstpassage.errors import ModelError
from firstpassage.models import plain

if TYPE_CHECKING:
    from firstpassage.models.model import Model

_TRAINING = 500  # more data sets, from which the regression for the reference points is learned
_QUANTILES = (0.1, 0.5, 0.9)
_FAR = 5.0  # standard deviations at which a feature is cut


@dataclass(frozen=True, eq=False, kw_only=True)
class Tarp:
    """Hold the expected coverage of credible balls.

    Parameters
    ----------
    design : Design
        What was simulated.
    level : ndarray, shape (draw,)
        Nominal coverage.
    coverage : ndarray, shape (draw,)
        Share of data sets whose ball of that credibility holds the truth.
    distance : float
        Largest distance of `coverage` from `level`.
    critical : float
        Distance that a calibrated sampler reaches with the chance `alpha`: the band's half width.
    p : float
        Chance that a calibrated sampler has at least this distance; exact.
    alpha : float
        Chance that a calibrated sampler fails.
    """

    design: Design
    level: np.ndarray
    coverage: np.ndarray
    distance: float
    critical: float
    p: float
    alpha: float

    @property
    def ok(self) -> bool | None:
        """Tell whether the coverage stays in its band; None with fewer than 20 data sets."""
        return None if self.design.datasets < _ranks.FEWEST else self.p > self.alpha

    @property
    def verdict(self) -> str:
        """Say in one sentence whether credible balls cover as they say, with the numbers that decide."""
        numbers = f"largest distance {self.distance:.3f}, {self.critical:.3f} allowed, p {self.p:.2g}"
        text = f"{numbers}; {self.design.words}."
        if self.ok is None:
            return f"too few data sets for a verdict, {_ranks.FEWEST} are needed: {text}"
        return f"credible balls {'cover' if self.ok else 'do NOT cover'} as they say: {text}"

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, distance, critical, p, alpha and the design.
        """
        head = {"ok": self.ok, "verdict": self.verdict, "distance": self.distance, "critical": self.critical}
        return head | {"p": self.p, "alpha": self.alpha, "design": self.design.numbers()}


def tarp(
    source: Simulated | Sampler,
    model: Model | None = None,
    *,
    datasets: int = 300,
    trials: Trials = 200,
    draws: int = 99,
    seed: int | None = None,
    prior: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
) -> Tarp:
    """Check the joint posterior by balls around reference points, which must hold the truth as often as they say.

    Distances are Euclidean in coordinates in which the box is the unit cube. The reference point of a data set is a
    rough estimate of its parameters plus noise of the estimate's own error: a linear regression on means, sds and
    quantiles of the columns, learned from 500 other simulated data sets. Points that do not depend on the data cannot
    tell a posterior from the prior.

    The test is one of the whole posterior, and weaker than `sbc` where a single parameter is wrong: with 300 data sets
    of 200 trials of the drift-diffusion model, a non-decision time shifted by 20 ms passes here and fails there.

    Parameters
    ----------
    source : Simulated, or Likelihood or Posterior
        Simulated data sets with draws, or the sampler to make them with.
    model : Model, optional
        With a sampler.
    datasets, trials, draws, prior
        Of a new simulation, as in `simulated`.
    seed : int, optional
        Of a new simulation, and of the reference points; by default that of `source`.
    alpha : float
        Chance that a calibrated sampler fails.

    Returns
    -------
    Tarp
        Coverage by level, its distance from nominal with the critical value, ``ok`` and ``verdict``.

    Raises
    ------
    ModelError
        If an argument is missing or wrong.

    References
    ----------
    Lemos, Coogan, Hezaveh and Perreault-Levasseur (2023), ICML: algorithm 2.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> from types import SimpleNamespace
    >>> model = fp.ddm()
    >>> def sample(data, *, draws, seed):  # of the prior: this sampler ignores the data
    ...     prior = model.prior(draws * len(data), seed=seed)
    ...     posterior = {name: values.reshape(1, draws, -1) for name, values in prior.items()}
    ...     return arviz_base.from_dict({"posterior": posterior}, dims=dict.fromkeys(prior, ["dataset"]))
    >>> lazy = SimpleNamespace(kind="npe", parameters=model.parameters, sample=sample)
    >>> tarp(lazy, model, datasets=50, trials=20, seed=1).ok
    False
    """
    found = resolve(source, model, datasets=datasets, trials=trials, draws=draws, seed=seed, prior=prior)
    if not 0 < alpha < 1:
        raise ModelError(f"alpha must lie between 0 and 1; got {alpha!r}. The usual one is .05.")
    seed = found.seed if seed is None else seed
    reference = _references(found, seed)
    names = list(found.draws)
    truth = np.stack([_unit(found, name, found.truth[name]) for name in names], axis=-1)
    drawn = np.stack([_unit(found, name, found.draws[name]) for name in names], axis=-1)
    near = np.linalg.norm(truth - reference, axis=-1)
    ranked = _ranks.ranks(
        near, np.linalg.norm(drawn - reference[:, None], axis=-1), rng=seeds.generator(seed, "ties of distances")
    )
    n, size = found.size
    level = _ranks.grid(size)
    share = _ranks.counts(ranked, draws=size) / n
    distance = float(np.abs(share - level).max())
    return Tarp(
        design=found.design, level=level, coverage=share, distance=distance, alpha=alpha,
        critical=_ranks.distance_critical(n=n, draws=size, alpha=alpha),
        p=_ranks.distance_p(distance, n=n, draws=size),
    )  # fmt: skip


def _unit(found: Simulated, name: str, values: np.ndarray) -> np.ndarray:
    """Map the box of a parameter to [0, 1]."""
    low, high = next(p.bounds for p in found.parameters if p.name == name)
    return (values - low) / (high - low)


def _references(found: Simulated, seed: int) -> np.ndarray:
    """Estimate the parameters of every data set roughly, with noise: (dataset, parameter) in the unit cube."""
    model, rng = found.model, seeds.generator(seed, "reference points")
    truth = model.prior(_TRAINING, seed=seeds.derive(seed, "reference truths"))
    sizes = rng.choice(found.trials, size=_TRAINING)
    data = simulate(model, truth, sizes=sizes, seed=seeds.derive(seed, "reference data"))
    known, wanted = (_features(model, tables(model, sets)) for sets in (data, found.data))
    centre, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    known, wanted = (_with_one(np.clip((part - centre) / scale, -_FAR, _FAR)) for part in (known, wanted))
    target = np.stack([_unit(found, name, truth[name]) for name in found.draws], axis=-1)
    weights, *_ = np.linalg.lstsq(known, target, rcond=1e-8)
    error = (target - known @ weights).std(axis=0)
    return wanted @ weights + rng.normal(size=(len(wanted), len(error))) * error


def _features(model: Model, sets: list[np.ndarray]) -> np.ndarray:
    """Summarise every data set by mean, sd and quantiles of its columns; of traces average the model's statistics."""
    if plain.schema(model).trial == "trace" and model.summary is not None:
        each = model.summary(np.concatenate(sets)[:, None])
        first = np.cumsum([0, *map(len, sets[:-1])])
        return np.add.reduceat(each, first, axis=0) / np.array(list(map(len, sets)))[:, None]
    rows = [np.concatenate([x.mean(0), x.std(0), *np.quantile(x, _QUANTILES, axis=0)]) for x in sets]
    return np.stack(rows)


def _with_one(features: np.ndarray) -> np.ndarray:
    """Add a constant column."""
    return np.column_stack([np.ones(len(features)), features])
