"""Traces, parameters and constants of the integrate-and-fire neuron, checked, as the compiled filters need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from firstpassage.errors import DataError, ModelError

# Standard deviations of the voltage that must fit above the lower bound.
_CLIP = 4.0


def prepared(
    voltage: ArrayLike,
    spikes: ArrayLike,
    theta: ArrayLike,
    *,
    dt: float,
    refractory: int,
    I_mean: float,
    I_std: float,
    noise_std: float,
    v_low: float,
    v_high: float,
    current: ArrayLike | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check traces, parameters and constants, and bring them into the form that the loops expect.

    Parameters
    ----------
    voltage, spikes, theta, dt, refractory, I_mean, I_std, noise_std, v_low, v_high, current
        As for `log_densities`.

    Returns
    -------
    (ndarray, ndarray, ndarray, ndarray)
        Voltages (trace, sample); spikes, bool; parameters (draw, 1 or trace, 6), with NaN for sets that no neuron
        has; mean currents (1 or trace, sample).

    Raises
    ------
    DataError, ModelError
        As `log_densities`.
    """
    voltages, fired = np.ascontiguousarray(voltage, dtype=np.float64), np.asarray(spikes)
    _check_traces(voltages, fired)
    parameters = np.array(theta, dtype=np.float64, order="C")
    parameters = parameters[:, None] if parameters.ndim == 2 else parameters
    if parameters.ndim != 3 or parameters.shape[1] not in (1, len(voltages)) or parameters.shape[2] != 6:
        raise ModelError(
            f"theta must have shape (draw, 6) or (draw, {len(voltages)}, 6); got {np.asarray(theta).shape}. "
            "Give V_th, tau_m, g_L, V_reset, V_init, E_L on its last axis."
        )
    if not (dt > 0.0 and noise_std > 0.0 and I_std >= 0.0 and refractory >= 0 and refractory == int(refractory)):
        raise ModelError(
            "dt and noise_std must be positive, I_std >= 0 and refractory a number of steps; got "
            f"dt={dt}, noise_std={noise_std}, I_std={I_std}, refractory={refractory}. Correct the setting."
        )
    currents = np.full((1, voltages.shape[1]), I_mean, dtype=np.float64)
    if current is not None:
        currents = np.ascontiguousarray(np.atleast_2d(np.asarray(current, dtype=np.float64)))
    if currents.shape not in {(1, voltages.shape[1]), voltages.shape} or not np.isfinite(currents).all():
        raise DataError(
            f"the current must be finite and have shape ({voltages.shape[1]},) or {voltages.shape}, pA; got "
            f"{currents.shape}. Give its mean at each sample."
        )
    impossible = ~np.isfinite(parameters).all(axis=-1) | (parameters[..., 1] <= dt) | (parameters[..., 2] <= 0.0)
    parameters[impossible] = np.nan
    _check_clip(parameters, currents, dt, I_std, v_low, v_high)
    return voltages, np.ascontiguousarray(fired == 1), parameters, currents


def _check_traces(voltage: np.ndarray, spikes: np.ndarray) -> None:
    """Refuse what are no traces."""
    if voltage.ndim != 2 or voltage.shape != spikes.shape or voltage.shape[1] < 2:
        raise DataError(
            "voltage and spikes must both have shape (trace, sample), with two samples or more; got "
            f"{voltage.shape} and {spikes.shape}. Give one trace as voltage[None], spikes[None]."
        )
    for name, bad, how in (
        ("voltage", ~np.isfinite(voltage), "be finite, in mV"),
        ("spikes", (spikes != 0) & (spikes != 1), "be 0 or 1"),
    ):
        if bad.any():
            trace, sample = np.argwhere(bad)[0].tolist()
            raise DataError(
                f"{name} must {how}; {bad.sum()} of {bad.size} samples are not so (first: trace {trace}, sample "
                f"{sample}). Correct them."
            )


def _check_clip(theta: np.ndarray, current: np.ndarray, dt: float, I_std: float, v_low: float, v_high: float) -> None:
    """Refuse bounds of the voltage that come into play, as the filter leaves them out."""
    if I_std == 0.0:
        return
    threshold, tau, conductance, reset, start, rest = np.moveaxis(theta, -1, 0)
    # Standard deviation of the voltage long after a reset.
    spread = I_std * dt / tau / conductance / np.sqrt(1.0 - (1.0 - dt / tau) ** 2)
    lowest = np.minimum(np.minimum(reset, start), rest + current.min() / conductance) - _CLIP * spread
    if (lowest < v_low).any() or (threshold >= v_high).any():
        raise ModelError(
            f"the exact density needs bounds of the voltage that are never met; got {v_low} and {v_high} mV, where the "
            f"voltage goes down to {np.nanmin(lowest):.1f} and the threshold up to {np.nanmax(threshold):.1f} mV. "
            "Widen v_clip."
        )
