"""Coverage: how often a central posterior interval holds the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import _ranks
from firstpassage.diagnostics._design import Design
from firstpassage.diagnostics._simulated import Sampler, Simulated, Trials, resolve
from firstpassage.errors import ModelError

if TYPE_CHECKING:
    from firstpassage.models.model import Model

LEVELS = (0.5, 0.8, 0.9, 0.95)
_BELOW = 2 / 3  # share of alpha that is spent on coverage below nominal, the worse error


@dataclass(frozen=True, eq=False, kw_only=True)
class Coverage:
    """Hold the shares of data sets whose central interval holds the truth.

    Parameters
    ----------
    design : Design
        What was simulated.
    levels : ndarray, shape (level,)
        Nominal coverage.
    share : dict of str to ndarray, shape (level,)
        Of the data sets, by parameter.
    se : ndarray, shape (level,)
        Binomial standard error of a share, at the nominal level.
    low, high : ndarray, shape (level,)
        Least and greatest share that passes.
    mean, mean_se : ndarray, shape (level,)
        Mean of the shares over the parameters, and its standard error over the data sets.
    direction : dict of str to str
        ``"nominal"``, ``"conservative"`` (covers more than nominal: too wide) or ``"overconfident"`` (covers less:
        too narrow, or in the wrong place).
    alpha : float
        Chance, at most, that a calibrated sampler fails.
    """

    design: Design
    levels: np.ndarray
    share: dict[str, np.ndarray]
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    mean_se: np.ndarray
    direction: dict[str, str]
    alpha: float

    @property
    def failed(self) -> tuple[str, ...]:
        """Parameters whose intervals are overconfident or conservative at some level."""
        return tuple(name for name, word in self.direction.items() if word != "nominal")

    @property
    def ok(self) -> bool | None:
        """Tell whether all intervals cover as they say; None with fewer than 20 data sets."""
        return None if self.design.datasets < _ranks.FEWEST else not self.failed

    @property
    def verdict(self) -> str:
        """Say in one sentence whether intervals cover as they say, with the numbers that decide."""
        if self.ok is None:
            return f"too few data sets for a verdict, {_ranks.FEWEST} are needed: {self.design.words}."
        if self.ok:
            mean = ", ".join(f"{m:.1%} at {level:.0%}" for m, level in zip(self.mean, self.levels, strict=True))
            return f"central intervals cover as they say: {mean} on average over the parameters, {self.design.words}."
        reasons = "; ".join(f"{name} {self.direction[name]}, {self._worst(name)}" for name in self.failed)
        return f"central intervals do NOT cover as they say: {reasons}; {self.design.words}."

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, alpha, the design, and the shares by parameter and level.
        """
        head = {"ok": self.ok, "verdict": self.verdict, "alpha": self.alpha, "design": self.design.numbers()}
        limits = {"levels": self.levels, "se": self.se, "low": self.low, "high": self.high}
        means = {"mean": self.mean, "mean_se": self.mean_se}
        return head | limits | means | {"share": dict(self.share), "direction": dict(self.direction)}

    def _worst(self, name: str) -> str:
        """Write the share that is furthest from nominal, in standard errors, on the side that failed."""
        side = 1 if self.direction[name] == "conservative" else -1
        i = int(np.argmax(side * (self.share[name] - self.levels) / self.se))
        return f"{self.share[name][i]:.1%} +- {self.se[i]:.1%} at {self.levels[i]:.0%}"


def coverage(
    source: Simulated | Sampler,
    model: Model | None = None,
    *,
    datasets: int = 300,
    trials: Trials = 200,
    draws: int = 99,
    seed: int | None = None,
    prior: Mapping[str, Any] | None = None,
    alpha: float = 0.01,
) -> Coverage:
    """Count how often the central 50, 80, 90 and 95 % intervals hold the truth.

    Intervals end between draws where the level asks for it: the truth's rank is spread evenly over its step, so that
    the coverage of a calibrated sampler is exactly nominal with any number of draws. Limits hold for all levels and
    parameters together and are exact, about 3.1 standard errors below and 3.3 above nominal for four parameters; two
    thirds of `alpha` are spent below, since an overconfident posterior misleads more than a conservative one.

    Parameters
    ----------
    source : Simulated, or Likelihood or Posterior
        Simulated data sets with draws, or the sampler to make them with.
    model : Model, optional
        With a sampler.
    datasets, trials, draws, prior
        Of a new simulation, as in `simulated`.
    seed : int, optional
        Of a new simulation, and of the spread of ranks; by default that of `source`.
    alpha : float
        Chance, at most, that a calibrated sampler fails.

    Returns
    -------
    Coverage
        Shares with standard errors and limits, directions in words, ``ok`` and ``verdict``.

    Raises
    ------
    ModelError
        If an argument is missing or wrong.

    References
    ----------
    Hermans et al. (2022), A trust crisis in simulation-based inference?, TMLR: conservative and overconfident.

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
    >>> coverage(lazy, model, datasets=50, trials=20, seed=1).ok  # right on average, and useless
    True
    """
    found = resolve(source, model, datasets=datasets, trials=trials, draws=draws, seed=seed, prior=prior)
    if not 0 < alpha < 1:
        raise ModelError(f"alpha must lie between 0 and 1; got {alpha!r}. The usual one is .01.")
    rng = seeds.generator(found.seed if seed is None else seed, "coverage")
    held = {name: _held(found.truth[name], values, rng) for name, values in found.draws.items()}
    n, levels = found.size[0], np.array(LEVELS)
    se = np.sqrt(levels * (1 - levels) / n)
    below = _limit(n, alpha=alpha * _BELOW / len(held), side=-1)
    above = _limit(n, alpha=alpha * (1 - _BELOW) / len(held), side=1)
    low, high = np.maximum(levels - below * se, 0), np.minimum(levels + above * se, 1)
    each = np.mean(list(held.values()), axis=0)
    share = {name: values.mean(axis=0) for name, values in held.items()}
    return Coverage(
        design=found.design, levels=levels, share=share, se=se, low=low, high=high, mean=each.mean(axis=0),
        mean_se=each.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else np.full(len(levels), np.nan),
        direction={name: _word(values, low, high) for name, values in share.items()}, alpha=alpha,
    )  # fmt: skip


def _held(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tell for each data set and level whether the central interval holds the truth."""
    position = _ranks.positions(_ranks.ranks(truth, draws, rng=rng), draws=draws.shape[1], rng=rng)
    return 2 * np.abs(position - 0.5)[:, None] < np.array(LEVELS)


def _word(share: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Name the direction of a failure; too little coverage at any level counts first."""
    if (share < low).any():
        return "overconfident"
    return "conservative" if (share > high).any() else "nominal"


@lru_cache(maxsize=64)
def _limit(n: int, *, alpha: float, side: int) -> float:
    """Find how many standard errors all levels stay within, on one side, but for a chance of `alpha`."""
    levels = np.array(LEVELS)
    off = side * (np.arange(n + 1)[:, None] / n - levels) / np.sqrt(levels * (1 - levels) / n)
    low, high = 0.0, 10 + math.sqrt(n)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if 1 - _ranks.staying(off <= middle, levels) <= alpha:
            high = middle
        else:
            low = middle
    return high
