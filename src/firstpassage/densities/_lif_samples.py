"""Samples of a trace and parameters of a neuron, with finite values also where they are impossible, in JAX."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


class Samples(NamedTuple):
    """Samples as the filters need them: `drive` is that of the step towards a sample."""

    voltage: jax.Array
    fired: jax.Array
    held: jax.Array
    drive: jax.Array


class Cell(NamedTuple):
    """One parameter set, every value finite: voltages in mV, `noise` the variance of the observation."""

    threshold: jax.Array
    reset: jax.Array
    start: jax.Array
    decay: jax.Array
    step: jax.Array
    noise: jax.Array


def prepared(
    voltage: ArrayLike, spikes: ArrayLike, theta: tuple[ArrayLike, ...], current: ArrayLike, *constants: float
) -> tuple[Samples, Cell, jax.Array]:
    """Find where the voltage is known, put harmless values for what is impossible, and tell if all is possible."""
    dt, refractory, I_std, noise_std = constants
    voltage, fired = jnp.asarray(voltage, dtype=jnp.result_type(float)), jnp.asarray(spikes) == 1
    numbers = jnp.stack([jnp.asarray(x, dtype=voltage.dtype) for x in theta])
    fine = jnp.all(jnp.isfinite(numbers)) & (numbers[1] > dt) & (numbers[2] > 0.0)
    usual = jnp.array([-55.0, 10.0 + dt, 10.0, -72.0, -70.0, -70.0], dtype=voltage.dtype)
    threshold, tau, conductance, reset, start, rest = jnp.where(fine, numbers, usual)
    # The drive of the step towards a sample; that towards the first is never read.
    towards = jnp.roll(jnp.broadcast_to(jnp.asarray(current, dtype=voltage.dtype), voltage.shape), 1)
    drive = dt / tau * (rest + towards / conductance)
    place = jnp.arange(voltage.size)
    latest = lax.cummax(jnp.where(fired, place, -1 - int(refractory)))
    before = jnp.concatenate([jnp.full(1, -1 - int(refractory)), latest[:-1]])
    possible = fine & ~jnp.any(fired & (place - before <= refractory)) & ~fired[-1]
    possible &= fired[0] == (start >= threshold)
    step = dt / tau * I_std / conductance
    noise = jnp.asarray(noise_std**2, dtype=voltage.dtype)
    cell = Cell(threshold, reset, start, 1.0 - dt / tau, step, noise)
    return Samples(voltage, fired, place - latest <= refractory, drive), cell, possible


def path(samples: Samples, cell: Cell, v_low: float, v_high: float, refractory: int) -> tuple[jax.Array, jax.Array]:
    """Follow the known path of a cell without noise in its current; give the log density, and if the spikes agree."""

    def step(state: tuple[jax.Array, jax.Array], sample: Samples) -> tuple[Any, Any]:
        v, counter = state
        fires = (counter == 0) & (v >= cell.threshold)
        v = jnp.where(fires | (counter > 0), cell.reset, v)
        counter = jnp.where(fires, int(refractory), jnp.maximum(counter - 1, 0))
        moved = jnp.clip(cell.decay * v + sample.drive, v_low, v_high)
        return (moved, counter), (log_normal(sample.voltage - v, cell.noise), fires == sample.fired)

    onward = samples._replace(drive=jnp.roll(samples.drive, -1))
    start = (cell.start, jnp.zeros((), dtype=int))
    (v, _), (values, agree) = lax.scan(step, start, jax.tree.map(lambda x: x[:-1], onward))
    return jnp.sum(values) + log_normal(samples.voltage[-1] - v, cell.noise), jnp.all(agree)


def log_normal(error: jax.Array, variance: jax.Array) -> jax.Array:
    """Log density of a normal distribution."""
    return -0.5 * (error**2 / variance + jnp.log(variance)) - _HALF_LOG_TAU
