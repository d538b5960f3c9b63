"""Masked autoregressive flow in plain JAX: density and draws from a dict of weights.

Each layer shifts, scales and, if asked, bends every coordinate by a spline, with numbers that a masked perceptron makes
from the context and the coordinates before it. The order is turned round from layer to layer.

References
----------
Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation, NeurIPS, eqs. 3 to 5;
Germain, Gregor, Murray and Larochelle (2015), MADE, ICML: the masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _spline
from firstpassage.estimators._forward import ACTIVATIONS

Transform = Literal["affine", "spline"]
_BOUND = 5.0  # of the splines, in standard deviations of the base
_LARGEST_LOG_SCALE = 5.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a flow; `layers` turns, each with hidden `widths`; `bins` of the splines."""

    layers: int
    widths: tuple[int, ...]
    transform: Transform
    bins: int
    activation: str

    @property
    def numbers(self) -> int:
        """Numbers that describe the transform of one coordinate."""
        return 2 + (_spline.size(self.bins) if self.transform == "spline" else 0)


def initial(shape: Shape, *, size: int, context: int, rng: np.random.Generator, prefix: str) -> dict[str, np.ndarray]:
    """Draw weights for `size` coordinates given `context` conditions; the last layers start near the identity."""
    weights: dict[str, np.ndarray] = {}
    for layer in range(shape.layers):
        sizes = (size, *shape.widths, size * shape.numbers)
        for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
            name = f"{prefix}/{layer}/{i}"
            last = i + 2 == len(sizes)
            spread = 0.01 if last else math.sqrt(2 / (before + (context if i == 0 else 0)))
            weights[f"{name}/kernel"] = rng.normal(0, spread, (before, after)).astype(np.float32)
            weights[f"{name}/bias"] = np.zeros(after, np.float32)
            if i == 0 and context:
                weights[f"{name}/context"] = rng.normal(0, spread, (context, after)).astype(np.float32)
    return weights


def forward(
    weights: Mapping[str, Any], shape: Shape, x: jax.Array, context: jax.Array | None, *, prefix: str
) -> tuple[jax.Array, jax.Array]:
    """Map data (..., size) to the base: places there and the log Jacobian (...,)."""
    total = jnp.zeros(x.shape[:-1], x.dtype)
    for layer in range(shape.layers):
        shift, log_scale, knots = _numbers(weights, shape, x, context, name=f"{prefix}/{layer}")
        x, log_slope = (x - shift) * jnp.exp(-log_scale), -log_scale
        if knots is not None:
            x, bend = _spline.forward(x, knots)
            log_slope = log_slope + bend
        x, total = x[..., ::-1], total + log_slope.sum(-1)
    return x, total


def inverse(
    weights: Mapping[str, Any], shape: Shape, z: jax.Array, context: jax.Array | None, *, prefix: str
) -> tuple[jax.Array, jax.Array]:
    """Map places of the base (..., size) to data, coordinate by coordinate, with the log Jacobian of `forward`."""
    total = jnp.zeros(z.shape[:-1], z.dtype)
    for layer in reversed(range(shape.layers)):
        z, x = z[..., ::-1], jnp.zeros_like(z)
        for i in range(z.shape[-1]):
            shift, log_scale, knots = _numbers(weights, shape, x, context, name=f"{prefix}/{layer}")
            value, log_slope = z, -log_scale
            if knots is not None:
                value, bend = _spline.inverse(z, knots)
                log_slope = log_slope + bend
            x = x.at[..., i].set((value * jnp.exp(log_scale) + shift)[..., i])
        z, total = x, total + log_slope.sum(-1)
    return z, total


def log_base(z: jax.Array) -> jax.Array:
    """Evaluate the standard normal density of the base."""
    return -0.5 * jnp.sum(z**2, axis=-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


def _numbers(
    weights: Mapping[str, Any], shape: Shape, x: jax.Array, context: jax.Array | None, *, name: str
) -> tuple[jax.Array, jax.Array, _spline.Knots | None]:
    """Run one masked perceptron: shift and log scale (..., size), and the knots of the splines."""
    size, h = x.shape[-1], x
    masks = _masks(size, shape.widths, shape.numbers)
    for i, mask in enumerate(masks):
        kernel = jnp.asarray(weights[f"{name}/{i}/kernel"], h.dtype) * mask.astype(h.dtype)
        h = h @ kernel + jnp.asarray(weights[f"{name}/{i}/bias"], h.dtype)
        if i == 0 and context is not None:
            h = h + context @ jnp.asarray(weights[f"{name}/{i}/context"], h.dtype)
        if i + 1 < len(masks):
            h = ACTIVATIONS[shape.activation](h)
    numbers = h.reshape(*h.shape[:-1], size, shape.numbers)
    log_scale = _LARGEST_LOG_SCALE * jnp.tanh(numbers[..., 1] / _LARGEST_LOG_SCALE)
    if shape.transform == "affine":
        return numbers[..., 0], log_scale, None
    return numbers[..., 0], log_scale, _spline.knots(numbers[..., 2:], bins=shape.bins, bound=_BOUND)


def _masks(size: int, widths: tuple[int, ...], numbers: int) -> list[np.ndarray]:
    """Connect so that the numbers of coordinate i see the coordinates before i only."""
    degrees = [np.arange(1, size + 1), *(np.arange(width) % size for width in widths)]
    masks = [a[:, None] <= b[None] for a, b in zip(degrees, degrees[1:], strict=False)]
    return [*masks, degrees[-1][:, None] < np.repeat(np.arange(1, size + 1), numbers)[None]]
