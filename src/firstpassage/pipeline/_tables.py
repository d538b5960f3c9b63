"""Tables: read a file of trials and split it into the groups that are fitted one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError
from firstpassage.pipeline import _files
from firstpassage.pipeline._layouts import Layout

if TYPE_CHECKING:
    import pandas as pd

UNITS = ("cm",)


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
    data : DataFrame, ndarray or mapping of str to ndarray
        The model's columns, in its units; windows; or voltage and spikes of traces.
    trials : int
        Their number: choices, or visits to patches, of which each has several rows.
    noun : str
        What a trial is called, in the plural.
    notes : tuple of str
        What was done to the data of the file, a sentence each.
    """

    name: str
    slug: str
    keys: dict[str, str]
    data: pd.DataFrame | np.ndarray | Mapping[str, np.ndarray]
    trials: int
    noun: str = "trials"
    notes: tuple[str, ...] = ()


def read_groups(
    path: str | Path,
    layout: Layout,
    *,
    columns: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    unit: str | None = None,
) -> list[Group]:
    """Read a file, and split it.

    Parameters
    ----------
    path : str or Path
        A CSV with a header, separated by commas; a parquet file; or .npy or .npz, if the layout has arrays.
    layout : Layout
        What the model needs.
    columns : mapping of str to str, optional
        What the file calls the columns, where it has other names.
    by : sequence of str
        Columns whose combinations make the groups; all trials are one group if empty.
    unit : {"cm"}, optional
        Of lengths; the model's own if None.

    Returns
    -------
    list of Group
        In the order of their first trials.

    Raises
    ------
    DataError
        If the file cannot be read, has no trials, or lacks a column; or a group would cut trials apart.
    """
    _check_options(layout, columns or {}, unit)
    found = _files.read(Path(path), remedy=layout.remedy)
    if isinstance(found, (np.ndarray, dict)):
        _check_array(Path(path), found, layout, columns or {}, by)
        return [_group({}, _converted(found, layout, unit), layout, taken=set())]
    names = _names(found, layout, columns or {})
    _check_columns(Path(path), found, [*names.values(), *by])
    table = _converted(found[list(names.values())].set_axis(list(names), axis=1), layout, unit)
    if not by:
        return [_group({}, table, layout, taken=set())]
    _check_conditions(Path(path), found, by)
    if layout.whole is not None:
        table = layout.whole(table, found[list(by)])
    taken: set[str] = set()
    split = table.groupby([found[name] for name in by], sort=False)
    return [_group(dict(zip(by, map(str, key), strict=True)), rows, layout, taken=taken) for key, rows in split]


def _check_options(layout: Layout, columns: Mapping[str, str], unit: str | None) -> None:
    """Refuse names of columns that the model does not have, and units of nothing."""
    known = [*layout.columns, *layout.labels]
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise DataError(f"{layout.model} has the columns {', '.join(known)}; got a name for {', '.join(unknown)}.")
    if unit is not None and layout.in_units is None:
        raise DataError(f"{layout.model} has no lengths, so that unit {unit!r} means nothing. Leave out --unit.")
    if unit is not None and unit not in UNITS:
        raise DataError(f"unit must be {' or '.join(UNITS)}; got {unit!r}. Leave out --unit for the model's own unit.")


def _check_array(
    path: Path, found: Any, layout: Layout, columns: Mapping[str, str], by: Sequence[str]
) -> None:  # fmt: skip
    """Refuse arrays where there must be columns."""
    what = "an archive of arrays" if isinstance(found, dict) else "an array without names"
    if not (layout.archives if isinstance(found, dict) else layout.arrays):
        raise DataError(f"{path} is {what}. {layout.remedy}")
    if columns or by:
        raise DataError(f"{path} is {what}, so that --columns and --by mean nothing. Pass a table.")


def _names(table: pd.DataFrame, layout: Layout, columns: Mapping[str, str]) -> dict[str, str]:
    """Give what the file calls the columns that are used."""
    labels = [name for name in layout.labels if name in columns or name in table.columns]
    return {name: columns.get(name, name) for name in (*layout.columns, *labels)}


def _converted(data: Any, layout: Layout, unit: str | None) -> Any:
    """Bring lengths into the model's unit."""
    return data if unit is None or layout.in_units is None else layout.in_units(data)


def _check_columns(path: Path, table: pd.DataFrame, needed: list[str]) -> None:
    """Refuse a table without the columns that are asked for."""
    found = [str(column) for column in table.columns]
    missing = [name for name in needed if name not in found]
    if not missing:
        return
    if len(found) == 1 and re.search(r"[;\t]", found[0]):
        hint = "It seems to be separated by semicolons or tabs: save it with commas."
    else:
        hint = "Name the columns with --columns and --by."
    raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(found[:12])}. {hint}")


def _check_conditions(path: Path, table: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse rows of no group."""
    for column in by:
        empty = table[column].isna()
        if empty.any():
            raise DataError(
                f"{column} must be known for every trial; {int(empty.sum())} of {len(table)} are empty "
                f"(first: line {int(empty.argmax()) + 2} of {path}). Fill them or drop these rows."
            )


def _group(keys: dict[str, str], data: Any, layout: Layout, *, taken: set[str]) -> Group:
    """Make one group, with a file name of its own."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(keys.values()))[:60].strip("._") or "all"
    unique, number = slug, 1
    while unique.casefold() in taken:
        number += 1
        unique = f"{slug}-{number}"
    taken.add(unique.casefold())
    name = ", ".join(f"{k}={v}" for k, v in keys.items()) or "all"
    try:
        made, notes = (data, ()) if layout.prepare is None else layout.prepare(data)
        trials = layout.count(made)
    except DataError as error:
        raise DataError(str(error) if not keys else f"in {name}: {error}") from None
    return Group(name=name, slug=unique, keys=keys, data=made, trials=trials, noun=layout.noun, notes=notes)
