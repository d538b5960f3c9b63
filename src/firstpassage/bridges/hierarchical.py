"""Many subjects in one PyMC model: each parameter by a mixed-model formula, on a link scale that keeps its box."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

import pandas as pd
import pymc as pm
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges import _cells, _design, _effects, _omitted
from firstpassage.bridges.pymc import observe, priors
from firstpassage.errors import DataError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import lapses as _lapses

Missing = Literal["error", "drop"]


def hierarchical(
    likelihood: Likelihood,
    data: pd.DataFrame,
    *,
    formulas: Mapping[str, str],
    priors: Mapping[str, TensorVariable] | None = None,
    centered: bool | Collection[str] = False,
    missing: Missing = "error",
    lapses: bool | float = False,
) -> pm.Model:
    """Make a PyMC model of many subjects, in which formulas say what each parameter depends on.

    On the link scale a parameter is a sum of common effects and effects of groups, which are independent of each
    other. The parameter itself is ``low + (high - low) / (1 + exp(-sum))`` between the ends of its box, or nearer ends
    that the data of the same groups imply: t stays below the fastest rt of each subject where its formula has effects
    of subjects, below the fastest of all where it has none. No value of a coefficient leaves them.

    Variables are named as in Bambi and HSSM: ``v_Intercept``, ``v_conf``, ``v_1|participant_id``,
    ``v_1|participant_id_sigma``; groups and levels are coords. ``v`` is the parameter itself, in its own unit, for
    every combination of groups and conditions (columns of labels, or of up to eight numbers), at the mean of other
    regressors.

    Priors, unless given: intercepts have the parameter's own prior, which is uniform between the ends if it has none;
    other coefficients are Normal(0, 1 / sd of the column), where columns that mark trials count as of sd 1; sds of
    groups are LogNormal(log .4, .8), over the sd of the column.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned, of a model in which a trial is a row.
    data : DataFrame
        The trials of all subjects, one in each row, with the columns that the formulas name.
    formulas : mapping of str to str
        For a parameter the right-hand side of a formula, such as ``"1 + conf + (1 + conf | participant_id)"``.
        Parameters left out have one value, with the prior that `priors` makes, named as the parameter.
    priors : mapping of str to TensorVariable, optional
        Distributions made by ``.dist()``, such as ``{"v_Intercept": pm.Normal.dist(0, 1)}``, of coefficients, of sds,
        and of parameters left out (cut to the box).
    centered : bool or collection of str
        Whether groups have values of their own around the common ones (centred), rather than standard scores times the
        sd (non-centred). Or the names of those that have: parameters, or effects such as ``"v_1|participant_id"``. With
        a hundred trials or more for each subject the centred form mixes several times better.
    missing : {"error", "drop"}
        Refuse NaN and -999 in observed variables and regressors; or leave these trials out, with a warning.
    lapses : bool or float
        Mix with lapses, by `lapses`: True, or the longest rt of a lapse in seconds.

    Returns
    -------
    pymc.Model
        With the trials as ``"obs"``. Sample it by ``with model: pm.sample(nuts_sampler="nutpie")``.

    Raises
    ------
    DataError
        If a column is missing, values are, a group has no trials, or the data allow no value of a parameter.
    ModelError
        If a formula, a name, a prior or the likelihood cannot be used.

    References
    ----------
    Papaspiliopoulos, Roberts and Skoeld (2007), A general framework for the parametrization of hierarchical models,
    Statistical Science 22, 59-73.

    Examples
    --------
    >>> import firstpassage as fp, pandas as pd
    >>> table = pd.DataFrame({"rt": [0.8, 0.6, 0.9, 0.7], "response": [1, -1, 1, 1], "participant_id": [1, 1, 2, 2]})
    >>> formulas = {"v": "1 + (1 | participant_id)", "t": "1"}
    >>> model = fp.hierarchical(fp.ddm().exact, table, formulas=formulas)
    >>> [one.name for one in model.free_RVs][2:5]
    ['v_Intercept', 'v_1|participant_id_sigma', 'v_1|participant_id_offset']
    """
    mixed = _likelihood(likelihood, lapses)
    parsed = _formulas(mixed, formulas)
    table = _table(mixed, data, parsed, missing=missing)
    x = mixed.read(table[list(mixed.columns)])
    designs = [_design.evaluate(one, table) for one in parsed]
    given = {} if priors is None else priors
    alone = tuple(name for name in mixed.parameter_names if name not in formulas)
    _effects.check_priors(given, (*(name for one in designs for name in _effects.names(one)), *alone))
    apart = _centered(centered, designs)
    by_name = {one.name: one for one in mixed.parameters}
    made = [_cells.make(one, table, _cells.ends(mixed, x, one)) for one in designs]
    with pm.Model() as model:
        theta = _alone(mixed, x, alone, given)
        for design, cells in zip(designs, made, strict=True):
            theta[design.parameter] = _effects.Maker(
                parameter=by_name[design.parameter], design=design, cells=cells, priors=given, centered=apart
            ).make()
        observe("obs", mixed, observed=x, **theta)
    return model


def _likelihood(likelihood: Any, lapses: bool | float) -> Likelihood:
    """Check that trials are rows, and mix with lapses."""
    if not isinstance(likelihood, Likelihood):
        raise ModelError(
            f"hierarchical takes a Likelihood; got a {type(likelihood).__qualname__}. Pass model.exact, or what .fit, "
            "fp.load or fp.pretrained return."
        )
    if likelihood.table is not None or likelihood.joint is not None:
        raise ModelError(
            f"formulas are for models in which a trial is a row, with a prior for each parameter; got the "
            f"{likelihood.kind} likelihood of {likelihood.model}, a trial of which is a {likelihood.trial}. Write its "
            "hierarchy with pm.Model and fp.observe, and match regressors by likelihood.trials(data)."
        )
    if lapses is False:
        return likelihood
    return _lapses.lapses(likelihood) if lapses is True else _lapses.lapses(likelihood, longest=lapses)


def _formulas(likelihood: Likelihood, formulas: Any) -> list[_design.Formula]:
    """Parse the formulas, in the order of the parameters."""
    if not isinstance(formulas, Mapping):
        raise ModelError(
            f"formulas must map parameters to formulas, such as {{'v': '1 + (1 | participant_id)'}}; got "
            f"{type(formulas).__name__}."
        )
    unknown = [name for name in formulas if name not in likelihood.parameter_names]
    if unknown:
        raise ModelError(
            f"formulas are for the parameters {', '.join(likelihood.parameter_names)}; got one for "
            f"{', '.join(map(repr, unknown))}. For p_outlier pass lapses=True."
        )
    return [_design.parse(name, formulas[name]) for name in likelihood.parameter_names if name in formulas]


def _table(likelihood: Likelihood, data: Any, formulas: list[_design.Formula], *, missing: Missing) -> pd.DataFrame:
    """Choose the columns, and leave trials with missing values out if that is asked for."""
    if missing not in get_args(Missing):
        raise ModelError(f"missing must be one of {', '.join(get_args(Missing))}; got {missing!r}.")
    if not isinstance(data, pd.DataFrame):
        raise DataError(
            f"data must be a DataFrame with the trials of all subjects; got a {type(data).__name__}. Put observed "
            "variables, regressors and subjects into the columns of one."
        )
    needed = dict.fromkeys([*likelihood.columns, *(name for one in formulas for name in one.columns)])
    known = [str(name) for name in data.columns]
    for name in needed:
        if known.count(name) != 1:
            raise DataError(
                f"data must have one column {name!r}; got {known.count(name)} among {', '.join(known)}. Correct the "
                "formulas, or rename the column."
            )
    clash = set(needed) & set(likelihood.parameter_names)
    if clash:
        raise DataError(f"a column must not be called as a parameter is; got {', '.join(sorted(clash))}. Rename it.")
    factors = dict.fromkeys(name for one in formulas for name in one.factors)
    return _omitted.complete(data, columns=tuple(needed), factors=tuple(factors), drop=missing == "drop")


def _centered(centered: Any, designs: list[_design.Design]) -> frozenset[str]:
    """Check the names of what is centred."""
    known = {one.parameter for one in designs}
    known |= {_effects.effect(one, group) for one in designs for group in one.groups}
    if isinstance(centered, bool):
        return frozenset(known if centered else ())
    if isinstance(centered, str) or not isinstance(centered, Collection) or not set(centered) <= known:
        raise ModelError(
            f"centered must be True, False or a set of names among {', '.join(sorted(known))}; got {centered!r}."
        )
    return frozenset(centered)


def _alone(
    likelihood: Likelihood, x: Any, names: tuple[str, ...], given: Mapping[str, TensorVariable]
) -> dict[str, TensorVariable]:
    """Make the parameters without a formula: one value each, where all data have a density."""
    support = likelihood.support(x)
    theta = {}
    for name in names:
        if name not in given:
            continue
        low, high = support[name]
        try:
            cut = pm.Truncated.dist(given[name], lower=low, upper=high)
        except NotImplementedError:
            raise ModelError(
                f"the prior of {name} must be one that PyMC can cut to [{low:.4g}, {high:.4g}]; got {given[name]}. "
                f"Give {name} the formula '1', and a prior to {name}_Intercept."
            ) from None
        theta[name] = _effects.register(name, cut, shape=(), dims=())
    rest = tuple(name for name in names if name not in given)
    within = tuple(dataclasses.replace(one, bounds=support[one.name]) for one in likelihood.parameters)
    made = priors(dataclasses.replace(likelihood, parameters=within), *rest) if rest else ()
    return theta | dict(zip(rest, made, strict=True))
