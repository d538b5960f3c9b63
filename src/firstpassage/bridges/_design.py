"""Design matrices of mixed-model formulas, one formula for each parameter; formulae reads and evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from firstpassage.errors import DataError, ModelError

INTERCEPT = "Intercept"
_EXAMPLE = "'1 + conflict + (1 + conflict | participant_id)'"


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A parsed formula: the parameter, the text, all columns it uses, and those that are grouping factors."""

    parameter: str
    text: str
    columns: tuple[str, ...]
    factors: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Term:
    """Columns of a design matrix (trial, column) that belong together, with their labels; none for a single number.

    `levels` tells that the columns mark the levels of a condition, so that their coefficients are places on the link
    scale, and not differences; `scale` is the spread of each column, 1 where it only marks trials.
    """

    name: str
    columns: np.ndarray
    labels: tuple[str, ...]
    levels: bool

    @property
    def scale(self) -> np.ndarray:
        """Spread of each column: shape (column,), or () for a single number."""
        marks = np.isin(self.columns, (0.0, 1.0)).all(axis=0)
        spread = np.where(marks, 1.0, self.columns.std(axis=0))
        return spread if self.labels else spread[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """A term whose coefficients differ between the groups of a factor: the group of each trial, and all labels."""

    term: Term
    factor: str
    index: np.ndarray
    labels: tuple[Any, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Design:
    """What one parameter is made of on the link scale."""

    formula: Formula
    common: tuple[Term, ...]
    groups: tuple[Group, ...]

    @property
    def parameter(self) -> str:
        """Name of the parameter."""
        return self.formula.parameter


def parse(parameter: str, text: Any) -> Formula:
    """Parse a formula.

    Parameters
    ----------
    parameter : str
        Whose formula it is.
    text : str
        The right-hand side of a mixed-model formula.

    Returns
    -------
    Formula
        With the names of the columns that it needs.

    Raises
    ------
    ModelError
        If it cannot be parsed, or is more than a right-hand side.
    """
    from formulae import model_description

    if not isinstance(text, str) or not text.strip():
        raise ModelError(f"the formula of {parameter} must be a text such as {_EXAMPLE}; got {text!r}.")
    try:
        found = model_description(text)
    except Exception as error:  # the parser has many kinds, all of which mean this
        raise ModelError(
            f"the formula of {parameter} must be one that formulae parses, such as {_EXAMPLE}; got {text!r}: {error}."
        ) from None
    if found.response is not None:
        raise ModelError(
            f"the formula of {parameter} must have no left-hand side, the mapping names the parameter; got {text!r}. "
            f"Write {text.partition('~')[2].strip()!r}."
        )
    if not found.common_terms and not found.group_terms:
        raise ModelError(f"the formula of {parameter} must have a term; got {text!r}. Write '1' for one value.")
    factors = dict.fromkeys(one for term in found.group_terms for one in _factor(parameter, text, term))
    return Formula(
        parameter=parameter, text=text, factors=tuple(factors), columns=tuple(sorted(set(found.var_names) - {""}))
    )


def evaluate(formula: Formula, data: pd.DataFrame) -> Design:
    """Evaluate a formula.

    Parameters
    ----------
    formula : Formula
        Parsed.
    data : DataFrame
        One row for each trial, without missing values.

    Returns
    -------
    Design
        The terms.

    Raises
    ------
    ModelError
        If a function in it is unknown, or coefficients cannot be told apart.
    """
    from formulae import design_matrices

    try:
        found = design_matrices(formula.text, data, na_action="error")
    except Exception as error:  # of whatever is called in the formula
        raise ModelError(
            f"the formula of {formula.parameter} must have a value for every trial; {formula.text!r} gave "
            f"{type(error).__name__}: {str(error).rstrip('.')}. Compute what it needs as columns of the data."
        ) from None
    common = [] if found.common is None else list(found.common.terms.values())
    terms = tuple(_term(formula, term, alone=INTERCEPT not in {one.name for one in common}) for term in common)
    groups = [] if found.group is None else list(found.group.terms.values())
    design = Design(formula=formula, common=terms, groups=tuple(_group(formula, term, data) for term in groups))
    _check_common(design)
    _check_groups(design)
    return design


def levels(column: pd.Series) -> list[Any]:
    """List what a column holds: categories in their order, anything else sorted.

    Parameters
    ----------
    column : Series
        Without missing values.

    Returns
    -------
    list
        Of plain Python values.

    Raises
    ------
    DataError
        If the values cannot be sorted.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [one for one in column.cat.categories.tolist() if (column == one).any()]
    try:
        return sorted(set(column.tolist()))
    except TypeError:
        raise DataError(
            f"the column {column.name!r} must hold labels of one type; got several. Convert it: "
            f"data[{column.name!r}].astype(str)."
        ) from None


def codes(column: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Give each level of a column a number.

    Parameters
    ----------
    column : Series
        Without missing values.

    Returns
    -------
    ndarray, shape (trial,), int; list
        The number of each trial's level, and the levels.
    """
    found = levels(column)
    return np.array(column.map({one: i for i, one in enumerate(found)}), dtype=np.int64), found


def combine(columns: Mapping[str, pd.Series]) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Give each combination of levels that occurs a number, in the order of the columns.

    Parameters
    ----------
    columns : mapping of str to Series
        One or more.

    Returns
    -------
    ndarray, shape (trial,), int; list of tuple
        The number of each trial's combination, and the combinations.
    """
    numbered = [codes(column) for column in columns.values()]
    table = np.stack([number for number, _ in numbered], axis=1)
    rows, index = np.unique(table, axis=0, return_inverse=True)
    labels = [tuple(found[i] for i, (_, found) in zip(row, numbered, strict=True)) for row in rows]
    return index.reshape(-1), labels


def _factor(parameter: str, text: str, term: Any) -> list[str]:
    """Name the columns of a grouping factor."""
    names = [str(component.name) for component in term.factor.components]
    if not set(names) <= set(term.factor.var_names):
        raise ModelError(
            f"groups must be columns of the data; the formula of {parameter}, {text!r}, groups by "
            f"{term.factor.name!r}. Make it a column."
        )
    return names


def _term(formula: Formula, term: Any, *, alone: bool) -> Term:
    """Take a term out of formulae's hands; `alone` tells that there is no intercept beside it."""
    if term.kind == "offset":
        raise ModelError(
            f"offsets are not available; got {term.name!r} in the formula of {formula.parameter}. Leave it out."
        )
    columns = np.asarray(term.data, dtype=np.float64).reshape(len(term.data), -1)
    if not np.isfinite(columns).all():
        raise ModelError(
            f"{term.name} in the formula of {formula.parameter} must be finite; {int((~np.isfinite(columns)).sum())} "
            "values are not. Look at the trials where it is infinite or undefined."
        )
    if term.kind == "intercept":
        return Term(name=INTERCEPT, columns=columns, labels=(), levels=True)
    single = columns.shape[1] == 1 and term.kind == "numeric"
    labels = term.labels if len(term.labels) == columns.shape[1] else range(columns.shape[1])
    marks = bool(np.isin(columns, (0.0, 1.0)).all() and (columns.sum(axis=1) == 1).all())
    return Term(
        name=term.name,
        columns=columns,
        labels=() if single else tuple(_short(str(label), term.name) for label in labels),
        levels=alone and marks,
    )


def _short(label: str, name: str) -> str:
    """Leave out of a label what is already in the name of the term: LC for conf[LC]."""
    inner = label.removeprefix(f"{name}[")
    return inner.removesuffix("]") if inner != label and inner.count("[") == 0 else label


def _group(formula: Formula, term: Any, data: pd.DataFrame) -> Group:
    """Take a group-specific term, with the groups that occur."""
    names = [str(component.name) for component in term.factor.components]
    index, labels = combine({name: data[name] for name in names})
    single = len(names) == 1
    return Group(
        term=_term(formula, term.expr, alone=True),
        factor=term.factor.name,
        index=index,
        labels=tuple(label[0] if single else ":".join(map(str, label)) for label in labels),
    )


def _check_common(design: Design) -> None:
    """Refuse coefficients of which the data tell only a combination."""
    if not design.common:
        return
    names = {term.name for term in design.common}
    matrix = np.concatenate([term.columns for term in design.common], axis=1)
    distinct = np.unique(matrix, axis=0)
    scaled = distinct / np.maximum(np.abs(distinct).max(axis=0), 1e-300)
    if np.linalg.matrix_rank(scaled) == matrix.shape[1]:
        return
    constant = [t.name for t in design.common if t.name != INTERCEPT and (np.ptp(t.columns, axis=0) == 0).any()]
    if constant and INTERCEPT in names:
        raise ModelError(
            f"a regressor must vary; {', '.join(constant)} is the same in all trials, which is what the intercept of "
            f"{design.parameter} is. Leave it out of {design.formula.text!r}."
        )
    raise ModelError(
        f"the terms of a formula must say different things; in {design.formula.text!r} of {design.parameter} one of "
        f"{', '.join(sorted(names))} is a combination of the others. Leave one out."
    )


def _check_groups(design: Design) -> None:
    """Refuse groups without a centre, factors of one group, and effects of what does not vary within any group."""
    placed = any(term.levels for term in design.common)
    for group in design.groups:
        if group.term.levels and not placed:
            raise ModelError(
                f"groups must lie around a common place; the formula of {design.parameter}, "
                f"{design.formula.text!r}, has none. Write '1 + ({group.term.name.replace(INTERCEPT, '1')} | "
                f"{group.factor})'."
            )
        if len(group.labels) < 2:
            raise ModelError(
                f"{group.factor} must have two or more levels to have a spread; all trials are of {group.labels[0]!r}. "
                f"Leave (... | {group.factor}) out of the formula of {design.parameter}."
            )
        if group.term.levels:
            continue
        first = np.unique(group.index, return_index=True)[1]
        if (group.term.columns == group.term.columns[first][group.index]).all():
            raise ModelError(
                f"an effect that differs between groups must vary within them; {group.term.name} is the same in all "
                f"trials of each {group.factor}. Take it out of the brackets in the formula of {design.parameter}."
            )
