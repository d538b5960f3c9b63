"""Summary statistics of a voltage trace with spikes, nearly sufficient for the leaky integrate-and-fire neuron.

First the estimates, scales and correlations of a rough Gaussian model (`lif_scoring`), fitted to each trace by itself;
then counts, times and averages that a network can correct these by: the rough model treats the threshold by moments
only. All are finite for any finite trace, silent ones included, and depend on the data and the recording alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numba
import numpy as np

from firstpassage.errors import DataError
from firstpassage.models import lif_scoring
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_scoring import COORDINATES


def _names() -> Iterator[str]:
    """Name the statistics in their order."""
    yield from (f"{name}_estimate" for name in (*COORDINATES, "E_L"))
    yield from (f"{name}_log_sd" for name in (*COORDINATES, "E_L"))
    yield from (f"{a}_with_{b}" for a, b in combinations(COORDINATES, 2))
    yield from ("unsettled", "log_spikes", "first_spike", "since_last_spike", "log_interval", "interval_spread")
    yield from ("after_spike", "before_spike", "well_before_spike", "early", "highest", "residual_size", "residual_lag")


SUMMARY_NAMES = tuple(_names())

_STEPS = 15  # of scoring, at most
_SETTLED = 0.05  # standard deviations; a step so short is the last one
_FAR = 0.3  # standard deviations; it does not matter how far more a fit is from where it should be
_FITTED = 2 * (len(COORDINATES) + 1) + len(COORDINATES) * (len(COORDINATES) - 1) // 2
_LEAST_NOISE = 1e-3  # mV, of the observation
_NEAR = 2.0  # mV, within which a threshold is of where spikes begin
_FEWEST = 3  # samples of a trace
_WIDTH = 9  # samples in a running average

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


def summary_statistics(
    voltage: np.ndarray, spikes: np.ndarray, recording: Recording, *, current: np.ndarray | None = None
) -> np.ndarray:
    """Summarise traces of one length.

    Parameters
    ----------
    voltage : ndarray, shape (n, T) or (T,), mV
        Observed voltages, T >= 3.
    spikes : ndarray, shape (n, T) or (T,)
        1 where a spike was detected, else 0.
    recording : Recording
        Sampling step, refractory time, mean and spread of the current, spread of the observation noise.
    current : ndarray, shape (n, T) or (T,), pA, optional
        Mean current at each step, where it was given; else it is that of the recording.

    Returns
    -------
    ndarray, shape (n, 42), float64
        In the order of `SUMMARY_NAMES`, always finite.

    Raises
    ------
    DataError
        If shapes differ or are too short, or a value is not finite.

    Examples
    --------
    >>> silent = np.full((1, 100), -70.0)
    >>> found = summary_statistics(silent, np.zeros((1, 100)), Recording(T=20.0))
    >>> float(found[0, SUMMARY_NAMES.index("log_spikes")])
    0.0
    """
    y, s = (np.atleast_2d(np.ascontiguousarray(value, dtype=np.float64)) for value in (voltage, spikes))
    if y.ndim != 2 or y.shape != s.shape or y.shape[1] < _FEWEST:
        raise DataError(
            f"voltage and spikes must have one shape (n, T) with T >= {_FEWEST}; got {np.shape(voltage)} and "
            f"{np.shape(spikes)}. Summarise traces of different lengths one by one."
        )
    if not (np.isfinite(y).all() and np.isfinite(s).all()):
        raise DataError("voltage and spikes must be finite; got NaN or infinite values. Drop or mend those traces.")
    given = recording.I_mean if current is None else current
    drive = np.broadcast_to(np.asarray(given, dtype=np.float64), y.shape)
    constants = np.array([
        recording.dt, recording.refractory, recording.I_std, recording.I_mean,
        max(recording.obs_noise_std, _LEAST_NOISE) ** 2,
    ])  # fmt: skip
    found = np.empty((len(y), len(SUMMARY_NAMES)))
    _summarise(y, s, drive, constants, found)
    return found


@_compiled
def _summarise(
    voltage: np.ndarray, spikes: np.ndarray, current: np.ndarray, constants: np.ndarray, found: np.ndarray
) -> None:
    """Fill one row for each trace."""
    score, info, work, drive = np.empty(6), np.empty((6, 6)), np.empty((12, 6)), np.empty(voltage.shape[1])
    own = constants.copy()
    for i in range(len(voltage)):
        own[3] = current[i].mean()
        drive[:] = current[i] - own[3]
        row, place = found[i], found[i, :6]
        _simple(voltage[i], spikes[i], int(own[1]), row[_FITTED:])
        _start(voltage[i], own, row[_FITTED:], place)
        bounds = (-150.0, 100.0) if row[_FITTED + 1] == 0.0 else (place[0] - _NEAR, place[0] + _NEAR)
        length = lif_scoring.estimate(
            voltage[i], spikes[i], drive, own, _STEPS, _SETTLED, bounds, place, score, info, work
        )
        row[_FITTED] = math.log1p(min(length, _FAR))
        _fitted(own[3], info, row)


@_compiled
def _start(y: np.ndarray, constants: np.ndarray, simple: np.ndarray, place: np.ndarray) -> None:
    """Guess the coordinates from simple averages."""
    late = y[len(y) // 2 :].mean()
    place[1] = place[2] = math.log(10.0)
    place[3], place[4] = simple[6], y[:3].mean()
    silent = simple[1] == 0.0
    rise = max(simple[7] - simple[8], 0.0) / 5.5  # mV per sample just before a spike
    place[0] = simple[10] + 1.0 if silent else simple[7] + 2.0 * rise
    place[5] = late if silent else max(late, place[0] + 1.0)
    if simple[4] < math.log(len(y)):  # what relaxes from reset to threshold in the mean interval
        free = max(math.exp(simple[4]) - constants[1] - 1.0, 5.0)
        growth = math.expm1(free * constants[0] * math.exp(-place[1]))
        place[5] = place[0] + max(place[0] - place[3], 1.0) / growth


@_compiled
def _fitted(current: float, info: np.ndarray, row: np.ndarray) -> None:
    """Fill what the rough model says: estimates, logarithms of their scales, correlations (Fisher's z)."""
    covariance = np.zeros((6, 6))
    for i in range(6):
        covariance[i, i] = 1.0
        lif_scoring.solve(info, covariance[i])
    leak = current * math.exp(-row[2])
    row[6] = row[5] - leak
    row[13] = covariance[5, 5] + leak * (2.0 * covariance[2, 5] + leak * covariance[2, 2])
    for i in range(6):
        row[7 + i] = covariance[i, i]
    for i in range(7, 14):
        row[i] = 0.5 * math.log(max(row[i], 1e-12))
    k = 14
    for i in range(6):
        for j in range(i + 1, 6):
            r = covariance[i, j] / math.sqrt(covariance[i, i] * covariance[j, j])
            row[k] = math.atanh(min(max(r, -0.9999), 0.9999))
            k += 1


@_compiled
def _simple(y: np.ndarray, spikes: np.ndarray, refractory: int, out: np.ndarray) -> None:
    """Fill counts, times and averages; where there is no spike, neutral values."""
    n = len(y)
    first, last, count, logs, squares = n, -1, 0, 0.0, 0.0
    after = before = well_before = 0.0
    afters = 0
    for k in range(n):
        if spikes[k] == 0.0:
            continue
        if count > 0:
            interval = math.log(k - last)
            logs, squares = logs + interval, squares + interval * interval
        count, first, last = count + 1, min(first, k), k
        for j in range(k, min(k + refractory, n - 2) + 1):
            after, afters = after + y[j], afters + 1
        for j in range(1, 10):
            if j < 4:
                before += y[max(k - j, 0)] / 3.0
            else:
                well_before += y[max(k - j, 0)] / 6.0
    mean = logs / max(count - 1, 1)
    out[1], out[2], out[3] = math.log1p(count), first / n, (n - last) / n
    out[4] = mean if count > 1 else math.log(n)
    out[5] = math.log(1e-2 + math.sqrt(max(squares / max(count - 1, 1) - mean * mean, 0.0)))
    highest = _highest(y, spikes, refractory)
    out[6] = (after - 72.0) / (afters + 1)  # one sample's worth of a usual value
    out[7], out[8] = (before / count, well_before / count) if count else (highest, highest)
    out[9], out[10] = y[:_WIDTH].mean(), highest
    out[11], out[12] = _residual(y, spikes)


@_compiled
def _highest(y: np.ndarray, spikes: np.ndarray, refractory: int) -> float:
    """Give the highest running average between spikes."""
    total, length, highest, since = 0.0, 0, -200.0, refractory + 1
    for k in range(len(y)):
        since = 0 if spikes[k] != 0.0 else since + 1
        if since <= refractory:
            total, length = 0.0, 0
            continue
        total, length = total + y[k], length + 1
        if length > _WIDTH:
            total -= y[k - _WIDTH]
        if length >= _WIDTH:
            highest = max(highest, total / _WIDTH)
    return highest if highest > -200.0 else y.mean()


@_compiled
def _residual(y: np.ndarray, spikes: np.ndarray) -> tuple[float, float]:
    """Describe second differences that no spike is in: logarithm of their size, and how neighbours go together."""
    size = product = 1e-6
    previous = 0.0
    for k in range(2, len(y)):
        if spikes[k] != 0.0 or spikes[k - 1] != 0.0:
            previous = 0.0
            continue
        bend = y[k] - 2.0 * y[k - 1] + y[k - 2]
        size, product, previous = size + bend * bend, product + bend * previous, bend
    return math.log(size / len(y)), product / size
