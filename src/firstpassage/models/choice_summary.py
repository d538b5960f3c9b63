"""Summary statistics of a set of choices with response times, for posterior estimators: fast, smooth, of any set size.

Counts, order statistics, moments and histograms by response, in units of the set itself: times are measured from the
fastest response and divided by their mean, so that most numbers have no unit; a few logarithms carry the scale. They
are averages over trials or depend on their order statistics only, hence do not depend on the order of the trials.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_QUANTILES = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
_ORDER = np.array([1, 2, 4, 9, 19])  # places after the fastest response
_KNOTS = np.linspace(-5.0, 2.5, 16)  # of the histograms: log of time over mean time
_WHOLE = 9  # numbers of the set as a whole
_MOMENTS = 5  # by response
COUNT = _WHOLE + len(_ORDER) + len(_QUANTILES) + 2 * (_MOMENTS + len(_QUANTILES) + len(_KNOTS))  # features in all


def summary(x: np.ndarray) -> np.ndarray:
    """Summarise sets of choices with equally many trials each.

    Parameters
    ----------
    x : ndarray, shape (dataset, trial, 2)
        rt in seconds, response +1 or -1.

    Returns
    -------
    ndarray, shape (dataset, COUNT), float64
        Finite for any set, also with one response only or a single trial.

    Examples
    --------
    >>> summary(np.array([[[0.5, 1.0], [0.7, -1.0]]])).shape == (1, COUNT)
    True
    """
    data = np.ascontiguousarray(x, dtype=np.float64)
    features = np.empty((len(data), COUNT))
    _summarise(data, features)
    return features


@numba.njit(cache=True, nogil=True)
def _summarise(x: np.ndarray, features: np.ndarray) -> None:
    """Fill one row of features for each set."""
    for i in range(len(x)):
        _one(x[i], features[i])


@numba.njit(cache=True, nogil=True)
def _one(x: np.ndarray, out: np.ndarray) -> None:
    """Summarise one set."""
    n = len(x)
    rt, upper = x[:, 0], x[:, 1] > 0
    fastest = rt.min()
    after = np.sort(rt - fastest)
    mean = max(after.mean(), 1e-6)
    ups = upper.sum()
    spread = max(after.std(), 1e-6)
    skew = ((after - mean) ** 3).mean() / spread**3
    share = (ups + 0.5) / (n + 1.0)
    out[0], out[1], out[2] = math.log(n), n**-0.5, math.log(share / (1 - share))
    out[3], out[4], out[5] = math.log(fastest + 0.02), math.log(mean), math.log(spread / mean)
    out[6], out[7], out[8] = math.log(1.0 + abs(skew)) * np.sign(skew), share, _ez_drift(share, spread)
    place = _WHOLE
    for k in range(len(_ORDER)):
        out[place + k] = _relative(after[min(_ORDER[k], n - 1)], mean)
    place += len(_ORDER)
    place = _quantiles(after, mean, out, place)
    for side in range(2):
        place = _by_response(np.sort(rt[upper == (side == 0)] - fastest), after, mean, spread, out, place)


@numba.njit(cache=True, nogil=True)
def _by_response(own: np.ndarray, after: np.ndarray, mean: float, spread: float, out: np.ndarray, place: int) -> int:
    """Summarise the times of one response; a response that never came takes the numbers of the whole set."""
    n, count = len(after), len(own)
    out[place] = math.log((count + 0.5) / (n + 1.0))
    if count == 0:
        own = after
    # shrunk towards the whole set: a mean of few trials says little
    weight = count / (count + 2.0)
    own_mean = weight * own.mean() + (1 - weight) * mean
    own_spread = weight * own.std() + (1 - weight) * spread
    out[place + 1] = (own_mean - mean) / spread
    out[place + 2] = math.log(own_spread / spread + 1e-3)
    out[place + 3] = _relative(own[0], mean)
    out[place + 4] = _relative(own[-1], mean)
    place = _quantiles(own, mean, out, place + _MOMENTS)
    _histogram(own, mean, n if count else 0, out, place)
    return place + len(_KNOTS)


@numba.njit(cache=True, nogil=True)
def _quantiles(ordered: np.ndarray, mean: float, out: np.ndarray, place: int) -> int:
    """Write interpolated quantiles, relative to the mean."""
    for k in range(len(_QUANTILES)):
        where = _QUANTILES[k] * (len(ordered) - 1)
        low = int(where)
        high = min(low + 1, len(ordered) - 1)
        out[place + k] = _relative(ordered[low] + (where - low) * (ordered[high] - ordered[low]), mean)
    return place + len(_QUANTILES)


@numba.njit(cache=True, nogil=True)
def _histogram(own: np.ndarray, mean: float, n: int, out: np.ndarray, place: int) -> None:
    """Count log times in hat functions around the knots, as shares of all trials."""
    last = len(_KNOTS) - 1
    out[place : place + last + 1] = 0.0
    if n == 0:
        return
    step = _KNOTS[1] - _KNOTS[0]
    for value in own:
        where = min(max((math.log(value / mean + 1e-4) - _KNOTS[0]) / step, 0.0), last - 1e-9)
        low = int(where)
        out[place + low] += (1 - (where - low)) / n
        out[place + low + 1] += (where - low) / n


@numba.njit(cache=True, nogil=True)
def _relative(time: float, mean: float) -> float:
    """Put a time on a logarithmic scale that is finite at zero."""
    return math.log(time / mean + 0.01)


@numba.njit(cache=True, nogil=True)
def _ez_drift(share: float, spread: float) -> float:
    """Estimate the drift from share and spread, as for an unbiased start (Wagenmakers et al. 2007, eq. 5)."""
    logit = math.log(share / (1 - share))
    inner = logit * (logit * share**2 - logit * share + share - 0.5) / spread**2
    return math.copysign(max(inner, 0.0) ** 0.25, share - 0.5)
