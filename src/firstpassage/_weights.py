"""Importance weights: smooth them, judge them, and resample by them.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25: weights, k and its limits.
"""

from __future__ import annotations

import numpy as np

TRUSTED = 0.7  # largest Pareto k with which weighted draws may be used
_EQUAL = 2.0  # times the mean: weights up to this are nearly equal, and their largest ones show no tail to be fitted


def smoothed(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Smooth the largest weights, and normalise: weights that sum to one, and Pareto k.

    k is infinite if it is hopeless, as where no weight is above zero (they come back equal). It is 0 where the weights
    are nearly equal: there the fit would describe noise.
    """
    from arviz_stats.base import array_stats

    if not np.isfinite(log_weight).any():
        return np.full(len(log_weight), 1 / len(log_weight)), np.inf
    finite = np.where(np.isfinite(log_weight), log_weight, -1e300)
    shifted = np.maximum(finite - finite.max(), -700.0)
    raw = np.where(np.isfinite(log_weight), np.exp(shifted), 0.0)
    if raw.max() <= _EQUAL * raw.mean():
        return raw / raw.sum(), 0.0
    smooth, k = array_stats.psislw(-shifted, r_eff=1.0)  # it takes log likelihoods: minus log weights
    weight = np.where(np.isfinite(log_weight), np.exp(np.asarray(smooth) - np.max(smooth)), 0.0)
    return weight / weight.sum(), float(k) if np.isfinite(k) else np.inf


def effective(weight: np.ndarray) -> float:
    """Give the effective number of draws with these weights (Kish)."""
    return float(weight.sum() ** 2 / np.sum(weight**2))


def systematic(weight: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resample rows with probability proportional to weight, in random order."""
    places = (np.arange(draws) + rng.uniform()) / draws
    rows = np.minimum(np.searchsorted(np.cumsum(weight), places), len(weight) - 1)
    return rng.permutation(rows)
