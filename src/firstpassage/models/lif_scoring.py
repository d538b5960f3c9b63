"""Fit a rough Gaussian model of a leaky integrate-and-fire trace, for its summary statistics: a few scoring steps.

Between spikes the voltage is an autoregressive process seen through noise, so that a Kalman filter tells what is known
of it; that it stayed below the threshold is put into the filter's mean and variance only (moment matching). Each step
computes, in one pass, how the logarithm of this rough density changes with six coordinates (the score), and what the
trace can tell about them (the information). Rough densities make good statistics: what they get wrong, a network that
learns from simulations puts right.

References
----------
Gleim and Pigorsch (2013), Approximate Bayesian computation with indirect summary statistics; Drovandi, Pettitt and Lee
(2015), Bayesian indirect inference using a parametric auxiliary model, Statistical Science 30: estimates and scores of
an auxiliary model as summary statistics.
"""

from __future__ import annotations

import math

import numba
import numpy as np

# The six coordinates: threshold (mV), logarithms of the membrane's time constant (ms) and of the leak conductance (nS),
# voltage after a spike and at the start (mV), and the voltage that the mean current would drive the membrane to (mV).
COORDINATES = ("V_th", "log_tau_m", "log_g_L", "V_reset", "V_init", "v_inf")

_CENTRE = (-55.0, math.log(10.0), math.log(10.0), -72.0, -70.0)  # of a mild penalty on the coordinates but v_inf
_SPREAD = (2.0, 0.2, 0.2, 2.0, 2.0)
_REST, _REST_SPREAD = -70.0, 2.0  # mV, of a mild penalty on v_inf - mean current / g_L, the leak's voltage
_LONGEST = (2.0, 0.3, 0.3, 3.0, 3.0, 10.0)  # of one step
_LOWEST = (-150.0, 0.8, 0.8, -150.0, -150.0, -150.0)
_HIGHEST = (100.0, 3.8, 3.8, 100.0, 100.0, 100.0)
_LOCAL = 5  # coordinates that one stretch between spikes depends on
_CERTAIN = 6.5  # standard deviations below the threshold, beyond which it does not matter
_TINY_VARIANCE = 1e-8  # mV^2

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compiled
def estimate(
    y: np.ndarray, spikes: np.ndarray, drive: np.ndarray, constants: np.ndarray, steps: int, settled: float,
    bounds: tuple[float, float], place: np.ndarray, score: np.ndarray, info: np.ndarray, work: np.ndarray,
) -> float:  # fmt: skip
    """Move `place` (6,) by scoring steps until one is short; give its length in standard deviations.

    The threshold is kept within bounds. Left behind are the score (6,), and the Cholesky factor of the information
    (6, 6), before the last step.
    """
    length = 0.0
    for _ in range(steps):
        accumulate(y, spikes, drive, constants, place, score, info, work)
        penalise(place, constants[3], score, info)
        length = step(place, score, info, work[6])
        place[0] = min(max(place[0], bounds[0]), bounds[1])
        if length < settled:
            break
    return length


@_compiled
def accumulate(
    y: np.ndarray, spikes: np.ndarray, drive: np.ndarray, constants: np.ndarray,
    place: np.ndarray, score: np.ndarray, info: np.ndarray, work: np.ndarray,
) -> None:  # fmt: skip
    """Fill score and information of one trace at a place, a stretch between spikes at a time."""
    refractory, noise = int(constants[1]), constants[4]
    score[:], info[:] = 0.0, 0.0
    n, t, slot = len(y), 0, 4
    while t < n - 1:
        if t == 0 and spikes[0] == 0.0:
            score[4] += (y[0] - place[4]) / noise
            info[4, 4] += 1.0 / noise
        else:
            slot = 3
            last = min(t + refractory, n - 2)
            for k in range(t, last + 1):
                score[3] += (y[k] - place[3]) / noise
            info[3, 3] += (last + 1 - t) / noise
            t = last
        t = _stretch(y, spikes, drive, constants, place, t, slot, score, info, work)


@_compiled
def _stretch(
    y: np.ndarray, spikes: np.ndarray, drive: np.ndarray, constants: np.ndarray, place: np.ndarray,
    known: int, slot: int, score: np.ndarray, info: np.ndarray, work: np.ndarray,
) -> int:  # fmt: skip
    """Follow the filter from a sample where the voltage is known to the next spike, and give its sample."""
    dm, dv, total, outer = work[0], work[1], work[2], work[7:12]
    work[:6] = 0.0
    outer[:] = 0.0
    dm[3] = 1.0
    m, v, n = place[slot], 0.0, len(y)
    for t in range(known + 1, n):
        m, v = _predict(m, v, drive[t - 1], constants, place, dm, dv)
        if t < n - 1 and spikes[t] != 0.0:
            _cross(m, v, place[0], work)
            n = t
            break
        m, v = _observe(y[t], m, v, constants[4], work)
        if t < n - 1 and place[0] - m < _CERTAIN * math.sqrt(v):
            m, v = _survive(m, v, place[0], work)
    index = (0, 1, 2, slot, 5)
    for i in range(_LOCAL):
        score[index[i]] += total[i]
        for j in range(_LOCAL):
            info[index[i], index[j]] += outer[max(i, j), min(i, j)]
    return n


@_compiled
def _predict(
    m: float, v: float, drive: float, constants: np.ndarray, place: np.ndarray, dm: np.ndarray, dv: np.ndarray
) -> tuple[float, float]:
    """Move mean and variance on by one sample, and their derivatives; `drive` is the current minus its mean."""
    alpha, conductance = constants[0] * math.exp(-place[1]), math.exp(-place[2])
    rho, pull = 1.0 - alpha, place[5] + drive * conductance
    added = (alpha * constants[2] * conductance) ** 2 + _TINY_VARIANCE
    for i in range(_LOCAL):
        dm[i] *= rho
        dv[i] *= rho * rho
    dm[1] += alpha * (m - pull)
    dm[2] -= alpha * drive * conductance
    dm[4] += alpha
    dv[1] += 2.0 * rho * alpha * v - 2.0 * added
    dv[2] -= 2.0 * added
    return rho * m + alpha * pull, rho * rho * v + added


@_compiled
def _observe(y: float, m: float, v: float, noise: float, work: np.ndarray) -> tuple[float, float]:
    """Take in one voltage."""
    dm, dv, total, outer = work[0], work[1], work[2], work[7:12]
    s = v + noise
    inverse = 1.0 / s
    gain, error = v * inverse, y - m
    scaled = error * inverse
    for i in range(_LOCAL):
        total[i] += dm[i] * scaled + 0.5 * dv[i] * (scaled * scaled - inverse)
    half = 0.5 * inverse * inverse
    for i in range(_LOCAL):
        for j in range(i + 1):
            outer[i, j] += dm[i] * dm[j] * inverse + dv[i] * dv[j] * half
    slope = noise * inverse * inverse
    for i in range(_LOCAL):
        change = dv[i] * slope
        dm[i] = dm[i] * (1.0 - gain) + change * error
        dv[i] = noise * change
    return m + gain * error, gain * noise


@_compiled
def _survive(m: float, v: float, threshold: float, work: np.ndarray) -> tuple[float, float]:
    """Take in that the voltage is below the threshold."""
    dm, dv, total, outer, da = work[0], work[1], work[2], work[7:12], work[3]
    sd = math.sqrt(v)
    a = (threshold - m) / sd
    lam = hazard(a)
    w = lam * (lam + a)
    for i in range(_LOCAL):
        da[i] = -dm[i] / sd - 0.5 * a * dv[i] / v
    da[0] += 1.0 / sd
    bend = lam - w * (2.0 * lam + a)
    for i in range(_LOCAL):
        total[i] += lam * da[i]
        for j in range(i + 1):
            outer[i, j] += w * da[i] * da[j]
    for i in range(_LOCAL):
        dm[i] += -0.5 * lam * dv[i] / sd + sd * w * da[i]
        dv[i] = dv[i] * (1.0 - w) - v * bend * da[i]
    return m - sd * lam, max(v * (1.0 - w), 1e-3 * v)


@_compiled
def _cross(m: float, v: float, threshold: float, work: np.ndarray) -> None:
    """Take in that the voltage has crossed the threshold."""
    dm, dv, total, outer, da = work[0], work[1], work[2], work[7:12], work[3]
    sd = math.sqrt(v)
    a = (m - threshold) / sd
    lam = hazard(a)
    w = lam * (lam + a)
    for i in range(_LOCAL):
        da[i] = dm[i] / sd - 0.5 * a * dv[i] / v
    da[0] -= 1.0 / sd
    for i in range(_LOCAL):
        total[i] += lam * da[i]
        for j in range(i + 1):
            outer[i, j] += w * da[i] * da[j]


@_compiled
def hazard(a: float) -> float:
    """Give the normal density over the normal distribution function."""
    if a < -6.0:  # continued fraction of Mills' ratio
        b = -a
        return b + 1.0 / (b + 2.0 / (b + 3.0 / (b + 4.0 / b)))
    return 0.3989422804014327 * math.exp(-0.5 * a * a) / (0.5 * math.erfc(-a * 0.7071067811865476))


@_compiled
def penalise(place: np.ndarray, current: float, score: np.ndarray, info: np.ndarray) -> None:
    """Add a mild normal penalty, without which silent traces say nothing about some coordinates."""
    for i in range(5):
        precision = _SPREAD[i] ** -2.0
        score[i] -= precision * (place[i] - _CENTRE[i])
        info[i, i] += precision
    slope, precision = current * math.exp(-place[2]), _REST_SPREAD**-2.0
    away = precision * (place[5] - slope - _REST)
    score[5] -= away
    score[2] -= away * slope
    info[5, 5] += precision
    info[2, 2] += precision * slope * slope
    info[2, 5] += precision * slope
    info[5, 2] += precision * slope


@_compiled
def step(place: np.ndarray, score: np.ndarray, info: np.ndarray, change: np.ndarray) -> float:
    """Solve for one scoring step, shorten it if it is long, and take it; give its length in standard deviations."""
    factor(info)
    change[:] = score
    solve(info, change)
    shorten = 1.0
    for i in range(6):
        shorten = max(shorten, abs(change[i]) / _LONGEST[i])
    gained = 0.0
    for i in range(6):
        gained += change[i] * score[i]
        place[i] = min(max(place[i] + change[i] / shorten, _LOWEST[i]), _HIGHEST[i])
    return math.sqrt(max(gained, 0.0))


@_compiled
def factor(matrix: np.ndarray) -> None:
    """Put the Cholesky factor of a positive definite matrix into its lower triangle."""
    for j in range(len(matrix)):
        for i in range(j, len(matrix)):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = math.sqrt(max(total, 1e-12)) if i == j else total / matrix[j, j]


@_compiled
def solve(factored: np.ndarray, right: np.ndarray) -> None:
    """Solve in place for a right side, given the Cholesky factor."""
    for i in range(len(right)):
        for k in range(i):
            right[i] -= factored[i, k] * right[k]
        right[i] /= factored[i, i]
    for i in range(len(right) - 1, -1, -1):
        for k in range(i + 1, len(right)):
            right[i] -= factored[k, i] * right[k]
        right[i] /= factored[i, i]
