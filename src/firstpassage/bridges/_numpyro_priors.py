"""Priors of the model's parameters as sites of a NumPyro model, cut to the box, and starts inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import (
    LeftTruncatedDistribution,
    RightTruncatedDistribution,
    TwoSidedTruncatedDistribution,
    constraints,
)
from numpyro.infer import init_to_uniform

from firstpassage import _spaces
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.joint import Joint

_Bounds = tuple[float, float]
_TRUNCATED = (TwoSidedTruncatedDistribution, LeftTruncatedDistribution, RightTruncatedDistribution)
_HALVINGS = 60  # of the interval in which a quantile is sought


class Cut(dist.Distribution):
    """A scalar distribution, cut to an interval.

    Parameters
    ----------
    base : Distribution
        With a distribution function.
    low, high : float
        Bounds.

    Examples
    --------
    >>> cut = Cut(dist.Gamma(2.0, 0.2), 0.05, 60.0)
    >>> bool(0.05 < cut.sample(jax.random.key(1)) < 60)
    True
    """

    pytree_data_fields = ("base", "_support")

    def __init__(self, base: dist.Distribution, low: float, high: float) -> None:
        self.base = base
        self._support = constraints.interval(low, high)
        super().__init__()

    @property
    def has_rsample(self) -> bool:
        """Tell that draws cannot be differentiated."""
        return False

    def log_prob(self, value: Any, intermediates: Any = None) -> jax.Array:
        """Evaluate the log density inside the interval.

        Parameters
        ----------
        value : array_like
            Where.
        intermediates : None
            For NumPyro.

        Returns
        -------
        jax.Array
            Nats.
        """
        del intermediates
        low, high = self._ends()
        return self.base.log_prob(value) - jnp.log(self.base.cdf(high) - self.base.cdf(low))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw by halving the interval.

        Parameters
        ----------
        key : jax.Array
            Source of randomness.
        sample_shape : tuple of int
            Of independent draws.

        Returns
        -------
        jax.Array, shape sample_shape
            The draws.
        """
        low, high = self._ends()
        share = jax.random.uniform(key, sample_shape)
        target = self.base.cdf(low) + share * (self.base.cdf(high) - self.base.cdf(low))

        def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            left, right = ends
            middle = (left + right) / 2
            below = self.base.cdf(middle) < target
            return jnp.where(below, middle, left), jnp.where(below, right, middle)

        left, right = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.full_like(share, low), jnp.full_like(share, high)))
        return (left + right) / 2

    def _ends(self) -> tuple[Any, Any]:
        """Give the bounds."""
        return jnp.asarray(self._support.lower_bound), jnp.asarray(self._support.upper_bound)


def draw(likelihood: Likelihood, names: tuple[str, ...], bounds: Mapping[str, _Bounds]) -> tuple[jax.Array, ...]:
    """Sample the priors of parameters inside a NumPyro model.

    Parameters
    ----------
    likelihood : Likelihood
        Whose parameters say the priors.
    names : tuple of str
        Which, in which order; empty for all.
    bounds : mapping of str to (float, float)
        To which each prior is cut.

    Returns
    -------
    tuple of jax.Array
        One for each name.

    Raises
    ------
    ModelError
        If a name is unknown or doubled, a prior misses its bounds, or a joint prior is asked for a part of itself.
    """
    wanted = names or likelihood.parameter_names
    if not set(wanted) <= set(likelihood.parameter_names) or len(set(wanted)) != len(wanted):
        raise ModelError(
            f"priors takes names among {', '.join(likelihood.parameter_names)}, each once; got "
            f"{', '.join(map(repr, wanted))}. Leave the names out to get all."
        )
    if likelihood.dependent is not None:
        raise ModelError(
            f"{likelihood.model} has a joint prior of its own, which cannot be sampled one by one. Sample it inside "
            "the NumPyro model."
        )
    if likelihood.joint is not None:
        made = _jointly(likelihood.joint, wanted)
        return tuple(made[name] for name in wanted)
    by_name = {p.name: p.prior for p in likelihood.parameters}
    return tuple(numpyro.sample(name, _cut(name, by_name[name], bounds[name])) for name in wanted)


def strategy(bounds: Mapping[str, _Bounds]) -> Callable[..., Any]:
    """Make an initialisation strategy that keeps some sites inside bounds.

    Parameters
    ----------
    bounds : mapping of str to (float, float)
        By name of the site.

    Returns
    -------
    callable
        For ``NUTS(model, init_strategy=...)``.
    """
    return partial(_start, bounds=dict(bounds))  # NumPyro looks at the function inside


def _start(site: Any = None, *, bounds: Mapping[str, _Bounds]) -> Any:
    """Start one site."""
    if site is None:
        return strategy(bounds)
    point = init_to_uniform(site)
    if point is None or site["name"] not in bounds:
        return point
    low, high = bounds[site["name"]]
    share = jax.random.uniform(site["kwargs"]["rng_key"], jnp.shape(point), minval=0.25, maxval=0.75)
    return low + (high - low) * share


def _cut(name: str, prior: Any, bounds: _Bounds) -> dist.Distribution:
    """Cut one prior; None is uniform."""
    first, last = _spaces.prior_support(name, prior)
    low, high = max(first, bounds[0]), min(last, bounds[1])
    if low >= high:
        raise ModelError(
            f"the prior of {name} lives on [{first:g}, {last:g}], which misses {bounds}, where the likelihood does. "
            "Choose a prior that overlaps it."
        )
    if prior is None or isinstance(prior, dist.Uniform):
        return dist.Uniform(low, high)
    if not isinstance(prior, dist.Distribution):
        raise ModelError(f"the prior of {name} must be a NumPyro distribution; got {prior!r}. Sample it yourself.")
    normal = prior.base_dist if isinstance(prior, _TRUNCATED) else prior
    if isinstance(normal, dist.Normal):
        return dist.TruncatedNormal(normal.loc, normal.scale, low=low, high=high)
    return prior if (low, high) == (first, last) else Cut(prior, low, high)


def _jointly(joint: Joint, names: tuple[str, ...]) -> dict[str, jax.Array]:
    """Sample parameters of a joint prior, each given those drawn before it."""
    if not {c.below for c in joint.conditionals if c.name in names} - {None} <= set(names):
        raise ModelError(
            f"the prior of {', '.join(joint.names)} is a joint one: bounds depend on other parameters, so that some of "
            f"them alone ({', '.join(names)}) have none. Name also those that they stay below, or leave the names out."
        )
    made: dict[str, jax.Array] = {}
    for c in (one for one in joint.conditionals if one.name in names):
        if c.family == "ClippedLogNormal":
            score = numpyro.sample(f"z_{c.name}", dist.Normal(0.0, 1.0))
            made[c.name] = numpyro.deterministic(
                c.name, jnp.clip(jnp.exp(c.location + c.scale * score), c.lower, c.upper)
            )
            continue
        upper = c.upper if c.below is None else jnp.minimum(c.upper, made[c.below] - c.gap)
        made[c.name] = numpyro.sample(c.name, dist.TruncatedNormal(c.location, c.scale, low=c.lower, high=upper))
    return made
