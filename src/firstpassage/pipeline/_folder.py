"""The run folder: one run writes it, every file whole, with its settings, its log and its environment.

A process that writes holds a lock, which the operating system drops if the process is killed. A folder of
another run is refused, or with `force` emptied of what this package wrote, and of nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from firstpassage import _lock
from firstpassage.diagnostics._json import as_json
from firstpassage.errors import ArtefactError, FirstPassageError
from firstpassage.estimators._atomic import write_bytes

_PACKAGE = logging.getLogger("firstpassage")
_LOG = logging.getLogger(__name__)
_CONFIG, _LOCK = "config.json", ".lock"
_WRITTEN = (
    *(_CONFIG, "environment.txt", "run.log", "summary.csv", "metrics.json", "report.html"),
    *("history.csv", "checkpoint.npz", "draws", "figures", "bundle"),
    *("run.yml", "stages", "draws.nc", "observed.npz", "traceback.txt"),
    *("rows", "sweep_summary.csv", "sweep_summary.json"),
)  # all that a run may leave


class BusyError(ArtefactError):
    """Another process is writing the folder."""


@dataclass(frozen=True)
class RunFolder:
    """Write artefacts into one folder.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    def write(self, name: str, content: bytes) -> Path:
        """Write one file whole or not at all.

        Parameters
        ----------
        name : str
            Relative to the folder, with ``/``.
        content : bytes
            Of the file.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        ArtefactError
            If it cannot be written.
        """
        target = self.path / name
        _make(target.parent)
        write_bytes(target, content)
        return target

    def write_text(self, name: str, content: str) -> Path:
        """Write one text file; see `write`."""
        return self.write(name, content.encode())

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write one JSON file; see `write`."""
        return self.write_text(name, as_json(content))


@contextmanager
def run_folder(
    path: str | Path, *, command: str, settings: Mapping[str, Any], force: bool = False, anew: bool = False
) -> Iterator[RunFolder]:
    """Open a folder for one run: locked, with config.json, environment.txt and a log of the package.

    Parameters
    ----------
    path : str or Path
        A new or empty folder, or that of the same run.
    command : str
        What runs, such as ``"fit"``.
    settings : mapping
        All that determines the run.
    force : bool
        Replace another run.
    anew : bool
        Begin the same run from the start.

    Yields
    ------
    RunFolder
        To write into.

    Raises
    ------
    ArtefactError
        If the path is a file, holds something else, is being written, or cannot be written.
    """
    folder, content = Path(path), {"command": command, "settings": json.loads(as_json(settings))}
    _check(folder, content, force=force)
    fresh = not folder.exists()
    _make(folder)
    with _locked(folder, fresh=fresh):
        if _check(folder, content, force=force) or anew:
            _clear(folder)
        run = RunFolder(folder)
        run.write_json(_CONFIG, {"firstpassage": version(), **content})
        run.write_text("environment.txt", environment())
        with _logged(folder / "run.log"):
            yield run


def same_run(path: str | Path, *, command: str, settings: Mapping[str, Any]) -> bool:
    """Tell whether a folder holds this run, whole or not.

    Parameters
    ----------
    path : str or Path
        The folder.
    command : str
        What runs.
    settings : mapping
        All that determines the run.

    Returns
    -------
    bool
        False also if there is nothing.
    """
    found = _config(Path(path) / _CONFIG) or {}
    return (found.get("command"), found.get("settings")) == (command, json.loads(as_json(settings)))


def version() -> str:
    """Name the installed version of this package.

    Returns
    -------
    str
        ``"unknown"`` if it runs from a source tree without being installed.

    Examples
    --------
    >>> bool(version())
    True
    """
    try:
        return metadata.version("firstpassage")
    except metadata.PackageNotFoundError:
        return "unknown"


def environment() -> str:
    """List Python, the machine and every installed package with its version.

    Returns
    -------
    str
        One item per line.

    Examples
    --------
    >>> environment().startswith("python ")
    True
    """
    packages = {f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()}
    head = [f"python {sys.version.split()[0]}", f"{platform.platform()}, {os.cpu_count()} CPUs"]
    return "\n".join([*head, *sorted(packages, key=str.casefold)]) + "\n"


def _check(folder: Path, content: Mapping[str, Any], *, force: bool) -> bool:
    """Refuse a path that may not be written; tell whether another run must be cleared first."""
    if folder.exists() and not folder.is_dir():
        raise ArtefactError(f"{folder} is a file; the output must be a folder. Choose another path.")
    if not folder.is_dir() or not {p.name for p in folder.iterdir()} - {_LOCK, _lock.NAME}:
        return False
    found = _config(folder / _CONFIG)
    if found is None:
        raise ArtefactError(f"{folder} is not empty and holds no run of firstpassage. Choose an empty folder.")
    if all(found.get(key) == value for key, value in content.items()):
        return False
    if not force:
        how = _difference(found, content)
        raise ArtefactError(f"{folder} holds another run ({how}). Choose another folder, or force (--force).")
    return True


def _config(path: Path) -> dict[str, Any] | None:
    """Read the settings of the run in a folder; None if there are none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "firstpassage" in found else None


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the first settings that differ."""
    if found.get("command") != wanted["command"]:
        return f"of the command {found.get('command')}"
    theirs, ours = found.get("settings", {}), wanted["settings"]
    names = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
    return f"with other {', '.join(names[:4])}"


def _clear(folder: Path) -> None:
    """Remove what a run of this package wrote."""
    try:
        for name in _WRITTEN:
            target = folder / name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot replace {folder}: {error.strerror}. Choose another folder.") from error


def _make(folder: Path) -> None:
    """Make a folder and its parents."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot make the folder {folder}: {error.strerror}. Choose another path.") from error


@contextmanager
def _locked(folder: Path, *, fresh: bool) -> Iterator[None]:
    """Hold the folder's lock; leave no empty folder behind if the run ended before it wrote anything."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"another process is writing {folder}. Wait for it, or choose another folder.") from None
    except OSError as error:
        raise ArtefactError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        lock.release()
        if fresh:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Append the package's log to a file, and put the logger back."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ArtefactError(f"cannot write {path}: {error.strerror}. Choose another folder.") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)  # other threads may have runs of their own
    level = _PACKAGE.level
    _PACKAGE.addHandler(handler)
    _PACKAGE.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        known = isinstance(error, (FirstPassageError, KeyboardInterrupt))
        _LOG.error("ended early: %s", str(error) or type(error).__name__, exc_info=None if known else error)
        raise
    finally:
        _PACKAGE.setLevel(level)
        _PACKAGE.removeHandler(handler)
        handler.close()
