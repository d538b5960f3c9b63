"""Summary statistics of a voltage trace with spikes: counts, averages, least-squares lines and lagged products.

Nothing is assumed of parameters, and no density is evaluated: every number is computed from the trace, with fixed
constants. Exponentials are laid through the relaxation from the start and after each spike (`lif_relaxation`); what is
left is averaged, by phase, in blocks and exponentially, and looked at where spikes come (`lif_residuals`). All are
finite for any finite trace, silent ones included.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numba
import numpy as np

from firstpassage.errors import DataError
from firstpassage.models import lif_relaxation, lif_residuals
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_residuals import AFTER, BLOCKS, EARLY, GAINS, HOVER, LINES

_FADES = (0.0, 8.0, 2.5)  # ms, after which a sample of a relaxation counts 1 / e; 0 is never
_CURRENT_TAUS = (5.0, 10.0, 20.0)  # ms


def _names() -> Iterator[str]:
    """Name the statistics in their order."""
    yield from ("log_spikes", "first_spike", "since_last_spike", "log_interval", "interval_spread", "log_shortest")
    yield from ("after_spike", "log_held")
    fitted = ("log_tau", "v_init", "v_reset", "v_inf", "sharpness", "v_init_at_10", "v_reset_at_10", "v_inf_at_10")
    yield from (f"{name}_{fade:g}" for fade, name in product(_FADES, fitted))
    yield from (f"{n}_{g:g}" for g, n in product(GAINS, ("error", "error_follows", "error_with_average")))
    yield from (f"early_{end}" for end in EARLY)
    yield from (f"{name}_{end}" for end, name in product(AFTER, ("after", "after_square", "after_count")))
    yield from (f"{name}_{gain:g}" for gain, name in product(GAINS, ("at_spikes", "at_spikes_spread")))
    yield from ("lowest_at_spikes", "highest", *(f"hover_{below:g}" for below in HOVER))
    yield from (f"{n}_{w}" for w, n in product(BLOCKS, ("block_change", "block_product", "block_product_two")))
    yield from (f"{name}_{w}" for w, name in product(LINES, ("line", "line_spread", "line_slope")))
    yield from (f"current_{tau:g}" for tau in _CURRENT_TAUS)
    yield from ("noise_step", "log_g_guess", "leak_guess")


SUMMARY_NAMES = tuple(_names())

_TIMES = SUMMARY_NAMES.index("log_spikes")
_RELAX = SUMMARY_NAMES.index("log_tau_0")
_ERRORS = SUMMARY_NAMES.index(f"error_{GAINS[0]:g}")
_PHASES = SUMMARY_NAMES.index(f"early_{EARLY[0]}")
_SPIKES = SUMMARY_NAMES.index(f"at_spikes_{GAINS[0]:g}")
_BLOCKS = SUMMARY_NAMES.index(f"block_change_{BLOCKS[0]}")
_LINES = SUMMARY_NAMES.index(f"line_{LINES[0]}")
_CURRENT = SUMMARY_NAMES.index(f"current_{_CURRENT_TAUS[0]:g}")
_NOISE = SUMMARY_NAMES.index("noise_step")
_FEWEST = 3  # samples of a trace

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
    ndarray, shape (n, statistic), float64
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
    constants = np.array([recording.dt, recording.refractory, recording.I_std, recording.obs_noise_std**2])
    found = np.empty((len(y), len(SUMMARY_NAMES)))
    _summarise(y, s, drive, constants, found)
    return found


@_compiled
def _summarise(
    voltage: np.ndarray, spikes: np.ndarray, current: np.ndarray, constants: np.ndarray, found: np.ndarray
) -> None:
    """Fill one row for each trace."""
    n = voltage.shape[1]
    ends, tables, track = np.empty((n + 1, 2), np.int64), np.empty((2, n)), np.empty((2, n))
    work, sums, at = np.empty((6, 8)), np.empty((14, 8)), np.empty((n, len(GAINS)))
    for i in range(len(voltage)):
        y, row = voltage[i], found[i]
        number = lif_relaxation.segments(spikes[i], int(constants[1]), ends)
        held = _relaxations(y, ends[:number], spikes[i], constants[0], tables, work, row)
        path = row[_RELAX : _RELAX + 4]
        lif_residuals.follow(y, ends[:number], path, constants[0], sums, track, at)
        _times(ends[:number], n, held, row)
        lif_residuals.errors(sums, n - held, row[_ERRORS:])
        lif_residuals.phases(sums, row[_PHASES:])
        lif_residuals.thresholds(track, at, number - 1, row[_SPIKES:])
        lif_residuals.blocks(track, row[_BLOCKS:])
        lif_residuals.lines(y, ends[:number], number - 1, row[_SPIKES + 2 * len(GAINS)], row[_LINES:])
        _driven(track[0], current[i], constants[0], row[_CURRENT:])
        _noise(current[i].mean(), constants, row)


@_compiled
def _relaxations(
    y: np.ndarray, ends: np.ndarray, spikes: np.ndarray, dt: float, tables: np.ndarray, work: np.ndarray,
    row: np.ndarray,
) -> float:  # fmt: skip
    """Fill the relaxations, and the mean of the samples held after spikes, of which the number is returned."""
    longest, held, total = lif_relaxation.tables(y, ends, spikes, tables[0], tables[1])
    first, counts, sums = y[: ends[0, 1]], tables[0, :longest], tables[1, :longest]
    for f in range(len(_FADES)):
        fade = math.exp(-dt / _FADES[f]) if _FADES[f] > 0.0 else 1.0
        lif_relaxation.relax(first, counts, sums, held, total, dt, fade, row[_RELAX + 8 * f : _RELAX + 8 * f + 8], work)
    row[6], row[7] = -65.0 + (total - 7.0) / (held + 1.0), math.log1p(held)
    return held


@_compiled
def _times(ends: np.ndarray, n: int, held: float, row: np.ndarray) -> None:
    """Fill number and times of spikes; where there are none, neutral values."""
    spikes = len(ends) - 1
    row[0], row[1] = math.log1p(spikes), ends[0, 1] / n
    row[2] = (n - ends[spikes - 1, 1]) / n if spikes else 1.0
    row[3] = row[5] = math.log(n)
    row[4] = math.log(1e-2)
    if spikes > 1:
        total = squares = 0.0
        shortest = float(n)
        for i in range(1, spikes):
            interval = ends[i, 1] - ends[i - 1, 1]
            shortest = min(shortest, interval)
            total, squares = total + math.log(interval), squares + math.log(interval) ** 2
        mean = total / (spikes - 1)
        row[3], row[5] = mean, math.log(shortest)
        row[4] = math.log(1e-2 + math.sqrt(max(squares / (spikes - 1) - mean * mean, 0.0)))


@_compiled
def _driven(rest: np.ndarray, current: np.ndarray, dt: float, out: np.ndarray) -> None:
    """Fill slopes of the rest on the current, exponentially averaged; 0 where the current does not change."""
    mean = current.mean()
    for j in range(len(_CURRENT_TAUS)):
        rate, u, products, squares = dt / _CURRENT_TAUS[j], 0.0, 0.0, 1.0
        for t in range(len(rest)):
            if math.isnan(rest[t]):
                u = 0.0
            else:
                products, squares = products + u * rest[t], squares + u * u
            u += rate * (current[t] - mean - u)
        out[j] = 100.0 * products / squares


@_compiled
def _noise(current: float, constants: np.ndarray, row: np.ndarray) -> None:
    """Fill the noise of a step from block differences, the conductance that it implies, and the leak's voltage."""
    step = 0.0
    for b in range(1, 3):
        w = BLOCKS[b]
        change = math.exp(row[_BLOCKS + 3 * b])
        step += 0.5 * max(change - 2.0 * constants[3] / w, 1e-3) / (2.0 * w / 3.0)
    row[_NOISE] = 0.5 * math.log(step + 1e-4)
    guess = math.log(max(constants[0] * constants[2], 1e-3)) - row[_RELAX] - row[_NOISE]
    row[_NOISE + 1] = min(max(guess, 1.0), 3.5)
    shrunk = math.log(10.0) + 0.7 * (row[_NOISE + 1] - math.log(10.0))
    row[_NOISE + 2] = min(max(row[_RELAX + 3] - current * math.exp(-shrunk), -100.0), 0.0)
