"""Least-squares exponentials through a voltage trace: how it relaxes from its start, and after each spike.

Every stretch between spikes relaxes towards one voltage, v_inf + (V - v_inf) rho^k with rho = 1 - dt / tau, from V_init
at the start or V_reset after a spike. For some fixed time constants the three voltages are ordinary least squares on
averages by phase; a parabola through the sums of squares gives the time constant. Noise in the voltage itself, and the
threshold that ends stretches early, are not accounted for: these are descriptions of the data, not estimates one could
report.
"""

from __future__ import annotations

import math

import numba
import numpy as np

TAUS = 4.0 * 1.3 ** np.arange(8)  # ms, 4 to 25
USUAL = (-70.0, -72.0, -55.0)  # mV: V_init, V_reset and v_inf, where there are no data on them
_WEIGHTS = (0.25, 0.25, 0.02)  # samples that these count for
_ORIGIN = -65.0  # mV, taken off for the sake of rounding

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compiled
def segments(spikes: np.ndarray, refractory: int, ends: np.ndarray) -> int:
    """Find the stretches between spikes: the last held sample (-1 for the start), and the sample after the last one.

    Returns how many there are; `ends` (segment, 2) is filled. The last sample of a trace is never held.
    """
    n, found, held = len(spikes), 0, -1
    k = 0
    while k < n:
        if spikes[k] != 0.0 and k < n - 1:
            ends[found, 0], ends[found, 1] = held, k
            found += 1
            held = min(k + refractory, n - 2)
            k = held
        k += 1
    ends[found, 0], ends[found, 1] = held, n
    return found + 1


@_compiled
def tables(
    y: np.ndarray, ends: np.ndarray, spikes: np.ndarray, counts: np.ndarray, sums: np.ndarray
) -> tuple[int, float, float]:
    """Count and add samples by their phase after a spike; give the longest phase, number and sum of held samples."""
    counts[:], sums[:] = 0.0, 0.0
    longest, held, total = 0, 0.0, 0.0
    for i in range(1, len(ends)):
        for t in range(ends[i - 1, 1], ends[i, 0] + 1):
            held, total = held + 1.0, total + y[t] - _ORIGIN
        length = ends[i, 1] - ends[i, 0] - 1
        longest = max(longest, length)
        for k in range(length):
            counts[k] += 1.0
            sums[k] += y[ends[i, 0] + 1 + k] - _ORIGIN
    return longest, held, total


@_compiled
def fit(
    first: np.ndarray, counts: np.ndarray, sums: np.ndarray, held: float, total: float,
    rho: float, fade: float, voltages: np.ndarray, work: np.ndarray,
) -> float:  # fmt: skip
    """Solve for V_init, V_reset and v_inf at one rho; give what the fit takes off the sum of squares.

    `first` are the samples before any spike. A sample's weight is ``fade ** k`` at phase k.
    """
    a, b = work[:3], work[3]
    a[:], b[:] = 0.0, 0.0
    for i in range(3):
        a[i, i] = _WEIGHTS[i]
        b[i] = _WEIGHTS[i] * (USUAL[i] - _ORIGIN)
    weight, share = 1.0, 1.0
    for value in first:
        _add(a, b, 0, share, weight, weight * (value - _ORIGIN))
        weight, share = weight * fade, share * rho
    a[1, 1] += held
    b[1] += total
    weight, share = 1.0, rho
    for k in range(len(counts)):
        _add(a, b, 1, share, weight * counts[k], weight * sums[k])
        weight, share = weight * fade, share * rho
    for i in range(3):
        for j in range(i):
            a[i, j] = a[j, i]
    return _solve(a, b, voltages)


@_compiled
def _add(a: np.ndarray, b: np.ndarray, start: int, share: float, weight: float, weighted: float) -> None:
    """Add samples of one phase to the normal equations."""
    rest = 1.0 - share
    a[start, start] += weight * share * share
    a[start, 2] += weight * share * rest
    a[2, 2] += weight * rest * rest
    b[start] += weighted * share
    b[2] += weighted * rest


@_compiled
def _solve(a: np.ndarray, b: np.ndarray, voltages: np.ndarray) -> float:
    """Solve three normal equations of which the first two unknowns do not meet; give solution times right side."""
    c, d = a[0, 2] / a[0, 0], a[1, 2] / a[1, 1]
    voltages[2] = (b[2] - c * b[0] - d * b[1]) / max(a[2, 2] - c * a[0, 2] - d * a[1, 2], 1e-9)
    voltages[0], voltages[1] = b[0] / a[0, 0] - c * voltages[2], b[1] / a[1, 1] - d * voltages[2]
    explained = 0.0
    for i in range(3):
        explained += voltages[i] * b[i]
        voltages[i] = min(max(voltages[i] + _ORIGIN, -200.0), 100.0)
    return explained


@_compiled
def relax(
    first: np.ndarray, counts: np.ndarray, sums: np.ndarray, held: float, total: float,
    dt: float, fade: float, out: np.ndarray, work: np.ndarray,
) -> None:  # fmt: skip
    """Fill 8 numbers: log tau, V_init, V_reset and v_inf of the best fit, how sharp it is, the three at 10 ms."""
    explained = work[4:6].ravel()
    for j in range(len(TAUS)):
        explained[j] = fit(first, counts, sums, held, total, 1.0 - dt / TAUS[j], fade, out[1:4], work)
    best = min(max(int(np.argmax(explained[: len(TAUS)])), 1), len(TAUS) - 2)
    low, middle, high = explained[best - 1], explained[best], explained[best + 1]
    bend = max(2.0 * middle - low - high, 1e-9)
    moved = min(max(0.5 * (high - low) / bend, -1.5), 1.5)
    out[0] = math.log(TAUS[best]) + moved * math.log(1.3)
    fit(first, counts, sums, held, total, 1.0 - dt / 10.0, fade, out[5:8], work)
    fit(first, counts, sums, held, total, 1.0 - dt * math.exp(-out[0]), fade, out[1:4], work)
    out[4] = math.log(bend + 1e-2)
