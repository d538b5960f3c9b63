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

Split = Callable[[np.ndarray], Sequence[np.ndarray]]
_BLOCKS = (256, 2048)  # pairs at once, few and many: arrays of the larger one just fit the cache


def sums(
    x: np.ndarray, theta: Mapping[str, np.ndarray], *, likelihood: Likelihood, split: Split | None = None
) -> np.ndarray:
    """Sum the log density over all trials, for many parameter sets.

    Parameters
    ----------
    x : ndarray, shape (trial, ...)
        As the likelihood's `read` returns it.
    theta : mapping of str to ndarray, shape (draw,)
        Every parameter by its name.
    likelihood : Likelihood
        What is summed.
    split : callable, optional
        ``split(x)``: the trials in groups of one length each; all in one if None.

    Returns
    -------
    ndarray, shape (draw,), float64
        Nats.
    """
    draws = len(next(iter(theta.values())))
    total = np.zeros(draws)
    for group in [x] if split is None else split(x):
        total += _each(group, theta, draws, likelihood).sum(axis=1)
    return total


def _each(x: np.ndarray, theta: Mapping[str, np.ndarray], draws: int, likelihood: Likelihood) -> np.ndarray:
    """Evaluate the log density of each trial at each parameter set: (draw, trial)."""
    import jax

    number = draws * len(x)
    size = _BLOCKS[number > _BLOCKS[0]]
    draw, trial = np.divmod(np.resize(np.arange(number), -(-number // size) * size), len(x))
    program = likelihood.compiled
    with jax.enable_x64():
        blocks = [
            np.asarray(program(x[trial[i : i + size]], {name: v[draw[i : i + size]] for name, v in theta.items()}))
            for i in range(0, len(draw), size)
        ]
    return np.concatenate(blocks, dtype=np.float64)[:number].reshape(draws, len(x))
