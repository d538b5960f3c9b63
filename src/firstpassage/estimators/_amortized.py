"""BayesFlow's BasicEstimator for posteriors: a summary network of ours, and a flow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage.estimators import _flow_layers, _flows, _forward  # noqa: E402


@serializable("firstpassage.estimators")
class MomentNetwork(bf.networks.SummaryNetwork):
    """Learn summaries from the fixed statistics of a set of trials: a residual perceptron.

    Parameters
    ----------
    widths : sequence of int
        Hidden widths.
    size : int
        Number of learned summaries.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    """

    def __init__(
        self, widths: tuple[int, ...], size: int, activation: str = "silu", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.widths, self.size, self.activation, self.seed = tuple(widths), size, activation, seed

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"widths": list(self.widths), "size": self.size, "activation": self.activation, "seed": self.seed}
        return super().get_config() | own

    def build(self, input_shape: Any) -> None:
        """Make the weights for so many statistics."""
        rng = np.random.default_rng(self.seed)
        sizes = (input_shape[-1], *self.widths)
        first: dict[str, np.ndarray] = {}
        for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
            first |= _layer(f"summary/{i}", before, after, rng)
        first |= _layer("summary/head", sizes[-1], self.size, rng)
        self.named = _flow_layers.hold(self, first)
        self.fixed = {f"summary/{i}/skip": np.ones((), np.float32) for i in _same(sizes)}

    def call(self, x: Any, training: bool = False, **_: Any) -> Any:
        """Give the learned summaries (dataset, size)."""
        del training
        weights = _flow_layers.values(self) | self.fixed
        return _forward.outputs(weights, "summary", x, activation=self.activation)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


class AmortizedPosterior(bf.estimators.BasicEstimator):
    """Put summary network and flow together, with our names for all weights."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the posterior."""
        summary = _flow_layers.arrays(self.summary_network) | self.summary_network.fixed
        return summary | _flows.exported(self.inference_network) | self.scaling

    def scale_by(self, features: np.ndarray) -> None:
        """Keep centre and scale of the fixed statistics, by which data are standardised before the network."""
        spread = np.maximum(features.std(0), 1e-6)
        self.scaling = {"features/set": np.stack([features.mean(0), spread]).astype(np.float32)}


def _layer(name: str, before: int, after: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw one layer's weights."""
    kernel = rng.normal(0, math.sqrt(2 / before), (before, after)).astype(np.float32)
    return {f"{name}/kernel": kernel, f"{name}/bias": np.zeros(after, np.float32)}


def _same(sizes: tuple[int, ...]) -> list[int]:
    """List the hidden layers whose input is as wide as their output: they get a skip connection."""
    return [i for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)) if before == after]
