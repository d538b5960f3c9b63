"""Monotone rational-quadratic splines between knots, the identity outside: elementwise, invertible, in plain JAX.

References
----------
Gregory and Delbourgo (1982), Piecewise rational quadratic interpolation to monotonic data, IMA Journal of Numerical
Analysis 2; Durkan, Bekasov, Murray and Papamakarios (2019), Neural spline flows, NeurIPS, eqs. 4 to 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

_SMALLEST = 1e-3  # of a bin's share and of a slope


@dataclass(frozen=True, eq=False, kw_only=True)
class Knots:
    """Places (..., knot) and slopes of the spline at its knots."""

    x: Any
    y: Any
    slope: Any


def size(bins: int) -> int:
    """Count the raw numbers that describe one spline."""
    return 3 * bins - 1


def knots(raw: jax.Array, *, bins: int, bound: float) -> Knots:
    """Turn raw numbers (..., 3 bins - 1) into knots on [-bound, bound]; zeros give the identity."""
    widths, heights, slopes = jnp.split(raw, (bins, 2 * bins), axis=-1)
    one = jnp.ones_like(raw[..., :1])
    inner = _SMALLEST + (1 - _SMALLEST) * jax.nn.softplus(slopes + jnp.log(jnp.e - 1.0).astype(raw.dtype))
    return Knots(x=_places(widths, bound), y=_places(heights, bound), slope=jnp.concatenate([one, inner, one], axis=-1))


def forward(x: jax.Array, k: Knots) -> tuple[jax.Array, jax.Array]:
    """Apply the spline: its value and the log of its derivative."""
    inside, left = _bin(x, k.x)
    x0, width, y0, height, d0, d1 = _ends(k, left)
    slope = height / width
    s = jnp.clip((x - x0) / width, 0.0, 1.0)
    rest = s * (1 - s)
    below = slope + (d0 + d1 - 2 * slope) * rest
    y = y0 + height * (slope * s**2 + d0 * rest) / below
    return jnp.where(inside, y, x), jnp.where(inside, _log_slope(s, rest, below, slope=slope, ends=(d0, d1)), 0.0)


def inverse(y: jax.Array, k: Knots) -> tuple[jax.Array, jax.Array]:
    """Undo the spline: the value, and the log derivative of the forward spline there."""
    inside, left = _bin(y, k.y)
    x0, width, y0, height, d0, d1 = _ends(k, left)
    slope = height / width
    rise = jnp.clip(y - y0, 0.0, height)
    bend = rise * (d0 + d1 - 2 * slope)
    a = height * (slope - d0) + bend
    b = height * d0 - bend
    root = jnp.sqrt(jnp.maximum(b**2 + 4 * a * slope * rise, 0.0))
    s = jnp.clip(2 * slope * rise / jnp.maximum(b + root, 1e-30), 0.0, 1.0)
    rest = s * (1 - s)
    below = slope + (d0 + d1 - 2 * slope) * rest
    log_slope = _log_slope(s, rest, below, slope=slope, ends=(d0, d1))
    return jnp.where(inside, x0 + s * width, y), jnp.where(inside, log_slope, 0.0)


def _places(raw: jax.Array, bound: float) -> jax.Array:
    """Turn raw numbers into increasing places from -bound to bound."""
    bins = raw.shape[-1]
    share = _SMALLEST + (1 - _SMALLEST * bins) * jax.nn.softmax(raw, axis=-1)
    inner = 2 * bound * jnp.cumsum(share, axis=-1)[..., :-1] - bound
    edge = jnp.full_like(raw[..., :1], bound)
    return jnp.concatenate([-edge, inner, edge], axis=-1)


def _bin(value: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Find the bin of each value, and whether it lies between the outermost knots."""
    inside = (value > places[..., 0]) & (value < places[..., -1])
    left = jnp.sum(value[..., None] >= places[..., 1:-1], axis=-1)
    return inside, left


def _ends(k: Knots, left: jax.Array) -> tuple[jax.Array, ...]:
    """Pick the ends of each value's bin: by a sum over bins, which on a CPU beats a gather."""
    chosen = left[..., None] == jnp.arange(k.x.shape[-1] - 1)

    def pick(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(chosen, values, 0.0), axis=-1)

    x0, x1, y0, y1 = pick(k.x[..., :-1]), pick(k.x[..., 1:]), pick(k.y[..., :-1]), pick(k.y[..., 1:])
    return x0, x1 - x0, y0, y1 - y0, pick(k.slope[..., :-1]), pick(k.slope[..., 1:])


def _log_slope(s: Any, rest: Any, below: Any, *, slope: Any, ends: tuple[Any, Any]) -> jax.Array:
    """Write the log of the spline's derivative."""
    above = ends[1] * s**2 + 2 * slope * rest + ends[0] * (1 - s) ** 2
    return 2 * jnp.log(slope) + jnp.log(above) - 2 * jnp.log(below)
