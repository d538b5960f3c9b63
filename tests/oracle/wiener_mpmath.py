"""Slow oracle for the Wiener first-passage time: both series in 40 digits, with terms to spare.

It shares neither code nor the point of change between the series with `firstpassage.densities.wiener`: the
density uses images below scaled time 1 and modes above, and the distribution function integrates the density
numerically.
"""

from __future__ import annotations

import mpmath as mp

DIGITS = 40


def log_density(rt: float, response: float, v: float, a: float, z: float, t: float) -> mp.mpf:
    """Log density of (rt, response) for half separation `a`; the floats are taken as exact numbers."""
    with mp.workdps(DIGITS + 20):
        rt, v, a, z, t = (x if isinstance(x, mp.mpf) else mp.mpf(float(x)) for x in (rt, v, a, z, t))
        if rt <= t:
            return -mp.inf
        width, drift, start = 2 * a, v, z
        if response > 0:
            drift, start = -v, 1 - z
        time = (rt - t) / width**2
        driftless = _images(time, start) if time < 1 else _modes(time, start)
        return mp.log(driftless) - drift * width * start - drift**2 * (rt - t) / 2 - 2 * mp.log(width)


def cdf(rt: float, response: float, v: float, a: float, z: float, t: float) -> mp.mpf:
    """Probability of this response by `rt`, by quadrature of the density in log time."""
    with mp.workdps(25):
        decision = mp.mpf(float(rt)) - mp.mpf(float(t))
        distance = 2 * mp.mpf(float(a)) * mp.mpf(1 - float(z) if response > 0 else float(z))
        scale = distance**2 / 2
        # The density falls as exp(-scale / time) towards 0: cut where that exponent has grown by these.
        growths = ("0", "0.0005", "0.005", "0.05", "0.5", "2", "6", "15", "40", "100")
        cuts = [mp.log(scale / (scale / decision + mp.mpf(growth))) for growth in growths]

        def integrand(log_time: mp.mpf) -> mp.mpf:
            time = mp.exp(log_time)
            return time * mp.exp(log_density(time, response, v, a, z, 0.0))

        return mp.quad(integrand, cuts[::-1])


def response_probability(response: float, v: float, a: float, z: float) -> mp.mpf:
    """Probability of the response: the scale function of the process, or its limit at drift 0."""
    # Digits enough for a difference from one of 1e-300.
    with mp.workdps(400):
        v, a, z = (mp.mpf(float(x)) for x in (v, a, z))
        upper = z if v == 0 else (1 - mp.exp(-4 * v * a * z)) / (1 - mp.exp(-4 * v * a))
        return upper if response > 0 else 1 - upper


def _images(time: mp.mpf, start: mp.mpf) -> mp.mpf:
    """Small-time series; its terms fall off like exp(-2 k^2 / time)."""
    terms = ((start + 2 * k) * mp.exp(-((start + 2 * k) ** 2) / (2 * time)) for k in range(-8, 9))
    return mp.fsum(terms) / mp.sqrt(2 * mp.pi * time**3)


def _modes(time: mp.mpf, start: mp.mpf) -> mp.mpf:
    """Large-time series; its terms fall off like exp(-k^2 pi^2 time / 2)."""
    terms = (k * mp.sin(k * mp.pi * start) * mp.exp(-((k * mp.pi) ** 2) * time / 2) for k in range(1, 7))
    return mp.pi * mp.fsum(terms)
