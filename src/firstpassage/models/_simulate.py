"""Call a user's simulator in the style it is written in, and check what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError, FirstPassageError, ModelError

if TYPE_CHECKING:
    from firstpassage.models.model import Model


def run(
    model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Simulate `trials` trials for each of `n` parameter sets."""
    call = {"batch": _batch, "single": _single, "jax": _jax}[model.style]
    returned = call(model, theta, trials=trials, n=n, rng=rng)
    if not isinstance(returned, Mapping) or not returned:
        raise ModelError(f"the simulator of {model.name} must return a dict of arrays; got {type(returned).__name__}.")
    return {name: _check(model, name, value, shape=(n, trials)) for name, value in returned.items()}


def _batch(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Call once with all parameter sets."""
    del n
    return model._simulator(dict(theta), trials=trials, rng=rng)


def _single(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Call once for each parameter set, with floats, and name the row that fails."""
    rows = []
    for i in range(n):
        row = {name: float(value[i]) for name, value in theta.items()}
        try:
            rows.append(model._simulator(row, trials=trials, rng=rng))
        except FirstPassageError:
            raise
        except Exception as error:
            raise ModelError(f"the simulator of {model.name} failed at row {i}, {row}: {error!r}.") from error
    shapes = {tuple(np.shape(value) for value in row.values()) for row in rows}
    if len(shapes) != 1:
        raise ModelError(f"the simulator of {model.name} must return the same shapes for every row; got {shapes}.")
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def _jax(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Vectorise and compile over parameter sets, each with a key of its own."""
    import jax

    keys = jax.random.split(jax.random.key(rng.integers(2**31)), n)
    single = partial(model._simulator, trials=trials)
    simulated = jax.jit(jax.vmap(lambda row, key: single(row, rng=key)))(dict(theta), keys)
    return {name: np.asarray(value) for name, value in simulated.items()}


def _check(model: Model, name: str, value: Any, *, shape: tuple[int, int]) -> np.ndarray:
    """Check one simulated variable: its shape, its type, and that it is finite."""
    array = np.asarray(value)
    if array.shape[:2] != shape or array.dtype.kind not in "fiub":
        raise ModelError(
            f"the simulator of {model.name} must return {name!r} as numbers of shape {shape} or {(*shape, '...')} "
            f"(parameter sets, trials); got {array.dtype} of shape {array.shape}."
        )
    finite = np.isfinite(array).reshape(shape[0], -1).all(axis=1)
    if not finite.all():
        raise DataError(
            f"the simulator of {model.name} returned NaN or infinite {name!r} for {int((~finite).sum())} of "
            f"{shape[0]} parameter sets (first: row {int(np.argmin(finite))}). Mend the simulator or narrow the box."
        )
    return array
