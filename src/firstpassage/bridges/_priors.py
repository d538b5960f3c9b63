"""Priors of the model's parameters as PyMC variables, cut to the box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from firstpassage._pymc_priors import PyMCPrior
from firstpassage.bridges._below import Below
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.joint import Conditional, Joint
from firstpassage.models.parameter import Parameter

_Bounds = tuple[float, float]

# NumPyro's class -> the PyMC class, its arguments, and the support.
_FAMILIES: dict[str, tuple[str, Callable[[Any], dict[str, Any]], _Bounds]] = {
    "Normal": ("Normal", lambda d: {"mu": d.loc, "sigma": d.scale}, (-np.inf, np.inf)),
    "HalfNormal": ("HalfNormal", lambda d: {"sigma": d.scale}, (0.0, np.inf)),
    "LogNormal": ("LogNormal", lambda d: {"mu": d.loc, "sigma": d.scale}, (0.0, np.inf)),
    "Gamma": ("Gamma", lambda d: {"alpha": d.concentration, "beta": d.rate}, (0.0, np.inf)),
    "Beta": ("Beta", lambda d: {"alpha": d.concentration1, "beta": d.concentration0}, (0.0, 1.0)),
    "Exponential": ("Exponential", lambda d: {"lam": d.rate}, (0.0, np.inf)),
}
_LOGARITHMIC = "LogUniform"  # made of the logarithm, which is uniform: PyMC has no such family
_CLIPPED = ("ClippedLogNormal",)  # families with atoms, made of a standard normal
_TRUNCATED = ("TwoSidedTruncatedDistribution", "LeftTruncatedDistribution", "RightTruncatedDistribution")


def make(
    likelihood: Likelihood, names: tuple[str, ...], *, dims: tuple[str, ...] | None = None
) -> tuple[TensorVariable, ...]:
    """Register one variable for each parameter, in the order asked.

    Parameters
    ----------
    likelihood : Likelihood
        Whose parameters say box and prior.
    names : tuple of str
        Which parameters, each once.
    dims : tuple of str, optional
        Dimensions of every variable.

    Returns
    -------
    tuple of TensorVariable
        The variables, named as the parameters.

    Raises
    ------
    ModelError
        If a prior has no counterpart in PyMC, or misses the box, or a joint prior is asked for a parameter without the
        one below which it stays.
    """
    if likelihood.dependent is not None:
        raise ModelError(
            f"{likelihood.model} has a joint prior of its own, which cannot be made of PyMC variables one by one. "
            "Write it with PyMC, inside the model."
        )
    if likelihood.joint is not None:
        made = _jointly(likelihood.joint, names)
        return tuple(made[name] for name in names)
    by_name = {p.name: p for p in likelihood.parameters}
    return tuple(register(by_name[name], dims) for name in names)


def registered(likelihood: Likelihood, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the variables that `make` registers.

    Parameters
    ----------
    likelihood, names
        As for `make`.

    Returns
    -------
    tuple of str
        The parameters, the standard scores behind clipped ones, and the logarithms behind log-uniform ones.
    """
    logarithms = [_logarithm(p) for p in likelihood.parameters if p.name in names and _is_logarithmic(p)]
    drawn = () if likelihood.joint is None else likelihood.joint.conditionals
    clipped = [c for c in drawn if c.family in _CLIPPED and c.name in names]
    return (*names, *(_score(c) for c in clipped), *logarithms)


def _jointly(joint: Joint, names: tuple[str, ...]) -> dict[str, TensorVariable]:
    """Register parameters of a joint prior, each given those drawn before it."""
    if not {c.below for c in joint.conditionals if c.name in names} - {None} <= set(names):
        raise ModelError(
            f"the prior of {', '.join(joint.names)} is a joint one: bounds depend on other parameters, so that some of "
            f"them alone ({', '.join(names)}) have none. Name also those that they stay below, or leave the names out."
        )
    made: dict[str, TensorVariable] = {}
    for c in (one for one in joint.conditionals if one.name in names):
        if c.family in _CLIPPED:
            value = pt.clip(pt.exp(c.location + c.scale * pm.Normal(_score(c), 0.0, 1.0)), c.lower, c.upper)
            made[c.name] = pm.Deterministic(c.name, value)
            continue
        if c.below is None:
            made[c.name] = pm.TruncatedNormal(c.name, c.location, c.scale, lower=c.lower, upper=c.upper)
            continue
        upper = pt.minimum(c.upper, made[c.below] - c.gap)
        made[c.name] = pm.TruncatedNormal(
            c.name, c.location, c.scale, lower=c.lower, upper=upper, default_transform=Below()
        )
    return made


def _score(conditional: Conditional) -> str:
    """Name the standard score behind a clipped parameter."""
    return f"z_{conditional.name}"


def _is_logarithmic(parameter: Parameter) -> bool:
    """Tell whether a parameter is made of its logarithm."""
    return type(parameter.prior).__name__ == _LOGARITHMIC


def _logarithm(parameter: Parameter) -> str:
    """Name the logarithm behind a log-uniform parameter."""
    return f"log_{parameter.name}"


def register(parameter: Parameter, dims: tuple[str, ...] | None) -> TensorVariable:
    """Register one parameter.

    Parameters
    ----------
    parameter : Parameter
        Its name is the variable's.
    dims : tuple of str, optional
        Dimensions of the variable.

    Returns
    -------
    TensorVariable
        Inside the bounds.

    Raises
    ------
    ModelError
        If the prior has no counterpart in PyMC, or misses the bounds.
    """
    if isinstance(parameter.prior, PyMCPrior):
        return _own(parameter, parameter.prior, dims)
    family, arguments, support = _translate(parameter)
    low, high = _overlap(parameter, support)
    if family == "Uniform":
        return pm.Uniform(parameter.name, low, high, dims=dims)
    if family == _LOGARITHMIC:
        logarithm = pm.Uniform(_logarithm(parameter), np.log(low), np.log(high), dims=dims)
        return pm.Deterministic(parameter.name, pt.exp(logarithm), dims=dims)
    if family == "Normal":
        return pm.TruncatedNormal(parameter.name, **arguments, lower=low, upper=high, dims=dims)
    distribution = getattr(pm, family)
    if (low, high) == support:
        return distribution(parameter.name, **arguments, dims=dims)
    return pm.Truncated(parameter.name, distribution.dist(**arguments), lower=low, upper=high, dims=dims)


def _overlap(parameter: Parameter, support: _Bounds) -> _Bounds:
    """Intersect the box with the support of a prior."""
    low, high = max(support[0], parameter.bounds[0]), min(support[1], parameter.bounds[1])
    if low >= high:
        raise ModelError(
            f"the prior of {parameter.name} lives on [{support[0]:g}, {support[1]:g}], which misses its box "
            f"{parameter.bounds}. Choose a prior that overlaps it."
        )
    return low, high


def _own(parameter: Parameter, prior: PyMCPrior, dims: tuple[str, ...] | None) -> TensorVariable:
    """Register a prior that was written with PyMC."""
    low, high = _overlap(parameter, prior.support)
    try:
        return pm.Truncated(parameter.name, prior.variable, lower=low, upper=high, dims=dims)
    except (NotImplementedError, ValueError) as error:
        raise ModelError(
            f"the prior of {parameter.name} must be one that PyMC can cut to its box {parameter.bounds}; got "
            f"{prior.variable.owner.op}: {error}. Write this prior with PyMC inside the model."
        ) from error


def _translate(parameter: Parameter) -> tuple[str, dict[str, float], _Bounds]:
    """Find PyMC's family, its arguments and the support of a NumPyro distribution; None is uniform."""
    prior = parameter.prior
    kind = type(prior).__name__
    if prior is None:
        return "Uniform", {}, parameter.bounds
    if not type(prior).__module__.startswith("numpyro.") or prior.batch_shape or prior.event_shape:
        raise ModelError(_unknown(parameter))
    if kind in ("Uniform", _LOGARITHMIC):
        return kind, {}, (float(prior.low), float(prior.high))
    if kind in _TRUNCATED and type(prior.base_dist).__name__ == "Normal":
        low = -np.inf if kind.startswith("Right") else float(prior.low)
        high = np.inf if kind.startswith("Left") else float(prior.high)
        return (
            "Normal",
            {"mu": float(prior.base_dist.loc), "sigma": float(prior.base_dist.scale)},
            (low, high),
        )
    if kind not in _FAMILIES:
        raise ModelError(_unknown(parameter))
    family, arguments, support = _FAMILIES[kind]
    return family, {name: float(value) for name, value in arguments(prior).items()}, support


def _unknown(parameter: Parameter) -> str:
    """Say which priors can be translated."""
    return (
        f"the prior of {parameter.name} must be None or one scalar NumPyro Uniform, LogUniform, TruncatedNormal, "
        f"{', '.join(_FAMILIES)} to be made in PyMC; got {parameter.prior!r}. Write this prior with PyMC "
        "yourself."
    )
