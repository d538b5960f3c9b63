"""Read the data of a model that brings no schema: arrays as its own simulator returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from firstpassage.errors import DataError
from firstpassage.models.model import Model, Schema


def schema(model: Model) -> Schema:
    """Return the model's schema, or learn one from a probe simulation.

    Parameters
    ----------
    model : Model
        Any model.

    Returns
    -------
    Schema
        The variables in the order in which the simulator returns them, flattened to columns.
    """
    if model.schema is not None:
        return model.schema
    probe = model.likelihood(model.prior(2, seed=0), trials=2, seed=0)
    widths = {name: int(np.prod(value.shape[2:], dtype=int)) for name, value in probe.items()}
    columns = [f"{name}_{i}" if width > 1 else name for name, width in widths.items() for i in range(width)]

    def read(data: Any) -> np.ndarray:
        return _read(data, widths)

    return Schema(trial="trial", columns=tuple(columns), read=read)


def _read(data: Any, widths: Mapping[str, int]) -> np.ndarray:
    """Put the variables of one subject side by side: (trial, column)."""
    if not isinstance(data, Mapping) and len(widths) == 1:
        data = {next(iter(widths)): data}
    if isinstance(data, Mapping) and set(data) == set(widths):
        parts = [_column(name, data[name], width) for name, width in widths.items()]
        if len({len(part) for part in parts}) == 1:
            return np.concatenate(parts, axis=1)
    raise DataError(
        f"data must map {', '.join(widths)} to arrays with one row per trial, equally many in each; got "
        f"{sorted(data) if isinstance(data, Mapping) else type(data).__name__}."
    )


def _column(name: str, values: Any, width: int) -> np.ndarray:
    """Check one variable: numbers, finite, one row of `width` values per trial."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers with one row per trial; got {values!r:.60}.") from None
    if array.ndim == 0 or array.size == 0 or array.size != len(array) * width:
        raise DataError(f"{name} must have shape (trial, {width}), at least one trial; got {array.shape}.")
    if not np.isfinite(array).all():
        raise DataError(f"{name} must be finite; {int((~np.isfinite(array)).sum())} values are not. Drop those trials.")
    return array.reshape(len(array), width)
