"""Look at what a model's simulator returns for one trial: numbers, a vector, or time series.

A trial of single numbers (n, trial) is one of many like it. A trial that is an array itself, such as (n, trial, 8), is
a data set: nothing is averaged over it. If its first axis is long, it is a time series, (n, trial, time) or
(n, trial, time, channel).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from firstpassage.estimators import _simulations
from firstpassage.models.model import Model

_LONG = 64  # times, from which an array is a time series


@dataclass(frozen=True)
class Trial:
    """Describe one trial: what it is, its columns, and for series their number."""

    form: Literal["numbers", "vector", "series"]
    columns: int
    channels: int = 0


def of(model: Model) -> Trial:
    """Look at one simulated trial of a model."""
    shapes = _simulations.variables(model)
    columns = sum(math.prod(shape) for shape in shapes.values())
    if not any(shapes.values()):
        return Trial("numbers", columns)
    lengths = {shape[0] if shape else 0 for shape in shapes.values()}
    if len(lengths) == 1 and min(lengths) >= _LONG:
        return Trial("series", columns, channels=columns // min(lengths))
    return Trial("vector", columns)


def of_own(model: Model) -> Trial | None:
    """Look at a trial of a model that does not say itself what its data are, and how they are summarised."""
    known = model.schema is not None or model.summary is not None or model.decisions is not None
    return None if known else of(model)


def series(x: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """Put the series of one trial (dataset, 1, column) side by side: (dataset, time, channel), float32."""
    flat, parts, start = x.reshape(len(x), -1), [], 0
    for shape in shapes.values():
        size = math.prod(shape)
        parts.append(flat[:, start : start + size].reshape(len(x), shape[0], -1))
        start += size
    return np.concatenate(parts, axis=2, dtype=np.float32)
