"""Numbers: everything that a figure of a diagnostic shows, in a form that `save` writes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from firstpassage.diagnostics import Sbc
from firstpassage.errors import DataError
from firstpassage.plots._calibration import histogram_bands


def numbers(result: Any) -> dict[str, Any]:
    """List what decides, and the arrays that are drawn.

    Parameters
    ----------
    result : Recovery, Sbc, Coverage, Tarp or another result of the diagnostics
        With ``numbers()``.

    Returns
    -------
    dict
        The result's own numbers, and under ``"drawn"`` its arrays by name; for `Sbc` with the bands of the histogram.

    Raises
    ------
    DataError
        If `result` has no numbers.

    Examples
    --------
    >>> from firstpassage.diagnostics import Cost, break_even
    >>> numbers(break_even({"npe": Cost(training=1, each=1)}))["cpu_seconds"]
    {'npe': {'training': 1, 'each': 1}}
    """
    if "numbers" not in dir(result) or not type(result).__module__.startswith("firstpassage."):
        raise DataError(f"expected a result of firstpassage.diagnostics; got {type(result).__name__}. Make one first.")
    drawn = {field.name: vars(result)[field.name] for field in fields(result)}
    drawn = {name: value for name, value in drawn.items() if _is_array(value)}
    if isinstance(result, Sbc):
        (low, high), (joint_low, joint_high) = histogram_bands(result)
        drawn |= {"count_low": low, "count_high": high, "joint_count_low": joint_low, "joint_count_high": joint_high}
    return result.numbers() | ({"drawn": drawn} if drawn else {})


def _is_array(value: Any) -> bool:
    """Tell arrays, and dicts of them, from all else."""
    several = list(value.values()) if isinstance(value, dict) else [value]
    return bool(several) and all(isinstance(one, np.ndarray) for one in several)
