"""Read visits to patches, from windows of sites or from a table of sites, and refuse what is not that.

A visit is a row of the array that `read` returns: `COLUMNS` for its first site, then for its second, and so on, padded
with absent sites to one of a few lengths.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage.errors import DataError, DataWarning

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("patch_time", "reward", "stop", "present")
OBSERVED = COLUMNS[:3]  # of a site, in the order of a window
LENGTHS = (4, 8, 12, 20, 28, 40, 64, 96, 128)  # numbers of sites to which visits are padded; then multiples of 64
First = Literal["whole", "drop"]

_LABELS = ("session", "patch")
_CENTIMETRES = 20.0  # a median distance between sites above this is not in units of 88.73 cm


@dataclass(frozen=True, eq=False, kw_only=True)
class Sites:
    """Hold sites one after another: a row each of `values` (site, 3), and which of them begin a visit.

    Parameters
    ----------
    values : ndarray, shape (site, 3)
        patch_time, reward, stop.
    begins : ndarray of bool, shape (site,)
        Whether the site is the first one of a visit.
    kept : ndarray of bool, shape (site,)
        Whether the visit of this site is used.
    rows : ndarray of int, shape (site,)
        Place in the data that were given.
    """

    values: np.ndarray
    begins: np.ndarray
    kept: np.ndarray
    rows: np.ndarray


def read(data: Any, *, first: First = "whole", nearest: float = 0.0) -> np.ndarray:
    """Check one subject's sites and return its visits to patches.

    Parameters
    ----------
    data : array_like or DataFrame
        A window (site, 3) with columns patch_time, reward, stop; a stack of windows (window, site, 3), each of which
        begins anew; or a table with these columns, and perhaps session and patch. patch_time is the distance
        travelled in the patch on arrival at the site, in units of 88.73 cm; reward and stop are 0 or 1, and stop = 0
        is the leave. What this function returned is accepted, too.
    first : {"whole", "drop"}
        Whether a window begins at a patch start; if not, its first visit is dropped, since what happened before is
        unknown, unless its first site is too near to the patch's start to be another than the first. For a table
        without patch, the same holds for the beginning of each session.
    nearest : float
        Smallest distance between two sites, in the same unit: at less than twice this distance from the patch's
        start a site must be the first.

    Returns
    -------
    ndarray, shape (patch, 4 * site), float64
        `COLUMNS` for each site.

    Raises
    ------
    DataError
        If a value, the coding, the unit or the shape is wrong, or no visit is left.

    Examples
    --------
    >>> read([[1.2, 1, 1], [2.1, 0, 1], [3.3, 0, 0], [0.9, 0, 0]]).shape
    (2, 16)
    """
    whole = _whole(data)
    if whole is not None:
        return whole
    return _padded(sites(data, first=first, nearest=nearest))


def sites(data: Any, *, first: First = "whole", nearest: float = 0.0) -> Sites:
    """Check sites, and find where visits begin.

    Parameters
    ----------
    data, first, nearest
        As for `read`.

    Returns
    -------
    Sites
        In the order of the data.

    Raises
    ------
    DataError
        If something is wrong with them.
    """
    values, starts, visits = _table(data) if _named(data) else _windows(data)
    _check_codes(values)
    if visits is None:
        begins = starts | np.concatenate([[True], values[:-1, 2] == 0])
    else:
        begins = visits
        _check_leaves(values, begins)
    _check_distances(values, begins)
    kept = np.ones(len(values), dtype=bool)
    if first == "drop" and visits is None:
        unsure = starts & (values[:, 0] >= 2 * nearest)
        kept = ~np.repeat(unsure[begins], _lengths(begins))
    if not kept.any():
        raise DataError(
            "no whole visit to a patch is left: windows that begin in the middle of a patch, and no leave follows. "
            'Use longer windows, or data with start="patch".'
        )
    found = Sites(values=values, begins=begins, kept=kept, rows=np.arange(len(values)))
    _warn(values[kept])
    return found


def table(data: Any, *, first: First = "whole", nearest: float = 0.0) -> pd.DataFrame:
    """List the visits in the order of `read`, with what is constant in each, so that regressors can be matched to them.

    Parameters
    ----------
    data, first, nearest
        As for `read`.

    Returns
    -------
    DataFrame
        One row for each visit: sites, stops, rewards, residence (patch_time at its last site), left (whether the
        leave was seen); and of a table every further column whose value does not change within a visit.

    Raises
    ------
    DataError
        If the data are not usable.
    """
    import pandas as pd

    x = read(data, first=first, nearest=nearest)
    described = pd.DataFrame(describe(x))
    if not isinstance(data, pd.DataFrame):
        return described.rename_axis("trial")
    found = sites(data, first=first, nearest=nearest)
    visit = np.cumsum(found.begins[found.kept]) - 1
    rest = data.iloc[found.rows[found.kept]].drop(columns=list(OBSERVED)).groupby(visit, sort=False)
    constant = [name for name in rest.obj.columns if (rest[name].nunique(dropna=False) == 1).all()]
    return pd.concat([rest[constant].first(), described], axis=1).rename_axis("trial")


def describe(x: np.ndarray) -> dict[str, np.ndarray]:
    """Count what happened in each visit.

    Parameters
    ----------
    x : ndarray, shape (patch, 4 * site)
        As `read` returns it.

    Returns
    -------
    dict of str to ndarray, shape (patch,)
        sites, stops, rewards, residence (the last patch_time), left (0 or 1).
    """
    time, reward, stop, present = np.moveaxis(unpack(x), -1, 0)
    return {
        "sites": present.sum(axis=1),
        "stops": (stop * present).sum(axis=1),
        "rewards": (reward * present).sum(axis=1),
        "residence": np.where(present > 0, time, 0.0).max(axis=1),
        "left": ((1 - stop) * present).sum(axis=1),
    }


def unpack(x: Any) -> Any:
    """Give the array (patch, site, 4) of what `read` returns, of NumPy or JAX."""
    return x.reshape(*x.shape[:-1], -1, len(COLUMNS))


def _named(data: Any) -> bool:
    """Tell whether the data have named columns."""
    pandas = sys.modules.get("pandas")
    return isinstance(data, Mapping) or (pandas is not None and isinstance(data, pandas.DataFrame))


def _whole(data: Any) -> np.ndarray | None:
    """Recognise what `read` returned, and check that it still is what it was."""
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] < len(COLUMNS) * LENGTHS[0]:
        return None
    if data.shape[1] % len(COLUMNS) or data.dtype.kind != "f" or not np.isfinite(data).all():
        return None
    x = np.array(data, dtype=np.float64)
    present = unpack(x)[..., 3]
    if not np.isin(present, (0, 1)).all() or (np.diff(present, axis=1) > 0).any() or not (present[:, 0] == 1).all():
        return None
    values, begins = unpack(x)[present == 1][:, :3], np.concatenate([np.arange(int(n)) == 0 for n in present.sum(1)])
    _check_codes(values)
    _check_leaves(values, begins)
    _check_distances(values, begins)
    return x


def _windows(data: Any) -> tuple[np.ndarray, np.ndarray, None]:
    """Put windows one after another: values, where a window begins, and no visits."""
    array = _numeric("windows", data)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[2] != 3:
        raise DataError(
            "data must be a window of shape (site, 3) with columns patch_time, reward, stop, a stack of windows "
            f"(window, site, 3), or a table with these columns; got shape {np.shape(data)}. Pass data[..., "
            "[time, reward, stop]]."
        )
    if array.size == 0:
        raise DataError("expected at least one site; got none. Check the filter that made this selection.")
    starts = np.zeros(array.shape[:2], dtype=bool)
    starts[:, 0] = True
    return array.reshape(-1, 3), starts.ravel(), None


def _table(data: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Take a table apart: values, where a session begins, and where a visit does, if there is a column for it."""
    names = list(data.columns) if not isinstance(data, Mapping) else list(data)
    for name in OBSERVED:
        if names.count(name) != 1:
            raise DataError(
                f"data must have one column {name!r}; got {names.count(name)} among {[str(n) for n in names]}. "
                "Rename the columns to patch_time, reward and stop."
            )
    columns = [_numeric(name, data[name]) for name in OBSERVED]
    if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise DataError(f"patch_time, reward and stop must be equally long; got shapes {[c.shape for c in columns]}.")
    if columns[0].size == 0:
        raise DataError("expected at least one site; got none. Check the filter that made this selection.")
    labels = [_changes(name, data[name]) for name in _LABELS if name in names]
    first = np.arange(len(columns[0])) == 0
    starts = first | (labels[0] if _LABELS[0] in names else False)
    visits = np.logical_or.reduce([starts, *labels]) if _LABELS[1] in names else None
    return np.stack(columns, axis=1), starts, visits


def _changes(name: str, labels: Any) -> np.ndarray:
    """Tell where a label differs from the one before, and refuse labels that come back later."""
    values = np.asarray(labels)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise DataError(f"{name} must be known for every site; {int(np.isnan(values).sum())} are empty. Fill them.")
    return np.concatenate([[True], values[1:] != values[:-1]])


def _numeric(name: str, values: Any) -> np.ndarray:
    """Turn values into finite float64, refusing strings, booleans but for stop and reward, and complex numbers."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise DataError(f"{name} must have no masked values. Drop those sites' visits.")
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cUSMm" or (array.dtype.kind == "b" and name not in ("reward", "stop")):
            raise TypeError
        array = np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} must be numbers (patch_time in units of 88.73 cm, reward and stop 0 or 1); got {values!r:.60}. "
            "Recode it."
        ) from None
    bad = ~np.isfinite(array)
    if bad.any():
        raise DataError(
            f"{name} must be finite; {int(bad.sum())} of {bad.size} values are not (first: {_place(bad)}). Drop the "
            "visits in which a site is missing."
        )
    return array


def _check_codes(values: np.ndarray) -> None:
    """Refuse codes other than 0 and 1, and a reward at a leave."""
    for column, name in ((1, "reward"), (2, "stop")):
        bad = ~np.isin(values[:, column], (0.0, 1.0))
        if bad.any():
            raise DataError(
                f"{name} must be 0 or 1; {int(bad.sum())} of {bad.size} are not (first: site {int(bad.argmax())}, "
                f"{values[bad.argmax(), column]:g}). The columns are patch_time, reward, stop, in this order."
            )
    bad = (values[:, 2] == 0) & (values[:, 1] == 1)
    if bad.any():
        raise DataError(
            f"a leave (stop = 0) has no reward; {int(bad.sum())} sites have one (first: site {int(bad.argmax())}). "
            "Check the coding of stop, and the order of the columns."
        )


def _check_leaves(values: np.ndarray, begins: np.ndarray) -> None:
    """Refuse a visit that goes on after its leave."""
    bad = (values[:-1, 2] == 0) & ~begins[1:]
    if bad.any():
        raise DataError(
            f"a leave (stop = 0) must be the last site of its patch; {int(bad.sum())} are not (first: site "
            f"{int(bad.argmax())}). Number the patches anew after every leave."
        )


def _check_distances(values: np.ndarray, begins: np.ndarray) -> None:
    """Refuse distances that are not positive, do not grow within a visit, or are in centimetres."""
    time = values[:, 0]
    if (time <= 0).any():
        bad = time <= 0
        raise DataError(
            f"patch_time must be a positive distance; {int(bad.sum())} of {bad.size} are not (first: site "
            f"{int(bad.argmax())}, {time[bad.argmax()]:g}). It is measured on arrival at the site, from the patch's "
            "start."
        )
    step = np.where(begins[1:], time[1:], np.diff(time))
    if (step <= 0).any():
        site = int((step <= 0).argmax()) + 1
        raise DataError(
            f"patch_time must grow from site to site within a patch; it does not at {int((step <= 0).sum())} sites "
            f"(first: site {site}, {time[site - 1]:g} then {time[site]:g}). A new patch begins only after a leave "
            "(stop = 0); check the order of the rows, or add a column patch."
        )
    if np.median(np.concatenate([time[:1], step])) > _CENTIMETRES:
        raise DataError(
            f"patch_time must be in units of 88.73 cm; the median distance between sites is {np.median(step):.3g}, "
            "which looks like centimetres. Divide by 88.73."
        )


def _warn(values: np.ndarray) -> None:
    """Warn of data that say little about some parameters."""
    for code, missing, weak in ((0.0, "leave", "noise_std and drift_rate are"), (1.0, "stop", "the bumps are")):
        if not (values[:, 2] == code).any():
            warnings.warn(f"there is no {missing} among {len(values)} sites: {weak} only weakly identified.",
                          DataWarning, stacklevel=4)  # fmt: skip


def _lengths(begins: np.ndarray) -> np.ndarray:
    """Count the sites of each visit."""
    return np.diff(np.append(np.flatnonzero(begins), len(begins)))


def _padded(found: Sites) -> np.ndarray:
    """Put each visit that is used into a row, padded to a usual length."""
    values, begins = found.values[found.kept], found.begins[found.kept]
    lengths = _lengths(begins)
    longest = int(lengths.max())
    width = next((n for n in LENGTHS if n >= longest), -(-longest // 64) * 64)
    x = np.zeros((len(lengths), width, len(COLUMNS)))
    x[:, :, 0] = np.arange(1, width + 1)  # grows as distances do, so that nothing is undefined beyond the last site
    visit = np.cumsum(begins) - 1
    place = np.arange(len(begins)) - np.flatnonzero(begins)[visit]
    x[visit, place, :3] = values
    x[visit, place, 3] = 1.0
    return x.reshape(len(x), -1)


def _place(bad: np.ndarray) -> str:
    """Name the first bad place."""
    return "place " + ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
