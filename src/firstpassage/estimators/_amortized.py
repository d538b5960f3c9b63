"""BayesFlow's BasicEstimator for posteriors: a summary network of ours, and a flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402
from bayesflow.utils.serialization import serializable  # noqa: E402

from firstpassage.estimators import _deepset, _flow_layers, _flows, _forward, _scale, _steps, _strided  # noqa: E402

Element = Literal["trial", "decision"]
_STEPS = 16  # of a series to build a network for; any other number will do


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
        self.named = _flow_layers.hold(self, _layers("summary", (*sizes, self.size), rng))
        self.fixed = {f"summary/{i}/skip": np.ones((), np.float32) for i in _same(sizes)}

    def call(self, x: Any, training: bool = False, **_: Any) -> Any:
        """Give the learned summaries (dataset, size)."""
        del training
        weights = _flow_layers.values(self) | self.fixed
        return _forward.outputs(weights, "summary", x, activation=self.activation)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


@serializable("firstpassage.estimators")
class DeepSetNetwork(bf.networks.SummaryNetwork):
    """Learn summaries from the elements of a set: a small perceptron for each, average and largest, a perceptron.

    Parameters
    ----------
    trial_widths : sequence of int
        Hidden widths of the perceptron for single elements; the last layer is averaged.
    widths : sequence of int
        Hidden widths of the perceptron for the averages.
    size : int
        Number of learned summaries.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    element : {"trial", "decision"}
        Trials, of which some may be padding; or all the decisions of one trial.

    References
    ----------
    Zaheer et al. (2017), Deep sets, NeurIPS, theorem 2.
    """

    def __init__(
        self,
        trial_widths: tuple[int, ...],
        widths: tuple[int, ...],
        size: int,
        activation: str = "silu",
        seed: int = 0,
        element: Element = "trial",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trial_widths, self.widths, self.size = tuple(trial_widths), tuple(widths), size
        self.activation, self.seed, self.element = activation, seed, element

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"trial_widths": list(self.trial_widths), "widths": list(self.widths), "size": self.size}
        return super().get_config() | own | {"activation": self.activation, "seed": self.seed, "element": self.element}

    def build(self, input_shape: Any) -> None:
        """Make the weights for so many features of an element; the last one of a trial says whether there is one."""
        rng, features = np.random.default_rng(self.seed), input_shape[-1]
        trial = self.element == "trial"
        single = (features - 1 if trial else _steps.inputs(features), *self.trial_widths)
        sizes = (2 * single[-1] + trial, *self.widths)
        first = _layers("summary/trial", single, rng) | _layers("summary", (*sizes, self.size), rng)
        self.named = _flow_layers.hold(self, first)
        skips = [f"summary/trial/{i}" for i in _same(single[:-1])] + [f"summary/{i}" for i in _same(sizes)]
        self.fixed = {f"{name}/skip": np.ones((), np.float32) for name in skips}

    def call(self, x: Any, training: bool = False, **_: Any) -> Any:
        """Give the learned summaries (dataset, size) of padded sets (dataset, element, feature)."""
        del training
        summaries = _deepset.summaries if self.element == "trial" else _steps.summaries
        return summaries(_flow_layers.values(self) | self.fixed, x, activation=self.activation)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


@serializable("firstpassage.estimators")
class StridedNetwork(bf.networks.SummaryNetwork):
    """Learn summaries of a time series by strided convolutions and a perceptron.

    Parameters
    ----------
    channels : int
        Units of each convolution.
    widths : sequence of int
        Hidden widths of the perceptron.
    size : int
        Number of learned summaries.
    activation : str
        Of the hidden layers.
    seed : int
        Of the first weights.
    """

    def __init__(
        self, channels: int, widths: tuple[int, ...], size: int, activation: str = "silu", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.widths, self.size = channels, tuple(widths), size
        self.activation, self.seed = activation, seed

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"channels": self.channels, "widths": list(self.widths), "size": self.size}
        return super().get_config() | own | {"activation": self.activation, "seed": self.seed}

    def build(self, input_shape: Any) -> None:
        """Make the weights for series of this length."""
        first: dict[str, np.ndarray] = {}
        rng, channels = np.random.default_rng(self.seed), input_shape[-1]
        for layer in range(_strided.depth(input_shape[-2])):
            first |= _layer(f"summary/time/{layer}", _strided.inputs(channels), self.channels, rng)
            channels = self.channels
        sizes = ((_strided.left(input_shape[-2]) + 1) * channels, *self.widths)
        self.named = _flow_layers.hold(self, first | _layers("summary", (*sizes, self.size), rng))
        self.fixed = {f"summary/{i}/skip": np.ones((), np.float32) for i in _same(sizes)}

    def call(self, x: Any, training: bool = False, **_: Any) -> Any:
        """Give the learned summaries (dataset, size) of series (dataset, time, channel)."""
        del training
        return _strided.summaries(_flow_layers.values(self) | self.fixed, x, activation=self.activation)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


@serializable("firstpassage.estimators")
class SeededDeepSet(bf.networks.DeepSet):
    """BayesFlow's deep set with its own settings, of which nothing depends on a global generator.

    It cannot leave out trials, so that all sets must have the same size; the last feature of a trial is not used.

    Parameters
    ----------
    size : int
        Number of learned summaries.
    seed : int
        Of the first weights and of the dropout.
    """

    def __init__(self, size: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(summary_dim=size, **kwargs)
        self.size, self.seed = size, seed
        self.fixed: dict[str, np.ndarray] = {}

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        return bf.networks.SummaryNetwork.get_config(self) | {"size": self.size, "seed": self.seed}

    def build(self, input_shape: Any) -> None:
        """Build BayesFlow's layers, and draw kernels and the state of the dropout from the seed."""
        if self.built:
            return
        super().build(input_shape)
        self.named = _seeded(self, self.seed)

    def call(self, x: Any, training: bool = False, **kwargs: Any) -> Any:
        """Give the learned summaries (dataset, size) of sets (dataset, trial, feature)."""
        return super().call(x[..., :-1], training=training, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


@serializable("firstpassage.estimators")
class SeededTimeSeries(bf.networks.TimeSeriesNetwork):
    """BayesFlow's network for time series with the sizes asked for, of which nothing depends on a global generator.

    A convolution, and two bidirectional recurrent layers, one of them with skips. BayesFlow calls the size of the
    latter ``recurrent_dim``; what it does not know, such as ``hidden_dim``, it ignores without a word.

    Parameters
    ----------
    size : int
        Number of learned summaries.
    hidden : int
        Units of each recurrent layer.
    seed : int
        Of the first weights and of the dropout.
    """

    def __init__(self, size: int, hidden: int = 64, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(summary_dim=size, recurrent_dim=hidden, **kwargs)
        self.size, self.hidden, self.seed = size, hidden, seed
        self.fixed: dict[str, np.ndarray] = {}

    def get_config(self) -> dict[str, Any]:
        """Give what makes the same untrained network."""
        own = {"size": self.size, "hidden": self.hidden, "seed": self.seed}
        return bf.networks.SummaryNetwork.get_config(self) | own

    def build(self, input_shape: Any) -> None:
        """Build BayesFlow's layers, and draw kernels and the state of the dropout from the seed."""
        if self.built:
            return
        super().build(input_shape)
        self.named = _seeded(self, self.seed)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Say the shape of the learned summaries."""
        return (input_shape[0], self.size)


def network(settings: Mapping[str, Any], *, seed: int) -> Any:
    """Make the untrained summary network of the settings, whose first weights come from the seed."""
    size, activation, kind = int(settings["summaries"]), settings["activation"], settings.get("summary", "moments")
    if kind == "timeseries":
        return SeededTimeSeries(size, hidden=int(settings["hidden"]), seed=seed)
    widths = tuple(settings["widths"])
    match kind:
        case "deepset" | "decisions" as summary:
            single = tuple(settings["trial_widths"])
            element: Element = "trial" if summary == "deepset" else "decision"
            return DeepSetNetwork(single, widths, size, activation=activation, seed=seed, element=element)
        case "bayesflow":
            return SeededDeepSet(size, seed=seed)
        case "series":
            return StridedNetwork(int(settings["hidden"]), widths, size, activation=activation, seed=seed)
    return MomentNetwork(widths, size, activation=activation, seed=seed)


def rebuilt(arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any]) -> Any:
    """Put trained weights back into a network of BayesFlow's."""
    made, columns = network(settings, seed=0), arrays["features/set"].shape[1]
    series = settings["summary"] == "timeseries"
    made.build((1, _STEPS, columns) if series else (1, settings["trials"][1], 2 * columns + 1))
    for name, variable in made.named.items():
        variable.assign(arrays[name])
    return made


class AmortizedPosterior(bf.estimators.BasicEstimator):
    """Put summary network and flow together, with our names for all weights."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the posterior."""
        summary = _flow_layers.arrays(self.summary_network) | self.summary_network.fixed
        return summary | _flows.exported(self.inference_network) | self.scaling

    def scale_by(self, features: np.ndarray, *, bend: bool = False) -> None:
        """Keep centre and scale of statistics or trials before the network; heavy tails are bent where asked."""
        if bend:
            self.scaling = {"features/set": _scale.measure(features)}
            return
        spread = np.maximum(features.std(0), 1e-6)
        self.scaling = {"features/set": np.stack([features.mean(0), spread]).astype(np.float32)}


def _layers(prefix: str, sizes: tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the weights of hidden layers and head."""
    first: dict[str, np.ndarray] = {}
    for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        first |= _layer(f"{prefix}/{i}" if i < len(sizes) - 2 else f"{prefix}/head", before, after, rng)
    return first


def _seeded(network: Any, seed: int) -> dict[str, Any]:
    """Draw kernels and the state of the dropout of a network of BayesFlow's, and name what is trained."""
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        if variable.trainable and len(variable.shape) > 1 and "bias" not in variable.path:
            variable.assign(_orthogonal(tuple(variable.shape), rng))
        elif "seed_generator" in variable.path:
            variable.assign(rng.integers(2**32, size=variable.shape, dtype=np.uint32))
    return {f"summary/{i}": variable for i, variable in enumerate(network.trainable_variables)}


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw a kernel whose rows or columns are orthonormal, as BayesFlow's layers start."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape).astype(np.float32)


def _layer(name: str, before: int, after: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw one layer's weights."""
    kernel = rng.normal(0, math.sqrt(2 / before), (before, after)).astype(np.float32)
    return {f"{name}/kernel": kernel, f"{name}/bias": np.zeros(after, np.float32)}


def _same(sizes: tuple[int, ...]) -> list[int]:
    """List the hidden layers whose input is as wide as their output: they get a skip connection."""
    return [i for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)) if before == after]
