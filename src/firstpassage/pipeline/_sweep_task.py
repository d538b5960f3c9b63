"""Task of a sweep: what a worker does with one configuration."""

from __future__ import annotations

import io
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from firstpassage.pipeline import _sweep_rows
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._folder import BusyError
from firstpassage.pipeline._run import run

_AGAIN = 1.0  # seconds between two looks at a folder that another process writes
_SHORTEST = "no traceback"
_ONE_AT_A_TIME = threading.Lock()  # in a worker process that has several threads, as stdout is of them all


@dataclass(frozen=True, eq=False, kw_only=True)
class Order:
    """Ask for one run.

    Parameters
    ----------
    folder : Path
        Of the sweep, absolute; the run gets a folder of its own in it.
    name : str
        Of the configuration.
    config : RunConfig
        Without open settings.
    quiet : bool
        Whether the process is a worker's own, and may be silenced.
    """

    folder: Path
    name: str
    config: RunConfig
    quiet: bool = True


def work(order: Order) -> str:
    """Run one configuration and write its row; a failure is a row, too.

    Parameters
    ----------
    order : Order
        What to run, and where.

    Returns
    -------
    str
        "done" or "failed".

    Raises
    ------
    ArtefactError
        If the row cannot be written.
    """
    begin = time.perf_counter()
    with _silent() if order.quiet else nullcontext():
        while (row := _sweep_rows.read(order.folder, order.name)) is None:
            try:
                _once(order)
            except BusyError:  # a worker of a driver that was killed finishes what it had begun
                time.sleep(_AGAIN)
            except (Exception, SystemExit) as error:
                record(order, error, seconds=time.perf_counter() - begin)
    return str(row["status"])


def record(order: Order, error: BaseException, *, seconds: float) -> None:
    """Write the row of a run that failed.

    Parameters
    ----------
    order : Order
        What was to be run.
    error : BaseException
        Why it ended.
    seconds : float
        Until then.
    """
    text = "".join(traceback.format_exception(error))
    last = [line for line in text.splitlines() if line.strip()][-1:] or [_SHORTEST]
    _sweep_rows.write_failed(order.folder, order.name, error=last[0].strip(), traceback=text, seconds=seconds)


def _once(order: Order) -> None:
    """Run, or take what was finished before, and write the row."""
    import dask

    path = order.folder / order.name
    (path / "traceback.txt").unlink(missing_ok=True)
    with dask.config.set(scheduler="synchronous"):  # else xarray, within a task, asks the scheduler for a lock to write
        made = run(order.config, into=path)
    _sweep_rows.write_done(order.folder, order.name, metrics=made.metrics)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what simulators and libraries say from the terminal of the sweep; run.log has it."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # else BayesFlow, when it is loaded, and logging's last resort write to stderr
    try:
        with _ONE_AT_A_TIME, redirect_stdout(Nowhere()), redirect_stderr(Nowhere()):
            yield
    finally:
        root.removeHandler(handler)


class Nowhere(io.TextIOBase):
    """Take text, and drop it."""

    def write(self, text: str) -> int:
        """Drop some text."""
        return len(text)
