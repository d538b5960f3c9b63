"""Files: read a table of text or parquet, or arrays of NumPy, or say what it is instead."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
ARRAY, ARCHIVE = ".npy", ".npz"


def read(path: Path, *, remedy: str) -> pd.DataFrame | np.ndarray | dict[str, np.ndarray]:
    """Read a file by the ending of its name: .parquet or .pq, .npy, .npz, anything else as CSV.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        A sentence that says what to pass instead.

    Returns
    -------
    DataFrame, ndarray or dict of these
        An array for .npy, arrays by name for .npz; nothing that is pickled is loaded.

    Raises
    ------
    DataError
        If it is missing, is something else, or holds nothing.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table. {remedy}")
    ending = path.suffix.lower()
    readers: dict[str, Callable[[Path, str], Any]] = {ARRAY: _array, ARCHIVE: _archive}
    reader = readers.get(ending, _parquet if ending in PARQUET else _csv)
    return _opened(reader, path, remedy)


def digest(path: str | Path) -> str:
    """Compute the SHA-256 of a file that was read before, so that a changed table is another run.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _opened(reader: Callable[[Path, str], Any], path: Path, remedy: str) -> Any:
    """Read, or say that the file cannot be opened."""
    try:
        found = reader(path, remedy)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}. Check the path.") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or _line(error)}. {remedy}") from None
    if len(found) == 0:
        raise DataError(f"{path} has a header but no trials. {remedy}")
    return found


def _csv(path: Path, remedy: str) -> pd.DataFrame:
    """Read text."""
    import pandas as pd

    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty. {remedy}") from None
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is not a CSV of text ({_line(error)}). {remedy}") from None


def _parquet(path: Path, remedy: str) -> pd.DataFrame:
    """Read parquet."""
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{path} is not a readable parquet file ({_line(error)}). {remedy}") from None


def _array(path: Path, remedy: str) -> np.ndarray:
    """Read an array of numbers."""
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        if "pickle" in str(error):
            raise DataError(f"{path} holds Python objects, not numbers, and is not loaded. {remedy}") from None
        raise DataError(f"{path} is not a .npy file of numbers ({_line(error)}). {remedy}") from None
    if not isinstance(found, np.ndarray):  # an archive under the name of an array
        found.close()
        raise DataError(f"{path} is an archive of arrays. Save the one that is meant with numpy.save. {remedy}")
    if found.ndim == 0:
        raise DataError(f"{path} holds a single value. {remedy}")
    return found


def _archive(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Read all arrays of an archive."""
    if not path.is_file():
        raise FileNotFoundError(path)
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not a .npz file. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        said = "it holds Python objects" if "pickle" in str(error) else _line(error)
        raise DataError(f"{path} is not a .npz file of numbers ({said}). {remedy}") from None


def _line(error: Exception) -> str:
    """Take the first line of an error, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
