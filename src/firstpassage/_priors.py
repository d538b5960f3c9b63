"""Priors that users bring: distributions of NumPyro or PyMC, of one parameter or of all jointly, made alike.

A prior of one parameter has ``sample`` and ``log_prob``. A joint one that a user brings is a `Dependent`: a density of
the parameters in their own units, and a way to draw them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from firstpassage.errors import ModelError

_CELLS = 2**16  # of a grid on which a density is integrated


@dataclass(frozen=True, eq=False, kw_only=True)
class Dependent:
    """Hold a joint prior with a density, of parameters that may depend on each other.

    Made by ``Model(prior=...)``; seldom by hand.

    Parameters
    ----------
    names : tuple of str
        Of the parameters, in the order of the model.
    log_prob : callable
        Pure JAX, ``log_prob(theta) -> ()``: the log density at one parameter set (parameter,), -inf off the support.
    draw : callable
        ``draw(n, rng) -> (n, parameter)``.

    Examples
    --------
    >>> from numpyro.distributions import MultivariateNormal
    >>> made = joint(MultivariateNormal(np.zeros(2), np.eye(2)), ("x", "y"))
    >>> made.log_density({"x": np.zeros(1), "y": np.zeros(1)}).round(3)
    array([-1.838])
    """

    names: tuple[str, ...]
    log_prob: Callable[[Any], Any]
    draw: Callable[[int, np.random.Generator], np.ndarray]

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameter sets.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        dict of str to ndarray, shape (n,)
            By name.
        """
        drawn = np.asarray(self.draw(n, rng), dtype=np.float64)
        return dict(zip(self.names, drawn.T, strict=True))

    def log_density(self, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate the log density of parameter sets.

        Parameters
        ----------
        theta : mapping of str to ndarray, shape (...)
            Every parameter by its name.

        Returns
        -------
        ndarray, shape (...), float64
            Nats; -inf off the support.
        """
        import jax

        rows = np.stack([np.asarray(theta[name], dtype=np.float64) for name in self.names], axis=-1)
        with jax.enable_x64():
            found = np.asarray(self._many(rows.reshape(-1, len(self.names))))
        return found.reshape(rows.shape[:-1])

    @cached_property
    def _many(self) -> Callable[..., Any]:
        """Hold the compiled density for the life of this object."""
        import jax

        return jax.jit(jax.vmap(self.log_prob))


def scalar(name: str, prior: Any) -> Any:
    """Take the prior of one parameter.

    Parameters
    ----------
    name : str
        Of the parameter.
    prior : object
        A NumPyro distribution, a PyMC one such as ``pm.Normal.dist(0, 1)``, or any object with ``sample`` and
        ``log_prob``; None is uniform on the bounds.

    Returns
    -------
    object
        With ``sample`` and ``log_prob``, or None.

    Raises
    ------
    ModelError
        If it is none of these, discrete, or of more than one number.

    Examples
    --------
    >>> scalar("x", None) is None
    True
    """
    if prior is None:
        return None
    if _library(prior) == "pytensor":
        from firstpassage import _pymc_priors

        return _pymc_priors.scalar(name, prior)
    if not {"sample", "log_prob"} <= set(dir(prior)) or isinstance(prior, type):
        raise ModelError(
            f"the prior of {name} must have sample and log_prob, as NumPyro distributions do, or be one of PyMC "
            f"such as pm.Normal.dist(0, 1); got {prior!r}."
        )
    if _library(prior) == "numpyro":
        if prior.batch_shape or prior.event_shape:
            raise ModelError(
                f"the prior of {name} must be a distribution of one number; got one of shape {prior.shape()}. A joint "
                "prior of several parameters is given to the Model: Model(prior=...)."
            )
        if prior.support.is_discrete:
            raise ModelError(f"the prior of {name} must be continuous; got {type(prior).__name__}. Choose another.")
    return prior


def joint(prior: Any, names: tuple[str, ...]) -> Any:
    """Take a joint prior of all parameters.

    Parameters
    ----------
    prior : object
        A NumPyro distribution of as many numbers as there are parameters, in their order; a NumPyro model, a function
        without arguments whose sites are the parameters; a ``pm.Model`` whose free variables are the parameters; or
        ``f(n, *, rng)``, which has no density.
    names : tuple of str
        Of the parameters.

    Returns
    -------
    Dependent or callable
        The latter is such a function.

    Raises
    ------
    ModelError
        If it is none of these, or of other parameters.

    Examples
    --------
    >>> joint(lambda n, *, rng: {"x": rng.uniform(size=n)}, ("x",)).__name__
    '<lambda>'
    """
    if _library(prior) == "numpyro" and "event_shape" in dir(prior):
        return _distribution(prior, names)
    if _library(prior) == "pymc" and type(prior).__name__ == "Model":
        from firstpassage import _pymc_priors

        return _pymc_priors.joint(prior, names)
    if isinstance(prior, Dependent) and prior.names == names:
        return prior
    if not callable(prior):
        raise ModelError(
            "prior must be a function f(n, *, rng) -> dict of (n,) arrays, a joint distribution or model of NumPyro, a "
            f"pm.Model, or a Joint; got {prior!r}. Leave it out where each Parameter has a prior of its own."
        )
    needed = [
        p for p in inspect.signature(prior).parameters.values() if p.default is p.empty and p.kind != p.VAR_KEYWORD
    ]
    if not needed:
        return _numpyro_model(prior, names)
    if "rng" not in {p.name for p in needed}:
        raise ModelError(
            f"a prior that is a function must take (n, *, rng), or nothing if it is a NumPyro model; got one that "
            f"takes {', '.join(p.name for p in needed)}."
        )
    return prior


def mass(prior: Any, bounds: tuple[float, float]) -> float:
    """Compute the share of a prior of one parameter that lies between bounds.

    Parameters
    ----------
    prior : object
        As `scalar` returns it.
    bounds : (float, float)
        In the parameter's unit.

    Returns
    -------
    float
        From 0 to 1, by the distribution function if there is one, else by the midpoint rule.

    Examples
    --------
    >>> from numpyro.distributions import Normal
    >>> round(mass(Normal(0.0, 1.0), (-1.0, 1.0)), 4)
    0.6827
    """
    import jax

    low, high = bounds
    with jax.enable_x64():
        if _library(prior) == "numpyro":
            try:
                return float(prior.cdf(np.float64(high)) - prior.cdf(np.float64(low)))
            except NotImplementedError:
                pass
        width = (high - low) / _CELLS
        return float(np.exp(log_density(prior, low + width * (np.arange(_CELLS) + 0.5))).sum() * width)


def log_density(prior: Any, value: np.ndarray) -> np.ndarray:
    """Evaluate the prior of one parameter, in double precision where it is one of JAX.

    Parameters
    ----------
    prior : object
        As `scalar` returns it.
    value : ndarray, shape (n,)
        In the parameter's unit.

    Returns
    -------
    ndarray, shape (n,)
        Nats; -inf off the support.

    Examples
    --------
    >>> from numpyro.distributions import Uniform
    >>> log_density(Uniform(0.0, 2.0), np.array([0.5, 3.0])).round(3).tolist()
    [-0.693, -inf]
    """
    import jax

    with jax.enable_x64():
        if _library(prior) != "numpyro":
            return np.asarray(prior.log_prob(value))
        inside = np.asarray(prior.support(value))  # it gives a density off the support, too
        safe = np.where(inside, value, np.asarray(prior.support.feasible_like(value)))
        return np.where(inside, np.asarray(prior.log_prob(safe)), -np.inf)


def _library(prior: Any) -> str:
    """Name the library that an object is of."""
    return type(prior).__module__.partition(".")[0]


def _distribution(prior: Any, names: tuple[str, ...]) -> Dependent:
    """Take a joint NumPyro distribution."""
    import jax
    import jax.numpy as jnp

    if prior.batch_shape or prior.event_shape != (len(names),):
        raise ModelError(
            f"a joint prior of {', '.join(names)} must have event_shape ({len(names)},) and no batch_shape; got "
            f"event_shape {prior.event_shape}, batch_shape {prior.batch_shape}. Use .to_event(1) where the parameters "
            "are independent."
        )

    def log_prob(theta: Any) -> Any:
        inside = jnp.all(prior.support(theta))
        return jnp.where(inside, prior.log_prob(theta), -jnp.inf)

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        with jax.enable_x64():
            return np.asarray(prior.sample(jax.random.key(rng.integers(2**31)), (n,)))

    return Dependent(names=names, log_prob=log_prob, draw=draw)


def _numpyro_model(write: Callable[[], Any], names: tuple[str, ...]) -> Dependent:
    """Take a NumPyro model, whose sites are the parameters."""
    import jax
    import jax.numpy as jnp
    from numpyro import handlers

    def sites(seeded: Callable[[], Any]) -> dict[str, Any]:
        trace = handlers.trace(seeded).get_trace()
        return {name: site for name, site in trace.items() if site["type"] == "sample"}

    _check_sites(sites(handlers.seed(write, rng_seed=0)), names)

    def log_prob(theta: Any) -> Any:
        given = handlers.substitute(write, data=dict(zip(names, theta, strict=True)))
        found = sites(handlers.seed(given, rng_seed=0)).values()
        total = sum(jnp.sum(site["fn"].log_prob(site["value"])) for site in found)
        inside = jnp.all(jnp.stack([jnp.all(site["fn"].support(site["value"])) for site in found]))
        return jnp.where(inside, total, -jnp.inf)

    def one(key: jax.Array) -> Any:
        found = sites(handlers.seed(write, rng_seed=key))
        return jnp.stack([found[name]["value"] for name in names])

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        with jax.enable_x64():
            return np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(rng.integers(2**31)), n)))

    return Dependent(names=names, log_prob=log_prob, draw=draw)


def _check_sites(sites: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse sites that are not the parameters, one number each, unobserved and continuous."""
    if set(sites) != set(names):
        raise ModelError(
            f"a NumPyro model as prior must have the sites {', '.join(names)}; got {', '.join(sites) or 'none'}. Name "
            "its sites as the parameters, and nothing else (numpyro.deterministic is free)."
        )
    for name, site in sites.items():
        if np.shape(site["value"]) or site["is_observed"] or site["fn"].support.is_discrete:
            raise ModelError(
                f"the site {name} of a prior must be one number, continuous and not observed; got shape "
                f"{np.shape(site['value'])} of {type(site['fn']).__name__}. Mend the model."
            )
