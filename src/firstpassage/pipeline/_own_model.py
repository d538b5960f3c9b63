"""Models by name: one that comes with the package, or one of the user's own in a Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from firstpassage.errors import ModelError
from firstpassage.models import registry
from firstpassage.models.model import Model
from firstpassage.pipeline import _files

_FORM = "FILE.py:NAME, such as my_model.py:model"
_MODULE = "_firstpassage_model_"  # begins the names under which files are run


def own(name: str) -> bool:
    """Tell whether a name means a file of the user's."""
    return ":" in name or name.endswith(".py")


def make(
    name: str, *, bounds: Mapping[str, tuple[float, float]] | None = None, settings: Mapping[str, Any] | None = None
) -> Model:
    """Make a model by its name, or take it from a file.

    Parameters
    ----------
    name : str
        One of the package's, or ``FILE.py:NAME``; there the name is that of a Model, or of a function that returns one
        and takes `bounds`, if any, and the settings as keywords.
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the model's own.
    settings : mapping, optional
        Constants of the model.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ModelError
        If there is no such model or file, the file cannot be run, or what it holds under that name is no model.

    Examples
    --------
    >>> make("gaussian", bounds={"mu": (-1.0, 1.0)}).parameters[0].bounds
    (-1.0, 1.0)
    """
    chosen = dict(settings or {})
    if not own(name):
        try:
            return registry.make(name, bounds=bounds or None, **chosen)
        except ModelError as error:
            if name in registry.NAMES:
                raise
            raise ModelError(f"{error} One of your own is {_FORM}.") from None
    path, _, attribute = name.rpartition(":")
    if not path.endswith(".py") or not attribute.isidentifier():
        raise ModelError(
            f"a model of your own must be {_FORM}; got {name!r}. Name the file and what it is called there."
        )
    module = _module(Path(path))
    if attribute not in vars(module):
        there = [key for key, value in vars(module).items() if isinstance(value, Model)]
        listed = f"its models are {', '.join(there)}" if there else "it has no Model"
        raise ModelError(
            f"{path} must define {attribute}; {listed}. Write {attribute} = firstpassage.Model(...) in it."
        )
    return _called(vars(module)[attribute], name, {**({"bounds": dict(bounds)} if bounds else {}), **chosen})


def digest(name: str) -> dict[str, str]:
    """Give the checksum of a user's file, so that a changed model is another run; nothing for the package's own.

    Parameters
    ----------
    name : str
        As for `make`.

    Returns
    -------
    dict of str to str
        ``{"model": ...}`` or empty.
    """
    return {"model": _files.digest(name.rpartition(":")[0])} if own(name) else {}


def files() -> tuple[Path, ...]:
    """List the files of models that were run in this process, for others that are to know these models, too.

    Returns
    -------
    tuple of Path
        In the order in which they were run.
    """
    return tuple(Path(str(one.__file__)) for name, one in sys.modules.items() if name.startswith(_MODULE))


def run_file(path: Path) -> None:
    """Run the file of a model of one's own, unless that was done in this process.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ModelError
        If there is no such file, or it fails.
    """
    _module(path)


def _called(found: Any, name: str, given: dict[str, Any]) -> Model:
    """Take a Model, or what a function makes of bounds and settings."""
    if isinstance(found, Model):
        if given:
            raise ModelError(
                f"{name} is a Model, which has its bounds and settings; got {', '.join(given)}. Leave them out, or "
                "name a function that takes them and returns a Model."
            )
        return found
    if callable(found) and not isinstance(found, type):
        try:
            found = found(**given)
        except TypeError as error:
            raise ModelError(f"{name} cannot be called with {', '.join(given) or 'nothing'}: {error}.") from error
        if isinstance(found, Model):
            return found
    raise ModelError(
        f"{name} must be a firstpassage.Model, or a function that returns one; got {type(found).__name__}. "
        "Name the right one."
    )


def _module(path: Path) -> ModuleType:
    """Run a file, once as long as it is the same."""
    if not path.is_file():
        raise ModelError(f"there is no file {path} to take a model from. Check the path; it must be {_FORM}.")
    return _executed(path.resolve(), _files.digest(path))


@cache
def _executed(path: Path, checksum: str) -> ModuleType:
    """Run a file as a module, which may import its neighbours."""
    name = f"{_MODULE}{path.stem}_{checksum[:8]}"
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise ModelError(f"{path.name}{where} cannot be run: {error!r}. Mend the file.") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
