"""Density of one trace of the leaky integrate-and-fire neuron: an exact filter, and moments.

With decay = 1 - dt / tau_m, drive_i = dt / tau_m (E_L + I_i / g_L) for the mean current I_i at sample i, and
step = dt / tau_m I_std / g_L, the voltage between resets follows

    v_{i+1} = decay v_i + drive_i + step N(0, 1),      y_i = v_i + noise_std N(0, 1).

The order of the simulator's updates implies: v_0 = V_init exactly. A spike at sample k puts v at V_reset exactly for
the samples k to k + refractory, among which no other can fire, and the voltage that crossed the threshold is never
observed. The last sample is neither checked nor reset, but one plain step on from the one before it. So the log density
is that of the observation noise where v is known, and between these samples that of a linear-Gaussian process that is
cut off at the threshold at every sample, and falls into segments that are independent given the parameters.

As long as the threshold is ENTER standard deviations away, Kalman's equations carry the segment. Once it is nearer, the
density is carried on fixed nodes in x = (V_th - v) / step >= 0. There the kernel of a step does not depend on time,

    x_{i+1} = decay x_i + drop - N(0, 1),      drop = (V_th - decay V_th - drive) / step,

so that a step is one multiplication by a matrix. Back from LEAVE standard deviations on, Kalman's equations go on from
its mean and variance: it is normal again to 1e-8 nats.

All functions take one trace and scalar parameters, so that `jax.jit`, `jax.vmap` and `jax.grad` apply. They are meant
for float64.

References
----------
The filter is derived here, from the definition of the model.
Kalman (1960), Journal of Basic Engineering 82, 35-45: the filter of a linear process with normal noise.
Kosloff & Tal-Ezer (1993), Journal of Computational Physics 104, 457-469: the nodes, `foraging.rule`.
Maybeck (1979), Stochastic Models, Estimation, and Control, vol. 1: assumed-density filtering, `log_density_moments`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import log_ndtr
from jax.typing import ArrayLike

from firstpassage.densities._lif_samples import Cell, Samples, log_normal, path, prepared
from firstpassage.densities.foraging import _TERMS, _cut, rule

# Standard deviations between voltage and threshold at which the nodes take over, and from which on they are left.
ENTER, LEAVE = 6.0, 7.0
# The grid reaches this many standard deviations below a voltage that is about to leave it, and some steps more.
_TAIL, _MARGIN = 6.5, 4.0
# Distance between nodes in the middle of the grid, in standard deviations of a step, and its ratio to their mean one.
_SPACING, _EVEN = 0.9, 1.17
# The parameters for which `node_count` must suffice: the smallest steps in the box, the furthest below the threshold.
_SLOWEST, _THICKEST, _DEPTH = 20.0, 15.0, 25.0  # ms, nS, mV
_LARGEST, _TINY = 600.0, 1e-290
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def spacing(ratio: Any) -> Any:
    """Choose the mean distance between nodes.

    Parameters
    ----------
    ratio : float or array
        Variance of the observation over that of one step of the voltage.

    Returns
    -------
    float or array
        In standard deviations of a step. Observations more precise than a step need closer nodes.
    """
    return _SPACING / _EVEN * (ratio / (1.0 + ratio)) ** 0.5


def reach(decay: Any, ratio: Any, drop: Any) -> Any:
    """Choose how far below the threshold the grid goes.

    Parameters
    ----------
    decay : float or array
        What is left of a voltage after one step, 1 - dt / tau_m.
    ratio : float or array
        Variance of the observation over that of one step of the voltage.
    drop : float or array
        Largest mean step away from the threshold.

    Returns
    -------
    float or array
        In standard deviations of a step. No belief of the filter is wider than the one it settles on without threshold.

    References
    ----------
    Kalman (1960): the variance at which the filter settles, the positive root of a quadratic.
    """
    square = decay**2
    linear = 1.0 + ratio - square * ratio
    settled = 2.0 * ratio / (linear + (linear**2 + 4.0 * square * ratio) ** 0.5)
    return (LEAVE + _TAIL) * settled**0.5 + _MARGIN + 0.5 * (drop + abs(drop))


def node_count(*, dt: float = 0.2, I_mean: float = 200.0, I_std: float = 50.0, noise_std: float = 1.0) -> int:
    """Choose the number of nodes that suffices for all neurons of the reference prior's box.

    Parameters
    ----------
    dt : float, ms
        Time step.
    I_mean, I_std : float, pA
        Lowest mean of the current, and its standard deviation.
    noise_std : float, mV
        Standard deviation of the observation noise.

    Returns
    -------
    int
        A multiple of 8.

    Examples
    --------
    >>> from firstpassage.densities.lif import node_count
    >>> node_count()
    96
    """
    step = dt / _SLOWEST * I_std / _THICKEST
    ratio = (noise_std / step) ** 2
    drop = (_THICKEST * _DEPTH - I_mean) / I_std
    return 8 * math.ceil(reach(1.0 - dt / _SLOWEST, ratio, drop) / spacing(ratio) / 8.0)


class _Belief(NamedTuple):
    """What is known of the voltage: mean and variance, or masses on the nodes where the threshold is near."""

    mean: jax.Array
    variance: jax.Array
    near: jax.Array
    mass: jax.Array


class _Grid(NamedTuple):
    """Nodes, their weights, and the kernel and the shares that cross for a constant current."""

    x: jax.Array
    weight: jax.Array
    kernel: jax.Array | None
    crossing: tuple[jax.Array, jax.Array] | None


def log_density(
    voltage: ArrayLike,
    spikes: ArrayLike,
    *,
    V_th: ArrayLike,
    tau_m: ArrayLike,
    g_L: ArrayLike,
    V_reset: ArrayLike,
    V_init: ArrayLike,
    E_L: ArrayLike,
    dt: float = 0.2,
    refractory: int = 10,
    I_mean: float = 200.0,
    I_std: float = 50.0,
    noise_std: float = 1.0,
    v_low: float = -100.0,
    v_high: float = 100.0,
    current: ArrayLike | None = None,
    nodes: int | None = None,
) -> jax.Array:
    """Evaluate the log density of one trace, voltages and spikes together.

    Parameters
    ----------
    voltage : array_like, shape (sample,), mV
        Observed voltages, finite.
    spikes : array_like, shape (sample,)
        1 where the neuron fired, else 0.
    V_th, tau_m, g_L, V_reset, V_init, E_L : array_like, scalar
        Threshold (mV), membrane time constant (ms), leak conductance (nS), reset, initial and resting voltage (mV).
    dt : float, ms
        Time step.
    refractory : int
        Steps of the refractory period.
    I_mean, I_std : float, pA
        Mean and standard deviation of the injected current, drawn at every step. Where I_std is 0 the path is known,
        and the spikes must be those that it predicts.
    noise_std : float, mV
        Standard deviation of the observation noise, > 0.
    v_low, v_high : float, mV
        Where the voltage is clipped: exact without noise in the current; with it they must never come into play.
    current : array_like, shape (sample,), optional, pA
        Mean current at each sample, in place of `I_mean`.
    nodes : int, optional
        Number of nodes; `node_count` of the constants if it is not given.

    Returns
    -------
    jax.Array, scalar
        Log density. It is -inf, with gradient zero, where a spike falls within the refractory period or on the last
        sample, where the first sample contradicts V_init < V_th, where a parameter is not finite, and where
        tau_m <= dt or g_L <= 0.

    References
    ----------
    Derived at the head of this module.

    Examples
    --------
    >>> from firstpassage.densities.lif import log_density
    >>> theta = dict(V_th=-55.0, tau_m=10.0, g_L=10.0, V_reset=-72.0, V_init=-70.0, E_L=-68.0)
    >>> round(float(log_density([-70.3, -69.1, -68.2], [0, 0, 0], **theta)), 2)
    -3.34
    """
    theta = (V_th, tau_m, g_L, V_reset, V_init, E_L)
    mean_current = I_mean if current is None else current
    samples, cell, possible = prepared(voltage, spikes, theta, mean_current, dt, refractory, I_std, noise_std)
    if I_std == 0.0:
        value, agrees = path(samples, cell, v_low, v_high, refractory)
        return jnp.where(possible & agrees, value, -jnp.inf)
    lowest = I_mean if current is None else 0.0
    nodes = nodes or node_count(dt=dt, I_mean=lowest, I_std=I_std, noise_std=noise_std)
    grid = _grid(cell, samples.drive, nodes, varies=current is not None)
    first = _Belief(cell.start, jnp.zeros_like(cell.start), jnp.asarray(False), grid.weight / jnp.sum(grid.weight))
    first = first._replace(mean=jnp.where(samples.fired[0], cell.reset, cell.start))
    between = jax.tree.map(lambda x: x[1:-1], samples)
    # The gradient filters again: to keep all that it needs takes longer, for the traffic with memory.
    step = jax.checkpoint(partial(_filter, cell=cell, grid=grid), prevent_cse=False)
    belief, values = lax.scan(step, first, between)
    value = log_normal(samples.voltage[0] - first.mean, cell.noise) + jnp.sum(values)
    return jnp.where(possible, value + _last(belief, jax.tree.map(lambda x: x[-1], samples), cell, grid), -jnp.inf)


def log_density_moments(
    voltage: ArrayLike,
    spikes: ArrayLike,
    *,
    V_th: ArrayLike,
    tau_m: ArrayLike,
    g_L: ArrayLike,
    V_reset: ArrayLike,
    V_init: ArrayLike,
    E_L: ArrayLike,
    dt: float = 0.2,
    refractory: int = 10,
    I_mean: float = 200.0,
    I_std: float = 50.0,
    noise_std: float = 1.0,
    v_low: float = -100.0,
    v_high: float = 100.0,
    current: ArrayLike | None = None,
) -> jax.Array:
    """Approximate the log density of one trace by matching mean and variance after every sample without a spike.

    It is **not** to be called exact: nats off for some traces. Correct draws under it with `log_density`.

    Parameters
    ----------
    voltage, spikes : array_like, shape (sample,)
        One trace, as in `log_density`.
    V_th, tau_m, g_L, V_reset, V_init, E_L : array_like, scalar
        Parameters, as in `log_density`.
    dt, refractory, I_mean, I_std, noise_std, v_low, v_high, current
        Constants, as in `log_density`.

    Returns
    -------
    jax.Array, scalar
        Approximate log density; -inf, with gradient zero, where `log_density` is.

    References
    ----------
    Maybeck (1979), vol. 1: a density is replaced by the normal one with its moments.

    Examples
    --------
    >>> from firstpassage.densities.lif import log_density_moments
    >>> theta = dict(V_th=-55.0, tau_m=10.0, g_L=10.0, V_reset=-72.0, V_init=-70.0, E_L=-68.0)
    >>> round(float(log_density_moments([-70.3, -69.1, -68.2], [0, 0, 0], **theta)), 2)
    -3.34
    """
    theta = (V_th, tau_m, g_L, V_reset, V_init, E_L)
    mean_current = I_mean if current is None else current
    samples, cell, possible = prepared(voltage, spikes, theta, mean_current, dt, refractory, I_std, noise_std)
    if I_std == 0.0:
        value, agrees = path(samples, cell, v_low, v_high, refractory)
        return jnp.where(possible & agrees, value, -jnp.inf)
    first = (jnp.where(samples.fired[0], cell.reset, cell.start), jnp.zeros_like(cell.start))
    between = jax.tree.map(lambda x: x[1:-1], samples)
    (mean, variance), values = lax.scan(partial(_match, cell=cell), first, between)
    last = jax.tree.map(lambda x: x[-1], samples)
    mean, variance = cell.decay * mean + last.drive, cell.decay**2 * variance + cell.step**2
    value = log_normal(samples.voltage[0] - first[0], cell.noise) + jnp.sum(values)
    return jnp.where(possible, value + log_normal(last.voltage - mean, variance + cell.noise), -jnp.inf)


def _grid(cell: Cell, drive: jax.Array, nodes: int, *, varies: bool) -> _Grid:
    """Lay nodes over the grid; make the kernel once, where the current does not vary."""
    drop = _drop(cell, jnp.min(drive[1:]))
    # The density does not depend on the length, which need not be differentiated.
    length = lax.stop_gradient(reach(cell.decay, cell.noise / cell.step**2, drop))
    places, weights = rule(nodes)
    x, weight = 0.5 * length * (1.0 + places), 0.5 * length * weights
    if varies:
        return _Grid(x, weight, None, None)
    return _Grid(x, weight, _kernel(x, weight, cell, drop), _crossing(x, cell, drop))


def _drop(cell: Cell, drive: jax.Array) -> jax.Array:
    """Give the mean step away from the threshold, from the threshold itself, in units of the step's deviation."""
    return (cell.threshold - cell.decay * cell.threshold - drive) / cell.step


def _kernel(x: jax.Array, weight: jax.Array, cell: Cell, drop: jax.Array) -> jax.Array:
    """Make the matrix that takes masses one step on."""
    return weight[:, None] * jnp.exp(-0.5 * (x[:, None] - cell.decay * x - drop) ** 2 - _HALF_LOG_TAU)


def _crossing(x: jax.Array, cell: Cell, drop: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Give the shares of the nodes that are above the threshold one step on, and the log of their scale."""
    logs = log_ndtr(-cell.decay * x - drop, _TERMS)
    return jnp.exp(logs - logs[0]), logs[0]


def _filter(belief: _Belief, sample: Samples, *, cell: Cell, grid: _Grid) -> tuple[_Belief, jax.Array]:
    """Give the log density of one sample, neither the first nor the last, and the belief after it."""
    mean, variance = cell.decay * belief.mean + sample.drive, cell.decay**2 * belief.variance + cell.step**2
    error, whole = sample.voltage - mean, variance + cell.noise
    crosses = log_ndtr((mean - cell.threshold) / jnp.sqrt(variance), _TERMS)
    mean, variance = mean + error * variance / whole, variance * cell.noise / whole
    enters = ~belief.near & ~sample.held & (cell.threshold - mean < ENTER * jnp.sqrt(variance))
    entered, cut = _enter(cell, grid, jnp.where(enters, mean, cell.threshold), jnp.where(enters, variance, 1.0))
    moved, log_mass, log_crossing = _move(belief.mass, sample, cell, grid)
    middle = jnp.sum(moved * grid.x)
    width = jnp.sum(moved * grid.x**2) - middle**2
    far = jnp.where(sample.fired, crosses, log_normal(error, whole) + jnp.where(enters, cut, 0.0))
    value = jnp.where(belief.near, jnp.where(sample.fired, log_crossing, log_mass), far)
    held = log_normal(sample.voltage - cell.reset, cell.noise)
    value = jnp.where(sample.held, held + jnp.where(sample.fired, value, 0.0), value)
    near = enters | (belief.near & ~sample.held & (middle**2 <= LEAVE**2 * width))
    mean = jnp.where(belief.near, cell.threshold - cell.step * middle, mean)
    variance = jnp.where(belief.near, cell.step**2 * width, variance)
    mass = jnp.where(belief.near, moved, jnp.where(enters, entered, grid.weight / jnp.sum(grid.weight)))
    known = sample.held | near
    belief = _Belief(jnp.where(known, cell.reset, mean), jnp.where(known, 0.0, variance), near, mass)
    return belief, value


def _enter(cell: Cell, grid: _Grid, mean: jax.Array, variance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Put a normal distribution, cut off at the threshold, on the nodes; give masses and the log of their sum."""
    middle, rate = (cell.threshold - mean) / cell.step, 0.5 * cell.step**2 / variance
    least = rate * jnp.minimum(middle, 0.0) ** 2
    mass = grid.weight * jnp.exp(jnp.maximum(least - rate * (grid.x - middle) ** 2, -_LARGEST))
    total = jnp.sum(mass)
    return mass / total, jnp.log(total) - least + 0.5 * jnp.log(2.0 * rate) - _HALF_LOG_TAU


def _move(mass: jax.Array, sample: Samples, cell: Cell, grid: _Grid) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Take masses one step on: give them after the sample, its log density without a spike, and the log of crossing."""
    kernel, shares = grid.kernel, grid.crossing
    if kernel is None or shares is None:
        drop = _drop(cell, sample.drive)
        kernel, shares = _kernel(grid.x, grid.weight, cell, drop), _crossing(grid.x, cell, drop)
    crossing = jnp.log(jnp.maximum(jnp.sum(mass * shares[0]), _TINY)) + shares[1]
    y, rate = (cell.threshold - sample.voltage) / cell.step, 0.5 * cell.step**2 / cell.noise
    least = rate * (jnp.clip(y, 0.0, grid.x[-1]) - y) ** 2
    moved = (kernel @ mass) * jnp.exp(jnp.maximum(least - rate * (grid.x - y) ** 2, -_LARGEST))
    total = jnp.maximum(jnp.sum(moved), _TINY)
    return moved / total, jnp.log(total) - least - 0.5 * jnp.log(cell.noise) - _HALF_LOG_TAU, crossing


def _last(belief: _Belief, sample: Samples, cell: Cell, grid: _Grid) -> jax.Array:
    """Give the log density of the last sample, one plain step on."""
    mean, variance = cell.decay * belief.mean + sample.drive, cell.decay**2 * belief.variance + cell.step**2
    drop = _drop(cell, sample.drive)
    away = sample.voltage - cell.threshold + cell.step * (cell.decay * grid.x + drop)
    near = jax.scipy.special.logsumexp(log_normal(away, cell.step**2 + cell.noise), b=belief.mass)
    return jnp.where(belief.near, near, log_normal(sample.voltage - mean, variance + cell.noise))


def _match(
    belief: tuple[jax.Array, jax.Array], sample: Samples, *, cell: Cell
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """Give the approximate log density of one sample, and the moments after it."""
    mean, variance = cell.decay * belief[0] + sample.drive, cell.decay**2 * belief[1] + cell.step**2
    error, whole = sample.voltage - mean, variance + cell.noise
    crosses = log_ndtr((mean - cell.threshold) / jnp.sqrt(variance), _TERMS)
    mean, variance = mean + error * variance / whole, variance * cell.noise / whole
    deviation = jnp.sqrt(variance)
    level = (cell.threshold - mean) / deviation
    below = log_ndtr(level, _TERMS)
    shift, spread = _cut(level, below)
    held = log_normal(sample.voltage - cell.reset, cell.noise) + jnp.where(sample.fired, crosses, 0.0)
    value = jnp.where(sample.held, held, log_normal(error, whole) + below)
    mean = jnp.where(sample.held, cell.reset, mean - deviation * shift)
    return (mean, jnp.where(sample.held, 0.0, variance * spread)), value
