"""Fixed summary statistics of a set of trials, which a network then turns into learned ones.

A model may bring its own, fast and apt (`Model.summary`); else these are taken: for each column mean, spread, skewness
and quantiles, the correlations of columns, and the number of trials. One trial is its own summary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from firstpassage.errors import ModelError
from firstpassage.models.model import Model

Encode = Callable[[np.ndarray], np.ndarray]  # (dataset, trial, column) -> (dataset, feature)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SMALLEST = 1e-9


def encoder(model: Model, *, trials: tuple[int, int]) -> Encode:
    """Choose how sets of trials become numbers."""
    if model.summary is not None:
        return _checked(model)
    return flat if trials == (1, 1) else _general


def _checked(model: Model) -> Encode:
    """Call the model's own summary, and refuse what no network can take."""

    def encode(x: np.ndarray) -> np.ndarray:
        features = np.asarray(model.summary(x), dtype=np.float64)  # type: ignore[misc]
        if features.ndim != 2 or len(features) != len(x) or not np.isfinite(features).all():
            raise ModelError(
                f"the summary of {model.name} must return finite numbers of shape ({len(x)}, feature); got shape "
                f"{features.shape}, {int((~np.isfinite(features)).sum())} not finite. Mend summary(x)."
            )
        return features

    return encode


def flat(x: np.ndarray) -> np.ndarray:
    """Take the only trial as it is."""
    return x.reshape(len(x), -1)


def _general(x: np.ndarray) -> np.ndarray:
    """Summarise every column, and every pair of columns."""
    n = x.shape[1]
    mean, sd = x.mean(1), x.std(1)
    scaled = (x - mean[:, None]) / (sd[:, None] + _SMALLEST)
    skew = np.mean(np.clip(scaled, -10, 10) ** 3, axis=1)
    quantiles = np.quantile(x, _QUANTILES, axis=1)
    pairs = np.einsum("sni,snj->sij", scaled, scaled) / n
    upper = np.triu_indices(x.shape[2], 1)
    size = np.tile([np.log(n), n**-0.5], (len(x), 1))
    columns = [mean, np.log(sd + _SMALLEST), skew, *quantiles, x.min(1), x.max(1), pairs[:, *upper], size]
    return np.concatenate(columns, axis=1)
