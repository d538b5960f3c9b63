"""Sums over trials for many parameter sets, by evaluating pairs of a trial and a parameter set in blocks of one size.

Where trials are padded to several lengths, one program for each length serves data sets of any number of trials, and
short trials do not pay for the longest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from firstpassage.likelihood import Likelihood

Split = Callable[[np.ndarray], Sequence[tuple[np.ndarray, np.ndarray]]]
_BLOCKS = (256, 2048)  # pairs at once, few and many: arrays of the larger one just fit the cache


def sums(
    x: np.ndarray, theta: Mapping[str, np.ndarray], *, likelihood: Likelihood, split: Split | None = None
) -> np.ndarray:
    """Sum the log density over all trials, for many parameter sets.

    Parameters
    ----------
    x : ndarray, shape (trial, ...)
        As the likelihood's `read` returns it.
    theta : mapping of str to ndarray, shape (draw,) or (draw, trial)
        Every parameter by its name.
    likelihood : Likelihood
        What is summed.
    split : callable, optional
        ``split(x)``: which trials form a group of one length, and these, for each; all in one if None.

    Returns
    -------
    ndarray, shape (draw,), float64
        Nats.
    """
    draws = len(next(iter(theta.values())))
    total = np.zeros(draws)
    for rows, group in [(np.arange(len(x)), x)] if split is None else split(x):
        own = {name: value[:, rows] if value.ndim > 1 else value for name, value in theta.items()}
        total += _each(group, own, draws, likelihood).sum(axis=1)
    return total


def _each(x: np.ndarray, theta: Mapping[str, np.ndarray], draws: int, likelihood: Likelihood) -> np.ndarray:
    """Evaluate the log density of each trial at each parameter set: (draw, trial)."""
    import jax

    number = draws * len(x)
    size = _BLOCKS[number > _BLOCKS[0]]
    draw, trial = np.divmod(np.resize(np.arange(number), -(-number // size) * size), len(x))
    program = likelihood.compiled

    def block(first: int) -> np.ndarray:
        row, column = draw[first : first + size], trial[first : first + size]
        own = {name: value[row, column] if value.ndim > 1 else value[row] for name, value in theta.items()}
        return np.asarray(program(x[column], own))

    with jax.enable_x64():
        blocks = [block(first) for first in range(0, len(draw), size)]
    return np.concatenate(blocks, dtype=np.float64)[:number].reshape(draws, len(x))
