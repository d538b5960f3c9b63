"""The density of one number, described by numbers that a network makes, in plain JAX.

The numbers are made ready once for each set of conditions, so that many data with the same conditions cost little.

References
----------
Bishop (1994), Mixture density networks, Aston University, eqs. 22 to 26; Durkan, Bekasov, Murray and Papamakarios
(2019), Neural spline flows, NeurIPS: a normal variable that is shifted, scaled and bent by a spline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from firstpassage.estimators import _spline

Kind = Literal["normal", "spline", "mixture"]
Ready = tuple[Any, ...]  # arrays (..., number): a density whose numbers are made ready
_KINDS: dict[str, Kind] = {
    "spline": "spline", "maf-spline": "spline", "affine": "normal", "maf": "normal", "mdn": "mixture",
}  # fmt: skip
_BOUND = 5.0  # of the spline, in standard deviations of the base
_LARGEST_LOG_SCALE = 5.0
_SPREAD = 1.5  # of the first means of a mixture, in standard deviations of the data


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A family of densities; `bins` of the spline, `components` of the mixture."""

    kind: Kind
    bins: int
    components: int

    @property
    def numbers(self) -> int:
        """Numbers that describe one density."""
        if self.kind == "mixture":
            return 3 * self.components
        return 2 + (_spline.size(self.bins) if self.kind == "spline" else 0)


def shape(flow: str, *, bins: int, components: int) -> Shape:
    """Find the family that a flow is in one dimension, where turns and masks have nothing to do."""
    return Shape(kind=_KINDS[flow], bins=bins, components=components)


def ready(family: Shape, numbers: jax.Array) -> Ready:
    """Make the numbers (..., number) ready, whatever the data."""
    if family.kind == "mixture":
        logits, shifts, log_scales = jnp.split(numbers, 3, axis=-1)
        first = jnp.linspace(-_SPREAD, _SPREAD, family.components, dtype=numbers.dtype)
        log_scales = _bounded(log_scales)
        return jax.nn.log_softmax(logits, axis=-1) - log_scales, shifts + first, jnp.exp(-log_scales)
    base = numbers[..., :1], _bounded(numbers[..., 1:2])
    if family.kind == "normal":
        return base
    k = _spline.knots(numbers[..., 2:], bins=family.bins, bound=_BOUND)
    return *base, k.x, k.y, k.slope


def log_density(family: Shape, u: jax.Array, density: Ready) -> jax.Array:
    """Evaluate the log density at u (...,)."""
    if family.kind == "mixture":
        log_heights, means, sharpness = density
        z = (u[..., None] - means) * sharpness
        return jax.nn.logsumexp(log_heights - 0.5 * z**2, axis=-1) - 0.5 * math.log(2 * math.pi)
    shift, log_scale = (value[..., 0] for value in density[:2])
    z = (u - shift) * jnp.exp(-log_scale)
    bend = jnp.zeros_like(z)
    if family.kind == "spline":
        x, y, slope = density[2:]
        z, bend = _spline.forward(z, _spline.Knots(x=x, y=y, slope=slope))
    return bend - log_scale - 0.5 * z**2 - 0.5 * math.log(2 * math.pi)


def _bounded(log_scale: jax.Array) -> jax.Array:
    """Keep a log scale where its exponential is harmless."""
    return _LARGEST_LOG_SCALE * jnp.tanh(log_scale / _LARGEST_LOG_SCALE)
