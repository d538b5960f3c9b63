"""Run: from one configuration to one folder, in stages that are not done twice.

Every stage ends by writing its numbers, whole, under ``stages/``; a run that was killed begins with the first stage
that has none, and training itself goes on after its last full epoch. metrics.json comes last: a run that has it is
finished.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import diagnostics, seeds
from firstpassage.diagnostics._simulated import simulate as simulate_data
from firstpassage.errors import AuditWarning, DataWarning, FirstPassageError, SamplingWarning
from firstpassage.estimators import _atomic
from firstpassage.pipeline import _fit, _run_figures
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._fit import Fit, FitSettings
from firstpassage.pipeline._folder import RunFolder, run_folder, same_run
from firstpassage.pipeline._prepare import Prepared, prepare
from firstpassage.pipeline._tables import Group
from firstpassage.pipeline._train import loss_figure

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood

_LOG = logging.getLogger(__name__)
_METRICS = "metrics.json"
_WORDS = {
    "train": "training",
    "infer": "sampling the posterior of the observation",
    "validate": "recovering parameters of simulated data sets",
}
_TIMES = ("seconds", "cpu_seconds")
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """Hold what a configuration has made.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
        Made of the main settings, and a hash of all.
    metrics : mapping
        As metrics.json holds them; all times are under ``"seconds"``.
    repeated : bool
        Whether something was done; False if the folder held the finished run.
    """

    path: Path
    name: str
    metrics: Mapping[str, Any]
    repeated: bool

    @property
    def ok(self) -> bool:
        """Tell whether the posterior draws of the observation may be used."""
        return bool(self.metrics["ok"])

    @property
    def verdicts(self) -> list[str]:
        """Say in a sentence each how the stages ended."""
        parts = {name: found for name, found in self.metrics.items() if isinstance(found, Mapping)}
        return [f"{name}: {found['verdict']}" for name, found in parts.items() if "verdict" in found]


def run(
    config: RunConfig, *, into: str | Path | None = None, force: bool = False, progress: Progress | None = None
) -> Run:
    """Simulate, train, infer, validate and save, as a configuration says; what is finished is not done again.

    Parameters
    ----------
    config : RunConfig
        All settings.
    into : str or Path, optional
        The folder, instead of that of the configuration.
    force : bool
        Begin from the start, and replace what the folder holds of this or another run.
    progress : callable, optional
        Called with a dict of stage, text, done and total.

    Returns
    -------
    Run
        The folder has the bundle, config.json, run.yml, run.log, environment.txt, history.csv, observed.npz, draws.nc,
        metrics.json and figures.

    Raises
    ------
    ModelError
        If settings cannot be used.
    DataError
        If simulations or data cannot be used.
    ArtefactError
        If the folder holds another run, or cannot be written.

    Examples
    --------
    >>> from firstpassage.pipeline import RunConfig
    >>> run(RunConfig(model={"name": "gaussian"}, budget=1))
    Traceback (most recent call last):
    firstpassage.errors.ModelError: budget must be at least one batch, 128; got 1. Raise it.
    """
    prepared = prepare(config)
    path = prepared.folder if into is None else Path(into)
    identity: dict[str, Any] = {"command": "run", "settings": prepared.settings}
    if not force and same_run(path, **identity) and (path / _METRICS).exists():
        return Run(path=path, name=prepared.name, metrics=_read(path / _METRICS), repeated=False)
    with run_folder(path, force=force, anew=force, **identity) as folder, _console_logged():
        _swept(path)
        folder.write_text("run.yml", prepared.config.text())
        metrics = _Job(prepared=prepared, folder=folder, progress=progress).metrics()
        folder.write_json(_METRICS, metrics)
        made = Run(path=path, name=prepared.name, metrics=_read(path / _METRICS), repeated=True)
        for text in made.verdicts:
            _LOG.info("%s", text)
        _LOG.info("finished %s", prepared.name)
    return made


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """One run at work."""

    prepared: Prepared
    folder: RunFolder
    progress: Progress | None

    def metrics(self) -> dict[str, Any]:
        """Do all stages, and put their numbers together, apart from times."""
        stages = {"train": self._train, "infer": self._infer, "validate": self._validate}
        done = {name: self._stage(name, make) for name, make in stages.items()}
        numbers = {key: value for found in done.values() for key, value in found["numbers"].items()}
        head = {"name": self.prepared.name, "ok": numbers["posterior"]["ok"]}
        return {**head, **numbers, "seconds": {name: found["seconds"] for name, found in done.items()}}

    def _stage(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do one stage, unless it was done before."""
        marker = f"stages/{name}.json"
        if not (self.folder.path / marker).exists():
            self._tell(name, _WORDS[name], 0, 1)
            _LOG.info("%s", _WORDS[name])
            start = time.perf_counter()
            numbers = _without_times(make())
            self.folder.write_json(marker, {"numbers": numbers, "seconds": time.perf_counter() - start})
        return _read(self.folder.path / marker)

    def _tell(self, stage: str, text: str, done: float, total: float) -> None:
        """Say how far it is."""
        if self.progress:
            self.progress({"stage": stage, "text": text, "done": done, "total": total})

    def _train(self) -> dict[str, Any]:
        """Train, and draw the loss."""
        import pandas as pd

        config, learned = self.prepared.config, self.learned
        (self.folder.path / "checkpoint.npz").unlink(missing_ok=True)  # of a process killed between bundle and this
        history = pd.read_csv(self.folder.path / "history.csv")
        last, card = history.iloc[-1], learned.card or {}
        used = int(card.get("pairs", last["pairs"]))
        source = "simulated" if config.simulations is None else f"taken from {Path(config.simulations).name}"
        loss_figure(
            self.folder.path, history, method=config.method, model=self.prepared.model.name, seed=config.seed,
            size=f"{used} pairs {source}",
        )  # fmt: skip
        verdict = f"{last['epoch']:.0f} epochs, {used:,} pairs {source}, validation loss {last['validation_loss']:.4f}."
        best = float(history["validation_loss"].min())
        numbers = {"epochs": int(last["epoch"]), "pairs": used, "loss": float(last["loss"])}
        losses = {"validation_loss": float(last["validation_loss"]), "best_validation_loss": best}
        return {"training": {"verdict": verdict, **numbers, **losses}}

    @cached_property
    def learned(self) -> Likelihood | Posterior:
        """What is learned: trained, or loaded if that was done."""
        config = self.prepared.config
        given = self.prepared.simulations
        table: dict[str, Any] = {} if given is None else {"simulations": given}
        if config.rounds > 1:
            table |= {"rounds": config.rounds, "observed": self._observed()[0].data}

        def epoch(event: dict[str, Any]) -> None:
            text = f"round {event['round']} of {event['rounds']}, " if "round" in event else ""
            text += f"epoch {event['epoch']} of {event['epochs']}, validation loss {event['validation_loss']:.4f}"
            self._tell("train", text, event["pairs"], event["budget"])

        return self.prepared.estimator.fit(
            budget=config.budget, seed=config.seed, into=self.folder.path, progress=epoch, **table
        )

    def _infer(self) -> dict[str, Any]:
        """Sample the posterior of the observation, by the exact likelihood too if there is one, and predict."""
        prepared, config = self.prepared, self.prepared.config
        group, truth = self._observed()
        fit = self._fitted(group, config.method, self.learned)
        self.folder.write("draws.nc", bytes(fit.draws.to_netcdf(engine="h5netcdf")))
        found: dict[str, Any] = {"posterior": _of_posterior(fit, truth)}
        draws: dict[str, Any] = {config.method: fit.draws}
        if config.validation.exact and prepared.model.exact is not None:
            self._tell("infer", "sampling the exact posterior", 0, 1)
            exact = self._fitted(group, "exact", prepared.model.exact)
            table = diagnostics.agreement(fit.draws, exact.draws)
            draws["exact"] = exact.draws
            found["exact"] = {"verdict": diagnostics.agreement_verdict(table), "parameters": table.to_dict("index")}
        about = f"n = {group.trials}, seed {config.seed}"
        known: dict[str, Any] = {"model": prepared.model, "truth": truth, "about": about}
        _run_figures.posterior(self.figures, draws, **known)
        _run_figures.pairplot(self.figures, draws, seed=config.seed, **known)
        return found | self._predicted(fit, about)

    @property
    def figures(self) -> Path:
        """The folder of figures."""
        folder = self.folder.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder

    def _observed(self) -> tuple[Group, dict[str, float] | None]:
        """Take the data given, or simulate a test observation, and save what is observed."""
        model, config = self.prepared.model, self.prepared.config
        if self.prepared.observed is not None:
            return self.prepared.observed, None
        trials, seed = config.observed.trials or 1, seeds.derive(config.seed, "observation")
        truth = {name: np.array([value]) for name, value in (config.observed.truth or {}).items()}
        truth = truth or model.prior(1, seed=seed)
        data = simulate_data(model, truth, sizes=np.array([trials]), seed=seed)[0]
        plain = {name: float(value[0]) for name, value in truth.items()}
        arrays = data if isinstance(data, Mapping) else {"data": data}
        saved = {name: np.asarray(value) for name, value in arrays.items()}
        saved |= {f"truth_{name}": np.array(value) for name, value in plain.items()}
        _atomic.write_npz(self.folder.path / "observed.npz", saved)
        return Group(name="all", slug="all", keys={}, data=data, trials=trials), plain

    def _fitted(self, group: Group, method: str, sampler: Likelihood | Posterior) -> Fit:
        """Sample one posterior."""
        config = self.prepared.config
        sizes = config.sampler.model_dump()
        settings = FitSettings(model=self.prepared.model.name, methods=(method,), seed=config.seed, **sizes)
        return _fit.fit_group(group, method, sampler, settings)

    def _predicted(self, fit: Fit, about: str) -> dict[str, Any]:
        """Compare the observation with data simulated from its posterior."""
        config = self.prepared.config
        if config.validation.ppc == 0:
            return {}
        seed = seeds.derive(config.seed, "predictive check")
        try:
            found = diagnostics.ppc(
                self.learned, fit.draws, fit.group.data, seed=seed, replicates=config.validation.ppc
            )
        except FirstPassageError as error:
            _LOG.warning("no predictive check: %s", error)
            return {"ppc": {"ok": None, "verdict": f"not made: {error}"}}
        _run_figures.ppc(self.figures, found, model=self.prepared.model, about=about)
        return {"ppc": found.numbers()}

    def _validate(self) -> dict[str, Any]:
        """Recover parameters of simulated data sets, and look at the ranks of these."""
        config, sizes = self.prepared.config, self.prepared.config.validation
        number = max(sizes.recovery, sizes.sbc) if config.rounds == 1 else 0  # else it is right for one data set alone
        if number == 0:
            return {}
        made = diagnostics.simulated(
            self.learned, self.prepared.model, datasets=number, trials=sizes.trials or 1, draws=sizes.draws,
            seed=seeds.derive(config.seed, "validation"),
        )  # fmt: skip
        found: dict[str, Any] = {}
        if sizes.recovery > 1:
            recovered = diagnostics.recovery(_first(made, sizes.recovery))
            _run_figures.recovery(self.figures, recovered, model=self.prepared.model)
            found["recovery"] = recovered.numbers()
        if sizes.sbc > 0:
            ranked = diagnostics.sbc(_first(made, sizes.sbc))
            _run_figures.sbc(self.figures, ranked, model=self.prepared.model)
            found["sbc"] = ranked.numbers()
        return found


def _of_posterior(fit: Fit, truth: Mapping[str, float] | None) -> dict[str, Any]:
    """Describe a posterior: may its draws be used, and where do they lie."""
    table = _fit.summarised(fit).to_dict("index")
    known = {name: {"truth": truth[name]} if truth else {} for name in table}
    parameters = {name: known[name] | {str(k): v for k, v in row.items()} for name, row in table.items()}
    return {"ok": fit.convergence.ok, "verdict": fit.convergence.verdict, "parameters": parameters}


def _first(made: diagnostics.Simulated, number: int) -> diagnostics.Simulated:
    """Take the first data sets."""
    rows = slice(number)
    return replace(
        made, data=made.data[rows], trials=made.trials[rows], ess=made.ess[rows], r_hat=made.r_hat[rows],
        truth={name: value[rows] for name, value in made.truth.items()},
        draws={name: value[rows] for name, value in made.draws.items()},
    )  # fmt: skip


def _without_times(content: Any) -> Any:
    """Leave out times, which differ from run to run."""
    if isinstance(content, Mapping):
        return {name: _without_times(value) for name, value in content.items() if name not in _TIMES}
    return content


def _swept(path: Path) -> None:
    """Remove what a killed process had begun to write; the folder is locked."""
    for begun in path.rglob("*.tmp-*"):
        if begun.is_dir():
            shutil.rmtree(begun)
        elif begun.exists():
            begun.unlink()


def _read(path: Path) -> dict[str, Any]:
    """Read a file of numbers."""
    return json.loads(path.read_text())


class _Copied(io.TextIOBase):
    """Write to the console, and whole lines to the log."""

    def __init__(self, console: Any) -> None:
        self.console, self.begun = console, ""

    def write(self, text: str) -> int:
        """Write some text."""
        self.console.write(text)
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            _LOG.info("%s", line)
        return len(text)

    def flush(self) -> None:
        """Flush the console."""
        self.console.flush()


@contextmanager
def _console_logged() -> Iterator[None]:
    """Send warnings, and what a simulator prints, to the log of the run."""
    with warnings.catch_warnings(), redirect_stdout(_Copied(sys.stdout)):
        for kind in (AuditWarning, DataWarning, SamplingWarning):
            warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: _LOG.warning("%s", message)
        yield
