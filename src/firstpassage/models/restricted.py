"""A model on a part of its box: for estimators that need to be right there alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter

_BLOCK, _BLOCKS = 16_384, 300  # draws of the prior that are looked at together, and how often


def restrict(model: Model, *, box: Mapping[str, tuple[float, float]], theta: Mapping[str, np.ndarray]) -> Model:
    """Make the same model with narrower bounds, whose prior draws from parameter sets that exist.

    Parameters
    ----------
    model : Model
        Of which all else stays as it is.
    box : mapping of str to (float, float)
        The new bounds of every parameter, within the old ones, in the parameter's unit.
    theta : mapping of str to ndarray, shape (n,)
        Draws of the prior in that part; the new prior takes some of them, with replacement.

    Returns
    -------
    Model
        With a prior that can only be sampled.

    Raises
    ------
    ModelError
        If parameter sets lie outside the bounds.

    Examples
    --------
    >>> import numpy as np
    >>> import firstpassage as fp
    >>> part = restrict(fp.ddm(), box={**{p.name: p.bounds for p in fp.ddm().parameters}, "v": (0.0, 1.0)},
    ...                 theta={"v": np.array([0.5]), "a": np.array([1.0]), "z": np.array([0.5]), "t": np.array([0.3])})
    >>> part.parameters[0].bounds, part.prior(2, seed=1)["v"].tolist()
    ((0.0, 1.0), [0.5, 0.5])
    """
    parameters = tuple(Parameter(p.name, bounds=box[p.name], symbol=p.symbol, unit=p.unit) for p in model.parameters)
    for p in parameters:
        low, high = p.bounds
        outside = (theta[p.name] < low) | (theta[p.name] > high)
        if outside.any():
            raise ModelError(
                f"parameter sets of a restricted model must lie in its box; {int(outside.sum())} of {outside.size} "
                f"values of {p.name} lie outside [{low:g}, {high:g}]. Widen it, or drop them."
            )
    twin = copy.copy(model)
    kept = {p.name: np.asarray(theta[p.name], dtype=np.float64) for p in parameters}
    twin._freeze(parameters=parameters, _prior=partial(_resampled, theta=kept))
    return twin


def draw(model: Model, n: int, *, box: Mapping[str, tuple[float, float]], seed: int) -> dict[str, np.ndarray]:
    """Draw parameter sets from the prior in a part of its box.

    Parameters with priors of their own are independent of each other, and each is kept by itself: a small part then
    costs no more than its narrowest side.

    Parameters
    ----------
    model : Model
        With any prior.
    n : int
        How many, about: at least one, and at most so many.
    box : mapping of str to (float, float)
        Bounds of every parameter, in its unit.
    seed : int
        From 0 to 2**63 - 1.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        m = n, unless so many would need several million draws of the prior.

    Raises
    ------
    ModelError
        If none of these lies in the box.

    Examples
    --------
    >>> import firstpassage as fp
    >>> model = fp.ddm()
    >>> box = {p.name: p.bounds for p in model.parameters} | {"v": (0.0, 0.1)}
    >>> drawn = draw(model, 100, box=box, seed=1)
    >>> len(drawn["v"]), bool((drawn["v"] <= 0.1).all())
    (100, True)
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in box}
    for i in range(_BLOCKS):
        block = model.prior(_BLOCK, seed=seeds.derive(seed, f"prior {i}"))
        whole = None if model._prior is None else in_box(block, box)
        for name, (low, high) in box.items():
            value = block[name]
            parts[name].append(value[(value >= low) & (value <= high) if whole is None else whole])
        found = min(sum(map(len, values)) for values in parts.values())
        if found >= n:
            break
    if not found:
        raise ModelError(
            f"the prior of {model.name} must reach the box {dict(box)}; got none of {_BLOCKS * _BLOCK} draws there. "
            "Choose a wider box."
        )
    return {name: np.concatenate(values)[: min(n, found)] for name, values in parts.items()}


def in_box(theta: Mapping[str, np.ndarray], box: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Tell which parameter sets lie in a box.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        Every parameter by its name.
    box : mapping of str to (float, float)
        Bounds of every parameter.

    Returns
    -------
    ndarray, shape (n,), bool
        True on the bounds, too.

    Examples
    --------
    >>> import numpy as np
    >>> in_box({"v": np.array([0.5, 2.0])}, {"v": (0.0, 1.0)}).tolist()
    [True, False]
    """
    return np.logical_and.reduce([(theta[name] >= low) & (theta[name] <= high) for name, (low, high) in box.items()])


def _resampled(n: int, *, rng: np.random.Generator, theta: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take some of the parameter sets."""
    rows = rng.integers(len(next(iter(theta.values()))), size=n)
    return {name: value[rows] for name, value in theta.items()}
