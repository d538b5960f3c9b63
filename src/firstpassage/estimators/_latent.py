"""Parameters on the real line and back: between bounds that data may narrow, or by the coordinates of a joint prior.

Bounds are mapped by a normal quantile function. A uniform prior becomes a standard normal one, so that a posterior cut
off by the box has the tails of the flow's base. A joint prior brings coordinates of its own, in which every point obeys
it; they are standardised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from firstpassage import _spaces, seeds
from firstpassage.models import plain
from firstpassage.models.joint import Joint
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter

Limits = Callable[[np.ndarray], dict[str, tuple[float, float]]]
LogPrior = Callable[[Mapping[str, np.ndarray]], np.ndarray]
Sets = Sequence[np.ndarray] | np.ndarray
_EDGE = 1e-12  # share of the width that is kept free of each bound
_LOG_ROOT_2_PI = 0.5 * np.log(2 * np.pi)
_SCALING = "features/coordinates"
_GUESSED = "features/guessed"


class Space(Protocol):
    """How parameters lie on the flow's line. Sets are what the data of each row are: their bounds may matter."""

    def line(self, points: np.ndarray, x: Sets, features: np.ndarray | None = None) -> np.ndarray:
        """Map simulated points, one for each set (dataset, column), to the line: (dataset, coordinate)."""

    def parameters(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Map the line (dataset, n, coordinate) to parameters (dataset, n, parameter)."""

    def log_change(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Give what a log density on the line gains when it becomes that of draws: (dataset, n)."""

    def log_prior(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Evaluate the log prior, in the same measure as the density of draws: (dataset, n)."""

    def place(self, theta: np.ndarray, x: Sets) -> tuple[np.ndarray, np.ndarray]:
        """Map parameters (dataset, n, parameter) to the line; what log densities gain there, -inf off the support."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Give what a bundle must keep of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxSpace:
    """Each parameter between its bounds; densities of draws are those of the parameters.

    Parameters
    ----------
    box : tuple of Parameter
        In the order of the model.
    limits : callable, optional
        Bounds that the data imply.
    prior : callable
        ``prior(theta) -> (n,)``: log density.
    """

    box: tuple[Parameter, ...]
    limits: Limits | None
    prior: LogPrior

    def line(self, points: np.ndarray, x: Sets, features: np.ndarray | None = None) -> np.ndarray:
        """Map parameters (dataset, parameter) to the line."""
        del features
        return to_line(points, bounds(self.box, self.limits, x))

    def parameters(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Map the line to parameters."""
        return from_line(u, self._bounds(x))

    def log_change(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Give the log of d u / d theta."""
        return log_jacobian(u, self._bounds(x))

    def log_prior(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Evaluate the log prior of the parameters."""
        theta = self.parameters(u, x)
        named = {p.name: theta[..., i].ravel() for i, p in enumerate(self.box)}
        return np.asarray(self.prior(named)).reshape(theta.shape[:-1])

    def place(self, theta: np.ndarray, x: Sets) -> tuple[np.ndarray, np.ndarray]:
        """Map parameters to the line, with the log of d u / d theta."""
        limits = self._bounds(x)
        inside = ((theta > limits[..., 0]) & (theta < limits[..., 1])).all(-1)
        u = np.where(inside[..., None], to_line(theta, limits), 0.0)
        return u, np.where(inside, log_jacobian(u, limits), -np.inf)

    def arrays(self) -> dict[str, np.ndarray]:
        """Keep nothing: the bounds are in the card."""
        return {}

    def _bounds(self, x: Sets) -> np.ndarray:
        """Give the bounds of each set: (dataset, 1, parameter, 2)."""
        return bounds(self.box, self.limits, x)[:, None]


@dataclass(frozen=True, eq=False, kw_only=True)
class JointSpace:
    """Coordinates of a joint prior, standardised or by a guess; densities of draws are those of the coordinates.

    Parameters
    ----------
    joint : Joint
        The prior.
    scaling : ndarray, shape (2, coordinate)
        Centre and spread of the coordinates.
    guess : Guess, optional
        Centre and spread for each set, in place of these.
    """

    joint: Joint
    scaling: np.ndarray
    guess: Guess | None = None

    def line(self, points: np.ndarray, x: Sets, features: np.ndarray | None = None) -> np.ndarray:
        """Standardise coordinates (dataset, coordinate); features, where known, are the statistics of the sets."""
        centre, spread = self.scaling if self.guess is None else self.guess(x, features)
        return (points - centre) / spread

    def parameters(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Map the line to parameters."""
        return stacked(self.joint.parameters(self._coordinates(u, x)), self.joint.names)

    def log_change(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Undo the standardisation."""
        return np.broadcast_to(-np.log(self._frame(x)[1]).sum(-1), u.shape[:-1])

    def log_prior(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Evaluate the log prior of the coordinates."""
        return np.asarray(self.joint.log_prob(self._coordinates(u, x)))

    def place(self, theta: np.ndarray, x: Sets) -> tuple[np.ndarray, np.ndarray]:
        """Map parameters to the line; from there to the density of parameters the prior shows the way.

        A prior's log densities of parameters and of coordinates differ by the Jacobian, and where a parameter is at an
        atom, by the log mass there over the density of its coordinate at the bound: beyond it the data do not depend on
        the coordinate, so that posterior over prior is constant.
        """
        named = {name: theta[..., i] for i, name in enumerate(self.joint.names)}
        log_density = np.asarray(self.joint.log_density(named))
        possible = np.isfinite(log_density)
        middle = self.joint.parameters(self.scaling[0])
        z = self.joint.place({name: np.where(possible, value, middle[name]) for name, value in named.items()})
        gain = log_density - np.asarray(self.joint.log_prob(z))
        centre, spread = self._frame(x)
        u = (z - centre) / spread
        return u, np.where(possible, gain + self.log_change(u, x), -np.inf)

    def arrays(self) -> dict[str, np.ndarray]:
        """Keep centre and spread, and whether there is a guess."""
        return {_SCALING: self.scaling} | ({} if self.guess is None else {_GUESSED: np.ones(())})

    def _coordinates(self, u: np.ndarray, x: Sets) -> np.ndarray:
        """Undo the standardisation of places (dataset, n, coordinate)."""
        centre, spread = self._frame(x)
        return centre + u * spread

    def _frame(self, x: Sets) -> tuple[np.ndarray, np.ndarray]:
        """Give centre and spread of each set, (dataset, 1, coordinate), or of all."""
        if self.guess is None:
            return self.scaling[0], self.scaling[1]
        centre, spread = self.guess(x, None)
        return centre[:, None], spread[:, None]


@dataclass(frozen=True, eq=False)
class Guess:
    """Guess where posteriors lie, from the fixed statistics of sets.

    Parameters
    ----------
    of_statistics : callable
        The model's `guess`.
    encode : callable
        Computes the statistics (dataset, statistic) of sets (dataset, trial, column).
    """

    of_statistics: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    encode: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: Sets, features: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Give centre and spread of the coordinates, (dataset, coordinate); statistics are computed if not known."""
        if features is None:
            features = np.concatenate([self.encode(np.asarray(one)[None]) for one in x])
        return self.of_statistics(features)


def space(model: Model, *, encode: Callable[[np.ndarray], np.ndarray] | None = None) -> Space:
    """Choose how the parameters of a model lie on the line of a flow that is to be trained.

    Where networks are given the model's own statistics, `encode` computes these, and a guess may be made from them.
    """
    if model.joint is not None:
        guess = Guess(model.guess, encode) if model.guess is not None and encode is not None else None
        return JointSpace(joint=model.joint, scaling=_spaces.scaling(model.joint), guess=guess)
    return BoxSpace(box=model.parameters, limits=plain.schema(model).limits, prior=model.log_prior)


def trained(
    arrays: Mapping[str, np.ndarray],
    *,
    joint: Joint | None,
    box: tuple[Parameter, ...],
    limits: Limits | None,
    prior: LogPrior,
    guess: Guess | None,
) -> Space:
    """Rebuild the space of a trained flow from its bundle."""
    if joint is not None:
        scaling = np.asarray(arrays[_SCALING], dtype=np.float64)
        return JointSpace(joint=joint, scaling=scaling, guess=guess if _GUESSED in arrays else None)
    return BoxSpace(box=box, limits=limits, prior=prior)


def draw(model: Model, n: int, *, seed: int) -> np.ndarray:
    """Draw points of the prior, which a space maps to its line: (n, coordinate)."""
    if model.joint is not None:
        return model.joint.sample(n, seeds.generator(seed, "prior"))
    return stacked(model.prior(n, seed=seed), model.parameter_names)


def named(model: Model, points: np.ndarray) -> dict[str, np.ndarray]:
    """Give the parameters at points, by name."""
    if model.joint is not None:
        return model.joint.parameters(points)
    return dict(zip(model.parameter_names, points.T, strict=True))


def points(model: Model, theta: Mapping[str, np.ndarray], *, seed: int) -> np.ndarray:
    """Find points of which these are the parameters; where many are, at an atom, draw one of them."""
    if model.joint is None:
        return stacked(theta, model.parameter_names)
    return _beyond_atoms(model.joint, theta, seeds.generator(seed, "atoms"))


def _beyond_atoms(joint: Joint, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Place parameters, and spread the coordinates of those at a bound of clipping over what lies beyond it."""
    z = joint.place(theta)
    for c in joint.conditionals:
        if c.family != "ClippedLogNormal":
            continue
        i, value, share = joint.names.index(c.name), np.asarray(theta[c.name]), rng.uniform(size=len(z))
        for bound, side in ((c.lower, 1.0), (c.upper, -1.0)):
            beyond = side * ndtri((1 - share) * ndtr(side * z[:, i]))  # 1 - share is never 0
            z[:, i] = np.where(value == bound, beyond, z[:, i])
    return z


def bounds(parameters: Sequence[Parameter], limits: Limits | None, data_sets: Sets) -> np.ndarray:
    """Intersect the box with what each data set allows: (dataset, parameter, 2)."""
    found = np.repeat(np.array([p.bounds for p in parameters])[None], len(data_sets), axis=0)
    if limits is not None:
        places = {p.name: i for i, p in enumerate(parameters)}
        for row, x in zip(found, data_sets, strict=True):
            for name, (low, high) in limits(x).items():
                i = places[name]
                row[i] = max(low, row[i, 0]), min(high, row[i, 1])
    return found


def to_line(theta: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Map parameters (..., parameter) inside limits (..., parameter, 2) to the real line."""
    low, high = limits[..., 0], limits[..., 1]
    share = (theta - low) / (high - low)
    return ndtri(np.clip(share, _EDGE, 1 - _EDGE))


def from_line(u: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Map the real line to parameters, strictly inside the limits."""
    low, high = limits[..., 0], limits[..., 1]
    return low + (high - low) * np.clip(ndtr(u), _EDGE, 1 - _EDGE)


def log_jacobian(u: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Give the log of d u / d theta, summed over parameters: (...,)."""
    width = limits[..., 1] - limits[..., 0]
    return np.sum(0.5 * u**2 + _LOG_ROOT_2_PI - np.log(width), axis=-1)


def stacked(theta: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """Put parameters side by side: (..., parameter)."""
    return np.stack([np.asarray(theta[name], dtype=np.float64) for name in names], axis=-1)
