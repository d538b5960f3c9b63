"""Mixture density network in plain JAX: normals with full covariances, from a dict of weights.

A perceptron makes, from the context, the weights, means and Cholesky factors of the precisions of all components.

References
----------
Bishop (1994), Mixture density networks, Aston University, eqs. 22 to 29; Williams (1996), Using neural networks to
model conditional multivariate densities, Neural Computation 8: the factors of the precisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _forward

_LARGEST_LOG_SCALE = 5.0
_SPREAD = 1.0  # of the first means, in standard deviations of the data


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Number of components, and the hidden layers of the perceptron."""

    components: int
    widths: tuple[int, ...]
    activation: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Normals:
    """Log weights (..., component), means (..., component, size) and factors (..., component, size, size).

    The factors are lower triangular: the precision is the transposed factor times the factor.
    """

    log_weights: Any
    means: Any
    factors: Any


def initial(shape: Shape, *, size: int, context: int, rng: np.random.Generator, prefix: str) -> dict[str, np.ndarray]:
    """Draw weights for `size` coordinates given `context` conditions; the components start apart, with sd 1."""
    weights: dict[str, np.ndarray] = {}
    sizes = (context, *shape.widths)
    for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        spread = math.sqrt(2 / max(before, 1))
        weights[f"{prefix}/{i}/kernel"] = rng.normal(0, spread, (before, after)).astype(np.float32)
        weights[f"{prefix}/{i}/bias"] = np.zeros(after, np.float32)
    count, means = shape.components, shape.components * size
    head = np.zeros(count + means + count * _entries(size), np.float32)
    head[count : count + means] = rng.normal(0, _SPREAD, means)
    weights[f"{prefix}/head/kernel"] = rng.normal(0, 0.01, (sizes[-1], len(head))).astype(np.float32)
    return weights | {f"{prefix}/head/bias": head}


def normals(weights: Mapping[str, Any], shape: Shape, context: jax.Array, *, size: int, prefix: str) -> Normals:
    """Describe the mixture for each context (..., condition)."""
    numbers = _forward.outputs(weights, prefix, context, activation=shape.activation)
    batch, count = numbers.shape[:-1], shape.components
    logits, means, entries = jnp.split(numbers, (count, count * (1 + size)), axis=-1)
    entries = entries.reshape(*batch, count, _entries(size))
    log_diagonal = _LARGEST_LOG_SCALE * jnp.tanh(entries[..., :size] / _LARGEST_LOG_SCALE)
    rows, columns = np.tril_indices(size, -1)
    factors = jnp.exp(log_diagonal)[..., None] * jnp.eye(size, dtype=numbers.dtype)
    factors = factors.at[..., rows, columns].set(entries[..., size:])
    return Normals(
        log_weights=jax.nn.log_softmax(logits, axis=-1), means=means.reshape(*batch, count, size), factors=factors
    )


def log_density(mixture: Normals, x: jax.Array) -> jax.Array:
    """Evaluate the log density at x (..., size): (...,)."""
    size = x.shape[-1]
    z = jnp.einsum("...kij,...kj->...ki", mixture.factors, x[..., None, :] - mixture.means)
    log_scale = jnp.sum(jnp.log(jnp.diagonal(mixture.factors, axis1=-2, axis2=-1)), axis=-1)
    each = mixture.log_weights + log_scale - 0.5 * jnp.sum(z**2, axis=-1)
    return jax.nn.logsumexp(each, axis=-1) - 0.5 * size * math.log(2 * math.pi)


def draw(key: Any, mixture: Normals, *, n: int) -> jax.Array:
    """Draw from the mixture of one context: (n, size)."""
    which, noise = jax.random.split(key)
    chosen = jax.random.categorical(which, mixture.log_weights, shape=(n,))
    z = jax.random.normal(noise, (n, mixture.means.shape[-1]), dtype=mixture.means.dtype)
    return place(mixture, chosen, z)


def place(mixture: Normals, chosen: jax.Array, z: jax.Array) -> jax.Array:
    """Put standard normal numbers z (..., size) where the chosen component (...,) has them."""
    mark = jax.nn.one_hot(chosen, mixture.means.shape[-2], dtype=z.dtype)
    mean = jnp.einsum("...k,...ki->...i", mark, mixture.means)
    factor = jnp.einsum("...k,...kij->...ij", mark, mixture.factors)
    return mean + jax.scipy.linalg.solve_triangular(factor, z[..., None], lower=True)[..., 0]


def _entries(size: int) -> int:
    """Count the entries of a triangular factor."""
    return size * (size + 1) // 2
