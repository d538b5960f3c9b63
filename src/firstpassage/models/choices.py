"""Read choices with response times, (rt, response), and refuse what is not that."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from firstpassage.errors import DataError, DataWarning

COLUMNS = ("rt", "response")
BOUNDARIES = (1.0, -1.0)  # codes of the responses of a two-choice model: upper and lower boundary
_MISSING = (-999.0, 999.0)  # sentinels for a missing rt in published data sets
_LONGEST = 20.0  # s; a median above is taken for milliseconds


def read(data: Any, *, codes: tuple[float, ...] = BOUNDARIES) -> np.ndarray:
    """Return the trials of one subject as an array, or say what is wrong with them.

    Parameters
    ----------
    data : DataFrame, mapping or array_like
        Columns ``rt`` (seconds, positive) and ``response`` (+1 upper, -1 lower boundary); or an array of shape (n, 2)
        with these columns in this order.
    codes : tuple of float
        What a response may be, for models with other choices than two boundaries.

    Returns
    -------
    ndarray, shape (n, 2), float64
        rt in seconds, and response.

    Raises
    ------
    DataError
        If a value, the coding, the unit or the shape is wrong.

    Examples
    --------
    >>> read([[0.5, 1], [0.7, -1]]).shape
    (2, 2)
    """
    rt, response = _columns(data)
    if rt.size == 0:
        raise DataError("expected at least one trial; got none. Check the filter that made this selection.")
    x = np.stack([rt, response], axis=1)
    if not _coded(response, codes) and _coded(rt, codes) and (response > 0).all():
        raise DataError("column 0 must be rt and column 1 response; they look swapped. Pass data[:, [1, 0]].")
    _check_response(response, codes)
    _check_rt(rt)
    if rt.size > 1 and np.unique(response).size == 1:
        warnings.warn(
            f"all {rt.size} responses are {response[0]:+.0f}: drift and start point are only weakly identified.",
            DataWarning,
            stacklevel=3,
        )
    return x


def limits(x: np.ndarray) -> dict[str, tuple[float, float]]:
    """Bound the non-decision time t by the fastest rt, in seconds."""
    return {"t": (-np.inf, float(x[:, 0].min()))}


def _columns(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Find the two columns of a table, a mapping or an array."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _named(data, list(data.columns))
    if isinstance(data, Mapping):
        return _named(data, list(data))
    if isinstance(data, np.ma.MaskedArray) and np.ma.getmaskarray(data).any():
        raise DataError(
            f"data must have no masked values; {int(np.ma.getmaskarray(data).sum())} are masked. Drop those trials."
        )
    array = _numeric("data", data)
    if array.ndim != 2 or array.shape[1] != 2:
        raise DataError(
            f"data must have one row per trial with columns rt, response: shape (n, 2); got shape {array.shape}. "
            "Pass a DataFrame with these columns, or np.column_stack([rt, response])."
        )
    return array[:, 0], array[:, 1]


def _named(table: Any, names: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Take rt and response out of a table by their names."""
    for name in COLUMNS:
        if names.count(name) != 1:
            raise DataError(
                f"data must have one column {name!r}; got {names.count(name)} among {[str(n) for n in names]}. "
                "Rename the columns to rt and response."
            )
    rt, response = (_numeric(name, table[name]) for name in COLUMNS)
    if rt.ndim != 1 or rt.shape != response.shape:
        raise DataError(
            f"rt and response must be one-dimensional and equally long; got shapes {rt.shape} and {response.shape}. "
            "Pass the trials of one subject."
        )
    return rt, response


def _numeric(name: str, values: Any) -> np.ndarray:
    """Turn a column into float64, refusing strings, booleans, categories and complex numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "bcOUSMm" and not (array.dtype.kind == "O" and _all_numbers(array)):
            raise TypeError
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        first = (*np.asarray(values, dtype=object).ravel()[:1], values)[0]
        raise DataError(
            f"{name} must be numbers (rt in seconds, response +1 or -1); got {first!r} of type {type(first).__name__}. "
            "Recode it, for example response = 2 * correct - 1."
        ) from None


def _all_numbers(array: np.ndarray) -> bool:
    """Tell whether an object array holds only real numbers."""
    return all(isinstance(v, (int, float, np.integer, np.floating)) and not isinstance(v, bool) for v in array.ravel())


def _coded(response: np.ndarray, codes: tuple[float, ...]) -> bool:
    """Tell whether all values are codes of responses."""
    return bool(np.isin(response, codes).all())


def _check_response(response: np.ndarray, codes: tuple[float, ...]) -> None:
    """Refuse other responses than those of the model."""
    if _coded(response, codes):
        return
    bad = ~np.isin(response, codes)
    found = ", ".join(f"{v:g}" for v in np.unique(response)[:5])
    expected, remedy = f"one of {', '.join(f'{c:g}' for c in codes)}", "them"
    if codes == BOUNDARIES:
        expected = "+1 (upper) or -1 (lower boundary)"
        remedy = "them: 0/1 by 2 * response - 1, 1/2 by 2 * response - 3"
    raise DataError(
        f"response must be {expected}; {int(bad.sum())} of {bad.size} are not (first: trial "
        f"{int(np.argmax(bad))}; values found: {found}). Recode {remedy}."
    )


def _check_rt(rt: np.ndarray) -> None:
    """Refuse missing, infinite, non-positive and millisecond response times."""
    for what, bad in (
        ("not missing (NaN, -999 or 999)", np.isnan(rt) | np.isin(rt, _MISSING)),
        ("finite", np.isinf(rt)),
        ("positive seconds", rt <= 0),
    ):
        if bad.any():
            raise DataError(
                f"rt must be {what}; {int(bad.sum())} of {rt.size} are not (first: trial {int(np.argmax(bad))}, "
                f"{rt[np.argmax(bad)]:g}). Drop these trials, or model them as omissions."
            )
    if np.median(rt) > _LONGEST:
        raise DataError(
            f"rt must be in seconds; the median is {np.median(rt):g}, which looks like milliseconds. Divide by 1000."
        )
    if rt.size > 2 and np.ptp(rt) == 0:
        raise DataError(f"rt must vary; all {rt.size} are {rt[0]:g} s. Check how the column was made.")
