"""Trials with missing values: refused, or left out and counted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from firstpassage.errors import DataError, DataWarning

_SENTINEL = -999.0  # for a missing value, in published data sets
_LISTED = 10  # groups, in a warning


def complete(data: pd.DataFrame, *, columns: Sequence[str], factors: Sequence[str], drop: bool) -> pd.DataFrame:
    """Give the trials without missing values.

    Parameters
    ----------
    data : DataFrame
        One row for each trial.
    columns : sequence of str
        In which nothing may be missing.
    factors : sequence of str
        The grouping factors among them, of which the first is that of the warning.
    drop : bool
        Leave trials with missing values out, with a `DataWarning`.

    Returns
    -------
    DataFrame
        The columns asked for.

    Raises
    ------
    DataError
        If a value is missing and `drop` is false; if a factor's is missing; if a group has no trials left.
    """
    table = data[list(columns)]
    missing = pd.DataFrame({name: _missing(table[name]) for name in columns}, index=table.index)
    for name in factors:
        if missing[name].any():
            raise DataError(
                f"{name} must be known for every trial; it is missing in {int(missing[name].sum())} of {len(table)} "
                f"rows (first: row {_first(missing[name])}). Fill it in, or remove these rows."
            )
    bad = missing.any(axis=1)
    if not bad.any():
        return table
    if not drop:
        where = ", ".join(f"{name} {int(count)}" for name, count in missing.sum().items() if count)
        raise DataError(
            f"no value may be missing (NaN or {_SENTINEL:g}); {int(bad.sum())} of {len(table)} rows have one ({where}; "
            f"first: row {_first(bad)}). Pass missing='drop' to leave them out, if they are missing at random."
        )
    _warn(table, bad, factors)
    return table[~bad]


def _missing(column: pd.Series) -> pd.Series:
    """Tell where nothing was recorded."""
    found = column.isna()
    return found | (column == _SENTINEL) if pd.api.types.is_numeric_dtype(column) else found


def _first(bad: pd.Series) -> int:
    """Give the position of the first."""
    return int(np.argmax(bad.to_numpy()))


def _warn(table: pd.DataFrame, bad: pd.Series, factors: Sequence[str]) -> None:
    """Count what is left out, for each group of the first factor; refuse to lose a group of any."""
    if bad.all():
        raise DataError(f"no trial is complete; all {len(table)} rows miss a value. Look at how the table was made.")
    counts = {name: bad.groupby(table[name], observed=True).agg(["sum", "size"]) for name in factors}
    for name, each in counts.items():
        gone = each[each["sum"] == each["size"]]
        if len(gone):
            raise DataError(
                f"every {name} must have a trial without missing values; {gone.index[0]!r} has none left of "
                f"{int(gone['size'].iloc[0])}. Remove it from the data yourself, if that is meant."
            )
    told = ""
    for name, each in list(counts.items())[:1]:
        some = each[each["sum"] > 0]
        listed = [f"{label}: {row['sum']} of {row['size']}" for label, row in some.head(_LISTED).iterrows()]
        more = f", and {len(some) - _LISTED} more" if len(some) > _LISTED else ""
        told = f"; by {name} {', '.join(listed)}{more}"
    warnings.warn(
        f"{int(bad.sum())} of {len(table)} trials have missing values and are left out{told}.",
        DataWarning,
        stacklevel=4,
    )
