"""Guesses from the statistics of a trace put the posterior's coordinates near zero, with a spread near one."""

from __future__ import annotations

import numpy as np
import pytest

from firstpassage.models.lif import lif
from firstpassage.models.lif_statistics import SUMMARY_NAMES

N = 1000


def residuals(model) -> tuple[np.ndarray, np.ndarray]:
    """Give what of the coordinates of simulated traces is left by the guess, and the statistics."""
    z = model.joint.sample(N, np.random.default_rng(1))
    data = model.likelihood(model.joint.parameters(z), trials=1, seed=2)
    x = np.concatenate([np.reshape(data[name], (N, 1, -1)) for name in ("voltage", "spikes")], axis=2)
    statistics = model.summary(x)
    centre, spread = model.guess(statistics)
    assert centre.shape == spread.shape == z.shape
    assert (spread > 0).all()
    return (z - centre) / spread, statistics


@pytest.fixture(scope="module")
def reference() -> tuple[np.ndarray, np.ndarray]:
    return residuals(lif())


def test_guesses_are_near_with_the_spread_of_a_posterior(reference):
    u, _ = reference
    assert (np.abs(np.median(u, axis=0)) < 0.6).all()
    inner = np.quantile(u, [0.16, 0.84], axis=0)
    assert ((inner[1] - inner[0]) / 2 > 0.6).all()
    assert ((inner[1] - inner[0]) / 2 < 1.5).all()


def test_no_trace_is_far_from_its_guess(reference):
    u, statistics = reference
    assert np.abs(u).max() < 15
    silent = statistics[:, SUMMARY_NAMES.index("log_spikes")] == 0
    assert silent.any()
    assert 0.3 < (u[silent, 0] > 0).mean() < 0.8


def test_guesses_know_the_prior_of_the_model():
    model = lif(
        prior={"tau_m": {"family": "TruncatedNormal", "location": 10.0, "scale": 2.0}},
        bounds={"V_th": (-58.0, -52.0), "E_L": (-74.0, -63.0)},
    )
    u, _ = residuals(model)
    assert (np.abs(np.median(u, axis=0)) < 0.6).all()
    assert np.abs(u).max() < 15


def test_guesses_of_any_statistics_are_finite():
    model = lif()
    wild = np.random.default_rng(3).normal(0, 50, (200, len(SUMMARY_NAMES)))
    centre, spread = model.guess(np.clip(wild, -100, 100))
    assert np.isfinite(centre).all()
    assert (np.isfinite(spread) & (spread > 0)).all()
