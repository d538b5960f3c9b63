"""What a ratio network is given of a pair (x, theta): invariants of the model's symmetries, or the plain variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _scale
from firstpassage.models.model import Model, Symmetry

_SMALLEST_SCALE = 1e-6


@dataclass(frozen=True, eq=False)
class Features:
    """Standardised coordinates of pairs and of data alone.

    Parameters
    ----------
    symmetry : Symmetry
        The maps.
    pair, alone : ndarray, shape (2, feature) or (3, feature)
        Centre and scale of the coordinates of pairs, and of the data alone; and which are bent.
    """

    symmetry: Symmetry
    pair: np.ndarray
    alone: np.ndarray

    def of_pair(self, x: Any, theta: Mapping[str, Any]) -> jax.Array:
        """Give the network's input for pairs: (..., feature)."""
        return _scale.place(self.symmetry.invariants(x, theta), self.pair)

    def of_data(self, x: Any) -> jax.Array:
        """Give the network's input for data alone: (..., feature)."""
        return _scale.place(self.symmetry.evidence(x), self.alone)


def fit(symmetry: Symmetry, theta: Mapping[str, np.ndarray], x: np.ndarray, *, bend: bool = False) -> Features:
    """Measure centre and scale on simulated pairs: theta (n,), x (n, column); heavy tails are bent where asked."""
    pairs = symmetry.invariants(jnp.asarray(x, jnp.float32), {k: jnp.asarray(v, jnp.float32) for k, v in theta.items()})
    data = symmetry.evidence(jnp.asarray(x, jnp.float32))
    measure = _scale.measure if bend else moments
    return Features(symmetry, pair=measure(np.asarray(pairs)), alone=measure(np.asarray(data)))


def plain(model: Model) -> Symmetry:
    """Make the identity: no symmetry, the parameters and the observed variables as they are."""
    names = model.parameter_names

    def invariants(x: Any, theta: Mapping[str, Any]) -> Any:
        columns = [theta[name] for name in names] + [x[..., i] for i in range(x.shape[-1])]
        return jnp.stack(jnp.broadcast_arrays(*columns), axis=-1)

    return Symmetry(invariants=invariants, log_scale=_zero, evidence=_identity, possible=_always)


def _zero(x: Any, theta: Mapping[str, Any]) -> Any:
    """Change no unit."""
    del theta
    return jnp.zeros_like(x[..., 0])


def _always(x: Any, theta: Mapping[str, Any]) -> Any:
    """Exclude nothing."""
    del theta
    return jnp.ones_like(x[..., 0], dtype=bool)


def _identity(x: Any) -> Any:
    """Return the observed variables."""
    return x


def moments(values: jax.Array | np.ndarray) -> np.ndarray:
    """Stack mean and standard deviation over pairs."""
    table = np.asarray(values, dtype=np.float64).reshape(-1, values.shape[-1])
    return np.stack([table.mean(0), np.maximum(table.std(0), _SMALLEST_SCALE)]).astype(np.float32)
