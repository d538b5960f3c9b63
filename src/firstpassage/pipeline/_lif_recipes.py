"""What the audit needs to know of the integrate-and-fire neuron: traces that are not of it, as real cells give them.

The model draws the noise of the current afresh at every step. Synaptic input is filtered: its noise lasts for some
milliseconds, so that the voltage wanders more slowly and farther.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from firstpassage import seeds
from firstpassage.models.model import Model

LASTS = 3.0  # ms, the time constant of the noise of the current, as of fast synapses


def coloured(model: Model, clean: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Simulate traces (1, sample + sample), as many as the clean ones, whose current has noise that lasts.

    Its standard deviation is that of the model; one step resembles the next.
    """
    theta = model.prior(len(clean), seed=seeds.derive(seed, "truth"))
    samples, rng = clean[0].shape[-1] // 2, seeds.generator(seed, "coloured current")
    voltage, spikes = _traces(model, theta, samples, rng=rng)
    return list(np.concatenate([voltage, spikes], axis=1)[:, None])


def _traces(
    model: Model, theta: Mapping[str, np.ndarray], samples: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate one trace for each row of theta, step by step: voltage and spikes, (n, sample) each."""
    known = model.settings
    dt, number = float(known["dt"]), len(theta["V_th"])
    refractory, kept = round(float(known["tref"]) / dt), np.exp(-dt / LASTS)
    voltage, spikes = np.empty((2, number, samples))
    v, left, noise = theta["V_init"].copy(), np.zeros(number, dtype=int), rng.normal(size=number)
    for i in range(samples):
        spike = (left == 0) & (v >= theta["V_th"]) & (i < samples - 1)
        held = (left > 0) & (i < samples - 1)
        v = np.where(spike | held, theta["V_reset"], v)
        left = np.where(spike, refractory, left - held)
        voltage[:, i], spikes[:, i] = v, spike
        current = float(known["I_mean"]) + float(known["I_std"]) * noise
        v = v + dt / theta["tau_m"] * (theta["E_L"] - v + current / theta["g_L"])
        v = np.clip(v, *known["v_clip"])
        noise = kept * noise + np.sqrt(1 - kept**2) * rng.normal(size=number)
    return voltage + float(known["obs_noise_std"]) * rng.normal(size=voltage.shape), spikes
