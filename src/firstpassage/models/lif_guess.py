"""Guess where the posterior of a voltage trace lies in the coordinates of the prior, from the summary statistics.

A network that starts from the guess has to learn only how the posterior differs from it, which takes a fraction of the
training: a threshold is known to a tenth of a millivolt, a twentieth of its prior. The guess need not be good: any
centre and spread make the same family of posteriors, and training puts right what they get wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from firstpassage.models.joint import Joint
from firstpassage.models.lif_scoring import COORDINATES
from firstpassage.models.lif_statistics import SUMMARY_NAMES

_EDGE = 0.003  # share of an interval, which guesses keep from its ends
_SPREADS = (0.003, 1.0)  # smallest and largest of a guess
_ABOVE = 1.0  # mV; without spikes a threshold is anywhere above
_AFTER = {"V_reset": None, "V_init": "V_reset", "E_L": "V_init"}  # each lies above the one before it, by a gap


def guess(statistics: np.ndarray, *, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
    """Guess centre and spread of the posterior of each trace.

    Parameters
    ----------
    statistics : ndarray, shape (n, statistic)
        As `lif_statistics.summary_statistics` returns them.
    joint : Joint
        The prior.

    Returns
    -------
    (ndarray, ndarray), shapes (n, 6)
        Centre and spread of the prior's coordinates.

    Examples
    --------
    >>> from firstpassage.models.lif import Recording, reference_prior, summary_statistics
    >>> statistics = summary_statistics(np.full((1, 100), -70.0), np.zeros((1, 100)), Recording(T=20.0))
    >>> guess(statistics, joint=reference_prior())[0].shape
    (1, 6)
    """
    named = (*COORDINATES, "E_L")
    estimate = dict(zip(named, statistics[:, : len(named)].T, strict=True))
    sd = dict(zip(named, np.exp(statistics[:, len(named) : 2 * len(named)].T), strict=True))
    silent = statistics[:, SUMMARY_NAMES.index("log_spikes")] == 0
    sd["V_th"] = np.where(silent, np.maximum(sd["V_th"], _ABOVE), sd["V_th"])
    for name in ("tau_m", "g_L"):
        estimate[name], sd[name] = np.exp(estimate[f"log_{name}"]), np.exp(estimate[f"log_{name}"]) * sd[f"log_{name}"]
    found = [_one(name, estimate, sd, joint) for name in joint.names]
    return np.stack([c for c, _ in found], axis=1), np.stack([s for _, s in found], axis=1)


def _one(
    name: str, estimate: dict[str, np.ndarray], sd: dict[str, np.ndarray], joint: Joint
) -> tuple[np.ndarray, np.ndarray]:
    """Guess one coordinate: a standard score of the logarithm, or a normal quantile between the bounds."""
    own = next(c for c in joint.conditionals if c.name == name)
    if own.family == "ClippedLogNormal":
        centre, spread = (np.log(estimate[name]) - own.location) / own.scale, sd[name] / estimate[name] / own.scale
        return centre, np.clip(spread, *_SPREADS)
    low: Any
    low, high = joint.bounds[name]
    moved: Any = 0.0
    below = _AFTER.get(name)
    if below is not None:
        gap = next(c.gap for c in joint.conditionals if c.below == name)
        low, moved = np.clip(estimate[below] + gap, low, high - 0.1 * (high - low)), sd[below]
    share = np.clip((estimate[name] - low) / (high - low), _EDGE, 1 - _EDGE)
    width = np.hypot(sd[name], moved * (1 - share)) / (high - low)
    lower, upper = (ndtri(np.clip(share + side * width, _EDGE, 1 - _EDGE)) for side in (-1, 1))
    return ndtri(share), np.clip((upper - lower) / 2, *_SPREADS)
