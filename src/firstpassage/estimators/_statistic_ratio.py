"""What a ratio network is given of the statistics of a trial: these, the parameters, and how far they lie from a guess.

Where a model guesses from statistics where the posterior about lies, distances of the coordinates from the guess, in
units of its spread, spare the network from learning a narrow ridge between parameters and statistics. The guess is a
function of the data alone: what the distances mean is learned from simulations.

Candidates drawn from the prior are then told apart with ease and teach little: of six parameters, each known to a
fraction of its prior, hardly any comes near. They are drawn around the guess instead, each coordinate from Student's t
with two degrees of freedom. The network learns the posterior over that density q, both in the coordinates; with q over
the prior, which are known, that is the likelihood ratio (Bayes). Parameters clipped to a bound have no density there:
they are put at random beyond the bound, as the prior puts them, and the ratio is that of the bound wherever they lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from firstpassage.models.joint import Joint
from firstpassage.models.model import Model
from firstpassage.models.records import Statistics, Symmetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WIDER = 1.3  # scale of the candidates, in units of the guess's spread
_RAREST = 1e-6  # share of the candidates' draws that is kept off each end


def statistics(model: Model) -> Statistics | None:
    """Give the statistics of a model, with its guess as further columns."""
    own = model.statistics
    if own is None or model.guess is None or model.joint is None:
        return own
    parts = [f"{part}_{name}" for part in ("centre", "spread") for name in model.joint.coordinates]
    return replace(own, names=(*own.names, *parts), of_trials=partial(_with_guess, own=own, guess=model.guess))


def _with_guess(x: np.ndarray, *, own: Statistics, guess: Callable[..., Any]) -> np.ndarray:
    """Compute the statistics of trials, and centre and spread of the guess."""
    found = own.of_trials(x)
    return np.concatenate([found, *guess(found)], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Around:
    """Draw coordinates around the guess that follows the statistics in x, and give the density of that.

    Parameters
    ----------
    joint : Joint
        The prior.
    own : int
        How many statistics come before centre and spread.
    """

    joint: Joint
    own: int

    def guess(self, x: Any) -> tuple[Any, Any]:
        """Take centre and spread, (..., coordinate) each."""
        size = len(self.joint.names)
        return x[..., self.own : self.own + size], x[..., self.own + size :]

    def spans(self, x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Give the guess in parameters, and how wide it is."""
        return self.joint.spans(*self.guess(x))

    def draw(self, x: Any, n: int, *, uniform: Callable[..., Any]) -> Any:
        """Draw n points (row, n, coordinate) for each row of x."""
        centre, spread = self.guess(x[:, None])
        share = jnp.clip(uniform((x.shape[0], n, len(self.joint.names))), _RAREST, 1 - _RAREST)
        return centre + _WIDER * spread * (2 * share - 1) / jnp.sqrt(2 * share * (1 - share))

    def log_density(self, x: Any, z: Any) -> Any:
        """Evaluate the log density of the draws over that of the prior."""
        centre, spread = self.guess(x)
        scale = _WIDER * spread
        each = -1.5 * jnp.log(2 + ((z - centre) / scale) ** 2) - jnp.log(scale)
        return jnp.sum(each, axis=-1) - self.joint.log_prob(z)

    def place(self, theta: Mapping[str, Any], *, uniform: Callable[..., Any]) -> Any:
        """Give coordinates of parameters; those at a bound to which they are clipped lie beyond it, as the prior's."""
        z = self.joint.place(theta)
        for c in self.joint.conditionals:
            if c.family == "ClippedLogNormal":
                column, value = self.joint.names.index(c.name), theta[c.name]
                low, high = ((math.log(bound) - c.location) / c.scale for bound in (c.lower, c.upper))
                share = jnp.clip(uniform(value.shape), _RAREST, 1.0)
                below, above = special.ndtri(share * special.ndtr(low)), -special.ndtri(share * special.ndtr(-high))
                far = jnp.where(value <= c.lower, below, jnp.where(value >= c.upper, above, z[..., column]))
                z = z.at[..., column].set(far)
        return z


def around(model: Model) -> Around | None:
    """Give the candidates' distribution, where the model guesses."""
    if model.statistics is None or model.guess is None or model.joint is None:
        return None
    return Around(joint=model.joint, own=len(model.statistics.names))


def symmetry(model: Model) -> Symmetry | None:
    """Write what a network is given of pairs and of data alone; None is all columns and the parameters as they are.

    The log ratio is what the network gives, and the log density of the candidates over that of the prior.
    """
    candidates = around(model)
    if candidates is None:
        return None
    joint, own = candidates.joint, candidates.own

    def invariants(x: Any, theta: Mapping[str, Any]) -> Any:
        values = _broadcast(theta)
        centre, spread = candidates.guess(x)
        far = (joint.place(values) - centre) / spread
        shape = jnp.broadcast_shapes(far.shape[:-1], x.shape[:-1])
        columns = [jnp.stack(list(values.values()), -1), x[..., :own], jnp.arcsinh(far), jnp.sqrt(1 + far**2)]
        return jnp.concatenate([jnp.broadcast_to(c, (*shape, c.shape[-1])) for c in columns], axis=-1)

    return Symmetry(
        invariants=invariants, evidence=lambda x: x[..., :own],
        log_scale=lambda x, theta: candidates.log_density(x, joint.place(_broadcast(theta))),
        possible=lambda x, theta: jnp.ones_like(x[..., 0], dtype=bool),
    )  # fmt: skip


def _broadcast(theta: Mapping[str, Any]) -> dict[str, Any]:
    """Give all parameters one shape."""
    return dict(zip(theta, jnp.broadcast_arrays(*theta.values()), strict=True))
