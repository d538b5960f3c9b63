"""The JAX side of the bridge: a likelihood with its pullback, compiled once, and handed few arrays at a time.

Every NumPy array that a compiled function takes costs some 20 microseconds, as much as many a likelihood. So the
scalar parameters travel as one vector, and what does not change (trials, cotangent) stays on the device.

Trials come in `Groups`, of which sequences of like length are one each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from firstpassage.bridges._lengths import Groups
from firstpassage.likelihood import Likelihood


def value(likelihood: Likelihood, x: Groups, theta: Sequence[Any]) -> Any:
    """Evaluate the log density of every trial, in JAX.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.
    x : Groups
        The trials.
    theta : sequence of jax.Array, shape () or (trial,)
        The parameters in the order of the likelihood.

    Returns
    -------
    jax.Array, shape (trial,)
        Nats.
    """
    import jax.numpy as jnp

    named = {name: jnp.asarray(one) for name, one in zip(likelihood.parameter_names, theta, strict=True)}
    if not x.rows:
        return likelihood.function(x.values[0], named)
    parts = [
        likelihood.function(some, {name: one[rows] if one.ndim else one for name, one in named.items()})
        for rows, some in zip(x.rows, x.values, strict=True)
    ]
    return jnp.concatenate(parts)[x.place]


def value_and_pullback(likelihood: Likelihood, x: Groups, theta: Sequence[Any], cotangent: Any) -> tuple[Any, ...]:
    """Evaluate the log density of every trial, and pull a cotangent back to every parameter, in JAX.

    Parameters
    ----------
    likelihood, x, theta
        As for `value`.
    cotangent : jax.Array, shape (trial,)
        What the log density of every trial is weighted with.

    Returns
    -------
    tuple of jax.Array
        The density, and a gradient of the shape of each parameter.
    """
    import jax
    import jax.numpy as jnp

    result, pull = jax.vjp(lambda *at: value(likelihood, x, at), *(jnp.asarray(one) for one in theta))
    return (result, *pull(jnp.asarray(cotangent).astype(result.dtype)))


@lru_cache(maxsize=64)
def packed_value(likelihood: Likelihood, scalar: tuple[bool, ...]) -> Callable[..., Any]:
    """Compile `value` with the scalar parameters in one vector.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.
    scalar : tuple of bool
        Which parameters are scalars.

    Returns
    -------
    callable
        ``f(x, scalars, *vectors) -> (trial,)``.
    """
    import jax

    return jax.jit(lambda x, scalars, *vectors: value(likelihood, x, _unpack(scalar, scalars, vectors)))


@lru_cache(maxsize=64)
def packed_pullback(likelihood: Likelihood, scalar: tuple[bool, ...]) -> Callable[..., Any]:
    """Compile `value_and_pullback` with the scalar parameters in one vector.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.
    scalar : tuple of bool
        Which parameters are scalars.

    Returns
    -------
    callable
        ``f(x, cotangent, scalars, *vectors) -> (density, gradient of scalars, *gradients of vectors)``.
    """
    import jax

    def run(x: Any, cotangent: Any, *packed: Any) -> tuple[Any, ...]:
        def density(scalars: Any, *vectors: Any) -> Any:
            return value(likelihood, x, _unpack(scalar, scalars, vectors))

        result, pull = jax.vjp(density, *packed)
        return (result, *pull(cotangent.astype(result.dtype)))

    return jax.jit(run)


def pack(theta: Sequence[np.ndarray]) -> tuple[tuple[bool, ...], np.ndarray, list[np.ndarray]]:
    """Take the scalars of the parameters together.

    Parameters
    ----------
    theta : sequence of ndarray, shape () or (trial,)
        The parameters.

    Returns
    -------
    tuple of bool, ndarray, list of ndarray
        Which are scalars, the scalars, the vectors.
    """
    scalar = tuple(one.ndim == 0 for one in theta)
    scalars = np.array([one for one, single in zip(theta, scalar, strict=True) if single], dtype=np.float64)
    return scalar, scalars, [one for one, single in zip(theta, scalar, strict=True) if not single]


def _unpack(scalar: tuple[bool, ...], scalars: Any, vectors: Sequence[Any]) -> list[Any]:
    """Put scalars and vectors back into the order of the parameters."""
    single, several = iter(range(len(scalar))), iter(vectors)
    return [scalars[next(single)] if one else next(several) for one in scalar]


def unpack_arrays(scalar: tuple[bool, ...], scalars: np.ndarray, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Put what belongs to scalars and vectors back into the order of the parameters.

    Parameters
    ----------
    scalar : tuple of bool
        Which are scalars.
    scalars : ndarray
        For the scalars.
    vectors : sequence of ndarray, shape (trial,)
        For the vectors.

    Returns
    -------
    list of ndarray, shape () or (trial,)
        In the order of the parameters.
    """
    return [np.asarray(one) for one in _unpack(scalar, scalars, vectors)]


class Kept:
    """An array on the device, which is handed over again only when it has changed.

    Parameters
    ----------
    arranged : callable, optional
        ``arranged(array)``: arrays that are kept instead.
    """

    def __init__(self, arranged: Callable[[np.ndarray], Any] = lambda host: host) -> None:
        self._arranged = arranged
        self._both: tuple[np.ndarray, Any] | None = None

    def on_device(self, host: np.ndarray) -> Any:
        """Hand over an array, if it is not there.

        Parameters
        ----------
        host : ndarray
            What the device is to have.

        Returns
        -------
        jax.Array or tree of them
            The same numbers, arranged.
        """
        import jax
        import jax.numpy as jnp

        both = self._both
        if both is None or not np.array_equal(both[0], host):
            copy = np.array(host)
            both = self._both = (copy, jax.tree.map(jnp.array, self._arranged(copy)))
        return both[1]
