"""Neural likelihood estimation (NLE): learn the log density of one trial given the parameters from simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators import _run, _shape
from firstpassage.likelihood import Likelihood
from firstpassage.models.model import Mixed, Model

if TYPE_CHECKING:
    from firstpassage.estimators._stream import Feed, Source

_PROBES = 8192  # pairs by which centre and scale are measured, and the data looked at
_USUAL: dict[str, Any] = {
    "flow": "mdn", "widths": (32, 32, 32), "layers": 3, "batch": 1024, "epoch_pairs": 131_072, "validation": 16_384,
}  # fmt: skip
_OF_STATISTICS: dict[str, Any] = {"flow": "maf", "widths": (128, 128), "layers": 8}  # as published for foraging
_OF_DECISIONS: dict[str, Any] = {"widths": (64, 64), "batch": 16, "epoch_pairs": 32_768, "validation": 8192}
_OF_VECTORS: dict[str, Any] = {"flow": "maf-spline", "widths": (64, 64)}
_FEW = 20  # so few distinct integers are categories


@dataclass(frozen=True)
class NLE:
    """Set up neural likelihood estimation; `fit` trains it.

    A model that says how its trials split into a category and a value (`Mixed`) gets P(category | parameters) times
    the density of the value given both; any other gets the density of its columns. Where a trial is long, the decisions
    in it can be learned instead (``unit="patch"``), or statistics of it (``unit="window"``).

    Parameters
    ----------
    model : Model
        Supplies pairs of parameters and one trial, and a record of mixed data if it has one. Never a density.
    unit : {"patch", "window", "trace"}, optional
        What a trial is, for models that can be taken apart: for `foraging`, "patch" is the visit to a patch, whose
        decisions to stay or leave have probabilities that a recurrent hazard network learns; "window" is the window,
        of which a flow learns the joint density of those summary statistics that are no functions of others, and so
        is "trace" for `lif`. None is the trial that the model simulates, or "patch" where its decisions are all that
        can be learned, or statistics where it holds long series.
    flow : {"mdn", "maf-spline", "maf", "spline", "affine"}, optional
        Mixture of normals; masked autoregressive flow with splines or affine; BayesFlow's coupling flow with splines
        or affine. For the one value of mixed data, maf-spline and spline are the same, and so are maf and affine.
        None is "mdn", or for statistics "maf", or for a model of one's own with several columns "maf-spline".
    widths : tuple of int, optional
        Hidden widths of the perceptrons of the flow; None is (32, 32, 32), for statistics (128, 128), for decisions
        and for several columns of a model of one's own (64, 64).
    layers : int, optional
        Of a flow through several columns; None is 3, or for statistics 8.
    bins, components : int
        Of splines and of mixtures.
    choice_widths : tuple of int
        Hidden widths of the network of the category, for mixed data.
    memory : int
        Units of the memory of a hazard network.
    noise : float
        Of statistics, as a share of their standard deviations: those that are often exactly 0, or whole numbers, have
        no density without it.
    activation : {"silu", "mish", "tanh", "relu"}
        Of the hidden layers.
    batch, epoch_pairs, validation : int, optional
        Pairs per step, per epoch, and for the validation loss; None is 1,024, 131,072 and 16,384, for decisions 16,
        32,768 and 8,192 windows.
    learning_rate : float
        Highest rate of Adam, reached after a warm-up; it decays to zero by a cosine.
    decay : (float, int), optional
        Instead of warm-up and cosine: the rate is multiplied by the first number after every so many steps.
    average : float
        Momentum of the averaged weights, which are the ones kept, in a long run; 0 keeps the last ones.
    patience : int, optional
        Stop after so many epochs without a lower validation loss; None spends the whole budget.
    members : int, optional
        Networks that are trained beside each other on a table without a budget; their densities are averaged. None is
        4 for a model of one's own, else 1.

    Raises
    ------
    ModelError
        If a setting is out of its range.

    References
    ----------
    Papamakarios, Sterratt and Murray (2019), Sequential neural likelihood, AISTATS. Boelts, Lueckmann, Gao and Macke
    (2022), Flexible and efficient simulation-based inference for models of decision-making, eLife 11: mixed data.

    Examples
    --------
    >>> import firstpassage as fp
    >>> fp.NLE(fp.ddm(), flow="spline").widths
    (32, 32, 32)
    """

    model: Model
    _: KW_ONLY
    unit: Literal["patch", "window", "trace"] | None = None
    flow: Literal["mdn", "maf-spline", "maf", "spline", "affine"] | None = None
    widths: tuple[int, ...] | None = None
    layers: int | None = None
    bins: int = 8
    components: int = 8
    choice_widths: tuple[int, ...] = (16, 16)
    memory: int = 32
    noise: float = 0.02
    activation: Literal["silu", "mish", "tanh", "relu"] = "silu"
    batch: int | None = None
    epoch_pairs: int | None = None
    validation: int | None = None
    learning_rate: float = 2e-3
    decay: tuple[float, int] | None = None
    average: float = 0.998
    patience: int | None = 50
    members: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        from firstpassage.estimators import _flows, _forward

        if not isinstance(self.model, Model):
            raise ModelError(f"NLE takes a Model, such as firstpassage.ddm(); got {self.model!r}.")
        _run.check_unit(self.model, self.unit)
        object.__setattr__(self, "unit", self.unit or _run.usual_unit(self.model))
        own = _OF_STATISTICS if self._of_statistics else _OF_DECISIONS if self._of_decisions else _by_shape(self)
        _run.fill(self, own, _USUAL)
        _flows.check(str(self.flow))
        for name in ("layers", "bins", "components", "memory"):
            _run.positive_integer(name, getattr(self, name))
        _run.check_training(self)
        _run.sizes(self, "widths", "choice_widths")
        _run.check_decay(self.decay)
        _run.check_members(self)
        if not (isinstance(self.noise, (int, float)) and 0 <= self.noise < 1):
            raise ModelError(f"noise must be a share from 0 to 1 of the standard deviations; got {self.noise!r}.")
        if self.activation not in _forward.ACTIVATIONS:
            raise ModelError(f"activation must be one of {', '.join(_forward.ACTIVATIONS)}; got {self.activation!r}.")

    def fit(
        self,
        *,
        budget: int | None = None,
        seed: int,
        simulations: Any = None,
        into: str | Path | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
        rounds: int = 1,
        observed: Any = None,
    ) -> Likelihood:
        """Train on simulated pairs, and return the learned likelihood.

        Parameters
        ----------
        budget : int, optional
            Pairs of parameters and one trial, over all epochs. Without `simulations` every pair is a fresh one. None
            is for `simulations`: train on these in as many epochs as a held-out tenth gets better, and keep the best
            weights. Of several rounds: simulations over all of them.
        seed : int
            Of simulations and weights. The same seed on the same machine gives the same weights.
        simulations : mapping of str to array_like, or pool, optional
            An existing table to train from instead of simulating: parameters (n,), observed variables (n, ...) of one
            trial or (n, trials, ...), each of which is a pair.
        into : path, optional
            A folder that is checkpointed after every epoch and holds ``bundle/`` and ``history.csv`` at the end. Called
            again with the same settings, an interrupted run goes on and a finished one is loaded.
        progress : callable, optional
            Called after every epoch with a dict of epoch, epochs, pairs, budget, loss, validation_loss, cpu_seconds.
        rounds : int
            How often simulations are made: from the prior first, and then where the parameters are plausible given
            `observed`.
        observed : object, optional
            The data of one subject, as `sample` takes them; needed by several rounds, whose result is for these data.

        Returns
        -------
        Likelihood
            kind ``"nle"``: log densities, in nats.

        Raises
        ------
        DataError
            If the simulations have wrong shapes, values that are not finite, or parameters outside the box.
        ModelError
            If a setting, the model or the names of the simulations cannot be used, a column holds categories and the
            model does not say how to treat them, or the loss is not finite.
        ArtefactError
            If `into` cannot be written, or holds another run.

        Examples
        --------
        >>> import firstpassage as fp
        >>> learned = fp.NLE(fp.ddm(), widths=(8,)).fit(budget=20_000, seed=1)
        >>> learned.kind, learned.log_prob([[0.6, 1.0]], v=1.0, a=1.0, z=0.5, t=0.2).shape
        ('nle', (1,))
        """
        return _run.fit(
            self,
            _run.Order(
                kind="nle",
                budget=budget,
                seed=seed,
                simulations=simulations,
                into=into,
                progress=progress,
                rounds=rounds,
                observed=observed,
            ),  # fmt: skip
        )

    def prepare(self, seed: int, simulations: Any) -> tuple[Any, Feed]:
        """Build the estimator and the feed that trains it; `fit` calls this.

        Parameters
        ----------
        seed : int
            Of weights and simulations.
        simulations : mapping, pool or None
            A table to train from.

        Returns
        -------
        (bayesflow.BasicEstimator, callable)
            BayesFlow's estimator with weights drawn from the seed, and its feed.
        """
        from firstpassage.estimators import _reduced, _stream

        if self._of_decisions:
            return self._hazard(seed, simulations)
        source = _stream.source(self.model, simulations, seed=seed)
        if self._of_statistics:
            statistics: Any = self.model.statistics
            reduced = _reduced.source(statistics, source, probes=_PROBES, noise=self.noise, seed=seed)
            return self._continuous(reduced, seed)
        mixed = self.model.mixed
        return self._continuous(source, seed) if mixed is None else self._mixed(mixed, source, seed)

    def _hazard(self, seed: int, simulations: Mapping[str, Any] | None) -> tuple[Any, Feed]:
        """Build the estimator of decisions."""
        from firstpassage.estimators import _hazard, _hazard_network

        if simulations is not None:
            raise ModelError(f"unit={self.unit!r} trains on fresh simulations only. Leave simulations out.")
        decisions: Any = self.model.decisions
        widths: Any = self.widths
        shape = _hazard.Shape(widths=widths, memory=self.memory, activation=self.activation)
        return _hazard_network.estimator(decisions, self.model, shape=shape, seed=seed)

    def _mixed(self, mixed: Mixed, source: Source, seed: int) -> tuple[Any, Feed]:
        """Build the estimator of a category and a value."""
        from firstpassage.estimators import _mixed, _mixed_density, _stream, _univariate

        theta, x = source.draw(_PROBES, purpose="features")
        _mixed_density.check(mixed, theta, x)
        estimator = _mixed.MixedEstimator(
            coordinates=_mixed_density.fit(mixed, theta, x),
            family=_univariate.shape(str(self.flow), bins=self.bins, components=self.components),
            names=self.model.parameter_names,
            value_network=_mixed.perceptron(self.widths or (), self.activation),
            choice_network=_mixed.perceptron(self.choice_widths, self.activation),
            adapter=adapter(self.model),
        )
        estimator.build({})
        estimator.draw_weights(seeds.generator(seed, "weights"))
        return estimator, _stream.adapted(source, estimator.adapter)

    def _continuous(self, source: Source, seed: int) -> tuple[Any, Feed]:
        """Build the estimator of the density of all columns, standardised."""
        from firstpassage.estimators import _continuous, _flows, _stream

        theta, x = source.draw(_PROBES, purpose="features")
        _refuse_categories(self.model.name, x)
        estimator = _continuous.DensityEstimator(
            inference_network=_flows.layer(
                str(self.flow),
                settings={**self.settings(), "flow_widths": self.widths},
                seed=seeds.derive(seed, "flow weights"),
                size=x.shape[1],
            ),
            adapter=adapter(self.model),
            standardize=None,
        )
        stacked = np.stack([theta[name] for name in self.model.parameter_names], axis=1)
        estimator.scale_by(stacked, x, bend=_run.own(self.model))
        estimator.build({"inference_variables": (None, x.shape[1]), "inference_conditions": (None, len(theta))})
        return estimator, estimator.standardised(_stream.adapted(source, estimator.adapter))

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model.

        Returns
        -------
        dict
            As JSON can hold it; what concerns hazard networks only where there is one.
        """
        unused = {"unit", "memory", "noise"}
        if self._of_decisions:
            unused = {"flow", "layers", "bins", "components", "choice_widths", "noise"}
        elif self._of_statistics:
            unused = {"memory", "choice_widths"}
        unused.update(_run.unsaid(self))
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"model", *unused}}

    @property
    def _of_decisions(self) -> bool:
        """Tell whether the decisions in a trial are learned."""
        return self.model.decisions is not None and self.unit == self.model.decisions.schema.trial

    @property
    def _of_statistics(self) -> bool:
        """Tell whether statistics of a trial are learned."""
        return self.unit is not None and not self._of_decisions


def _by_shape(method: NLE) -> dict[str, Any]:
    """Choose the flow of a model of one's own by the columns of a trial."""
    if method.flow is not None or not _run.own(method.model):
        return {}
    return _OF_VECTORS if _shape.of(method.model).columns > 1 else {}


def adapter(model: Model) -> Any:
    """Make the BayesFlow adapter of a model from its Parameter records.

    Parameters
    ----------
    model : Model
        Gives the names and their order.

    Returns
    -------
    bayesflow.Adapter
        The trial's columns into ``inference_variables``, parameters in order into ``inference_conditions``.
    """
    import bayesflow as bf

    return (
        bf.Adapter()
        .to_array()
        .convert_dtype("float64", "float32")
        .concatenate(list(model.parameter_names), into="inference_conditions")
        .rename("x", "inference_variables")
    )


def _refuse_categories(name: str, x: np.ndarray) -> None:
    """Refuse columns that a density of real numbers cannot describe."""
    for column in range(x.shape[1]):
        codes = np.unique(x[:, column])
        if len(codes) <= _FEW and np.array_equal(codes, np.round(codes)):
            raise ModelError(
                f"NLE needs continuous data where a model has no mixed record; column {column} of {name} takes only "
                f"{len(codes)} values ({', '.join(f'{code:g}' for code in codes[:5])}{', ...' * (len(codes) > 5)}). "
                "Give Model a Mixed record (mixed=...) that splits a trial into category and value, or use NRE."
            )
