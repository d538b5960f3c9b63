"""Fit: one or several methods on every group of a table, into a folder of artefacts."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _nuts, seeds
from firstpassage._convergence import independent
from firstpassage.diagnostics import Convergence, Independent, Traces, agreement, convergence, summary
from firstpassage.errors import DataError, DataWarning, FirstPassageError, ModelError, SamplingWarning
from firstpassage.likelihood import Likelihood
from firstpassage.models import registry
from firstpassage.models.model import Model
from firstpassage.pipeline import _catalogue, _files, _layouts, _predictions, _report, _tables
from firstpassage.pipeline._folder import RunFolder, run_folder
from firstpassage.pipeline._tables import Group

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from firstpassage.estimators.posterior import Posterior

_LOG = logging.getLogger(__name__)
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Say what is fitted, and how.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``.
    methods : tuple of str
        One or several of ``"npe"``, ``"nle"``, ``"nre"`` and ``"exact"``, which are then compared.
    draws, tune, chains : int
        Of NUTS; npe gives draws x chains independent draws.
    seed : int
        From 0 to 2**63 - 1; every group and method derives its own.
    estimator : str, optional
        A trained bundle, instead of the shipped one of its kind.
    prior : {"box", "reference"}
        Uniform on the box, or the priors of the published reference set-up.
    correct : bool
        Reweight the draws of npe by the exact likelihood.

    Raises
    ------
    ModelError
        If a setting cannot be used.

    Examples
    --------
    >>> FitSettings(methods=("nre", "exact"), seed=1).draws
    1000
    """

    model: str = "ddm"
    methods: tuple[str, ...] = ("nre",)
    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    seed: int = 1
    estimator: str | None = None
    prior: str = "box"
    correct: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run, before anything is read or written."""
        object.__setattr__(self, "methods", tuple(dict.fromkeys(self.methods)))
        seeds.check(self.seed)
        _nuts.Settings(draws=self.draws, tune=self.tune, chains=self.chains)
        unknown = [m for m in self.methods if m not in _catalogue.METHODS]
        if unknown or not self.methods:
            known = ", ".join(_catalogue.METHODS)
            raise ModelError(f"there is no method {', '.join(unknown)!r}; the methods are {known}.")
        if self.estimator is not None and set(self.methods) == {"exact"}:
            raise ModelError("an estimator was given, but only the exact likelihood is used. Add its method.")
        if "npe" in self.methods and self.prior != "box":
            raise ModelError(
                f"npe has the prior that it was trained with, box; got prior {self.prior!r}. Use --prior box, or a "
                "method that learns a likelihood: nle or nre."
            )
        if self.correct and "npe" not in self.methods:
            raise ModelError(
                f"only draws of npe can be corrected; the methods are {', '.join(self.methods)}. Add --method npe, or "
                "leave out --correct."
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """Hold the posterior of one group by one method.

    Parameters
    ----------
    group : Group
        The data.
    method : str
        Of ``FitSettings.methods``.
    estimator : Likelihood or Posterior
        What was sampled.
    draws : DataTree
        Posterior draws; the independent ones of npe are cut into as many chains as the others have.
    convergence : Convergence or Independent
        May they be used?
    seed : int
        Given to ``estimator.sample``.
    seconds : float
        Of sampling, with compilation.
    predicted : Traces, optional
        What posterior and prior predict, where trials are traces.
    """

    group: Group
    method: str
    estimator: Likelihood | Posterior
    draws: xr.DataTree
    convergence: Convergence | Independent
    seed: int
    seconds: float
    predicted: Traces | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class FitRun:
    """Hold everything that a call of `fit_table` made.

    Parameters
    ----------
    path : Path
        The folder.
    fits : tuple of Fit
        By group, then by method.
    failures : tuple of str
        What could not be sampled, with the reason.
    summary : DataFrame
        One row for each group, method and parameter.
    agreement : DataFrame
        One row for each group, learned method and parameter; empty unless the exact method ran too.
    """

    path: Path
    fits: tuple[Fit, ...]
    failures: tuple[str, ...]
    summary: pd.DataFrame
    agreement: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Tell whether everything was sampled, and may be used."""
        return not self.failures and all(fit.convergence.ok for fit in self.fits)


def fit_table(
    table: str | Path,
    settings: FitSettings,
    *,
    into: str | Path,
    columns: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    unit: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> FitRun:
    """Fit every group of a table of trials, and write a folder of artefacts.

    Parameters
    ----------
    table : str or Path
        A CSV or parquet file with one trial per row; of foraging, with one site per row, or a .npy file of windows; of
        lif, with one sample per row, or a .npz file of traces.
    settings : FitSettings
        Model, methods, sampler and seed.
    into : str or Path
        The folder of config.json, environment.txt, run.log, draws/, summary.csv, metrics.json, figures/ and
        report.html.
    columns : mapping of str to str, optional
        What the file calls the model's columns.
    by : sequence of str
        Columns that make the groups; of foraging, such as belong to whole visits.
    unit : {"cm"}, optional
        Of lengths in the file; 88.73 cm if None.
    force : bool
        Replace another run.
    progress : callable, optional
        Called before every fit with a dict of group, method, done and total.

    Returns
    -------
    FitRun
        Draws, verdicts and tables.

    Raises
    ------
    DataError
        If the table or a group cannot be used, or npe was not trained for so many trials; nothing is written then.
    ModelError
        If the model or a setting cannot be used.
    ArtefactError
        If the estimator or the folder cannot be used.
    """
    model = registry.make(settings.model)
    groups = _tables.read_groups(table, _layouts.of(model), columns=columns, by=by, unit=unit)
    estimators = _catalogue.find(model, settings.methods, estimator=settings.estimator)
    notes = [_checked(group, estimator) for group in groups for estimator in estimators.values()]
    _check_amortized(groups, estimators, model=model, correct=settings.correct)
    config = {
        **asdict(settings), "table": Path(table).name, "sha256": _files.digest(table),
        "columns": dict(columns or {}), "by": list(by), "unit": unit,
    }  # fmt: skip
    prior = _catalogue.priors(model, settings.prior)
    with run_folder(into, command="fit", settings=config, force=force) as folder:
        for note in dict.fromkeys(text for found in notes for text in found):
            _LOG.warning("%s", note)
        fits, failures = _fit_all(groups, estimators, settings, prior=prior, folder=folder, progress=progress)
        fits = _predictions.added(fits, model=model, seed=settings.seed)
        run = FitRun(
            path=folder.path, fits=tuple(fits), failures=tuple(failures),
            summary=_summaries(fits), agreement=_agreements(fits),
        )  # fmt: skip
        _report.write(folder, run, model=model, settings=settings)
        for text in [*_report.agreement_verdicts(run), *_predictions.verdicts(run.fits)]:
            _LOG.info("%s", text)
        _LOG.info("%s", "finished" if run.ok else "finished, with problems")
    return run


def _checked(group: Group, estimator: Likelihood | Posterior) -> list[str]:
    """Read a group as the sampler will, so that bad data are refused before anything is written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            x = estimator.read(group.data)
            if isinstance(estimator, Likelihood):
                estimator.support(x)
        except DataError as error:
            raise DataError(str(error) if not group.keys else f"in {group.name}: {error}") from None
    return [f"{group.name}: {note}" for note in (*group.notes, *(warning.message for warning in caught))]


def _check_amortized(
    groups: Sequence[Group], estimators: Mapping[str, Likelihood | Posterior], *, model: Model, correct: bool
) -> None:
    """Refuse numbers of trials that a posterior was not trained for, unless the exact likelihood corrects it."""
    if correct and model.exact is None:
        raise ModelError(f"{model.name} has no exact likelihood to correct by. Leave out --correct.")
    for method, estimator in estimators.items():
        if correct or isinstance(estimator, Likelihood):
            continue
        low, high = estimator.trials
        sizes = {group.name: len(_quietly(estimator, group.data)) for group in groups}
        wrong = [name for name, size in sizes.items() if not low <= size <= high]
        if wrong:
            noun = f"{estimator.trial}s" if estimator.trial in ("window", "trace") else "trials"
            raise DataError(
                f"{method} was trained for {low} to {high} {noun}; {len(wrong)} of {len(groups)} data sets have other "
                f"numbers (first: {wrong[0]}, {sizes[wrong[0]]}). Pass --correct, which certifies each fit, use "
                "nle, nre or exact, or train with --trials."
            )


def _quietly(estimator: Likelihood | Posterior, data: Any) -> np.ndarray:
    """Read data whose warnings were told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return estimator.read(data)


def _fit_all(
    groups: Sequence[Group],
    estimators: Mapping[str, Likelihood | Posterior],
    settings: FitSettings,
    *,
    prior: Mapping[str, Any] | None,
    folder: RunFolder,
    progress: Progress | None,
) -> tuple[list[Fit], list[str]]:
    """Fit and save group by group; one that cannot be sampled does not stop the others."""
    fits: list[Fit] = []
    failures: list[str] = []
    pairs = [(group, method) for group in groups for method in estimators]
    for done, (group, method) in enumerate(pairs):
        if progress:
            progress({"group": group.name, "method": method, "done": done, "total": len(pairs)})
        try:
            fit = fit_group(group, method, estimators[method], settings, prior=prior)
        except FirstPassageError as error:
            failures.append(f"{group.name}, {method}: {error}")
            _LOG.error("%s", failures[-1])
            continue
        _LOG.info("%s, %s: %s (%.1f s)", group.name, method, fit.convergence.verdict, fit.seconds)
        folder.write(f"draws/{group.slug}-{method}.nc", bytes(fit.draws.to_netcdf(engine="h5netcdf")))
        fits.append(fit)
    if not fits:
        raise DataError(f"nothing could be fitted. {failures[0]}")
    return fits, failures


def fit_group(
    group: Group,
    method: str,
    estimator: Likelihood | Posterior,
    settings: FitSettings,
    *,
    prior: Mapping[str, Any] | None = None,
) -> Fit:
    """Sample one posterior and judge it."""
    seed, start = seeds.derive(settings.seed, f"fit {group.name} {method}"), time.perf_counter()
    judged: Convergence | Independent
    box = estimator.box if estimator.joint is None else None  # a joint prior has ends of its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # told already, when the table was read
        if isinstance(estimator, Likelihood):
            draws = estimator.sample(
                group.data, draws=settings.draws, tune=settings.tune, chains=settings.chains, seed=seed, prior=prior
            )
            weighed = draws.attrs.get("sampler") in ("importance", "smc")
            judged = (independent if weighed else convergence)(draws, box=box)
        else:
            draws = _amortized(estimator, group, settings, seed=seed)
            judged = independent(draws, box=box)
    seconds = time.perf_counter() - start
    draws.attrs.update({"group": group.name, "seed": seed, "prior": settings.prior})
    return Fit(
        group=group, method=method, estimator=estimator, draws=draws, seed=seed, seconds=seconds, convergence=judged
    )


def _amortized(posterior: Posterior, group: Group, settings: FitSettings, *, seed: int) -> xr.DataTree:
    """Draw from a network, and cut the draws into chains of equal length, as tables and figures expect them."""
    import xarray as xr

    number, chains = settings.draws * settings.chains, settings.chains
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # the report of each fit has its verdict
        tree = posterior.sample(group.data, draws=number, seed=seed, correct="exact" if settings.correct else None)
    for name in ("posterior", "sample_stats"):
        whole = tree[name].dataset
        cut = {k: (("chain", "draw"), np.asarray(v).reshape(chains, -1)) for k, v in whole.data_vars.items()}
        places = {"chain": np.arange(chains), "draw": np.arange(settings.draws)}
        tree[name] = xr.DataTree(xr.Dataset(cut, coords=places, attrs=whole.attrs))
    return tree


def _summaries(fits: Sequence[Fit]) -> pd.DataFrame:
    """Stack the summaries of all fits."""
    import pandas as pd

    return pd.concat([_labelled(summarised(fit), fit) for fit in fits], ignore_index=True)


def summarised(fit: Fit) -> pd.DataFrame:
    """Summarise one fit; corrected draws repeat each other and are worth no more than the correction left."""
    table = summary(fit.draws)
    if isinstance(fit.convergence, Independent):
        sizes = ["ess_bulk", "ess_tail"]
        table[sizes] = table[sizes].clip(upper=fit.convergence.effective)
    return table


def _agreements(fits: Sequence[Fit]) -> pd.DataFrame:
    """Compare every learned posterior with the exact one of the same group."""
    import pandas as pd

    exact = {fit.group.slug: fit for fit in fits if fit.method == "exact"}
    learned = [fit for fit in fits if fit.method != "exact" and fit.group.slug in exact]
    tables = [_labelled(agreement(fit.draws, exact[fit.group.slug].draws), fit) for fit in learned]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _labelled(table: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Put group, its keys and the method before a table by parameter."""
    labelled = table.reset_index()
    taken = {"group", "method", *labelled.columns}
    keys = {name: value for name, value in fit.group.keys.items() if name not in taken}
    for place, (name, value) in enumerate({"group": fit.group.name, **keys, "method": fit.method}.items()):
        labelled.insert(place, name, value)
    return labelled
