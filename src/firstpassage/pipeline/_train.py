"""Train: a learned likelihood into a folder, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators.nre import NRE
from firstpassage.models import registry
from firstpassage.pipeline._folder import run_folder

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.likelihood import Likelihood

_LOG = logging.getLogger(__name__)
_ESTIMATORS = {"nre": NRE}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Say what is trained, on how much.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``.
    method : {"nre"}
        Which estimator.
    budget : int
        Pairs of parameters and one trial, over all epochs.
    seed : int
        From 0 to 2**63 - 1.

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
    budget: int
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before anything is written."""
        seeds.check(self.seed)
        if self.method not in _ESTIMATORS:
            raise ModelError(f"{self.method!r} cannot be trained; the methods are {', '.join(_ESTIMATORS)}.")
        least = self.estimator().batch
        if isinstance(self.budget, bool) or not isinstance(self.budget, int) or self.budget < least:
            raise ModelError(f"budget must be an integer of at least {least} pairs, a batch; got {self.budget!r}.")

    def estimator(self) -> NRE:
        """Make the untrained estimator.

        Returns
        -------
        NRE
            With its usual settings.
        """
        return _ESTIMATORS[self.method](registry.make(self.model))


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainRun:
    """Hold what a call of `train` made.

    Parameters
    ----------
    path : Path
        The folder, with bundle/, history.csv, metrics.json and figures/loss.png.
    likelihood : Likelihood
        What was learned.
    history : DataFrame
        One row for each epoch.
    seconds : float
        Of this call.
    """

    path: Path
    likelihood: Likelihood
    history: pd.DataFrame
    seconds: float

    @property
    def verdict(self) -> str:
        """Say in one sentence how training ended."""
        last, best = self.history.iloc[-1], self.history["validation_loss"].min()
        text = f"trained: {last['epoch']:.0f} epochs on {last['pairs']:,.0f} pairs, validation loss "
        text += f"{last['validation_loss']:.4f} nats"
        return text + (f" (best {best:.4f})." if last["validation_loss"] - best > 1e-4 else ".")


def train(
    settings: TrainSettings,
    *,
    into: str | Path,
    force: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> TrainRun:
    """Train a learned likelihood; called again with the same settings, an interrupted training goes on.

    Parameters
    ----------
    settings : TrainSettings
        Model, method, budget and seed.
    into : str or Path
        The folder.
    force : bool
        Replace another run.
    progress : callable, optional
        Called after every epoch with a dict of epoch, epochs, loss, validation_loss, pairs and budget.

    Returns
    -------
    TrainRun
        The likelihood and its history.

    Raises
    ------
    ModelError
        If a setting cannot be used.
    ArtefactError
        If the folder cannot be used.
    """
    import pandas as pd

    start = time.perf_counter()
    with run_folder(into, command="train", settings=asdict(settings), force=force) as folder:
        learned = settings.estimator().fit(
            budget=settings.budget, seed=settings.seed, into=folder.path, progress=progress
        )
        history = pd.read_csv(folder.path / "history.csv")
        run = TrainRun(path=folder.path, likelihood=learned, history=history, seconds=time.perf_counter() - start)
        _figure(run, settings)
        last = {str(name): float(value) for name, value in history.iloc[-1].items()}
        folder.write_json("metrics.json", {"verdict": run.verdict, "seconds": run.seconds, **last})
        _LOG.info("%s", run.verdict)
    return run


def _figure(run: TrainRun, settings: TrainSettings) -> Path:
    """Draw the loss."""
    from firstpassage import plots

    panel = plots.canvas(rows=1, columns=1, width=4.2, height=3.0)[0, 0]
    plots.loss(run.history, method=settings.method, ax=panel)
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    pairs = int(run.history["pairs"].iloc[-1])
    what = f"{settings.method} on {settings.model}"
    caption = (
        f"Loss of {what}; n = {pairs} simulated pairs; seed {settings.seed}; the first tenth may lie above the axis."
    )
    numbers = {name: run.history[name].to_numpy() for name in ("epoch", "loss", "validation_loss")}
    return plots.save(panel.figure, folder / "loss.png", numbers=numbers, caption=caption)
