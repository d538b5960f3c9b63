"""Statistics of voltage traces with spikes, and distances between spike trains, for predictive checks.

Arrays are (set, trace, sample): a set is all traces of one cell, observed or simulated.
"""

from __future__ import annotations

import numpy as np

SPIKES, FIRST, INTERVAL, VARIATION = "spikes", "first spike (ms)", "mean interval (ms)", "CV of intervals"


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


def usual(x: np.ndarray) -> dict[str, float]:
    """Describe traces x (trace, sample + sample) of voltage and spikes: mean, sd and extremes of the voltage, spikes.

    Times are in samples; what does not exist is NaN.
    """
    voltage, spikes = np.split(x, 2, axis=1)
    of_voltage = {
        "mean voltage": voltage.mean(), "sd of voltage": voltage.std(), "lowest voltage": voltage.min(),
        "sd of steps": np.diff(voltage, axis=1).std(),
    }  # fmt: skip
    renamed = {SPIKES: "spikes", FIRST: "first spike", INTERVAL: "mean interval", VARIATION: VARIATION}
    found = of_spikes(spikes[None], dt=1.0)
    return {k: float(v) for k, v in of_voltage.items()} | {renamed[k]: float(v[0]) for k, v in found.items()}
