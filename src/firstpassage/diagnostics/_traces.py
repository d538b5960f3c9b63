"""Traces of a neuron: voltage and spikes of the data against those that posterior and prior predict."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _draws, seeds
from firstpassage.diagnostics import _trace_statistics
from firstpassage.errors import DataError, ModelError
from firstpassage.models import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from firstpassage.models.model import Model

COVERAGE, ERROR, DISTANCE = "share in the 90 % band", "subthreshold error (mV)", "spike-train distance"
_BAND = (0.05, 0.5, 0.95)
_REPLICATES = 100  # for a verdict
_ALPHA = 0.005  # on each side, and over all statistics together
_SHOWN = 3  # statistics in a verdict


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranked:
    """Hold one number of the data, and that of each replicate; NaN where it does not exist.

    Parameters
    ----------
    observed : float
        Of the data.
    replicated : ndarray, shape (replicate,)
        Of the replicates.
    """

    observed: float
    replicated: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """The numbers of the replicates that have one."""
        return self.replicated[np.isfinite(self.replicated)]

    @property
    def p(self) -> float:
        """Mid-p: share of the replicates below the data, ties counted half; NaN where there is nothing to compare."""
        if not np.isfinite(self.observed) or not self.known.size:
            return float("nan")
        return float(np.mean(self.known < self.observed) + np.mean(self.known == self.observed) / 2)

    def numbers(self) -> dict[str, float]:
        """List observed, median, low and high (90 % of the replicates), p, and error, the mean absolute difference."""
        if not self.known.size:
            return {"observed": self.observed, **dict.fromkeys(("median", "low", "high", "p", "error"), float("nan"))}
        low, median, high = np.quantile(self.known, _BAND).tolist()
        error = float(np.abs(self.known - self.observed).mean())
        return {"observed": self.observed, "median": median, "low": low, "high": high, "p": self.p, "error": error}


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """Hold what draws of the parameters predict, and how the data lie in it.

    Parameters
    ----------
    low, median, high : ndarray, shape (trace, sample)
        Pointwise 5 %, 50 % and 95 % quantiles of the voltage over the replicates, mV.
    counts : ndarray, shape (replicate,)
        Spikes over all traces.
    coverage : float
        Share of the samples of the data between `low` and `high`.
    percentile : float
        Share of the replicates with as many spikes as the data, or fewer.
    error : float
        Mean absolute difference of data and `median`, over samples below the median of V_th, mV.
    score : float
        Energy score of the spike trains: mean distance of the data from the replicates, less half of that of the
        replicates from each other. The lower the better, on average lowest for the true distribution.
    statistics : dict of str to Ranked
        Spikes, first spike, intervals, distance of spike trains from the replicates; coverage and error too.
    """

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    coverage: float
    percentile: float
    error: float
    score: float
    statistics: dict[str, Ranked]

    @property
    def mid_p(self) -> float:
        """Share of the replicates with fewer spikes than the data, ties counted half."""
        return self.statistics[_trace_statistics.SPIKES].p

    def numbers(self) -> dict[str, Any]:
        """List what decides, without the bands."""
        return {
            "coverage": self.coverage, "spike_count_percentile": self.percentile, "spike_count_mid_p": self.mid_p,
            "subthreshold_error": self.error, "spike_train_score": self.score,
            "statistics": {name: one.numbers() for name, one in self.statistics.items()},
        }  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Traces:
    """Hold the traces of one cell, and what posterior and prior predict of them.

    Parameters
    ----------
    time : ndarray, shape (sample,)
        ms.
    voltage, spikes : ndarray, shape (trace, sample)
        Of the data: mV, and 0 or 1.
    posterior, prior : Predicted
        By as many draws of each.
    timescale : float
        Of the spike-train distance, ms.
    replicates, seed : int
        Of the replicates.
    """

    time: np.ndarray
    voltage: np.ndarray
    spikes: np.ndarray
    posterior: Predicted
    prior: Predicted
    timescale: float
    replicates: int
    seed: int

    @property
    def unusual(self) -> tuple[str, ...]:
        """Statistics of the data that are farther out than chance would bring one of all.

        Their p is outside .005 to .995, and, since a rank among some hundred replicates cannot tell more, they also lie
        more standard deviations off than the normal quantile at .005 over the number of statistics.
        """
        compared = {k: one for k, one in self.posterior.statistics.items() if np.isfinite(one.p)}
        limit = NormalDist().inv_cdf(1 - _ALPHA / max(len(compared), 1))

        def far(one: Ranked) -> bool:
            gap = abs(one.observed - one.known.mean())
            return not _ALPHA <= one.p <= 1 - _ALPHA and bool(gap > limit * one.known.std())

        return tuple(name for name, one in compared.items() if far(one))

    @property
    def ok(self) -> bool | None:
        """Tell whether no statistic is unusual; None with fewer than 100 replicates."""
        return None if self.replicates < _REPLICATES else not self.unusual

    @property
    def verdict(self) -> str:
        """Say in one sentence whether the posterior reproduces the data, beside the prior."""
        ours, prior = self.posterior, self.prior
        found = (
            f"the 90 % band holds {ours.coverage:.1%} of the voltage (prior {prior.coverage:.1%}), "
            f"{int(self.spikes.sum())} spikes are at mid-p {ours.mid_p:.2f} (prior {prior.mid_p:.2f}), subthreshold "
            f"error {ours.error:.2f} mV (prior {prior.error:.2f} mV), spike-train score {ours.score:.2f} (prior "
            f"{prior.score:.2f}); {self.replicates} replicates"
        )
        if self.ok is None:
            return f"too few replicates for a verdict, {_REPLICATES} are needed: {found}."
        if self.unusual:
            named = "; ".join(self._words(name) for name in self.unusual[:_SHOWN])
            return f"the posterior does NOT reproduce the data: {named}; {found}."
        return f"the posterior reproduces the data: {found}."

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, sizes, and of posterior and prior: coverage, spike_count_percentile, spike_count_mid_p,
            subthreshold_error (mV), spike_train_score and statistics.
        """
        sizes = {"traces": len(self.voltage), "replicates": self.replicates, "seed": self.seed}
        head = {"ok": self.ok, "verdict": self.verdict, "timescale": self.timescale, **sizes}
        return head | {"posterior": self.posterior.numbers(), "prior": self.prior.numbers()}

    def drawn(self) -> dict[str, np.ndarray]:
        """List the arrays that figures show.

        Returns
        -------
        dict of str to ndarray
            time, voltage, spike_times of each trace, low, median, high, counts and prior_counts.
        """
        times = {f"spike_times_{i}": self.time[trace > 0] for i, trace in enumerate(self.spikes)}
        ours = self.posterior
        bands = {"low": ours.low, "median": ours.median, "high": ours.high}
        counts = {"counts": ours.counts, "prior_counts": self.prior.counts}
        return {"time": self.time, "voltage": self.voltage, **times, **bands, **counts}

    def _words(self, name: str) -> str:
        """Write one statistic with its numbers."""
        row = self.posterior.statistics[name].numbers()
        return f"{name} is {row['observed']:.3g}, replicates {row['low']:.3g} to {row['high']:.3g}"


def traces(
    model: Model, draws: xr.DataTree, data: Any, *, seed: int, replicates: int = 200, timescale: float = 10.0
) -> Traces:
    """Compare the traces of a cell with traces simulated from posterior draws, and from as many draws of the prior.

    Coverage, percentile and error have the definitions of the published workflow. The first two cannot tell a posterior
    from its prior, which covers as well; so each stands beside the prior's own value, and spike times are compared too.

    Parameters
    ----------
    model : Model
        A model of voltage traces, such as ``fp.lif()``.
    draws : DataTree
        Posterior draws, by any method: of an amortized posterior, or of a likelihood.
    data : mapping or array_like
        The traces of one cell, as the model reads them.
    seed : int
        From 0 to 2**63 - 1.
    replicates : int
        Simulated sets of traces, each from one posterior draw; as many from the prior.
    timescale : float
        Of the distance of spike trains, ms: coincidences within it count.

    Returns
    -------
    Traces
        Numbers for ``plots.traces`` and ``plots.spike_counts``, ``ok`` and ``verdict``.

    Raises
    ------
    DataError
        If the data are not usable, or the draws have other parameters.
    ModelError
        If the model is not one of traces, or an argument is wrong.

    References
    ----------
    van Rossum (2001), A novel spike distance, Neural Computation 13, 751. Gneiting and Raftery (2007), Strictly proper
    scoring rules, prediction, and estimation, JASA 102, section 4.3: the energy score, here of filtered trains.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> model = fp.lif(T=50.0)
    >>> theta = model.prior(1, seed=1)
    >>> draws = arviz_base.from_dict({"posterior": {name: np.tile(v, (1, 100)) for name, v in theta.items()}})
    >>> data = {name: value[0] for name, value in model.likelihood(theta, seed=2).items()}
    >>> traces(model, draws, data, seed=3).ok
    True
    """
    schema = plain.schema(model)
    if schema.trial != _trace_statistics.TRIAL:
        raise ModelError(f"traces need a model of traces, such as fp.lif(); got {model.name}, of a {schema.trial}.")
    if not timescale > 0:
        raise ModelError(f"timescale must be positive milliseconds; got {timescale!r}. The usual one is 10.")
    x = schema.read(data)
    chosen = _chosen(model, draws, seed=seed, replicates=replicates)
    prior = model.prior(replicates, seed=seeds.derive(seed, "traces of the prior"))
    ours, theirs = (
        _simulated(model, theta, x, seed=seeds.derive(seed, f"traces {name}"))
        for name, theta in (("posterior", chosen), ("prior", prior))
    )
    samples, dt = ours[0].shape[-1], float(model.settings["dt"])
    seen = x[:, :samples], x[:, samples : 2 * samples]
    same: dict[str, Any] = {"dt": dt, "timescale": float(timescale)}
    return Traces(
        time=np.arange(samples) * dt, voltage=seen[0], spikes=seen[1], timescale=float(timescale),
        posterior=_predicted(seen, ours, threshold=float(np.median(_draws.scalars(draws)["V_th"])), **same),
        prior=_predicted(seen, theirs, threshold=float(np.median(prior["V_th"])), **same),
        replicates=int(replicates), seed=seeds.check(seed),
    )  # fmt: skip


def _chosen(model: Model, draws: xr.DataTree, *, seed: int, replicates: int) -> dict[str, np.ndarray]:
    """Choose a posterior draw for each replicate: parameters (replicate,)."""
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 2:
        raise ModelError(f"replicates must be an integer of at least 2; got {replicates!r}. The usual number is 200.")
    values = _draws.scalars(draws)
    if set(values) != set(model.parameter_names):
        raise DataError(f"draws must have one scalar each of {', '.join(model.parameter_names)}; got {list(values)}.")
    size = next(iter(values.values())).size
    rows = seeds.generator(seed, "predictive").choice(size, size=replicates, replace=replicates > size)
    return {name: values[name].ravel()[rows] for name in model.parameter_names}


def _simulated(
    model: Model, theta: Mapping[str, np.ndarray], x: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate traces under the stimuli of x for each parameter set: voltage and spikes, (set, trace, sample) each."""
    places = _places(model, x)
    made = model.likelihood(theta, trials=int(places.max()) + 1, seed=seed)
    return made["voltage"][:, places], made["spikes"][:, places]


def _places(model: Model, x: np.ndarray) -> np.ndarray:
    """Choose for each trace of x a simulated one with the same stimulus: simulated ones take all stimuli in turn."""
    stimuli = model.settings.get("stimulus")
    if stimuli is None:
        return np.arange(len(x))
    given = np.asarray(stimuli, dtype=np.float64)
    own = x[:, -given.shape[1] :]
    same = np.isclose(own[:, None], given).all(axis=2)
    if not same.any(axis=1).all():
        raise DataError("every trace must have a stimulus of the model, to be simulated again; name its condition.")
    condition = same.argmax(axis=1)
    before = np.array([int((condition[:i] == one).sum()) for i, one in enumerate(condition)])
    return condition + len(given) * before


def _predicted(
    seen: tuple[np.ndarray, np.ndarray], made: tuple[np.ndarray, np.ndarray], *, threshold: float, dt: float,
    timescale: float,
) -> Predicted:  # fmt: skip
    """Compare the data with replicates."""
    voltage, spikes = (np.concatenate([own[None], again]) for own, again in zip(seen, made, strict=True))
    low, median, high = np.quantile(made[0], _BAND, axis=0)
    found = _trace_statistics.of_spikes(spikes, dt=dt)
    apart, score = _apart(spikes, dt=dt, timescale=timescale)
    found[DISTANCE] = apart
    found[COVERAGE] = ((voltage >= low) & (voltage <= high)).mean(axis=(1, 2))
    found[ERROR] = _error(voltage, median, below=threshold)
    counts = found[_trace_statistics.SPIKES]
    return Predicted(
        low=low, median=median, high=high, counts=counts[1:], coverage=float(found[COVERAGE][0]),
        percentile=float(np.mean(counts[1:] <= counts[0])), error=float(found[ERROR][0]), score=score,
        statistics={name: Ranked(observed=float(v[0]), replicated=v[1:]) for name, v in found.items()},
    )  # fmt: skip


def _apart(spikes: np.ndarray, *, dt: float, timescale: float) -> tuple[np.ndarray, float]:
    """Give each set's mean distance from the replicates, but itself, and the energy score of the first, the data."""
    all_pairs = _trace_statistics.distances(spikes, spikes[1:], dt=dt, timescale=timescale)
    total, replicates = all_pairs.sum(axis=1), len(spikes) - 1
    mean = np.append(total[0] / replicates, total[1:] / (replicates - 1))  # none from itself
    return mean, float(mean[0] - mean[1:].mean() / 2)


def _error(voltage: np.ndarray, median: np.ndarray, *, below: float) -> np.ndarray:
    """Average the absolute difference from the median over samples below a threshold: (set,); NaN without any."""
    under = voltage < below
    total, number = (np.abs(voltage - median) * under).sum(axis=(1, 2)), under.sum(axis=(1, 2))
    return np.divide(total, number, out=np.full(len(voltage), np.nan), where=number > 0)
