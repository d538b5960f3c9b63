"""Log densities of many traces of the integrate-and-fire neuron under many parameter sets, exact, without gradient.

The filter of `densities.lif`, on as many nodes as each parameter set needs, and only on those that carry mass.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from firstpassage.densities._lif_grid import (
    Cell,
    Grid,
    crossing,
    drop_from_threshold,
    enter,
    lay,
    log_normal,
    move,
    plain_step,
    trimmed,
    weigh,
)
from firstpassage.densities._lif_traces import prepared
from firstpassage.densities.foraging import rule
from firstpassage.densities.foraging_filter import _log_ndtr
from firstpassage.densities.lif import ENTER, LEAVE, reach, spacing
from firstpassage.errors import ModelError

# Most nodes of a grid.
_MOST = 1024


def log_densities(
    voltage: ArrayLike,
    spikes: ArrayLike,
    theta: ArrayLike,
    *,
    dt: float = 0.2,
    refractory: int = 10,
    I_mean: float = 200.0,
    I_std: float = 50.0,
    noise_std: float = 1.0,
    v_low: float = -100.0,
    v_high: float = 100.0,
    current: ArrayLike | None = None,
) -> np.ndarray:
    """Evaluate the log density of each trace under each parameter set.

    Parameters
    ----------
    voltage : array_like, shape (trace, sample), mV
        Observed voltages.
    spikes : array_like, shape (trace, sample)
        1 where the neuron fired, else 0.
    theta : array_like, shape (draw, 6) or (draw, trace, 6)
        V_th, tau_m, g_L, V_reset, V_init, E_L (mV, ms, nS, mV, mV, mV), the same for all traces or one row for each.
    dt : float, ms
        Time step.
    refractory : int
        Steps of the refractory period.
    I_mean, I_std : float, pA
        Mean and standard deviation of the injected current, drawn at every step.
    noise_std : float, mV
        Standard deviation of the observation noise, > 0.
    v_low, v_high : float, mV
        Where the voltage is clipped. Neither may come into play; without noise in the current both are exact.
    current : array_like, shape (sample,) or (trace, sample), optional, pA
        Mean current at each step, in place of `I_mean`.

    Returns
    -------
    ndarray, shape (draw, trace)
        What `lif.log_density` gives. It is -inf where a spike falls within the refractory period or on the last
        sample, where a parameter is not finite, and where tau_m <= dt or g_L <= 0.

    Raises
    ------
    DataError
        If voltages are not finite, spikes are not 0 or 1, or shapes do not fit.
    ModelError
        If theta has another shape, a constant is impossible, or the voltage may reach where it is clipped.

    References
    ----------
    Derived in `densities.lif`.

    Examples
    --------
    >>> from firstpassage.densities.lif_filter import log_densities
    >>> theta = [[-55.0, 10.0, 10.0, -72.0, -70.0, -68.0], [-60.0, 10.0, 10.0, -72.0, -70.0, -68.0]]
    >>> log_densities([[-70.3, -69.1, -68.2]], [[0, 0, 0]], theta).round(2)
    array([[-3.34],
           [-3.34]])
    """
    traces = prepared(
        voltage, spikes, theta, dt=dt, refractory=refractory, I_mean=I_mean, I_std=I_std, noise_std=noise_std,
        v_low=v_low, v_high=v_high, current=current,
    )  # fmt: skip
    if I_std == 0.0:
        return _paths(*traces, dt, noise_std, v_low, v_high, int(refractory))
    lengths, counts = _nodes(traces[2], traces[3], dt, I_std, noise_std)
    sizes, which = np.unique(counts, return_inverse=True)
    rules = np.zeros((sizes.size, 2, sizes[-1]))
    for padded, size in zip(rules, sizes.tolist(), strict=True):
        padded[:, :size] = rule(size)
    nodes = (lengths, counts, which.reshape(counts.shape), rules)
    return _fill(*traces, *nodes, float(dt), float(I_std), float(noise_std), int(refractory))


def _nodes(
    theta: np.ndarray, current: np.ndarray, dt: float, I_std: float, noise_std: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose length of the grid and number of nodes for each parameter set."""
    threshold, tau, conductance, _, _, rest = np.nan_to_num(np.moveaxis(theta, -1, 0), nan=1.0)
    step = dt / tau * I_std / conductance
    drop = dt / tau * (threshold - rest - current.min() / conductance) / step
    ratio = (noise_std / step) ** 2
    length = reach(1.0 - dt / tau, ratio, drop)
    counts = 8 * np.ceil(length / spacing(ratio) / 8.0).astype(np.int64)
    if counts.max() > _MOST:
        raise ModelError(
            f"noise_std={noise_std} mV is too small, or the current's range too wide, beside I_std={I_std} pA: the "
            f"filter would need {counts.max()} nodes. Raise noise_std, or set I_std to 0."
        )
    return length, counts


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    voltage: np.ndarray,
    fired: np.ndarray,
    theta: np.ndarray,
    current: np.ndarray,
    lengths: np.ndarray,
    counts: np.ndarray,
    which: np.ndarray,
    rules: np.ndarray,
    dt: float,
    I_std: float,
    noise_std: float,
    refractory: int,
) -> np.ndarray:
    """Go through draws and, within them, traces."""
    draws, traces = theta.shape[0], voltage.shape[0]
    out = np.full((draws, traces), -math.inf)
    for draw in range(draws):
        for own in range(theta.shape[1]):
            threshold, tau, conductance, reset, start, rest = theta[draw, own]
            if not math.isfinite(threshold):
                continue
            rate = dt / tau
            cell = Cell(threshold, reset, start, 1.0 - rate, rate * I_std / conductance, noise_std * noise_std)
            grid = lay(rules[which[draw, own], :, : counts[draw, own]], lengths[draw, own])
            for trace in range(traces) if theta.shape[1] == 1 else range(own, own + 1):
                drive = rate * (rest + current[trace if current.shape[0] > 1 else 0] / conductance)
                out[draw, trace] = _trace(voltage[trace], fired[trace], drive, cell, grid, refractory)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trace(voltage: np.ndarray, fired: np.ndarray, drive: np.ndarray, cell: Cell, grid: Grid, refractory: int) -> float:
    """Go from one known voltage to the next: the first sample, and the refractory periods."""
    last = voltage.size - 1
    if fired[last] or fired[0] != (cell.start >= cell.threshold):
        return -math.inf
    total, i, point, held = 0.0, 0, cell.start, 1
    if fired[0]:
        point, held = cell.reset, refractory + 1
    while True:
        stop = min(i + held, last)
        for k in range(i, stop):
            if fired[k] and k > i:
                return -math.inf
            total += log_normal(voltage[k] - point, cell.noise)
        end = stop
        while end < last and not fired[end]:
            end += 1
        total += _segment(voltage, drive, stop, end, fired[end], cell, point, grid)
        if end == last:
            return total
        i, point, held = end, cell.reset, refractory + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _segment(
    voltage: np.ndarray, drive: np.ndarray, i: int, end: int, fires: bool, cell: Cell, point: float, grid: Grid
) -> float:
    """Filter the samples from i to before `end`, none of them a spike, and then the spike or the last sample there."""
    total, mean, variance = 0.0, point, 0.0
    while True:
        i, mean, variance, near, value = _far(voltage, drive, i, end, cell, mean, variance)
        total += value
        if not near:
            mean, variance = cell.decay * mean + drive[end - 1], cell.decay**2 * variance + cell.step**2
            if fires:
                return total + _log_ndtr((mean - cell.threshold) / math.sqrt(variance))
            return total + log_normal(voltage[end] - mean, variance + cell.noise)
        used, value = enter(cell, grid, mean, variance)
        total += value
        i, used, mean, variance, value = _near(voltage, drive, i, end, cell, grid, used)
        total += value
        if used > 0 and fires:
            return total + crossing(grid, used, cell.decay, drop_from_threshold(cell, drive[end - 1]))
        if used > 0:
            return total + plain_step(grid, used, cell, drop_from_threshold(cell, drive[end - 1]), voltage[end])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _far(
    voltage: np.ndarray, drive: np.ndarray, i: int, end: int, cell: Cell, mean: float, variance: float
) -> tuple[int, float, float, bool, float]:
    """Filter by Kalman's equations until the threshold comes near."""
    total = 0.0
    while i < end:
        mean, variance = cell.decay * mean + drive[i - 1], cell.decay * cell.decay * variance + cell.step * cell.step
        error, whole = voltage[i] - mean, variance + cell.noise
        total += log_normal(error, whole)
        mean, variance = mean + error * variance / whole, variance * cell.noise / whole
        i += 1
        if cell.threshold - mean < ENTER * math.sqrt(variance):
            return i, mean, variance, True, total
    return i, mean, variance, False, total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near(
    voltage: np.ndarray, drive: np.ndarray, i: int, end: int, cell: Cell, grid: Grid, used: int
) -> tuple[int, int, float, float, float]:
    """Filter on the nodes until the threshold is far; give zero nodes, and the moments, where it is."""
    total, rate = 0.0, 0.5 * cell.step**2 / cell.noise
    while i < end:
        used = move(grid, used, cell.decay, drop_from_threshold(cell, drive[i - 1]))
        mass, mean, square, least = weigh(
            grid.mass[:used], grid.x[:used], (cell.threshold - voltage[i]) / cell.step, rate
        )
        total += math.log(mass) - least + log_normal(0.0, cell.noise)
        used = trimmed(grid.mass, mass, used)
        variance = square - mean * mean
        i += 1
        if mean > LEAVE * math.sqrt(variance):
            return i, 0, cell.threshold - cell.step * mean, cell.step**2 * variance, total
    return i, used, 0.0, 0.0, total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _paths(
    voltage: np.ndarray,
    fired: np.ndarray,
    theta: np.ndarray,
    current: np.ndarray,
    dt: float,
    noise_std: float,
    v_low: float,
    v_high: float,
    refractory: int,
) -> np.ndarray:
    """Go through draws and traces of cells without noise in their current, whose paths are known."""
    draws, traces = theta.shape[0], voltage.shape[0]
    out = np.full((draws, traces), -math.inf)
    for draw in range(draws):
        for trace in range(traces):
            row = theta[draw, trace if theta.shape[1] > 1 else 0]
            given = current[trace if current.shape[0] > 1 else 0]
            if math.isfinite(row[0]):
                drive = dt / row[1] * (row[5] + given / row[2])
                cell = Cell(row[0], row[3], row[4], 1.0 - dt / row[1], 0.0, noise_std * noise_std)
                out[draw, trace] = _path(voltage[trace], fired[trace], drive, cell, v_low, v_high, refractory)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _path(
    voltage: np.ndarray, fired: np.ndarray, drive: np.ndarray, cell: Cell, v_low: float, v_high: float, refractory: int
) -> float:
    """Follow one path; -inf where a spike that it predicts is not there, or one that is there is not predicted."""
    v, counter, total = cell.start, 0, 0.0
    for i in range(voltage.size):
        fires = counter == 0 and v >= cell.threshold and i < voltage.size - 1
        if fires != fired[i]:
            return -math.inf
        if (fires or counter > 0) and i < voltage.size - 1:
            v = cell.reset
        counter = refractory if fires else max(counter - 1, 0)
        total += log_normal(voltage[i] - v, cell.noise)
        v = min(max(cell.decay * v + drive[i], v_low), v_high)
    return total
