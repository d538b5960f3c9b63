"""Parameters on the real line and back: a normal quantile function between bounds that the data may narrow.

A uniform prior becomes a standard normal one, so that a posterior cut off by the box has the tails of the flow's base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from firstpassage.models.parameter import Parameter

Limits = Callable[[np.ndarray], dict[str, tuple[float, float]]]
_EDGE = 1e-12  # share of the width that is kept free of each bound
_LOG_ROOT_2_PI = 0.5 * np.log(2 * np.pi)


def bounds(parameters: Sequence[Parameter], limits: Limits | None, data_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Intersect the box with what each data set allows: (dataset, parameter, 2)."""
    found = np.repeat(np.array([p.bounds for p in parameters])[None], len(data_sets), axis=0)
    if limits is not None:
        places = {p.name: i for i, p in enumerate(parameters)}
        for row, x in zip(found, data_sets, strict=True):
            for name, (low, high) in limits(x).items():
                i = places[name]
                row[i] = max(low, row[i, 0]), min(high, row[i, 1])
    return found


def to_line(theta: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Map parameters (..., parameter) inside limits (..., parameter, 2) to the real line."""
    low, high = limits[..., 0], limits[..., 1]
    share = (theta - low) / (high - low)
    return ndtri(np.clip(share, _EDGE, 1 - _EDGE))


def from_line(u: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Map the real line to parameters, strictly inside the limits."""
    low, high = limits[..., 0], limits[..., 1]
    return low + (high - low) * np.clip(ndtr(u), _EDGE, 1 - _EDGE)


def log_jacobian(u: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Give the log of d u / d theta, summed over parameters: (...,)."""
    width = limits[..., 1] - limits[..., 0]
    return np.sum(0.5 * u**2 + _LOG_ROOT_2_PI - np.log(width), axis=-1)


def stacked(theta: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """Put parameters side by side: (..., parameter)."""
    return np.stack([np.asarray(theta[name], dtype=np.float64) for name in names], axis=-1)
