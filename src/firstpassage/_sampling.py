"""Choose how a likelihood is sampled: NUTS of one data set or of many, importance sampling, or particles."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firstpassage import _convergence, _importance, _nuts, _nuts_many, _smc, _subjects, seeds

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood


class Described(Protocol):
    """Anything that names the observed variables of its data."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def describe(self) -> Callable[[np.ndarray], dict[str, np.ndarray]] | None:
        """What to list of every trial instead."""


_Found = tuple[_nuts.Result, dict[str, Any]]


def run(
    likelihood: Likelihood,
    x: Sequence[np.ndarray],
    *,
    space: Space,
    settings: _nuts.Settings,
    seed: int,
    method: str,
    many: bool,
) -> _Found:
    """Sample every data set; return draws (chain, draw, [dataset]) and the attributes of the tree."""
    if method == "importance":
        _importance.approximation(likelihood)
    if method == "smc" or (method == "auto" and _several_modes(likelihood, x)):
        return _by_smc(likelihood, x, space=space, settings=settings, seed=seed, many=many)
    if method == "nuts" or likelihood.approximation is None:
        return _by_nuts(likelihood, x, space=space, settings=settings, seed=seed, many=many), {"sampler": "nuts"}
    found = _by_importance(likelihood, x, space=space, settings=settings, seed=seed)
    doubtful = [i for i, one in enumerate(found) if not one.trusted] if method == "auto" else []
    result = _result(likelihood, found, settings=settings)
    for i in doubtful:
        chosen = _by_nuts(likelihood, [x[i]], space=space, settings=settings, seed=seeds.derive(seed, f"nuts {i}"),
                          many=False)  # fmt: skip
        for name, values in chosen.theta.items():
            result.theta[name][..., i] = values
        result.statistics["lp"][..., i] = np.nan
    return _shaped(result, many=many), _attributes(found, doubtful=doubtful, many=many)


def tree(
    likelihood: Likelihood,
    x: Sequence[np.ndarray],
    *,
    result: _nuts.Result,
    attributes: Mapping[str, Any],
    many: bool,
) -> xr.DataTree:
    """Arrange draws as ArviZ reads them; with the verdict on the chains of one data set."""
    made = _nuts.as_datatree(
        result, observed=observed(likelihood, x, many=many),
        attributes={"model": likelihood.model, "kind": likelihood.kind, **attributes},
    )  # fmt: skip
    if attributes["sampler"] == "nuts" and not many:
        made.attrs.update(_convergence.attributes(_convergence.convergence(made, box=likelihood.box)))
    return made


def observed(source: Described, x: Sequence[np.ndarray], *, many: bool) -> dict[str, np.ndarray]:
    """Name the observed variables of data sets: ([dataset], trial), NaN beyond the last trial of a data set."""
    if source.describe is None:
        found = _subjects.observed(x, source.columns)
    else:
        listed = [source.describe(one) for one in x]
        rows = [np.stack(list(one.values()), axis=1) for one in listed]
        found = _subjects.observed(rows, tuple(listed[0]))
    return found if many else {name: value[0] for name, value in found.items()}


def _by_nuts(
    likelihood: Likelihood, x: Sequence[np.ndarray], *, space: Space, settings: _nuts.Settings, seed: int,
    many: bool,
) -> _nuts.Result:  # fmt: skip
    """Run NUTS on one data set, or on many."""
    if many:
        return _nuts_many.run(likelihood, x, space=space, settings=settings, seed=seed)
    return _nuts.run(likelihood, x[0], space=space, settings=settings, seed=seed)


def _several_modes(likelihood: Likelihood, x: Sequence[np.ndarray]) -> bool:
    """Tell whether posteriors may have several modes, and are small enough for particles to find them."""
    few = len(likelihood.parameters) <= _smc.MOST_PARAMETERS and max(map(len, x)) <= _smc.MOST_TRIALS
    return few and likelihood.several_modes


def _by_smc(
    likelihood: Likelihood, x: Sequence[np.ndarray], *, space: Space, settings: _nuts.Settings, seed: int, many: bool
) -> _Found:
    """Run particles on every data set; draws of number i depend on the seed and i alone."""
    draws = settings.draws * settings.chains

    def one(i: int) -> _smc.Sampled:
        with _subjects.named(i) if many else nullcontext():
            return _smc.sample(likelihood, x[i], space=space, draws=draws, seed=seeds.derive(seed, f"data set {i}"))

    found = _each(one, len(x))
    result = _shaped(_result(likelihood, found, settings=settings), many=many)
    steps = _smc.steps(found)
    steps = {name: value if many else value[0] for name, value in steps.items()}
    verdicts = [_smc.verdict(one) for one in found]
    attributes = {name: [one[name] for one in verdicts] if many else verdicts[0][name] for name in verdicts[0]}
    result = _nuts.Result(theta=result.theta, statistics=result.statistics, steps=steps)
    return result, {**attributes, "sampler": ["smc"] * len(x) if many else "smc"}


def _each(one: Callable[[int], Any], n: int) -> list[Any]:
    """Do the data sets 0 to n - 1, some at a time."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(one, range(n)))


def _by_importance(
    likelihood: Likelihood, x: Sequence[np.ndarray], *, space: Space, settings: _nuts.Settings, seed: int
) -> list[_importance.Corrected]:
    """Run importance sampling on every data set, some at a time; draws of number i depend on the seed and i alone."""
    draws = settings.draws * settings.chains

    def one(i: int) -> _importance.Corrected:
        with _subjects.named(i) if len(x) > 1 else nullcontext():
            return _importance.sample(
                likelihood, x[i], space=space, draws=draws, seed=seeds.derive(seed, f"data set {i}")
            )

    return _each(one, len(x))


def _result(
    likelihood: Likelihood, found: Sequence[_importance.Corrected] | Sequence[_smc.Sampled], *, settings: _nuts.Settings
) -> _nuts.Result:
    """Put the draws of all data sets into arrays (chain, draw, dataset)."""
    shape = (settings.chains, settings.draws, len(found))
    theta = np.stack([one.theta for one in found], axis=1)
    lp = np.stack([one.lp for one in found], axis=1)
    return _nuts.Result(
        theta={name: theta[..., i].reshape(shape) for i, name in enumerate(likelihood.parameter_names)},
        statistics={"lp": lp.reshape(shape)},
    )


def _shaped(result: _nuts.Result, *, many: bool) -> _nuts.Result:
    """Drop the dimension of data sets where there is one only."""
    if many:
        return result
    return _nuts.Result(
        theta={name: value[..., 0] for name, value in result.theta.items()},
        statistics={name: value[..., 0] for name, value in result.statistics.items()},
    )


def _attributes(found: Sequence[_importance.Corrected], *, doubtful: Sequence[int], many: bool) -> dict[str, Any]:
    """Say what the weights are like, and which data sets NUTS sampled in the end."""
    numbers = {name: [float(vars(one)[name]) for one in found] for name in ("pareto_k", "efficiency", "effective")}
    sampler = ["nuts" if i in doubtful else "importance" for i in range(len(found))]
    words = {"verdict": _importance.verdict(found, by_nuts=doubtful)}
    if many:
        return {**numbers, **words, "sampler": sampler}
    return {**{name: value[0] for name, value in numbers.items()}, **words, "sampler": sampler[0]}
