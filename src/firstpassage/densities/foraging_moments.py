"""Moment-matched log probabilities of many patch visits under many parameter sets, for proposals.

As `foraging.log_probability_moments`, without gradient, padding and compilation for each size of data.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from firstpassage.densities import foraging_filter
from firstpassage.densities.foraging import FURTHEST, SMALLEST_NOISE

_DEEP = -15.0  # standard deviations below which the moments of what is cut off come from their asymptotic series
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)
_log_ndtr = foraging_filter._log_ndtr


def log_probabilities(
    patch_time: ArrayLike,
    reward: ArrayLike,
    stop: ArrayLike,
    first: ArrayLike,
    theta: ArrayLike,
    *,
    threshold: float = 1.0,
    start: float = 0.0,
) -> np.ndarray:
    """Approximate the log probability of each patch visit under each parameter set.

    Parameters
    ----------
    patch_time, reward, stop, first, theta, threshold, start
        As for `foraging_filter.log_probabilities`.

    Returns
    -------
    ndarray, shape (draw, patch)
        What `foraging.log_probability_moments` gives.

    Raises
    ------
    DataError
        If the sites are no visits.
    ModelError
        If theta has another shape.

    References
    ----------
    Maybeck (1979), Stochastic models, estimation, and control, vol. 1: assumed-density filtering.

    Examples
    --------
    >>> from firstpassage.densities.foraging_moments import log_probabilities
    >>> log_probabilities([0.8, 1.7, 2.4], [1, 0, 0], [1, 1, 0], [0], [[[0.2, -0.2, 0.3, 0.2]]]).round(2)
    array([[-2.44]])
    """
    sites, edges, parameters = foraging_filter.prepared(patch_time, reward, stop, first, theta)
    return _fill(sites, edges, parameters, threshold - start)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(sites: np.ndarray, edges: np.ndarray, theta: np.ndarray, gap: float) -> np.ndarray:
    """Go through draws and visits."""
    draws, patches = theta.shape[0], edges.size - 1
    out = np.empty((draws, patches))
    for draw in range(draws):
        for patch in range(patches):
            row = theta[draw, patch if theta.shape[1] > 1 else 0]
            possible = math.isfinite(row.sum()) and row[3] >= 0.0
            visit = sites[edges[patch] : edges[patch + 1]]
            out[draw, patch] = _log_probability(visit, row, gap) if possible else -math.inf
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_probability(visit: np.ndarray, theta: np.ndarray, gap: float) -> float:
    """Carry mean and variance through one visit."""
    mean, variance, total = 0.0, 0.0, 0.0
    noise = max(theta[3], SMALLEST_NOISE)
    for k in range(visit.shape[0]):
        time, step, rewards, failures, stop = visit[k]
        barrier = (gap - theta[0] * time - theta[1] * rewards - theta[2] * failures) / noise
        barrier = min(max(barrier, -FURTHEST), FURTHEST)
        variance += step
        deviation = math.sqrt(variance)
        level = (barrier - mean) / deviation
        value = _log_ndtr(level if stop == 1.0 else -level)
        total += value
        shift, spread = _cut(level, value)
        mean -= deviation * shift
        variance *= spread
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cut(level: float, log_below: float) -> tuple[float, float]:
    """Give minus the mean, and the variance, of a standard normal cut off above `level`."""
    if level < _DEEP:
        s = 1.0 / (level * level)
        excess = 1.0 - s * (2.0 - s * (10.0 - s * (74.0 - s * (706.0 - s * 8162.0))))
        spread = s * (1.0 - s * (6.0 - s * (50.0 - s * (518.0 - s * (6354.0 - s * 89782.0)))))
        return -level - excess / level, spread
    shift = math.exp(-0.5 * level * level - _HALF_LOG_TAU - log_below)
    return shift, 1.0 - shift * (shift + level)
