"""First-passage time of the Wiener process between two boundaries: density, distribution, choice probability.

The boundaries are at -a and +a, so that `a` is **half** their separation (the convention of ssm-simulators
and HSSM; HDDM, Stan and most papers use the full separation, 2 a). The noise has unit standard deviation per
square-root second.

Every function takes arrays that broadcast, computes in the floating type of its inputs, and treats each trial
by itself, so that `jax.jit`, `jax.vmap` and `jax.grad` apply. The upper boundary is the lower one of the
mirrored process (-v, 1 - z). With the drift taken out by Girsanov's factor and time in units of the squared
separation, one function of two numbers is left: the scaled decision time u = (rt - t) / (2 a)^2 and the
relative distance w from the start to the boundary. It has two series, quick at small u and at large u.

References
----------
Feller (1968), An Introduction to Probability Theory and its Applications, vol. 1, ch. XIV: both series.
Navarro & Fuss (2009), Journal of Mathematical Psychology 53, 222-230: eq. 5 (large times), eq. 6 (small
times), eq. 13 (choose the series that needs fewer terms).
Gondan, Blurton & Kesselmeier (2014), Journal of Mathematical Psychology 60, 20-22: the numbers of terms.
Blurton, Kesselmeier & Gondan (2012), Journal of Mathematical Psychology 56, 470-475: the
distribution function.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jax.typing import ArrayLike

# Scaled time at which five images and three modes leave out equally little, less than 1e-12 of the sum.
_SWITCH = 0.42
# Seconds. No decision is shorter: log densities are below -1e5 there, and squares would underflow in float32.
_EARLIEST = 1e-12
# Drift times separation below which the choice probability is expanded: its gradient cancels in float32.
_SMALL_DRIFT = 0.02


class _Passage(NamedTuple):
    """Passage through the lower boundary; `near` is the distance to it, `far` to the other, over `width`.

    `sine` and `cosine` are those of pi times `near`.
    """

    drift: jax.Array
    width: jax.Array
    near: jax.Array
    far: jax.Array
    sine: jax.Array
    cosine: jax.Array
    possible: jax.Array


def log_density(
    rt: ArrayLike, response: ArrayLike, v: ArrayLike, a: ArrayLike, z: ArrayLike, t: ArrayLike
) -> jax.Array:
    """Evaluate the log joint density of response time and response.

    Parameters
    ----------
    rt : array_like, seconds
        Response time, which includes the non-decision time.
    response : array_like
        +1 for the upper boundary, -1 for the lower; anything else is impossible.
    v : array_like, 1/s
        Drift rate towards the upper boundary.
    a : array_like, > 0
        Half the boundary separation.
    z : array_like, in (0, 1)
        Relative start: the process starts at -a + 2 a z.
    t : array_like, seconds
        Non-decision time.

    Returns
    -------
    jax.Array, of the shape to which the arguments broadcast
        Log density per second, without a floor. It is -inf, with gradient zero, where rt <= t and where a
        parameter is outside its range or not finite.

    References
    ----------
    Navarro & Fuss (2009), eqs. 5, 6 and 13.

    Examples
    --------
    >>> from firstpassage.densities.wiener import log_density
    >>> round(float(log_density(0.9, 1, 0.5, 1.0, 0.5, 0.3)), 3)
    -0.565
    """
    passage = _passage(response, v, a, z)
    decision = jnp.subtract(rt, t)
    possible = passage.possible & (decision > _EARLIEST) & (decision < jnp.inf)
    decision = jnp.where(possible, decision, 1.0)
    width, drift = passage.width, passage.drift
    tilt = drift * width * passage.near + 0.5 * drift * drift * decision
    rate = width * width / decision
    return jnp.where(possible, _log_driftless(rate, passage) - tilt - 2.0 * jnp.log(width), -jnp.inf)


def log_cdf(rt: ArrayLike, response: ArrayLike, v: ArrayLike, a: ArrayLike, z: ArrayLike, t: ArrayLike) -> jax.Array:
    """Evaluate the log probability of this response at or before `rt` (the defective distribution function).

    Parameters are those of `log_density`; rt may be infinite.

    Returns
    -------
    jax.Array, of the shape to which the arguments broadcast
        It is -inf where rt <= t or where a parameter is outside its range, and tends to the log of
        `response_probability`. In float64 its error is below 1e-10 down to -180, and below 1e-8 further out.

    References
    ----------
    Blurton, Kesselmeier & Gondan (2012); Gondan, Blurton & Kesselmeier (2014).
    """
    passage = _passage(response, v, a, z)
    decision = jnp.subtract(rt, t)
    possible = passage.possible & (decision > _EARLIEST)
    time = jnp.where(possible, decision, 1.0) / passage.width**2
    small = time < _SWITCH
    early = _log_cdf_small(jnp.where(small, time, _SWITCH), passage)
    late = _log_cdf_large(jnp.where(small, _SWITCH, time), passage)
    return jnp.where(possible, jnp.where(small, early, late), -jnp.inf)


def cdf(rt: ArrayLike, response: ArrayLike, v: ArrayLike, a: ArrayLike, z: ArrayLike, t: ArrayLike) -> jax.Array:
    """Evaluate the probability of this response at or before `rt`; see `log_cdf`."""
    return jnp.exp(log_cdf(rt, response, v, a, z, t))


def response_probability(response: ArrayLike, v: ArrayLike, a: ArrayLike, z: ArrayLike) -> jax.Array:
    """Evaluate the probability that the process ends at the boundary of this response.

    Parameters
    ----------
    response : array_like
        +1 for the upper boundary, -1 for the lower; anything else has probability zero.
    v, a, z : array_like
        Drift rate (1/s), half the boundary separation, relative start in (0, 1).

    Returns
    -------
    jax.Array, of the shape to which the arguments broadcast
        A probability; zero, with gradient zero, where a parameter is outside its range.

    References
    ----------
    Feller (1968), ch. XIV: the gambler's ruin, in the limit of small steps.

    Examples
    --------
    >>> from firstpassage.densities.wiener import response_probability
    >>> float(response_probability(1, 0.0, 1.0, 0.75))
    0.75
    """
    passage = _passage(response, v, a, z)
    return jnp.where(passage.possible, jnp.exp(_log_probability(passage)), 0.0)


def _passage(response: ArrayLike, v: ArrayLike, a: ArrayLike, z: ArrayLike) -> _Passage:
    """Mirror an upper response to the lower boundary, and put harmless values for impossible parameters."""
    response, v, a, z = (jnp.asarray(x) for x in (response, v, a, z))
    finite, positive, inside = jnp.isfinite(v), (a > 0) & (a < jnp.inf), (z > 0) & (z < 1)
    v, a, z = jnp.where(finite, v, 0.0), jnp.where(positive, a, 1.0), jnp.where(inside, z, 0.5)
    upper, low = response == 1, z < 0.5
    # From the start alone, not from the `near` of each trial; positive up to both ends of (0, 1) in float32.
    folded = np.pi * jnp.where(low, z, 1.0 - z)
    cosine = jnp.cos(folded)
    return _Passage(
        drift=jnp.where(upper, -v, v),
        width=2.0 * a,
        near=jnp.where(upper, 1.0 - z, z),
        far=jnp.where(upper, z, 1.0 - z),
        sine=jnp.sin(folded),
        cosine=jnp.where(upper == low, -cosine, cosine),
        possible=finite & positive & inside & (upper | (response == -1)),
    )


def _log_driftless(rate: jax.Array, passage: _Passage) -> jax.Array:
    """Log density of the scaled time 1 / rate without drift; small times, unlike large rates, underflow."""
    small = rate > 1.0 / _SWITCH
    early = jnp.where(small, rate, 1.0 / _SWITCH)
    late = 1.0 / jnp.where(small, 1.0 / _SWITCH, rate)
    images = _images(early, passage) * early * jnp.sqrt(early / (2.0 * np.pi))
    modes = np.pi * _modes(late, passage)
    leading = jnp.where(small, -0.5 * passage.near**2 * early, -0.5 * np.pi**2 * late)
    series = jnp.where(small, images, modes)
    # Positive but for rounding, in float32, where the start is within 1e-6 of a boundary.
    return leading + jnp.log(jnp.maximum(series, jnp.finfo(series.dtype).tiny))


def _images(rate: jax.Array, passage: _Passage) -> jax.Array:
    """Sum (w + 2 k) exp(-((w + 2 k)^2 - w^2) rate / 2) over k = -2, ..., 2."""
    # The images 0 and -1 cancel where the start is close to the far boundary; expm1 joins them without loss.
    near, far = passage.near, passage.far
    step = jnp.expm1(-2.0 * far * rate)
    below, above = 1.0 + step, jnp.exp(-2.0 * (1.0 + near) * rate)
    first = -step - far * (1.0 + below) + (near + 2.0) * above
    return first + below * above * ((near - 4.0) * below**2 + (near + 4.0) * above**2)


def _modes(time: jax.Array, passage: _Passage) -> jax.Array:
    """Sum k sin(k pi w) exp(-(k^2 - 1) pi^2 time / 2) over k = 1, 2, 3."""
    sine, cosine = passage.sine, passage.cosine
    q = jnp.exp(-0.5 * np.pi**2 * time)
    q3 = q * q * q
    return sine * (1.0 + 4.0 * cosine * q3 + 3.0 * (4.0 * cosine**2 - 1.0) * q3 * q3 * q * q)


def _log_cdf_small(time: jax.Array, passage: _Passage) -> jax.Array:
    """Sum the one-boundary distribution functions of the same five images as in `_images`."""
    drift = jnp.abs(passage.drift) * passage.width
    near, far, root = passage.near, passage.far, jnp.sqrt(time)

    def log_reach(distance: jax.Array) -> jax.Array:
        """Log of both inverse-Gaussian terms, even in the drift."""
        along = log_ndtr((drift * time - distance) / root) - drift * distance
        against = log_ndtr(-(drift * time + distance) / root) + drift * distance
        return jnp.logaddexp(along, against)

    leading = log_reach(near)
    images = ((-1.0, 1.0 + far), (1.0, 2.0 + near), (-1.0, 3.0 + far), (1.0, 4.0 + near))
    rest = sum(sign * jnp.exp(log_reach(distance) - leading) for sign, distance in images)
    # Where the start nearly touches the far boundary, rounding could leave less than nothing.
    rest = jnp.maximum(rest, jnp.finfo(leading.dtype).eps - 1.0)
    return leading - passage.drift * passage.width * near + jnp.log1p(rest)


def _log_cdf_large(time: jax.Array, passage: _Passage) -> jax.Array:
    """Take the probability of passing later, three modes, away from that of passing at all."""
    drift = passage.drift * passage.width
    sine, cosine = passage.sine, passage.cosine
    sines = (sine, 2.0 * sine * cosine, sine * (4.0 * cosine**2 - 1.0))
    decays = [0.5 * ((k * np.pi) ** 2 + drift**2) for k in (1, 2, 3)]
    log_all = _log_probability(passage)
    offset = log_all + drift * passage.near
    modes = zip((1, 2, 3), sines, decays, strict=True)
    later = sum(np.pi * k * sine_k * jnp.exp(-decay * time - offset) / decay for k, sine_k, decay in modes)
    return log_all + jnp.log1p(-later)


def _log_probability(passage: _Passage) -> jax.Array:
    """Log of (1 - exp(2 m far)) / (1 - exp(2 m)) with m = drift times width, of either sign or zero."""
    drift, near, far = passage.drift * passage.width, passage.near, passage.far
    size = jnp.abs(drift)
    small = size < _SMALL_DRIFT
    size = jnp.where(small, 1.0, size)
    exact = jnp.log(jnp.expm1(-2.0 * size * far) / jnp.expm1(-2.0 * size)) - (size + drift) * near
    squared = jnp.where(small, drift, 0.0) ** 2
    even = squared * (far**2 - 1.0) / 6.0 - squared**2 * (far**4 - 1.0) / 180.0
    return jnp.where(small, jnp.log(far) - drift * near + even, exact)
