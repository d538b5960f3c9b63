"""Read data of one number for each trial, and refuse what is not that."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from firstpassage.errors import DataError

_NO_NUMBERS = "bcOUSMm"  # kinds of arrays


def read(data: Any, *, column: str, noun: str) -> np.ndarray:
    """Return the trials of one subject as an array, or say what is wrong with them.

    Parameters
    ----------
    data : DataFrame, mapping or array_like
        With the column; or an array of shape (n,) or (n, 1).
    column : str
        Its name.
    noun : str
        What the numbers are, in the plural, for messages.

    Returns
    -------
    ndarray, shape (n, 1), float64
        Finite.

    Raises
    ------
    DataError
        If the column is missing or twice there, or a value, the type or the shape is wrong.

    Examples
    --------
    >>> read([0.5, 0.7], column="x", noun="draws").shape
    (2, 1)
    """
    values = _numbers(_named(data, column), column)
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise DataError(
            f"{column} must be one number for each trial, of shape (n,) or (n, 1); got shape {values.shape}. Pass the "
            "trials of one subject, or a list of DataFrames or arrays of shape (n, 1) for many."
        )
    if values.size == 0:
        raise DataError(f"expected at least one of the {noun}; got none. Check the filter that made this selection.")
    refuse(~np.isfinite(values.ravel()), values.ravel(), f"{column} must be finite", "Drop these trials.")
    return values.reshape(-1, 1)


def refuse(bad: np.ndarray, values: np.ndarray, expected: str, remedy: str) -> None:
    """Raise if some values are bad: what was expected, how many are not, which is the first, and what to do.

    Parameters
    ----------
    bad : ndarray of bool, shape (n,)
        Which are.
    values : ndarray, shape (n,)
        The values.
    expected, remedy : str
        First and last part of the message.

    Raises
    ------
    DataError
        If any is bad.
    """
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            f"{expected}; {int(bad.sum())} of {bad.size} are not (first: trial {first}, {values[first]:g}). {remedy}"
        )


def _named(data: Any, column: str) -> Any:
    """Take the column out of a table or a mapping; other data are the column itself."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        names = list(data.columns)
    elif isinstance(data, Mapping):
        names = list(data)
    else:
        return data
    if names.count(column) != 1:
        raise DataError(
            f"data must have one column {column!r}; got {names.count(column)} among {[str(n) for n in names]}. Rename "
            f"the column to {column}."
        )
    return data[column]


def _numbers(values: Any, column: str) -> np.ndarray:
    """Turn a column into float64, refusing strings, booleans, objects and masked values."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        masked = int(np.ma.getmaskarray(values).sum())
        raise DataError(f"{column} must have no masked values; {masked} are masked. Drop those trials.")
    try:
        array = np.asarray(values)
        if array.size and array.dtype.kind in _NO_NUMBERS:
            raise TypeError
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{column} must be numbers; got {values!r:.60} of type {type(values).__name__}. Recode the column."
        ) from None
