"""A BayesFlow estimator of ratios of sequences of decisions, by contrast (NRE-C), and what it is fed with.

Sequences of any length are laid end to end in packs of equally many steps. All of them have the same law given their
parameters: those that begin early enough in a simulated trial to be followed for a fixed number of steps, where they
are cut off. Their contrasting parameters are those of other such sequences, so that both have the same distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage import seeds  # noqa: E402
from firstpassage.estimators import _contrastive, _decision_ratio, _features, _flow_layers  # noqa: E402
from firstpassage.estimators._stream import Feed  # noqa: E402
from firstpassage.models.model import Model  # noqa: E402
from firstpassage.models.records import Decisions  # noqa: E402

_FOLLOWED = 0.8  # share of a simulated trial for which a sequence is followed
_FIRST = 4  # sequences taken of each simulated trial
_GROUP = 2048  # trials simulated at a time


@serializable("firstpassage.estimators")
class DecisionRatioNetwork(keras.Layer):
    """Hold and train the weights of a ratio of decisions.

    Parameters
    ----------
    widths, evidence_widths : sequence of int
        Hidden widths of the network of pairs, and of that of the data alone.
    products : int
        Products of parameters and steps.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        evidence_widths: tuple[int, ...],
        products: int,
        activation: str = "silu",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = _decision_ratio.Shape(
            widths=tuple(widths), evidence_widths=tuple(evidence_widths), products=products, activation=activation
        )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"widths": list(self.shape.widths), "evidence_widths": list(self.shape.evidence_widths)}
        rest = {"products": self.shape.products, "activation": self.shape.activation, "seed": self.seed}
        return super().get_config() | own | rest

    def build(self, parameters: Any, steps: Any) -> None:
        """Make the weights for shapes (..., parameter) and (..., feature)."""
        rng = np.random.default_rng(self.seed)
        first = _decision_ratio.initial(self.shape, parameters=parameters[-1], steps=steps[-1], rng=rng)
        self.named = _flow_layers.hold(self, first)
        self.built = True

    def call(self, conditions: Any, steps: Any, decision: Any, begins: Any, together: Any) -> Any:
        """Give the log ratio of each sequence with each candidate (pack, sequence, candidate)."""
        arrays = _flow_layers.values(self)
        history = _decision_ratio.seen(steps, begins)
        each = _decision_ratio.pair(arrays, self.shape, conditions, history[..., None, :], decision[..., None])
        return together(each) + _decision_ratio.alone(arrays, self.shape, history, decision, together)[..., None]


class DecisionRatioEstimator(bf.BasicEstimator):
    """The NRE-C loss of packed sequences, whose first candidate is the true one."""

    def __init__(self, *, gamma: float, **kwargs: Any) -> None:
        super().__init__(standardize=None, **kwargs)
        self.gamma = gamma

    def scale_by(self, conditions: np.ndarray, steps: np.ndarray) -> None:
        """Keep centre and scale of parameters (..., parameter) and steps (..., feature)."""
        self.scaling = {"features/theta": _features.moments(conditions), "features/steps": _features.moments(steps)}

    def build(self, data_shapes: Any) -> None:
        """Build the network for the numbers of parameters and of features of a step."""
        del data_shapes
        p, f = (self.scaling[name].shape[1] for name in ("features/theta", "features/steps"))
        self.inference_network.build((None, p), (None, f))
        self.inference_network.built = True
        self.standardizer.build({})
        self.built = True

    def compute_metrics(
        self, inference_variables: Any, inference_conditions: Any, stage: str = "training", **kwargs: Any
    ) -> dict[str, Any]:
        """Compute the loss of packs (n, step, feature + 3), whose last three say decision, beginning and presence."""
        del stage, kwargs
        packs = jnp.asarray(inference_variables)
        steps = _decision_ratio.scaled(packs[..., :-3], self.scaling["features/steps"])
        conditions = _decision_ratio.scaled(jnp.asarray(inference_conditions), self.scaling["features/theta"])
        decision, begins, present = jnp.moveaxis(packs[..., -3:], -1, 0)
        place = jnp.cumsum(begins, axis=-1) - 1
        own = (place[:, None] == jnp.arange(packs.shape[1])[None, :, None]) & (present[:, None] > 0)
        member = own.astype(steps.dtype)  # (pack, sequence, step)
        logits = self.inference_network.call(conditions, steps, decision, begins, lambda h: member @ h)
        loss = _contrastive.loss(logits.reshape(-1, logits.shape[-1]), gamma=self.gamma)
        there = member.max(-1).reshape(-1)
        return self._with_layer_losses(jnp.sum(jnp.where(there > 0, loss, 0.0)) / jnp.sum(there))

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the log ratio without Keras."""
        return _flow_layers.arrays(self.inference_network) | self.scaling


@dataclass(frozen=True, eq=False, kw_only=True)
class Sequences:
    """Simulate sequences of decisions that all have the same law given their parameters."""

    decisions: Decisions
    model: Model
    seed: int

    def draw(self, steps: int, *, purpose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Simulate until there are so many steps: parameters (sequence, p), lengths (sequence,), steps (all, f + 1)."""
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        total, group = 0, 0
        while total < steps:
            found.append(self._group(f"{purpose}: {group}"))
            total, group = total + len(found[-1][2]), group + 1
        conditions, lengths, values = (np.concatenate(part) for part in zip(*found, strict=True))
        return conditions, lengths, values

    def _group(self, purpose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Simulate one group of trials, and cut the sequences out."""
        theta = self.decisions.emphasis(self.model.prior(_GROUP, seed=seeds.derive(self.seed, f"prior: {purpose}")))
        data = self.model.likelihood(theta, trials=1, seed=seeds.derive(self.seed, f"data: {purpose}"))
        steps, decision, begins = self.decisions.of_simulation(data)
        n = decision.shape[1]
        followed = max(1, int(_FOLLOWED * n))
        number = np.cumsum(begins > 0, axis=1)  # of the sequence, from 1
        first = np.maximum.accumulate(np.where(begins > 0, np.arange(n), 0), axis=1)
        kept = (number <= _FIRST) & (first <= n - followed) & (np.arange(n) - first < followed)
        which = np.arange(_GROUP)[:, None] * (n + 1) + number
        rows, lengths = np.unique(which[kept], return_counts=True)
        conditions = np.asarray(self.decisions.conditions(theta), np.float32)[rows // (n + 1)]
        return conditions, lengths, np.concatenate([steps, decision[..., None]], axis=-1)[kept].astype(np.float32)


def estimator(
    decisions: Decisions, model: Model, *, shape: _decision_ratio.Shape, candidates: int, gamma: float, seed: int
) -> tuple[DecisionRatioEstimator, Feed]:
    """Build the estimator with weights drawn from the seed, and its feed of packed sequences."""
    source = Sequences(decisions=decisions, model=model, seed=seed)
    size = decisions.of_simulation(model.likelihood(model.prior(1, seed=0), trials=1, seed=0))[1].shape[1]

    def feed(n: int, purpose: str) -> dict[str, np.ndarray]:
        conditions, lengths, values = source.draw(n * size * 5 // 4, purpose=purpose)
        if _places(lengths, size)[0][-1] < n:  # seldom; twice as many steps fill the packs whatever their lengths
            conditions, lengths, values = source.draw(2 * (n + 1) * size, purpose=purpose)
        rng = seeds.generator(seed, f"candidates: {purpose}")
        other = rng.integers(len(lengths), size=(len(lengths), candidates))
        chosen = np.concatenate([conditions[:, None], conditions[other]], axis=1)
        return packed(chosen, lengths, values, size=size, n=n)

    conditions, _, values = source.draw(100_000, purpose="features")
    network = DecisionRatioNetwork(
        shape.widths, shape.evidence_widths, shape.products, shape.activation,
        seed=seeds.derive(seed, "weights") % 2**32,
    )  # fmt: skip
    made = DecisionRatioEstimator(inference_network=network, gamma=gamma)
    made.scale_by(conditions, values[:, :-1])
    made.build({})
    return made, feed


def packed(
    conditions: np.ndarray, lengths: np.ndarray, values: np.ndarray, *, size: int, n: int
) -> dict[str, np.ndarray]:
    """Lay sequences end to end in n packs of `size` steps, none of them cut; what does not fit is left out."""
    pack, place = _places(lengths, size)
    steps = np.repeat(np.arange(len(lengths)), lengths)
    inside = np.arange(len(steps)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    used = pack[steps] < n
    row, column = pack[steps][used], (place[steps] + inside)[used]
    packs = np.zeros((n, size, values.shape[1] + 2), np.float32)
    packs[row, column, :-2] = values[used]
    packs[row, column, -2], packs[row, column, -1] = inside[used] == 0, 1.0
    theta = np.zeros((n, size, *conditions.shape[1:]), np.float32)
    theta[row, column] = conditions[steps[used]]
    return {"inference_variables": packs, "inference_conditions": theta}


def _places(lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill one pack after the other: number of the pack and first step in it, of each sequence."""
    pack, place = np.empty(len(lengths), int), np.empty(len(lengths), int)
    number, filled = 0, 0
    for i, length in enumerate(lengths):
        if filled + length > size:
            number, filled = number + 1, 0
        pack[i], place[i], filled = number, filled, filled + length
    return pack, place
