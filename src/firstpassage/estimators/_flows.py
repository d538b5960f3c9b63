"""Conditional densities by name, untrained as BayesFlow inference networks and trained as functions in JAX.

"spline" and "affine" are BayesFlow's coupling flow with splines or affine maps; in one dimension, where nothing can be
coupled, they are the masked flow with the same map. "maf-spline" and "maf" are masked autoregressive flows with splines
or affine maps. "mdn" is a mixture of normals with full covariances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.errors import ModelError
from firstpassage.estimators import _autoregressive, _mixture

Name = Literal["maf-spline", "maf", "spline", "affine", "mdn"]
NAMES = get_args(Name)
_PREFIX = "flow"


@dataclass(frozen=True, eq=False, kw_only=True)
class Flow:
    """Density and draws, in JAX.

    Parameters
    ----------
    log_prob : callable
        ``log_prob(x, context) -> (...,)`` for x (..., size) and context (condition,) or (..., condition).
    sample : callable
        ``sample(key, context, n=) -> (x, log_q)``, (n, size) and (n,), for one context (condition,).
    """

    log_prob: Callable[[Any, Any], Any]
    sample: Callable[..., tuple[Any, Any]]


def check(flow: str) -> None:
    """Refuse a flow that there is not."""
    if flow not in NAMES:
        raise ModelError(f"flow must be one of {', '.join(NAMES)}; got {flow!r}.")


def layer(flow: str, *, settings: Mapping[str, Any], seed: int, size: int) -> Any:
    """Make the untrained inference network for `size` coordinates, whose first weights come from the seed.

    Of the settings it takes layers, flow_widths, bins, components and activation.
    """
    from firstpassage.estimators import _flow_layers

    shape = _shape(flow, settings, size)
    if isinstance(shape, _mixture.Shape):
        return _flow_layers.MixtureDensity(
            components=shape.components, widths=shape.widths, activation=shape.activation, seed=seed
        )
    if isinstance(shape, _autoregressive.Shape):
        return _flow_layers.AutoregressiveFlow(
            layers=shape.layers, widths=shape.widths, transform=shape.transform, bins=shape.bins,
            activation=shape.activation, seed=seed,
        )  # fmt: skip
    return _flow_layers.SeededCouplingFlow(**shape, seed=seed)


def exported(layer: Any) -> dict[str, np.ndarray]:
    """Copy the weights of a trained `layer`, by name."""
    from firstpassage.estimators import _flow_layers

    if isinstance(layer, _flow_layers.SeededCouplingFlow):
        return {f"{_PREFIX}/{i}": np.asarray(variable) for i, variable in enumerate(layer.trainable_variables)}
    return _flow_layers.arrays(layer)


def evaluator(
    flow: str, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any], size: int, context: int
) -> Flow:
    """Make density and draws from the weights; `size` coordinates given `context` conditions."""
    shape = _shape(flow, settings, size)
    if isinstance(shape, _mixture.Shape):
        return _mixture_of(shape, arrays, size)
    if isinstance(shape, _autoregressive.Shape):
        return _masked(shape, arrays, size)
    return _coupling(shape, arrays, size, context)


def _shape(flow: str, settings: Mapping[str, Any], size: int) -> _mixture.Shape | _autoregressive.Shape | dict:
    """Read what a flow needs of the settings; a dict is for BayesFlow's coupling flow."""
    widths, activation = tuple(settings["flow_widths"]), settings["activation"]
    if flow == "mdn":
        return _mixture.Shape(components=int(settings["components"]), widths=widths, activation=activation)
    transform: _autoregressive.Transform = "spline" if flow.endswith("spline") else "affine"
    layers, bins = int(settings["layers"]), int(settings["bins"])
    if flow.startswith("maf") or size == 1:
        return _autoregressive.Shape(
            layers=layers, widths=widths, transform=transform, bins=bins, activation=activation
        )
    return {"layers": layers, "widths": widths, "transform": transform, "bins": bins, "activation": activation}


def _masked(shape: _autoregressive.Shape, arrays: Mapping[str, np.ndarray], size: int) -> Flow:
    """Evaluate a masked autoregressive flow."""

    def log_prob(x: jax.Array, context: jax.Array) -> jax.Array:
        z, log_jacobian = _autoregressive.forward(arrays, shape, x, context, prefix=_PREFIX)
        return _autoregressive.log_base(z) + log_jacobian

    def sample(key: Any, context: jax.Array, *, n: int) -> tuple[jax.Array, jax.Array]:
        z = jax.random.normal(key, (n, size), dtype=context.dtype)
        x, log_jacobian = _autoregressive.inverse(arrays, shape, z, context, prefix=_PREFIX)
        return x, _autoregressive.log_base(z) + log_jacobian

    return Flow(log_prob=log_prob, sample=sample)


def _mixture_of(shape: _mixture.Shape, arrays: Mapping[str, np.ndarray], size: int) -> Flow:
    """Evaluate a mixture density network."""

    def log_prob(x: jax.Array, context: jax.Array) -> jax.Array:
        return _mixture.log_density(_mixture.normals(arrays, shape, context, size=size, prefix=_PREFIX), x)

    def sample(key: Any, context: jax.Array, *, n: int) -> tuple[jax.Array, jax.Array]:
        mixture = _mixture.normals(arrays, shape, context, size=size, prefix=_PREFIX)
        x = _mixture.draw(key, mixture, n=n)
        return x, _mixture.log_density(mixture, x)

    return Flow(log_prob=log_prob, sample=sample)


def _coupling(shape: dict, arrays: Mapping[str, np.ndarray], size: int, context: int) -> Flow:
    """Evaluate BayesFlow's coupling flow with the weights put back; it computes in float32."""
    from firstpassage.estimators import _flow_layers

    network = _flow_layers.SeededCouplingFlow(**shape)
    network.build((None, size), (None, context))
    for i, variable in enumerate(network.trainable_variables):
        variable.assign(arrays[f"{_PREFIX}/{i}"])

    def log_prob(x: jax.Array, conditions: jax.Array) -> jax.Array:
        batch = x.shape[:-1]
        rows = jnp.broadcast_to(conditions, (*batch, context)).reshape(-1, context)
        return network.log_prob(x.reshape(-1, size), conditions=rows).reshape(batch)

    def sample(key: Any, conditions: jax.Array, *, n: int) -> tuple[jax.Array, jax.Array]:
        z = jax.random.normal(key, (n, size), dtype=conditions.dtype)
        return network(z, conditions=jnp.broadcast_to(conditions, (n, context)), inverse=True, density=True)

    return Flow(log_prob=log_prob, sample=sample)
