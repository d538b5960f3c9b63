"""Sequences of unequal length, padded to the longest: compute short and long ones apart.

Of a thousand visits to patches nine in ten are shorter than half the longest. What is computed for the padding costs as
much as what is computed for the data, so that sorting trials by length into a few groups makes both value and gradient
several times quicker.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from firstpassage.likelihood import Likelihood
from firstpassage.models import patches

_MOST = 3  # groups: each is compiled on its own
_FIXED = 64  # trials that cost as much as what a group costs beside its trials


class Groups(NamedTuple):
    """Trials in groups: the rows of each among all, their values, and where each trial is in the end; or all in one."""

    rows: tuple[Any, ...]
    values: tuple[Any, ...]
    place: Any


def whole(x: Any) -> Groups:
    """Leave the trials together.

    Parameters
    ----------
    x : array, shape (trial, ...)
        The trials, whose values need not be known.

    Returns
    -------
    Groups
        One.
    """
    return Groups((), (x,), ())


def split(likelihood: Likelihood, x: np.ndarray) -> Groups:
    """Sort the trials into groups of like length, where they are padded sequences and it pays.

    Parameters
    ----------
    likelihood : Likelihood
        Whose columns tell what a trial is.
    x : ndarray, shape (trial, ...)
        The trials.

    Returns
    -------
    Groups
        Of NumPy arrays; without its padding each trial is what it was.
    """
    if likelihood.columns != patches.COLUMNS:
        return whole(x)
    lengths = patches.unpack(x)[..., -1].sum(axis=1)
    widths = _widths(lengths, x.shape[1] // len(patches.COLUMNS))
    group = np.searchsorted(widths, lengths)
    rows = tuple(np.flatnonzero(group == i) for i in range(len(widths)))
    values = tuple(x[some, : width * len(patches.COLUMNS)] for some, width in zip(rows, widths, strict=True))
    return whole(values[0]) if len(rows) == 1 else Groups(rows, values, np.argsort(np.concatenate(rows)))


def _widths(lengths: np.ndarray, longest: int) -> tuple[int, ...]:
    """Choose the lengths to which groups are padded, so that the least is computed."""
    usual = np.array([*(n for n in patches.LENGTHS if n < longest), longest])
    counts = np.bincount(np.searchsorted(usual, lengths), minlength=len(usual))
    there = usual[counts > 0]
    below = np.cumsum(counts[counts > 0])

    def cost(inner: tuple[int, ...]) -> float:
        ends = np.array([*inner, len(there) - 1])
        return float(((np.diff(below[ends], prepend=0) + _FIXED) * there[ends]).sum())

    inner = [some for n in range(_MOST) for some in combinations(range(len(there) - 1), n)]
    return tuple(int(there[i]) for i in (*min(inner, key=cost), len(there) - 1))
