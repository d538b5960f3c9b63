"""The trained log density of one trial in JAX: of mixed or of continuous data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _ensemble, _flows, _hazard, _mixed_density, _scale
from firstpassage.models.model import Model

Density = Callable[[Any, Mapping[str, Any]], jax.Array]


def density(model: Model, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any]) -> Density:
    """Make the per-trial log density from weights."""
    if model.decisions is not None and settings.get("unit") == model.decisions.schema.trial:
        return _hazards(model, arrays, settings)
    if model.mixed is not None:
        return _mixed_density.make(model.mixed, arrays, settings=settings)
    return _ensemble.averaged(lambda own: _continuous(model, own, settings), arrays)


def _hazards(model: Model, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Density:
    """Make the density of sequences of decisions."""
    decisions: Any = model.decisions
    widths, memory = tuple(settings["widths"]), int(settings["memory"])
    shape = _hazard.Shape(widths=widths, memory=memory, activation=settings["activation"])
    return _hazard.make(decisions, arrays, shape=shape, names=model.parameter_names)


def _continuous(model: Model, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Density:
    """Make the density of the columns in their own units."""
    parameters, columns = arrays["features/theta"], arrays["features/x"]
    size, names = columns.shape[1], model.parameter_names
    flow = _flows.evaluator(
        settings["flow"], arrays, settings={**settings, "flow_widths": settings["widths"]}, size=size,
        context=len(names),
    )  # fmt: skip

    def log_density(x: Any, theta: Mapping[str, Any]) -> jax.Array:
        context = jnp.stack(jnp.broadcast_arrays(*(theta[name] for name in names)), axis=-1)
        scaled = (context - parameters[0]) / parameters[1]
        return flow.log_prob(_scale.place(jnp.asarray(x), columns), scaled) + _scale.log_slope(x, columns)

    return log_density
