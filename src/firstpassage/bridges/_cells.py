"""Which trials share a value of a parameter, so that linear predictors are computed once for them, and reported.

A subject's trials of one condition share everything but continuous regressors. So a parameter is computed for some tens
of cells and handed out to thousands of trials, which costs next to nothing beside the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from firstpassage.bridges._design import Design, combine
from firstpassage.errors import DataError
from firstpassage.likelihood import Likelihood

_FEW = 8  # distinct values that make a column of numbers a condition
_MOST = 1000  # cells that are reported; beyond, conditions are averaged over
_MARGIN = 1e-6  # of the width, that stays free at both ends: more than float32 rounds


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """A design at some rows: columns of common terms and of groups' terms, groups, and the ends of the parameter."""

    common: tuple[np.ndarray, ...]
    groups: tuple[np.ndarray, ...]
    index: tuple[np.ndarray, ...]
    low: np.ndarray
    high: np.ndarray

    def at(self, rows: np.ndarray) -> Rows:
        """Choose rows."""
        return Rows(
            common=tuple(one[rows] for one in self.common), groups=tuple(one[rows] for one in self.groups),
            index=tuple(one[rows] for one in self.index), low=self.low[rows], high=self.high[rows],
        )  # fmt: skip

    def averaged(self, cell: np.ndarray, first: np.ndarray) -> Rows:
        """Average the columns over the trials of each cell; groups and ends are those of its first trial."""
        count = np.bincount(cell)[:, None]

        def mean(columns: np.ndarray) -> np.ndarray:
            total = np.zeros((len(first), columns.shape[1]))
            np.add.at(total, cell, columns)
            return total / count

        at = self.at(first)
        return Rows(
            common=tuple(mean(one) for one in self.common), groups=tuple(mean(one) for one in self.groups),
            index=at.index, low=at.low, high=at.high,
        )  # fmt: skip

    def table(self) -> np.ndarray:
        """Put all numbers of a row side by side."""
        flat = [*self.common, *self.groups, *(one[:, None] for one in (*self.index, self.low, self.high))]
        return np.concatenate(flat, axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """Rows to compute a parameter at for the trials, which each trial takes, and rows to report it at.

    `reported` is None where these are the same rows in the same order. `dims` and `coords` are those of what is
    reported, a grid if all combinations of levels occur, and a list of cells otherwise.
    """

    rows: Rows
    row_of_trial: np.ndarray
    reported: Rows | None
    dims: tuple[str, ...]
    coords: dict[str, list[Any]]


def make(design: Design, data: pd.DataFrame, ends: tuple[np.ndarray, np.ndarray]) -> Cells:
    """Find the rows of a design.

    Parameters
    ----------
    design : Design
        Of one parameter.
    data : DataFrame
        One row for each trial.
    ends : tuple of ndarray, shape (trial,)
        Lower and upper end of the parameter.

    Returns
    -------
    Cells
        Rows for the trials, and for the report.
    """
    trials = Rows(
        common=tuple(term.columns for term in design.common), groups=tuple(g.term.columns for g in design.groups),
        index=tuple(g.index for g in design.groups), low=ends[0], high=ends[1],
    )  # fmt: skip
    cell, labels, names = _conditions(design, data)
    first = np.unique(cell, return_index=True)[1]
    dims, coords = _dims(design, labels, names)
    table = trials.table()
    if (table == table[first][cell]).all():
        return Cells(rows=trials.at(first), row_of_trial=cell, reported=None, dims=dims, coords=coords)
    _, chosen, row = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return Cells(
        rows=trials.at(chosen), row_of_trial=row.reshape(-1), reported=trials.averaged(cell, first),
        dims=dims, coords=coords,
    )  # fmt: skip


def ends(likelihood: Likelihood, x: np.ndarray, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Give the ends of a parameter for every trial: of the box, or nearer where the group's data bound it.

    Parameters
    ----------
    likelihood : Likelihood
        Whose box and limits count.
    x : ndarray, shape (trial, ...)
        The trials.
    design : Design
        Of the parameter: trials of the same groups have the same ends.

    Returns
    -------
    tuple of ndarray, shape (trial,)
        Lower and upper ends, a margin inside.

    Raises
    ------
    DataError
        If the trials of a group allow no value.
    """
    name = design.parameter
    bounded = likelihood.limits is not None and name in likelihood.limits(x)
    group = np.zeros(len(x), dtype=np.int64)
    if bounded and design.groups:
        indices = np.stack([g.index for g in design.groups], axis=1)
        group = np.unique(indices, axis=0, return_inverse=True)[1].reshape(-1)
    groups = range(group.max() + 1) if bounded else ()
    supports = np.array([_support(likelihood, x, design, group == i) for i in groups] or [likelihood.box[name]])
    margin = _MARGIN * (supports[:, 1] - supports[:, 0])
    return (supports[:, 0] + margin)[group], (supports[:, 1] - margin)[group]


def _support(likelihood: Likelihood, x: np.ndarray, design: Design, rows: np.ndarray) -> tuple[float, float]:
    """Give the ends for some trials; where there are none, say whose trials they are."""
    try:
        return likelihood.support(x[rows])[design.parameter]
    except DataError as error:
        whose = ", ".join(f"{g.factor} {g.labels[g.index[np.argmax(rows)]]!r}" for g in design.groups[:1])
        raise DataError(f"{whose}: {error}" if whose else str(error)) from None


def _conditions(design: Design, data: pd.DataFrame) -> tuple[np.ndarray, list[tuple[Any, ...]], tuple[str, ...]]:
    """Find the cells: combinations of groups and of conditions with few levels."""
    factors = design.formula.factors
    few = [name for name in design.formula.columns if name not in factors and _is_condition(data[name])]
    for names in ((*factors, *few), factors):
        if not names:
            break
        cell, labels = combine({name: data[name] for name in names})
        if len(labels) <= _MOST or names == factors:
            return cell, labels, tuple(names)
    return np.zeros(len(data), dtype=np.int64), [()], ()


def _is_condition(column: pd.Series) -> bool:
    """Tell a condition from a continuous regressor."""
    return not pd.api.types.is_numeric_dtype(column) or column.nunique() <= _FEW


def _dims(
    design: Design, labels: list[tuple[Any, ...]], names: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, list[Any]]]:
    """Make a grid of cells if all combinations occur, a list otherwise."""
    if not names:
        return (), {}
    coords = {
        name: list(dict.fromkeys(sorted_ones))
        for name, sorted_ones in zip(names, zip(*labels, strict=True), strict=True)
    }
    sizes = [len(one) for one in coords.values()]
    if int(np.prod(sizes)) == len(labels) and len(names) > 0:
        return names, coords
    return (f"{design.parameter}_cell",), {f"{design.parameter}_cell": [" ".join(map(str, one)) for one in labels]}
