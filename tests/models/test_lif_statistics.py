"""Statistics of voltage traces are near the truth, honest about their errors, and finite for any trace."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firstpassage.errors import DataError
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_scoring import COORDINATES
from firstpassage.models.lif_statistics import SUMMARY_NAMES, summary_statistics

RECORDING = Recording()
TRACES = 300
TRUTH = {"V_th": -55.0, "tau_m": 9.0, "g_L": 11.0, "V_reset": -74.0, "V_init": -71.0, "E_L": -69.0}


def traces(
    n: int, *, seed: int, recording: Recording = RECORDING, **theta: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow the neuron step by step, all traces at once."""
    p, rng = {**TRUTH, **theta}, np.random.default_rng(seed)
    v, counter = np.full(n, p["V_init"]), np.zeros(n, dtype=int)
    path, spikes = np.empty((n, recording.samples)), np.zeros((n, recording.samples))
    for i in range(recording.samples):
        if i < recording.samples - 1:
            held = counter > 0
            crossed = ~held & (v >= p["V_th"])
            v = np.where(held | crossed, p["V_reset"], v)
            counter = np.where(crossed, recording.refractory, np.maximum(counter - 1, 0))
            spikes[:, i] = crossed
        path[:, i] = v
        current = recording.currents[0, i] + recording.I_std * rng.normal(size=n)
        v = v + recording.dt / p["tau_m"] * (p["E_L"] - v + current / p["g_L"])
    return path + recording.obs_noise_std * rng.normal(size=path.shape), spikes


def named(voltage: np.ndarray, spikes: np.ndarray, recording: Recording = RECORDING, **given) -> dict[str, np.ndarray]:
    return dict(zip(SUMMARY_NAMES, summary_statistics(voltage, spikes, recording, **given).T, strict=True))


def coordinates(recording: Recording = RECORDING, **theta: float | np.ndarray) -> dict[str, np.ndarray]:
    p = {**TRUTH, **theta}
    driven = p["E_L"] + recording.currents.mean() / p["g_L"]
    return p | {"log_tau_m": np.log(p["tau_m"]), "log_g_L": np.log(p["g_L"]), "v_inf": driven}


@pytest.fixture(scope="module")
def varied() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(6)
    scales = {"V_th": 2.0, "V_reset": 1.0, "V_init": 0.5, "E_L": 1.5}
    theta = {name: TRUTH[name] + scale * rng.normal(size=TRACES) for name, scale in scales.items()}
    theta |= {name: 10 * np.exp(0.2 * rng.normal(size=TRACES)) for name in ("tau_m", "g_L")}
    voltage, spikes = traces(TRACES, seed=7, **theta)
    kept = spikes.sum(1) > 1
    return voltage[kept], spikes[kept], {name: value[kept] for name, value in theta.items()}


@pytest.fixture(scope="module")
def spiking() -> tuple[np.ndarray, np.ndarray]:
    return traces(TRACES, seed=1)


@pytest.fixture(scope="module")
def silent() -> tuple[np.ndarray, np.ndarray]:
    voltage, spikes = traces(TRACES, seed=2, g_L=15.0, V_th=-50.0)
    assert not spikes.any()
    return voltage, spikes


@pytest.mark.parametrize("name", [*COORDINATES, "E_L"])
def test_estimates_are_near_the_truth_and_know_their_error(varied, name):
    voltage, spikes, theta = varied
    found = named(voltage, spikes)
    error = (found[f"{name}_estimate"] - coordinates(**theta)[name]) / np.exp(found[f"{name}_log_sd"])
    assert abs(error.mean()) < 0.6  # moments of a truncated normal only come near
    assert 0.8 < error.std() < 1.3


def test_leak_and_conductance_are_told_apart_by_the_noise_alone(silent):
    found = named(*silent)
    errors = [found["log_g_L_estimate"] - math.log(15.0), found["E_L_estimate"] - TRUTH["E_L"]]
    assert np.corrcoef(errors)[0, 1] > 0.5
    assert found["v_inf_estimate"].std() < 0.5 < found["E_L_estimate"].std()


def test_voltage_after_a_spike_is_the_reset_up_to_noise():
    voltage, spikes = traces(TRACES, seed=3)
    counts = spikes.sum(1)
    samples = 11 * counts  # a trace may end within the last refractory time, which makes them fewer
    error = named(voltage, spikes)["after_spike"] - TRUTH["V_reset"]
    np.testing.assert_allclose((error * np.sqrt(samples)).std(), 1.0, atol=0.12)


def test_reset_is_known_better_than_from_refractory_samples_alone(spiking):
    found = named(*spiking)
    assert found["V_reset_estimate"].std() < 0.9 * found["after_spike"].std()


def test_times_of_a_trace_made_by_hand():
    voltage, spikes = np.full((1, 1000), -60.0), np.zeros((1, 1000))
    spikes[0, [100, 150, 200, 250]] = 1
    for k in (100, 150, 200, 250):
        voltage[0, k : k + 11] = -72.0
    found = {name: value[0] for name, value in named(voltage, spikes).items()}
    assert found["log_spikes"] == pytest.approx(math.log(5))
    assert found["first_spike"] == pytest.approx(0.1)
    assert found["since_last_spike"] == pytest.approx(0.75)
    assert found["log_interval"] == pytest.approx(math.log(50))
    assert found["interval_spread"] == pytest.approx(math.log(0.01))
    assert found["after_spike"] == pytest.approx(-72.0)
    assert found["before_spike"] == found["well_before_spike"] == found["early"] == found["highest"] == -60.0


def test_a_shift_of_all_voltages_shifts_averages(spiking):
    voltage, spikes = (part[:20] for part in spiking)
    before, after = named(voltage, spikes), named(voltage + 1.5, spikes)
    for name in ("before_spike", "well_before_spike", "early", "highest"):
        np.testing.assert_allclose(after[name], before[name] + 1.5, atol=1e-9)
    for name in ("log_spikes", "first_spike", "log_interval", "residual_size", "residual_lag"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)


def test_traces_are_summarised_one_by_one(spiking, silent):
    voltage, spikes = (np.concatenate([a[:5], b[:5]]) for a, b in zip(spiking, silent, strict=True))
    together = summary_statistics(voltage, spikes, RECORDING)
    alone = [summary_statistics(v, s, RECORDING)[0] for v, s in zip(voltage, spikes, strict=True)]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(summary_statistics(voltage[::-1], spikes[::-1], RECORDING), together[::-1])
    single = summary_statistics(voltage.astype(np.float32), spikes.astype(np.float32), RECORDING)
    np.testing.assert_allclose(single, together, atol=0.02)


@pytest.mark.parametrize("where", [[], [0], [1], [500], [988], [997], [998], [999], [0, 11, 22], [5, 9, 12]])
def test_statistics_of_any_trace_are_finite(where):
    for level in (-70.0, -20.0, 400.0):
        voltage, spikes = np.full((1, 1000), level), np.zeros((1, 1000))
        spikes[0, where] = 1
        assert np.isfinite(summary_statistics(voltage, spikes, RECORDING)).all()


@pytest.mark.parametrize(
    "recording",
    [
        Recording(T=0.6, tref=0.2), Recording(T=100.0, dt=0.5, tref=3.0), Recording(tref=0.0),
        Recording(I_std=0.0), Recording(obs_noise_std=0.01), Recording(I_mean=0.0),
    ],
)  # fmt: skip
def test_other_settings(recording):
    found = summary_statistics(*traces(3, seed=4, recording=recording), recording)
    assert np.isfinite(found).all()


def test_a_given_stimulus_is_taken_into_account():
    steps = np.where(np.arange(1000) // 125 % 2, 330.0, 70.0)
    recording = Recording(stimulus=steps)
    voltage, spikes = traces(TRACES, seed=5, recording=recording, V_th=-50.0)
    found, truth = named(voltage, spikes, recording, current=steps), coordinates(recording)
    for name in ("log_tau_m", "log_g_L", "E_L", "v_inf"):
        error = (found[f"{name}_estimate"] - truth[name]) / np.exp(found[f"{name}_log_sd"])
        assert abs(error.mean()) < 0.8  # a penalty pulls towards usual values
        assert 0.5 < error.std() < 1.2
    ignored = named(voltage, spikes)
    away = [abs(one["log_g_L_estimate"] - truth["log_g_L"]).mean() for one in (found, ignored)]
    assert away[0] < 0.3 * away[1]


@pytest.mark.parametrize(
    ("voltage", "spikes", "word"),
    [
        (np.zeros((2, 50)), np.zeros((2, 49)), "one shape"), (np.zeros((1, 2)), np.zeros((1, 2)), "T >= 3"),
        (np.zeros((2, 3, 50)), np.zeros((2, 3, 50)), "one shape"), (np.full((1, 50), np.nan), np.zeros((1, 50)), "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_refused(voltage, spikes, word):
    with pytest.raises(DataError, match=word):
        summary_statistics(voltage, spikes, RECORDING)
