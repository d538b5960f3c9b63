"""Mixed neural likelihood in plain JAX: log P(category | theta) + log density of the value given category and theta.

References
----------
Boelts, Lueckmann, Gao and Macke (2022), Flexible and efficient simulation-based inference for models of
decision-making, eLife 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.errors import ModelError
from firstpassage.estimators import _forward, _univariate
from firstpassage.estimators._features import moments
from firstpassage.models.model import Mixed

_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False, kw_only=True)
class Coordinates:
    """What the networks are given, standardised: centre and scale (2, feature) of features and (2,) of the value."""

    mixed: Mixed
    features: np.ndarray
    value: np.ndarray

    def inputs(self, theta: Mapping[str, Any], category: Any) -> jax.Array:
        """Give the networks' input for a category: (..., feature)."""
        return (self.mixed.features(theta, category) - self.features[0]) / self.features[1]

    def output(self, x: Any, theta: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        """Give the standardised coordinate of the value, and its log Jacobian."""
        u, log_jacobian = self.mixed.value(x, theta)
        return (u - self.value[0]) / self.value[1], log_jacobian - float(np.log(self.value[1]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Networks:
    """The two functions of inputs (..., feature): a logit (...,), and the numbers (..., number) of a density."""

    choice: Callable[[jax.Array], jax.Array]
    value: Callable[[jax.Array], jax.Array]


def fit(mixed: Mixed, theta: Mapping[str, np.ndarray], x: np.ndarray) -> Coordinates:
    """Measure centre and scale on simulated pairs: theta (n,), x (n, column)."""
    values, data = {k: jnp.asarray(v, jnp.float32) for k, v in theta.items()}, jnp.asarray(x, jnp.float32)
    features = mixed.features(values, mixed.category(data))
    u, _ = mixed.value(data, values)
    return Coordinates(mixed=mixed, features=moments(features), value=moments(u[:, None])[:, 0])


def check(mixed: Mixed, theta: Mapping[str, np.ndarray], x: np.ndarray) -> None:
    """Refuse a record that does not fit simulated pairs, or is not consistent: its density would not be one."""
    with jax.enable_x64():
        values, data = {k: jnp.asarray(v, jnp.float64) for k, v in theta.items()}, jnp.asarray(x, jnp.float64)
        u, log_jacobian = mixed.value(data, values)
        category = mixed.category(data)
        again, slope = jax.jvp(lambda u: mixed.inverse(u, category, values), (u,), (jnp.ones_like(u),))
        inverted = -jnp.log(jnp.sqrt(jnp.sum(slope**2, axis=-1)))
        wrong = {
            "categories do not list every code that category(x) gives": ~is_category(mixed, data).any(-1),
            "possible(x, theta) excludes simulated data": ~mixed.possible(data, values),
            "inverse(u, category, theta) does not undo value(x, theta)": jnp.abs(again - data).max(-1) > _TOLERANCE,
            "the log Jacobian of value is not the log slope of u": ~(jnp.abs(inverted - log_jacobian) <= _TOLERANCE),
        }
    for what, rows in wrong.items():
        if bool(rows.any()):
            raise ModelError(
                f"the model's mixed record must fit its simulator: {what}, for {int(rows.sum())} of {len(x)} simulated "
                f"pairs (first: {dict(x=x[int(rows.argmax())].tolist())}). Correct the record."
            )


def log_density(
    networks: Networks, coordinates: Coordinates, family: _univariate.Shape, x: Any, theta: Mapping[str, Any]
) -> jax.Array:
    """Evaluate the log density of every trial (...,), finite where the data are impossible.

    Where all trials share the features, the networks run once for each category instead of once for each trial.
    """
    mixed = coordinates.mixed
    inputs = [coordinates.inputs(theta, category) for category in mixed.categories]
    log_choice = jax.nn.log_softmax(jnp.stack([networks.choice(each) for each in inputs], axis=-1), axis=-1)
    own = is_category(mixed, x).astype(log_choice.dtype)
    if inputs[0].ndim == 1:
        by_category = _univariate.ready(family, networks.value(jnp.stack(inputs)))
        density = tuple(own @ numbers for numbers in by_category)
    else:
        density = _univariate.ready(family, networks.value(coordinates.inputs(theta, mixed.category(x))))
    u, log_jacobian = coordinates.output(x, theta)
    return jnp.sum(own * log_choice, axis=-1) + _univariate.log_density(family, u, density) + log_jacobian


def is_category(mixed: Mixed, x: Any) -> jax.Array:
    """Tell the category of each trial: (..., category) of bool."""
    return mixed.category(x)[..., None] == jnp.asarray(mixed.categories)


def make(
    mixed: Mixed, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any]
) -> Callable[[Any, Mapping[str, Any]], jax.Array]:
    """Make the per-trial log density from weights; -inf, with a zero gradient, where the data are impossible."""
    family = _univariate.shape(settings["flow"], bins=settings["bins"], components=settings["components"])
    coordinates = Coordinates(mixed=mixed, features=arrays["features/category"], value=arrays["features/value"])
    activation = settings["activation"]
    networks = Networks(
        choice=lambda h: _forward.perceptron(arrays, "choice", h, activation=activation),
        value=lambda h: _forward.outputs(arrays, "value", h, activation=activation),
    )

    def density(x: Any, theta: Mapping[str, Any]) -> jax.Array:
        total = log_density(networks, coordinates, family, x, theta)
        return jnp.where(mixed.possible(x, theta) & is_category(mixed, x).any(-1), total, -jnp.inf)

    return density
