"""Coefficients of mixed-model designs as PyMC variables, and the parameters that they make.

On the link scale a parameter is the sum of common and groups' effects; the parameter itself is a logistic function of
that between its ends, so that no value of a coefficient leaves them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.shape_utils import change_dist_size
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges import _priors
from firstpassage.bridges._cells import Cells, Rows
from firstpassage.bridges._design import INTERCEPT, Design, Group, Term
from firstpassage.errors import ModelError
from firstpassage.models.parameter import Parameter

_SPREAD = (0.4, 0.8)  # of a group sd on the link scale: median, and sd of its logarithm
_MARGIN = 1e-9  # of the width, beyond the ends of a prior, so that its ends are finite on the link scale
_PROBES = 200  # draws of a prior, to see whether it is one of positive numbers

Priors = Mapping[str, Any]


def names(design: Design) -> tuple[str, ...]:
    """Name the variables that can be given a prior: common coefficients, and sds of groups.

    Parameters
    ----------
    design : Design
        Of one parameter.

    Returns
    -------
    tuple of str
        As ``v_Intercept``, ``v_conf``, ``v_1|participant_id_sigma``.
    """
    common = (f"{design.parameter}_{term.name}" for term in design.common)
    return (*common, *(f"{effect(design, group)}_sigma" for group in design.groups))


def effect(design: Design, group: Group) -> str:
    """Name the effects of a group.

    Parameters
    ----------
    design : Design
        Of one parameter.
    group : Group
        One of its groups.

    Returns
    -------
    str
        As ``v_1|participant_id``.
    """
    expression = "1" if group.term.name == INTERCEPT else group.term.name
    return f"{design.parameter}_{expression}|{group.factor}"


def check_priors(given: Priors, settable: tuple[str, ...]) -> None:
    """Refuse priors of unknown variables, and what is no distribution.

    Parameters
    ----------
    given : mapping of str to TensorVariable
        Made by ``.dist()``.
    settable : tuple of str
        Names of the variables that can have one.

    Raises
    ------
    ModelError
        If a name or a prior cannot be used.
    """
    if not isinstance(given, Mapping) or not set(given) <= set(settable):
        wrong = sorted(set(given) - set(settable)) if isinstance(given, Mapping) else type(given).__name__
        raise ModelError(f"priors must map names among {', '.join(settable)}; got {wrong}. See the variables' names.")
    for name, prior in given.items():
        made = isinstance(prior, TensorVariable) and prior.owner is not None
        if not made or not isinstance(prior.owner.op, (RandomVariable, SymbolicRandomVariable)):
            raise ModelError(
                f"the prior of {name} must be a PyMC distribution without a name, such as pm.Normal.dist(0, 1); got "
                f"{prior!r:.80}."
            )
        if name.endswith("_sigma") and (pm.draw(prior, _PROBES, random_seed=0) <= 0).any():
            raise ModelError(f"the prior of {name}, a spread, must be one of positive numbers, such as a LogNormal.")


def register(name: str, prior: TensorVariable, *, shape: tuple[int, ...], dims: tuple[str, ...]) -> TensorVariable:
    """Put a given prior into the PyMC model around.

    Parameters
    ----------
    name : str
        Of the variable.
    prior : TensorVariable
        Made by ``.dist()``: of the right shape, or a single number that is repeated.
    shape : tuple of int
        Of the variable.
    dims : tuple of str
        Its dimensions.

    Returns
    -------
    TensorVariable
        The free variable.

    Raises
    ------
    ModelError
        If the prior has another shape.
    """
    own = tuple(int(n) for n in prior.shape.eval())
    if own not in ((), shape):
        raise ModelError(f"the prior of {name} must be one of shape () or {shape}; got shape {own}. Leave shape= out.")
    sized = change_dist_size(prior, shape) if prior.ndim == 0 else prior
    return pm.modelcontext(None).register_rv(sized, name, dims=dims or None)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Maker:
    """Make the variables of one parameter.

    Parameters
    ----------
    parameter : Parameter
        Its prior is that of intercepts.
    design : Design
        Its formula, evaluated.
    cells : Cells
        Where it is computed.
    priors : mapping of str to TensorVariable
        Priors that were given.
    centered : frozenset of str
        Parameters or effects of groups whose groups have values of their own, instead of standard scores.
    """

    parameter: Parameter
    design: Design
    cells: Cells
    priors: Priors
    centered: frozenset[str]

    def make(self) -> TensorVariable:
        """Register all, and give the parameter for the trials.

        Returns
        -------
        TensorVariable, shape () or (trial,)
            Between its ends; a single number if all trials share it.
        """
        model, name = pm.modelcontext(None), self.parameter.name
        common = {term.name: self._common(term) for term in self.design.common}
        groups = [self._group(group, common.get(group.term.name)) for group in self.design.groups]
        for dim, labels in self.cells.coords.items():
            model.add_coord(dim, labels)
        shape = tuple(len(self.cells.coords[dim]) for dim in self.cells.dims)
        values = self._values(self.cells.rows, common, groups)
        shown = values if self.cells.reported is None else self._values(self.cells.reported, common, groups)
        reported = pm.Deterministic(name, shown.reshape(shape), dims=self.cells.dims or None)
        if self.cells.reported is None and not shape:
            return reported
        return values[self.cells.row_of_trial]

    def _common(self, term: Term) -> TensorVariable:
        """Register the coefficients of a common term."""
        name = f"{self.parameter.name}_{term.name}"
        dims = self._dims(term)
        if name in self.priors:
            return register(name, self.priors[name], shape=term.scale.shape, dims=dims)
        if not term.levels:
            return pm.Normal(name, 0.0, 1.0 / term.scale, dims=dims or None)
        if self.parameter.prior is None:
            return pm.Logistic(name, 0.0, 1.0, dims=dims or None)
        low, high = float(self.cells.rows.low.min()), float(self.cells.rows.high.max())
        own = dataclasses.replace(self.parameter, name=f"{name}_value", bounds=(low, high))
        value, margin = _priors.register(own, dims or None), _MARGIN * (high - low)
        line = pt.log(value - low + margin) - pt.log(high - value + margin)
        return pm.Deterministic(name, line, dims=dims or None)

    def _group(self, group: Group, common: TensorVariable | None) -> TensorVariable:
        """Register the effects of a factor's groups on a term: (group,) or (group, column)."""
        name, inner = effect(self.design, group), self._dims(group.term)
        pm.modelcontext(None).add_coord(group.factor, list(group.labels))
        dims, sigma = (group.factor, *inner), f"{name}_sigma"
        if sigma in self.priors:
            spread = register(sigma, self.priors[sigma], shape=group.term.scale.shape, dims=inner)
        else:
            middle = math.log(_SPREAD[0]) - np.log(group.term.scale)
            spread = pm.LogNormal(sigma, middle, _SPREAD[1], dims=inner or None)
        if not {name, self.parameter.name} & self.centered:
            return pm.Deterministic(name, pm.Normal(f"{name}_offset", 0.0, 1.0, dims=dims) * spread, dims=dims)
        centre = pt.constant(0.0) if common is None or not self._shares(group) else common
        return pm.Deterministic(name, pm.Normal(f"{name}_value", centre, spread, dims=dims) - centre, dims=dims)

    def _shares(self, group: Group) -> bool:
        """Tell whether common coefficients are the centre of these groups: of the first factor with the term."""
        mates = [one for one in self.design.groups if one.term.name == group.term.name]
        same = [term.labels for term in self.design.common if term.name == group.term.name]
        return mates[0] is group and same == [group.term.labels]

    def _dims(self, term: Term) -> tuple[str, ...]:
        """Name the dimension of a term's columns, and give the model their labels."""
        if not term.labels:
            return ()
        name = f"{self.parameter.name}_{term.name}_dim"
        known = pm.modelcontext(None).coords.get(name)
        if known is not None and tuple(known) != term.labels:
            name = f"{name}_groups"
        pm.modelcontext(None).add_coord(name, list(term.labels))
        return (name,)

    def _values(self, rows: Rows, common: Mapping[str, TensorVariable], groups: list[TensorVariable]) -> TensorVariable:
        """Write the parameter at some rows: (row,)."""
        parts = [
            columns[:, 0] * one if one.ndim == 0 else pt.dot(columns, one)
            for columns, one in zip(rows.common, common.values(), strict=True)
        ]
        parts += [
            columns[:, 0] * one[index] if one.ndim == 1 else (columns * one[index]).sum(axis=1)
            for columns, index, one in zip(rows.groups, rows.index, groups, strict=True)
        ]
        return rows.low + (rows.high - rows.low) * pt.sigmoid(sum(parts))
