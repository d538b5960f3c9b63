"""The audit of estimators of voltage traces asks about single traces, by the published aims."""

import dataclasses

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.diagnostics import Comparison, Distance, Limits
from firstpassage.pipeline import _items, _lif_recipes, _recipes

MODEL = fp.lif(T=60.0)
NAMES = MODEL.parameter_names
TINY = _items.Effort(
    calibrated=20, amortized=60, trials=1, by_mcmc=1, compared={1: 3}, predicted=10, corrected=4, lapsed=4, densities=4,
    steps=100,
)  # fmt: skip


def comparison(ratios, limits):
    shape = {name: np.zeros(4) for name in NAMES}
    same = Distance(shift=shape, sd_ratio={k: np.asarray(ratios[k]) for k in NAMES}, c2st=np.full(4, 0.5))
    return Comparison(
        kind="npe", trials=np.ones(4, dtype=int), learned=same, floor=same, error=None, sum_error=None, r_hat=1.0,
        limits=limits, seed=1,
    )  # fmt: skip


def test_limits_are_the_published_aims_and_bound_every_parameter():
    limits = _recipes.limits("npe", 1, trial="trace")
    assert limits == Limits(
        shift_mean=0.15, shift_worst=1.0, sd_ratio_mean=(0.95, 1.15), c2st_mean=0.57, sd_ratio_each=(0.95, 1.15)
    )
    even = dict.fromkeys(NAMES, [1.0, 1.0, 1.1, 1.1])
    assert comparison(even, limits).ok
    wide = even | {"V_reset": [1.3, 1.2, 1.2, 1.0], "g_L": [0.8, 1.0, 1.0, 1.0]}
    found = comparison(wide, limits)
    assert not found.ok and "median sd ratio 0.95 to 1.15 (V_reset 1.20)" in found.verdict
    assert found.numbers()["sd_ratio_medians"]["g_L"] == 1.0
    assert comparison(wide, dataclasses.replace(limits, sd_ratio_each=None)).ok
    assert _recipes.limits("npe", 1, trial="window").sd_ratio_each is None


def test_a_data_set_is_one_trace_and_its_density_is_not_summed():
    for kind, c2st in (("nre", 0.57), ("nle", 0.8)):
        posing = dataclasses.replace(MODEL.exact, kind=kind)
        subject = _items.Subject(result=posing, model=MODEL, effort=_items.effort(MODEL, False), seed=1)
        assert list(_items.questions(subject)) == [
            "recovery", "sbc", "coverage", "tarp", "ppc", "exact n=1", "misspecification"
        ]  # fmt: skip
        assert _recipes.limits(kind, 1, trial="trace").c2st_mean == c2st
    assert _items.effort(MODEL, False).compared == {1: 40} and _items.effort(MODEL, True).amortized == 1000
    assert _recipes.amount(MODEL, 1) == "1 trace" and _recipes.amount(MODEL, 3) == "3 traces"
    assert "lif" not in _recipes.MASSES and _recipes.CERTIFIED["lif"] == 0.9


def test_current_whose_noise_lasts_makes_the_voltage_wander_farther():
    theta = {"V_th": -50.0, "tau_m": 10.0, "g_L": 15.0, "V_reset": -72.0, "V_init": -66.0, "E_L": -75.0}
    rows = {name: np.full(300, value) for name, value in theta.items()}
    voltage, spikes = _lif_recipes._traces(MODEL, rows, 300, rng=np.random.default_rng(1))
    plain = MODEL.likelihood(rows, seed=1)["voltage"][:, 0]
    assert spikes.sum() == 0
    seen = [traces[:, 250:].std() ** 2 - 1.0 for traces in (voltage, plain)]  # without the noise of the observation
    lasting = 50 / 15 * np.sqrt(3 / (3 + 10))  # sd of a filtered Ornstein-Uhlenbeck process, mV
    assert seen[0] == pytest.approx(lasting**2, rel=0.2)
    assert seen[1] == pytest.approx((50 / 15) ** 2 * 0.02 / 2, abs=0.06)


def test_spoiled_traces_can_be_read():
    clean = [MODEL.exact.read({"voltage": np.full(300, -70.0), "spikes": np.zeros(300)})] * 40
    spoiled = _lif_recipes.coloured(MODEL, clean, seed=1)
    assert {one.shape for one in spoiled} == {(1, 600)}
    counts = [MODEL.exact.read(one)[0, 300:].sum() for one in spoiled]
    usual = MODEL.likelihood(MODEL.prior(40, seed=2), seed=3)["spikes"].sum(axis=(1, 2))
    assert np.mean(counts) == pytest.approx(np.mean(usual), abs=2.0)


@pytest.mark.slow
def test_an_amortized_posterior_is_asked_everything():
    small = {"layers": 1, "flow_widths": (16,), "widths": (32,), "summaries": 8, "bins": 4}
    settings = fp.NPE(MODEL, epoch_pairs=8192, validation=1024, batch=256, **small)
    posterior = settings.fit(budget=32_768, seed=1)
    questions = _items.questions(_items.Subject(result=posterior, model=MODEL, effort=TINY, seed=5))
    items = {item.name: item for ask in questions.values() for item in ask()}
    assert list(items)[-3:] == ["exact n=1", "correction", "misspecification"]
    assert all(item.words and item.question for item in items.values())
    assert "60 data sets of 1 trace" in items["sbc"].words
    assert "noise of the current that lasts for 3 ms" in items["correction"].words
    assert items["tarp"].ok is not None and np.isfinite(items["ppc"].numbers["p"]).all()
