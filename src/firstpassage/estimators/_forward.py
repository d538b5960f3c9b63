"""Evaluate a trained perceptron in plain JAX, so that using one needs neither Keras nor BayesFlow.

A test holds these numbers against BayesFlow's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    import keras

Arrays = Mapping[str, np.ndarray]

ACTIVATIONS = {"silu": jax.nn.silu, "mish": jax.nn.mish, "tanh": jnp.tanh, "relu": jax.nn.relu}


def perceptron(arrays: Arrays, prefix: str, h: jax.Array, *, activation: str) -> jax.Array:
    """Apply the hidden layers ``prefix/0``, ``prefix/1``, ... and a linear head of one unit: (...,)."""
    return outputs(arrays, prefix, h, activation=activation)[..., 0]


def outputs(arrays: Arrays, prefix: str, h: jax.Array, *, activation: str) -> jax.Array:
    """Apply the hidden layers ``prefix/0``, ``prefix/1``, ... and the linear head ``prefix/head``: (..., unit)."""
    layer = 0
    while f"{prefix}/{layer}/kernel" in arrays:
        name = f"{prefix}/{layer}"
        y = ACTIVATIONS[activation](dense(arrays, name, h))
        if f"{name}/skip/kernel" in arrays:
            y = y + dense(arrays, f"{name}/skip", h)
        elif f"{name}/skip" in arrays:
            y = y + h
        h, layer = y, layer + 1
    return dense(arrays, f"{prefix}/head", h)


def export(network: Any, head: keras.layers.Dense, prefix: str) -> dict[str, np.ndarray]:
    """Take the weights out of a BayesFlow MLP and its linear head, by name."""
    arrays: dict[str, np.ndarray] = {}
    for i, block in enumerate(network.blocks):
        arrays |= _take(block.dense, f"{prefix}/{i}")
        if block.residual and block.projector is not None:
            arrays |= _take(block.projector, f"{prefix}/{i}/skip")
        elif block.residual:
            arrays[f"{prefix}/{i}/skip"] = np.ones((), dtype=np.float32)
    return arrays | _take(head, f"{prefix}/head")


def dense(arrays: Arrays, name: str, h: jax.Array) -> jax.Array:
    """Apply one linear layer in the precision of its input."""
    return h @ jnp.asarray(arrays[f"{name}/kernel"], h.dtype) + jnp.asarray(arrays[f"{name}/bias"], h.dtype)


def _take(layer: keras.layers.Dense, name: str) -> dict[str, np.ndarray]:
    """Copy the weights of one Keras layer."""
    return {f"{name}/kernel": np.asarray(layer.kernel), f"{name}/bias": np.asarray(layer.bias)}
