"""Predicted traces have the published definitions, and tell a posterior from its prior where these cannot."""

from __future__ import annotations

import itertools

import arviz_base
import numpy as np
import pytest

import firstpassage as fp
from firstpassage.diagnostics import _trace_statistics, misspecification, ppc, traces
from firstpassage.errors import DataError, ModelError

MODEL = fp.lif(T=50.0)
THETA = {"V_th": -55.0, "tau_m": 8.0, "g_L": 10.0, "V_reset": -72.0, "V_init": -70.0, "E_L": -66.0}


def cell(theta=THETA, *, trials=1, seed=1, model=MODEL):
    made = model.likelihood({k: np.array([v]) for k, v in theta.items()}, trials=trials, seed=seed)
    return {name: value[0] for name, value in made.items()}


def around(theta=THETA, *, width=0.01, draws=200):
    rng = np.random.default_rng(1)
    box = {p.name: p.bounds for p in MODEL.parameters}
    values = {k: v + width * (box[k][1] - box[k][0]) * rng.normal(size=(2, draws // 2)) for k, v in theta.items()}
    return arviz_base.from_dict({"posterior": {k: np.clip(v, *box[k]) for k, v in values.items()}})


DATA = cell()
FOUND = traces(MODEL, around(), DATA, seed=1)


def test_numbers_have_the_published_definitions():
    draws = around()
    theta = {k: draws["posterior"][k].values.ravel() for k in THETA}
    few = traces(MODEL, draws, DATA, seed=3, replicates=40)
    assert few.posterior.low.shape == few.voltage.shape == (1, 250)
    inside = (few.voltage >= few.posterior.low) & (few.voltage <= few.posterior.high)
    assert few.posterior.coverage == pytest.approx(inside.mean())
    spikes = DATA["spikes"].sum()
    assert few.posterior.percentile == np.mean(few.posterior.counts <= spikes)
    assert few.posterior.mid_p == (np.mean(few.posterior.counts < spikes) + few.posterior.percentile) / 2
    below = few.voltage < np.median(theta["V_th"])
    off = np.abs(few.voltage - few.posterior.median)
    assert few.posterior.error == pytest.approx(off[below].mean())
    assert few.prior.counts.std() > few.posterior.counts.std()


def test_what_can_tell_a_posterior_from_its_prior_does():
    assert FOUND.ok
    assert FOUND.posterior.coverage == pytest.approx(FOUND.prior.coverage, abs=0.15)
    assert FOUND.posterior.error < 0.8 * FOUND.prior.error
    assert FOUND.posterior.score < 0.8 * FOUND.prior.score
    for name in ("spikes", "first spike (ms)"):
        ours, prior = (one.statistics[name].numbers() for one in (FOUND.posterior, FOUND.prior))
        assert ours["error"] < 0.5 * prior["error"]
    assert f"(prior {FOUND.prior.error:.2f} mV)" in FOUND.verdict


def test_a_posterior_that_is_elsewhere_is_noticed():
    wrong = around(THETA | {"V_th": -51.0, "tau_m": 12.0})
    found = traces(MODEL, wrong, DATA, seed=1)
    assert not found.ok
    assert "does NOT reproduce the data: " in found.verdict
    assert found.numbers()["posterior"]["statistics"]["spikes"]["p"] > 0.99


def test_a_trace_of_the_model_is_as_one_of_its_replicates():
    p = []
    for seed in range(2, 14):
        found = traces(MODEL, around(width=0.0), cell(seed=seed), seed=seed, replicates=60)
        p.append([found.posterior.statistics[name].p for name in ("spike-train distance", "subthreshold error (mV)")])
    assert np.abs(np.mean(p, axis=0) - 0.5).max() < 4 * np.sqrt(1 / 12 / 12)
    assert np.max(p) > 0.7 and np.min(p) < 0.3


@pytest.mark.parametrize("drive", [-75.0, -60.0], ids=["silent", "spiking"])
def test_silent_traces_have_a_count_and_no_intervals(drive):
    silent = {"voltage": np.full(250, -70.0) + np.random.default_rng(1).normal(size=250), "spikes": np.zeros(250)}
    theta = THETA | {"g_L": 15.0, "E_L": drive}
    found = traces(MODEL, around(theta, width=0.0), silent, seed=1, replicates=100)
    of = found.posterior.statistics
    assert of["first spike (ms)"].observed == 50.0
    assert np.isnan([of["mean interval (ms)"].p, of["CV of intervals"].p]).all()
    if drive == -75.0:
        assert found.posterior.mid_p == 0.5 and found.posterior.percentile == 1.0 and found.posterior.score == 0.0
    else:
        assert found.posterior.mid_p == 0.0 and not found.ok


def test_several_traces_are_counted_together_and_take_the_stimuli_in_turn():
    stimulus = np.stack([np.full(250, 100.0), np.full(250, 300.0)])
    model = fp.lif(T=50.0, stimulus=stimulus)
    both = cell(trials=2, model=model)
    found = traces(model, around(), both, seed=1, replicates=100)
    assert found.posterior.statistics["spikes"].observed == both["spikes"].sum()
    assert found.ok and found.posterior.median.shape == (2, 250)
    swapped = {k: both[k][::-1] for k in ("voltage", "spikes")}
    assert traces(model, around(), {**swapped, "condition": [1, 0]}, seed=1, replicates=100).ok
    assert not traces(model, around(), swapped, seed=1, replicates=100).ok
    other = {**swapped, "stimulus": stimulus + 1.0}
    with pytest.raises(DataError, match="must have a stimulus of the model"):
        traces(model, around(), other, seed=1)


def test_the_distance_of_trains_is_van_rossums_integral():
    rng = np.random.default_rng(1)
    trains = (rng.random((3, 2, 60)) < 0.1).astype(float)
    found = _trace_statistics.distances(trains, trains, dt=0.5, timescale=4.0)
    fine = np.arange(0, 150, 0.01)
    for i, j in itertools.product(range(3), range(3)):
        square = []
        for k in range(2):
            a, b = (
                sum((np.exp(-(fine - t) / 4.0) * (fine >= t) for t in np.flatnonzero(trains[n, k]) * 0.5), 0 * fine)
                for n in (i, j)
            )
            square.append(np.trapezoid((a - b) ** 2, fine) / 4.0)
        assert found[i, j] == pytest.approx(np.sqrt(square).mean(), abs=0.02)


def test_seed_decides():
    once, again, other = (traces(MODEL, around(), DATA, seed=s, replicates=10) for s in (1, 1, 2))
    assert np.array_equal(once.posterior.high, again.posterior.high)
    assert not np.array_equal(once.prior.counts, other.prior.counts)
    assert once.ok is None and "too few replicates" in once.verdict


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ModelError, match="need a model of traces"):
        traces(fp.ddm(), around(), DATA, seed=1)
    with pytest.raises(ModelError, match="replicates"):
        traces(MODEL, around(), DATA, seed=1, replicates=1)
    with pytest.raises(ModelError, match="timescale"):
        traces(MODEL, around(), DATA, seed=1, timescale=0.0)
    with pytest.raises(DataError, match="draws must have one scalar each of V_th"):
        traces(MODEL, around({"V_th": -55.0}), DATA, seed=1)


def test_ppc_of_traces_is_of_their_statistics():
    found = ppc(MODEL.exact, around(), DATA, seed=1)
    assert found.ok and found.names[4:6] == ("spikes", "first spike")
    assert found.observed[4] == DATA["spikes"].sum()


def test_stretches_are_those_of_a_loop():
    x = MODEL.exact.read(cell(trials=2))
    found = _trace_statistics.stretches(x)
    assert found.shape == (2, 50, 5)
    voltage, spikes = x[1, :250], x[1, 250:]
    part = voltage[100:105]
    line = np.polyfit(np.arange(5), part, 1)
    assert found[1, 20, :4] == pytest.approx(
        [part.mean(), (part - np.polyval(line, np.arange(5))).std(), line[0], voltage[105:110].mean() - part.mean()]
    )
    assert found[1, 20, 4] == 104 - np.flatnonzero(spikes[:105])[-1]


@pytest.mark.slow
def test_noise_of_the_current_that_lasts_is_noticed():
    from firstpassage.pipeline import _lif_recipes

    clean = [MODEL.exact.read(cell(seed=s)) for s in range(24)]
    odd = _lif_recipes.coloured(MODEL, clean, seed=1)
    flagged = [
        np.mean([not one.ok for one in misspecification(MODEL.exact, some, seed=1, replicates=100)])
        for some in (clean, odd)
    ]
    assert flagged[0] < 0.15 and flagged[1] > 0.25, "one trace of a cell tells less than traces of the prior"
