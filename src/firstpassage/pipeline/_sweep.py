"""Sweep: many runs in one folder, by Dask on this machine or a cluster, and one table of them all.

Every configuration has a folder named by its content and, when it ends, a row in a file of its own. The same sweep
again runs only what has no row; a configuration that is added later is run beside those that are finished.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage._lock import alone
from firstpassage.errors import ModelError
from firstpassage.pipeline import _sweep_cluster, _sweep_plan, _sweep_rows
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._folder import RunFolder, run_folder
from firstpassage.pipeline._sweep_plan import Planned
from firstpassage.pipeline._sweep_rows import DONE, FAILED
from firstpassage.pipeline._sweep_task import Nowhere, Order

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)
_MINUTE = 60  # seconds
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sweep:
    """Hold what a sweep has made.

    Parameters
    ----------
    path : Path
        The folder.
    summary : DataFrame
        As in sweep_summary.csv: a row for each configuration.
    begun : int
        How many of them this call ran; others were finished before.
    figure : Path or None
        The comparison; None if no run was finished.
    """

    path: Path
    summary: pd.DataFrame
    begun: int
    figure: Path | None

    @property
    def ok(self) -> bool:
        """Tell whether all runs are done."""
        return self.count(DONE) == len(self.summary)

    def count(self, status: str) -> int:
        """Count the runs of a status.

        Parameters
        ----------
        status : {"done", "failed", "running", "waiting"}
            Which.

        Returns
        -------
        int
            Their number.
        """
        return int((self.summary["status"] == status).sum())

    @property
    def verdict(self) -> str:
        """Say in a sentence how it ended."""
        failed = f", {self.count(FAILED)} failed (--retry-failed runs these again)" if self.count(FAILED) else ""
        return f"{self.count(DONE)} of {len(self.summary)} runs done{failed}; {self.begun} of them now."

    @property
    def rows(self) -> list[dict[str, Any]]:
        """List the rows of the summary, each without the cells that are empty."""
        return _sweep_rows.records(self.summary)

    @property
    def failures(self) -> list[str]:
        """Say of each failed run what its last words were."""
        rows = self.summary[self.summary["status"] == FAILED]
        return [f"{row['name']}: {row['error']}" for row in rows.to_dict("records")]


def sweep(
    configs: str | Path | Sequence[RunConfig] | Mapping[str, Sequence[Any]],
    *,
    into: str | Path,
    base: RunConfig | Mapping[str, Any] | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: bool = False,
    force: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Run many configurations, each in a folder of its own, and compare them in one table and one figure.

    Stopped or killed at any moment, it goes on when it is called again; what is done is not done again. In a script
    with workers in processes, call it under ``if __name__ == "__main__":``, as each of them reads the script.

    Parameters
    ----------
    configs : str, Path, sequence of RunConfig, or mapping
        A YAML file of ``base``, ``grid`` and ``runs``; all configurations; or a grid, as in `configurations`.
    into : str or Path
        The folder. With a scheduler elsewhere, on a file system that all workers share.
    base : RunConfig or mapping, optional
        With a grid: what all have in common.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``"tcp://host:8786"``; workers on this machine if None.
    workers : int, optional
        How many on this machine, each with one thread; one for each core if None.
    threads : bool
        Whether these are threads of this process, which share what they compile, instead of processes.
    force : bool
        Run everything from the start.
    retry_failed : bool
        Run again what failed before; else a failed run is left as it is.
    progress : callable, optional
        Called with a dict of text, done, failed, running, total, and left in seconds or None.

    Returns
    -------
    Sweep
        The folder has a folder for each configuration, rows/ with a file for each that ended, sweep_summary.csv,
        sweep_summary.json with all settings, figures/sweep.png, config.json, environment.txt and run.log. A run that
        failed leaves traceback.txt in its folder, and the last line of it in its row.

    Raises
    ------
    ModelError
        If settings cannot be used, or two configurations are the same; nothing is run then.
    DataError
        If simulations or data cannot be used.
    ArtefactError
        If the folder holds something else, another process is writing it, or no scheduler answers.

    Examples
    --------
    >>> sweep({"seed": []}, into="runs/sweep")
    Traceback (most recent call last):
    firstpassage.errors.ModelError: grid.seed must have at least one value; got an empty list. Fill it, or leave it out.
    """
    number = _checked(workers, scheduler=scheduler, threads=threads)
    with alone(into):
        plan = _sweep_plan.plan(_configs(configs, base))
        with run_folder(into, command="sweep", settings={}, force=force) as folder:
            _freed(folder.path, plan, force=force, retry_failed=retry_failed)
            job = _Job(folder=folder, plan=plan, progress=progress)
            orders = job.orders(quiet=not threads)
            if orders:
                with _kept() if threads else nullcontext():
                    _carried_out(job, orders, scheduler=scheduler, workers=min(number, len(orders)), threads=threads)
            table = _sweep_rows.write_summary(folder, plan)
            found = Sweep(path=folder.path, summary=table, begun=len(orders), figure=_drawn(folder, table, plan))
            _LOG.info("%s", found.verdict)
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """One sweep at work: what is settled, and what is told of it."""

    folder: RunFolder
    plan: Sequence[Planned]
    progress: Progress | None
    _running: set[str] = field(default_factory=set)
    _said: list[str] = field(default_factory=list)

    def orders(self, *, quiet: bool) -> list[Order]:
        """List the runs that have no row."""
        here = self.folder.path.resolve()
        self.refresh()
        return [
            Order(folder=here, name=one.name, config=one.config, quiet=quiet)
            for one in self.plan
            if _sweep_rows.read(here, one.name) is None
        ]

    def settled(self, order: Order) -> None:
        """Take a new row into the summary."""
        row = _sweep_rows.read(order.folder, order.name) or {}
        words = f": {row['error']}" if row.get("error") else ""
        _LOG.info("%s %s%s", order.name, row.get("status"), words)
        self._running.discard(order.name)
        self.refresh()

    def looked(self, running: Collection[str]) -> None:
        """Take note of the runs at work."""
        if set(running) != self._running:
            self._running.clear()
            self._running.update(running)
            self.refresh()

    def refresh(self) -> None:
        """Write the summary, and tell how far it is."""
        table = _sweep_rows.write_summary(self.folder, self.plan, running=self._running)
        if self.progress is None:
            return
        status = table["status"]
        done, failed, total = int((status == DONE).sum()), int((status == FAILED).sum()), len(table)
        left = self._left(table)
        words = f"{done} of {total} runs done" + (f", {failed} failed" if failed else "")
        words += f", {len(self._running)} at work" + ("" if left is None else f", about {_duration(left)} left")
        if [words] != self._said:
            self._said[:] = [words]
            event = {"text": words, "done": done, "failed": failed, "running": len(self._running), "total": total}
            self.progress({**event, "left": left})

    def _left(self, table: Any) -> float | None:
        """Estimate the seconds to the end from those of finished runs and the number at work."""
        seconds = table.loc[table["status"] == DONE, "seconds"]
        remaining = int((~table["status"].isin([DONE, FAILED])).sum())
        if not len(seconds) or not self._running or not remaining:
            return None
        return float(seconds.mean()) * remaining / len(self._running)


def _checked(workers: int | None, *, scheduler: str | None, threads: bool) -> int:
    """Check how the runs are to be carried out; give the number of workers."""
    if scheduler is not None and (workers is not None or threads):
        raise ModelError(
            "workers and threads are of this machine; got them with a scheduler, which has its own. Leave them out."
        )
    if workers is None:
        return len(os.sched_getaffinity(0)) if "sched_getaffinity" in dir(os) else os.cpu_count() or 1
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ModelError(f"workers must be a positive integer; got {workers!r}. Write 2, or leave it out.")
    return workers


def _configs(configs: Any, base: Any) -> Sequence[RunConfig]:
    """Take what was given as configurations."""
    if isinstance(configs, Mapping):
        return _sweep_plan.configurations(configs, base=base)
    if base is not None:
        raise ModelError("base must come with a grid; got it with configurations or a file. Leave it out.")
    if isinstance(configs, (str, Path)):
        return _sweep_plan.read(configs)
    if not isinstance(configs, Sequence):
        raise ModelError(
            f"configs must be a file, a grid or a list of RunConfig; got {type(configs).__name__}. Pass one of these."
        )
    return configs


def _freed(folder: Path, plan: Sequence[Planned], *, force: bool, retry_failed: bool) -> None:
    """Forget the rows of what is to be run again and, if from the start, its folders."""
    for one in plan:
        row = _sweep_rows.read(folder, one.name)
        if force or (retry_failed and row is not None and row["status"] == FAILED):
            _sweep_rows.forget(folder, one.name)
        if force and (folder / one.name).exists():
            with run_folder(folder / one.name, command="run", settings=one.settings, force=True, anew=True):
                _LOG.info("%s begins anew", one.name)


def _carried_out(job: _Job, orders: Sequence[Order], *, scheduler: str | None, workers: int, threads: bool) -> None:
    """Let workers run the orders; what is left when it ends early waits."""
    try:
        with _sweep_cluster.connected(scheduler=scheduler, workers=workers, threads=threads) as client:
            carrier = _sweep_cluster.Orders(client=client, threads=threads, settled=job.settled, looked=job.looked)
            carrier.carry_out(orders)
    except BaseException:
        _sweep_rows.write_summary(job.folder, job.plan)
        raise


@contextmanager
def _kept() -> Iterator[None]:
    """Put back what runs in threads change for the whole process, in whatever order they end."""
    with redirect_stdout(Nowhere()), warnings.catch_warnings():
        yield


def _drawn(folder: RunFolder, table: pd.DataFrame, plan: Sequence[Planned]) -> Path | None:
    """Draw the comparison of the runs that are done."""
    from firstpassage import plots

    if not (table["status"] == DONE).any():
        return None
    (folder.path / "figures").mkdir(exist_ok=True)
    one_model = len({one.settings["model"]["name"] for one in plan}) == 1
    panels = plots.sweep(table, parameters=plan[0].parameters if one_model else None)
    caption = f"{len(table)} runs of a sweep, a row each, in the order of sweep_summary.csv; seeds are in their names."
    rows = {"rows": _sweep_rows.records(table)}
    return plots.save(panels[0].figure, folder.path / "figures" / "sweep.png", numbers=rows, caption=caption)


def _duration(seconds: float) -> str:
    """Write a time that is left."""
    return f"{seconds:.0f} s" if seconds < _MINUTE else f"{seconds / _MINUTE:.0f} min"
