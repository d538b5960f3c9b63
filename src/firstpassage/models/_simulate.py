"""Call a user's simulator in the style it is written in, and check what it returns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError, DataWarning, FirstPassageError, ModelError

if TYPE_CHECKING:
    from firstpassage.models.model import Model

_SOUGHT = 1000  # rows that are tried alone where a batch fails


def run(
    model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Simulate `trials` trials for each of `n` parameter sets."""
    call = {"batch": _batch, "single": _single, "jax": _jax}[model.style]
    before, loaded = _global_state(), len(sys.modules)
    returned = call(model, theta, trials=trials, n=n, rng=rng)
    if _global_state() != before and len(sys.modules) == loaded:  # libraries draw from it as they load
        warnings.warn(
            f"the simulator of {model.name} must draw from the rng that it is given; it drew from NumPy's global "
            "generator, which the seed does not reach. Use rng.normal in place of np.random.normal, and so on.",
            DataWarning,
            stacklevel=3,
        )
    _check_mapping(model, returned)
    return {name: _check(model, name, value, shape=(n, trials), theta=theta) for name, value in returned.items()}


def _global_state() -> tuple[int, int]:
    """Give what shows whether NumPy's global generator was used."""
    _, keys, place, *_ = np.random.get_state()  # noqa: NPY002
    return hash(keys.tobytes()), place


def _check_mapping(model: Model, returned: Any) -> None:
    """Refuse what is no dict of arrays."""
    if not isinstance(returned, Mapping) or not returned:
        raise ModelError(f"the simulator of {model.name} must return a dict of arrays; got {type(returned).__name__}.")


def _batch(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Call once with all parameter sets; where that fails, find the row at which it does."""
    try:
        return model._simulator(dict(theta), trials=trials, rng=rng)
    except FirstPassageError:
        raise
    except Exception as error:
        for i in range(min(n, _SOUGHT)):
            row = {name: value[i : i + 1] for name, value in theta.items()}
            try:
                model._simulator(row, trials=trials, rng=np.random.default_rng(0))
            except Exception as same:
                raise _failed(model, same, i=i, theta=theta) from error
        raise ModelError(
            f"the simulator of {model.name} failed with {n} parameter sets, though not with each of the first "
            f"{min(n, _SOUGHT)} alone: {error!r}. It must take arrays of shape (n,)."
        ) from error


def _failed(model: Model, error: Exception, *, i: int, theta: Mapping[str, np.ndarray]) -> ModelError:
    """Name the row that a simulator fails at."""
    row = {name: float(value[i]) for name, value in theta.items()}
    return ModelError(f"the simulator of {model.name} failed at row {i}, {row}: {error!r}. Mend it, or narrow the box.")


def _single(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Call once for each parameter set, with floats, and name the row that fails."""
    rows: list[Any] = []
    for i in range(n):
        row = {name: float(value[i]) for name, value in theta.items()}
        try:
            rows.append(model._simulator(row, trials=trials, rng=rng))
        except FirstPassageError:
            raise
        except Exception as error:
            raise _failed(model, error, i=i, theta=theta) from error
        _check_mapping(model, rows[-1])
    shapes = {tuple((name, np.shape(row[name])) for name in sorted(row)) for row in rows}
    if len(shapes) != 1:
        raise ModelError(
            f"the simulator of {model.name} must return the same names and the same shapes for every row; got {shapes}."
        )
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def _jax(model: Model, theta: Mapping[str, np.ndarray], *, trials: int, n: int, rng: np.random.Generator) -> Any:
    """Vectorise and compile over parameter sets, each with a key of its own."""
    import jax

    keys = jax.random.split(jax.random.key(rng.integers(2**31)), n)
    single = partial(model._simulator, trials=trials)
    try:
        simulated = jax.jit(jax.vmap(lambda row, key: single(row, rng=key)))(dict(theta), keys)
    except FirstPassageError:
        raise
    except Exception as error:
        raise ModelError(
            f"the simulator of {model.name} must be traceable by JAX, for one parameter set; it is not: "
            f'{str(error).splitlines()[0]!r}. Write it with jax.numpy, or use style="single".'
        ) from error
    _check_mapping(model, simulated)
    return {name: np.asarray(value) for name, value in simulated.items()}


def _check(
    model: Model, name: str, value: Any, *, shape: tuple[int, int], theta: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Check one simulated variable: its shape, its type, and that it is finite."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.empty(0, dtype=object)
    if array.shape[:2] != shape or array.dtype.kind not in "fiub":
        raise ModelError(
            f"the simulator of {model.name} must return {name!r} as numbers of shape {shape} or {(*shape, '...')} "
            f"(parameter sets, trials); got {array.dtype} of shape {array.shape}."
        )
    finite = np.isfinite(array).reshape(shape[0], -1).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        row = {parameter: float(values[first]) for parameter, values in theta.items()}
        raise DataError(
            f"the simulator of {model.name} returned NaN or infinite {name!r} for {int((~finite).sum())} of "
            f"{shape[0]} parameter sets (first: row {first}, {row}). Mend the simulator or narrow the box."
        )
    return array
