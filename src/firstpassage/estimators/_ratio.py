"""The trained log ratio in plain JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _decision_ratio, _ensemble, _features, _forward, _statistic_ratio
from firstpassage.models.model import Model, Symmetry

Density = Callable[[jax.Array, Mapping[str, jax.Array]], jax.Array]


def symmetry(model: Model, *, statistics: bool) -> Symmetry:
    """Choose what a network is given: of statistics of a trial; or of the trial, by the symmetry of the model."""
    own = _statistic_ratio.symmetry(model) if statistics else model.symmetry
    return own or _features.plain(model)


def density(symmetry: Symmetry, arrays: Mapping[str, np.ndarray], *, activation: str) -> Density:
    """Make the per-trial log ratio; it is -inf, with a zero gradient, where the model excludes the data."""
    return _ensemble.averaged(lambda own: _single(symmetry, own, activation=activation), arrays)


def _single(symmetry: Symmetry, arrays: Mapping[str, np.ndarray], *, activation: str) -> Density:
    """Make the log ratio of one network."""
    features = _features.Features(symmetry, pair=arrays["features/pair"], alone=arrays["features/alone"])

    def log_ratio(x: Any, theta: Mapping[str, Any]) -> jax.Array:
        pair = _forward.perceptron(arrays, "pair", features.of_pair(x, theta), activation=activation)
        alone = _forward.perceptron(arrays, "alone", features.of_data(x), activation=activation)
        total = pair + symmetry.log_scale(x, theta) + alone
        return jnp.where(symmetry.possible(x, theta), total, -jnp.inf)

    return log_ratio


def of_decisions(model: Model, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any]) -> Density:
    """Make the log ratio of sequences of decisions."""
    decisions: Any = model.decisions
    shape = _decision_ratio.Shape(
        widths=tuple(settings["widths"]), evidence_widths=tuple(settings["evidence_widths"]),
        products=int(settings["products"]), activation=settings["activation"],
    )  # fmt: skip
    return _decision_ratio.make(decisions, arrays, shape=shape, names=model.parameter_names)
