"""Simulations as a file: parameters and data of a model, written whole, extended, and read for training."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ArtefactError, DataError, ModelError
from firstpassage.estimators import _atomic, pools
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model
from firstpassage.pipeline import _files

CARD = "firstpassage"  # the name under which a file says what it holds
_CHUNK = 100_000  # trials that are simulated at once, about
_REMEDY = (
    "Pass a .npz file with an array for each parameter and variable, a table with a row for each simulation, or a pool."
)
Progress = Callable[[dict[str, Any]], None]
Table = dict[str, np.ndarray]


def simulate(
    model: Model,
    *,
    n: int,
    trials: int = 1,
    seed: int,
    into: str | Path,
    append: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Draw parameters from the prior, simulate data, and write both into one file, whole or not at all.

    Parameters
    ----------
    model : Model
        Prior and simulator.
    n : int
        Parameter sets.
    trials : int
        Of each.
    seed : int
        From 0 to 2**63 - 1.
    into : str or Path
        A new file: .npz; or .parquet, if there is one trial of single numbers for each parameter set.
    append : bool
        Add to a file of the same model and number of trials that is there; the same seed then gives other rows.
    progress : callable, optional
        Called with a dict of done and total.

    Returns
    -------
    Path
        The file: one array for each parameter (n,) and variable (n, trials, ...), and what made them.

    Raises
    ------
    ModelError
        If a number or the seed is wrong.
    ArtefactError
        If the file exists, cannot be extended, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import firstpassage as fp
    >>> path = simulate(fp.gaussian(), n=100, trials=5, seed=1, into=tempfile.mkdtemp() + "/table.npz")
    >>> {name: value.shape for name, value in simulations(path).items()}
    {'mu': (100,), 'sigma': (100,), 'x': (100, 5)}
    """
    path = Path(into)
    for name, value in (("n", n), ("trials", trials)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ModelError(f"{name} must be a positive integer; got {value!r}.")
    seeds.check(seed)
    card, table = _begun(model, path, trials=trials, append=append)
    block = len(card["blocks"])
    made = _drawn(model, n, trials=trials, seed=seeds.derive(seed, f"simulations {block}"), progress=progress)
    card["blocks"].append({"n": n, "seed": seed})
    whole = made
    if table:
        whole = {name: np.concatenate([table[name].reshape(-1, *x.shape[1:]), x]) for name, x in made.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot make {path.parent}: {error.strerror}. Choose another path.") from error
    _atomic.write_bytes(path, (_parquet if path.suffix in _files.PARQUET else _npz)(whole, card))
    return path


def simulations(path: str | Path, *, model: Model | None = None) -> Table | Pool:
    """Read a table of simulations, a file of `simulate` or one's own; or open a pool, whose rows stay on disk.

    Parameters
    ----------
    path : str or Path
        A .npz file, or a parquet or CSV table, with the names of parameters and variables; or the folder of a pool.
    model : Model, optional
        For which they are meant.

    Returns
    -------
    dict of str to ndarray, or Pool
        What ``fit(simulations=...)`` takes.

    Raises
    ------
    DataError
        If the file cannot be read, or says that it is of another model, box or constants.
    ArtefactError
        If a pool is not finished, or its index cannot be understood.

    Examples
    --------
    See `simulate`.
    """
    if is_pool(path):
        pool = pools.read(path)
        if model is not None:
            pool.check(model)
        return pool
    card, table = _read(Path(path))
    if model is not None and card is not None:
        differ = [name for name, value in pools.describe(model).items() if card.get(name) != value]
        if differ:
            theirs = {name: card.get(name) for name in differ}
            raise DataError(
                f"{path} must be of {model!r}; it was simulated with other {', '.join(differ)} ({theirs}). Simulate "
                "again, or use the same model, bounds and settings."
            )
    return table


def is_pool(path: str | Path) -> bool:
    """Tell whether a path is that of a pool, finished or not.

    Parameters
    ----------
    path : str or Path
        A file or folder.

    Returns
    -------
    bool
        False also if there is nothing.
    """
    return (Path(path) / pools.INDEX).is_file()


def digest(path: str | Path) -> str:
    """Compute a digest of the simulations in a file or a pool.

    Parameters
    ----------
    path : str or Path
        That was read before.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return pools.read(path).digest if is_pool(path) else _files.digest(path)


def _begun(model: Model, path: Path, *, trials: int, append: bool) -> tuple[dict[str, Any], Table]:
    """Check where the table goes; give the card and the rows that are there."""
    table_like = path.suffix in _files.PARQUET
    if not table_like and path.suffix != _files.ARCHIVE:
        raise ArtefactError(f"simulations must go into a .npz or .parquet file; got {path}. Change its ending.")
    if table_like and trials > 1:
        raise ArtefactError(f"a parquet file holds one trial a row; got trials={trials}. Choose a .npz file.")
    wanted = pools.describe(model) | {"trials": trials}
    if not path.exists():
        return {**wanted, "blocks": []}, {}
    if not append:
        raise ArtefactError(f"{path} exists. Choose another path, or append to it (--append).")
    card, table = _read(path)
    differ = [name for name, value in wanted.items() if (card or {}).get(name) != value]
    if card is None or differ:
        what = f"with other {', '.join(differ)}" if card else "without saying of which model"
        raise ArtefactError(f"only simulations of the same model can be added to {path}; it was written {what}.")
    return card, table


def _drawn(model: Model, n: int, *, trials: int, seed: int, progress: Progress | None) -> Table:
    """Simulate in pieces, so that one can see how far it is."""
    piece = max(1, _CHUNK // trials)
    parts = []
    for start in range(0, n, piece):
        if progress:
            progress({"done": start, "total": n})
        theta = model.prior(min(piece, n - start), seed=seeds.derive(seed, f"prior {start}"))
        data = model.likelihood(theta, trials=trials, seed=seeds.derive(seed, f"data {start}"))
        parts.append({**theta, **data})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _npz(table: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> bytes:
    """Write arrays without pickle, and the card as one of them."""
    return _atomic.npz_bytes({**table, CARD: np.frombuffer(json.dumps(card).encode(), dtype=np.uint8)})


def _parquet(table: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> bytes:
    """Write columns, and the card into the metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    wide = [name for name, value in table.items() if value.size != len(value)]
    if wide:
        raise ArtefactError(f"a parquet file holds single numbers; {', '.join(wide)} are arrays. Choose a .npz file.")
    found = pa.table({name: value.reshape(-1) for name, value in table.items()})
    buffer = io.BytesIO()
    parquet.write_table(found.replace_schema_metadata({CARD: json.dumps(card)}), buffer)
    return buffer.getvalue()


def _read(path: Path) -> tuple[dict[str, Any] | None, Table]:
    """Read the card, if there is one, and the arrays."""
    found = _files.read(path, remedy=_REMEDY)
    if isinstance(found, np.ndarray):
        raise DataError(f"{path} is an array without names. {_REMEDY}")
    if isinstance(found, dict):
        card = found.pop(CARD, None)
        return None if card is None else json.loads(card.tobytes()), found
    if path.suffix not in _files.PARQUET:
        return None, {str(name): found[name].to_numpy() for name in found.columns}
    from pyarrow import parquet

    metadata = parquet.read_schema(path).metadata or {}
    text = metadata.get(CARD.encode())
    return None if text is None else json.loads(text), {str(n): found[n].to_numpy() for n in found.columns}
