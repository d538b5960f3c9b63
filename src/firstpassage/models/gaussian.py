"""A normal distribution, one draw for each trial: the model by which learned likelihoods are taught.

x ~ Normal(mu, sigma), with the density exp(-((x - mu) / sigma)^2 / 2) / (sigma sqrt(2 pi)). Everybody knows the answer,
so that one sees what a learned likelihood does.

References
----------
Johnson, Kotz and Balakrishnan (1994), Continuous univariate distributions 1, eq. 13.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import _column
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter, with_bounds
from firstpassage.models.records import Schema, Symmetry

PARAMETERS = (
    Parameter("mu", bounds=(-5.0, 5.0), symbol=r"$\mu$"),  # mean
    Parameter("sigma", bounds=(0.1, 5.0), symbol=r"$\sigma$"),  # standard deviation
)
COLUMNS = ("x",)

read = partial(_column.read, column="x", noun="draws")


def likelihood(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw from the normal distribution.

    Parameters
    ----------
    theta : dict of str to ndarray, shape (n,)
        mu, sigma.
    trials : int
        Trials for each parameter set.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray, shape (n, trials)
        x.
    """
    mu, sigma = (np.asarray(theta[name])[:, None] for name in ("mu", "sigma"))
    return {"x": rng.normal(mu, sigma, (len(mu), trials))}


def exact(parameters: tuple[Parameter, ...] = PARAMETERS) -> Likelihood:
    """Make the exact likelihood: the normal density.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.

    Returns
    -------
    Likelihood
        kind ``"exact"``, float64.

    References
    ----------
    Johnson, Kotz and Balakrishnan (1994), eq. 13.1.
    """
    return Likelihood(
        model="gaussian", kind="exact", trial="draw", parameters=parameters, columns=COLUMNS, read=read,
        density=_density, simulate=_simulate_rows,
    )  # fmt: skip


def gaussian(*, bounds: Mapping[str, tuple[float, float]] | None = None) -> Model:
    """Make the normal distribution with unknown mean and standard deviation.

    Parameters
    ----------
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the usual mu [-5, 5], sigma [.1, 5].

    Returns
    -------
    Model
        Parameters mu and sigma, with uniform priors. Data are an array (n,) or (n, 1), or a DataFrame with a column x.

    Raises
    ------
    ModelError
        If a bound names no parameter, or sigma may be zero.

    Examples
    --------
    >>> gaussian().exact.log_prob([0.0, 1.0], mu=0.0, sigma=1.0).round(3)
    array([-0.919, -1.419])
    """
    parameters = _with_bounds(bounds or {})
    return Model(
        name="gaussian",
        parameters=parameters,
        likelihood=likelihood,
        exact=exact(parameters),
        schema=Schema(trial="draw", columns=COLUMNS, read=read),
        symmetry=Symmetry(invariants=_invariants, log_scale=_log_scale, evidence=_evidence, possible=_possible),
    )


@cache
def reference_priors() -> dict[str, Any]:
    """Give the informed priors of the published workflow, in place of the uniform ones.

    Returns
    -------
    dict of str to numpyro.distributions.Distribution
        Truncated normals: mu (0, 5) on [-5, 5], sigma (1.5, 1.5) on [.5, 3].

    Examples
    --------
    >>> sorted(reference_priors())
    ['mu', 'sigma']
    """
    import jax
    from numpyro.distributions import TruncatedNormal

    with jax.enable_x64():
        return {
            "mu": TruncatedNormal(0.0, 5.0, low=-5.0, high=5.0),
            "sigma": TruncatedNormal(1.5, 1.5, low=0.5, high=3.0),
        }


def _with_bounds(bounds: Mapping[str, tuple[float, float]]) -> tuple[Parameter, ...]:
    """Replace bounds by name, and refuse those of no distribution."""
    made = with_bounds(PARAMETERS, bounds, model="gaussian")
    if made[1].bounds[0] <= 0:
        raise ModelError(f"gaussian needs sigma > 0; got the bounds {made[1].bounds}. Begin above zero, as at 0.1.")
    return made


def _density(x: Any, theta: Mapping[str, Any]) -> Any:
    """Evaluate the normal density for trials x (trial, 1)."""
    import jax.numpy as jnp

    score = (x[..., 0] - theta["mu"]) / theta["sigma"]
    return -0.5 * score**2 - jnp.log(theta["sigma"]) - 0.5 * math.log(2 * math.pi)


def _simulate_rows(theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw one trial for each row of theta: (n, 1)."""
    return likelihood(theta, trials=1, rng=rng)["x"]


def _invariants(x: Any, theta: Mapping[str, Any]) -> Any:
    """Undo what the simulator does not care about: the origin, the unit and the sign of x.

    Left is the distance from mu in units of sigma, d. Returned are two functions of it, of which one is smooth at the
    centre and the other tells far distances apart; what they mean for a density is learned.
    """
    import jax.numpy as jnp

    far = jnp.sqrt(1 + ((x[..., 0] - theta["mu"]) / theta["sigma"]) ** 2)
    return jnp.stack([far, jnp.log(far)], axis=-1)


def _log_scale(x: Any, theta: Mapping[str, Any]) -> Any:
    """Give the log Jacobian of measuring x in units of sigma."""
    import jax.numpy as jnp

    return -jnp.log(theta["sigma"]) + 0 * x[..., 0]


def _evidence(x: Any) -> Any:
    """Give coordinates of x alone, on which the evidence p(x) depends; on the usual box it is even."""
    import jax.numpy as jnp

    return jnp.stack([x[..., 0], jnp.sqrt(1 + x[..., 0] ** 2)], axis=-1)


def _possible(x: Any, theta: Mapping[str, Any]) -> Any:
    """Exclude nothing."""
    import jax.numpy as jnp

    return jnp.ones_like(x[..., 0] + 0 * theta["mu"], dtype=bool)
