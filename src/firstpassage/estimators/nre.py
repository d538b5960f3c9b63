"""Contrastive neural ratio estimation (NRE-C): learn log p(x | theta) - log p(x) of one trial from simulations."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from firstpassage import backend, seeds
from firstpassage.errors import ArtefactError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._contrastive import ContrastiveRatio
    from firstpassage.estimators._training import Plan

_LOG = logging.getLogger("firstpassage.estimators")
Network = Literal["mlp", "resnet"]


@dataclass(frozen=True)
class NRE:
    """Set up contrastive ratio estimation; `fit` trains it.

    Parameters
    ----------
    model : Model
        Supplies pairs of parameters and one trial, and symmetries if it knows any. Never a density.
    candidates : int
        Contrastive parameter candidates K for each trial, fewer than `batch`.
    gamma : float
        Odds that one of the candidates made the trial.
    network : {"mlp", "resnet"}
        BayesFlow's MLP without or with skip connections.
    widths, evidence_widths : tuple of int
        Hidden widths of the network of pairs, and of that of the data alone.
    activation : {"silu", "mish", "tanh", "relu"}
        Of the hidden layers.
    batch, epoch_pairs, validation : int
        Pairs per step, per epoch, and for the validation loss.
    learning_rate : float
        Highest rate of Adam, reached after a warm-up; it decays to zero by a cosine.
    average : float
        Momentum of the averaged weights, which are the ones kept, in a long run; 0 keeps the last ones.
    patience : int, optional
        Stop after so many epochs without a lower validation loss; None spends the whole budget.

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
    candidates: int = 3
    gamma: float = 1.0
    network: Network = "mlp"
    widths: tuple[int, ...] = (32, 32, 32)
    evidence_widths: tuple[int, ...] = (16, 16)
    activation: Literal["silu", "mish", "tanh", "relu"] = "silu"
    batch: int = 1024
    epoch_pairs: int = 131_072
    validation: int = 16_384
    learning_rate: float = 2e-3
    average: float = 0.998
    patience: int | None = 50

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        if not isinstance(self.model, Model):
            raise ModelError(f"NRE takes a Model, such as firstpassage.ddm(); got {self.model!r}.")
        for name in ("candidates", "batch", "epoch_pairs", "validation"):
            _positive_integer(name, getattr(self, name))
        for name in ("widths", "evidence_widths"):
            object.__setattr__(self, name, tuple(_positive_integer(name, w) for w in getattr(self, name)))
        if self.candidates >= self.batch:
            raise ModelError(f"candidates must be fewer than batch ({self.batch}); got {self.candidates}.")
        if not (self.gamma > 0 and self.learning_rate > 0 and 0 <= self.average < 1):
            raise ModelError(
                f"gamma and learning_rate must be positive and average in [0, 1); got {self.gamma}, "
                f"{self.learning_rate}, {self.average}."
            )
        if self.network not in get_args(Network):
            raise ModelError(f"network must be one of {', '.join(get_args(Network))}; got {self.network!r}.")
        if self.patience is not None:
            _positive_integer("patience", self.patience)

    def fit(
        self,
        *,
        budget: int,
        seed: int,
        simulations: Mapping[str, Any] | None = None,
        into: str | Path | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Likelihood:
        """Train on simulated pairs, and return the learned likelihood.

        Parameters
        ----------
        budget : int
            Pairs of parameters and one trial, over all epochs. Without `simulations` every pair is a fresh one.
        seed : int
            Of simulations, weights and candidates. The same seed on the same machine gives the same weights.
        simulations : mapping of str to array_like, shape (n,), optional
            An existing table of parameters and observed variables to train from instead of simulating.
        into : path, optional
            A folder that is checkpointed after every epoch and holds ``bundle/`` and ``history.csv`` at the end. Called
            again with the same settings, an interrupted run goes on and a finished one is loaded.
        progress : callable, optional
            Called after every epoch with a dict of epoch, epochs, pairs, budget, loss, validation_loss, cpu_seconds.

        Returns
        -------
        Likelihood
            kind ``"nre"``: log ratios, each with an unknown constant of its trial.

        Raises
        ------
        ModelError
            If a setting, the model or the simulations cannot be used, or the loss is not finite.
        ArtefactError
            If `into` cannot be written, or holds another run.

        Examples
        --------
        >>> import firstpassage as fp
        >>> learned = fp.NRE(fp.ddm(), widths=(8,)).fit(budget=20_000, seed=1)
        >>> learned.kind, learned.log_prob([[0.6, 1.0]], v=1.0, a=1.0, z=0.5, t=0.2).shape
        ('nre', (1,))
        """
        seeds.check(seed)
        plan = self._plan(_positive_integer("budget", budget), seed)
        folder = None if into is None else Path(into)
        if folder is not None and (folder / "bundle").exists():
            return self._finished(folder, plan)
        estimator, history = self._train(plan, simulations, folder=folder, progress=progress)
        learned = self._likelihood(estimator, plan, history)
        if folder is not None:
            self._finish(folder, learned, history)
        return learned

    def _plan(self, budget: int, seed: int) -> Plan:
        """Take the settings of training together."""
        backend.require_jax()
        from firstpassage.estimators._training import Plan

        if budget < self.batch:
            raise ModelError(f"budget must be at least one batch ({self.batch} pairs); got {budget}.")
        return Plan(
            budget=budget, batch=self.batch, epoch_pairs=max(self.epoch_pairs, self.batch),
            validation=max(self.validation, self.batch), learning_rate=self.learning_rate, average=self.average,
            patience=self.patience, seed=seed,
        )  # fmt: skip

    def _train(
        self, plan: Plan, simulations: Mapping[str, Any] | None, *, folder: Path | None, progress: Any
    ) -> tuple[ContrastiveRatio, list[dict[str, Any]]]:
        """Make the estimator and train it."""
        from firstpassage.estimators import _stream, _training

        seed = plan.seed
        fresh = simulations is None
        source = _stream.Fresh(self.model, seed) if fresh else _stream.table(self.model, simulations or {}, seed=seed)
        estimator = self._estimator(source, seed)
        checkpoint = None
        if folder is not None:
            make_folder(folder)
            checkpoint = _training.Checkpoint(folder=folder, fingerprint=self._fingerprint(plan, fresh=fresh))
        return estimator, _training.train(estimator, source, plan, checkpoint=checkpoint, progress=progress)

    def _estimator(self, source: Any, seed: int) -> ContrastiveRatio:
        """Build BayesFlow's estimator, with weights drawn from the seed."""
        import bayesflow as bf

        from firstpassage.estimators import _contrastive, _features

        theta, x = source.draw(8192, purpose="features")
        shape = {"activation": self.activation, "residual": self.network == "resnet", "dropout": None}
        estimator = _contrastive.ContrastiveRatio(
            features=_features.fit(self.model, theta, x),
            names=self.model.parameter_names,
            network=bf.networks.MLP(self.widths, **shape),
            evidence_network=bf.networks.MLP(self.evidence_widths, **shape),
            adapter=adapter(self.model),
            K=self.candidates,
            gamma=self.gamma,
            seed=seeds.derive(seed, "candidates"),
        )
        estimator.build({})
        rng = seeds.generator(seed, "weights")
        for variable in estimator.trainable_variables:
            spread = np.sqrt(2 / variable.shape[0]) if len(variable.shape) == 2 else 0.0
            variable.assign(rng.normal(0, 1, variable.shape) * (spread if variable.shape[-1] > 1 else 0.1 * spread))
        return estimator

    def _fingerprint(self, plan: Plan, *, fresh: bool) -> str:
        """Digest everything that a resumed run must share."""
        model = {"name": self.model.name, "box": repr(self.model), "settings": dict(self.model.settings)}
        text = json.dumps([model, self.settings(), asdict(plan), fresh], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model.

        Returns
        -------
        dict
            As JSON can hold it.
        """
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"}

    def _likelihood(self, estimator: ContrastiveRatio, plan: Plan, history: list[dict[str, Any]]) -> Likelihood:
        """Wrap the trained weights, and say in the card how they came about."""
        from firstpassage.estimators import bundle

        card = {
            "model": self.model.name, "kind": "nre", "model_settings": dict(self.model.settings),
            "settings": self.settings(), "budget": plan.budget, "seed": plan.seed,
            "pairs": history[-1]["pairs"], "epochs": len(history), "loss": history[-1]["loss"],
            "validation_loss": history[-1]["validation_loss"], "cpu_seconds": round(history[-1]["cpu_seconds"], 1),
        }  # fmt: skip
        return bundle.assemble(self.model, estimator.arrays(), card)

    def _finish(self, folder: Path, learned: Likelihood, history: list[dict[str, Any]]) -> None:
        """Write the bundle and the history, and drop the checkpoint."""
        import pandas as pd

        from firstpassage.estimators import _atomic, _training, bundle

        bundle.save(learned, folder / "bundle")
        _atomic.write_bytes(folder / "history.csv", pd.DataFrame(history).to_csv(index=False).encode())
        _training.Checkpoint(folder=folder, fingerprint="").clear()

    def _finished(self, folder: Path, plan: Plan) -> Likelihood:
        """Load a finished run, if it is this one."""
        from firstpassage.estimators import bundle

        learned = bundle.load(folder / "bundle", model=self.model)
        card = learned.card or {}
        wanted = {"settings": json.loads(json.dumps(self.settings())), "budget": plan.budget, "seed": plan.seed}
        differ = [name for name, value in wanted.items() if card.get(name) != value]
        if differ:
            raise ArtefactError(f"{folder} holds a finished run with other {', '.join(differ)}. Choose another folder.")
        _LOG.info("%s holds this run, finished: loaded", folder)
        return learned


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


def make_folder(folder: Path) -> None:
    """Make an output folder, or say why that cannot be.

    Parameters
    ----------
    folder : Path
        May exist.

    Raises
    ------
    ArtefactError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot make the folder {folder}: {error.strerror}. Choose another one.") from error


def _positive_integer(name: str, value: Any) -> int:
    """Check a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{name} must be a positive integer; got {value!r}.")
    return int(value)
