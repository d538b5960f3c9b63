"""Neural posterior estimation (NPE) for sets of trials: learn p(theta | data) from simulations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators import _run, _shape
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._amortized import AmortizedPosterior
    from firstpassage.estimators._stream import Feed
    from firstpassage.estimators.posterior import Posterior

SUMMARIES = ("moments", "vector", "series", "decisions", "deepset", "bayesflow", "timeseries")
_USUAL: dict[str, Any] = {"flow_widths": (128, 128), "widths": (256, 256, 256)}
_OF_VECTORS: dict[str, Any] = {"flow_widths": (64, 64), "widths": (64, 64)}
_OF_SERIES: dict[str, Any] = {"flow_widths": (64, 64), "widths": (128, 128)}
_OF_ONE = ("vector", "series")  # which take one trial
_UNUSED = {  # settings, by the summary that does without them
    "moments": {"summary", "trial_widths", "hidden"},
    "vector": {"trial_widths", "hidden"},
    "series": {"trial_widths"},
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
        trial is a sequence of decisions, such as a window of sites, or holds long series, such as a trace, or where a
        model of one's own returns an array for each trial.
    summary : {"moments", "vector", "series", "decisions", "deepset", "bayesflow", "timeseries"}, optional
        Where those numbers come from: fixed statistics, fastest on a CPU, which may lose information; for one trial
        that is a sequence of decisions, averages and maxima of a small perceptron for each decision with what led to
        it; the same for trials, which is learned too and needs no statistics that suit the model; or BayesFlow's
        ``DeepSet`` with its own settings, which cannot leave out trials and hence takes one number of trials only; or,
        for one trial that holds long series, such as a voltage trace, BayesFlow's ``TimeSeriesNetwork`` on the raw
        series, which is slow on a CPU. "vector" and "series" are for one trial of a model of one's own: its numbers as
        they are, those with heavy tails bent by an inverse hyperbolic sine, through a perceptron; or its time series
        through strided convolutions, which are quick.
        None is "decisions" where there are such and `trials` is 1; of a model of one's own that has neither schema nor
        summary it depends on what its simulator returns for a trial: arrays with 64 times or more of one length,
        (n, trial, time) or (n, trial, time, channel), are "series"; any other array, (n, trial, 8), is a "vector";
        and single numbers, (n, trial), of which there are many, are "moments", as is everything else.
    flow : {"maf-spline", "maf", "spline", "affine", "mdn"}
        Masked autoregressive flow with splines or affine; BayesFlow's coupling flow; mixture of normals.
    layers : int
        Of the flow.
    flow_widths, widths : tuple of int, optional
        Hidden widths of the flow's perceptrons, and of the summary network; None is (128, 128) and (256, 256, 256), for
        "vector" (64, 64) for both, for "series" (64, 64) and (128, 128).
    trial_widths : tuple of int
        Hidden widths of the perceptron for single decisions or trials; the last layer is pooled.
    hidden : int
        Units of each recurrent layer of "timeseries", and of each convolution of "series".
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
    members : int, optional
        Networks that are trained beside each other on a table without a budget; their posteriors are averaged. None is
        4 for a model of one's own, else 1.
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

    A model of one's own whose data are a vector:

    >>> def simulate(theta, *, trials, rng):
    ...     return {"x": rng.normal(theta["mu"][:, None, None], 1.0, (len(theta["mu"]), trials, 8))}
    >>> mine = fp.Model(name="mine", parameters=[fp.Parameter("mu", bounds=(-1, 1))], likelihood=simulate)
    >>> fp.NPE(mine).summary, fp.NPE(mine).trials
    ('vector', (1, 1))
    """

    model: Model
    _: KW_ONLY
    trials: int | tuple[int, int] | None = None
    summary: Literal["moments", "vector", "series", "decisions", "deepset", "bayesflow", "timeseries"] | None = None
    flow: Literal["maf-spline", "maf", "spline", "affine", "mdn"] = "maf-spline"
    layers: int = 3
    flow_widths: tuple[int, ...] | None = None
    widths: tuple[int, ...] | None = None
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
    members: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        if not isinstance(self.model, Model):
            raise ModelError(f"NPE takes a Model, such as firstpassage.ddm(); got {self.model!r}.")
        trials, summary = _by_shape(self)
        object.__setattr__(self, "trials", trials)
        object.__setattr__(self, "summary", summary)
        own = {"vector": _OF_VECTORS, "series": _OF_SERIES}.get(summary, {})
        _run.fill(self, {"batch": 128 if self.summary == "decisions" else 512}, own, _USUAL)
        for name in ("layers", "hidden", "summaries", "bins", "components", "passes"):
            _run.positive_integer(name, getattr(self, name))
        _run.check_training(self)
        _run.check_decay(self.decay)
        _run.check_clip(self.clip)
        _run.sizes(self, "widths", "flow_widths", "trial_widths")
        _check_summary(self)
        from firstpassage.estimators import _flows

        _flows.check(self.flow)
        _run.check_members(self)

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
    ) -> Posterior:
        """Train on simulated sets of trials, and return the amortized posterior.

        Parameters
        ----------
        budget : int, optional
            Parameter sets, each with a set of trials, over all epochs. Without `simulations` each is a fresh one. None
            is for `simulations`: train on these in as many epochs as a held-out tenth gets better, and keep the best
            weights. Of several rounds: simulations over all of them.
        seed : int
            Of simulations and weights. The same seed on the same machine gives the same weights.
        simulations : mapping of str to array_like, or pool, optional
            An existing table to train from: parameters (n,), observed variables (n, trials, ...) with at least as many
            trials as the posterior is for; of a range of numbers of trials, the first ones are taken.
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
            _run.Order(
                kind="npe",
                budget=budget,
                seed=seed,
                simulations=simulations,
                into=into,
                progress=progress,
                rounds=rounds,
                observed=observed,
            ),  # fmt: skip
        )

    def prepare(self, seed: int, simulations: Any) -> tuple[AmortizedPosterior, Feed]:
        """Build the estimator and the feed that trains it; `fit` calls this.

        Parameters
        ----------
        seed : int
            Of weights and simulations.
        simulations : mapping, pool or None
            A table to train from.

        Returns
        -------
        (AmortizedPosterior, callable)
            BayesFlow's estimator with weights drawn from the seed, and its feed.
        """
        from firstpassage.estimators import _latent, _sets

        trials, batch = _range(self.trials), self.settings()["batch"]
        encode = _sets.encoder(self.model, trials=trials, summary=str(self.summary))
        bend = self.summary == "vector"
        space = _latent.space(self.model, encode=encode if self.summary == "moments" else None)
        source = _sets.source(
            self.model, simulations, space=space, trials=trials, encode=encode, seed=seed, batch=batch
        )
        _, features = source.draw(4096, purpose="features")
        estimator = self._estimator(features, seed, bend=bend)
        estimator.scaling |= space.arrays()
        scaling = estimator.scaling["features/set"]

        def feed(n: int, purpose: str) -> dict[str, Any]:
            latent, raw = source.draw(n, purpose=purpose)
            return {"inference_variables": latent.astype(np.float32), "summary_variables": _sets.scaled(raw, scaling)}

        return estimator, _sets.repeated(feed, passes=self.passes, seed=seed, batch=batch)

    def _estimator(self, features: Any, seed: int, *, bend: bool) -> AmortizedPosterior:
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
        estimator.scale_by(_sets.rows(features), bend=bend)
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
        unused = {"model", *_UNUSED[str(self.summary)], *_run.unsaid(self)}
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
    if method.summary in _OF_ONE and high > 1:
        raise ModelError(f"summary={method.summary!r} takes one trial; got trials={method.trials!r}. Pass trials=1.")
    if method.summary == "series" and _shape.of(method.model).form != "series":
        raise ModelError(
            f'summary="series" takes arrays with 64 times or more of one length; {method.model.name} returns others. '
            'Pass summary="vector".'
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


def _by_shape(method: NPE) -> tuple[tuple[int, int], str]:
    """Choose numbers of trials and summary, where they are not given, by what a trial is."""
    model, given = method.model, method.summary
    form = None
    if method.trials is None or (given is None and _range(method.trials) == (1, 1)):
        trial = _shape.of_own(model)
        form = None if trial is None or trial.form == "numbers" else trial.form
    long = _has_series(model) or model.decisions is not None
    usual = (1, 1) if long or form is not None or given in _OF_ONE else (20, 1000)
    trials = _range(usual if method.trials is None else method.trials)
    if given is not None or trials != (1, 1):
        return trials, given or "moments"
    return trials, form or ("decisions" if model.decisions is not None else "moments")


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
