"""Correct what PyMC sampled under a quick likelihood by an exact one.

Priors, links, regressions and hierarchies are the same under both, so that a draw's weight is the ratio of the two
likelihoods alone, each at the draw's parameters of every trial.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25: weights, k and its limits.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from firstpassage import _weights, seeds
from firstpassage.bridges._variable import TrialsRV
from firstpassage.errors import DataError, ModelError, SamplingWarning
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    import xarray as xr

_BLOCK = 256  # draws of which all trials' parameters are in memory at once
_KEPT = ("posterior", "posterior_predictive", "observed_data", "constant_data")
_FEWEST = 100  # draws, for a tail of weights that can be judged


def correct(draws: xr.DataTree, model: pm.Model, *, exact: Likelihood, seed: int) -> xr.DataTree:
    """Weigh the draws of a PyMC model by the exact likelihood over the one it has, and resample them.

    Parameters
    ----------
    draws : DataTree
        What ``pm.sample`` returned, with the group posterior: at least 100 draws.
    model : pymc.Model
        The model that was sampled. All its observed variables are made by `observe`, of any kind.
    exact : Likelihood
        The exact likelihood of the same model and box, such as ``fp.foraging().exact``.
    seed : int
        From 0 to 2**63 - 1.

    Returns
    -------
    DataTree
        posterior (and posterior_predictive, observed_data, constant_data where there are such) of the same shape. The
        draws keep their order, so that ESS and R-hat mean what they did. ``.attrs`` hold pareto_k, efficiency (the
        share of the draws that the weights leave), effective (their number), correct and verdict.

    Raises
    ------
    DataError
        If the draws are too few, or were made with other data.
    ModelError
        If the model has no observed variable of `observe`, or others beside; if the exact likelihood is of another
        model or box; or if the draws are not those of this model.

    Warns
    -----
    SamplingWarning
        If Pareto k is above .7: then the draws cannot be trusted.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024).

    Examples
    --------
    >>> import arviz as az, firstpassage as fp, numpy as np, pymc as pm
    >>> foraging, visit = fp.foraging(), [[0.8, 1, 1], [1.7, 0, 1], [2.4, 0, 0]]
    >>> with pm.Model() as model:
    ...     rest = dict(reward_bump=-0.2, failure_bump=0.3, noise_std=0.2)
    ...     drift = pm.Uniform("drift", 0.3, 0.4)
    ...     obs = fp.observe("obs", foraging.approximate, drift_rate=drift, observed=visit, **rest)
    >>> draws = az.from_dict({"posterior": {"drift": np.linspace(0.3, 0.4, 100)[None]}})  # in earnest by pm.sample
    >>> fp.correct(draws, model, exact=foraging.exact, seed=1).attrs["verdict"]
    'corrected by the exact likelihood: Pareto k 0.00, efficiency 100%.'
    """
    seeds.check(seed)
    observed = _observed(model, exact)
    values = _values(draws, model)
    for rv in observed:
        _check_data(draws, rv.name, _trials(model, rv))
    log_weight = sum(_log_ratio(model, rv, values, exact=exact) for rv in observed)
    weight, k = _weights.smoothed(np.asarray(log_weight))
    effective = _weights.effective(weight) if np.isfinite(k) else 0.0
    rows = np.sort(_weights.systematic(weight, len(weight), seeds.generator(seed, "resampling")))
    found = _resampled(draws, rows)
    efficiency = effective / len(weight)
    found.attrs.update(
        pareto_k=k, efficiency=efficiency, effective=effective, correct="exact", verdict=_verdict(k, efficiency)
    )
    if not k <= _weights.TRUSTED:
        warnings.warn(found.attrs["verdict"], SamplingWarning, stacklevel=2)
    return found


def _verdict(k: float, efficiency: float) -> str:
    """Say in one sentence whether the draws may be used."""
    if k <= _weights.TRUSTED:
        return f"corrected by the exact likelihood: Pareto k {k:.2f}, efficiency {efficiency:.0%}."
    return f"NOT to be trusted: Pareto k {k:.2f}, needs <= {_weights.TRUSTED}; sample the exact likelihood by NUTS."


def _observed(model: Any, exact: Any) -> list[TensorVariable]:
    """List the observed variables, each of which the exact likelihood must fit."""
    if not isinstance(model, pm.Model):
        raise ModelError(f"model must be the pymc.Model that was sampled; got {model!r}. Pass correct(draws, model).")
    if not isinstance(exact, Likelihood) or exact.kind != "exact":
        got = f"one of kind {exact.kind!r}" if isinstance(exact, Likelihood) else repr(exact)
        raise ModelError(f"exact must be an exact likelihood; got {got}. Pass for example fp.foraging().exact.")
    own = [rv for rv in model.observed_RVs if isinstance(rv.owner.op, TrialsRV)]
    if not own or len(own) != len(model.observed_RVs):
        raise ModelError(
            f"all observed variables of the model must be made by observe; got {len(own)} of "
            f"{len(model.observed_RVs)}. Correct a model of which each is."
        )
    for rv in own:
        likelihood = rv.owner.op.likelihood
        if (likelihood.model, likelihood.box) != (exact.model, exact.box):
            raise ModelError(
                f"exact must be of the model and box of {rv.name!r}, {likelihood.model} with {likelihood.box}; got "
                f"{exact.model} with {exact.box}. Make both by one model, or with the same bounds."
            )
    return own


def _values(draws: Any, model: pm.Model) -> list[np.ndarray]:
    """Take the draws (draw, ...) of every free variable."""
    try:
        posterior = draws["posterior"].dataset
        found = [posterior[rv.name].transpose("chain", "draw", ...).to_numpy() for rv in model.free_RVs]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            "draws must be what pm.sample returned for this model, with the draws of "
            f"{', '.join(rv.name for rv in model.free_RVs)} in the group posterior; got {type(draws).__name__} "
            f"({error}). Pass the model that was sampled."
        ) from None
    for rv, values in zip(model.free_RVs, found, strict=True):
        wanted = rv.type.shape
        shape = values.shape[2:]
        if len(shape) != len(wanted) or any(n not in (None, m) for n, m in zip(wanted, shape, strict=True)):
            raise ModelError(
                f"the draws are not of this model: {rv.name} has shape {shape} instead of {wanted}. Pass the model "
                "that was sampled."
            )
    flat = [values.reshape(-1, *values.shape[2:]) for values in found]
    if not flat or len(flat[0]) < _FEWEST:
        got = f"{len(flat[0])} draws" if flat else "a model without free variables"
        raise DataError(f"a correction needs at least {_FEWEST} draws; got {got}. Sample more.")
    return flat


def _trials(model: pm.Model, rv: TensorVariable) -> np.ndarray:
    """Give the data of an observed variable."""
    value = model.rvs_to_values[rv]
    return np.asarray(value.get_value() if isinstance(value, SharedVariable) else value.data, dtype=np.float64)


def _check_data(draws: xr.DataTree, name: str, x: np.ndarray) -> None:
    """Refuse draws that were made with other data, as far as they tell."""
    known = draws["observed_data"].dataset if "observed_data" in draws.children else {}
    if name in known and not np.array_equal(known[name].to_numpy(), x):
        raise DataError(
            f"the draws were made with other data than {name!r} has in this model: shape {known[name].shape} there, "
            f"{x.shape} here, or other values. Pass the model that was sampled, with its data."
        )


def _log_ratio(model: pm.Model, rv: TensorVariable, values: Sequence[np.ndarray], *, exact: Likelihood) -> np.ndarray:
    """Sum the exact minus the model's own log likelihood over the trials, for every draw."""
    likelihood, x = rv.owner.op.likelihood, _trials(model, rv)
    parameters = pytensor.function(
        model.free_RVs, list(rv.owner.op.dist_params(rv.owner)), mode=Mode(linker="py", optimizer="fast_compile"),
        on_unused_input="ignore", allow_input_downcast=True,
    )  # fmt: skip

    alone = Lock()  # a function of PyTensor is not to be called from two threads

    def summed(first: int) -> tuple[np.ndarray, np.ndarray]:
        with alone:
            rows = [parameters(*row) for row in zip(*(one[first : first + _BLOCK] for one in values), strict=True)]
        columns = zip(exact.parameter_names, zip(*rows, strict=True), strict=True)
        theta = {name: _stacked(column) for name, column in columns}
        return exact.summed(x, theta), np.where(_inside(exact, theta), likelihood.summed(x, theta), -np.inf)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(summed, range(0, len(values[0]), _BLOCK)))
    right, own = (np.concatenate(some) for some in zip(*parts, strict=True))
    if not np.isfinite(own).all():
        raise ModelError(
            f"the draws are not of this model: {np.sum(~np.isfinite(own))} of {len(own)} are impossible under the "
            f"{likelihood.kind} likelihood of {rv.name!r}. Pass the model that was sampled."
        )
    return right - own


def _inside(likelihood: Likelihood, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """Tell which draws lie in the box, at all trials."""
    found = [(low <= theta[name]) & (theta[name] <= high) for name, (low, high) in likelihood.box.items()]
    return np.logical_and.reduce([one.reshape(len(one), -1).all(axis=1) for one in found])


def _stacked(values: Sequence[np.ndarray]) -> np.ndarray:
    """Put a parameter's draws together: (draw,), or (draw, trial)."""
    found = np.stack(values).astype(np.float64)
    return found[:, 0] if found.ndim > 1 and found.shape[1] == 1 else found


def _resampled(draws: xr.DataTree, rows: np.ndarray) -> xr.DataTree:
    """Take these draws, in this order, in place of all; leave out what was found out about them one by one."""
    import xarray as xr

    shape: Mapping[Any, int] = draws["posterior"].dataset.sizes
    chain, draw = (xr.DataArray(one.reshape(shape["chain"], shape["draw"]), dims=("chain", "draw"))
                   for one in np.divmod(rows, shape["draw"]))  # fmt: skip
    groups = {}
    for name in _KEPT:
        if name not in draws.children:
            continue
        group = draws[name].dataset
        if {"chain", "draw"} <= set(group.dims):
            coords = {one: group[one] for one in ("chain", "draw") if one in group.coords}
            group = group.drop_vars(list(coords)).isel(chain=chain, draw=draw).assign_coords(coords)
        groups[name] = group
    return xr.DataTree.from_dict(groups)
