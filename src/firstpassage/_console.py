"""What the command line shows: tables, JSON and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstpassage.pipeline import FitRun


def table(*heads: str, title: str | None = None, numbers_from: int | None = None) -> Any:
    """Make a plain rich table."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", caption_justify="left")
    for place, head in enumerate(heads):
        right = numbers_from is not None and place >= numbers_from
        table.add_column(head, justify="right" if right else "left")
    return table


def console(*, stderr: bool = False) -> Any:
    """Make a console; files and pipes get lines of 120 characters."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 120, highlight=False)


def comparison(run: FitRun) -> Any:
    """Lay the posteriors of all methods side by side, one row for each group and parameter."""
    from firstpassage.pipeline import by_group

    methods = list(dict.fromkeys(f.method for f in run.fits))
    shifted = [m for m in methods if m != "exact"] if len(run.agreement) else []
    heads = [f"{m} mean ± sd" for m in methods] + [f"{m} shift (exact sd)" for m in shifted]
    found = table("group", run.fits[0].group.noun, "parameter", *heads, numbers_from=3)
    means = run.summary.set_index(["group", "parameter", "method"])[["mean", "sd"]]
    shifts = run.agreement.set_index(["group", "parameter", "method"])["shift"] if shifted else None
    for group, fits in by_group(run).items():
        for i, p in enumerate(fits[0].estimator.parameter_names):
            cells = [_pair(means, (group, p, m)) for m in methods]
            cells += [_signed(shifts, (group, p, m)) for m in shifted]
            first = (group, str(fits[0].group.trials)) if i == 0 else ("", "")
            found.add_row(*first, p, *cells, end_section=i + 1 == len(fits[0].estimator.parameters))
    if run.fits[0].estimator.model == "ddm":
        found.caption = "a is half the boundary separation."
    return found


def _pair(table: Any, key: tuple[str, ...]) -> str:
    """Write mean and sd, or nothing for a fit that failed."""
    return f"{table.loc[key, 'mean']:.3f} ± {table.loc[key, 'sd']:.3f}" if key in table.index else ""


def _signed(column: Any, key: tuple[str, ...]) -> str:
    """Write a shift, or nothing for a fit that failed."""
    return f"{column.loc[key]:+.2f}" if key in column.index else ""


def as_line(**content: Any) -> str:
    """Write one JSON object on one line."""
    from firstpassage.diagnostics._json import as_json

    return json.dumps(json.loads(as_json(content)), ensure_ascii=False)


@contextmanager
def bar(*columns: Any, total: int | None = None) -> Iterator[Callable[[str, float, float], None]]:
    """Show progress on stderr: a bar in a terminal, else one line for each step."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = (TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn())
    lines = not sys.stderr.isatty()
    with Progress(*shown, console=console(stderr=True), transient=True, disable=lines) as shown_bar:
        task = shown_bar.add_task("starting", total=total)

        def step(text: str, done: float, of: float) -> None:
            shown_bar.update(task, description=text, completed=done, total=of)
            if lines:
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()

        yield step


@contextmanager
def fitting() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show which fit runs, of how many."""
    from rich.progress import MofNCompleteColumn

    with bar(MofNCompleteColumn()) as step:
        yield lambda event: step(
            f"sampling {event['group']}, {event['method']} ({event['done'] + 1} of {event['total']})",
            event["done"],
            event["total"],
        )


@contextmanager
def training(budget: int | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show epoch, loss and the time left."""
    from rich.progress import TextColumn, TimeRemainingColumn

    with bar(TextColumn("{task.percentage:.0f} %, left"), TimeRemainingColumn(), total=budget) as step:
        yield lambda event: step(
            f"epoch {event['epoch']} of {event['epochs']}, validation loss {event['validation_loss']:.4f}",
            event["pairs"],
            event["budget"],
        )


@contextmanager
def checking() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show which question of the audit is asked, of how many."""
    from rich.progress import MofNCompleteColumn

    with bar(MofNCompleteColumn()) as step:
        yield lambda event: step(
            f"checking {event['item']} ({event['done'] + 1} of {event['total']})", event["done"], event["total"]
        )


@contextmanager
def running() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show the stage of a run, and within training the epoch and the time left."""
    from rich.progress import TextColumn, TimeRemainingColumn

    with bar(TextColumn("{task.percentage:.0f} %, left"), TimeRemainingColumn()) as step:
        yield lambda event: step(event["text"], event["done"], event["total"])


@contextmanager
def simulating() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show how many parameter sets were simulated."""
    from rich.progress import TimeRemainingColumn

    with bar(TimeRemainingColumn()) as step:
        yield lambda event: step(f"simulated {event['done']:,} of {event['total']:,}", event["done"], event["total"])


@contextmanager
def sweeping() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show how many runs of a sweep ended, of how many, and the time left."""
    with bar() as step:
        yield lambda event: step(event["text"], event["done"] + event["failed"], event["total"])
