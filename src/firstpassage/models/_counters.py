"""Random numbers in JAX from counters: the bits are a function of a key and a place, so nothing is carried along.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11: Threefry.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # of Threefry-2x32
_PARITY = 0x1BD11BDA  # of Threefry's key schedule


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


def once(x: jax.Array) -> jax.Array:
    """Have XLA compute x once: it would otherwise repeat all that leads to x in each of the loops that use it."""
    return lax.optimization_barrier(x)
