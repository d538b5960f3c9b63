"""Starting points near what a model guesses from the data, whatever a PyMC model makes its parameters of.

PyMC starts in the middle of the priors. Where a posterior is a hundred times narrower, that is thousands of nats away.
A likelihood may know from its data about where the parameters of each trial lie, and how well that is known (`start`).
From there its top is climbed, trial by trial. Free variables are moved on their unconstrained lines until the
parameters, as expressions of them, come near the tops, by least squares in units of their sharpness; what the
parameters leave open stays where it was, and so does all if the expressions are not finite there.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges import _climb, _start
from firstpassage.bridges._variable import TrialsRV

# The tops that were climbed, so that many `observe` that share variables climb each once.
_tops: WeakKeyDictionary[pm.Model, dict[str, _climb.Top]] = WeakKeyDictionary()

_PULL = 0.3  # of the usual start, per unit of the unconstrained line
_STEPS = 100  # of least squares, at most


def set_start(model: pm.Model, observed: TensorVariable) -> None:
    """Move the starts of the free variables behind the parameters of an observed variable.

    Parameters
    ----------
    model : pymc.Model
        Whose free variables are moved. An initial value that the user has set stays.
    observed : TensorVariable
        Made by `observe`. Others that share free variables with it are fitted at once.
    """
    if observed.owner.op.likelihood.start is None:
        return
    moved = _moved(model, _parameters(observed))
    if not moved:
        return
    parameters, tops, known = [], [], _tops.setdefault(model, {})
    for one in _guessing(model):
        if set(moved) & set(_moved(model, _parameters(one))):
            parameters.append(_parameters(one))
            tops.append(known.get(one.name) or known.setdefault(one.name, _top(model, one)))
    for variable, start in zip(moved, _fitted(model, moved, parameters, tops), strict=True):
        _start.put(variable, start)


def placed(model: pm.Model) -> set[TensorVariable]:
    """Name the free variables whose starts are known from data so well that noise would spoil them.

    Parameters
    ----------
    model : pymc.Model
        With variables that `observe` made.

    Returns
    -------
    set of TensorVariable
        Free variables.
    """
    return {variable for one in _guessing(model) for variable in _moved(model, _parameters(one))}


def _guessing(model: pm.Model) -> list[TensorVariable]:
    """List the observed variables whose likelihoods guess their parameters."""
    return [rv for rv in model.observed_RVs if isinstance(rv.owner.op, TrialsRV) and rv.owner.op.likelihood.start]


def _top(model: pm.Model, observed: TensorVariable) -> _climb.Top:
    """Climb from the guess of one likelihood."""
    likelihood, x = observed.owner.op.likelihood, _data(model, observed)
    return _climb.climb(likelihood, x, likelihood.start(x))


def _parameters(observed: TensorVariable) -> list[TensorVariable]:
    """List the parameters of an observed variable, in the order of the likelihood."""
    return list(observed.owner.op.dist_params(observed.owner))


def _data(model: pm.Model, observed: TensorVariable) -> np.ndarray:
    """Give the data of an observed variable."""
    value = model.rvs_to_values[observed]
    return np.asarray(value.get_value() if isinstance(value, SharedVariable) else value.data, dtype=np.float64)


def _moved(model: pm.Model, parameters: list[TensorVariable]) -> list[TensorVariable]:
    """List the free variables whose values the parameters are made of, without those that the user has placed."""
    used = set(ancestors(model.replace_rvs_by_values(parameters)))
    return [
        rv
        for rv in model.free_RVs
        if model.rvs_to_values[rv] in used and model.rvs_to_initial_values[rv] is None and rv.dtype.startswith("float")
    ]


def _fitted(
    model: pm.Model, moved: list[TensorVariable], parameters: list[list[TensorVariable]], tops: list[_climb.Top]
) -> list[np.ndarray]:
    """Fit the free variables, and give their values."""
    from scipy.optimize import least_squares

    usual = model.initial_point(random_seed=0)
    names = [model.rvs_to_values[rv].name for rv in moved]
    shapes = [usual[name].shape for name in names]
    first = np.nan_to_num(np.concatenate([usual[name].ravel() for name in names]), posinf=0.0, neginf=0.0)
    of_parameters, of_variables = [_function(model, some) for some in parameters], _function(model, moved)

    def point(at: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        parts = (part.reshape(shape) for part, shape in zip(np.split(at, ends), shapes, strict=True))
        return usual | dict(zip(names, parts, strict=True))

    def residuals(at: np.ndarray) -> np.ndarray:
        there = point(at)
        far = [_distance(some(there), top) for some, top in zip(of_parameters, tops, strict=True)]
        return np.concatenate([*far, _PULL * (at - first)])

    if not np.isfinite(residuals(first)).all():
        return [np.asarray(one) for one in of_variables(point(first))]
    best = least_squares(residuals, first, max_nfev=_STEPS, x_scale="jac").x
    return [np.asarray(one) for one in of_variables(point(best))]


def _distance(found: list[np.ndarray], top: _climb.Top) -> np.ndarray:
    """Say how far the parameters of all trials lie from their tops, in units of sharpness."""
    rows = np.stack([np.broadcast_to(one, len(top.best)) for one in found], axis=1)
    return np.einsum("tij,tj->ti", top.root, rows - top.best).ravel()


def _function(model: pm.Model, variables: list[TensorVariable]) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    """Write variables as a function of a point on the unconstrained lines, without waiting for a compiler."""
    given = [model.rvs_to_values[rv] for rv in model.free_RVs]
    inner = pytensor.function(
        given, model.replace_rvs_by_values(variables), mode=Mode(linker="py", optimizer="fast_compile"),
        on_unused_input="ignore", allow_input_downcast=True,
    )  # fmt: skip
    return lambda point: inner(*(point[one.name] for one in given))
