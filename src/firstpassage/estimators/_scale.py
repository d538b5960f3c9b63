"""Bring columns to unit size; those with heavy tails are bent by an inverse hyperbolic sine, so that none is extreme.

A scaling is an array of two rows, centre and spread of every column, or of three: the third is 1 for a column that is
bent, whose centre and spread are median and half the width of its middle 68 %.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_SMALLEST = 1e-6  # of a spread
_TAILS = 6.0  # width of the middle 99.8 % over that of the middle 68 %; of a normal distribution it is 3.1
_WITHIN = (0.001, 0.16, 0.5, 0.84, 0.999)


def measure(values: np.ndarray) -> np.ndarray:
    """Measure columns (n, column), and find out which are to be bent: (3, column), float32."""
    values = np.asarray(values, np.float64)
    bottom, low, middle, high, top = np.quantile(values, _WITHIN, axis=0)
    half = (high - low) / 2
    bent = (top - bottom > 2 * _TAILS * half) & (half > _SMALLEST)
    centre = np.where(bent, middle, values.mean(0))
    spread = np.where(bent, half, np.maximum(values.std(0), _SMALLEST))
    return np.stack([centre, spread, bent]).astype(np.float32)


def place(values: Any, scaling: Any) -> Any:
    """Scale columns (..., column)."""
    z = (values - scaling[0]) / scaling[1]
    if len(scaling) == 2:
        return z
    module = jnp if isinstance(values, jax.Array) else np
    return module.where(scaling[2] > 0, module.arcsinh(z), z)


def log_slope(values: Any, scaling: np.ndarray) -> Any:
    """Give the log of the derivative of `place`, summed over columns: (...,)."""
    constant = -float(np.log(scaling[1].astype(np.float64)).sum())
    if len(scaling) == 2:
        return constant
    z = (values - scaling[0]) / scaling[1]
    return constant - 0.5 * jnp.sum(jnp.where(scaling[2] > 0, jnp.log1p(z**2), 0.0), axis=-1)
