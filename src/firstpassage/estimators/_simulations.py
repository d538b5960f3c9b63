"""Tables of simulations that users bring: names, shapes, numbers and the box, checked before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ArtefactError, DataError, FirstPassageError, ModelError
from firstpassage.estimators import pools
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

FEWEST = 20  # rows, of which a tenth is held out


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulations:
    """Hold a checked table: parameters (n,) by name, and data (n, trial, column) in the order of the simulator."""

    theta: dict[str, np.ndarray]
    x: np.ndarray

    @property
    def trials(self) -> int:
        """Count the trials of each row."""
        return self.x.shape[1]


def opened(given: Any) -> Any:
    """Take a table or a pool as it is, and a path for the pool that lies there."""
    return pools.read(given) if isinstance(given, (str, Path)) else given


def check(
    model: Model, given: Any, *, shapes: Mapping[str, tuple[int, ...]] | None = None, fewest: int = FEWEST
) -> Simulations:
    """Check a table of parameters and observed variables, one row for each simulation.

    Parameters
    ----------
    model : Model
        Whose simulator made the table, or might have.
    given : mapping of str to array_like, or DataFrame
        Parameters (n,); observed variables (n, ...) of one trial, or (n, trials, ...).
    shapes : mapping, optional
        What `variables` gives, which costs a simulation.
    fewest : int
        Rows that there must be.

    Returns
    -------
    Simulations
        In the order of the model, whatever that of the table.

    Raises
    ------
    ModelError
        If a name is missing or unknown.
    DataError
        If a shape or a number is wrong, parameters lie outside the box, or there are too few rows.
    """
    shapes = variables(model) if shapes is None else shapes
    _check_names(model, list(shapes), given)
    theta = {name: _parameter(name, given[name]) for name in model.parameter_names}
    parts = {name: _variable(name, given[name], shape) for name, shape in shapes.items()}
    sizes = {name: len(value) for name, value in (theta | parts).items()}
    if len(set(sizes.values())) != 1:
        raise DataError(f"simulations must have equally many rows in every array; got {sizes}. Save them together.")
    trials = {name: value.shape[1] for name, value in parts.items()}
    if len(set(trials.values())) != 1:
        raise DataError(f"simulations must have equally many trials in every variable; got {trials}.")
    rows = next(iter(sizes.values()))
    if rows < fewest:
        raise DataError(f"simulations must have at least {fewest} rows; got {rows}. Simulate more.")
    for name, value in (theta | parts).items():
        _check_finite(name, value)
    _check_box(model, theta)
    return Simulations(theta=theta, x=np.concatenate(list(parts.values()), axis=2))


def check_pool(model: Model, pool: Pool) -> Pool:
    """Refuse a pool of another model, or with too few rows; its shards are checked when they are read."""
    pool.check(model)
    if pool.rows < FEWEST:
        raise DataError(f"simulations must have at least {FEWEST} rows; got {pool.rows} in {pool.path}. Simulate more.")
    return pool


def of_shard(model: Model, pool: Pool, k: int, *, shapes: Mapping[str, tuple[int, ...]]) -> Simulations:
    """Read one shard of a pool and check it as a table."""
    shard, table = pool.shards[k], pool.table(k)
    try:
        found = check(model, table, shapes=shapes, fewest=1)
    except FirstPassageError as error:
        raise ArtefactError(f"the shard {pool.path / shard.file} cannot be used: {error}") from error
    if (len(found.x), found.trials) != (shard.rows, pool.trials):
        raise ArtefactError(
            f"the shard {pool.path / shard.file} must hold {shard.rows} rows of {pool.trials} trials; got "
            f"{len(found.x)} of {found.trials}. Simulate into another folder."
        )
    return found


def check_trials(found: Simulations | Pool, trials: tuple[int, int]) -> None:
    """Refuse data sets that are shorter than the largest number of trials that a posterior is for."""
    (low, high), there = trials, found.trials
    if there < high:
        size = f"{high}" if low == high else f"{low} to {high}"
        raise DataError(
            f"simulations must have {high} trials or more for a posterior of {size} trials; got {there}. Pass "
            f"trials={there} to NPE, or simulate longer data sets."
        )


def variables(model: Model) -> dict[str, tuple[int, ...]]:
    """Find the names of the observed variables and the shape of each in one trial, by one simulation."""
    probe = model.likelihood(model.prior(1, seed=0), trials=1, seed=0)
    return {name: value.shape[2:] for name, value in probe.items()}


def chosen(rows: int, n: int, *, purpose: str, seed: int) -> np.ndarray:
    """Choose n of the rows without replacement, as far as there are so many; the first tenth is for validation."""
    held_out = rows // 10
    first, last = (0, held_out) if purpose == "validation" else (held_out, rows)
    rng = seeds.generator(seed, f"rows: {purpose}")
    return np.concatenate([rng.permutation(np.arange(first, last)) for _ in range(-(-n // (last - first)))])[:n]


def digest(given: Any) -> str:
    """Compute a digest of a table or a pool, so that training on another one is another run."""
    given = opened(given)
    if isinstance(given, Pool):
        return given.digest
    found = hashlib.sha256()
    for name in sorted(map(str, given)):
        values = np.ascontiguousarray(given[name])
        found.update(f"{name} {values.dtype} {values.shape} ".encode())
        found.update(values.data if values.dtype.kind in "fiub" else repr(values.tolist()).encode())
    return found.hexdigest()


def _check_names(model: Model, expected: list[str], given: Any) -> None:
    """Refuse a table that lacks a name, or has one that is neither parameter nor variable."""
    columns = list(given) if isinstance(given, Mapping) or "columns" in dir(given) else None
    known = [*model.parameter_names, *expected]
    if columns is not None and set(columns) == set(known):
        return
    what = f"got {type(given).__name__}" if columns is None else f"got {', '.join(map(str, columns)) or 'nothing'}"
    missing = [name for name in known if name not in (columns or [])]
    unknown = [str(name) for name in columns or [] if name not in known]
    remedy = f"Add {', '.join(missing)}." if missing else f"Leave out {', '.join(unknown)}."
    raise ModelError(
        f"simulations must map every parameter of {model.name} ({', '.join(model.parameter_names)}) and every observed "
        f"variable ({', '.join(expected)}) to an array; {what}. {remedy}"
    )


def _numbers(name: str, value: Any) -> np.ndarray:
    """Take an array of numbers."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} of the simulations must be numbers in an array; got {value!r:.60}.") from None


def _parameter(name: str, value: Any) -> np.ndarray:
    """Take one parameter: (n,)."""
    array = _numbers(name, value)
    if array.ndim == 0 or array.size != len(array):
        raise DataError(
            f"the parameter {name} of the simulations must have shape (n,); got {array.shape}. Pass one value a row."
        )
    return array.reshape(-1)


def _variable(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Take one variable: (n, trial, column)."""
    array = _numbers(name, value)
    one = array.ndim == 1 + len(shape)
    tail = array.shape[1:] if one else array.shape[2:]
    if array.ndim not in (1 + len(shape), 2 + len(shape)) or tail != shape or 0 in array.shape:
        inner = "".join(f", {size}" for size in shape)
        raise DataError(
            f"{name} of the simulations must have shape (n{inner or ','}) for one trial a row, or (n, trials{inner}); "
            f"got {array.shape}."
        )
    return array.reshape(len(array), 1 if one else array.shape[1], -1)


def _check_finite(name: str, value: np.ndarray) -> None:
    """Refuse rows that failed."""
    bad = ~np.isfinite(value).reshape(len(value), -1).all(axis=1)
    if bad.any():
        raise DataError(
            f"{name} of the simulations must be finite; {int(bad.sum())} of {bad.size} rows are not (first: row "
            f"{int(bad.argmax())}). Drop the failed rows first."
        )


def _check_box(model: Model, theta: Mapping[str, np.ndarray]) -> None:
    """Refuse parameters that the prior cannot have drawn."""
    if model.joint is not None:
        outside = ~np.isfinite(model.joint.log_density(theta))
        if outside.any():
            raise DataError(
                f"simulations must have parameters that the prior of {model.name} allows; {int(outside.sum())} of "
                f"{len(outside)} rows do not (first: row {int(np.argmax(outside))}). Draw them by model.prior."
            )
        return
    for p in model.parameters:
        value, (low, high) = theta[p.name], p.bounds
        outside = (value < low) | (value > high)
        if outside.any():
            first = int(outside.argmax())
            raise DataError(
                f"{p.name} of the simulations must lie in its box [{low:g}, {high:g}]; {int(outside.sum())} of "
                f"{outside.size} rows do not (first: row {first}, {value[first]:g}). Drop them, or widen the bounds."
            )
