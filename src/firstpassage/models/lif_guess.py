"""Guess where the posterior of a voltage trace lies in the coordinates of the prior, from the summary statistics.

A network that starts from the guess has to learn only how the posterior differs from it, which takes a fraction of the
training: a threshold is known to a tenth of a millivolt, a twentieth of its prior. The guess need not be good: any
centre and spread make the same family of posteriors, and training puts right what they get wrong. Centres are averages
and least-squares fits of the trace, spreads come from counts of samples and spikes; no density is evaluated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from firstpassage.models.joint import Joint
from firstpassage.models.lif_statistics import SUMMARY_NAMES

_EDGE = 0.003  # share of an interval, which guesses keep from its ends
_SPREADS = (0.003, 1.0)  # smallest and largest of a guess
_ABOVE = 1.0  # mV; without spikes a threshold is anywhere above
_SHRINK = 0.17  # of what block averages alone tell of noise, towards usual values
_USUAL_LOG_G, _USUAL_LEAK = 2.6, -66.9  # of the statistics; mV
_LEAK = -70.0  # mV, the usual one
_USED = ("log_spikes", "at_spikes_0.1", "log_tau_0", "log_g_guess", "v_reset_0", "v_init_0", "leak_guess")
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
    at = {name: statistics[:, SUMMARY_NAMES.index(name)] for name in _USED}
    spikes = np.expm1(at["log_spikes"])
    silent = spikes < 0.5
    n = np.maximum(spikes, 1.0)
    ones = np.ones(len(statistics))
    estimate = {
        "V_th": at["at_spikes_0.1"] + np.where(silent, _ABOVE, 0.0), "tau_m": np.exp(at["log_tau_0"]),
        "g_L": 10.0 * np.exp(_SHRINK * (at["log_g_guess"] - _USUAL_LOG_G)), "V_reset": at["v_reset_0"],
        "V_init": at["v_init_0"], "E_L": _LEAK + _SHRINK * (at["leak_guess"] - _USUAL_LEAK),
    }  # fmt: skip
    sd = {
        "V_th": np.where(silent, _ABOVE, 0.35 / np.sqrt(n)), "tau_m": 0.06 * estimate["tau_m"],
        "g_L": 0.18 * estimate["g_L"], "V_reset": np.where(silent, 2.0, 0.22 / np.sqrt(n)), "V_init": 0.4 * ones,
        "E_L": 1.75 * ones,
    }  # fmt: skip
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
