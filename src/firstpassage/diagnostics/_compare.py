"""Compare: how far learned posteriors lie from the exact ones, beside the exact ones against themselves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _draws, _nuts, _subjects, seeds
from firstpassage.diagnostics._agreement import agreement
from firstpassage.diagnostics._two_sample import two_sample
from firstpassage.errors import DataWarning, ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.estimators.posterior import Posterior

_IMPOSSIBLE = 1e3  # nats; stands for a trial that one likelihood excludes and the other does not
_POINTS = 200  # exact posterior draws at which log densities are compared


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Say what a learned posterior must keep to agree with the exact one.

    Parameters
    ----------
    shift_mean, shift_worst : float
        Of the posterior mean, in exact posterior sd: mean and largest over data sets and parameters.
    sd_ratio_mean : (float, float)
        Between which the mean ratio of standard deviations must lie.
    c2st_mean : float
        Mean accuracy of the classifier two-sample test.
    sd_ratio_each : (float, float), optional
        Between which the median ratio of standard deviations of every parameter must lie.
    """

    shift_mean: float = 0.15
    shift_worst: float = 0.35
    sd_ratio_mean: tuple[float, float] = (0.9, 1.1)
    c2st_mean: float = 0.57
    sd_ratio_each: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Distance:
    """Hold distances between two posteriors of the same data sets.

    Parameters
    ----------
    shift, sd_ratio : dict of str to ndarray, shape (dataset,)
        Distance of the means in exact posterior sd, and ratio of the standard deviations, by parameter.
    c2st : ndarray, shape (dataset,)
        Accuracy of a classifier that is to tell them apart.
    """

    shift: dict[str, np.ndarray]
    sd_ratio: dict[str, np.ndarray]
    c2st: np.ndarray

    def summary(self) -> dict[str, float]:
        """Average over data sets and parameters, and keep the worst.

        Returns
        -------
        dict of str to float
            shift_mean, shift_worst, sd_ratio_mean, sd_ratio_lowest, sd_ratio_highest, c2st_mean, c2st_worst.
        """
        shifts = np.abs(np.array(list(self.shift.values())))
        ratios = np.array(list(self.sd_ratio.values()))
        return {
            "shift_mean": float(shifts.mean()), "shift_worst": float(shifts.max()),
            "sd_ratio_mean": float(ratios.mean()), "sd_ratio_lowest": float(ratios.min()),
            "sd_ratio_highest": float(ratios.max()), "c2st_mean": float(self.c2st.mean()),
            "c2st_worst": float(self.c2st.max()),
        }  # fmt: skip

    def medians(self) -> dict[str, float]:
        """Give the median ratio of standard deviations over the data sets, by parameter.

        Returns
        -------
        dict of str to float
            In the order of the parameters.
        """
        return {name: float(np.median(ratio)) for name, ratio in self.sd_ratio.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactRuns:
    """Hold exact posterior draws of some data sets, and those of a second run.

    Parameters
    ----------
    first, second : Dataset
        Draws with the dimensions chain, draw and dataset.
    floor : Distance
        Of the second run from the first: what Monte Carlo error alone does.
    """

    first: xr.Dataset
    second: xr.Dataset
    floor: Distance


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Hold the comparison of a learned estimator with the exact likelihood.

    Parameters
    ----------
    kind : str
        Of the estimator.
    trials : ndarray, shape (dataset,)
        Sizes of the data sets.
    learned, floor : Distance
        Learned against exact, and a second exact run against the first: what Monte Carlo error alone does.
    error : ndarray, shape (dataset, 2), or None
        Median and 95 % point of the absolute error of a trial's log density, nats; for ratios up to a constant for
        each trial. None for posteriors, and for likelihoods of other trials than the exact one.
    sum_error : ndarray, shape (dataset,), or None
        Sd over exact posterior draws of the error of the summed log density, nats.
    r_hat : float
        Largest over all runs of MCMC.
    limits : Limits
        What decides.
    seed : int
        Of everything.
    """

    kind: str
    trials: np.ndarray
    learned: Distance
    floor: Distance
    error: np.ndarray | None
    sum_error: np.ndarray | None
    r_hat: float
    limits: Limits
    seed: int

    @property
    def ok(self) -> bool:
        """Tell whether all limits are kept."""
        return not self._broken()

    @property
    def verdict(self) -> str:
        """Say in one sentence whether the learned posteriors may stand for the exact ones."""
        ours, floor, broken = self.learned.summary(), self.floor.summary(), self._broken()
        text = "DIFFERS from" if broken else "agrees with"
        sets = "1 data set" if len(self.trials) == 1 else f"{len(self.trials)} data sets"
        text += f" the exact posterior on {sets}: mean shift {ours['shift_mean']:.3f} sd (floor "
        text += f"{floor['shift_mean']:.3f}), worst {ours['shift_worst']:.2f}, sd ratio {ours['sd_ratio_mean']:.3f}, "
        text += f"C2ST {ours['c2st_mean']:.3f} (floor {floor['c2st_mean']:.3f})"
        if self.sum_error is not None:
            text += f", summed log density off by {self.sum_error.mean():.2f} nats"
        return text + (f"; limits broken: {', '.join(broken)}." if broken else ".")

    def numbers(self) -> dict[str, Any]:
        """List everything for a JSON file.

        Returns
        -------
        dict
            ok, verdict, summaries, and the numbers of every data set.
        """
        each = {
            name: {"shift": d.shift, "sd_ratio": d.sd_ratio, "c2st": d.c2st}
            for name, d in (("learned", self.learned), ("floor", self.floor))
        }
        return {
            "ok": self.ok, "verdict": self.verdict, "seed": self.seed, "trials": self.trials, "r_hat": self.r_hat,
            "limits": vars(self.limits), "learned": self.learned.summary(), "floor": self.floor.summary(),
            "sd_ratio_medians": self.learned.medians(), "error_median_and_95": self.error,
            "sum_error_sd": self.sum_error, "data_sets": each,
        }  # fmt: skip

    def _broken(self) -> list[str]:
        """Name the limits that are not kept."""
        found, limits = self.learned.summary(), self.limits
        low, high = limits.sd_ratio_mean
        broken = [] if low <= found["sd_ratio_mean"] <= high else [f"mean sd ratio {low:g} to {high:g}"]
        if limits.sd_ratio_each is not None:
            low, high = limits.sd_ratio_each
            far = [f"{name} {ratio:.2f}" for name, ratio in self.learned.medians().items() if not low <= ratio <= high]
            broken += [f"median sd ratio {low:g} to {high:g} ({', '.join(far)})"] if far else []
        for name in ("shift_mean", "shift_worst", "c2st_mean"):
            if not found[name] <= vars(limits)[name]:
                broken.append(f"{name.replace('_', ' ')} <= {vars(limits)[name]:g}")
        return broken


def compare(
    learned: Likelihood | Posterior,
    exact: Likelihood,
    data: Any,
    *,
    seed: int,
    prior: Mapping[str, Any] | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    limits: Limits | None = None,
    runs: ExactRuns | None = None,
) -> Comparison:
    """Sample data sets by a learned estimator, by the exact likelihood, and by that again, and measure the distances.

    Parameters
    ----------
    learned : Likelihood or Posterior
        What is compared.
    exact : Likelihood
        The truth.
    data : DataFrame, array_like, or list of these
        One subject's trials, or many.
    seed : int
        From 0 to 2**63 - 1.
    prior : mapping of str to distribution, optional
        Of all runs; for likelihoods only.
    draws, tune, chains : int
        Of NUTS; what is not sampled by NUTS gets as many draws as all chains together.
    limits : Limits, optional
        What `ok` decides by; those of 200 trials if None.
    runs : ExactRuns, optional
        Of these data by the exact likelihood, for comparisons of several estimators; sampled here if None.

    Returns
    -------
    Comparison
        Distances, errors of the log density, and a verdict.

    Raises
    ------
    DataError
        If the data are not usable.
    ModelError
        If the parameters differ, or a prior is given for an amortized posterior.

    Examples
    --------
    >>> import firstpassage as fp
    >>> exact = fp.ddm().exact
    >>> data = fp.ddm().likelihood({"v": [1.0], "a": [1.0], "z": [0.5], "t": [0.3]}, trials=30, seed=1)
    >>> one = {name: value[0] for name, value in data.items()}
    >>> found = compare(exact, exact, one, seed=1, draws=100, tune=100, chains=2)
    >>> bool(found.sum_error[0] == 0)
    True
    """
    _check(learned, exact, prior)
    several = _subjects.many(data)
    sets = [data] if several is None else several
    nuts: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "prior": prior}
    runs = runs or exact_runs(exact, sets, seed=seed, **nuts)
    own = seeds.derive(seed, "learned")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        x = _subjects.read_all(exact.read, sets)
        if isinstance(learned, Likelihood):
            given = x if learned.columns == exact.columns else list(sets)
            ours = learned.sample(given, seed=own, **nuts)["posterior"].dataset
        else:
            ours = learned.sample(list(sets), draws=draws * chains, seed=own)["posterior"].dataset
    error, total = None, None
    if isinstance(learned, Likelihood) and learned.columns == exact.columns:
        error, total = _errors(learned, exact, x, runs.first)
    chained = [runs.first, runs.second] + ([ours] if isinstance(learned, Likelihood) else [])
    return Comparison(
        kind=learned.kind, trials=np.array([len(one) for one in x]), learned=_distance(ours, runs.first, len(x), seed),
        floor=runs.floor, error=error, sum_error=total, r_hat=max(_worst_r_hat(one) for one in chained),
        limits=limits or Limits(), seed=seed,
    )  # fmt: skip


def exact_runs(
    exact: Likelihood,
    data: Sequence[Any],
    *,
    seed: int,
    prior: Mapping[str, Any] | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
) -> ExactRuns:
    """Sample data sets twice by the exact likelihood, for comparisons of several estimators.

    Parameters
    ----------
    exact : Likelihood
        The truth.
    data : list
        Data sets.
    seed : int
        From 0 to 2**63 - 1.
    prior : mapping of str to distribution, optional
        Of both runs.
    draws, tune, chains : int
        Of NUTS.

    Returns
    -------
    ExactRuns
        Both runs, and their distance.

    Raises
    ------
    DataError
        If the data are not usable.
    ModelError
        If a setting is wrong.
    """
    number = len(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        x = _subjects.read_all(exact.read, data)
        nuts: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "prior": prior}
        # In one call, so that chains of both runs fill the same lanes.
        tree = exact.sample([*x, *x], seed=seeds.derive(seed, "exact"), **nuts)
    both = tree["posterior"].dataset
    first, second = both.isel(dataset=slice(number)), both.isel(dataset=slice(number, None))
    return ExactRuns(first=first, second=second, floor=_distance(second, first, number, seed))


def _check(learned: Likelihood | Posterior, exact: Likelihood, prior: Mapping[str, Any] | None) -> None:
    """Refuse what cannot be compared."""
    if learned.parameter_names != exact.parameter_names:
        raise ModelError(
            f"both must have the same parameters; got {', '.join(learned.parameter_names)} and "
            f"{', '.join(exact.parameter_names)}. Compare estimators of one model."
        )
    if prior and not isinstance(learned, Likelihood):
        raise ModelError("an amortized posterior has the prior it was trained with; got another one. Leave prior out.")


def _distance(ours: xr.Dataset, theirs: xr.Dataset, number: int, seed: int) -> Distance:
    """Measure the distances of two sets of draws, data set by data set."""
    tables, accuracy = [], []
    for i in range(number):
        one: list[Any] = [draws.isel(dataset=i) for draws in (ours, theirs)]
        a, b = one
        tables.append(agreement(a, b))
        accuracy.append(two_sample(a, b, seed=seeds.derive(seed, f"two samples {i}")))
    names = list(tables[0].index)
    shift, ratio = (
        {name: np.array([t.loc[name, column] for t in tables]) for name in names} for column in ("shift", "sd_ratio")
    )
    return Distance(shift=shift, sd_ratio=ratio, c2st=np.array(accuracy))


def _errors(
    learned: Likelihood, exact: Likelihood, x: Sequence[np.ndarray], truth: xr.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Compare log densities at exact posterior draws: by trial (dataset, 2), and summed (dataset,)."""
    by_trial, summed = [], []
    for i, one in enumerate(x):
        posterior = truth.isel(dataset=i)
        flat = {name: posterior[name].values.ravel() for name in exact.parameter_names}
        kept = np.linspace(0, len(next(iter(flat.values()))) - 1, _POINTS).astype(int)
        ours, theirs = (_at(lik, one, {name: v[kept] for name, v in flat.items()}) for lik in (learned, exact))
        with np.errstate(invalid="ignore"):
            error = np.nan_to_num(ours - theirs, nan=0.0, posinf=_IMPOSSIBLE, neginf=-_IMPOSSIBLE)
        summed.append(error.sum(axis=1).std())
        if learned.kind == "nre":
            error = error - error.mean(axis=0)
        by_trial.append(np.quantile(np.abs(error), (0.5, 0.95)))
    return np.array(by_trial), np.array(summed)


def _at(likelihood: Likelihood, x: np.ndarray, points: dict[str, np.ndarray]) -> np.ndarray:
    """Evaluate the log density of every trial at some points: (point, trial)."""
    import jax

    if likelihood.sums is not None:
        return np.stack([likelihood.sums(one[None], points) for one in x], axis=1)
    padded, _ = _nuts.pad(x)
    with jax.enable_x64():
        return np.asarray(_values(likelihood)(padded, points))[:, : len(x)]


@lru_cache(maxsize=8)
def _values(likelihood: Likelihood) -> Any:
    """Compile the log density of every trial for many parameter sets."""
    import jax

    return jax.jit(lambda x, points: jax.lax.map(lambda row: likelihood.function(x, row), points, batch_size=20))


def _worst_r_hat(draws: xr.Dataset) -> float:
    """Find the largest R-hat over parameters and data sets."""
    found = [_draws.r_hat(values) for values in _draws.scalars(draws).values()]
    return float(np.nanmax(found)) if np.isfinite(found).any() else float("nan")
