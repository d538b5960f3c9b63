"""Log probabilities of many patch visits under many parameter sets, by the filter of `densities.foraging`.

The same nodes as there, without its gradient and without its waste: no padding, each visit with the number of
nodes for its own length, nothing after the last decision, and only those pairs of nodes that are close enough to
matter. Masses are kept as they are, not as logarithms, except after a decision of probability below 1e-250.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from firstpassage.densities.foraging import (
    DROP,
    FLAT,
    FURTHEST,
    LONGEST,
    REACH,
    SHORTEST,
    SMALLEST_NOISE,
    UNSEEN,
    node_count,
    rule,
)
from firstpassage.errors import DataError, ModelError

# Probability below which sums are made in logarithms: the smallest kernel is exp(-_NEGLIGIBLE) of it.
_TINY = 1e-250
_NEGLIGIBLE = 50.0
# exp(-x) on a grid of 1/16, for all x that `_spread` may ask for; a global, so that the compiler sees a constant.
_GRID = 16
_EXPONENTIAL = np.exp(-np.arange(_GRID * int(_NEGLIGIBLE - math.log(_TINY) + 2)) / _GRID)
_LOG_TAU = math.log(2.0 * math.pi)
# Standard deviations above which the normal distribution function is 1 in float64.
_CERTAIN = 8.3


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
    """Evaluate the log probability of each patch visit under each parameter set.

    Parameters
    ----------
    patch_time, reward, stop : array_like, shape (site,)
        All visits, one after the other, without padding: distance travelled in the patch, 1 for a reward,
        1 stay and 0 leave. A leave ends its visit; a visit without one is cut off.
    first : array_like of int, shape (patch,)
        Position of the first site of each visit, from 0, increasing.
    theta : array_like, shape (draw, patch, 4) or (draw, 1, 4)
        drift_rate, reward_bump, failure_bump, noise_std; the same for all visits, or one row for each.
    threshold, start : float
        Evidence at which the animal leaves, and with which it enters a patch.

    Returns
    -------
    ndarray, shape (draw, patch)
        What `foraging.log_probability` gives with `node_count` nodes. The sum over patches is the log likelihood.

    Raises
    ------
    DataError
        If the sites are no visits.
    ModelError
        If theta has another shape.

    References
    ----------
    Derived in `densities.foraging`.

    Examples
    --------
    >>> from firstpassage.densities.foraging_filter import log_probabilities
    >>> theta = [[[0.2, -0.2, 0.3, 0.2]], [[0.4, -0.2, 0.3, 0.1]]]
    >>> log_probabilities([0.8, 1.7, 2.4, 0.9], [1, 0, 0, 1], [1, 1, 0, 1], [0, 3], theta).round(2)
    array([[-2.44, -0.  ],
           [-0.43, -0.  ]])
    """
    sites, edges, parameters = prepared(patch_time, reward, stop, first, theta)
    counts = np.array([node_count(sites) for sites in np.diff(edges).tolist()])
    sizes, which = np.unique(counts, return_inverse=True)
    rules = np.zeros((sizes.size, 2, sizes[-1]))
    for padded, size in zip(rules, sizes.tolist(), strict=True):
        padded[:, :size] = rule(size)
    return _fill(sites, edges, parameters, threshold - start, counts, which, rules)


def prepared(
    patch_time: ArrayLike, reward: ArrayLike, stop: ArrayLike, first: ArrayLike, theta: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check visits and parameters, and put what a filter needs of each site into a row.

    Parameters
    ----------
    patch_time, reward, stop, first, theta
        As for `log_probabilities`.

    Returns
    -------
    (ndarray, ndarray, ndarray)
        Sites (site, 5): patch_time, step, rewarded and unrewarded stops before, stop; edges of the visits
        (patch + 1,); theta in float64.
    """
    time, reward, stop = (np.asarray(x, dtype=np.float64) for x in (patch_time, reward, stop))
    edges = np.append(np.asarray(first, dtype=np.int64), time.size)
    parameters = np.ascontiguousarray(theta, dtype=np.float64)
    _check(time, reward, stop, edges, parameters)
    step = np.diff(time, prepend=0.0)
    step[edges[:-1]] = time[edges[:-1]]
    rewards, failures = (_before(stop * kind, edges) for kind in (reward, 1.0 - reward))
    sites = np.stack([time, step, rewards, failures, stop], axis=1)
    return sites, edges, parameters


def _check(time: np.ndarray, reward: np.ndarray, stop: np.ndarray, edges: np.ndarray, theta: np.ndarray) -> None:
    """Refuse sites that are no visits, and parameters that do not fit them."""
    if (
        not time.ndim == 1
        or not time.shape == reward.shape == stop.shape
        or edges[0] != 0
        or (np.diff(edges) < 1).any()
    ):
        raise DataError(
            "patch_time, reward and stop must have one entry per site, and first must increase from 0 within them; got "
            f"shapes {time.shape}, {reward.shape}, {stop.shape} and first={edges[:-1]}. Leave out empty visits."
        )
    inside = np.ones(time.size, dtype=bool)
    inside[edges[:-1]] = False
    previous = np.where(inside, np.roll(time, 1), 0.0)
    bad = ~np.isfinite(time) | ~(time > previous) | ~np.isin(stop, (0, 1)) | ~np.isin(reward, (0, 1))
    bad |= inside & (np.roll(stop, 1) == 0)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(
            "within a visit patch_time must increase from above 0, reward and stop be 0 or 1, and a leave be the last; "
            f"{bad.sum()} of {bad.size} sites are not so (first: site {i}). Correct them, or `first`."
        )
    if theta.ndim != 3 or theta.shape[1] not in (1, edges.size - 1) or theta.shape[2] != 4:
        raise ModelError(
            f"theta must have shape (draw, 1, 4) or (draw, {edges.size - 1}, 4); got {theta.shape}. "
            "Give drift_rate, reward_bump, failure_bump, noise_std on its last axis."
        )


def _before(event: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Count the events before each site in its visit."""
    count = np.cumsum(event) - event
    return count - np.repeat(count[edges[:-1]], np.diff(edges))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    sites: np.ndarray,
    edges: np.ndarray,
    theta: np.ndarray,
    gap: float,
    counts: np.ndarray,
    which: np.ndarray,
    rules: np.ndarray,
) -> np.ndarray:
    """Go through visits and, within them, draws."""
    draws, patches = theta.shape[0], edges.size - 1
    out = np.empty((draws, patches))
    work = np.empty((4, rules.shape[2]))
    for patch in range(patches):
        visit = sites[edges[patch] : edges[patch + 1]]
        nodes, weights = rules[which[patch], 0, : counts[patch]], rules[which[patch], 1, : counts[patch]]
        own = patch if theta.shape[1] > 1 else 0
        for draw in range(draws):
            row = theta[draw, own]
            possible = math.isfinite(row.sum()) and row[3] >= 0.0
            out[draw, patch] = _log_probability(visit, row, gap, nodes, weights, work) if possible else -math.inf
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_probability(
    visit: np.ndarray, theta: np.ndarray, gap: float, nodes: np.ndarray, weights: np.ndarray, work: np.ndarray
) -> float:
    """Filter one visit; `work` holds places and masses, now and next."""
    place, mass, moved, moved_mass = work[0], work[1], work[2], work[3]
    place[0], mass[0] = 0.0, 1.0
    size, total, elapsed = 1, 0.0, 0.0
    noise = max(theta[3], SMALLEST_NOISE)
    for k in range(visit.shape[0]):
        time, step, rewards, failures, stop = visit[k]
        barrier = (gap - theta[0] * time - theta[1] * rewards - theta[2] * failures) / noise
        barrier = min(max(barrier, -FURTHEST), FURTHEST)
        elapsed += step
        value = _decide(place[:size], mass[:size], barrier, math.sqrt(elapsed), stop == 1.0)
        total += value
        if k == visit.shape[0] - 1:
            break
        mean, deviation = _moments(place[:size], mass[:size], elapsed)
        if (barrier - mean) / deviation > UNSEEN:
            continue
        now, then = moved[: nodes.size], moved_mass[: nodes.size]
        top, length = _interval(place[:size], mass[:size], barrier, mean, deviation, elapsed)
        for j in range(nodes.size):
            now[j] = top - 0.5 * (1.0 - nodes[j]) * length
        _spread(place[:size], mass[:size], now, then, 0.5 / elapsed, value)
        then *= weights
        then /= then.sum()
        place, mass, moved, moved_mass = moved, moved_mass, place, mass
        size, elapsed = nodes.size, 0.0
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _decide(place: np.ndarray, mass: np.ndarray, barrier: float, root: float, stay: bool) -> float:
    """Sum the log probability of one decision."""
    sign = 1.0 if stay else -1.0
    total = 0.0
    for i in range(place.size):
        away = sign * (barrier - place[i]) / root
        total += mass[i] * (1.0 if away > _CERTAIN else 0.5 * math.erfc(-away * math.sqrt(0.5)))
    if total > _TINY:
        return math.log(total)
    terms = np.empty(place.size)
    for i in range(place.size):
        terms[i] = math.log(mass[i]) + _log_ndtr(sign * (barrier - place[i]) / root)
    return _log_sum(terms)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _moments(place: np.ndarray, mass: np.ndarray, elapsed: float) -> tuple[float, float]:
    """Give mean and standard deviation after the distance elapsed."""
    mean = 0.0
    for i in range(place.size):
        mean += mass[i] * place[i]
    variance = elapsed
    for i in range(place.size):
        variance += mass[i] * (place[i] - mean) ** 2
    return mean, math.sqrt(variance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _interval(
    place: np.ndarray, mass: np.ndarray, barrier: float, mean: float, deviation: float, elapsed: float
) -> tuple[float, float]:
    """Give the upper end and the length of the nodes' interval, as `foraging._length` does."""
    level = (barrier - mean) / deviation
    below, upper = min(level, 0.0), min(level, REACH)
    top = mean + deviation * upper
    normal = deviation * (upper - below + 2.0 * DROP / (math.sqrt(below * below + 2.0 * DROP) - below))
    highest, _ = _log_density(mean + deviation * below, place, mass, elapsed)
    lowest, slope = _log_density(top - normal, place, mass, elapsed)
    length = normal + (lowest - highest + DROP) / max(slope, FLAT)
    return top, min(max(length, SHORTEST * normal), LONGEST * normal)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_density(y: float, place: np.ndarray, mass: np.ndarray, elapsed: float) -> tuple[float, float]:
    """Give the log density after the distance elapsed, up to a constant, and its slope."""
    rate = 0.5 / elapsed
    least = math.inf
    for i in range(place.size):
        least = min(least, rate * (y - place[i]) ** 2)
    total = weighted = 0.0
    for i in range(place.size):
        share = mass[i] * math.exp(least - rate * (y - place[i]) ** 2)
        total += share
        weighted += share * (place[i] - y)
    return math.log(total) - least, weighted / total / elapsed


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _spread(
    place: np.ndarray, mass: np.ndarray, moved: np.ndarray, moved_mass: np.ndarray, rate: float, value: float
) -> None:
    """Sum mass times exp(-rate distance^2) for every new node, up to a common factor."""
    if value < math.log(_TINY):
        _spread_logs(place, mass, moved, moved_mass, rate)
        return
    reach = math.sqrt((_NEGLIGIBLE - value) / rate)
    moved_mass[:] = 0.0
    low = high = 0
    for i in range(place.size):
        while low < moved.size and moved[low] < place[i] - reach:
            low += 1
        while high < moved.size and moved[high] < place[i] + reach:
            high += 1
        # Slices, as a loop from `low` to `high` would not be vectorised.
        near, sums = moved[low:high], moved_mass[low:high]
        here, weight = place[i], mass[i]
        for j in range(near.size):
            distance = near[j] - here
            sums[j] += weight * _exponential(rate * distance * distance)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _exponential(x: float) -> float:
    """Compute exp(-x) for x within the table: a quick one that the compiler can vectorise, to 1e-15."""
    nearest = np.uint64(x * _GRID + 0.5)
    r = np.float64(nearest) * (1.0 / _GRID) - x
    series = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))))))
    return _EXPONENTIAL[nearest] * series


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread_logs(place: np.ndarray, mass: np.ndarray, moved: np.ndarray, moved_mass: np.ndarray, rate: float) -> None:
    """Do as `_spread` where all masses would be lost."""
    terms = np.empty(place.size)
    for j in range(moved.size):
        for i in range(place.size):
            terms[i] = math.log(mass[i]) - rate * (moved[j] - place[i]) ** 2
        moved_mass[j] = _log_sum(terms)
    moved_mass[:] = np.exp(moved_mass - moved_mass.max())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_sum(terms: np.ndarray) -> float:
    """Log of the sum of exponentials."""
    largest = terms.max()
    return largest + math.log(np.exp(terms - largest).sum())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_ndtr(x: float) -> float:
    """Log of the normal distribution function: eight terms of the asymptotic series below -20."""
    if x > -20.0:
        return math.log(0.5 * math.erfc(-x * math.sqrt(0.5)))
    series = 1.0
    for n in range(15, 0, -2):
        series = 1.0 - n * series / (x * x)
    return math.log(series) - 0.5 * x * x - math.log(-x) - 0.5 * _LOG_TAU
