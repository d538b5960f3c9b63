"""Our conditional densities as serialisable BayesFlow inference networks.

The mathematics is plain JAX (`_autoregressive`, `_mixture`), shared with what users evaluate; Keras holds and trains
the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
from bayesflow.utils.keras_utils import resolve_seed  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage.estimators import _autoregressive, _mixture  # noqa: E402


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


@serializable("firstpassage.estimators")
class MixtureDensity(bf.networks.InferenceNetwork):
    """Mixture density network: normals with full covariances, which no base distribution is mapped to.

    Parameters
    ----------
    components : int
        Normals in the mixture.
    widths : sequence of int
        Hidden widths of the perceptron.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.

    References
    ----------
    Bishop (1994), Mixture density networks, Aston University.
    """

    def __init__(
        self,
        components: int = 8,
        widths: tuple[int, ...] = (64, 64),
        activation: str = "silu",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.components, self.widths, self.activation = components, tuple(widths), activation
        self.shape = _mixture.Shape(components=components, widths=self.widths, activation=activation)

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"components": self.components, "widths": list(self.widths), "activation": self.activation}
        return super().get_config() | own

    def build(self, xz_shape: Any, conditions_shape: Any = None) -> None:
        """Make the weights for the sizes of data and conditions."""
        if self.built:
            return
        self.size, context = xz_shape[-1], 0 if conditions_shape is None else conditions_shape[-1]
        rng = np.random.default_rng(self.seed)
        self.named = hold(self, _mixture.initial(self.shape, size=self.size, context=context, rng=rng, prefix="flow"))
        self.base_distribution.build(xz_shape)

    def _forward(self, x: Any, conditions: Any = None, density: bool = False, training: bool = False, **_: Any) -> Any:
        """Evaluate the density; the data themselves stand for the place in the base."""
        del training
        return (x, _mixture.log_density(self._normals(x.shape[:-1], conditions), x)) if density else x

    def sample(self, batch_shape: Any, conditions: Any = None, seed: Any = None, **_: Any) -> Any:
        """Draw from the mixture of each condition: (*batch_shape, size)."""
        seed = resolve_seed(seed, self.seed_generator)
        mixture = self._normals(tuple(batch_shape), conditions)
        logits = jnp.broadcast_to(mixture.log_weights, (*batch_shape, self.components))
        chosen = keras.random.categorical(logits.reshape(-1, self.components), 1, seed=seed)
        z = keras.random.normal((*batch_shape, self.size), seed=seed)
        return _mixture.place(mixture, chosen.reshape(batch_shape), z)

    def _normals(self, batch: tuple[int, ...], conditions: Any) -> _mixture.Normals:
        """Describe the mixture of each row."""
        context = jnp.zeros((*batch, 0)) if conditions is None else jnp.asarray(conditions)
        return _mixture.normals(values(self), self.shape, context, size=self.size, prefix="flow")

    def compute_metrics(
        self, x: Any, conditions: Any = None, sample_weight: Any = None, stage: str = "training", **_: Any
    ) -> dict[str, Any]:
        """Compute the loss: minus the mean log density."""
        _, log_density = self(x, conditions=conditions, density=True, training=stage == "training")
        return {"loss": bf.utils.weighted_mean(-log_density, sample_weight)}


@serializable("firstpassage.estimators")
class SeededCouplingFlow(bf.networks.CouplingFlow):
    """BayesFlow's coupling flow, of which nothing depends on a global generator.

    Parameters
    ----------
    layers : int
        Pairs of couplings, with the two halves swapped after each.
    widths : sequence of int
        Hidden widths of each coupling's perceptron.
    transform : {"affine", "spline"}
        What is done to one half given the other.
    bins : int
        Of the splines.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    """

    def __init__(
        self,
        layers: int = 5,
        widths: tuple[int, ...] = (64, 64),
        transform: _autoregressive.Transform = "spline",
        bins: int = 8,
        activation: str = "silu",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        spline = {"bins": bins, "default_domain": (-5.0, 5.0, -5.0, 5.0)} if transform == "spline" else None
        super().__init__(
            subnet="mlp", depth=layers, transform=transform, permutation="swap", transform_kwargs=spline,
            subnet_kwargs={"widths": tuple(widths), "activation": activation, "dropout": None, "residual": False},
            seed=seed, **kwargs,
        )  # fmt: skip
        self.own = {"layers": layers, "widths": list(widths), "transform": transform, "bins": bins}
        self.own |= {"activation": activation}

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        return bf.networks.InferenceNetwork.get_config(self) | self.own

    def build(self, xz_shape: Any, conditions_shape: Any = None) -> None:
        """Build BayesFlow's layers, and draw the hidden kernels from the seed; all other weights start constant."""
        if self.built:
            return
        super().build(xz_shape, conditions_shape)
        rng = np.random.default_rng(self.seed)
        for variable in self.trainable_variables:
            if len(variable.shape) == 2 and "output_projector" not in variable.path:
                variable.assign(rng.normal(0, np.sqrt(2 / variable.shape[0]), variable.shape))


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
