"""BayesFlow's RatioEstimator, with symmetries in the network and all candidates in one pass.

References
----------
Miller, Weniger and Forre (2022), Contrastive Neural Ratio Estimation, NeurIPS, eq. 7: the loss (NRE-C).
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

from firstpassage.estimators._features import Features  # noqa: E402
from firstpassage.estimators._forward import export  # noqa: E402
from firstpassage.estimators._statistic_ratio import Around  # noqa: E402

_IMPOSSIBLE = -1e4  # log ratio of data that the parameters exclude; finite, so that its gradient is zero


class ContrastiveRatio(bf.RatioEstimator):
    """Split the log ratio into a pair term, the log scale, and a term of the data alone.

    log r(x, theta) = pair(invariants(x, theta)) + log_scale(x, theta) + alone(evidence(x)), so that symmetries hold
    exactly and the evidence need not be learned through every candidate.
    """

    def __init__(
        self,
        *,
        features: Features,
        names: Sequence[str],
        network: Any,
        evidence_network: Any,
        adapter: bf.Adapter,
        K: int,
        gamma: float,
        seed: int,
        around: Around | None = None,
    ) -> None:
        super().__init__(inference_network=network, adapter=adapter, K=K, gamma=gamma, standardize=None)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.evidence_network = evidence_network
        self.evidence_projector = keras.layers.Dense(1)
        self.features, self.names, self.around = features, tuple(names), around

    def build(self, data_shapes: Any) -> None:
        """Build both networks for the features' sizes."""
        del data_shapes
        for network, head, size in (
            (self.inference_network, self.projector, self.features.pair.shape[1]),
            (self.evidence_network, self.evidence_projector, self.features.alone.shape[1]),
        ):
            network.build((None, size))
            head.build(network.compute_output_shape((None, size)))
        self.standardizer.build({})
        self.built = True

    def pair(self, theta: Any, x: Any, *, training: bool) -> Any:
        """Give the part of the log ratio that depends on theta (..., parameter) and x (..., column)."""
        values = {name: theta[..., i] for i, name in enumerate(self.names)}
        hidden = self.inference_network(self.features.of_pair(x, values), training=training)
        logits = self.projector(hidden)[..., 0] + self.features.symmetry.log_scale(x, values)
        return jnp.where(self.features.symmetry.possible(x, values), logits, _IMPOSSIBLE)

    def alone(self, x: Any, *, training: bool) -> Any:
        """Give the part of the log ratio that depends on the data alone: minus the log evidence."""
        return self.evidence_projector(self.evidence_network(self.features.of_data(x), training=training))[..., 0]

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the log ratio without Keras."""
        return (
            export(self.inference_network, self.projector, "pair")
            | export(self.evidence_network, self.evidence_projector, "alone")
            | {"features/pair": self.features.pair, "features/alone": self.features.alone}
        )

    def logits(self, inference_variables: Any, inference_conditions: Any, stage: str, **kwargs: Any) -> Any:
        """Give the log ratio, as `RatioEstimator.log_ratio` calls it."""
        del kwargs
        training = stage == "training"
        theta, x = jnp.asarray(inference_variables), jnp.asarray(inference_conditions)
        return self.pair(theta, x, training=training) + self.alone(x, training=training)

    def compute_metrics(
        self, inference_variables: Any, inference_conditions: Any, stage: str = "training", **kwargs: Any
    ) -> dict[str, Any]:
        """Compute the NRE-C loss: every row against itself and K other rows of the batch, in one pass."""
        del kwargs
        theta, x = jnp.asarray(inference_variables), jnp.asarray(inference_conditions)
        rows, training = theta.shape[0], stage == "training"
        if self.around is not None:
            logits = self._among_guesses(self.around, theta, x, training=training)
            return self._with_layer_losses(jnp.mean(loss(logits, gamma=self.gamma)))
        shifts = jnp.arange(1, self.K + 1)  # fixed candidates make validation losses comparable
        if training:
            shifts = keras.random.shuffle(keras.ops.arange(1, rows), seed=self.seed_generator)[: self.K]
        partner = (jnp.arange(rows)[:, None] + jnp.concatenate([jnp.zeros(1, int), jnp.asarray(shifts)])[None]) % rows
        logits = self.pair(theta[partner], x[:, None], training=training) + self.alone(x, training=training)[:, None]
        return self._with_layer_losses(jnp.mean(loss(logits, gamma=self.gamma)))

    def _among_guesses(self, around: Around, theta: Any, x: Any, *, training: bool) -> Any:
        """Give the log of posterior over candidates' density, (row, K + 1), of every row and of K drawn around it."""
        seed = iter(range(1, 9))  # fixed candidates make validation losses comparable

        def uniform(shape: tuple[int, ...]) -> Any:
            return keras.random.uniform(shape, seed=self.seed_generator if training else next(seed))

        own = around.place({name: theta[..., i] for i, name in enumerate(self.names)}, uniform=uniform)
        z = jnp.concatenate([own[:, None], around.draw(x, self.K, uniform=uniform)], axis=1)
        values = around.joint.parameters(z)
        every = jnp.stack([values[name] for name in self.names], axis=-1)
        log_ratio = self.pair(every, x[:, None], training=training) + self.alone(x, training=training)[:, None]
        return log_ratio - around.log_density(x[:, None], z)


def loss(logits: Any, *, gamma: float) -> Any:
    """Classify which of K candidates, if any, made the data: (row, K + 1), the true one first."""
    weighted = jnp.log(gamma) + logits
    nobody = jnp.full((logits.shape[0], 1), jnp.log(logits.shape[1] - 1))
    joint = _log_sum_exp(weighted[:, :-1], nobody) - weighted[:, 0]
    marginal = _log_sum_exp(weighted[:, 1:], nobody) - nobody[:, 0]
    return (gamma * joint + marginal) / (1 + gamma)


def _log_sum_exp(candidates: Any, nobody: Any) -> Any:
    """Sum over the candidates and the case that none of them made the data."""
    everything = jnp.concatenate([candidates, nobody], axis=1)
    top = jnp.max(everything, axis=1)
    return top + jnp.log(jnp.sum(jnp.exp(everything - top[:, None]), axis=1))
