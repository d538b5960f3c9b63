"""From a guess of the parameters of each trial to the top of its likelihood, and how sharp that top is.

A guess may be right to a posterior sd in every parameter and yet lie thousands of nats below: where parameters make up
for each other, only some of their combinations are sharp. At the top, the second derivatives tell which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from firstpassage.bridges import _lengths
from firstpassage.bridges._program import packed_pullback
from firstpassage.likelihood import Likelihood

_PULL = 0.1  # of the guess, per width: what the data leave open stays there
_STEPS = 300  # of the search, at most
_NUDGE = 0.02  # of a width, for second derivatives by differences

_Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Top(NamedTuple):
    """The best parameters of each trial (trial, parameter), and a root of their precision (trial, parameter, same)."""

    best: np.ndarray
    root: np.ndarray


def climb(likelihood: Likelihood, x: np.ndarray, near: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Top:
    """Climb from a guess, each trial for itself.

    Parameters
    ----------
    likelihood : Likelihood
        Whose quick approximation is climbed, if it has one.
    x : ndarray, shape (trial, ...)
        The trials.
    near : mapping of str to (ndarray, ndarray), shape (trial,)
        The guess: value and width of every parameter.

    Returns
    -------
    Top
        The guess itself, and one over its widths, if the likelihood is not finite there.
    """
    names = likelihood.parameter_names
    value = np.stack([np.broadcast_to(near[name][0], len(x)) for name in names], axis=1)
    width = np.stack([np.broadcast_to(near[name][1], len(x)) for name in names], axis=1)
    low, high = np.array([likelihood.box[name] for name in names]).T
    start = np.clip(value, low + _NUDGE * width, high - _NUDGE * width)
    evaluate = _evaluation(likelihood.approximation or likelihood, x)
    if not all(np.isfinite(one).all() for one in evaluate(start)):
        return Top(value, np.eye(len(names)) / width[:, :, None])
    best = _highest(evaluate, start, width, np.stack([low, high]))
    return Top(best, _root(evaluate, np.clip(best, low + _NUDGE * width, high - _NUDGE * width), width))


def _evaluation(likelihood: Likelihood, x: np.ndarray) -> _Evaluate:
    """Give log density (trial,) and gradient (trial, parameter) as a function of the parameters of each trial."""
    import jax

    with jax.enable_x64():
        run = packed_pullback(likelihood, (False,) * len(likelihood.parameters))
        trials, ones = _lengths.split(likelihood, x), np.ones(len(x))

    def evaluate(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64():
            density, _, *gradient = run(trials, ones, np.zeros(0), *np.ascontiguousarray(theta.T))
            return np.asarray(density), np.stack([np.asarray(one) for one in gradient], axis=1)

    return evaluate


def _highest(evaluate: _Evaluate, start: np.ndarray, width: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Search in the box, in units of the widths; trials have nothing in common but the search."""
    from scipy.optimize import minimize

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        away = at.reshape(start.shape)
        density, gradient = evaluate(start + width * away)
        with np.errstate(invalid="ignore"):
            total = float(0.5 * np.sum((_PULL * away) ** 2) - density.sum())
            slope = -gradient * width + _PULL**2 * away
        return (total, slope.ravel()) if np.isfinite(total) else (1e12, np.zeros(at.size))

    low, high = (((end - start) / width).ravel() for end in box)
    found = minimize(
        loss, np.zeros(start.size), jac=True, method="L-BFGS-B", bounds=np.stack([low, high], axis=1),
        options={"maxiter": _STEPS},
    )  # fmt: skip
    return np.clip(start + width * found.x.reshape(start.shape), *box)


def _root(evaluate: _Evaluate, best: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Take the upper root of the precision at the top, from differences of gradients."""
    columns = []
    for i in range(best.shape[1]):
        step = np.zeros_like(best)
        step[:, i] = _NUDGE * width[:, i]
        ahead, behind = (evaluate(best + sign * step)[1] for sign in (1, -1))
        columns.append((behind - ahead) / (2 * _NUDGE) * width)
    precision = np.nan_to_num(np.stack(columns, axis=2))
    values, vectors = np.linalg.eigh(0.5 * (precision + precision.transpose(0, 2, 1)))
    sharp = np.sqrt(np.maximum(values, _PULL**2))
    return sharp[:, :, None] * vectors.transpose(0, 2, 1) / width[:, None, :]
