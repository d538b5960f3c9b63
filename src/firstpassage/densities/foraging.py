"""Probability of one patch visit under the patch-foraging drift-diffusion model: an exact filter, and moments.

Along the way through a patch the evidence for leaving grows by a drift and a diffusion per unit of distance, and
by a bump after every stop. It is looked at only on arrival at a site: the animal leaves where it has reached the
threshold, and stops otherwise. Distances and rewards are observed and, given the decisions, carry no information
on the parameters. Let t_k be the distance travelled in the patch at the arrival at site k, and R_k and F_k the
numbers of rewarded and of unrewarded stops before it. With B a standard Brownian motion from 0,

    stay at k  <=>  B(t_k) < a_k,  a_k = (threshold - start - drift_rate t_k - reward_bump R_k - failure_bump F_k)
                                         / noise_std,

so that the parameters enter through a moving barrier alone, and the log probability is concave in the barrier.

The filter carries the distribution of B(t_k), given all stays so far, as point masses on nodes that move with it,
from the barrier down to where its density has fallen by exp(-28). The moment-matched version carries its mean and
variance only.

All functions take one visit and scalar parameters, and compute in the floating type of their inputs, so that
`jax.jit`, `jax.vmap` and `jax.grad` apply. The filter is meant for float64.

References
----------
The barrier form and the filter are derived here, from the definition of the model.
Kosloff & Tal-Ezer (1993), Journal of Computational Physics 104, 457-469, eq. 3.3, and Hale & Trefethen (2008), SIAM
Journal on Numerical Analysis 46, 930-948: nodes that are more even than those of Gauss and Legendre, `rule`.
Maybeck (1979), Stochastic Models, Estimation, and Control, vol. 1, and Minka (2001), A Family of Algorithms for
Approximate Bayesian Inference (PhD thesis, MIT), ch. 3: assumed-density filtering, `log_probability_moments`.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import log_ndtr, logsumexp
from jax.typing import ArrayLike

# Smallest noise, per square root of distance. Below it the decisions are steps 1e-4 wide on a threshold of 1, and
# float64 has no digits left for the tails.
SMALLEST_NOISE = 1e-4
# The nodes go down to where the log density is this much below its top, and as far up in standard deviations.
DROP = 28.0
REACH = (2.0 * DROP) ** 0.5
# The length of that interval, in units of a normal distribution's with the same mean and variance.
SHORTEST, LONGEST = 0.5, 4.0
# Evenness of the nodes between Gauss-Legendre (0) and equidistant (1).
_EVENNESS = 0.96
# Where the log density is flatter than this, the nodes are too few to follow it; the length is bounded all the same.
FLAT = 1e-10
# A barrier further above the mean, in standard deviations, cuts off less than 1e-17 and is not seen.
UNSEEN = 8.5
# Largest absolute barrier; its square leaves float64 no digit after the point.
FURTHEST = 1e8
# Terms of the asymptotic series of log Phi below -20 (JAX's default of 3 is good to 4e-9 only), and of `_cut`.
_TERMS = 8
_DEEP = 15.0
_HALF_LOG_TAU = 0.5 * float(np.log(2.0 * np.pi))
# 1 - lam (lam - x) and lam - x by 1/x^2, from the asymptotic series of lam(x) = phi(x) / Phi(-x).
_SPREAD = (1.0, -6.0, 50.0, -518.0, 6354.0, -89782.0)
_EXCESS = (1.0, -2.0, 10.0, -74.0, 706.0, -8162.0)


class _Visit(NamedTuple):
    """Sites as the filters need them: every value is finite, also where a site is absent or impossible."""

    barrier: jax.Array
    step: jax.Array
    stay: jax.Array
    present: jax.Array


class _Belief(NamedTuple):
    """Point masses for B at the last barrier that was seen, and the distance travelled since."""

    place: jax.Array
    log_mass: jax.Array
    elapsed: jax.Array


class _Moments(NamedTuple):
    """Mean and variance of B after the last site."""

    mean: jax.Array
    variance: jax.Array


def node_count(sites: int) -> int:
    """Choose the number of nodes for a visit of this many sites.

    Parameters
    ----------
    sites : int
        Sites of the longest visit, without padding.

    Returns
    -------
    int
        32 up to 8 sites, then in steps of 16 with the square root of the sites: 64 for 20, 96 for 40, 128 for 100.
        Of 12,000 visits simulated in the model's box, 99 in 100 were within 1e-6 of the log probability that 240
        nodes give, and all were within 1e-4.

    Examples
    --------
    >>> from firstpassage.densities.foraging import node_count
    >>> node_count(5), node_count(100)
    (32, 128)
    """
    return 32 if sites <= 8 else 16 * math.ceil(0.8 * math.sqrt(sites))


@cache
def rule(nodes: int) -> np.ndarray:
    """Compute the nodes and weights with which the filter integrates over [-1, 1].

    Parameters
    ----------
    nodes : int
        Number of nodes.

    Returns
    -------
    ndarray, shape (2, nodes)
        Nodes, increasing, and positive weights.

    References
    ----------
    Kosloff & Tal-Ezer (1993), eq. 3.3: the map; Hale & Trefethen (2008): of Gauss-Legendre nodes.
    """
    places, weights = np.polynomial.legendre.leggauss(nodes)
    width = math.asin(_EVENNESS)
    slope = _EVENNESS / np.sqrt(1.0 - (_EVENNESS * places) ** 2) / width
    return np.stack([np.arcsin(_EVENNESS * places) / width, weights * slope])


def log_probability(
    patch_time: ArrayLike,
    reward: ArrayLike,
    stop: ArrayLike,
    present: ArrayLike,
    *,
    drift_rate: ArrayLike,
    reward_bump: ArrayLike,
    failure_bump: ArrayLike,
    noise_std: ArrayLike,
    threshold: ArrayLike = 1.0,
    start: ArrayLike = 0.0,
    nodes: int,
) -> jax.Array:
    """Evaluate the log probability of the decisions of one patch visit with a point-mass filter.

    Parameters
    ----------
    patch_time : array_like, shape (site,)
        Distance travelled in the patch at the arrival at each site: positive, increasing.
    reward : array_like, shape (site,)
        1 if the stop was rewarded, else 0; not read where the animal left.
    stop : array_like, shape (site,)
        1 stay, 0 leave. The leave is the last real site; without one the visit is cut off, and its stays count.
    present : array_like, shape (site,)
        1 real site, 0 padding: ones, then zeros. What the other arrays hold in the padding is not read.
    drift_rate : array_like, scalar
        Evidence for leaving per unit of distance.
    reward_bump, failure_bump : array_like, scalar
        Evidence added after a rewarded and an unrewarded stop.
    noise_std : array_like, scalar, >= 0
        Diffusion noise per square root of distance. Below 1e-4 the value is that at 1e-4, with slope zero in
        noise_std, so that without noise log 1 or a large negative number comes out, but log(1/2) where the
        evidence is exactly at the threshold.
    threshold, start : array_like, scalar
        Evidence at which the animal leaves, and with which it enters the patch.
    nodes : int
        Number of nodes, `node_count(sites)`.

    Returns
    -------
    jax.Array, scalar
        Log probability, without a floor. It is -inf, with gradient zero, where a parameter is not finite, the
        noise is negative, or the data are no visit. A visit less probable than exp(-20) is given too low, by up
        to 1e-4 at -25 and by nats at -40, unless its last decision is the first whose barrier matters.

    References
    ----------
    Derived here, from the barrier form at the head of this module.

    Examples
    --------
    >>> from firstpassage.densities.foraging import log_probability
    >>> theta = dict(drift_rate=0.2, reward_bump=-0.2, failure_bump=0.3, noise_std=0.2)
    >>> round(float(log_probability([0.8, 1.7, 2.4], [1, 0, 0], [1, 1, 0], [1, 1, 1], **theta, nodes=32)), 2)
    -2.44
    """
    parameters = (drift_rate, reward_bump, failure_bump, noise_std, threshold, start)
    visit, possible = _visit(patch_time, reward, stop, present, *parameters)
    dtype = visit.barrier.dtype
    first = _Belief(jnp.zeros(nodes, dtype), jnp.full(nodes, -np.log(nodes), dtype), jnp.zeros((), dtype))
    # The gradient computes the kernels again: to keep them takes twice the time, for the traffic with memory.
    step = jax.checkpoint(partial(_filter, nodes=rule(nodes)), prevent_cse=False)
    _, values = lax.scan(step, first, visit)
    return jnp.where(possible, jnp.sum(values), -jnp.inf)


def log_probability_moments(
    patch_time: ArrayLike,
    reward: ArrayLike,
    stop: ArrayLike,
    present: ArrayLike,
    *,
    drift_rate: ArrayLike,
    reward_bump: ArrayLike,
    failure_bump: ArrayLike,
    noise_std: ArrayLike,
    threshold: ArrayLike = 1.0,
    start: ArrayLike = 0.0,
) -> jax.Array:
    """Approximate the log probability of one patch visit by matching mean and variance after every stay.

    It is exact up to and including the first site whose barrier matters, and close after it, but **not** a
    probability to be called exact: correct draws under it with `log_probability`.

    Parameters
    ----------
    patch_time, reward, stop, present : array_like, shape (site,)
        One visit, as in `log_probability`.
    drift_rate, reward_bump, failure_bump, noise_std, threshold, start : array_like, scalar
        Parameters and constants, as in `log_probability`.

    Returns
    -------
    jax.Array, scalar
        Approximate log probability; -inf, with gradient zero, where `log_probability` is.

    References
    ----------
    Maybeck (1979); Minka (2001), ch. 3.

    Examples
    --------
    >>> from firstpassage.densities.foraging import log_probability_moments
    >>> theta = dict(drift_rate=0.2, reward_bump=-0.2, failure_bump=0.3, noise_std=0.2)
    >>> round(float(log_probability_moments([0.8, 1.7, 2.4], [1, 0, 0], [1, 1, 0], [1, 1, 1], **theta)), 2)
    -2.44
    """
    parameters = (drift_rate, reward_bump, failure_bump, noise_std, threshold, start)
    visit, possible = _visit(patch_time, reward, stop, present, *parameters)
    zero = jnp.zeros((), visit.barrier.dtype)
    _, values = lax.scan(_match, _Moments(zero, zero), visit)
    return jnp.where(possible, jnp.sum(values), -jnp.inf)


def _visit(
    patch_time: ArrayLike, reward: ArrayLike, stop: ArrayLike, present: ArrayLike, *parameters: ArrayLike
) -> tuple[_Visit, jax.Array]:
    """Compute barriers and steps, with harmless values for what is absent or impossible; tell if all is possible."""
    patch_time, reward, stop, present = (jnp.asarray(x) for x in (patch_time, reward, stop, present))
    numbers = jnp.stack([jnp.asarray(x, dtype=jnp.result_type(float)) for x in parameters])
    fine = jnp.all(jnp.isfinite(numbers)) & (numbers[3] >= 0.0)
    drift, reward_bump, failure_bump, noise, threshold, start = jnp.where(fine, numbers, 1.0)
    here = present == 1
    time = jnp.where(here & jnp.isfinite(patch_time), patch_time, 0.0)
    step = jnp.diff(time, prepend=0.0)
    stay, rewarded = stop == 1, reward == 1
    known = (stay & (rewarded | (reward == 0))) | (stop == 0)
    after_leave = jnp.cumsum(here & ~stay) - (here & ~stay) > 0
    possible = fine & jnp.all(~here | (known & (step > 0.0) & ~after_leave))
    rewards, failures = (_before(here & stay & kind) for kind in (rewarded, ~rewarded))
    gap = threshold - start - drift * time - reward_bump * rewards - failure_bump * failures
    # `where`, not `maximum`: the slope at the clamp itself is zero.
    barrier = gap / jnp.where(noise > SMALLEST_NOISE, noise, SMALLEST_NOISE)
    barrier = jnp.clip(jnp.where(here, barrier, 0.0), -FURTHEST, FURTHEST)
    return _Visit(barrier, jnp.where(here & (step > 0.0), step, 1.0), stay, here), possible


def _before(event: jax.Array) -> jax.Array:
    """Count the events before each site."""
    return jnp.cumsum(event) - event


def _filter(belief: _Belief, site: _Visit, *, nodes: np.ndarray) -> tuple[_Belief, jax.Array]:
    """Give the log probability of the decision at this site, and the belief after a stay."""
    place, log_mass = belief.place, belief.log_mass
    elapsed = belief.elapsed + site.step
    away = (site.barrier - place) / jnp.sqrt(elapsed)
    value = logsumexp(log_mass + log_ndtr(jnp.where(site.stay, away, -away), _TERMS))
    mass = jnp.exp(log_mass)
    mean = jnp.sum(mass * place)
    deviation = jnp.sqrt(jnp.sum(mass * (place - mean) ** 2) + elapsed)
    level = (site.barrier - mean) / deviation
    top = mean + deviation * jnp.minimum(level, REACH)
    # The density is next to nothing at the far end, so that its motion need not be differentiated.
    length = lax.stop_gradient(_length(_Belief(place, log_mass, elapsed), mean, deviation, level))
    moved = top - 0.5 * (1.0 - nodes[0].astype(place.dtype)) * length
    kernel = -0.5 * (moved[:, None] - place) ** 2 / elapsed
    moved_mass = logsumexp(log_mass + kernel, axis=1) + np.log(nodes[1]).astype(place.dtype)
    cut = _Belief(moved, moved_mass - logsumexp(moved_mass), jnp.zeros_like(elapsed))
    unseen = level > UNSEEN
    belief = jax.tree.map(partial(jnp.where, unseen), _Belief(place, log_mass, elapsed), cut)
    return belief, jnp.where(site.present, value, 0.0)


def _length(belief: _Belief, mean: jax.Array, deviation: jax.Array, level: jax.Array) -> jax.Array:
    """Find how far below its upper end the density has dropped, by one Newton step from a normal's length."""
    below, upper = jnp.minimum(level, 0.0), jnp.minimum(level, REACH)
    # The part below the barrier in a form that does not cancel deep in the lower tail.
    normal = deviation * (upper - below + 2.0 * DROP / (jnp.sqrt(below**2 + 2.0 * DROP) - below))
    highest, _ = _log_density(mean + deviation * below, belief)
    lowest, slope = _log_density(mean + deviation * upper - normal, belief)
    length = normal + (lowest - highest + DROP) / jnp.maximum(slope, FLAT)
    return jnp.clip(length, SHORTEST * normal, LONGEST * normal)


def _log_density(y: jax.Array, belief: _Belief) -> tuple[jax.Array, jax.Array]:
    """Give the log density of B after the distance elapsed, up to a constant, and its slope."""
    terms = belief.log_mass - 0.5 * (y - belief.place) ** 2 / belief.elapsed
    value = logsumexp(terms)
    return value, jnp.sum(jnp.exp(terms - value) * (belief.place - y)) / belief.elapsed


def _match(moments: _Moments, site: _Visit) -> tuple[_Moments, jax.Array]:
    """Give the approximate log probability of the decision at this site, and the moments after a stay."""
    variance = moments.variance + site.step
    deviation = jnp.sqrt(variance)
    level = (site.barrier - moments.mean) / deviation
    value = log_ndtr(jnp.where(site.stay, level, -level), _TERMS)
    shift, spread = _cut(level, value)
    going_on = site.present & site.stay
    mean = jnp.where(going_on, moments.mean - deviation * shift, 0.0)
    variance = jnp.where(going_on, variance * spread, 1.0)
    return _Moments(mean, variance), jnp.where(site.present, value, 0.0)


def _cut(level: jax.Array, log_below: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Give minus the mean, and the variance, of a standard normal cut off above `level`."""
    deep = level < -_DEEP
    plain = jnp.where(deep, 0.0, level)
    shift = jnp.exp(-0.5 * plain**2 - _HALF_LOG_TAU - jnp.where(deep, 0.0, log_below))
    spread = 1.0 - shift * (shift + plain)
    far = jnp.where(deep, -level, _DEEP)
    squared = 1.0 / far**2
    far_shift = far + jnp.polyval(jnp.array(_EXCESS[::-1]), squared) / far
    far_spread = jnp.polyval(jnp.array(_SPREAD[::-1]), squared) * squared
    return jnp.where(deep, far_shift, shift), jnp.where(deep, far_spread, spread)
