"""Many data sets in one call: tell them from one, read them with their numbers in the errors, list them padded."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from firstpassage.errors import DataError, DataWarning, FirstPassageError


def many(data: Any) -> list[Any] | None:
    """Return the list of data sets if `data` is many subjects, None if it is one.

    Parameters
    ----------
    data : object
        A list or tuple of DataFrames, of mappings, of arrays with two or more axes or of lists of lists is many
        subjects. Anything else is one: so is a list of rows, such as ``[[0.8, 1.0], [0.6, -1.0]]``.

    Returns
    -------
    list or None
        The data sets in their order.

    Raises
    ------
    DataError
        If the list is empty, or only some of its elements are data sets.

    Examples
    --------
    >>> many([[0.8, 1.0], [0.6, -1.0]]) is None
    True
    >>> len(many([[[0.8, 1.0]], [[0.6, -1.0], [0.7, 1.0]]]))
    2
    """
    if not isinstance(data, (list, tuple)):
        return None
    if not data:
        raise DataError("expected at least one data set; got an empty list. Check the filter that made this selection.")
    whole = [_is_data_set(one) for one in data]
    if any(whole) and not all(whole):
        first = whole.index(False)
        raise DataError(
            f"a list of data sets must hold DataFrames, mappings or arrays of trials; data set {first} is "
            f"{data[first]!r:.60} of type {type(data[first]).__name__}. Give every subject in the same form."
        )
    return list(data) if all(whole) else None


def read_all(read: Callable[[Any], np.ndarray], data_sets: Sequence[Any]) -> list[np.ndarray]:
    """Read every data set; errors name it, and equal warnings come once, with their count.

    Parameters
    ----------
    read : callable
        Turns one subject's data into an array, or raises `DataError`.
    data_sets : sequence
        As `many` returns them.

    Returns
    -------
    list of ndarray, shape (trial, ...)
        In the same order.

    Raises
    ------
    DataError
        If one cannot be used; the message starts with its number.

    Examples
    --------
    >>> from firstpassage.models import choices
    >>> [len(x) for x in read_all(choices.read, [[[0.8, 1.0], [0.7, -1.0]], [[0.6, -1.0]]])]
    [2, 1]
    """
    x: list[np.ndarray] = []
    told: list[int] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i, data in enumerate(data_sets):
            with named(i):
                x.append(read(data))
            told += [i] * (len(caught) - len(told))
    doubts = [(i, w) for i, w in zip(told, caught, strict=True) if issubclass(w.category, DataWarning)]
    for other in (w for w in caught if not issubclass(w.category, DataWarning)):
        warnings.warn(other.message, stacklevel=3)
    if doubts:
        first, warning = doubts[0]
        count = len({i for i, _ in doubts})
        warnings.warn(
            f"{count} of {len(x)} data sets are doubtful (first: data set {first}: {warning.message})",
            DataWarning,
            stacklevel=3,
        )
    return x


def observed(x: Sequence[np.ndarray], columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Put the observed variables of all data sets into arrays, with NaN beyond the last trial of each.

    Parameters
    ----------
    x : sequence of ndarray, shape (trial, ...)
        The data sets, as `read_all` returns them.
    columns : sequence of str
        Names of the observed variables.

    Returns
    -------
    dict of str to ndarray, shape (dataset, trial), float64
        By the names of the columns.

    Examples
    --------
    >>> observed([np.array([[0.8, 1.0], [0.7, -1.0]]), np.array([[0.6, -1.0]])], ("rt", "response"))["rt"]
    array([[0.8, 0.7],
           [0.6, nan]])
    """
    padded = np.full((len(x), max(len(one) for one in x), len(columns)), np.nan)
    for i, one in enumerate(x):
        padded[i, : len(one)] = one.reshape(len(one), -1)
    return {name: padded[..., i] for i, name in enumerate(columns)}


@contextmanager
def named(number: int) -> Iterator[None]:
    """Put the number of a data set before the message of an error.

    Parameters
    ----------
    number : int
        Its place in the list, from 0.

    Raises
    ------
    FirstPassageError
        The error of the block, of the same class.

    Examples
    --------
    >>> with named(3):
    ...     raise DataError("rt must be positive.")
    Traceback (most recent call last):
    firstpassage.errors.DataError: data set 3: rt must be positive.
    """
    try:
        yield
    except FirstPassageError as error:
        raise type(error)(f"data set {number}: {error}") from None


def _is_data_set(one: Any) -> bool:
    """Tell whether an element of a list is a subject with its trials, not a row or a number."""
    pandas = sys.modules.get("pandas")
    if isinstance(one, Mapping) or (pandas is not None and isinstance(one, pandas.DataFrame)):
        return True
    if isinstance(one, (list, tuple)):
        return len(one) > 0 and isinstance(one[0], (list, tuple, np.ndarray))
    return not isinstance(one, (str, bytes)) and np.ndim(one) >= 2
