"""Find and check everything that a configuration names, before anything is trained or written."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage.diagnostics._design import unit
from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.estimators import _simulations as tables
from firstpassage.estimators.nle import NLE
from firstpassage.estimators.npe import NPE
from firstpassage.estimators.nre import NRE
from firstpassage.estimators.pools import Pool
from firstpassage.models import plain, registry
from firstpassage.models.model import Model
from firstpassage.pipeline import _layouts, _own_model, _simulations, _tables
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._sections import ModelSection
from firstpassage.pipeline._tables import Group

_ESTIMATORS: dict[str, Any] = {"npe": NPE, "nle": NLE, "nre": NRE}
_LEFT_OPEN = ("batch", "epoch_pairs", "validation")  # chosen by the method, if null
_USUAL = 200  # trials of a test observation
_HASH = 8  # digits
_THOUSANDS = ((10**9, "G"), (10**6, "M"), (10**3, "K"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """Hold a configuration without open settings, and what it names.

    Parameters
    ----------
    config : RunConfig
        Every setting that was left to the model or the method is filled in.
    model : Model
        The model.
    estimator : NPE, NLE or NRE
        Untrained.
    simulations : mapping, Pool or None
        The table or the pool to train from.
    observed : Group or None
        The data, if they were given.
    checksums : mapping of str to str
        SHA-256 of the files that the configuration names.
    """

    config: RunConfig
    model: Model
    estimator: NPE | NLE | NRE
    simulations: Mapping[str, Any] | Pool | None
    observed: Group | None
    checksums: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """All that determines the numbers of the run, as JSON holds it."""
        found = self.config.model_dump(mode="json", exclude={"output"})
        if found["rounds"] == 1:
            del found["rounds"]  # runs of one round keep their names
        found["model"]["name"] = Path(found["model"]["name"]).name  # checksums say which files, wherever these lie
        for section, key in ((found, "simulations"), (found["observed"], "data")):
            section[key] = None if section[key] is None else Path(section[key]).name
        return {**found, "sha256": dict(self.checksums)}

    @property
    def name(self) -> str:
        """The main settings in a form that makes a folder's name, and a short hash of all of them."""
        config, content = self.config, json.dumps(self.settings, sort_keys=True)
        parts = [
            config.method, self.model.name, short(config.budget), f"lr{config.optimiser.learning_rate:g}",
            f"b{config.optimiser.batch}", f"s{config.seed}",
        ]  # fmt: skip
        return f"{'_'.join(parts)}-{hashlib.sha256(content.encode()).hexdigest()[:_HASH]}"

    @property
    def folder(self) -> Path:
        """Where the run is written, unless another place is asked for."""
        return Path("runs") / self.name if self.config.output is None else Path(self.config.output)


def prepare(config: RunConfig) -> Prepared:
    """Make model and estimator, read the files, and fill in what the configuration leaves open.

    Parameters
    ----------
    config : RunConfig
        The settings.

    Returns
    -------
    Prepared
        With the name of the run.

    Raises
    ------
    ModelError
        If the model cannot be made, or settings do not go together.
    DataError
        If the simulations or the observed data cannot be used.

    Examples
    --------
    >>> prepare(RunConfig(model={"name": "gaussian"}, budget=50_000)).name
    'nre_gaussian_50K_lr0.002_b128_s1-a1de2c05'
    """
    section = config.model
    model = _own_model.make(section.name, bounds=section.bounds, settings=section.settings)
    estimator = _estimator(config, model)
    if config.budget < (estimator.batch or 0):
        raise ModelError(f"budget must be at least one batch, {estimator.batch}; got {config.budget}. Raise it.")
    if config.method != "npe":
        _check_prior(config, model)
    filled = _filled(config, model, estimator)
    table = None if config.simulations is None else _table(config.simulations, model, estimator)
    given = config.observed
    observed = None if given.data is None else read_one(given.data, model, columns=given.columns)
    _check_observed(filled, model, estimator, observed)
    named = {"simulations": config.simulations, "observed": config.observed.data}
    checksums = {key: _simulations.digest(path) for key, path in named.items() if path is not None}
    return Prepared(
        config=filled, model=model, estimator=estimator, simulations=table, observed=observed,
        checksums=checksums | _own_model.digest(section.name),
    )  # fmt: skip


def short(number: int) -> str:
    """Write a number for a name: 1M, 500K, 1.5M, 1234."""
    for size, letter in _THOUSANDS:
        if number >= size and number % (size // 100) == 0:
            return f"{number / size:g}{letter}"
    return str(number)


def _estimator(config: RunConfig, model: Model) -> Any:
    """Make the untrained estimator."""
    given = {name: value for name, value in [*config.network, *config.optimiser] if name != "method"}
    usual = {name for name in _LEFT_OPEN if given[name] is None}
    given = {name: value for name, value in given.items() if name not in usual}
    return _ESTIMATORS[config.method](model, **given)


def _check_prior(config: RunConfig, model: Model) -> None:
    """Refuse a prior without density, before a likelihood is trained that could not be sampled with it."""
    middle = {p.name: np.array([sum(p.bounds) / 2]) for p in model.parameters}
    try:
        model.log_prior(middle)
    except ModelError as error:
        raise ModelError(f"{config.method} needs the density of the prior. {error}") from None


def _filled(config: RunConfig, model: Model, estimator: Any) -> RunConfig:
    """Replace what was left open by what the model and the estimator chose."""
    chosen = vars(estimator)
    network, optimiser = (
        part.model_copy(update={name: chosen[name] for name in type(part).model_fields if name != "method"})
        for part in (config.network, config.optimiser)
    )
    section = config.model
    if not _own_model.own(section.name):
        bounds = {p.name: p.bounds for p in model.parameters}
        section = ModelSection(name=section.name, bounds=bounds, settings=json.loads(json.dumps(dict(model.settings))))
    observed, validation = config.observed, config.validation
    if observed.data is None and observed.trials is None:
        observed = observed.model_copy(update={"trials": _usual(model, estimator)})
    if validation.trials is None:
        validation = validation.model_copy(update={"trials": observed.trials or _usual(model, estimator)})
    return config.model_copy(
        update={
            "model": section,
            "network": network,
            "optimiser": optimiser,
            "observed": observed,
            "validation": validation,
        }  # fmt: skip
    )


def _usual(model: Model, estimator: NPE | NLE | NRE) -> int:
    """Choose the number of trials of a data set: one where a trial is a long one."""
    usual = _USUAL if unit(model) == "trials" else 1
    if isinstance(estimator, NPE) and isinstance(estimator.trials, tuple):
        return min(max(usual, estimator.trials[0]), estimator.trials[1])
    return usual


def _table(path: str, model: Model, estimator: NPE | NLE | NRE) -> Mapping[str, Any] | Pool:
    """Read simulations, and check them before anything is written; the shards of a pool when they are read."""
    if model.decisions is not None and vars(estimator).get("unit") == model.decisions.schema.trial:
        raise ModelError(
            f"decisions of {model.name} are learned from fresh simulations only; got {path}. Leave simulations out, or "
            "set network.unit to window."
        )
    found = _simulations.simulations(path, model=model)
    try:
        checked = tables.check_pool(model, found) if isinstance(found, Pool) else tables.check(model, found)
        if isinstance(estimator, NPE) and isinstance(estimator.trials, tuple):
            tables.check_trials(checked, estimator.trials)
    except (DataError, ModelError) as error:
        raise type(error)(f"in {path}: {error}") from None
    return found


def read_one(path: str, model: Model, *, columns: Mapping[str, str]) -> Group:
    """Read a file of the data of one subject.

    Parameters
    ----------
    path : str
        The file.
    model : Model
        Whose data they are.
    columns : mapping of str to str
        What the file calls the model's columns, where names differ.

    Returns
    -------
    Group
        The data.

    Raises
    ------
    DataError
        If the file cannot be used.
    """
    layout = _layouts.of(model) if model.name in registry.NAMES else _own_layout(model)
    return _tables.read_groups(path, layout, columns=columns)[0]


def _own_layout(model: Model) -> _layouts.Layout:
    """Say what a file of data of a user's own model holds."""
    schema = plain.schema(model)

    def prepared(data: Any) -> tuple[Any, tuple[str, ...]]:
        """Take the columns of a table apart."""
        return ({name: data[name].to_numpy() for name in data} if "columns" in dir(data) else data), ()

    return _layouts.Layout(
        model=model.name, columns=schema.columns, arrays=True, archives=True, prepare=prepared,
        count=lambda data: len(schema.read(data)), remedy="Pass a table with a trial a row, or a .npz file of arrays.",
    )  # fmt: skip


def _check_observed(config: RunConfig, model: Model, estimator: NPE | NLE | NRE, observed: Group | None) -> None:
    """Refuse truths, data and numbers of trials that the estimator will not take."""
    truth = config.observed.truth
    if truth is not None:
        try:
            model.likelihood({name: np.array([value]) for name, value in truth.items()}, trials=1, seed=0)
        except (DataError, ModelError) as error:
            raise ModelError(f"observed.truth cannot be used: {error}") from None
    if isinstance(estimator, NPE) and isinstance(estimator.trials, tuple):
        low, high = estimator.trials
        sizes = {"validation.trials": config.validation.trials, "observed.trials": config.observed.trials}
        if observed is not None:
            sizes["the observed data"] = _size(model, observed)
        for name, size in sizes.items():
            if size is not None and not low <= size <= high:
                raise ModelError(
                    f"{name} must be {low} to {high} trials, for which npe is trained; got {size}. Change it, or "
                    "network.trials."
                )


def _size(model: Model, observed: Group) -> int:
    """Count the trials as an estimator does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return len(plain.schema(model).read(observed.data))
