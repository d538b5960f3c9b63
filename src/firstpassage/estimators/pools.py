"""Pools: simulations in many files, more than memory holds; an index says what each shard must be.

A pool is a folder. ``index.json`` names the model with its bounds and settings, the seed, and for every shard its file,
rows and SHA-256; a shard is an uncompressed .npz of one array for each parameter and variable. The index lists whole
shards only, so that a reader never meets one that is being written.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage.errors import ArtefactError, DataError
from firstpassage.models.model import Model

INDEX = "index.json"
SCHEMA = 1
_FILE = re.compile(r"\d{6,}-\d+\.npz")
_NUMBERS = ("rows", "trials", "seed", "shard")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Say what one file of a pool must be.

    Parameters
    ----------
    file : str
        Its name in the folder of the pool.
    rows : int
        Parameter sets in it.
    sha256 : str
        Of its content, 64 hexadecimal digits.
    """

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """Hold what the index of a folder of simulations says; the rows stay on disk.

    ``fit(simulations=pool)`` trains from it, with a part of it in memory at any time.

    Parameters
    ----------
    path : Path
        The folder.
    origin : mapping
        Name, bounds and settings of the model that was simulated.
    trials : int
        Of each parameter set.
    seed : int
        Of all rows.
    shards : tuple of Shard
        In order.

    Examples
    --------
    >>> import tempfile
    >>> import firstpassage as fp
    >>> pool = fp.pipeline.pool(fp.gaussian(), n=100, shard=40, seed=1, into=tempfile.mkdtemp() + "/pool")
    >>> pool.rows, [shard.rows for shard in pool.shards], sorted(pool.table(2))
    (100, [40, 40, 20], ['mu', 'sigma', 'x'])
    """

    path: Path
    origin: Mapping[str, Any]
    trials: int
    seed: int
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """Count the parameter sets of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def digest(self) -> str:
        """Compute a digest of all content from the index alone, so that training on another pool is another run."""
        content = [self.origin, self.trials, [(shard.rows, shard.sha256) for shard in self.shards]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def table(self, k: int) -> dict[str, np.ndarray]:
        """Read one shard, and check that it is what the index says.

        Parameters
        ----------
        k : int
            Which, from 0.

        Returns
        -------
        dict of str to ndarray
            Parameters (n,) and variables (n, trials, ...), as ``fit(simulations=...)`` takes them.

        Raises
        ------
        ArtefactError
            If the file is missing, cut off, changed, or of another pool.
        """
        shard = self.shards[k]
        path = self.path / shard.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtefactError(f"cannot read the shard {path}: {error.strerror}. {self._remedy(shard)}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != shard.sha256:
            raise ArtefactError(
                f"the shard {path} must have the SHA-256 {shard.sha256[:12]}... that {INDEX} names; got "
                f"{found[:12]}... in {len(content):,} bytes: it was cut off, changed or is of another pool. "
                f"{self._remedy(shard)}"
            )
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except Exception as error:
            raise ArtefactError(
                f"the shard {path} must be a .npz file of numbers ({error}). {self._remedy(shard)}"
            ) from error

    def check(self, model: Model) -> None:
        """Refuse a model that the pool was not simulated with.

        Parameters
        ----------
        model : Model
            For which the rows are meant.

        Raises
        ------
        DataError
            If name, bounds or settings differ.
        """
        differ = [name for name, value in describe(model).items() if self.origin.get(name) != value]
        if differ:
            theirs = {name: self.origin.get(name) for name in differ}
            raise DataError(
                f"{self.path} must be of {model!r}; it was simulated with other {', '.join(differ)} ({theirs}). "
                "Simulate again, or use the same model, bounds and settings."
            )

    def _remedy(self, shard: Shard) -> str:
        """Say what mends a shard: the same simulation gives the same bytes."""
        return f"Delete {shard.file}, and simulate into {self.path} again, which makes what is missing."


def read(path: str | Path) -> Pool:
    """Read the index of a pool.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    Pool
        With all its shards.

    Raises
    ------
    ArtefactError
        If there is no pool, its index cannot be understood, or shards are not yet simulated.

    Examples
    --------
    See `Pool`.
    """
    folder = Path(path)
    index = read_index(folder)
    if index is None:
        raise ArtefactError(
            f"{folder} must be a pool, a folder with {INDEX}; got "
            f"{'a folder without it' if folder.is_dir() else 'a file' if folder.exists() else 'nothing there'}. Write "
            "one by firstpassage simulate --shard-size, or pass a table, which fp.pipeline.simulations reads."
        )
    left = missing(index)
    if left:
        raise ArtefactError(
            f"{folder} must be a finished pool of {index['rows']:,} rows; {len(left)} of {count(index)} shards are not "
            "yet simulated. Start the same simulation again, which goes on."
        )
    shards = tuple(Shard(**index["shards"][str(k)]) for k in range(count(index)))
    return Pool(path=folder, origin=index["origin"], trials=index["trials"], seed=index["seed"], shards=shards)


def read_index(folder: Path) -> dict[str, Any] | None:
    """Read and check the index of a pool, finished or not; None if there is none.

    Parameters
    ----------
    folder : Path
        Of the pool.

    Returns
    -------
    dict or None
        origin, trials, seed, shard (rows of a whole shard), rows (of all shards in the end), probe, and shards by
        number.

    Raises
    ------
    ArtefactError
        If it cannot be understood.
    """
    path = folder / INDEX
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}). Simulate into another folder.") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        theirs = found.get("schema") if isinstance(found, dict) else type(found).__name__
        raise ArtefactError(
            f"{path} must be an index of schema {SCHEMA}; got {theirs}. Read it with the firstpassage that wrote it, "
            "or simulate into another folder."
        )
    if not _sound(found):
        raise ArtefactError(f"{path} lacks what an index must say, or was changed. Simulate into another folder.")
    return found


def count(index: Mapping[str, Any]) -> int:
    """Count the shards of a finished pool.

    Parameters
    ----------
    index : mapping
        Of `read_index`.

    Returns
    -------
    int
        Written or not.
    """
    return -(-index["rows"] // index["shard"])


def rows_of(index: Mapping[str, Any], k: int) -> int:
    """Count the rows that a shard must have: the last one may have fewer.

    Parameters
    ----------
    index : mapping
        Of `read_index`.
    k : int
        Which shard.

    Returns
    -------
    int
        Parameter sets.
    """
    return min(index["shard"], index["rows"] - k * index["shard"])


def missing(index: Mapping[str, Any]) -> list[int]:
    """List the shards that are not there, or have fewer rows than they must.

    Parameters
    ----------
    index : mapping
        Of `read_index`.

    Returns
    -------
    list of int
        Numbers of shards.
    """
    there = {int(k): shard["rows"] for k, shard in index["shards"].items()}
    return [k for k in range(count(index)) if there.get(k, 0) < rows_of(index, k)]


def describe(model: Model) -> dict[str, Any]:
    """Say what determines the distribution of simulations, as JSON holds it.

    Parameters
    ----------
    model : Model
        Prior and simulator.

    Returns
    -------
    dict
        Name, bounds and settings.
    """
    content = {
        "model": model.name,
        "bounds": {p.name: list(p.bounds) for p in model.parameters},
        "settings": dict(model.settings),
    }
    return json.loads(json.dumps(content, default=str))


def _sound(index: Mapping[str, Any]) -> bool:
    """Tell whether an index has all it must, and names no file outside of its folder."""
    numbers = [index.get(name) for name in _NUMBERS]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or not index["shard"]:
        return False
    shards, names = index.get("shards"), {field.name for field in fields(Shard)}
    if not isinstance(shards, dict) or not isinstance(index.get("origin"), dict):
        return False
    return all(
        k.isdecimal() and isinstance(one, dict) and set(one) == names and _FILE.fullmatch(str(one["file"]))
        for k, one in shards.items()
    )
