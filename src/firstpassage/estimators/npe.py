"""Neural posterior estimation (NPE) for sets of trials: learn p(theta | data) from simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators import _run
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._amortized import AmortizedPosterior
    from firstpassage.estimators._stream import Feed
    from firstpassage.estimators.posterior import Posterior

SUMMARIES = ("moments", "decisions", "deepset", "bayesflow", "timeseries")
_UNUSED = {  # settings, by the summary that does without them
    "moments": {"summary", "trial_widths", "hidden"},
    "decisions": {"hidden"},
    "deepset": {"hidden"},
    "bayesflow": {"trial_widths", "hidden"},
    "timeseries": {"trial_widths", "widths"},
}


@dataclass(frozen=True)
class NPE:
    """Set up neural posterior estimation; `fit` trains it.

    Each set of trials is turned into numbers that do not depend on the order of the trials, a perceptron learns
    summaries from these, and a flow, given the summaries, is the posterior of the parameters on the real line.

    Parameters
    ----------
    model : Model
        Supplies parameters and sets of trials. Never a density.
    trials : int or (int, int), optional
        Numbers of trials of the sets to train for: one, or the ends of a range. None is 20 to 1,000; or 1 where a
        trial is a sequence of decisions, such as a window of sites, or holds long series, such as a trace.
    summary : {"moments", "decisions", "deepset", "bayesflow", "timeseries"}, optional
        Where those numbers come from: fixed statistics, fastest on a CPU, which may lose information; for one trial
        that is a sequence of decisions, averages and maxima of a small perceptron for each decision with what led to
        it; the same for trials, which is learned too and needs no statistics that suit the model; or BayesFlow's
        ``DeepSet`` with its own settings, which cannot leave out trials and hence takes one number of trials only; or,
        for one trial that holds long series, such as a voltage trace, BayesFlow's ``TimeSeriesNetwork`` on the raw
        series, which is slow on a CPU.
        None is "decisions" where there are such and `trials` is 1, and else "moments".
    flow : {"maf-spline", "maf", "spline", "affine", "mdn"}
        Masked autoregressive flow with splines or affine; BayesFlow's coupling flow; mixture of normals.
    layers : int
        Of the flow.
    flow_widths, widths : tuple of int
        Hidden widths of the flow's perceptrons, and of the summary network.
    trial_widths : tuple of int
        Hidden widths of the perceptron for single decisions or trials; the last layer is pooled.
    hidden : int
        Units of each recurrent layer of "timeseries".
    summaries : int
        Number of learned summaries.
    bins, components : int
        Of splines and of mixtures.
    activation : {"silu", "mish", "tanh", "relu"}
        Of the hidden layers.
    passes : int
        How often each simulated set is used, in successive epochs and another order: simulating costs more than a step.
    batch : int, optional
        Sets per step; None is 512, for decisions 128.
    epoch_pairs, validation : int
        Sets per epoch, and for the validation loss.
    learning_rate : float
        Highest rate of Adam, reached after a warm-up; it decays to zero by a cosine.
    decay : (float, int), optional
        Instead of warm-up and cosine: the rate is multiplied by the first number after every so many steps.
    average : float
        Momentum of the averaged weights, which are the ones kept, in a long run; 0 keeps the last ones.
    patience : int, optional
        Stop after so many epochs without a lower validation loss; None spends the whole budget.
    clip : float, optional
        Largest norm of a step's gradient, to which longer ones are shortened: a rare set of trials with extreme
        statistics would else undo a long training. None lets all pass.

    Raises
    ------
    ModelError
        If a setting is out of its range.

    References
    ----------
    Radev, Mertens, Voss, Ardizzone and Koethe (2020), BayesFlow, IEEE TNNLS; Zaheer et al. (2017), Deep sets, NeurIPS:
    sums over trials are the permutation-invariant functions.

    Examples
    --------
    >>> import firstpassage as fp
    >>> fp.NPE(fp.ddm(), trials=(20, 1000)).summaries
    32
    """

    model: Model
    _: KW_ONLY
    trials: int | tuple[int, int] | None = None
    summary: Literal["moments", "decisions", "deepset", "bayesflow", "timeseries"] | None = None
    flow: Literal["maf-spline", "maf", "spline", "affine", "mdn"] = "maf-spline"
    layers: int = 3
    flow_widths: tuple[int, ...] = (128, 128)
    widths: tuple[int, ...] = (256, 256, 256)
    trial_widths: tuple[int, ...] = (64, 64)
    hidden: int = 64
    summaries: int = 32
    bins: int = 8
    components: int = 8
    activation: Literal["silu", "mish", "tanh", "relu"] = "silu"
    passes: int = 3
    batch: int | None = None
    epoch_pairs: int = 65_536
    validation: int = 8192
    learning_rate: float = 2e-3
    decay: tuple[float, int] | None = None
    average: float = 0.998
    patience: int | None = 50
    clip: float | None = 2.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        if not isinstance(self.model, Model):
            raise ModelError(f"NPE takes a Model, such as firstpassage.ddm(); got {self.model!r}.")
        object.__setattr__(self, "trials", _range(_usual(self.model) if self.trials is None else self.trials))
        if self.summary is None:
            sequence = self.model.decisions is not None and self.trials == (1, 1)
            object.__setattr__(self, "summary", "decisions" if sequence else "moments")
        _run.fill(self, {"batch": 128 if self.summary == "decisions" else 512})
        for name in ("layers", "hidden", "summaries", "bins", "components", "passes"):
            _run.positive_integer(name, getattr(self, name))
        _run.check_training(self)
        _run.check_decay(self.decay)
        _run.check_clip(self.clip)
        _run.sizes(self, "widths", "flow_widths", "trial_widths")
        _check_summary(self)
        from firstpassage.estimators import _flows

        _flows.check(self.flow)

    def fit(
        self,
        *,
        budget: int,
        seed: int,
        simulations: Mapping[str, Any] | None = None,
        into: str | Path | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Posterior:
        """Train on simulated sets of trials, and return the amortized posterior.

        Parameters
        ----------
        budget : int
            Parameter sets, each with a set of trials, over all epochs. Without `simulations` each is a fresh one.
        seed : int
            Of simulations and weights. The same seed on the same machine gives the same weights.
        simulations : mapping of str to array_like, optional
            An existing table to train from: parameters (n,), observed variables (n, trials, ...) with at least as many
            trials as the posterior is for; of a range of numbers of trials, the first ones are taken.
        into : path, optional
            A folder that is checkpointed after every epoch and holds ``bundle/`` and ``history.csv`` at the end. Called
            again with the same settings, an interrupted run goes on and a finished one is loaded.
        progress : callable, optional
            Called after every epoch with a dict of epoch, epochs, pairs, budget, loss, validation_loss, cpu_seconds.

        Returns
        -------
        Posterior
            For all data sets with a number of trials in the range trained for.

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
        >>> settings = fp.NPE(fp.ddm(), trials=20, layers=1, flow_widths=(8,), widths=(16,), bins=4)
        >>> posterior = settings.fit(budget=16_384, seed=1)
        >>> posterior.kind, posterior.trials
        ('npe', (20, 20))
        """
        return _run.fit(
            self,
            _run.Order(kind="npe", budget=budget, seed=seed, simulations=simulations, into=into, progress=progress),
        )

    def prepare(self, seed: int, simulations: Mapping[str, Any] | None) -> tuple[AmortizedPosterior, Feed]:
        """Build the estimator and the feed that trains it; `fit` calls this.

        Parameters
        ----------
        seed : int
            Of weights and simulations.
        simulations : mapping or None
            A table to train from.

        Returns
        -------
        (AmortizedPosterior, callable)
            BayesFlow's estimator with weights drawn from the seed, and its feed.
        """
        from firstpassage.estimators import _latent, _sets

        trials, batch = _range(self.trials), self.settings()["batch"]
        encode = _sets.encoder(self.model, trials=trials, summary=str(self.summary))
        space = _latent.space(self.model, encode=encode if self.summary == "moments" else None)
        source = _sets.source(
            self.model, simulations, space=space, trials=trials, encode=encode, seed=seed, batch=batch
        )
        _, features = source.draw(4096, purpose="features")
        estimator = self._estimator(features, seed)
        estimator.scaling |= space.arrays()
        scaling = estimator.scaling["features/set"]

        def feed(n: int, purpose: str) -> dict[str, Any]:
            latent, raw = source.draw(n, purpose=purpose)
            return {"inference_variables": latent.astype(np.float32), "summary_variables": _sets.scaled(raw, scaling)}

        return estimator, _sets.repeated(feed, passes=self.passes, seed=seed, batch=batch)

    def _estimator(self, features: Any, seed: int) -> AmortizedPosterior:
        """Build BayesFlow's estimator, with weights drawn from the seed."""
        from firstpassage.estimators import _amortized, _flows, _sets

        size = len(self.model.parameters)
        estimator = _amortized.AmortizedPosterior(
            inference_network=_flows.layer(
                self.flow, settings=self.settings(), seed=seeds.derive(seed, "flow weights"), size=size
            ),
            summary_network=_amortized.network(
                {**self.settings(), "summary": self.summary}, seed=seeds.derive(seed, "summary weights")
            ),
            standardize=None,
        )
        estimator.scale_by(_sets.rows(features))
        shape = _sets.scaled(features, estimator.scaling["features/set"])[:1].shape
        estimator.build({"inference_variables": (1, size), "summary_variables": shape})
        return estimator

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model.

        Returns
        -------
        dict
            As JSON can hold it; what concerns other summaries than "moments" only where there is one.
        """
        unused = {"model", *_UNUSED[str(self.summary)], *(() if self.decay else ("decay",))}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unused}


def _check_summary(method: NPE) -> None:
    """Refuse a summary that there is not, or that cannot be used with these trials."""
    if method.summary not in SUMMARIES:
        raise ModelError(f"summary must be one of {', '.join(SUMMARIES)}; got {method.summary!r}.")
    low, high = _range(method.trials)
    if method.summary == "bayesflow" and low != high:
        raise ModelError(
            f'summary="bayesflow" takes one number of trials, since BayesFlow\'s DeepSet cannot leave out trials; got '
            f'trials={method.trials!r}. Pass trials={high}, or summary="deepset".'
        )
    if method.summary == "timeseries" and (not _has_series(method.model) or high > 1):
        raise ModelError(
            f'summary="timeseries" takes one trial that holds long series; got the model {method.model.name} and '
            f'trials={method.trials!r}. Pass trials=1 of a model whose schema has series, or summary="moments".'
        )
    if method.summary == "decisions" and (method.model.decisions is None or high > 1):
        raise ModelError(
            f'summary="decisions" takes one trial that is a sequence of decisions; got the model {method.model.name} '
            f'and trials={method.trials!r}. Pass trials=1 of such a model, or summary="moments".'
        )


def _usual(model: Model) -> tuple[int, int]:
    """Choose numbers of trials: one where a trial is itself a long sequence, or long series."""
    return (1, 1) if _has_series(model) or model.decisions is not None else (20, 1000)


def _has_series(model: Model) -> bool:
    """Tell whether a trial holds long series."""
    return model.schema is not None and model.schema.series > 0


def _range(trials: Any) -> tuple[int, int]:
    """Check one number of trials or the ends of a range."""
    ends = trials if isinstance(trials, (tuple, list)) else (trials, trials)
    if len(ends) != 2:
        raise ModelError(f"trials must be a number or the two ends of a range, such as (20, 1000); got {trials!r}.")
    low, high = (_run.positive_integer("trials", end) for end in ends)
    if low > high:
        raise ModelError(f"trials must go from the smaller to the larger number; got {trials!r}.")
    return low, high
