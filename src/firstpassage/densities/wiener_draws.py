"""Exact draws of (rt, response) from the Wiener process between two absorbing boundaries.

No time step: the only error is that of float64 arithmetic. From its present place the path is followed to its
exit from the largest interval around that place that fits between the boundaries. For such a centred interval
the exit side and the exit time are independent, the side is a coin flip, and the time is drawn by rejection.
Without drift at least one exit in two is the end, so that a trial takes at most two such steps on average.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from firstpassage.errors import ModelError

# Exit time, in units of the squared half width, at which both series of `_acceptance` converge equally fast.
_CROSSING = 2.0 / math.pi


def draw(
    rng: np.random.Generator, *, v: ArrayLike, a: ArrayLike, z: ArrayLike, t: ArrayLike, trials: int
) -> np.ndarray:
    """Draw trials of the drift-diffusion model exactly, without a time step.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; how far it is advanced depends on the draws. Give each thread its own.
    v : array_like, shape (n,), 1/s
        Drift rate towards the upper boundary; the noise has unit standard deviation per square-root second.
    a : array_like, shape (n,), > 0
        Half the boundary separation: the boundaries are at -a and +a.
    z : array_like, shape (n,), in (0, 1)
        Relative start: the process starts at -a + 2 a z.
    t : array_like, shape (n,), seconds
        Non-decision time, added to the first-passage time.
    trials : int
        Number of independent trials per parameter row.

    Returns
    -------
    ndarray, shape (n, trials, 2)
        `[..., 0]` is rt in seconds, `[..., 1]` the response, +1 (upper) or -1 (lower).

    Raises
    ------
    ModelError
        If a parameter is not finite, a is not positive, z is outside (0, 1), or there is no trial.

    References
    ----------
    Michael, Schucany & Haas (1976), The American Statistician 30, 88-90: the inverse-Gaussian proposal.
    Drugowitsch (2016), Scientific Reports 6, 20490: exact rejection for this model, and the walk for unequal
    distances to the boundaries.

    Examples
    --------
    >>> import numpy as np
    >>> from firstpassage.densities.wiener_draws import draw
    >>> theta = dict(v=[0.5, 1.0], a=[1.5, 0.8], z=[0.5, 0.3], t=[0.3, 0.2])
    >>> draw(np.random.default_rng(1), **theta, trials=40).shape
    (2, 40, 2)
    """
    rows = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (v, a, z, t)))
    drift, half, start, non_decision = (np.ascontiguousarray(row) for row in rows)
    _check(drift, half, start, non_decision, trials)
    return _draw_rows(rng, drift, half, start, non_decision, trials)


def _check(v: np.ndarray, a: np.ndarray, z: np.ndarray, t: np.ndarray, trials: int) -> None:
    """Refuse parameters of no diffusion, for which the walk would not end."""
    bad = ~(np.isfinite(v + a + t) & (a > 0.0) & (z > 0.0) & (z < 1.0))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ModelError(
            f"draw needs finite v, a, z, t with a > 0 and 0 < z < 1; {bad.sum()} of {bad.size} rows are "
            f"not so (first: row {i}, v={v[i]}, a={a[i]}, z={z[i]}, t={t[i]}). Stay within the model's box."
        )
    if trials < 1:
        raise ModelError(f"draw needs at least 1 trial; got trials={trials}. Pass a positive number.")


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_rows(
    rng: np.random.Generator, v: np.ndarray, a: np.ndarray, z: np.ndarray, t: np.ndarray, trials: int
) -> np.ndarray:
    """Fill (n, trials, 2) row by row."""
    out = np.empty((v.size, trials, 2))
    for row in range(v.size):
        for trial in range(trials):
            decision, response = _first_passage(rng, v[row], 2.0 * a[row], z[row])
            out[row, trial, 0] = t[row] + decision
            out[row, trial, 1] = response
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _first_passage(rng: np.random.Generator, drift: float, separation: float, place: float) -> tuple[float, float]:
    """Walk over centred intervals until a boundary is hit; `place` is relative."""
    elapsed = 0.0
    while True:
        half = min(place, 1.0 - place)
        reach = half * separation
        elapsed += reach * reach * _exit_time(rng, abs(drift) * reach)
        up = rng.random() * (1.0 + math.exp(-2.0 * drift * reach)) < 1.0
        # Exact in floating point (a doubling, seen from the nearer end), so that the walk ends on 0 or 1.
        place += half if up else -half
        if place <= 0.0 or place >= 1.0:
            return elapsed, 1.0 if up else -1.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _exit_time(rng: np.random.Generator, drift: float) -> float:
    """Draw the exit time from (-1, 1), started at 0: one boundary's passage times, thinned by the other's."""
    while True:
        y = rng.standard_normal() ** 2
        # Smaller root of (1 - drift s)^2 = y s, in the form that neither cancels nor fails at drift 0.
        time = 2.0 / (2.0 * drift + y + math.sqrt(y * (y + 4.0 * drift)))
        if rng.random() * (1.0 + drift * time) > 1.0:
            time = 1.0 / (drift * drift * time)
        if rng.random() < _acceptance(time):
            return time


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _acceptance(time: float) -> float:
    """Ratio of the two-boundary to the one-boundary density; the drift cancels."""
    # The next term of either series, 9 q**10, is below 5e-27 at its worst, where the two meet.
    if time < _CROSSING:
        q = math.exp(-4.0 / time)
        scale = 1.0
    else:
        q = math.exp(-(math.pi**2) * time)
        root = math.sqrt(2.0 * math.pi * time)
        scale = math.pi / 4.0 * root * time * math.exp(0.5 / time - math.pi**2 / 8.0 * time)
    return scale * (1.0 - q * (3.0 - q * q * (5.0 - q * q * q * 7.0)))
