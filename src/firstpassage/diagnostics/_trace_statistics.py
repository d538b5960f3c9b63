"""Statistics of voltage traces with spikes, and distances between spike trains, for predictive checks.

Arrays are (set, trace, sample): a set is all traces of one cell, observed or simulated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstpassage.models import lif_traces

TRIAL = "trace"  # what a trial is
NAMES = (
    "mean voltage", "sd of voltage", "lowest voltage", "sd of steps", "spikes", "first spike", "mean interval",
    "CV of intervals",
)  # fmt: skip
COLUMNS = 5  # of a stretch
_STRETCH, _LONG = 5, 250  # samples
SPIKES, FIRST, INTERVAL, VARIATION = "spikes", "first spike (ms)", "mean interval (ms)", "CV of intervals"


def known(columns: Sequence[str]) -> bool:
    """Tell by the columns whether data are voltage traces."""
    return tuple(columns) == lif_traces.COLUMNS


def of_spikes(spikes: np.ndarray, *, dt: float) -> dict[str, np.ndarray]:
    """Describe the spikes (set, trace, sample) of each set: name to (set,).

    The number over all traces; the mean time of the first spike, which is the end of the recording where there is none;
    mean and coefficient of variation of the intervals within traces, NaN with fewer than one and two of them.
    """
    found = np.array([_of_set(one, dt=dt) for one in spikes > 0]).T
    return dict(zip((SPIKES, FIRST, INTERVAL, VARIATION), found, strict=True))


def _of_set(spikes: np.ndarray, *, dt: float) -> tuple[float, float, float, float]:
    """Describe the spikes (trace, sample) of one set."""
    times = [np.flatnonzero(trace) * dt for trace in spikes]
    first = np.mean([some[0] if some.size else spikes.shape[1] * dt for some in times])
    intervals = np.concatenate([np.diff(some) for some in times])
    mean = intervals.mean() if intervals.size else np.nan
    variation = intervals.std(ddof=1) / mean if intervals.size > 1 else np.nan
    return float(spikes.sum()), float(first), float(mean), float(variation)


def distances(a: np.ndarray, b: np.ndarray, *, dt: float, timescale: float) -> np.ndarray:
    r"""Compute van Rossum's distance of spike trains, averaged over traces, for all pairs of sets: (set a, set b).

    Each spike becomes an exponential that decays with the timescale, and trains are compared in mean square. Of two
    trains with spikes at :math:`t_i` and :math:`u_j`, with :math:`k(d) = \exp(-|d| / \tau)`, the integral is
    :math:`D^2 = \sum_{ij} k(t_i - t_j) / 2 + \sum_{ij} k(u_i - u_j) / 2 - \sum_{ij} k(t_i - u_j)`: 1/2 for one spike
    more or less, 1 for one spike at quite another time.

    References
    ----------
    van Rossum (2001), A novel spike distance, Neural Computation 13, 751; Houghton and Kreuz (2012), On the efficient
    calculation of van Rossum distances, Network 23: the sums.
    """
    samples = np.arange(a.shape[-1])
    kernel = np.exp(-np.abs(samples[:, None] - samples) * dt / timescale)
    total = np.zeros((len(a), len(b)))
    for one, other in zip(np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0), strict=True):
        left, right = one.astype(np.float64), other.astype(np.float64)
        filtered = left @ kernel
        own = np.einsum("ij,ij->i", filtered, left)
        theirs = np.einsum("ij,ij->i", right @ kernel, right)
        square = own[:, None] / 2 + theirs / 2 - filtered @ right.T
        total += np.sqrt(np.maximum(square, 0.0))
    return total / a.shape[1]


def describe(x: np.ndarray) -> dict[str, float]:
    """Describe traces x (trace, sample + sample) of voltage and spikes by `NAMES`; times are in samples, or NaN."""
    voltage, spikes = np.split(x, 2, axis=1)
    of_voltage = voltage.mean(), voltage.std(), voltage.min(), np.diff(voltage, axis=1).std()
    found = [*of_voltage, *(value[0] for value in of_spikes(spikes[None], dt=1.0).values())]
    return dict(zip(NAMES, map(float, found), strict=True))


def stretches(x: np.ndarray) -> np.ndarray:
    """Cut traces x (trace, sample + sample) into stretches of a few samples: (trace, stretch, column).

    Of each: mean of the voltage, its sd around a straight line, its slope, the change of the mean to the next stretch,
    and the time since the last spike, up to a longest one.
    """
    voltage, spikes = np.split(x, 2, axis=1)
    number = voltage.shape[1] // _STRETCH
    cut = voltage[:, : number * _STRETCH].reshape(len(x), number, _STRETCH)
    mean, place = cut.mean(axis=2), np.arange(_STRETCH) - (_STRETCH - 1) / 2
    slope = cut @ place / (place @ place)
    around = (cut - mean[..., None] - slope[..., None] * place).std(axis=2)
    change = np.diff(mean, axis=1, append=mean[:, -1:])
    at = np.where(spikes > 0, np.arange(spikes.shape[1]), -_LONG)
    since = np.minimum(np.arange(spikes.shape[1]) - np.maximum.accumulate(at, axis=1), _LONG)
    last = since[:, : number * _STRETCH].reshape(len(x), number, _STRETCH)[..., -1]
    return np.stack([mean, around, slope, change, last], axis=-1)
