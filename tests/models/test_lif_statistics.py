"""Statistics of voltage traces are what their names say, near the truth where they aim at it, and always finite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firstpassage.errors import DataError
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_statistics import SUMMARY_NAMES, summary_statistics

RECORDING = Recording()
TRACES = 300
TRUTH = {"V_th": -55.0, "tau_m": 9.0, "g_L": 11.0, "V_reset": -74.0, "V_init": -71.0, "E_L": -69.0}
DRIVEN = TRUTH["E_L"] + 200.0 / TRUTH["g_L"]  # mV, where the mean current would drive the membrane


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


@pytest.fixture(scope="module")
def spiking() -> tuple[np.ndarray, np.ndarray]:
    return traces(TRACES, seed=1)


@pytest.fixture(scope="module")
def silent() -> tuple[np.ndarray, np.ndarray]:
    voltage, spikes = traces(TRACES, seed=2, g_L=15.0, V_th=-50.0)
    assert not spikes.any()
    return voltage, spikes


def test_relaxations_of_a_trace_without_noise_are_found():
    quiet = Recording(I_std=0.0, obs_noise_std=1e-3)
    found = named(*traces(1, seed=3, recording=quiet), quiet)
    for fade in ("0", "8"):
        assert found[f"v_reset_{fade}"][0] == pytest.approx(TRUTH["V_reset"], abs=0.1)
        assert found[f"v_init_{fade}"][0] == pytest.approx(TRUTH["V_init"], abs=0.1)
        assert found[f"log_tau_{fade}"][0] == pytest.approx(math.log(TRUTH["tau_m"]), abs=0.1)
        assert found[f"v_inf_{fade}"][0] == pytest.approx(DRIVEN, abs=0.7)
    assert found["at_spikes_0.1"][0] == pytest.approx(TRUTH["V_th"], abs=0.2)


def test_relaxations_of_noisy_traces_are_near_the_truth(spiking, silent):
    for part, driven in ((spiking, DRIVEN), (silent, TRUTH["E_L"] + 200.0 / 15.0)):
        found = named(*part)
        for name, truth, width in (
            ("log_tau_0", math.log(TRUTH["tau_m"]), 0.1),
            ("v_init_0", TRUTH["V_init"], 0.6),
            ("v_inf_0", driven, 1.5),
        ):
            assert abs(found[name].mean() - truth) < width
            assert found[name].std() < width


def test_averages_at_spikes_are_near_the_threshold(spiking):
    found = named(*spiking)
    for gain in ("0.06", "0.1", "0.16"):
        assert abs(found[f"at_spikes_{gain}"].mean() - TRUTH["V_th"]) < 0.3
        assert found[f"at_spikes_{gain}"].std() < 0.2
    assert (found["lowest_at_spikes"] < found["at_spikes_0.1"]).all()


def test_averages_of_silent_traces_stay_below_the_threshold(silent):
    found = named(*silent)
    assert (found["highest"] < -50.0).mean() > 0.95
    np.testing.assert_array_equal(found["at_spikes_0.1"], found["highest"])


def test_noise_of_the_current_shows_in_what_the_relaxation_leaves():
    steps = []
    for i_std in (25.0, 50.0, 100.0):
        recording = Recording(I_std=i_std)
        found = named(*traces(60, seed=4, recording=recording, V_th=-50.0, g_L=15.0), recording)
        steps.append([found[name].mean() for name in ("noise_step", "block_change_20", "error_0.03")])
        assert abs(found["log_g_guess"].mean() - math.log(15.0)) < 0.4
    assert (np.diff(steps, axis=0) > 0).all()


def test_voltage_after_a_spike_is_the_reset_up_to_noise(spiking):
    found = named(*spiking)
    held = np.expm1(found["log_held"])
    error = found["after_spike"] * (held + 1) - held * TRUTH["V_reset"] + 72.0  # one sample's worth of a usual value
    np.testing.assert_allclose((error / np.sqrt(held)).std(), 1.0, atol=0.12)
    assert abs((error / np.sqrt(held)).mean()) < 0.25
    np.testing.assert_allclose(held, 11 * spiking[1].sum(1), atol=10.5)


def test_reset_is_known_better_than_from_refractory_samples_alone(spiking):
    found = named(*spiking)
    assert found["v_reset_0"].std() < 0.9 * found["after_spike"].std()


def test_times_of_a_trace_made_by_hand():
    voltage, spikes = np.full((1, 1000), -60.0), np.zeros((1, 1000))
    spikes[0, [100, 150, 200, 250]] = 1
    for k in (100, 150, 200, 250):
        voltage[0, k : k + 11] = -72.0
    found = {name: value[0] for name, value in named(voltage, spikes).items()}
    assert found["log_spikes"] == pytest.approx(math.log(5))
    assert found["first_spike"] == pytest.approx(0.1)
    assert found["since_last_spike"] == pytest.approx(0.75)
    assert found["log_interval"] == found["log_shortest"] == pytest.approx(math.log(50))
    assert found["interval_spread"] == pytest.approx(math.log(0.01))
    assert found["after_spike"] == pytest.approx(-72.0)
    assert found["log_held"] == pytest.approx(math.log(45))
    assert found["line_10"] == pytest.approx(-60.0)
    assert found["line_slope_10"] == pytest.approx(0.0, abs=1e-12)


def test_traces_are_summarised_one_by_one(spiking, silent):
    voltage, spikes = (np.concatenate([a[:5], b[:5]]) for a, b in zip(spiking, silent, strict=True))
    together = summary_statistics(voltage, spikes, RECORDING)
    alone = [summary_statistics(v, s, RECORDING)[0] for v, s in zip(voltage, spikes, strict=True)]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(summary_statistics(voltage[::-1], spikes[::-1], RECORDING), together[::-1])
    single = summary_statistics(voltage.astype(np.float32), spikes.astype(np.float32), RECORDING)
    np.testing.assert_allclose(single, together, atol=0.05)


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


def test_a_given_stimulus_shows_in_slopes_on_the_current():
    steps = np.where(np.arange(1000) // 125 % 2, 330.0, 70.0)
    recording = Recording(stimulus=steps)
    slopes = {}
    for conductance in (8.0, 14.0):
        voltage, spikes = traces(60, seed=5, recording=recording, V_th=-30.0, g_L=conductance)
        slopes[conductance] = named(voltage, spikes, recording, current=steps)["current_10"].mean()
    assert slopes[8.0] > 1.1 * slopes[14.0] > 0
    assert (named(voltage, spikes)["current_10"] == 0).all()


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
