"""The highest mode of a posterior: climbs from draws that lie apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _smc, seeds
from firstpassage.errors import DataError

if TYPE_CHECKING:
    import jax

    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood

_POINTS = 1024  # looked at
_STARTS = 4  # of climbs
_APART = 0.5  # standard deviations of the points between starts, at least
_FARTHEST = 30.0  # on the real line


def find(likelihood: Likelihood, x: np.ndarray, *, space: Space, seed: int) -> dict[str, float]:
    """Find the mode of the posterior of the trials `x`.

    Parameters
    ----------
    likelihood : Likelihood
        Any.
    x : ndarray, shape (trial, ...)
        As `read` returns it.
    space : Space
        The real line, with the prior.
    seed : int
        Of the starting points.

    Returns
    -------
    dict of str to float
        The parameters.

    Raises
    ------
    DataError
        If the likelihood is zero everywhere.
    """
    import jax
    from scipy.optimize import minimize

    ends, (padded, weight) = space.ends(likelihood, x), _smc.pad(x)
    points = _points(likelihood, x, space=space, seed=seed)
    with jax.enable_x64():
        climb, look, place = _programs(likelihood, space)
        data = (padded, weight, ends[:, 0], ends[:, 1])
        height = np.asarray(look(points, data))
        if not np.isfinite(height).any():
            raise DataError(
                f"the {likelihood.kind} likelihood of {likelihood.model} must be finite somewhere; it is not at any of "
                f"{len(points)} points. Look at the extreme trials."
            )

        def down(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = climb(z, data)
            ok = np.isfinite(value)
            return (-float(value) if ok else 1e30), (-np.nan_to_num(np.asarray(slope)) if ok else np.zeros(len(z)))

        bounds = [(-_FARTHEST, _FARTHEST)] * points.shape[1]
        climbs = [minimize(down, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in apart(points, height)]
        best = min(climbs, key=lambda end: end.fun).x
        theta = np.asarray(place(best, *data[2:]))
    return dict(zip(likelihood.parameter_names, map(float, theta), strict=True))


def apart(points: np.ndarray, height: np.ndarray) -> list[np.ndarray]:
    """Choose the highest points that lie apart from each other.

    Parameters
    ----------
    points : ndarray, shape (n, coordinate)
        Draws.
    height : ndarray, shape (n,)
        Log density; some finite.

    Returns
    -------
    list of ndarray, shape (coordinate,)
        At most four, the highest first.
    """
    scale = np.maximum(points.std(axis=0), 1e-12)
    chosen: list[np.ndarray] = []
    for i in np.argsort(-np.where(np.isfinite(height), height, -np.inf)):
        distances = [np.sqrt(np.mean(((points[i] - one) / scale) ** 2)) for one in chosen]
        if np.isfinite(height[i]) and all(distance > _APART for distance in distances):
            chosen.append(points[i])
        if len(chosen) == _STARTS:
            break
    return chosen


def _points(likelihood: Likelihood, x: np.ndarray, *, space: Space, seed: int) -> np.ndarray:
    """Take draws of the posterior where it may have several modes, else points spread over the prior's box."""
    if likelihood.several_modes and len(x) <= _smc.MOST_TRIALS:
        return _smc.sample(likelihood, x, space=space, draws=_POINTS, seed=seed).z
    return space.base(_POINTS, seeds.generator(seed, "starts"))


@lru_cache(maxsize=16)
def _programs(likelihood: Likelihood, space: Space) -> tuple[Callable[..., Any], ...]:
    """Compile the height with its slope, the heights of many points, and parameters."""
    import jax
    import jax.numpy as jnp

    def height(z: jax.Array, data: tuple[Any, ...]) -> jax.Array:
        x, weight, low, high = data
        theta = dict(zip(likelihood.parameter_names, space.parameters(z, low, high), strict=True))
        return jnp.sum(jnp.where(weight > 0, likelihood.function(x, theta), 0.0)) + space.log_height(z, low, high)

    def heights(z: jax.Array, data: tuple[Any, ...]) -> jax.Array:
        return jax.lax.map(lambda one: height(one, data), z, batch_size=64)

    return jax.jit(jax.value_and_grad(height)), jax.jit(heights), jax.jit(space.parameters)
