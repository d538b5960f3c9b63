"""The 37 summary statistics of a window of patch foraging, of which 23 say everything that all do.

Times are patch times: distances run since the beginning of the patch. A site is valid if the animal stopped there.
Standard deviations are those of the population, 0 with fewer than two values; a mean over nothing is 0; a correlation
is 0 with fewer than three pairs, or if the product of the standard deviations is at most 1e-8. So all are finite for
any window. Groups of sites are weights of 0 and 1, and every statistic of a group is centred before it is squared.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from firstpassage.errors import DataError

SUMMARY_NAMES = (
    "max_time", "mean_time", "std_time", "mean_stops", "std_stops", "mean_rewards", "std_rewards",
    "mean_time_after_reward", "mean_time_after_failure", "std_time_after_reward", "std_time_after_failure",
    "early_mean", "late_mean", "temporal_trend", "late_minus_early", "middle_mean", "p25", "median", "p75", "iqr",
    "autocorr_lag1", "diff_std", "mean_abs_change", "reward_rate", "mean_reward_site", "prop_sites_rewarded",
    "n_stops", "sites_per_stop", "stop_rate", "after_reward_cv", "after_failure_cv", "transition_reliability",
    "reward_effect_predictability", "mean_local_std", "signal_to_noise", "reward_effect", "failure_effect",
)  # fmt: skip

# What the others are exact functions of, for windows of n sites with rewards of 0 and 1 at stops only.
DEPENDENT = {
    "mean_stops": "n_stops / n",
    "std_stops": "sqrt(q (1 - q)) with q = n_stops / n",
    "mean_rewards": "reward_rate n_stops / n",
    "std_rewards": "sqrt(q (1 - q)) with q = mean_rewards",
    "late_minus_early": "late_mean - early_mean",
    "iqr": "p75 - p25",
    "prop_sites_rewarded": "reward_rate",
    "sites_per_stop": "n / max(n_stops, 1)",
    "stop_rate": "n_stops / n",
    "after_reward_cv": "std_time_after_reward / max(mean_time_after_reward, 1e-8)",
    "after_failure_cv": "std_time_after_failure / max(mean_time_after_failure, 1e-8)",
    "signal_to_noise": "squared difference of the two means of times after, over the mean of their two variances",
    "reward_effect": "mean_time_after_reward - mean_time",
    "failure_effect": "mean_time - mean_time_after_failure",
}

INDEPENDENT = tuple(name for name in SUMMARY_NAMES if name not in DEPENDENT)

_TINY = 1e-8  # below it a scale counts as this, or as none
_BUCKETS = 128  # for order statistics, at least


def summary_statistics(windows: np.ndarray) -> np.ndarray:
    """Summarise windows of equally many sites.

    Parameters
    ----------
    windows : ndarray, shape (n, sites, 3) or (sites, 3)
        patch_time (units of distance), reward (>= 0), stop (1, or 0 where the animal left); at least 3 sites.

    Returns
    -------
    ndarray, shape (n, 37), float64
        In the order of `SUMMARY_NAMES`, always finite.

    Raises
    ------
    DataError
        If the shape is another, a value is not finite, or a stop is neither 0 nor 1.

    Examples
    --------
    >>> window = np.array([[1.0, 1, 1], [2.5, 0, 1], [4.0, 0, 0], [1.5, 1, 1]])
    >>> float(summary_statistics(window)[0, SUMMARY_NAMES.index("n_stops")])
    3.0
    """
    data = np.asarray(windows)
    if data.dtype.kind not in "fiub" or data.ndim not in (2, 3) or data.shape[-1] != 3 or data.shape[-2] < 3:
        raise DataError(
            f"windows must be numbers of shape (n, sites, 3), sites >= 3: patch_time, reward, stop; got {data.dtype} "
            f"of shape {data.shape}. Stack windows of equal length, or summarise them one by one."
        )
    table = data.reshape(-1, *data.shape[-2:])
    table = np.ascontiguousarray(table, dtype=np.float32 if data.dtype == np.float32 else np.float64)
    statistics = np.empty((len(table), len(SUMMARY_NAMES)))
    sites = table.shape[1]
    ends = np.empty(max(sites, _BUCKETS) + 1, dtype=np.int64)
    bad = _summarise(table, statistics, np.arange(sites, dtype=np.float64), np.empty((8, sites)), ends)
    if bad >= 0:
        raise DataError(
            f"windows must be finite, with stop 0 or 1; window {bad} is not so. Columns are patch_time, reward, stop."
        )
    return statistics


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


@_compiled
def _summarise(
    windows: np.ndarray, statistics: np.ndarray, index: np.ndarray, work: np.ndarray, ends: np.ndarray
) -> int:
    """Fill one row of statistics for each window; give the number of the first bad window, or -1."""
    for i in range(len(windows)):
        if not _unpack(windows[i], work[0], work[1], work[2]):
            return i
        _one(work, index, statistics[i])
        _order_statistics(work, ends, statistics[i])
    return -1


@_compiled
def _unpack(window: np.ndarray, time: np.ndarray, reward: np.ndarray, stop: np.ndarray) -> bool:
    """Copy the columns; tell whether all is finite and each stop is 0 or 1."""
    size = odd = 0.0
    for k in range(len(window)):
        time[k], reward[k], stop[k] = window[k, 0], window[k, 1], window[k, 2]
    for k in range(len(window)):
        size += abs(time[k]) + abs(reward[k])
        odd += abs(stop[k] * (stop[k] - 1.0))
    return math.isfinite(size) and odd == 0.0


@_compiled
def _one(work: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Fill all but the order statistics."""
    time, reward, stop, change, rewarded = work[0], work[1], work[2], work[3], work[4]
    n = len(time)
    third = n // 3
    for k in range(n):
        rewarded[k] = stop[k] if reward[k] > 0.0 else 0.0
    for k in range(n - 1):
        change[k] = time[k + 1] - time[k]
    m, out[1], out[2] = _moments(time, stop)
    most = max(m, 1.0)
    out[3], out[4] = m / n, math.sqrt(m / n * (1.0 - m / n))
    total, out[5], out[6] = _unweighted_moments(reward)
    out[11] = _mean(time[:third], stop[:third])
    out[12] = _mean(time[2 * third :], stop[2 * third :])
    out[15] = _mean(time[third : 2 * third], stop[third : 2 * third])
    out[13] = _correlation(index, _moments(index, stop), time, (m, out[1], out[2]), stop)
    out[14] = out[12] - out[11]
    out[23] = total / most
    out[24], out[25] = _mean(index, rewarded), _unweighted_moments(rewarded)[0] / most
    out[26], out[27], out[28] = m, n / most, m / n
    out[33] = _unweighted_moments(change[:-1])[2]
    _after_outcome(work, out)
    _pairs(work, out)


@_compiled
def _after_outcome(work: np.ndarray, out: np.ndarray) -> None:
    """Fill what compares times after a reward and after none."""
    time, reward, stop = work[0], work[1], work[2]
    after_reward, after_failure, transition = work[5][:-1], work[6][:-1], work[7][:-1]
    for k in range(len(time) - 1):
        after_reward[k] = stop[k + 1] if reward[k] > 0.0 else 0.0
        after_failure[k] = stop[k + 1] if reward[k] == 0.0 else 0.0
        transition[k] = 1.0 if reward[k] > 0.0 and reward[k + 1] == 0.0 else 0.0
    _, out[7], out[9] = _moments(time[1:], after_reward)
    _, out[8], out[10] = _moments(time[1:], after_failure)
    out[31] = _moments(work[3][:-1], transition)[2]
    out[29], out[30] = out[9] / max(out[7], _TINY), out[10] / max(out[8], _TINY)
    out[34] = (out[8] - out[7]) ** 2 / max((out[9] ** 2 + out[10] ** 2) / 2.0, _TINY)
    out[35], out[36] = out[7] - out[1], out[1] - out[8]


@_compiled
def _pairs(work: np.ndarray, out: np.ndarray) -> None:
    """Fill what describes neighbours of which both are valid."""
    time, reward, change, both, size = work[0], work[1], work[3][:-1], work[5][:-1], work[6][:-1]
    for k in range(len(change)):
        both[k] = work[2, k] * work[2, k + 1]
        size[k] = abs(change[k])
    then = _moments(time[1:], both)
    out[20] = _correlation(time[:-1], _moments(time[:-1], both), time[1:], then, both)
    out[32] = _correlation(reward[:-1], _moments(reward[:-1], both), time[1:], then, both)
    out[21] = _moments(change, both)[2]
    out[22] = _mean(size, both)


@_compiled
def _mean(x: np.ndarray, weight: np.ndarray) -> float:
    """Average a group; 0 for none."""
    count = total = 0.0
    for k in range(len(x)):
        count += weight[k]
        total += weight[k] * x[k]
    return total / max(count, 1.0)


@_compiled
def _moments(x: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    """Give count, mean and standard deviation of a group."""
    count = total = squares = 0.0
    for k in range(len(x)):
        count += weight[k]
        total += weight[k] * x[k]
    mean = total / max(count, 1.0)
    for k in range(len(x)):
        squares += weight[k] * (x[k] - mean) ** 2
    return count, mean, math.sqrt(squares / max(count, 1.0))


@_compiled
def _unweighted_moments(x: np.ndarray) -> tuple[float, float, float]:
    """Give sum, mean and standard deviation of all."""
    total = squares = 0.0
    for k in range(len(x)):
        total += x[k]
    mean = total / len(x)
    for k in range(len(x)):
        squares += (x[k] - mean) ** 2
    return total, mean, math.sqrt(squares / len(x))


@_compiled
def _correlation(
    x: np.ndarray, x_moments: tuple[float, float, float],
    y: np.ndarray, y_moments: tuple[float, float, float], weight: np.ndarray,
) -> float:  # fmt: skip
    """Give the correlation within a group, from the moments of both."""
    count, x_mean, x_std = x_moments
    scale = x_std * y_moments[2]
    if count < 3.0 or scale <= _TINY:
        return 0.0
    products = 0.0
    for k in range(len(x)):
        products += weight[k] * (x[k] - x_mean) * (y[k] - y_moments[1])
    return products / count / scale


@_compiled
def _order_statistics(work: np.ndarray, ends: np.ndarray, out: np.ndarray) -> None:
    """Fill the maximum and the quartiles: values are dealt to buckets, and only the buckets asked for are sorted."""
    time, stop, values, dealt = work[0], work[2], work[3], work[4]
    m = 0
    for k in range(len(time)):
        values[m] = time[k]
        m += int(stop[k])
    if m == 0:
        out[0] = out[16] = out[17] = out[18] = out[19] = 0.0
        return
    out[0] = _deal(values[:m], dealt, ends)
    for quarter in range(1, 4):
        rank = quarter * m // 4
        bucket = 0
        while ends[bucket] <= rank:
            bucket += 1
        _sort(dealt, ends[bucket - 1] if bucket else 0, ends[bucket])
        out[15 + quarter] = dealt[rank]
    out[19] = out[18] - out[16]


@_compiled
def _deal(values: np.ndarray, dealt: np.ndarray, ends: np.ndarray) -> float:
    """Order values by buckets of equal width, of which `ends` are the ends in `dealt`; give the largest value."""
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    last = len(ends) - 2
    scale = last / (high - low) if high > low else 0.0
    for bucket in range(len(ends)):
        ends[bucket] = 0
    for value in values:
        ends[int((value - low) * scale) + 1] += 1
    for bucket in range(last):
        ends[bucket + 1] += ends[bucket]
    for value in values:
        bucket = int((value - low) * scale)
        dealt[ends[bucket]] = value
        ends[bucket] += 1
    return high


@_compiled
def _sort(values: np.ndarray, start: int, end: int) -> None:
    """Sort a few neighbours in place, by insertion."""
    for k in range(start + 1, end):
        value, place = values[k], k
        while place > start and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
