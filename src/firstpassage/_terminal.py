"""What all commands share: options, the way errors and warnings are shown, and JSON."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from firstpassage import _console
from firstpassage.errors import AuditWarning, DataWarning, FirstPassageError, ModelError

Into = Annotated[Path, typer.Option("--into", help="Folder for all output; made if missing.")]
Force = Annotated[bool, typer.Option("--force", help="Replace another run in that folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
Seed = Annotated[int, typer.Option(help="From 0 to 2**63 - 1; the same seed gives the same numbers.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="See: firstpassage models")]
Method = Annotated[str, typer.Option(help="npe, nle or nre.")]
AnyModel = Annotated[str | None, typer.Argument(metavar="MODEL", help="See: firstpassage models; or FILE.py:NAME.")]
OwnModel = Annotated[str | None, typer.Option("--model", metavar="FILE.py:NAME", help="A model of your own.")]


def expected(command: Callable[..., None]) -> Callable[..., None]:
    """End expected errors with one line on stderr and exit code 2."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            with _messages():
                command(*args, **kwargs)
        except FirstPassageError as error:
            _end(str(error))
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None

    return wrapped


def _end(message: str) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo("error: " + " ".join(message.split()), err=True)
    raise typer.Exit(2)


@contextmanager
def _messages() -> Iterator[None]:
    """Show the package's warnings on stderr, one line each."""
    logger, handler = logging.getLogger("firstpassage"), logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: record.levelno == logging.WARNING)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    root, silent = logging.getLogger(), logging.NullHandler()
    # BayesFlow sends the logs of all libraries to stderr when it is loaded, unless the root has a handler.
    root.addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the pipeline logs them
            warnings.simplefilter("always", AuditWarning)
            warnings.showwarning = _show_warning
            yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
        root.removeHandler(silent)


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    """Show a warning as one line on stderr."""
    typer.echo(f"warning: {message}", err=True)


def one_model(*given: str | None) -> str:
    """Take the model that is named once, as an argument or as an option."""
    named = [name for name in given if name is not None]
    if len(named) != 1:
        what = " and ".join(named) or "none"
        raise ModelError(f"one model must be named, as MODEL or as --model FILE.py:NAME; got {what}.")
    return named[0]


def range_of(text: str | None) -> tuple[int, int] | None:
    """Read LOW,HIGH, or one number for both."""
    if text is None:
        return None
    try:
        ends = [int(end) for end in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise ModelError(f"--trials must be one number or two with a comma between, such as 20,1000; got {text!r}.")
    return ends[0], ends[-1]


def print_json(**content: Any) -> None:
    """Print one JSON object."""
    typer.echo(_console.as_line(**content))
