"""The real line on which posteriors are sampled: a box by a logistic function, or the coordinates of a joint prior.

A space has no data: what the data narrow, the ends of the box, are arguments, so that many data sets share a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firstpassage import _priors
from firstpassage._priors import Dependent
from firstpassage.errors import ModelError

if TYPE_CHECKING:
    import jax

    from firstpassage.likelihood import Likelihood
    from firstpassage.models.joint import Joint

_EDGE = 40.0  # a logistic function is constant in float64 beyond
_PROBES = 4096  # draws of a prior by which its coordinates are standardised
_SMALLEST = 1e-6

Many = tuple[dict[str, np.ndarray], np.ndarray]


class Space(Protocol):
    """Points of the real line (..., coordinate), what parameters they are, and the prior there; hashable."""

    def __hash__(self) -> int:
        """Be part of what a compiled program is kept by."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the model."""

    def ends(self, likelihood: Likelihood, x: np.ndarray) -> np.ndarray:
        """Give what the other methods need to know of the data: (parameter, 2)."""

    def parameters(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Give the parameters (..., parameter) in JAX."""

    def log_prior(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the log density of the prior at one point in JAX, up to a constant."""

    def log_height(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the prior whose modes are sought: without the Jacobian of a map onto the box."""

    def base(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw points (n, coordinate) from a part of the prior that is easy to draw from."""

    def log_base(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the log density of that part at one point in JAX, up to a constant."""

    def log_rest(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate what the prior has beside it: both sum to `log_prior`."""

    def many(self, z: np.ndarray, ends: np.ndarray) -> Many:
        """Give the parameters by name and the log density of the prior, up to a constant, of points (draw, ...)."""


@dataclass(frozen=True)
class Box:
    """A box, cut to what data and priors allow.

    Parameters
    ----------
    names : tuple of str
        Of the parameters.
    priors : tuple
        Distributions; None is uniform.
    dependent : Dependent, optional
        A joint prior, beside which the others are uniform.
    """

    names: tuple[str, ...]
    priors: tuple[Any, ...]
    dependent: Dependent | None = None

    def ends(self, likelihood: Likelihood, x: np.ndarray) -> np.ndarray:
        """Intersect the box, what the data allow and the priors' supports."""
        support = likelihood.support(x)
        box = np.array([support[name] for name in self.names])
        for i, (name, prior) in enumerate(zip(self.names, self.priors, strict=True)):
            low, high = prior_support(name, prior)
            box[i] = max(low, box[i, 0]), min(high, box[i, 1])
            if box[i, 0] >= box[i, 1]:
                raise ModelError(
                    f"the prior of {name} lives on [{low:.4g}, {high:.4g}], which misses {support[name]}, where the "
                    f"likelihood does. Choose a prior that overlaps it."
                )
        return box

    def parameters(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Map the real line into the box."""
        import jax

        return low + (high - low) * jax.nn.sigmoid(z)

    def log_prior(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Sum the priors, and the logistic map's Jacobian."""
        return self.log_base(z, low, high) + self.log_height(z, low, high)

    def log_height(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Sum the priors."""
        import jax.numpy as jnp

        theta = self.parameters(z, low, high)
        whole = jnp.zeros(()) if self.dependent is None else self.dependent.log_prob(theta)
        return sum((p.log_prob(theta[i]) for i, p in enumerate(self.priors) if p is not None), whole)

    def base(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw points that are uniform in the box."""
        return rng.logistic(size=(n, len(self.names)))

    def log_base(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the logistic map's Jacobian, which is the density of such points."""
        import jax
        import jax.numpy as jnp

        del low, high
        return jnp.sum(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))

    def log_rest(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Sum the priors."""
        return self.log_height(z, low, high)

    def many(self, z: np.ndarray, ends: np.ndarray) -> Many:
        """Do both for many points, without compiling."""
        low, high = ends[:, 0], ends[:, 1]
        theta = np.asarray(low + (high - low) / (1 + np.exp(-np.clip(z, -_EDGE, _EDGE))))
        log_prior = -(np.logaddexp(0, z) + np.logaddexp(0, -z)).sum(axis=1)
        named = dict(zip(self.names, theta.T, strict=True))
        for name, prior in zip(self.names, self.priors, strict=True):
            log_prior = log_prior + (0.0 if prior is None else np.asarray(prior.log_prob(named[name])))
        return named, log_prior + (0.0 if self.dependent is None else self.dependent.log_density(named))


@dataclass(frozen=True)
class Coordinates:
    """The coordinates of a joint prior, standardised. The data narrow nothing.

    Parameters
    ----------
    joint : Joint
        The prior.
    """

    joint: Joint

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.joint.names

    @cached_property
    def scaling(self) -> np.ndarray:
        """Centre and spread of the coordinates under the prior."""
        return scaling(self.joint)

    def ends(self, likelihood: Likelihood, x: np.ndarray) -> np.ndarray:
        """Give the box, which no point leaves."""
        del x
        return np.array([likelihood.box[name] for name in self.names])

    def parameters(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Give the parameters of standardised coordinates."""
        import jax.numpy as jnp

        del low, high
        return jnp.stack(list(self.joint.parameters(self._coordinates(z)).values()), axis=-1)

    def log_prior(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the prior's density of the coordinates."""
        del low, high
        return self.joint.log_prob(self._coordinates(z))

    def log_height(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the same: that of parameters is infinite at an atom."""
        return self.log_prior(z, low, high)

    def base(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw from the prior."""
        return np.asarray((self.joint.sample(n, rng) - self.scaling[0]) / self.scaling[1])

    def log_base(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Evaluate the prior's density of the coordinates."""
        return self.log_prior(z, low, high)

    def log_rest(self, z: jax.Array, low: Any, high: Any) -> jax.Array:
        """Give 0: that was all of it."""
        import jax.numpy as jnp

        del z, low, high
        return jnp.zeros(())

    def many(self, z: np.ndarray, ends: np.ndarray) -> Many:
        """Do both for many points."""
        del ends
        own = self._coordinates(z)
        return dict(self.joint.parameters(own)), np.asarray(self.joint.log_prob(own))

    def _coordinates(self, z: Any) -> Any:
        """Undo the standardisation."""
        return self.scaling[0] + self.scaling[1] * z


@lru_cache(maxsize=16)
def scaling(joint: Joint) -> np.ndarray:
    """Measure centre and spread of the coordinates of a joint prior, from draws: (2, coordinate)."""
    z = joint.sample(_PROBES, np.random.default_rng(0))
    return np.stack([z.mean(axis=0), np.maximum(z.std(axis=0), _SMALLEST)])


def choose(likelihood: Likelihood, given: Mapping[str, Any]) -> Space:
    """Take the coordinates of a joint prior; else a box, with the given priors before the model's own."""
    if not isinstance(given, Mapping):
        raise ModelError(f"prior must map parameter names to distributions; got {type(given).__name__}.")
    unknown = sorted(set(given) - set(likelihood.parameter_names))
    if unknown:
        raise ModelError(f"prior names {unknown}; the parameters are {', '.join(likelihood.parameter_names)}.")
    given = {name: _priors.scalar(name, prior) for name, prior in given.items()}
    names, own = likelihood.parameter_names, likelihood.dependent
    joint = own if isinstance(own, Dependent) else None
    if joint is not own and set(given) != set(names):
        raise ModelError(
            f"the prior of {likelihood.model} is a function that can only be sampled, so that only NPE can use it; got "
            f"priors for {', '.join(given) or 'nothing'}. Pass prior= with one for every parameter, or give the Model "
            "one with a density."
        )
    if set(given) == set(names) and likelihood.joint is None:
        return Box(names, tuple(given[name] for name in names))
    if own is None and likelihood.joint is None:
        return Box(names, tuple(given.get(p.name, p.prior) for p in likelihood.parameters))
    if given:
        raise ModelError(
            f"the prior of {likelihood.model} is a joint one, of parameters that depend on each other; got one for "
            f"{', '.join(given)} alone. Make the model with another joint prior, or write the priors with PyMC."
        )
    if likelihood.joint is not None:
        return Coordinates(likelihood.joint)
    return Box(names, (None,) * len(names), joint)


def prior_support(name: str, prior: Any) -> tuple[float, float]:
    """Find the ends of a prior's support from NumPyro's own map of the real line onto it."""
    if prior is None:
        return -np.inf, np.inf
    import jax
    from numpyro.distributions import Distribution, biject_to

    if isinstance(prior, Distribution):
        if prior.batch_shape or prior.event_shape:
            raise ModelError(f"the prior of {name} must be one scalar distribution; got shape {prior.shape()}.")
        with jax.ensure_compile_time_eval():  # a NumPyro model that is being traced asks, too
            ends = np.asarray(biject_to(prior.support)(np.array([-1e9, 1e9])))
        return float(ends[0]), float(ends[1])
    if not callable(prior.log_prob if "log_prob" in dir(prior) else None):
        raise ModelError(f"the prior of {name} must be a NumPyro distribution or have log_prob; got {prior!r}.")
    if "support" in dir(prior):
        low, high = prior.support
        return float(low), float(high)
    return -np.inf, np.inf
