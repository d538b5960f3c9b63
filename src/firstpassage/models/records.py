"""Records by which a model tells estimators what its data are, and what a network need not learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class Schema:
    """Say what one subject's data are.

    Parameters
    ----------
    trial : str
        What one trial is, such as ``"choice"``.
    columns : tuple of str
        Names of a trial's observed variables, as the simulator returns them.
    read : callable
        Turns a user's data into an array of shape (trial, column), or raises `DataError`.
    limits : callable, optional
        ``limits(x) -> {name: (lower, upper)}``: bounds on parameters that the data imply.
    describe, table, simulate : callable, optional
        As for `Likelihood`, where a trial is more than a row of the data.
    given : callable, optional
        ``given(x)`` undoes `read`, where the exact likelihood reads the same data in another way.
    split : callable, optional
        ``split(x)``: the trials in groups of one length each, where `read` pads them to the longest one; for each
        group which trials, and these.
    series : int
        How many long series a trial holds, one after the other and of one length, such as 2 for voltage and spikes; 0
        where a trial is none. One such trial is a data set, unless more are asked for.
    """

    trial: str
    columns: tuple[str, ...]
    read: Callable[[Any], np.ndarray]
    limits: Callable[[np.ndarray], dict[str, tuple[float, float]]] | None = None
    describe: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None
    table: Callable[[Any], Any] | None = None
    simulate: Callable[[Mapping[str, np.ndarray], np.random.Generator], np.ndarray] | None = None
    given: Callable[[np.ndarray], Any] | None = None
    split: Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]] | None = None
    series: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Symmetry:
    """Tell a network what it need not learn: the symmetries of the simulator, never a density.

    Parameters
    ----------
    invariants : callable
        Pure JAX, ``invariants(x, theta) -> (..., feature)``: coordinates that the symmetries leave unchanged.
        `theta` is a dict of arrays that broadcast against ``x[..., column]``.
    log_scale : callable
        ``log_scale(x, theta) -> (...,)``: the log Jacobian of the change of units that the invariants undo.
    evidence : callable
        ``evidence(x) -> (..., feature)``: coordinates of the data alone, for the evidence p(x) in a ratio.
    possible : callable
        ``possible(x, theta) -> (...,)`` of bool: where the simulator can produce the data at all.
    """

    invariants: Callable[[Any, Mapping[str, Any]], Any]
    log_scale: Callable[[Any, Mapping[str, Any]], Any]
    evidence: Callable[[Any], Any]
    possible: Callable[[Any, Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixed:
    """Say how a trial splits into a category and one continuous value, for likelihoods learned from mixed data.

    All callables are pure JAX; `theta` is a dict of arrays that broadcast against ``x[..., column]``. The features may
    carry the model's symmetries: swapping the names of the categories, and the unit of the value. Never a density.

    Parameters
    ----------
    categories : tuple of float
        Codes of the categories, such as those of the response.
    category : callable
        ``category(x) -> (...,)``: the code of each trial.
    features : callable
        ``features(theta, category) -> (..., feature)``: what the network of that category is given.
    value : callable
        ``value(x, theta) -> (u, log_jacobian)``, each (...,): an unbounded coordinate of the continuous value, finite
        where the data are possible, and the log of its derivative.
    inverse : callable
        ``inverse(u, category, theta) -> (..., column)``: the trial with this coordinate and category.
    possible : callable
        ``possible(x, theta) -> (...,)`` of bool: where the simulator can produce the data at all.
    """

    categories: tuple[float, ...]
    category: Callable[[Any], Any]
    features: Callable[[Mapping[str, Any], Any], Any]
    value: Callable[[Any, Mapping[str, Any]], tuple[Any, Any]]
    inverse: Callable[[Any, Any, Mapping[str, Any]], Any]
    possible: Callable[[Any, Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Decisions:
    """Say how a trial is a sequence of decisions, yes or no, on which alone the parameters have an influence.

    Parameters
    ----------
    schema : Schema
        What such a trial is, for users' data.
    of_simulation : callable
        ``of_simulation(data) -> (steps, decision, begins)``: what one trial of each simulation, (n, 1, ...) by name,
        shows on the way: features of each step (n, step, feature), all known before its decision; the decision, 1 or
        0; and whether the step begins a sequence, (n, step) each.
    of_trial : callable
        Pure JAX, ``of_trial(x) -> (steps, decision, present)`` for trials as the schema reads them: (trial, step,
        feature), and (trial, step) each; absent steps come last.
    conditions : callable
        ``conditions(theta) -> (..., feature)``: coordinates of the parameters, of NumPy or JAX.
    emphasis : callable
        ``emphasis(theta) -> theta``: moves draws of the prior to where likelihoods are hard to learn, which may be
        trained under any distribution of the parameters. Unless given, nothing is moved.
    """

    schema: Schema
    of_simulation: Callable[[Mapping[str, np.ndarray]], tuple[np.ndarray, np.ndarray, np.ndarray]]
    of_trial: Callable[[Any], tuple[Any, Any, Any]]
    conditions: Callable[[Mapping[str, Any]], Any]
    emphasis: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] = dict


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """Name summary statistics of a trial that have a joint density, for likelihoods learned from these.

    Parameters
    ----------
    names : tuple of str
        None of them an exact function of others, for such a density is infinite.
    of_trials : callable
        ``of_trials(x) -> (trial, statistic)`` for trials x (trial, column) as the model's schema reads them.
    """

    names: tuple[str, ...]
    of_trials: Callable[[np.ndarray], np.ndarray]
