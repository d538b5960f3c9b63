"""A BayesFlow estimator of sequences of decisions: the cross-entropy of a hazard network, in nats per decision."""

from __future__ import annotations

from typing import Any

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage import seeds  # noqa: E402
from firstpassage.estimators import _features, _flow_layers, _hazard  # noqa: E402
from firstpassage.estimators._stream import Feed  # noqa: E402
from firstpassage.models.model import Model  # noqa: E402
from firstpassage.models.records import Decisions  # noqa: E402


@serializable("firstpassage.estimators")
class HazardNetwork(keras.Layer):
    """Hold and train the weights of a hazard network.

    Parameters
    ----------
    widths : sequence of int
        Hidden widths of each of the two perceptrons.
    memory : int
        Units of the recurrent memory.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    """

    def __init__(
        self, widths: tuple[int, ...], memory: int, activation: str = "silu", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shape = _hazard.Shape(widths=tuple(widths), memory=memory, activation=activation)
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"widths": list(self.shape.widths), "memory": self.shape.memory, "activation": self.shape.activation}
        return super().get_config() | own | {"seed": self.seed}

    def build(self, input_shape: Any) -> None:
        """Make the weights for so many features."""
        rng = np.random.default_rng(self.seed)
        self.named = _flow_layers.hold(self, _hazard.initial(self.shape, inputs=input_shape[-1], rng=rng))

    def call(self, inputs: Any, begins: Any) -> Any:
        """Give the logits (..., step)."""
        return _hazard.logits(_flow_layers.values(self), self.shape, inputs, begins)


class HazardEstimator(bf.BasicEstimator):
    """Minus the mean log probability of a decision, in nats, as the loss of a hazard network."""

    def scale_by(self, conditions: np.ndarray, steps: np.ndarray) -> None:
        """Keep centre and scale of parameters (n, parameter) and steps (n, step, feature)."""
        flat = steps.reshape(-1, steps.shape[-1])
        self.scaling = {"features/theta": _features.moments(conditions), "features/steps": _features.moments(flat)}

    def build(self, data_shapes: Any) -> None:
        """Build the network for the numbers of parameters and of features of a step."""
        del data_shapes
        p, f = (self.scaling[name].shape[1] for name in ("features/theta", "features/steps"))
        self.inference_network.build((None, None, p + f + p * f + p * (p + 1) // 2))
        self.inference_network.built = True
        self.standardizer.build({})
        self.built = True

    def compute_metrics(
        self, inference_variables: Any, inference_conditions: Any, stage: str = "training", **kwargs: Any
    ) -> dict[str, Any]:
        """Compute the loss of sequences (n, step, feature + 2), whose last two say decision and beginning."""
        del stage, kwargs
        sequences = jnp.asarray(inference_variables)
        inputs = _hazard.features(jnp.asarray(inference_conditions), sequences[..., :-2], self.scaling)
        logit = self.inference_network(inputs, sequences[..., -1])
        return self._with_layer_losses(-jnp.mean(_hazard.log_probability(logit, sequences[..., -2])))

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the density without Keras."""
        return _flow_layers.arrays(self.inference_network) | self.scaling


def estimator(decisions: Decisions, model: Model, *, shape: _hazard.Shape, seed: int) -> tuple[HazardEstimator, Feed]:
    """Build the estimator with weights drawn from the seed, and its feed of simulated sequences."""

    def feed(n: int, purpose: str) -> dict[str, np.ndarray]:
        theta = decisions.emphasis(model.prior(n, seed=seeds.derive(seed, f"prior: {purpose}")))
        data = model.likelihood(theta, trials=1, seed=seeds.derive(seed, f"data: {purpose}"))
        steps, decision, begins = decisions.of_simulation(data)
        conditions = np.asarray(decisions.conditions(theta), np.float32)
        sequences = np.concatenate([steps, decision[..., None], begins[..., None]], axis=-1, dtype=np.float32)
        return {"inference_variables": sequences, "inference_conditions": conditions}

    probe = feed(1024, "features")
    network = HazardNetwork(shape.widths, shape.memory, shape.activation, seed=seeds.derive(seed, "weights") % 2**32)
    made = HazardEstimator(inference_network=network, standardize=None)
    made.scale_by(probe["inference_conditions"], probe["inference_variables"][..., :-2])
    made.build({})
    return made, feed
