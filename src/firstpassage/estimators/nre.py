"""Contrastive neural ratio estimation (NRE-C): learn log p(x | theta) - log p(x) of one trial from simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators import _run, _shape
from firstpassage.likelihood import Likelihood
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._contrastive import ContrastiveRatio
    from firstpassage.estimators._stream import Feed

Network = Literal["mlp", "resnet"]
_USUAL: dict[str, Any] = {
    "widths": (32, 32, 32), "evidence_widths": (16, 16), "batch": 1024, "epoch_pairs": 131_072, "validation": 16_384,
    "candidates": 3, "network": "mlp",
}  # fmt: skip
_OF_STATISTICS: dict[str, Any] = {
    "widths": (128, 128, 128), "evidence_widths": (64, 64), "batch": 512, "epoch_pairs": 65_536, "validation": 8192,
    "candidates": 15,
}  # fmt: skip
_OF_DECISIONS: dict[str, Any] = {
    "widths": (64, 64), "evidence_widths": (32, 32), "batch": 16, "epoch_pairs": 16_384, "validation": 4096,
}  # fmt: skip
_OF_VECTORS: dict[str, Any] = {
    "widths": (64, 64, 64), "evidence_widths": (32, 32), "candidates": 7, "network": "resnet", "batch": 512,
}  # fmt: skip
_REFERENCE: dict[str, Any] = {"candidates": 64, "batch": 128, "epoch_pairs": 6400, "validation": 6400}
# Of published workflows, whose 100 epochs are a budget of 640,000 pairs.
_OF_MODELS = {"gaussian": _REFERENCE, "poisson": _REFERENCE}


@dataclass(frozen=True)
class NRE:
    """Set up contrastive ratio estimation; `fit` trains it.

    Parameters
    ----------
    model : Model
        Supplies pairs of parameters and one trial, and symmetries if it knows any. Never a density.
    unit : {"patch", "window", "trace"}, optional
        What a trial is, for models that can be taken apart: for `foraging`, "patch" is the visit to a patch, whose
        log ratio is a sum over its decisions to stay or leave; "window" is a window, of whose summary statistics the
        ratio is learned, and so is "trace" for `lif`. None is decisions where there are such, statistics where a trial
        holds long series, and else the trial that the model simulates.
    candidates : int, optional
        Contrastive parameter candidates K for each trial, fewer than `batch`; None is 3, for arrays of a
        model of one's own 7, for statistics 15, for `gaussian` and `poisson` 64.
        Where the model guesses from statistics where the posterior lies, they are drawn around the guess: a narrow
        posterior is learned from candidates that come near it.
    gamma : float
        Odds that one of the candidates made the trial.
    network : {"mlp", "resnet"}, optional
        BayesFlow's MLP without or with skip connections; None is "mlp", for arrays of a model of one's own "resnet".
    widths, evidence_widths : tuple of int, optional
        Hidden widths of the network of pairs, and of that of the data alone; None is (32, 32, 32) and (16, 16), for
        statistics (128, 128, 128) and (64, 64), for arrays of a model of one's own (64, 64, 64) and (32, 32), for
        decisions (64, 64) and (32, 32).
    activation : {"silu", "mish", "tanh", "relu"}
        Of the hidden layers.
    products : int
        Products of linear forms of parameters and steps that the network of decisions is given.
    batch, epoch_pairs, validation : int, optional
        Pairs per step, per epoch, and for the validation loss; None is 1,024, 131,072 and 16,384, for statistics
        512, 65,536 and 8,192, for decisions 16, 16,384 and 4,096 packs of visits. For `gaussian` and `poisson` it is
        128, 6,400 and 6,400, so that a budget of 640,000 makes the 100 epochs of 50 batches of the published workflow.
    learning_rate : float
        Highest rate of Adam, reached after a warm-up; it decays to zero by a cosine.
    decay : (float, int), optional
        Instead of warm-up and cosine: the rate is multiplied by the first number after every so many steps.
    average : float
        Momentum of the averaged weights, which are the ones kept, in a long run; 0 keeps the last ones.
    patience : int, optional
        Stop after so many epochs without a lower validation loss; None spends the whole budget.
    members : int, optional
        Networks that are trained beside each other on a table without a budget; their ratios are averaged. None is
        4 for a model of one's own, else 1.

    Raises
    ------
    ModelError
        If a setting is out of its range.

    References
    ----------
    Miller, Weniger and Forre (2022), Contrastive Neural Ratio Estimation, NeurIPS. Hermans, Begy and Louppe (2020),
    Likelihood-free MCMC with amortized approximate ratio estimators, ICML.

    Examples
    --------
    >>> import firstpassage as fp
    >>> fp.NRE(fp.ddm(), candidates=3).widths
    (32, 32, 32)
    """

    model: Model
    _: KW_ONLY
    unit: Literal["patch", "window", "trace"] | None = None
    candidates: int | None = None
    gamma: float = 1.0
    network: Network | None = None
    widths: tuple[int, ...] | None = None
    evidence_widths: tuple[int, ...] | None = None
    activation: Literal["silu", "mish", "tanh", "relu"] = "silu"
    products: int = 48
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
        if not isinstance(self.model, Model):
            raise ModelError(f"NRE takes a Model, such as firstpassage.ddm(); got {self.model!r}.")
        _run.check_unit(self.model, self.unit)
        object.__setattr__(self, "unit", self.unit or _run.usual_unit(self.model))
        own = _OF_MODELS.get(self.model.name, {})
        if self.unit is not None:
            own = _OF_DECISIONS if self._of_decisions else _OF_STATISTICS
        elif _run.own(self.model) and _shape.of(self.model).form != "numbers":
            own = _OF_VECTORS
        _run.fill(self, own, _USUAL)
        for name in ("candidates", "products"):
            _run.positive_integer(name, getattr(self, name))
        _run.check_training(self)
        _run.check_decay(self.decay)
        _run.check_members(self)
        _run.sizes(self, "widths", "evidence_widths")
        candidates = self.settings()["candidates"]
        if candidates >= self.settings()["batch"]:
            raise ModelError(f"candidates must be fewer than batch ({self.batch}); got {candidates}.")
        if not self.gamma > 0:
            raise ModelError(f"gamma must be positive; got {self.gamma}.")
        if self.network not in get_args(Network):
            raise ModelError(f"network must be one of {', '.join(get_args(Network))}; got {self.network!r}.")

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
            Pairs of parameters and one trial, over all epochs. Without `simulations` every pair is a fresh one. With
            ``unit="patch"``, packs of as many visits as fill the sites of a window. None is for `simulations`: train
            on these in as many epochs as a held-out tenth gets better, and keep the best weights. Of several rounds:
            simulations over all of them.
        seed : int
            Of simulations, weights and candidates. The same seed on the same machine gives the same weights.
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
            kind ``"nre"``: log ratios, each with an unknown constant of its trial.

        Raises
        ------
        DataError
            If the simulations have wrong shapes, values that are not finite, or parameters outside the box.
        ModelError
            If a setting, the model or the names of the simulations cannot be used, or the loss is not finite.
        ArtefactError
            If `into` cannot be written, or holds another run.

        Examples
        --------
        >>> import firstpassage as fp
        >>> learned = fp.NRE(fp.ddm(), widths=(8,)).fit(budget=20_000, seed=1)
        >>> learned.kind, learned.log_prob([[0.6, 1.0]], v=1.0, a=1.0, z=0.5, t=0.2).shape
        ('nre', (1,))
        """
        return _run.fit(
            self,
            _run.Order(
                kind="nre",
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
            Of weights, candidates and simulations.
        simulations : mapping, pool or None
            A table to train from.

        Returns
        -------
        (bayesflow.estimators.Estimator, callable)
            BayesFlow's estimator with weights drawn from the seed, and its feed.
        """
        from firstpassage.estimators import _reduced, _statistic_ratio, _stream

        if self._of_decisions:
            return self._decisions(seed, simulations)
        source = _stream.source(self.model, simulations, seed=seed)
        if self.unit is not None:
            statistics: Any = _statistic_ratio.statistics(self.model)
            source = _reduced.source(statistics, source, probes=2, noise=0.0, seed=seed)
        estimator = self._estimator(source, seed)
        return estimator, _stream.adapted(source, estimator.adapter)

    def _decisions(self, seed: int, simulations: Mapping[str, Any] | None) -> tuple[Any, Feed]:
        """Build the estimator of sequences of decisions."""
        from firstpassage.estimators import _decision_ratio, _decision_ratio_network

        if simulations is not None:
            raise ModelError(f"unit={self.unit!r} trains on fresh simulations only. Leave simulations out.")
        decisions: Any = self.model.decisions
        chosen = self.settings()
        shape = _decision_ratio.Shape(
            widths=chosen["widths"], evidence_widths=chosen["evidence_widths"], products=self.products,
            activation=self.activation,
        )  # fmt: skip
        return _decision_ratio_network.estimator(
            decisions, self.model, shape=shape, candidates=chosen["candidates"], gamma=self.gamma, seed=seed
        )

    def _estimator(self, source: Any, seed: int) -> ContrastiveRatio:
        """Build BayesFlow's estimator, with weights drawn from the seed."""
        import bayesflow as bf

        from firstpassage.estimators import _contrastive, _features, _ratio, _statistic_ratio

        theta, x = source.draw(8192, purpose="features")
        shape = {"activation": self.activation, "residual": self.network == "resnet", "dropout": None}
        estimator = _contrastive.ContrastiveRatio(
            features=_features.fit(
                _ratio.symmetry(self.model, statistics=self.unit is not None), theta, x, bend=_run.own(self.model)
            ),
            names=self.model.parameter_names,
            network=bf.networks.MLP(self.widths, **shape),
            evidence_network=bf.networks.MLP(self.evidence_widths, **shape),
            adapter=adapter(self.model),
            K=self.settings()["candidates"],
            gamma=self.gamma,
            seed=seeds.derive(seed, "candidates"),
            around=_statistic_ratio.around(self.model) if self.unit is not None else None,
        )
        estimator.build({})
        rng = seeds.generator(seed, "weights")
        for variable in estimator.trainable_variables:
            spread = np.sqrt(2 / variable.shape[0]) if len(variable.shape) == 2 else 0.0
            variable.assign(rng.normal(0, 1, variable.shape) * (spread if variable.shape[-1] > 1 else 0.1 * spread))
        return estimator

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model.

        Returns
        -------
        dict
            As JSON can hold it; what concerns decisions only where they are learned.
        """
        unused = {"network"} if self._of_decisions else {"products"} if self.unit else {"unit", "products"}
        unused = {"model", *unused, *_run.unsaid(self)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unused}

    @property
    def _of_decisions(self) -> bool:
        """Tell whether the decisions in a trial are learned."""
        return self.model.decisions is not None and self.unit == self.model.decisions.schema.trial


def adapter(model: Model) -> Any:
    """Make the BayesFlow adapter of a model from its Parameter records.

    Parameters
    ----------
    model : Model
        Gives the names and their order.

    Returns
    -------
    bayesflow.Adapter
        Parameters in order into ``inference_variables``, the trial's columns into ``inference_conditions``.
    """
    import bayesflow as bf

    return (
        bf.Adapter()
        .to_array()
        .convert_dtype("float64", "float32")
        .concatenate(list(model.parameter_names), into="inference_variables")
        .rename("x", "inference_conditions")
    )
