"""JSON: numbers of a run in a form that a person and a program can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def as_json(content: Mapping[str, Any]) -> str:
    """Write numbers, arrays, strings and what holds them as JSON: six digits, null for what is not finite.

    Parameters
    ----------
    content : mapping
        May be nested.

    Returns
    -------
    str
        With a final line end.

    Examples
    --------
    >>> as_json({"x": np.array([1.0, np.nan])}).split()
    ['{', '"x":', '[', '1.0,', 'null', ']', '}']
    """
    return json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Turn arrays into lists of six digits, and what is not finite into null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
