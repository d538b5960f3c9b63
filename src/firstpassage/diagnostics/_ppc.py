"""Posterior predictive check: statistics of the data against those of data simulated from the posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import _predictive, _sites, _trace_statistics, _visit_statistics
from firstpassage.diagnostics._response_times import RESPONSES
from firstpassage.errors import DataError, ModelError

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood

Statistic = Callable[[np.ndarray], float]

OUTSIDE = 0.005  # share of the replicates beyond a statistic, below which it is looked at
_QUANTILES = (0.1, 0.5, 0.9)
_FEWEST = 10  # trials of a response, for statistics of its own
_REPLICATES = 100  # for a verdict
_SHOWN = 5  # statistics in a verdict


@dataclass(frozen=True, eq=False, kw_only=True)
class Ppc:
    """Hold statistics of the data and of the replicates.

    Parameters
    ----------
    names : tuple of str
        Of the statistics; with conditions, ``"condition: statistic"``.
    observed : ndarray, shape (statistic,)
        Of the data.
    replicated : ndarray, shape (replicate, statistic)
        Of the simulated data sets.
    kind : str
        What the sampler is.
    seed : int
        Of the replicates.
    """

    names: tuple[str, ...]
    observed: np.ndarray
    replicated: np.ndarray
    kind: str
    seed: int

    @property
    def p(self) -> np.ndarray:
        """Share of the replicates below the data, ties counted half, by statistic; near 0 or 1 where they differ."""
        below, ties = self.replicated < self.observed, self.replicated == self.observed
        return below.mean(axis=0) + ties.mean(axis=0) / 2

    @property
    def outside(self) -> tuple[str, ...]:
        """Statistics with p outside .005 to .995."""
        far = (self.p < OUTSIDE) | (self.p > 1 - OUTSIDE)
        return tuple(name for name, out in zip(self.names, far, strict=True) if out)

    @property
    def unusual(self) -> tuple[str, ...]:
        """Those of `outside` which are further out than chance would bring one of all that were looked at.

        A rank among some hundred replicates cannot tell, so the distance in standard deviations of the replicates must
        also exceed the normal quantile at .005 over the number of statistics.
        """
        limit = NormalDist().inv_cdf(1 - OUTSIDE / max(len(self.names), 1))
        gap, spread = np.abs(self.observed - self.replicated.mean(axis=0)), self.replicated.std(axis=0)
        far = dict(zip(self.names, gap > limit * spread, strict=True))
        return tuple(name for name in self.outside if far[name])

    @property
    def ok(self) -> bool | None:
        """Tell whether no statistic is unusual; None with fewer than 100 replicates."""
        return None if len(self.replicated) < _REPLICATES else not self.unusual

    @property
    def verdict(self) -> str:
        """Say in one sentence which statistics the posterior cannot reproduce, and of how many."""
        among = f"{len(self.names)} statistics against {len(self.replicated)} replicates"
        if self.ok is None:
            return f"too few replicates for a verdict, {_REPLICATES} are needed: {among}."
        if self.unusual:
            shown = "; ".join(self._words(name) for name in self.unusual[:_SHOWN])
            more = f" and {len(self.unusual) - _SHOWN} more" if len(self.unusual) > _SHOWN else ""
            return f"the posterior does NOT reproduce the data: {shown}{more}; {among}."
        doubtful = f", {len(self.outside)} with p outside .005 to .995, as chance allows" if self.outside else ""
        return f"the posterior reproduces the data: {among}{doubtful}."

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, and of each statistic: observed, median and 95 % interval of the replicates, p.
        """
        head = {"ok": self.ok, "verdict": self.verdict, "kind": self.kind, "seed": self.seed}
        sizes = {"replicates": len(self.replicated), "looked_at": len(self.names), "outside": list(self.outside)}
        return head | sizes | {"statistics": {name: self._row(name) for name in self.names}}

    def _row(self, name: str) -> dict[str, float]:
        """Summarise one statistic."""
        i = self.names.index(name)
        low, median, high = np.quantile(self.replicated[:, i], (0.025, 0.5, 0.975)).tolist()
        found = {"observed": float(self.observed[i]), "p": float(self.p[i])}
        return found | {"median": median, "low": low, "high": high}

    def _words(self, name: str) -> str:
        """Write one statistic with its numbers."""
        row = self._row(name)
        return f"{name} is {row['observed']:.3g}, replicates {row['low']:.3g} to {row['high']:.3g}"


def ppc(
    sampler: Likelihood | Posterior,
    draws: xr.DataTree | Mapping[Any, xr.DataTree],
    data: Any,
    *,
    seed: int,
    replicates: int = 200,
    statistics: Mapping[str, Statistic] | None = None,
    by: Any = None,
) -> Ppc:
    """Compare statistics of one subject's data with those of data simulated from the posterior.

    The p values are conservative, since the posterior has seen the data: `misspecification` is the sharper test, and
    this one says what is wrong.

    Parameters
    ----------
    sampler : Likelihood or Posterior
        Its simulator is used.
    draws : DataTree, or mapping of condition to DataTree
        Posterior draws of scalar parameters; with `by`, one posterior for each condition, or one for all.
    data : DataFrame, mapping or array_like
        One subject's trials.
    seed : int
        From 0 to 2**63 - 1.
    replicates : int
        Simulated data sets of the observed size for each condition.
    statistics : mapping of str to callable, optional
        ``f(x) -> float`` of trials x (trial, column), in place of the usual ones: mean, sd, min, max and quantiles .1,
        .5, .9 of each column (the mean alone where a column has two values); for choices, the share of upper responses,
        and mean and quantiles of rt for each response with ten trials or more. For foraging data x are the visits
        (visit, 4) with residence, stops, rewards and left, and the usual statistics are those of residence, stops and
        rewards of the visits that ended with a leave, the shares of leaves after 0, 1 and 2 rewards, the number of
        visits, and the share of those that were cut off. For voltage traces x is one row with mean, sd and minimum of
        the voltage, sd of its steps, number of spikes, and time of the first, mean and variation of the intervals in
        samples; `traces` tells more.
    by : str or array_like, shape (trial,), optional
        Condition of each trial, or the name of its column in `data`.

    Returns
    -------
    Ppc
        Statistics and Bayesian p values, ``ok`` and ``verdict``.

    Raises
    ------
    DataError
        If data, draws or conditions do not fit each other.
    ModelError
        If there is no simulator, or an argument is wrong.

    References
    ----------
    Gelman, Meng and Stern (1996), Statistica Sinica 6, eq. 8: the p value of a statistic.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> theta = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
    >>> draws = arviz_base.from_dict({"posterior": {k: np.full((1, 10), x) for k, x in theta.items()}})
    >>> slow = np.column_stack([np.linspace(8, 9, 50), np.tile([1.0, -1.0], 25)])
    >>> ppc(fp.ddm().exact, draws, slow, seed=1, statistics={"fastest": lambda x: x[:, 0].min()}).ok
    False
    """
    x = sampler.read(data)
    x = x.reshape(len(x), -1)
    names: list[str] = []
    observed: list[float] = []
    replicated: list[np.ndarray] = []
    for label, (rows, posterior) in _conditions(data, by, draws, trials=len(x)).items():
        own, again = _replicated(
            sampler, posterior, x[rows], replicates=replicates, seed=seeds.derive(seed, f"condition {label}")
        )
        wanted = _usual(own, sampler.columns) if statistics is None else dict(statistics)
        seen, drawn = _evaluate(wanted, own, again, strict=statistics is not None)
        names += [f"{label}: {name}" if label else name for name in seen]
        observed += seen.values()
        replicated += drawn
    return Ppc(
        names=tuple(names), observed=np.array(observed), replicated=np.stack(replicated, axis=1), kind=sampler.kind,
        seed=seeds.check(seed),
    )  # fmt: skip


def _replicated(
    sampler: Likelihood | Posterior, posterior: Any, own: np.ndarray, *, replicates: int, seed: int
) -> tuple[np.ndarray, Sequence[np.ndarray]]:
    """Simulate data sets of the observed size; of foraging data give the visits, of traces a row of statistics."""
    if _trace_statistics.known(sampler.columns):
        made = _predictive.replicate(sampler, posterior, trials=len(own), replicates=replicates, seed=seed)
        rows = [np.array([[*_trace_statistics.describe(one).values()]]) for one in (own, *made)]
        return rows[0], rows[1:]
    if not _sites.known(sampler.columns):
        again = _predictive.replicate(sampler, posterior, trials=len(own), replicates=replicates, seed=seed)
        return own, list(again)
    theta, rng = _predictive.choose(sampler, posterior, seed=seed, replicates=replicates)
    data = [own, *_sites.replicate(sampler, theta, like=own, rng=rng)]
    described, owner = _sites.visits(_sites.sites(data, sampler.columns))
    first, *rest = np.split(described, np.flatnonzero(np.diff(owner)) + 1)
    return first, rest


def _conditions(data: Any, by: Any, draws: Any, *, trials: int) -> dict[str, tuple[np.ndarray, Any]]:
    """Find the trials and the posterior of each condition."""
    if by is None:
        if isinstance(draws, Mapping) and "posterior" not in draws:
            raise ModelError("draws by condition need the condition of each trial. Pass by=..., or one DataTree.")
        return {"": (np.arange(trials), draws)}
    label = np.asarray(_column(data, by) if isinstance(by, str) else by)
    if label.shape != (trials,):
        raise DataError(
            f"by must have one condition for each of {trials} trials; got shape {label.shape}. Pass a column of the "
            "data."
        )
    found = {}
    for value in np.unique(label).tolist():
        posterior = draws
        if isinstance(draws, Mapping) and "posterior" not in draws:
            if value not in draws:
                raise DataError(
                    f"draws must have every condition; {value!r} is not among {', '.join(map(str, draws))}."
                )
            posterior = draws[value]
        found[str(value)] = (np.flatnonzero(label == value), posterior)
    return found


def _column(data: Any, name: str) -> Any:
    """Take a column of conditions out of the data."""
    try:
        return data[name]
    except (KeyError, IndexError, TypeError):
        raise DataError(
            f"by={name!r} must name a column of the data. Pass the conditions as an array instead."
        ) from None


def _usual(x: np.ndarray, columns: tuple[str, ...]) -> dict[str, Statistic]:
    """Choose statistics for trials (trial, column)."""
    if _trace_statistics.known(columns):
        return {name: partial(_entry, i=i) for i, name in enumerate(_trace_statistics.NAMES)}
    if _sites.known(columns):
        return _visit_statistics.usual()
    found: dict[str, Statistic] = {}
    choice = set(columns) == {"rt", "response"}
    for i, name in enumerate(columns):
        if choice and name == "response":
            found["share of upper responses"] = lambda x, i=i: float(np.mean(x[:, i] > 0))  # type: ignore[misc]
        else:
            found |= _of_column(name, x, i)
    if choice:
        rt, response = columns.index("rt"), columns.index("response")
        for side, code in RESPONSES.items():
            if (x[:, response] == code).sum() >= _FEWEST:
                found |= _of_response(side, code, rt, response)
    return found


def _entry(x: np.ndarray, *, i: int) -> float:
    """Take one of the statistics of traces."""
    return float(x[0, i])


def _of_column(name: str, x: np.ndarray, i: int) -> dict[str, Statistic]:
    """List the statistics of one column."""
    found: dict[str, Statistic] = {f"mean of {name}": lambda x: float(x[:, i].mean())}
    if len(np.unique(x[:, i])) > 2:
        found[f"sd of {name}"] = lambda x: float(x[:, i].std())
        found[f"min of {name}"] = lambda x: float(x[:, i].min())
        found[f"max of {name}"] = lambda x: float(x[:, i].max())
        for q in _QUANTILES:
            found[f"q{100 * q:.0f} of {name}"] = lambda x, q=q: float(np.quantile(x[:, i], q))  # type: ignore[misc]
    return found


def _of_response(side: str, code: float, rt: int, response: int) -> dict[str, Statistic]:
    """List the statistics of the response times of one response; NaN where a replicate has no such trial."""

    def own(x: np.ndarray) -> np.ndarray:
        return x[x[:, response] == code, rt]

    found: dict[str, Statistic] = {f"mean rt, {side}": lambda x: float(own(x).mean()) if len(own(x)) else np.nan}

    def quantile(x: np.ndarray, *, q: float) -> float:
        return float(np.quantile(own(x), q)) if len(own(x)) else np.nan

    return found | {f"q{100 * q:.0f} of rt, {side}": partial(quantile, q=q) for q in _QUANTILES}


def _evaluate(
    wanted: Mapping[str, Statistic], x: np.ndarray, again: Sequence[np.ndarray], *, strict: bool
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Evaluate statistics of the data and of each replicate; leave out the usual ones that a replicate has not."""
    seen, drawn = {}, []
    for name, statistic in wanted.items():
        value = _number(name, statistic(x))
        values = np.array([_number(name, statistic(one)) for one in again])
        if np.isfinite(value) and np.isfinite(values).all():
            seen[name] = value
            drawn.append(values)
        elif strict:
            raise DataError(
                f"the statistic {name!r} must be finite; it is {value:g} for the data, and not finite for "
                f"{int((~np.isfinite(values)).sum())} of {len(values)} replicates. Choose one that always exists."
            )
    if not seen:
        raise ModelError(
            "expected at least one statistic; got none. Pass statistics={name: function}, or leave it out."
        )
    return seen, drawn


def _number(name: str, value: Any) -> float:
    """Check that a statistic is one number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ModelError(f"the statistic {name!r} must return one number; got {value!r:.60}.") from None
