"""Band of a histogram: counts that all bins together stay within, but for a small chance."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_TIE = 1 + 1e-9  # equal tail probabilities differ in their last digits


@lru_cache(maxsize=64)
def count_band(n: int, shares: tuple[float, ...], *, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the least and the greatest count of each bin: n numbers leave them somewhere with a chance of at most alpha.

    Every bin spends the same binomial tail probability; the chance is exact, since multinomial counts are independent
    Poisson counts given their total.
    """
    from scipy.stats import binom, poisson

    count, p = np.arange(n + 1)[:, None], np.array(shares)
    tails = 2 * np.minimum(binom.cdf(count, n, p), binom.sf(count - 1, n, p))
    chance = poisson.pmf(count, n * p)

    def leaving(limit: float) -> float:
        kept = np.where(tails > limit * _TIE, chance, 0.0)
        total = np.ones(1)
        for column in kept.T:
            total = np.convolve(total, column)[: n + 1]
        return 1 - float(total[n] / poisson.pmf(n, n))

    low, high = math.log(alpha / (4 * len(p))), math.log(2 * alpha)
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if leaving(math.exp(middle)) <= alpha else (low, middle)
    inside = tails > math.exp(low) * _TIE
    return inside.argmax(axis=0), n - inside[::-1].argmax(axis=0)
