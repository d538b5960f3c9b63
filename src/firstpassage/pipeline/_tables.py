"""Tables: read a CSV of trials and split it into the groups that are fitted one by one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """Hold the trials of one data set.

    Parameters
    ----------
    name : str
        For people: ``"stim=LL"``, or ``"all"``.
    slug : str
        For file names: letters, digits, dots and dashes; no two groups of a table share one.
    keys : dict of str to str
        Value of each column that was grouped by.
    trials : DataFrame
        The model's columns.
    """

    name: str
    slug: str
    keys: dict[str, str]
    trials: pd.DataFrame


def read_groups(
    path: str | Path,
    *,
    wanted: Sequence[str],
    columns: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
) -> list[Group]:
    """Read a CSV with one trial per row.

    Parameters
    ----------
    path : str or Path
        With a header, separated by commas.
    wanted : sequence of str
        The columns that the model needs.
    columns : mapping of str to str, optional
        What the file calls them, where it has other names.
    by : sequence of str
        Columns whose combinations make the groups; all trials are one group if empty.

    Returns
    -------
    list of Group
        In the order of their first trials.

    Raises
    ------
    DataError
        If the file cannot be read, has no trials, or lacks a column.
    """
    table = _read(Path(path))
    names = {name: (columns or {}).get(name, name) for name in wanted}
    _check_columns(Path(path), table, [*names.values(), *by])
    if not by:
        return [_group({}, table, names, taken=set())]
    for column in by:
        empty = table[column].isna()
        if empty.any():
            raise DataError(
                f"{column} must be known for every trial; {int(empty.sum())} of {len(table)} are empty "
                f"(first: line {int(empty.argmax()) + 2} of {path}). Fill them or drop these rows."
            )
    taken: set[str] = set()
    split = table.groupby(list(by), sort=False)
    return [_group(dict(zip(by, map(str, key), strict=True)), trials, names, taken=taken) for key, trials in split]


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


def _read(path: Path) -> pd.DataFrame:
    """Read the file, or say what it is instead of a table."""
    import pandas as pd

    remedy = "Pass a CSV with a header and one trial per row."
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table. {remedy}")
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}. Check the path.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty. {remedy}") from None
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is not a CSV of text ({_line(error)}). {remedy}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from None
    if table.empty:
        raise DataError(f"{path} has a header but no trials. {remedy}")
    return table


def _check_columns(path: Path, table: pd.DataFrame, needed: list[str]) -> None:
    """Refuse a table without the columns that are asked for."""
    found = [str(column) for column in table.columns]
    missing = [name for name in needed if name not in found]
    if not missing:
        return
    if len(found) == 1 and re.search(r"[;\t]", found[0]):
        hint = "It seems to be separated by semicolons or tabs: save it with commas."
    else:
        hint = "Name the columns with --rt, --response and --by."
    raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(found[:12])}. {hint}")


def _group(keys: dict[str, str], trials: pd.DataFrame, names: Mapping[str, str], *, taken: set[str]) -> Group:
    """Make one group, with a file name of its own."""
    chosen = trials[list(names.values())].set_axis(list(names), axis=1)
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(keys.values()))[:60].strip("._") or "all"
    unique, number = slug, 1
    while unique.casefold() in taken:
        number += 1
        unique = f"{slug}-{number}"
    taken.add(unique.casefold())
    name = ", ".join(f"{k}={v}" for k, v in keys.items()) or "all"
    return Group(name=name, slug=unique, keys=keys, trials=chosen)


def _line(error: Exception) -> Any:
    """Take the first line of an error."""
    return str(error).strip().splitlines()[0]
