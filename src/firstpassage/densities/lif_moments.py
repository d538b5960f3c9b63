"""Moment-matched log densities of many traces of the integrate-and-fire neuron, for proposals.

As `lif.log_density_moments`, without gradient, for many parameter sets.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from firstpassage.densities import lif_filter
from firstpassage.densities._lif_grid import log_normal
from firstpassage.densities._lif_traces import prepared
from firstpassage.densities.foraging_filter import _log_ndtr
from firstpassage.densities.foraging_moments import _cut

# Standard deviations below the threshold from which on less than 1e-17 is cut off.
_CLEAR = 8.5


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
    """Approximate the log density of each trace under each parameter set.

    It is **not** to be called exact: nats off for some traces. Correct draws under it with `lif_filter`.

    Parameters
    ----------
    voltage, spikes, theta, dt, refractory, I_mean, I_std, noise_std, v_low, v_high, current
        As for `lif_filter.log_densities`.

    Returns
    -------
    ndarray, shape (draw, trace)
        What `lif.log_density_moments` gives.

    Raises
    ------
    DataError
        If voltages are not finite, spikes are not 0 or 1, or shapes do not fit.
    ModelError
        If theta has another shape, a constant is impossible, or the voltage may reach where it is clipped.

    References
    ----------
    Maybeck (1979), Stochastic models, estimation, and control, vol. 1: assumed-density filtering.

    Examples
    --------
    >>> from firstpassage.densities.lif_moments import log_densities
    >>> log_densities([[-70.3, -69.1, -68.2]], [[0, 0, 0]], [[-55.0, 10.0, 10.0, -72.0, -70.0, -68.0]]).round(2)
    array([[-3.34]])
    """
    if I_std == 0.0:
        return lif_filter.log_densities(
            voltage, spikes, theta, dt=dt, refractory=refractory, I_mean=I_mean, I_std=I_std, noise_std=noise_std,
            v_low=v_low, v_high=v_high, current=current,
        )  # fmt: skip
    traces = prepared(
        voltage, spikes, theta, dt=dt, refractory=refractory, I_mean=I_mean, I_std=I_std, noise_std=noise_std,
        v_low=v_low, v_high=v_high, current=current,
    )  # fmt: skip
    return _fill(*traces, float(dt), float(I_std), float(noise_std), int(refractory))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    voltage: np.ndarray,
    fired: np.ndarray,
    theta: np.ndarray,
    current: np.ndarray,
    dt: float,
    I_std: float,
    noise_std: float,
    refractory: int,
) -> np.ndarray:
    """Go through draws and traces."""
    draws, traces = theta.shape[0], voltage.shape[0]
    out = np.full((draws, traces), -math.inf)
    for draw in range(draws):
        for trace in range(traces):
            row = theta[draw, trace if theta.shape[1] > 1 else 0]
            if math.isfinite(row[0]):
                given = current[trace if current.shape[0] > 1 else 0]
                drive = dt / row[1] * (row[5] + given / row[2])
                step = dt / row[1] * I_std / row[2]
                decay, noise = 1.0 - dt / row[1], noise_std * noise_std
                out[draw, trace] = _trace(voltage[trace], fired[trace], drive, row, decay, step, noise, refractory)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trace(
    voltage: np.ndarray,
    fired: np.ndarray,
    drive: np.ndarray,
    theta: np.ndarray,
    decay: float,
    step: float,
    noise: float,
    refractory: int,
) -> float:
    """Carry mean and variance through one trace."""
    threshold, reset, last = theta[0], theta[3], voltage.size - 1
    if fired[last] or fired[0] != (theta[4] >= threshold):
        return -math.inf
    mean, variance, counter = (reset, 0.0, refractory) if fired[0] else (theta[4], 0.0, 0)
    total = log_normal(voltage[0] - mean, noise)
    for i in range(1, last):
        if counter > 0:
            if fired[i]:
                return -math.inf
            counter -= 1
            total += log_normal(voltage[i] - reset, noise)
            continue
        mean, variance = decay * mean + drive[i - 1], decay * decay * variance + step * step
        if fired[i]:
            total += _log_ndtr((mean - threshold) / math.sqrt(variance)) + log_normal(voltage[i] - reset, noise)
            mean, variance, counter = reset, 0.0, refractory
            continue
        error, whole = voltage[i] - mean, variance + noise
        total += log_normal(error, whole)
        mean, variance = mean + error * variance / whole, variance * noise / whole
        deviation = math.sqrt(variance)
        level = (threshold - mean) / deviation
        if level < _CLEAR:
            below = _log_ndtr(level)
            shift, spread = _cut(level, below)
            total, mean, variance = total + below, mean - deviation * shift, variance * spread
    mean, variance = decay * mean + drive[last - 1], decay * decay * variance + step * step
    return total + log_normal(voltage[last] - mean, variance + noise)
