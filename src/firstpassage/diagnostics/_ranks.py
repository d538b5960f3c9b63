"""Ranks of truths among posterior draws, and the exact chance that a uniform sample's counts stay within limits."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

FEWEST = 20  # data sets below which nothing is judged
_TIE = 1 + 1e-9  # equal tail probabilities differ in their last digits
_ROUNDING = 1e-10  # chances below are lost in the difference from one


def ranks(truth: np.ndarray, draws: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Count the draws (dataset, draw) below each truth (dataset,), with ties broken at random."""
    below = (draws < truth[:, None]).sum(axis=1)
    ties = (draws == truth[:, None]).sum(axis=1)
    return below + rng.integers(0, ties + 1)


def positions(ranked: np.ndarray, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Spread ranks 0 ... draws over (0, 1): exactly uniform if the ranks are."""
    return (ranked + rng.uniform(size=ranked.shape)) / (draws + 1)


def grid(draws: int) -> np.ndarray:
    """Give the shares at which ranks can be counted: 1 / (draws + 1) ... draws / (draws + 1)."""
    return np.arange(1, draws + 1) / (draws + 1)


def counts(ranked: np.ndarray, *, draws: int) -> np.ndarray:
    """Count the ranks below 1 ... draws."""
    return np.cumsum(np.bincount(ranked, minlength=draws + 1))[:draws]


def staying(inside: np.ndarray, z: np.ndarray) -> float:
    """Compute the chance that all counts of n uniform numbers below `z` are allowed by `inside` (n + 1, z).

    The counts are those of a Poisson process given its total n, so each step is a convolution with a Poisson law.
    """
    from scipy.stats import poisson

    n = len(inside) - 1
    chance, kernel, last = np.zeros(n + 1), np.ones(1), math.nan
    chance[0] = 1.0
    steps = np.diff(z, prepend=0.0, append=1.0)
    for i, step in enumerate(steps):
        if not math.isclose(step, last, rel_tol=1e-9):
            longest = min(n, int(n * step + 10 * math.sqrt(n * step) + 40))  # beyond lies less than 1e-16
            kernel, last = poisson.pmf(np.arange(longest + 1), n * step), step
        chance = np.convolve(chance, kernel)[: n + 1]
        if i < len(z):
            chance = chance * inside[:, i]
    return float(min(1.0, chance[n] / poisson.pmf(n, n)))


@lru_cache(maxsize=32)
def tails(n: int, draws: int) -> np.ndarray:
    """Tabulate twice the smaller binomial tail of each count: (n + 1, draws)."""
    from scipy.stats import binom

    count, z = np.arange(n + 1)[:, None], grid(draws)
    return 2 * np.minimum(binom.cdf(count, n, z), binom.sf(count - 1, n, z))


def gamma(ranked: np.ndarray, *, draws: int) -> float:
    """Find the smallest tail probability over the whole empirical distribution of ranks."""
    return float(tails(len(ranked), draws)[counts(ranked, draws=draws), np.arange(draws)].min())


def gamma_p(value: float, *, n: int, draws: int) -> float:
    """Compute the chance that uniform ranks have a gamma of at most `value`, or where it is tiny, a bound on it."""
    p = 1 - staying(tails(n, draws) > value * _TIE, grid(draws))
    return p if p > _ROUNDING else min(_ROUNDING, draws * max(value, 1e-300))


@lru_cache(maxsize=256)
def gamma_critical(*, n: int, draws: int, alpha: float) -> float:
    """Find the largest gamma that uniform ranks fall to with a chance of at most `alpha`."""
    low, high = math.log(alpha / (4 * draws)), math.log(2 * alpha)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if gamma_p(math.exp(middle), n=n, draws=draws) <= alpha:
            low = middle
        else:
            high = middle
    return math.exp(low)


def band(*, n: int, draws: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the least and the greatest allowed share of ranks at each point of the grid."""
    inside = tails(n, draws) > gamma_critical(n=n, draws=draws, alpha=alpha) * _TIE
    return inside.argmax(axis=0) / n, (n - inside[::-1].argmax(axis=0)) / n


def distance_p(value: float, *, n: int, draws: int) -> float:
    """Compute the chance, never below 1e-10, that uniform ranks lie at least `value` from the diagonal somewhere."""
    off = np.abs(np.arange(n + 1)[:, None] / n - grid(draws))
    return max(_ROUNDING, 1 - staying(off < value - 1e-9, grid(draws)))


@lru_cache(maxsize=64)
def distance_critical(*, n: int, draws: int, alpha: float) -> float:
    """Find the distance from the diagonal that uniform ranks reach with a chance of at most `alpha`."""
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        if distance_p(middle, n=n, draws=draws) <= alpha:
            high = middle
        else:
            low = middle
    return high
