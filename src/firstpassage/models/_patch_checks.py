"""What must hold of sites: numbers, codes, leaves, distances; each with one clear error."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from firstpassage.errors import DataError, DataWarning

_CENTIMETRES = 20.0  # a median distance between sites above this is not in units of 88.73 cm


def changes(name: str, labels: Any) -> np.ndarray:
    """Tell where a label differs from the one before; all must be known."""
    values = np.asarray(labels)
    empty = np.array([_unknown(value) for value in values], dtype=bool)
    if empty.any():
        raise DataError(f"{name} must be known for every site; {int(empty.sum())} are empty. Fill them.")
    return np.concatenate([[True], values[1:] != values[:-1]])


def numeric(name: str, values: Any) -> np.ndarray:
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


def check_codes(values: np.ndarray) -> None:
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


def check_leaves(values: np.ndarray, begins: np.ndarray) -> None:
    """Refuse a visit that goes on after its leave."""
    bad = (values[:-1, 2] == 0) & ~begins[1:]
    if bad.any():
        raise DataError(
            f"a leave (stop = 0) must be the last site of its patch; {int(bad.sum())} are not (first: site "
            f"{int(bad.argmax())}). Number the patches anew after every leave."
        )


def check_distances(values: np.ndarray, begins: np.ndarray) -> None:
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
            "which looks like centimetres. Divide by 88.73, or pass --unit cm to firstpassage fit."
        )


def warn(values: np.ndarray) -> None:
    """Warn of data that say little about some parameters."""
    for code, missing, weak in ((0.0, "leave", "noise_std and drift_rate are"), (1.0, "stop", "the bumps are")):
        if not (values[:, 2] == code).any():
            warnings.warn(f"there is no {missing} among {len(values)} sites: {weak} only weakly identified.",
                          DataWarning, stacklevel=4)  # fmt: skip


def _unknown(label: Any) -> bool:
    """Tell a missing label: NaN, None, or pandas' own."""
    return type(label).__name__ in ("NoneType", "NAType", "NaTType") or (isinstance(label, float) and label != label)


def _place(bad: np.ndarray) -> str:
    """Name the first bad place."""
    return "place " + ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
