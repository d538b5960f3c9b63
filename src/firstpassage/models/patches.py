"""Read visits to patches, from windows of sites or from a table of sites, and refuse what is not that.

A visit is a row of the array that `read` returns: `COLUMNS` for its first site, then for its second, and so on, padded
with absent sites to one of a few lengths.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage.errors import DataError
from firstpassage.models import _patch_checks

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("patch_time", "reward", "stop", "present")
OBSERVED = COLUMNS[:3]  # of a site, in the order of a window
LENGTHS = (4, 8, 12, 20, 28, 40, 64, 96, 128)  # numbers of sites to which visits are padded; then multiples of 64
First = Literal["whole", "drop"]

_LABELS = ("session", "patch")


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
    """

    values: np.ndarray
    begins: np.ndarray
    kept: np.ndarray


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
    _patch_checks.check_codes(values)
    if visits is None:
        begins = starts | np.concatenate([[True], values[:-1, 2] == 0])
    else:
        begins = visits
        _patch_checks.check_leaves(values, begins)
    _patch_checks.check_distances(values, begins)
    kept = np.ones(len(values), dtype=bool)
    if first == "drop" and visits is None:
        unsure = starts & (values[:, 0] >= 2 * nearest)
        kept = ~np.repeat(unsure[begins], _lengths(begins))
    if not kept.any():
        raise DataError(
            "no whole visit to a patch is left: windows that begin in the middle of a patch, and no leave follows. "
            'Use longer windows, or data with start="patch".'
        )
    found = Sites(values=values, begins=begins, kept=kept)
    _patch_checks.warn(values[kept])
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
    rest = data.loc[found.kept].drop(columns=list(OBSERVED)).groupby(visit, sort=False)
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


def split(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group visits by their number of sites.

    Parameters
    ----------
    x : ndarray, shape (patch, 4 * site)
        As `read` returns it.

    Returns
    -------
    list of (ndarray, ndarray), shapes (n,) and (n, 4 * site)
        Which visits are padded to the same one of the usual lengths, and these.
    """
    count = unpack(x)[..., 3].sum(axis=1)
    width = np.minimum(np.array([*LENGTHS, np.inf])[np.searchsorted(LENGTHS, count)], x.shape[1] / len(COLUMNS))
    groups = [(np.flatnonzero(width == w), len(COLUMNS) * int(w)) for w in np.unique(width)]
    return [(rows, x[rows, :size]) for rows, size in groups]


def filled(x: np.ndarray) -> np.ndarray:
    """Let patch_time grow on beyond the last site of each visit (patch, site, 4), so that no step is zero there."""
    absent = np.cumsum(x[..., 3] == 0, axis=1)
    x[..., 0] = np.where(absent > 0, x[..., 0].max(axis=1, keepdims=True) + absent, x[..., 0])
    return x


def read_windows(data: Any, *, sites: int) -> np.ndarray:
    """Check one subject's windows.

    Parameters
    ----------
    data : array_like
        A window (site, 3), a stack (window, site, 3), or what this function returned.
    sites : int
        Of each window.

    Returns
    -------
    ndarray, shape (window, 3 * site), float64
        patch_time, reward, stop of the first site, then of the second, and so on.

    Raises
    ------
    DataError
        If a value, the coding, the unit or the shape is wrong.
    """
    if not _named(data) and np.ndim(data) == 2 and np.shape(data)[1] == 3 * sites:
        data = np.reshape(data, (-1, sites, 3))
    found = _sites_of_windows(data, sites)
    return found.values.reshape(-1, 3 * sites)


def _sites_of_windows(data: Any, sites_each: int) -> Sites:
    """Check that the windows have the right number of sites, and all that is checked of sites."""
    if _named(data) or np.shape(data)[-2:] != (sites_each, 3):
        got = "a table" if _named(data) else f"shape {np.shape(data)}"
        raise DataError(
            f"data must be windows of {sites_each} sites, shape ({sites_each}, 3) or (window, {sites_each}, 3); got "
            f"{got}. Cut the session into such windows, or use a likelihood of visits, which takes any number of sites."
        )
    return sites(data)


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
    _patch_checks.check_codes(values)
    _patch_checks.check_leaves(values, begins)
    _patch_checks.check_distances(values, begins)
    return x


def _windows(data: Any) -> tuple[np.ndarray, np.ndarray, None]:
    """Put windows one after another: values, where a window begins, and no visits."""
    array = _patch_checks.numeric("windows", data)
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
    columns = [_patch_checks.numeric(name, data[name]) for name in OBSERVED]
    if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise DataError(f"patch_time, reward and stop must be equally long; got shapes {[c.shape for c in columns]}.")
    if columns[0].size == 0:
        raise DataError("expected at least one site; got none. Check the filter that made this selection.")
    labels = [_patch_checks.changes(name, data[name]) for name in _LABELS if name in names]
    first = np.arange(len(columns[0])) == 0
    starts = first | (labels[0] if _LABELS[0] in names else False)
    visits = np.logical_or.reduce([starts, *labels]) if _LABELS[1] in names else None
    return np.stack(columns, axis=1), starts, visits


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
    visit = np.cumsum(begins) - 1
    place = np.arange(len(begins)) - np.flatnonzero(begins)[visit]
    x[visit, place, :3] = values
    x[visit, place, 3] = 1.0
    return filled(x).reshape(len(x), -1)
