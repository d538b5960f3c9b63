"""The density of a trace of the integrate-and-fire neuron is that of the process, in both implementations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
import pytest

from firstpassage.densities import lif, lif_filter, lif_moments
from firstpassage.errors import DataError, ModelError
from oracle import lif_particles, lif_quadrature
from oracle import lif_traces as oracle

SAMPLES = 240
USUAL = np.array([-55.0, 10.0, 10.0, -72.0, -70.0, -68.0])
LAST_SPIKES = (2, 3, 4, 8, 12, 13)  # samples from the end at which a trace of the cases has its last spike
FUNCTIONS = {"exact": (lif.log_density, lif_filter), "moments": (lif.log_density_moments, lif_moments)}
KINDS = [pytest.param(kind, id=kind) for kind in FUNCTIONS]


class Cases(NamedTuple):
    """Parameter sets, and a trace of each."""

    theta: np.ndarray
    voltage: np.ndarray
    spikes: np.ndarray


def draw_cases(theta: np.ndarray, samples: int, *, seed: int) -> Cases:
    rng = np.random.default_rng(seed)
    traces = [oracle.draw_trace(rng, row, samples) for row in theta]
    return Cases(theta, *(np.stack(column) for column in zip(*traces, strict=True)))


def hovering(theta: np.ndarray, *, above: float) -> np.ndarray:
    """Start at, and be driven to, next to the threshold: below it or above, in mV."""
    out = theta.copy()
    out[:, 5] = out[:, 0] - 200.0 / out[:, 2] + above
    out[:, 4] = out[:, 0] - 1.0
    return out


def ending_with_a_spike(theta: np.ndarray, samples: int) -> Cases:
    """Search, over drives, for traces whose last spike is a given number of samples from their end."""
    found = []
    for row, distance in zip(theta, LAST_SPIKES, strict=True):
        rng = np.random.default_rng(distance)
        for _ in range(5000):
            driven = hovering(row[None], above=rng.uniform(0.5, 5.0))[0]
            voltage, spikes = oracle.draw_trace(rng, driven, samples)
            if spikes[samples - distance] == 1.0 and spikes[samples - distance + 1 :].sum() == 0.0:
                found.append((driven, voltage, spikes))
                break
    return Cases(*(np.stack(column) for column in zip(*found, strict=True)))


@cache
def cases(samples: int = SAMPLES) -> Cases:
    """32 traces: of the prior, silent, near the threshold, ending with a spike."""
    draws = oracle.draw_parameters(32, seed=900)
    silent = draws[12:18].copy()
    silent[:, 5] = silent[:, 0] - 200.0 / silent[:, 2] - np.linspace(1.0, 6.0, 6)
    near = np.concatenate([hovering(draws[18:22], above=-0.4), hovering(draws[22:26], above=0.8)])
    usual = draw_cases(np.concatenate([draws[:12], silent, near]), samples, seed=901)
    last = ending_with_a_spike(draws[26:], samples)
    return Cases(*(np.concatenate(pair) for pair in zip(usual, last, strict=True)))


@cache
def compiled(kind: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Log density and gradient, one row of parameters for each trace."""

    def one(theta: jax.Array, voltage: jax.Array, spikes: jax.Array) -> jax.Array:
        return FUNCTIONS[kind][0](voltage, spikes, **dict(zip(oracle.NAMES, theta, strict=True)))

    return jax.jit(jax.vmap(jax.value_and_grad(one)))


def in_jax(kind: str, given: Cases) -> tuple[np.ndarray, np.ndarray]:
    """Go through traces in batches of one size, so that one program serves all tests."""
    rows = len(cases().theta)
    padded = Cases(*(np.concatenate([part, np.repeat(part[-1:], rows - len(part), axis=0)]) for part in given))
    with jax.enable_x64():
        value, gradient = compiled(kind)(*padded)
    return np.asarray(value)[: len(given.theta)], np.asarray(gradient)[: len(given.theta)]


def in_numba(kind: str, given: Cases, **constants) -> np.ndarray:
    return FUNCTIONS[kind][1].log_densities(given.voltage, given.spikes, given.theta[None], **constants)[0]


def by_quadrature(given: Cases, **constants) -> np.ndarray:
    rows = zip(given.voltage, given.spikes, given.theta, strict=True)
    return np.array([lif_quadrature.log_density(*row, **constants) for row in rows])


def test_the_cases_are_what_they_are_called():
    spikes = cases().spikes
    assert (spikes[:12].sum(axis=1) > 0).mean() > 0.5
    assert (spikes[12:18].sum(axis=1) == 0).sum() >= 4
    assert [SAMPLES - np.flatnonzero(row)[-1] for row in spikes[26:]] == list(LAST_SPIKES)


@pytest.mark.slow
def test_the_filter_is_the_refined_quadrature():
    np.testing.assert_allclose(in_numba("exact", cases()), by_quadrature(cases()), rtol=0.0, atol=1e-7)


@pytest.mark.slow
def test_the_filter_is_the_refined_quadrature_for_whole_traces():
    whole = cases(1000)
    np.testing.assert_allclose(in_numba("exact", whole), by_quadrature(whole), rtol=0.0, atol=1e-6)


def test_the_quadrature_is_refined(monkeypatch):
    some = Cases(*(part[[0, 13, 19, 27]] for part in cases()))
    value = by_quadrature(some)
    monkeypatch.setattr(lif_quadrature, "NODES", 12)
    np.testing.assert_allclose(value, by_quadrature(some), rtol=0.0, atol=1e-10)


def check_particles(given: Cases, particles: int, runs: int) -> None:
    for trace, exact in zip(zip(*given, strict=True), in_numba("exact", given), strict=True):
        theta, voltage, spikes = trace
        value, error = lif_particles.log_density(voltage, spikes, theta, particles=particles, runs=runs, seed=7)
        assert abs(value - exact) < 4.0 * error + 1e-9, (theta, value, error, exact)
        assert error < 0.3


def test_the_filter_agrees_with_particles():
    check_particles(Cases(*(part[[1, 14, 20, 29]] for part in cases())), 3000, 8)


@pytest.mark.slow
def test_the_filter_agrees_with_many_particles_for_whole_traces():
    whole = cases(1000)
    check_particles(
        Cases(*(part[[*range(6), *range(12, 15), *range(18, 22), *range(24, 32)]] for part in whole)), 20_000, 8
    )


def test_all_spike_trains_together_have_probability_one():
    # With next to nothing observed of the voltage, the density of a trace is the probability of its spikes.
    theta, noise, samples = np.array([-55.0, 10.0, 10.0, -56.0, -55.5, -68.0]), 1e3, 7
    trains = (np.arange(2**samples)[:, None] >> np.arange(samples)) & 1
    voltage = np.full(trains.shape, -55.0)
    logs = lif_filter.log_densities(
        voltage, trains, theta[None], noise_std=noise, refractory=1, I_mean=250.0, I_std=400.0
    )[0]
    probability = np.exp(logs + samples * np.log(noise * np.sqrt(2.0 * np.pi)))
    assert (probability > 1e-3).sum() > 10
    assert probability.sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_both_implementations_agree(kind):
    np.testing.assert_allclose(in_jax(kind, cases())[0], in_numba(kind, cases()), rtol=0.0, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(kind):
    slope, width = in_jax(kind, cases())[1], 1e-4
    for k in range(6):
        shift = width * np.eye(6)[k]
        above, below = (in_numba(kind, cases()._replace(theta=cases().theta + sign * shift)) for sign in (1, -1))
        difference = (above - below) / (2.0 * width)
        assert (np.abs(slope[:, k] - difference) < 1e-4 * np.maximum(np.abs(difference), 1.0)).all(), oracle.NAMES[k]


def test_moments_are_close_but_another_density():
    error = in_numba("moments", cases()) - in_numba("exact", cases())
    assert np.abs(error).max() < 3.0
    assert (np.abs(error) > 1e-3).mean() > 0.5
    # A trace that never comes near the threshold is a linear process, for which moments are all there is.
    assert error[np.argmin(cases().theta[12:18, 5] + 200.0 / cases().theta[12:18, 2]) + 12] == pytest.approx(
        0, abs=0.05
    )


def spoiled() -> tuple[list[str], Cases]:
    """Traces and parameters with likelihood zero."""
    given = {}
    voltage, none = np.full(SAMPLES, -65.0), np.zeros(SAMPLES)

    def firing(*at: int) -> np.ndarray:
        spikes = none.copy()
        spikes[list(at)] = 1.0
        return spikes

    given["within the refractory period"] = (USUAL, voltage, firing(50, 60))
    given["in the next sample"] = (USUAL, voltage, firing(50, 51))
    given["last sample"] = (USUAL, voltage, firing(SAMPLES - 1))
    given["first sample"] = (USUAL, voltage, firing(0))
    for name, at, value in (
        ("starts above", 4, -54.0),
        ("NaN", 0, np.nan),
        ("infinite", 5, np.inf),
        ("too fast", 1, 0.2),
        ("negative time constant", 1, -3.0),
        ("no conductance", 2, 0.0),
    ):
        theta = USUAL.copy()
        theta[at] = value
        given[name] = (theta, voltage, none)
    return list(given), Cases(*(np.stack(column) for column in zip(*given.values(), strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_impossible_has_density_zero_and_a_finite_gradient(kind):
    names, given = spoiled()
    value, gradient = in_jax(kind, given)
    assert dict(zip(names, value, strict=True)) == dict.fromkeys(names, -np.inf)
    assert (gradient == 0.0).all()
    assert (in_numba(kind, given) == -np.inf).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_all_but_impossible_has_a_finite_gradient(kind):
    other = cases()._replace(theta=np.roll(cases().theta, 5, axis=0))
    value, gradient = in_jax(kind, other)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_spikes_are_possible_just_after_the_refractory_period_and_just_before_the_end():
    theta = np.array([-55.0, 10.0, 10.0, -55.2, -55.2, -68.0])
    spikes = np.zeros(SAMPLES)
    spikes[[50, 61, SAMPLES - 2]] = 1.0
    given = Cases(theta[None], np.full((1, SAMPLES), -55.3), spikes[None])
    value = in_numba("exact", given)
    np.testing.assert_allclose(value, by_quadrature(given), rtol=0.0, atol=1e-7)
    np.testing.assert_allclose(value, in_jax("exact", given)[0], rtol=0.0, atol=1e-7)


def test_a_start_above_the_threshold_is_a_spike_at_once():
    theta = USUAL.copy()
    theta[4] = -54.5
    given = draw_cases(theta[None], SAMPLES, seed=5)
    assert given.spikes[0, 0] == 1.0
    np.testing.assert_allclose(in_numba("exact", given), by_quadrature(given), rtol=0.0, atol=1e-7)
    np.testing.assert_allclose(in_numba("exact", given), in_jax("exact", given)[0], rtol=0.0, atol=1e-7)


@pytest.mark.parametrize(
    "constants",
    [
        {"dt": 0.1, "refractory": 20},
        {"dt": 0.5, "refractory": 0},
        {"noise_std": 0.1},
        {"noise_std": 5.0, "I_std": 150.0},
        {"I_std": 25.0, "I_mean": 170.0},
    ],
    ids=str,
)
def test_other_recordings(constants):
    theta = hovering(oracle.draw_parameters(3, seed=40), above=1.0)
    rng = np.random.default_rng(41)
    traces = [oracle.draw_trace(rng, row, 120, **constants) for row in theta]
    given = Cases(theta, *(np.stack(column) for column in zip(*traces, strict=True)))
    value = in_numba("exact", given, **constants)
    np.testing.assert_allclose(value, by_quadrature(given, **constants), rtol=0.0, atol=1e-7)


def stimuli(samples: int) -> np.ndarray:
    """Two currents, one that changes at every sample and one that steps, pA."""
    place = np.arange(samples)
    return np.stack([250.0 + 80.0 * np.sin(place) * np.cos(0.3 * place), np.where(place // 20 % 2, 400.0, 100.0)])


@pytest.mark.parametrize("deviation", [50.0, 20.0])
def test_a_given_current_moves_the_mean(deviation):
    currents, theta = stimuli(40), hovering(oracle.draw_parameters(2, seed=42), above=-1.0)
    rng = np.random.default_rng(43)
    pairs = list(zip(theta, currents, strict=True))
    traces = [oracle.draw_trace(rng, row, 40, stimulus=given, I_std=deviation) for row, given in pairs]
    voltage, spikes = (np.stack(column) for column in zip(*traces, strict=True))
    expected = [
        lif_quadrature.log_density(*trace, row, current=given, I_std=deviation)
        for trace, (row, given) in zip(traces, pairs, strict=True)
    ]
    value = in_numba("exact", Cases(theta, voltage, spikes), current=currents, I_std=deviation)
    np.testing.assert_allclose(value, expected, rtol=0.0, atol=1e-7)


def test_a_given_current_moves_the_mean_in_jax_too():
    currents, theta = stimuli(40), hovering(oracle.draw_parameters(2, seed=44), above=-1.0)
    rng = np.random.default_rng(45)
    traces = [oracle.draw_trace(rng, row, 40, stimulus=mean) for row, mean in zip(theta, currents, strict=True)]
    given = Cases(theta, *(np.stack(column) for column in zip(*traces, strict=True)))

    def one(theta: jax.Array, voltage: jax.Array, spikes: jax.Array, current: jax.Array) -> jax.Array:
        return lif.log_density(voltage, spikes, **dict(zip(oracle.NAMES, theta, strict=True)), current=current)

    with jax.enable_x64():
        value = jax.jit(jax.vmap(one))(*given, currents)
    np.testing.assert_allclose(value, in_numba("exact", given, current=currents), rtol=0.0, atol=1e-7)


def test_a_constant_current_is_the_mean():
    current = np.full(SAMPLES, 200.0)
    for kind in FUNCTIONS:
        np.testing.assert_array_equal(in_numba(kind, cases(), current=current), in_numba(kind, cases()))


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_in_the_current_the_path_is_known(kind):
    current, noise = np.linspace(150.0, 400.0, SAMPLES), np.random.default_rng(3).standard_normal(SAMPLES)
    constants = {"I_std": 0.0, "v_low": -71.0, "current": current}
    voltage, spikes = oracle.simulate(USUAL, current, noise, v_low=-71.0)
    assert spikes.sum() > 1
    expected = -0.5 * (noise**2).sum() - 0.5 * SAMPLES * np.log(2.0 * np.pi)
    given = Cases(USUAL[None], voltage[None], spikes[None])
    assert in_numba(kind, given, **constants) == pytest.approx(expected, abs=1e-9)
    moved = np.roll(spikes, 1)
    assert in_numba(kind, given._replace(spikes=moved[None]), **constants) == -np.inf
    with jax.enable_x64():
        named = dict(zip(oracle.NAMES, USUAL.tolist(), strict=True))
        function = jax.jit(jax.value_and_grad(lambda theta, s: FUNCTIONS[kind][0](voltage, s, **theta, **constants)))
        value, slope = function(named, spikes)
        none, flat = function(named, moved)
        above, below = (function(named | {"E_L": named["E_L"] + h}, spikes)[0] for h in (1e-5, -1e-5))
    assert float(value) == pytest.approx(expected, abs=1e-9)
    assert float(slope["E_L"]) == pytest.approx(float(above - below) / 2e-5, rel=1e-4)
    assert float(none) == -np.inf
    assert all(float(x) == 0.0 for x in flat.values())


def test_each_trace_may_have_its_own_parameters():
    few = Cases(*(part[:3] for part in cases()))
    for kind in FUNCTIONS:
        own = in_numba(kind, few)
        table = FUNCTIONS[kind][1].log_densities(few.voltage, few.spikes, few.theta)
        np.testing.assert_allclose(own, np.diag(table), rtol=0.0, atol=1e-10)


def refused(message: str, error: type[Exception], **changed) -> None:
    given = {"voltage": np.full((1, 9), -70.0), "spikes": np.zeros((1, 9)), "theta": USUAL[None]} | changed
    for module in (lif_filter, lif_moments):
        with pytest.raises(error, match=message):
            module.log_densities(**given)


def test_what_is_no_trace_is_refused():
    voltage = np.full((1, 9), -70.0)
    voltage[0, 4] = np.nan
    refused("trace 0, sample 4", DataError, voltage=voltage)
    refused("spikes must be 0 or 1", DataError, spikes=np.full((1, 9), 2))
    refused("shape", DataError, voltage=np.zeros(9), spikes=np.zeros(9))
    refused("current must be finite", DataError, current=np.zeros(4))
    refused("theta must have shape", ModelError, theta=USUAL)


def test_what_is_no_recording_is_refused():
    refused("noise_std must be positive", ModelError, noise_std=0.0)
    refused("number of steps", ModelError, refractory=1.5)
    refused("Widen v_clip", ModelError, v_low=-73.0)
    refused("Widen v_clip", ModelError, v_high=-58.0)
