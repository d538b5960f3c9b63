"""Starting points at which the likelihood is not zero, whatever PyMC's jitter adds to them.

Where the data bound a parameter (t lies below the fastest rt), PyMC's default start is often impossible. The
start is moved on the unconstrained line, on which PyMC and nutpie add noise from -1 to 1 to it. It is not put
into the model's initial values, as `compute_log_likelihood` and `do` refuse models that have some: it hangs
on the variable's operation, which PyMC's transformed copies of a model keep, and a rewrite of PyMC's initial
points (as pymc.dims has one) finds it there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import _support_point
from pymc.initial_point import initial_point_rewrites_db
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.graph.traversal import ancestors
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from pytensor.tensor.variable import TensorVariable

from firstpassage.errors import DataWarning
from firstpassage.likelihood import Likelihood

_JITTER = 1.0  # half-width, on the unconstrained line
_MARGIN = 1.5  # distance from an impossible value, on the unconstrained line

# The bounds that this module has put on starts, so that several `observe` of one parameter add up.
_bounds: WeakKeyDictionary[pm.Model, dict[str, tuple[np.ndarray, np.ndarray]]] = WeakKeyDictionary()

_START = "firstpassage_start"


def set_start(model: pm.Model, likelihood: Likelihood, x: np.ndarray, theta: Mapping[str, TensorVariable]) -> None:
    """Move the starts of free variables that are parameters with bounds from the data.

    Parameters
    ----------
    model : pymc.Model
        Whose free variables are looked at. An initial value that the user has set stays.
    likelihood : Likelihood
        Whose `limits` are asked.
    x : ndarray, shape (trial, ...)
        The trials.
    theta : mapping of str to TensorVariable
        The parameters: a free variable, or one indexed by trial, ``t[subject_of_trial]``. Others are left
        alone.
    """
    if likelihood.limits is None:
        return
    for name in likelihood.limits(x):
        variable, index = _free_variable(model, theta[name], trials=len(x))
        if variable is None:
            continue
        mine = _bounds.setdefault(model, {})
        if model.rvs_to_initial_values[variable] is not None:
            continue
        low, high = (np.array(end) for end in likelihood.support(x)[name])
        if index is not None and variable.type.shape != (None,):
            low, high = _limits_of_entries(likelihood, x, name=name, index=index, size=_length(variable))
        if variable.name in mine:
            low, high = np.maximum(low, mine[variable.name][0]), np.minimum(high, mine[variable.name][1])
        start = _start(model, variable, low, high)
        if start is not None:
            put(variable, start)
            mine[variable.name] = (low, high)


def put(variable: TensorVariable, start: np.ndarray) -> None:
    """Hang a start on the operation of a free variable.

    Parameters
    ----------
    variable : TensorVariable
        Free.
    start : ndarray
        A value inside its support, of its shape.
    """
    # A copy, equal to the original, as PyMC has one operation for all variables of a kind.
    variable.owner.op = copy(variable.owner.op)
    setattr(variable.owner.op, _START, start)


class _Started:
    """Mixed into a random variable's class while PyMC computes initial points."""


@lru_cache
def _started_class(kind: type[Op]) -> Any:
    """Make the subclass of a random variable's class that starts where it is told."""
    return type(f"Started{kind.__name__}", (_Started, kind), {})


@_support_point.register(_Started)
def _support_point_of_started(op: Op, variable: TensorVariable, *inputs: Variable) -> TensorVariable:
    """Start where the operation says; a variable whose length may change has one number there."""
    del inputs
    start = pt.constant(vars(op)[_START])
    return start if start.type.shape == variable.type.shape else pt.full(variable.shape, start)


class _UseStarts(GraphRewriter):
    """Let PyMC's initial points see the starts that hang on operations."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Exchange the class of the operation behind every variable that has a start."""
        for point in list(fgraph.outputs):
            (variable,) = point.owner.inputs
            node = variable.owner
            if _START not in vars(node.op):
                continue
            op: Any = object.__new__(_started_class(type(node.op)))  # type: ignore[arg-type]
            vars(op).update(vars(node.op))
            outputs = [output.clone() for output in node.outputs]
            Apply(op, node.inputs, outputs)
            fgraph.replace(variable, outputs[node.outputs.index(variable)], import_missing=True)


initial_point_rewrites_db.register("firstpassage_starts", _UseStarts(), "basic")


def _free_variable(
    model: pm.Model, value: TensorVariable, *, trials: int
) -> tuple[TensorVariable | None, np.ndarray | None]:
    """Find the free variable behind a parameter, and which entry each trial uses (None: it is a scalar)."""
    if value in model.free_RVs:
        return value, None if value.ndim == 0 or value.type.shape == (1,) else np.arange(trials)
    node = value.owner
    if node is None or not isinstance(node.op, (AdvancedSubtensor, Subtensor)):
        return None, None
    source = node.inputs[0]
    if source not in model.free_RVs or source.ndim != 1:
        return None, None
    if set(model.basic_RVs) & set(ancestors(node.inputs[1:])):
        return None, None
    entries = node.op(pt.constant(np.arange(_length(source))), *node.inputs[1:])
    return source, np.broadcast_to(_evaluate(entries), (trials,))


def _limits_of_entries(
    likelihood: Likelihood, x: np.ndarray, *, name: str, index: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bound every entry of a vector by the trials that use it, and by the box."""
    lows, highs = (np.full(size, end) for end in likelihood.box[name])
    for entry in np.unique(index):
        lows[entry], highs[entry] = likelihood.support(x[index == entry])[name]
    return lows, highs


def _start(model: pm.Model, variable: TensorVariable, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Choose a point that the jitter leaves between the bounds, or None if that cannot be told."""
    transform = model.rvs_to_transforms[variable]
    if transform is not None and transform.ndim_supp:
        return None
    with np.errstate(all="ignore"):
        try:
            way = _Line(model, variable)
            lower, upper = way.ends(low, high)
            point = way.back(_between(lower, upper))
        except _UnknownLineError:
            return None
    if (upper - lower < 2 * _JITTER).any():
        warnings.warn(
            f"{variable.name} must lie between {low.max():.4g} and {high.min():.4g} for these data, but its "
            "prior is not confined there, so PyMC's random starts may miss it. Use a prior with bounds, "
            'such as firstpassage.priors makes, or pm.sample(init="adapt_diag").',
            DataWarning,
            stacklevel=4,
        )
    possible = np.isfinite(point).all() and ((point > low) & (point < high)).all()
    if not possible:
        return None
    shape = point.shape if None in variable.type.shape else variable.type.shape
    return np.broadcast_to(point, shape).astype(variable.dtype)


class _UnknownLineError(Exception):
    """A transform depends on other free variables."""


class _Line:
    """The unconstrained line of one variable, in numbers."""

    def __init__(self, model: pm.Model, variable: TensorVariable) -> None:
        self._transform = model.rvs_to_transforms[variable]
        self._inputs = variable.owner.inputs
        self._free = set(model.free_RVs)

    def ends(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map two bounds; where the variable cannot reach a bound, the line goes on for ever."""
        left, right = self._apply("forward", low), self._apply("forward", high)
        if not self.back(np.array(1.0)).max() > self.back(np.array(-1.0)).min():
            left, right = right, left
        return np.where(np.isnan(left), -np.inf, left), np.where(np.isnan(right), np.inf, right)

    def back(self, value: np.ndarray) -> np.ndarray:
        """Map a point of the line to a value of the variable."""
        return self._apply("backward", value)

    def _apply(self, way: str, value: np.ndarray) -> np.ndarray:
        """Evaluate the transform."""
        if self._transform is None:
            return value
        methods = {"forward": self._transform.forward, "backward": self._transform.backward}
        graph = methods[way](pt.constant(value, dtype="float64"), *self._inputs)
        if self._free & set(ancestors([graph])):
            raise _UnknownLineError
        return np.asarray(_evaluate(graph))


def _between(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Take a point near zero, a margin away from both ends, or half way if they are too close for that."""
    middle = np.clip(0.0, lower + _MARGIN, upper - _MARGIN)
    return np.where(upper - lower < 2 * _MARGIN, 0.5 * (lower + upper), middle)


def _length(variable: TensorVariable) -> int:
    """Give the length that a vector has now."""
    (length,) = variable.type.shape
    return int(_evaluate(variable.shape[0], optimizer="fast_compile")) if length is None else length


def _evaluate(variable: TensorVariable, *, optimizer: str | None = None) -> np.ndarray:
    """Evaluate a small graph without waiting for a compiler."""
    return pytensor.function([], variable, mode=Mode(linker="py", optimizer=optimizer))()
