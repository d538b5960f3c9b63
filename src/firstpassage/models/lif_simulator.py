"""The leaky integrate-and-fire neuron's simulator: traces of voltage and spikes, in JAX.

At every step a neuron that is refractory is held at its reset voltage; one whose voltage has reached the threshold
spikes, is reset and becomes refractory. The sample of this step is that voltage with observation noise. Then the
voltage moves by dt / tau_m (E_L - v + I / g_L) and is clipped. The last sample is neither tested nor reset. One step
needs the one before, so time is gone through in order, with many traces side by side.

All randomness comes from a counter: current and noise of a sample are functions of the seed, the trace and the sample
alone. A trace is therefore the same in whatever batch it is simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from firstpassage.errors import ModelError
from firstpassage.models import _counters
from firstpassage.models.lif_recording import Recording

PARAMETERS = ("V_th", "tau_m", "g_L", "V_reset", "V_init", "E_L")
COLUMNS = ("voltage", "spikes")

# Traces of one call: their state stays in the first-level cache. No power of 2, so that the samples of a trace, put
# side by side at the end, do not compete for the same few places of the cache.
_BATCH = 272


def draw(
    theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator, recording: Recording
) -> dict[str, np.ndarray]:
    """Simulate several traces for each parameter set.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        V_th (mV), tau_m (ms), g_L (nS), V_reset, V_init, E_L (mV).
    trials : int
        Traces for each parameter set; they take the stimulus conditions in turn.
    rng : numpy.random.Generator
        Source of randomness, advanced by two 32-bit numbers.
    recording : Recording
        Duration, time step, current, noise.

    Returns
    -------
    dict of str to ndarray, shape (n, trials, sample)
        ``"voltage"`` in mV, with observation noise, and ``"spikes"``, 0 or 1; where a stimulus is given, also the
        ``"stimulus"`` of each trace in pA.

    Raises
    ------
    ModelError
        If a parameter is missing or not finite, or makes no neuron.

    Examples
    --------
    >>> theta = dict(V_th=[-55.0], tau_m=[10.0], g_L=[10.0], V_reset=[-72.0], V_init=[-71.0], E_L=[-70.0])
    >>> draw(theta, trials=2, rng=np.random.default_rng(1), recording=Recording())["voltage"].shape
    (1, 2, 1000)
    """
    table = _table(theta, dtype=_precision(recording))
    words = rng.integers(2**32, size=2, dtype=np.uint32)
    condition = np.tile(np.arange(trials) % recording.conditions, table.shape[1])
    found = _simulate(np.repeat(table, trials, axis=1), condition, words, recording)
    made = {name: value.reshape(-1, trials, recording.samples) for name, value in zip(COLUMNS, found, strict=True)}
    if recording.stimulus is not None:
        made["stimulus"] = recording.currents[condition].reshape(made["voltage"].shape)
    return made


def rows(theta: Mapping[str, np.ndarray], rng: np.random.Generator, *, recording: Recording) -> np.ndarray:
    """Simulate one trace for each parameter set, as a row of the data that the likelihood reads.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        As for `draw`.
    rng : numpy.random.Generator
        Source of randomness, advanced by two 32-bit numbers.
    recording : Recording
        Duration, time step, current, noise. The rows take the stimulus conditions in turn.

    Returns
    -------
    ndarray, shape (n, column), float64
        voltage, spikes, and the stimulus where there is one.
    """
    table = _table(theta, dtype=_precision(recording))
    words = rng.integers(2**32, size=2, dtype=np.uint32)
    condition = np.arange(table.shape[1]) % recording.conditions
    found = _simulate(table, condition, words, recording)
    given = () if recording.stimulus is None else (recording.currents[condition],)
    return np.concatenate([*found, *given], axis=1, dtype=np.float64)


def trace(
    theta: Mapping[str, ArrayLike], current: ArrayLike, noise: ArrayLike, *, recording: Recording
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the traces of given currents and noise, in float64: what `draw` does, without its randomness.

    Parameters
    ----------
    theta : mapping of str to array_like, shape (n,)
        As for `draw`.
    current : array_like, shape (n, sample), pA
        Injected current. The last one has no effect.
    noise : array_like, shape (n, sample), mV
        Observation noise.
    recording : Recording
        Time step, refractory time, clipping; neither the current nor the noise.

    Returns
    -------
    voltage, spikes : ndarray, shape (n, sample), float64
        In mV, and 0 or 1.

    Raises
    ------
    ModelError
        If a parameter is missing or not finite, or the shapes do not fit.

    Examples
    --------
    >>> theta = dict(V_th=[-55.0], tau_m=[10.0], g_L=[10.0], V_reset=[-72.0], V_init=[-71.0], E_L=[-70.0])
    >>> voltage, spikes = trace(theta, np.full((1, 1000), 200.0), np.zeros((1, 1000)), recording=Recording())
    >>> int(spikes.sum())
    12
    """
    table = _table(theta, dtype=np.float64)
    given = [np.asarray(values, dtype=np.float64) for values in (current, noise)]
    wanted = (table.shape[1], recording.samples)
    if any(values.shape != wanted for values in given):
        raise ModelError(f"current and noise must have shape {wanted}; got {given[0].shape} and {given[1].shape}.")
    with jax.enable_x64():
        voltage, spikes = _given(recording)(table, *given)
    return np.asarray(voltage), np.asarray(spikes, dtype=np.float64)


class _State(NamedTuple):
    """The membranes before a sample."""

    voltage: jax.Array  # (trace,), mV
    held: jax.Array  # (trace,), int32: further steps for which the voltage is held at its reset


def _table(theta: Mapping[str, ArrayLike], dtype: Any = np.float32) -> np.ndarray:
    """Return the parameters as (6, n), or say what is wrong with them."""
    if set(theta) != set(PARAMETERS):
        raise ModelError(f"theta must have {', '.join(PARAMETERS)}; got {', '.join(theta) or 'nothing'}.")
    rows = [np.asarray(theta[name], dtype=np.float64) for name in PARAMETERS]
    shapes = {name: row.shape for name, row in zip(PARAMETERS, rows, strict=True)}
    if set(shapes.values()) != {rows[0].shape} or rows[0].ndim != 1:
        raise ModelError(f"each parameter must have the same shape (n,); got {shapes}. Broadcast and flatten theta.")
    table = np.stack(rows)
    threshold, tau, conductance, reset = table[:4]
    bad = ~np.isfinite(table).all(axis=0) | ~(tau > 0) | ~(conductance > 0) | ~(threshold > reset)
    if bad.any():
        i = int(np.argmax(bad))
        row = ", ".join(f"{name}={value:g}" for name, value in zip(PARAMETERS, table[:, i], strict=True))
        raise ModelError(
            f"a neuron needs finite parameters, tau_m > 0, g_L > 0 and V_th > V_reset; {bad.sum()} of {bad.size} rows "
            f"are not so (first: row {i}, {row}). Stay within the model's box."
        )
    return table.astype(dtype)


def _precision(recording: Recording) -> Any:
    """Choose how exactly to walk: without noise of the current, one rounding may move a spike, which none can be."""
    return np.float64 if recording.I_std == 0 else np.float32


def _simulate(
    table: np.ndarray, condition: np.ndarray, words: np.ndarray, recording: Recording
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate the columns of a table (6, n) under their conditions: voltage and spikes, (n, sample) each."""
    if recording.I_std == 0:
        return _determined(table, condition, words, recording)
    number, walk = np.arange(table.shape[1], dtype=np.uint32), _walk(recording)
    voltage, spikes = (np.empty((len(number), recording.samples), dtype=np.float32) for _ in COLUMNS)
    for which, current in enumerate(recording.currents.astype(np.float32)):
        own = number[condition == which]
        for first in range(0, len(own), _BATCH):
            some = own[first : first + _BATCH]
            filled = np.resize(some, _BATCH)
            found = walk(table[:, filled], filled, current, words)
            place = slice(some[0], some[0] + len(some)) if recording.conditions == 1 else some
            for into, part in zip((voltage, spikes), found, strict=True):
                into[place] = np.asarray(part)[: len(some)]
    return voltage, spikes


def _determined(
    table: np.ndarray, condition: np.ndarray, words: np.ndarray, recording: Recording
) -> tuple[np.ndarray, np.ndarray]:
    """Do the same where only the observation is noisy, in float64."""
    current = recording.currents[condition]
    noise = recording.obs_noise_std * np.random.default_rng(words).standard_normal(current.shape)
    return trace(dict(zip(PARAMETERS, table, strict=True)), current, noise, recording=recording)


@lru_cache(maxsize=32)
def _walk(recording: Recording) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compile the walk of a batch through time: parameters (6, trace), numbers of the traces, mean current, key."""

    def walk(theta: jax.Array, number: jax.Array, current: jax.Array, words: jax.Array) -> tuple[jax.Array, jax.Array]:
        def inputs(i: jax.Array) -> tuple[jax.Array, jax.Array]:
            bits = _counters.once(_counters.threefry(words, number, jnp.full_like(number, i)))
            injected, noise = _counters.once(_counters.two_normals(*bits))
            return current[i] + recording.I_std * injected, recording.obs_noise_std * noise

        return _through(inputs, theta, recording)

    return jax.jit(walk)


@lru_cache(maxsize=32)
def _given(recording: Recording) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Compile the walk through given currents and noise, (trace, sample) each."""

    def walk(theta: jax.Array, current: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _through(lambda i: (current[:, i], noise[:, i]), theta, recording)

    return jax.jit(walk)


def _through(
    inputs: Callable[[jax.Array], tuple[jax.Array, jax.Array]], theta: jax.Array, recording: Recording
) -> tuple[jax.Array, jax.Array]:
    """Go through all samples, with the current and the noise of each, and put time last; spikes take a byte each."""
    last = recording.samples - 1

    def sample(state: _State, i: jax.Array) -> tuple[_State, tuple[jax.Array, jax.Array]]:
        current, noise = inputs(i)
        voltage, spike, after = _sample(state, theta, current, tested=i < last, recording=recording)
        return after, (voltage + noise, spike.astype(jnp.int8))

    start = _State(theta[4], jnp.zeros(theta.shape[1:], jnp.int32))
    _, (voltage, spikes) = lax.scan(sample, start, jnp.arange(recording.samples, dtype=jnp.uint32))
    return voltage.T, spikes.T


def _sample(
    state: _State, theta: jax.Array, current: jax.Array, *, tested: jax.Array, recording: Recording
) -> tuple[jax.Array, jax.Array, _State]:
    """Test, hold or reset the membranes, and move them on: their voltage at this sample, whether they spike, after."""
    threshold, tau, conductance, reset, _, rest = theta
    refractory = tested & (state.held > 0)
    spike = tested & (state.held == 0) & (state.voltage >= threshold)
    voltage = jnp.where(refractory | spike, reset, state.voltage)
    held = jnp.where(spike, jnp.int32(recording.refractory), jnp.maximum(state.held - 1, 0))
    moved = voltage + recording.dt / tau * (-(voltage - rest) + current / conductance)
    return voltage, spike, _State(jnp.clip(moved, *recording.v_clip), held)
