"""Poisson counts, one for each trial: chocolate chips in a cookie, from a factory with an unknown rate.

P(k) = rate^k exp(-rate) / k!. With several factories, each with its own rate, it is the model by which hierarchies are
taught; a trial is one cookie.

References
----------
Johnson, Kemp and Kotz (2005), Univariate discrete distributions, eq. 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import _column
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter, with_bounds
from firstpassage.models.records import Schema, Symmetry

COLUMNS = ("chips",)
_ANSCOMBE = 3 / 8  # keeps the spread of square roots of counts even down to small rates


@cache
def _prior(low: float, high: float) -> Any:
    """Make the log-uniform prior of a rate; the same object for the same bounds, as programs are kept by it."""
    import jax
    from numpyro.distributions import LogUniform

    with jax.enable_x64():
        return LogUniform(low, high)


def _rate(bounds: tuple[float, float]) -> Parameter:
    """Make the one parameter, and refuse bounds of no rate."""
    box = Parameter("rate", bounds=bounds, symbol=r"$\lambda$", unit="chips per cookie")
    if box.bounds[0] <= 0:
        raise ModelError(f"poisson needs rate > 0; got the bounds {box.bounds}. Begin above zero, as at 0.05.")
    return replace(box, prior=_prior(*box.bounds))


PARAMETERS = (_rate((0.05, 60.0)),)


def read(data: Any) -> np.ndarray:
    """Return the counts of one subject as an array, or say what is wrong with them.

    Parameters
    ----------
    data : DataFrame, mapping or array_like
        With a column ``chips``; or an array of shape (n,) or (n, 1).

    Returns
    -------
    ndarray, shape (n, 1), float64
        Whole numbers from 0.

    Raises
    ------
    DataError
        If a value, the type or the shape is wrong.

    Examples
    --------
    >>> read([12, 9, 7]).shape
    (3, 1)
    """
    x = _column.read(data, column="chips", noun="counts")
    counts = x[:, 0]
    _column.refuse(counts < 0, counts, "chips must be counts from 0", "Look for codes of missing values, such as -999.")
    _column.refuse(
        counts != np.floor(counts), counts, "chips must be whole numbers", "Pass counts, not their means or logarithms."
    )
    return x


def likelihood(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw counts.

    Parameters
    ----------
    theta : dict of str to ndarray, shape (n,)
        rate, chips per cookie.
    trials : int
        Trials for each parameter set.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray, shape (n, trials)
        chips.
    """
    rate = np.asarray(theta["rate"])[:, None]
    return {"chips": rng.poisson(rate, (len(rate), trials)).astype(np.float64)}


def exact(parameters: tuple[Parameter, ...] = PARAMETERS) -> Likelihood:
    """Make the exact likelihood: the Poisson probability.

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
    Johnson, Kemp and Kotz (2005), eq. 4.1.
    """
    return Likelihood(
        model="poisson", kind="exact", trial="cookie", parameters=parameters, columns=COLUMNS, read=read,
        density=_density, simulate=_simulate_rows,
    )  # fmt: skip


def poisson(*, bounds: Mapping[str, tuple[float, float]] | None = None) -> Model:
    """Make Poisson counts with an unknown rate.

    Parameters
    ----------
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the usual rate [.05, 60].

    Returns
    -------
    Model
        Parameter rate (chips per cookie), with a log-uniform prior on its bounds. Data are an array (n,) or (n, 1), or
        a DataFrame with a column chips.

    Raises
    ------
    ModelError
        If a bound names no parameter, or the rate may be zero.

    Examples
    --------
    >>> poisson().exact.log_prob([9, 7], rate=8.0).round(3)
    array([-2.087, -1.969])
    """
    (rate,) = with_bounds(PARAMETERS, bounds or {}, model="poisson")
    parameters = (_rate(rate.bounds),) if bounds else PARAMETERS
    return Model(
        name="poisson",
        parameters=parameters,
        likelihood=likelihood,
        exact=exact(parameters),
        schema=Schema(trial="cookie", columns=COLUMNS, read=read),
        symmetry=Symmetry(invariants=_coordinates, log_scale=_no_scale, evidence=_evidence, possible=_possible),
    )


def _density(x: Any, theta: Mapping[str, Any]) -> Any:
    """Evaluate the Poisson probability for trials x (trial, 1)."""
    import jax.numpy as jnp
    from jax.scipy.special import gammaln

    return x[..., 0] * jnp.log(theta["rate"]) - theta["rate"] - gammaln(x[..., 0] + 1)


def _simulate_rows(theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw one trial for each row of theta: (n, 1)."""
    return likelihood(theta, trials=1, rng=rng)["chips"]


def _coordinates(x: Any, theta: Mapping[str, Any]) -> Any:
    """Give coordinates in which counts of any rate spread nearly alike: those of Anscombe (1948).

    Square roots of counts have nearly one spread, and nearly one shape where the rate is large. Returned are the
    distance of the root from that of the rate, a smooth function of its size, the inverse root and the logarithm of the
    rate, by which shapes differ, and their products with the distance. What they mean for a probability is learned.
    """
    import jax.numpy as jnp

    expected = jnp.sqrt(theta["rate"] + _ANSCOMBE)
    distance = jnp.sqrt(x[..., 0] + _ANSCOMBE) - expected
    size, logarithm = jnp.sqrt(1 + 4 * distance**2), jnp.log(theta["rate"])
    features = (distance, size, 1 / expected, logarithm, distance / expected, distance * logarithm)
    return jnp.stack(jnp.broadcast_arrays(*features), axis=-1)


def _no_scale(x: Any, theta: Mapping[str, Any]) -> Any:
    """Change no unit: a count has none."""
    return 0 * x[..., 0] + 0 * theta["rate"]


def _evidence(x: Any) -> Any:
    """Give coordinates of the count alone."""
    import jax.numpy as jnp

    return jnp.stack([jnp.sqrt(x[..., 0]), jnp.log1p(x[..., 0])], axis=-1)


def _possible(x: Any, theta: Mapping[str, Any]) -> Any:
    """Exclude nothing."""
    import jax.numpy as jnp

    return jnp.ones_like(x[..., 0] + 0 * theta["rate"], dtype=bool)
