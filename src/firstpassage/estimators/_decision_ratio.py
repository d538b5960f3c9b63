"""The log ratio of a trial that is a sequence of decisions, in plain JAX.

log r(x, theta) = sum over decisions of log sigmoid(+- logit(theta, step)) + alone(x). The parameters act through the
decisions only, so the first term is a sum over these; each logit sees the step, the two before it in the sequence, and
products of linear forms of parameters and steps. The second, with pooled steps, stands for minus the log evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _forward, _steps
from firstpassage.models.records import Decisions

Arrays = Mapping[str, Any]
_BEFORE = 2  # steps before the present one that a logit sees


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Hidden widths of the networks of pairs and of the data alone, number of products, and the activation."""

    widths: tuple[int, ...]
    evidence_widths: tuple[int, ...]
    products: int
    activation: str


def initial(shape: Shape, *, parameters: int, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the first weights for so many coordinates of parameters, and features of a step."""
    seen = steps * (_BEFORE + 1)
    first: dict[str, np.ndarray] = {}
    _layers(first, "pair/parameters", (parameters, shape.products), rng)
    _layers(first, "pair/steps", (seen, shape.products), rng)
    _layers(first, "pair", (parameters + seen + shape.products, *shape.widths, 2), rng)
    _layers(first, "alone/step", (seen + 1, *shape.evidence_widths), rng)
    _layers(first, "alone", (shape.evidence_widths[-1] + 1, *shape.evidence_widths, 1), rng)
    return first


def seen(steps: Any, begins: Any) -> jax.Array:
    """Put what a logit sees together: each step (..., step, feature), and those before it in the same sequence."""
    return _steps.history(steps, begins, back=_BEFORE)


def pair(arrays: Arrays, shape: Shape, conditions: Any, history: Any, decision: Any) -> jax.Array:
    """Give each decision's part of the log ratio; conditions (..., parameter) and history (..., feature) broadcast."""
    products = _forward.dense(arrays, "pair/parameters/head", conditions) * _forward.dense(
        arrays, "pair/steps/head", history
    )
    broadcast = [jnp.broadcast_to(part, (*products.shape[:-1], part.shape[-1])) for part in (conditions, history)]
    out = _forward.outputs(
        arrays, "pair", jnp.concatenate([*broadcast, products], axis=-1), activation=shape.activation
    )
    logit = out[..., 0] * jnp.exp(jnp.clip(out[..., 1], -6.0, 6.0))
    return jax.nn.log_sigmoid(jnp.where(decision > 0, logit, -logit))


def alone(arrays: Arrays, shape: Shape, history: Any, decision: Any, together: Callable[[Any], Any]) -> jax.Array:
    """Give the part of each sequence that does not depend on the parameters; `together` sums over its steps."""
    inputs = jnp.concatenate([history, decision[..., None]], axis=-1)
    activation = _forward.ACTIVATIONS[shape.activation]
    hidden = activation(_forward.outputs(arrays, "alone/step", inputs, activation=shape.activation))
    count = together(jnp.ones_like(hidden[..., :1]))
    pooled = jnp.concatenate([together(hidden) / jnp.maximum(count, 1.0), jnp.log1p(count)], axis=-1)
    return _forward.outputs(arrays, "alone", pooled, activation=shape.activation)[..., 0]


def scaled(values: Any, scaling: np.ndarray) -> Any:
    """Standardise the last axis."""
    return (values - scaling[0]) / scaling[1]


def make(
    decisions: Decisions, arrays: Mapping[str, np.ndarray], *, shape: Shape, names: tuple[str, ...]
) -> Callable[[Any, Mapping[str, Any]], jax.Array]:
    """Make the log ratio of each trial from weights."""

    def log_ratio(x: Any, theta: Mapping[str, Any]) -> jax.Array:
        steps, decision, present = decisions.of_trial(x)
        values = {name: jnp.broadcast_to(theta[name], x.shape[:1]) for name in names}
        conditions = scaled(decisions.conditions(values), arrays["features/theta"])
        begins = jnp.broadcast_to(jnp.arange(steps.shape[-2]) == 0, decision.shape)
        history = seen(scaled(steps, arrays["features/steps"]), begins)
        there = jnp.where(present > 0, 1.0, 0.0).astype(history.dtype)
        each = pair(arrays, shape, conditions[:, None], history, decision)
        rest = alone(arrays, shape, history, decision, lambda h: jnp.sum(h * there[..., None], axis=-2))
        return jnp.sum(jnp.where(present > 0, each, 0.0), axis=-1) + rest

    return log_ratio


def _layers(first: dict[str, np.ndarray], prefix: str, sizes: tuple[int, ...], rng: np.random.Generator) -> None:
    """Draw hidden layers and a head; heads of one or two numbers start small."""
    for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        name = f"{prefix}/{i}" if i + 2 < len(sizes) else f"{prefix}/head"
        spread = math.sqrt(2 / before) * (0.1 if after <= 2 else 1.0)
        first[f"{name}/kernel"] = rng.normal(0, spread, (before, after)).astype(np.float32)
        first[f"{name}/bias"] = np.zeros(after, np.float32)
