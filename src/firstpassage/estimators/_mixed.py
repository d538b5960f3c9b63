"""A BayesFlow estimator of mixed data: the probability of a category, and the density of a value given it.

References
----------
Boelts, Lueckmann, Gao and Macke (2022), Flexible and efficient simulation-based inference for models of
decision-making, eLife 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from firstpassage.estimators import _mixed_density, _univariate  # noqa: E402
from firstpassage.estimators._forward import export  # noqa: E402


class MixedEstimator(bf.BasicEstimator):
    """Minus the mean log density of trials given parameters, in nats, as the loss of two perceptrons."""

    def __init__(
        self,
        *,
        coordinates: _mixed_density.Coordinates,
        family: _univariate.Shape,
        names: Sequence[str],
        value_network: Any,
        choice_network: Any,
        adapter: bf.Adapter,
    ) -> None:
        super().__init__(inference_network=value_network, adapter=adapter, standardize=None)
        self.choice_network = choice_network
        self.value_head, self.choice_head = keras.layers.Dense(family.numbers), keras.layers.Dense(1)
        self.coordinates, self.family, self.names = coordinates, family, tuple(names)

    def build(self, data_shapes: Any) -> None:
        """Build both networks for the number of features."""
        del data_shapes
        shape = (None, self.coordinates.features.shape[1])
        for network, head in ((self.inference_network, self.value_head), (self.choice_network, self.choice_head)):
            network.build(shape)
            head.build(network.compute_output_shape(shape))
        self.standardizer.build({})
        self.built = True

    def compute_metrics(
        self, inference_variables: Any, inference_conditions: Any, stage: str = "training", **kwargs: Any
    ) -> dict[str, Any]:
        """Compute the loss of trials (n, column) given parameters (n, parameter)."""
        del kwargs
        training = stage == "training"
        networks = _mixed_density.Networks(
            choice=lambda h: self.choice_head(self.choice_network(h, training=training))[..., 0],
            value=lambda h: self.value_head(self.inference_network(h, training=training)),
        )
        x, conditions = jnp.asarray(inference_variables), jnp.asarray(inference_conditions)
        theta = {name: conditions[:, i] for i, name in enumerate(self.names)}
        log_density = _mixed_density.log_density(networks, self.coordinates, self.family, x, theta)
        return self._with_layer_losses(-jnp.mean(log_density))

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the density without Keras."""
        return (
            export(self.inference_network, self.value_head, "value")
            | export(self.choice_network, self.choice_head, "choice")
            | {"features/category": self.coordinates.features, "features/value": self.coordinates.value}
        )

    def draw_weights(self, rng: np.random.Generator) -> None:
        """Draw all first weights from our generator; the heads start small, so that the first densities are mild."""
        heads = {id(head.kernel) for head in (self.value_head, self.choice_head)}
        for variable in self.trainable_variables:
            spread = np.sqrt(2 / variable.shape[0]) if len(variable.shape) == 2 else 0.0
            variable.assign(rng.normal(0, 1, variable.shape) * (0.1 * spread if id(variable) in heads else spread))


def perceptron(widths: tuple[int, ...], activation: str) -> bf.networks.MLP:
    """Make one of the two networks: BayesFlow's MLP without dropout and skip connections."""
    return bf.networks.MLP(widths, activation=activation, residual=False, dropout=None)
