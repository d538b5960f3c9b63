"""The log density of a trace of the integrate-and-fire neuron by a particle filter, in plain NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special

from oracle.lif_traces import RECORDING


def log_density(
    voltage: np.ndarray, spikes: np.ndarray, theta: np.ndarray, *, particles: int, runs: int, seed: int
) -> tuple[float, float]:
    """Give the log of the mean of several independent estimates, and its standard error; reference recording."""
    rng = np.random.default_rng(seed)
    logs = np.array([one_run(voltage, spikes, theta, particles, rng) for _ in range(runs)])
    ratios = np.exp(logs - logs.max())
    error = ratios.std(ddof=1) / np.sqrt(runs) / ratios.mean()
    return float(logs.max() + np.log(ratios.mean())), float(error)


def one_run(
    voltage: np.ndarray, spikes: np.ndarray, theta: np.ndarray, particles: int, rng: np.random.Generator
) -> float:
    """Move particles as the simulator moves voltages, and weigh them by what is observed of each sample."""
    threshold, tau, conductance, reset, start, rest = theta
    rate, noise = RECORDING["dt"] / tau, RECORDING["noise_std"]
    mean, spread = rate * (rest + RECORDING["I_mean"] / conductance), rate * RECORDING["I_std"] / conductance
    v, counter, total = np.full(particles, start), 0, 0.0
    previous = v
    for i in range(len(voltage)):
        if i == len(voltage) - 1:
            logs = _log_normal(voltage[i], v, noise)
        elif counter > 0:
            counter, v = counter - 1, np.full(particles, reset)
            logs = _log_normal(voltage[i], v, noise)
        elif spikes[i]:
            # How many of the particles are above would be a noisy count: take the probability, before the move.
            before = special.log_ndtr(((1.0 - rate) * previous + mean - threshold) / spread)
            counter, v = RECORDING["refractory"], np.full(particles, reset)
            logs = before + _log_normal(voltage[i], v, noise)
        else:
            logs = np.where(v < threshold, _log_normal(voltage[i], v, noise), -np.inf)
        largest = logs.max()
        weights = np.exp(logs - largest)
        total += largest + np.log(weights.mean())
        previous = v[_systematic(weights, rng)]
        v = (1.0 - rate) * previous + mean + spread * rng.standard_normal(particles)
    return float(total)


def _systematic(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw indices with evenly spaced positions, which adds the least noise."""
    edges = np.cumsum(weights)
    counts = np.diff(np.ceil(edges * (len(weights) / edges[-1]) - rng.random()).clip(0, len(weights)), prepend=0.0)
    indices = np.repeat(np.arange(len(weights)), counts.astype(int))
    return np.resize(indices, len(weights))


def _log_normal(y: float, mean: np.ndarray, deviation: float) -> np.ndarray:
    return -0.5 * ((y - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2.0 * np.pi)
