"""What the command line shows: tables, JSON and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
def training(budget: int) -> Iterator[Callable[[dict[str, Any]], None]]:
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
