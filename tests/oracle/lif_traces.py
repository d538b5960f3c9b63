"""Traces of the leaky integrate-and-fire neuron, step by step in plain Python, and draws from its reference prior."""

from __future__ import annotations

import numpy as np
from scipy import special

NAMES = ("V_th", "tau_m", "g_L", "V_reset", "V_init", "E_L")
RECORDING = {
    "dt": 0.2, "refractory": 10, "I_mean": 200.0, "I_std": 50.0, "noise_std": 1.0, "v_low": -100.0, "v_high": 100.0
}  # fmt: skip


def simulate(theta: np.ndarray, current: np.ndarray, noise: np.ndarray, **recording) -> tuple[np.ndarray, np.ndarray]:
    """Go through one trace; `current` in pA and observation `noise` in mV are given for each sample."""
    set_up = RECORDING | recording
    threshold, tau, conductance, reset, v, rest = (float(value) for value in theta)
    samples, counter = len(noise), 0
    voltage, spikes = np.empty(samples), np.zeros(samples)
    for i in range(samples - 1):
        if counter > 0:
            v = reset
            counter -= 1
        elif v >= threshold:
            spikes[i] = 1.0
            v = reset
            counter = set_up["refractory"]
        voltage[i] = v + noise[i]
        v = v + set_up["dt"] / tau * (-(v - rest) + current[i] / conductance)
        v = min(max(v, set_up["v_low"]), set_up["v_high"])
    voltage[samples - 1] = v + noise[samples - 1]
    return voltage, spikes


def draw_trace(
    rng: np.random.Generator, theta: np.ndarray, samples: int = 1000, stimulus: np.ndarray | None = None, **recording
) -> tuple[np.ndarray, np.ndarray]:
    """Draw current and noise, and go through one trace."""
    set_up = RECORDING | recording
    mean = set_up["I_mean"] if stimulus is None else stimulus
    current = mean + set_up["I_std"] * rng.standard_normal(samples)
    return simulate(theta, current, set_up["noise_std"] * rng.standard_normal(samples), **recording)


def draw_parameters(n: int, *, seed: int) -> np.ndarray:
    """Draw parameters (n, 6) from the reference prior, in the order of NAMES."""
    rng = np.random.default_rng(seed)
    threshold = _truncated(rng, -55.0, -60.0, np.full(n, -50.0))
    tau = np.exp(np.log(10.0) + 0.2 * rng.standard_normal(n)).clip(5.0, 20.0)
    conductance = np.exp(np.log(10.0) + 0.2 * rng.standard_normal(n)).clip(5.0, 15.0)
    rest = _truncated(rng, -70.0, -75.0, np.full(n, -60.0))
    start = _truncated(rng, -70.0, -80.0, np.minimum(rest - 0.5, -65.0))
    reset = _truncated(rng, -72.0, -85.0, np.minimum(start - 0.5, -65.0))
    return np.stack([threshold, tau, conductance, reset, start, rest], axis=1)


def _truncated(rng: np.random.Generator, mean: float, lower: float, upper: np.ndarray) -> np.ndarray:
    """Draw from normal distributions with standard deviation 2, cut off at both ends."""
    below, above = special.ndtr((lower - mean) / 2.0), special.ndtr((upper - mean) / 2.0)
    return mean + 2.0 * special.ndtri(below + (above - below) * rng.random(upper.shape))
