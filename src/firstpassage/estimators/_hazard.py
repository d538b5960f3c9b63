"""Hazard network in plain JAX: the probability of each decision of a sequence given the past and the parameters.

A perceptron sees the conditions of a step, a gated recurrent unit remembers the steps before, and a second perceptron
gives the logit of the decision. The log density of a sequence is the sum over its steps, normalised by construction.

References
----------
Singer and Willett (1993), Journal of Educational Statistics 18: likelihoods as products of discrete hazards.
Cho et al. (2014), arXiv:1406.1078: the gated recurrent unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _forward
from firstpassage.models.records import Decisions

Arrays = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Hidden widths of the two perceptrons, units of the memory between them, and the activation."""

    widths: tuple[int, ...]
    memory: int
    activation: str


def features(conditions: Any, steps: Any, scaling: Mapping[str, np.ndarray]) -> jax.Array:
    """Standardise parameters (..., parameter) and steps (..., step, feature), and multiply each with each."""
    theta = (conditions - scaling["features/theta"][0]) / scaling["features/theta"][1]
    step = (steps - scaling["features/steps"][0]) / scaling["features/steps"][1]
    theta = jnp.broadcast_to(theta[..., None, :], (*step.shape[:-1], theta.shape[-1]))
    products = (theta[..., :, None] * step[..., None, :]).reshape(*step.shape[:-1], -1)
    squares = (theta[..., :, None] * theta[..., None, :])[..., *np.triu_indices(theta.shape[-1])]
    return jnp.concatenate([theta, step, products, squares], axis=-1)


def initial(shape: Shape, *, inputs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the first weights for so many features."""
    first: dict[str, np.ndarray] = {}
    last = shape.widths[-1]
    _layers(first, "hazard/step", (inputs, *shape.widths), rng)
    _layer(first, "hazard/memory/input", last, 3 * shape.memory, rng)
    _layer(first, "hazard/memory/state", shape.memory, 3 * shape.memory, rng)
    _layers(first, "hazard/decision", (last + shape.memory, *shape.widths), rng)
    _layer(first, "hazard/decision/head", last, 2, rng)
    return first


def logits(arrays: Arrays, shape: Shape, inputs: Any, begins: Any) -> jax.Array:
    """Give the logit of each decision (..., step); `begins` (..., step) forgets all that was before."""
    activation = shape.activation
    seen = _hidden(arrays, "hazard/step", inputs, activation)
    gates = _forward.dense(arrays, "hazard/memory/input", seen)
    forget = jnp.broadcast_to(begins, gates.shape[:-1]).astype(gates.dtype)

    def step(state: Any, given: tuple[Any, Any]) -> tuple[Any, Any]:
        new, fresh = given
        state = state * (1 - fresh[..., None])
        state = _gated(arrays, state, new)
        return state, state

    empty = jnp.zeros((*gates.shape[:-2], shape.memory), gates.dtype)
    _, memory = jax.lax.scan(step, empty, (jnp.moveaxis(gates, -2, 0), jnp.moveaxis(forget, -1, 0)))
    both = jnp.concatenate([seen, jnp.moveaxis(memory, 0, -2)], axis=-1)
    out = _forward.dense(arrays, "hazard/decision/head", _hidden(arrays, "hazard/decision", both, activation))
    return out[..., 0] * jnp.exp(jnp.clip(out[..., 1], -6.0, 6.0))


def log_probability(logit: Any, decision: Any) -> jax.Array:
    """Give the log probability of decisions 1 (yes) or 0 (no)."""
    return jax.nn.log_sigmoid(jnp.where(decision > 0, logit, -logit))


def make(
    decisions: Decisions, arrays: Mapping[str, np.ndarray], *, shape: Shape, names: tuple[str, ...]
) -> Callable[[Any, Mapping[str, Any]], jax.Array]:
    """Make the log density of each trial from weights."""

    def density(x: Any, theta: Mapping[str, Any]) -> jax.Array:
        steps, decision, present = decisions.of_trial(x)
        values = {name: jnp.broadcast_to(theta[name], x.shape[:1]) for name in names}
        inputs = features(decisions.conditions(values), steps, arrays)
        begins = jnp.arange(steps.shape[-2]) == 0
        each = log_probability(logits(arrays, shape, inputs, begins), decision)
        return jnp.sum(jnp.where(present > 0, each, 0.0), axis=-1)

    return density


def _gated(arrays: Arrays, state: Any, new: Any) -> jax.Array:
    """Update the memory (..., unit) by the gates' inputs (..., 3 unit)."""
    old = _forward.dense(arrays, "hazard/memory/state", state)
    keep_in, reset_in, propose_in = jnp.split(new, 3, axis=-1)
    keep_old, reset_old, propose_old = jnp.split(old, 3, axis=-1)
    keep = jax.nn.sigmoid(keep_in + keep_old)
    proposed = jnp.tanh(propose_in + jax.nn.sigmoid(reset_in + reset_old) * propose_old)
    return keep * state + (1 - keep) * proposed


def _hidden(arrays: Arrays, prefix: str, h: Any, activation: str) -> Any:
    """Apply hidden layers; those as wide as their input add it."""
    layer = 0
    while f"{prefix}/{layer}/kernel" in arrays:
        y = _forward.ACTIVATIONS[activation](_forward.dense(arrays, f"{prefix}/{layer}", h))
        h, layer = y + h if y.shape[-1] == h.shape[-1] else y, layer + 1
    return h


def _layers(first: dict[str, np.ndarray], prefix: str, sizes: tuple[int, ...], rng: np.random.Generator) -> None:
    """Draw hidden layers."""
    for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        _layer(first, f"{prefix}/{i}", before, after, rng)


def _layer(first: dict[str, np.ndarray], name: str, before: int, after: int, rng: np.random.Generator) -> None:
    """Draw one layer; heads start small, so that the first logits are mild."""
    spread = math.sqrt(2 / before) * (0.1 if name.endswith("head") else 1.0)
    first[f"{name}/kernel"] = rng.normal(0, spread, (before, after)).astype(np.float32)
    first[f"{name}/bias"] = np.zeros(after, np.float32)
