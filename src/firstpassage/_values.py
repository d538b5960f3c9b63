"""Check the names and the values of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError, ModelError

if TYPE_CHECKING:
    import jax


def check_names(model: str, wanted: Sequence[str], names: Iterable[str]) -> None:
    """Raise unless `names` are exactly the wanted ones, in any order."""
    given = set(names)
    wrong = [f"unknown {sorted(given - set(wanted))}"] if given - set(wanted) else []
    wrong += [f"missing {sorted(set(wanted) - given)}"] if set(wanted) - given else []
    if wrong:
        raise ModelError(
            f"{model} takes the parameters {', '.join(wanted)}; got {', '.join(sorted(given))}: "
            f"{' and '.join(wrong)}. Give each by its name, once."
        )


def value(name: str, given: Any, *, trials: int) -> np.ndarray:
    """Check one parameter: numeric, and a scalar or one value per trial."""
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be a number or an array of numbers; got {given!r}.") from None
    if array.shape == (1,) and trials != 1:
        array = array[0]
    if array.shape not in ((), (trials,)):
        raise DataError(
            f"{name} must be one number or {trials} of them, one for each trial; got shape {array.shape}. "
            "Index it by trial, for example effect[subject_of_trial]."
        )
    if np.isnan(array).any():
        raise DataError(f"{name} must be a number; got NaN in {int(np.isnan(array).sum())} of {array.size} values.")
    return array


def blocks(values: np.ndarray, *, size: int, trials: int) -> np.ndarray:
    """Cut (draw,) or (draw, trial) values into blocks of so many draws, and repeat the last up to so many trials."""
    if values.ndim > 1:
        values = np.pad(values, [(0, 0), (0, trials - values.shape[1])], mode="edge")
    return np.resize(values, (-(-len(values) // size), size, *values.shape[1:]))


def widest(x: jax.Array, theta: Mapping[str, jax.Array]) -> Any:
    """Name the precision of the caller."""
    import jax.numpy as jnp

    return jnp.result_type(jnp.float32, x, *theta.values())
