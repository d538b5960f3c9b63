"""Our conditional densities as serialisable BayesFlow inference networks.

The mathematics is plain JAX (`_autoregressive`), shared with what users evaluate; Keras holds and trains the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage.estimators import _autoregressive  # noqa: E402


@serializable("firstpassage.estimators")
class AutoregressiveFlow(bf.networks.InferenceNetwork):
    """Masked autoregressive flow, affine or with splines, which BayesFlow lacks.

    Parameters
    ----------
    layers : int
        Turns through all coordinates, in alternating order.
    widths : sequence of int
        Hidden widths of each masked perceptron.
    transform : {"affine", "spline"}
        What is done to each coordinate given those before it.
    bins : int
        Of the splines.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.

    References
    ----------
    Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation, NeurIPS.
    """

    def __init__(
        self,
        layers: int = 5,
        widths: tuple[int, ...] = (64, 64),
        transform: _autoregressive.Transform = "affine",
        bins: int = 8,
        activation: str = "silu",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.layers, self.widths, self.transform, self.bins = layers, tuple(widths), transform, bins
        self.activation = activation
        self.shape = _autoregressive.Shape(
            layers=layers, widths=self.widths, transform=transform, bins=bins, activation=activation
        )

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"layers": self.layers, "widths": list(self.widths), "transform": self.transform, "bins": self.bins}
        return super().get_config() | own | {"activation": self.activation}

    def build(self, xz_shape: Any, conditions_shape: Any = None) -> None:
        """Make the weights for the sizes of data and conditions."""
        if self.built:
            return
        context = 0 if conditions_shape is None else conditions_shape[-1]
        rng = np.random.default_rng(self.seed)
        first = _autoregressive.initial(self.shape, size=xz_shape[-1], context=context, rng=rng, prefix="flow")
        self.named = hold(self, first)
        self.base_distribution.build(xz_shape)

    def _forward(self, x: Any, conditions: Any = None, density: bool = False, training: bool = False, **_: Any) -> Any:
        """Map data to the base."""
        del training
        z, log_jacobian = _autoregressive.forward(values(self), self.shape, x, conditions, prefix="flow")
        return (z, self.base_distribution.log_prob(z) + log_jacobian) if density else z

    def _inverse(self, z: Any, conditions: Any = None, density: bool = False, training: bool = False, **_: Any) -> Any:
        """Map the base to data."""
        del training
        x, log_jacobian = _autoregressive.inverse(values(self), self.shape, z, conditions, prefix="flow")
        return (x, self.base_distribution.log_prob(z) + log_jacobian) if density else x

    def compute_metrics(
        self, x: Any, conditions: Any = None, sample_weight: Any = None, stage: str = "training", **_: Any
    ) -> dict[str, Any]:
        """Compute the loss: minus the mean log density."""
        _, log_density = self(x, conditions=conditions, density=True, training=stage == "training")
        return {"loss": bf.utils.weighted_mean(-log_density, sample_weight)}


def hold(layer: keras.Layer, arrays: dict[str, np.ndarray]) -> dict[str, keras.Variable]:
    """Put arrays into a layer as trainable variables with the same names."""
    held = {}
    for name, value in arrays.items():
        held[name] = layer.add_weight(shape=value.shape, initializer="zeros", name=name.replace("/", "_"))
        held[name].assign(value)
    return held


def values(layer: Any) -> dict[str, Any]:
    """Give the present values of a layer's named variables."""
    return {name: jnp.asarray(variable.value) for name, variable in layer.named.items()}


def arrays(layer: Any) -> dict[str, np.ndarray]:
    """Copy a layer's named variables."""
    return {name: np.asarray(variable) for name, variable in layer.named.items()}
