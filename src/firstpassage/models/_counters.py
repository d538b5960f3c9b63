"""Random numbers in JAX from counters: the bits are a function of a key and a place, so nothing is carried along.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11: Threefry. Box and Muller
(1958), A note on the generation of random normal deviates, Annals of Mathematical Statistics 29.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # of Threefry-2x32
_PARITY = 0x1BD11BDA  # of Threefry's key schedule
_SIGN = 0x80000000  # of a float32
# Least-squares polynomials of sin(pi t / 4) / t and cos(pi t / 4) in t**2, for t from 0 to 1: off by at most 2e-9.
_SINE = (0.7853981544, -0.08074537952, 0.002489894279, -3.588928399e-05)
_COSINE = (1.0, -0.3084251356, 0.01585432721, -0.0003259414365, 3.531128755e-06)


def threefry(words: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scramble counters by Threefry-2x32-20, JAX's own default, written out so that XLA fuses it with its use.

    Parameters
    ----------
    words : jax.Array, shape (2,), uint32
        The key.
    x, y : jax.Array, shape (...), uint32
        The place.

    Returns
    -------
    (jax.Array, jax.Array), shape (...) each, uint32
        Two times 32 random bits.
    """
    keys = (words[0], words[1], words[0] ^ words[1] ^ jnp.uint32(_PARITY))
    x, y = x + keys[0], y + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << rotation) | (y >> (32 - rotation)))
        x, y = x + keys[(group + 1) % 3], y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def uniform(bits: jax.Array) -> jax.Array:
    """Turn 32 bits into a number on the 2**24 steps of [0, 1) that float32 can tell apart."""
    return (bits >> 8).astype(jnp.int32).astype(jnp.float32) * 2.0**-24


def normal(bits: jax.Array) -> jax.Array:
    """Turn 32 bits into a standard normal number, by inversion: symmetric, at most 5.4 away from 0."""
    odd = (bits >> 8).astype(jnp.int32) * 2 + (1 - 2**24)
    return math.sqrt(2.0) * lax.erf_inv(odd.astype(jnp.float32) * 2.0**-24)


def two_normals(radius: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Turn two times 32 bits into two independent standard normal numbers: Box and Muller's, at most 5.9 away from 0.

    The angle is drawn within an eighth of the circle, for which short polynomials do; three bits choose which eighth.
    That is twice as quick as inversion.

    Parameters
    ----------
    radius, angle : jax.Array, shape (...), uint32
        Random bits.

    Returns
    -------
    (jax.Array, jax.Array), shape (...) each, float32
        The numbers.
    """
    share = ((radius >> 8).astype(jnp.int32).astype(jnp.float32) + 0.5) * 2.0**-24
    length = jnp.sqrt(-2.0 * jnp.log(share))
    t = (angle >> 9).astype(jnp.int32).astype(jnp.float32) * 2.0**-23
    sine, cosine = t * _polynomial(_SINE, t * t), _polynomial(_COSINE, t * t)
    swapped = (angle & 1) > 0
    first, second = jnp.where(swapped, sine, cosine), jnp.where(swapped, cosine, sine)
    return length * _signed(first, angle << 30), length * _signed(second, angle << 29)


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """Evaluate a polynomial, the constant first."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = coefficient + x * value
    return value


def _signed(x: jax.Array, bits: jax.Array) -> jax.Array:
    """Turn the sign of x where the highest bit is set."""
    turned = lax.bitcast_convert_type(x, jnp.uint32) ^ (bits & jnp.uint32(_SIGN))
    return lax.bitcast_convert_type(turned, jnp.float32)


def once[T](x: T) -> T:
    """Have XLA compute x, an array or a tuple of them, once: else each loop that uses it repeats all before it."""
    return lax.optimization_barrier(x)
