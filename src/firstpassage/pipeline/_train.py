"""Train: an estimator into a folder, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators.nle import NLE
from firstpassage.estimators.npe import NPE
from firstpassage.estimators.nre import NRE
from firstpassage.models import plain
from firstpassage.pipeline import _files, _own_model, _prepare, _simulations
from firstpassage.pipeline._folder import run_folder

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood

_LOG = logging.getLogger(__name__)
_ESTIMATORS: dict[str, Any] = {"npe": NPE, "nle": NLE, "nre": NRE}
_COUNTED = {"npe": "data sets", "nle": "trials", "nre": "trials"}  # what one simulation is
_LARGE = {"window": "windows", "trace": "traces"}  # where one trial is a data set


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Say what is trained, on how much.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``, or ``"my_model.py:model"`` for one of your own.
    method : {"npe", "nle", "nre"}
        Which estimator: of the posterior, the likelihood, or the ratio of likelihood to evidence.
    budget : int, optional
        Simulations over all epochs, each with its own parameters: data sets for npe, single trials for nle and nre;
        windows of foraging and traces of lif for all. None is for `simulations`: as many epochs of them as their
        number asks for.
    seed : int
        From 0 to 2**63 - 1.
    trials : (int, int), optional
        For npe alone: smallest and largest number of trials of a data set. If None, that of the observed data with
        `observed`, 1 where a trial is a window of sites or a voltage trace, and else 20 to 1000.
    unit : str, optional
        For nle and nre of foraging: what a trial is, "patch" if None; nle can learn statistics of a "window", too.
    simulations : str, optional
        A file or a pool of simulations to train from, such as `simulate` and `pool` write.
    rounds : int
        More than one: simulate in rounds, after the first where the parameters are plausible given `observed`.
    observed : str, optional
        A file of the data of one subject, which several rounds need.

    Raises
    ------
    ModelError
        If a setting cannot be used.

    Examples
    --------
    >>> TrainSettings(budget=100_000, seed=1).method
    'nre'
    """

    model: str = "ddm"
    method: str = "nre"
    budget: int | None = None
    seed: int = 1
    trials: tuple[int, int] | None = None
    unit: str | None = None
    simulations: str | None = None
    rounds: int = 1
    observed: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before anything is written."""
        seeds.check(self.seed)
        if self.method not in _ESTIMATORS:
            raise ModelError(f"{self.method!r} cannot be trained; the methods are {', '.join(_ESTIMATORS)}.")
        if self.trials is not None and self.method != "npe":
            raise ModelError(
                f"a range of numbers of trials belongs to npe; {self.method} learns single trials and got trials="
                f"{self.trials}. Leave it out."
            )
        if self.unit is not None and self.method == "npe":
            raise ModelError(f"a unit belongs to nle and nre; npe learns whole data sets and got {self.unit!r}.")
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, int) or self.rounds < 1:
            raise ModelError(f"rounds must be a positive integer; got {self.rounds!r}. Pass 1 for all data sets.")
        if (self.rounds > 1) != (self.observed is not None):
            raise ModelError(
                f"several rounds go with the observed data of one subject; got rounds={self.rounds} and observed="
                f"{self.observed}. Give both, or neither."
            )
        estimator = self.estimator()
        if isinstance(estimator, NPE) and self.observed is None:  # else the observed data have a number of trials
            object.__setattr__(self, "trials", estimator.trials)
        self._check_budget(estimator.batch)

    def _check_budget(self, least: Any) -> None:
        """Refuse a budget that is no number of simulations, or none where they are to be made."""
        if self.budget is None:
            if self.simulations is None:
                raise ModelError(
                    "expected a budget or simulations; got neither. Pass how many to make, or a file of them."
                )
            return
        if isinstance(self.budget, bool) or not isinstance(self.budget, int) or self.budget < least:
            raise ModelError(
                f"budget must be an integer of at least {least} {self.counted}, a batch; got {self.budget!r}. Raise it."
            )

    @property
    def counted(self) -> str:
        """What one simulation of the budget is, in the plural."""
        return _LARGE.get(plain.schema(_own_model.make(self.model)).trial, _COUNTED[self.method])

    @property
    def options(self) -> str:
        """The settings as the command line takes them."""
        given: dict[str, Any] = {"budget": self.budget, "seed": self.seed}
        given |= {"unit": self.unit, "simulations": self.simulations, "observed": self.observed}
        given["rounds"] = self.rounds if self.rounds > 1 else None
        given["trials"] = None if self.trials is None else f"{self.trials[0]},{self.trials[1]}"
        more = "".join(f" --{name} {value}" for name, value in given.items() if value is not None)
        return f"{self.model} --method {self.method}{more}"

    def identity(self) -> dict[str, Any]:
        """List what makes it this training: settings, and checksums of the files among them.

        Returns
        -------
        dict
            As JSON can hold it.
        """
        usual = {"simulations": None, "rounds": 1, "observed": None}  # which say nothing about a training
        found = {name: value for name, value in asdict(self).items() if (name, value) not in usual.items()}
        checksums = _own_model.digest(self.model)
        if self.simulations is not None:
            checksums["simulations"] = _simulations.digest(self.simulations)
        if self.observed is not None:
            checksums["observed"] = _files.digest(self.observed)
        return found | ({"sha256": checksums} if checksums else {})

    def estimator(self) -> NPE | NLE | NRE:
        """Make the untrained estimator.

        Returns
        -------
        NPE, NLE or NRE
            With its usual settings.
        """
        model, make = _own_model.make(self.model), _ESTIMATORS[self.method]
        given = {"trials": self.trials, "unit": self.unit}
        return make(model, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainRun:
    """Hold what a call of `train` made.

    Parameters
    ----------
    path : Path
        The folder, with bundle/, history.csv, metrics.json and figures/loss.png.
    settings : TrainSettings
        What was asked for.
    learned : Likelihood or Posterior
        What was learned.
    history : DataFrame
        One row for each epoch.
    seconds : float
        Of this call.
    """

    path: Path
    settings: TrainSettings
    learned: Likelihood | Posterior
    history: pd.DataFrame
    seconds: float

    @property
    def simulations(self) -> int:
        """Count what was simulated: data sets or trials, see `TrainSettings`."""
        if self.settings.rounds > 1:
            return sum((self.learned.card or {})["rounds"]["simulations"])
        used, estimator = int(self.history["pairs"].iloc[-1]), self.settings.estimator()
        return used // estimator.passes if isinstance(estimator, NPE) else used

    @property
    def verdict(self) -> str:
        """Say in one sentence how training ended."""
        last, best = self.history.iloc[-1], self.history["validation_loss"].min()
        text = f"trained: {last['epoch']:.0f} epochs on {self.simulations:,} simulated {self.settings.counted}, "
        text += f"validation loss {last['validation_loss']:.4f} nats"
        return text + (f" (best {best:.4f})." if last["validation_loss"] - best > 1e-4 else ".")


def train(
    settings: TrainSettings,
    *,
    into: str | Path,
    force: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> TrainRun:
    """Train an estimator; called again with the same settings, an interrupted training goes on.

    Parameters
    ----------
    settings : TrainSettings
        Model, method, budget, seed and, for npe, numbers of trials.
    into : str or Path
        The folder.
    force : bool
        Replace another run.
    progress : callable, optional
        Called after every epoch with a dict of epoch, epochs, loss, validation_loss, pairs and budget.

    Returns
    -------
    TrainRun
        What was learned, and the history.

    Raises
    ------
    ModelError
        If a setting cannot be used.
    DataError
        If the simulations cannot be used.
    ArtefactError
        If the folder cannot be used.
    """
    import pandas as pd

    start, estimator = time.perf_counter(), settings.estimator()
    table: dict[str, Any] = {}
    if settings.simulations is not None:
        table["simulations"] = _simulations.simulations(settings.simulations, model=estimator.model)
    if settings.observed is not None:
        group = _prepare.read_one(settings.observed, estimator.model, columns={})
        table |= {"observed": group.data, "rounds": settings.rounds}
        if isinstance(estimator, NPE) and settings.trials is None:
            estimator = replace(estimator, trials=group.trials)
    with run_folder(into, command="train", settings=settings.identity(), force=force) as folder:
        learned = estimator.fit(
            budget=settings.budget, seed=settings.seed, into=folder.path, progress=progress, **table
        )
        history = pd.read_csv(folder.path / "history.csv")
        seconds = time.perf_counter() - start
        run = TrainRun(path=folder.path, settings=settings, learned=learned, history=history, seconds=seconds)
        _figure(run)
        last = {str(name): float(value) for name, value in history.iloc[-1].items()}
        folder.write_json("metrics.json", {**_summary(run), **last})
        _LOG.info("%s", run.verdict)
    return run


def _summary(run: TrainRun) -> dict[str, Any]:
    """List what the last epoch does not say."""
    return {"verdict": run.verdict, "seconds": run.seconds, "simulations": run.simulations}


def _figure(run: TrainRun) -> Path:
    """Draw the loss."""
    settings = run.settings
    size = f"{run.simulations} simulated {settings.counted}"
    return loss_figure(
        run.path, run.history, method=settings.method, model=settings.model, size=size, seed=settings.seed
    )


def loss_figure(path: Path, history: pd.DataFrame, *, method: str, model: str, size: str, seed: int) -> Path:
    """Draw the loss into the folder of a run; `size` says of how many simulations."""
    from firstpassage import plots

    panel = plots.canvas(rows=1, columns=1, width=4.2, height=3.0)[0, 0]
    plots.loss(history, method=method, ax=panel)
    folder = path / "figures"
    folder.mkdir(exist_ok=True)
    caption = f"Loss of {method} on {model}; n = {size}; seed {seed}; the first tenth may lie above the axis."
    numbers = {name: history[name].to_numpy() for name in ("epoch", "loss", "validation_loss")}
    return plots.save(panel.figure, folder / "loss.png", numbers=numbers, caption=caption)
