"""The audit of foraging estimators asks in windows; the exact likelihood passes it, and what is off fails."""

import dataclasses

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.diagnostics import _sites
from firstpassage.models import patches
from firstpassage.pipeline import _foraging_recipes, _items, _recipes

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")

TINY = _items.Effort(
    calibrated=20, amortized=40, trials=1, by_mcmc=1, compared={1: 3, 5: 1}, predicted=10, corrected=3, lapsed=2,
    densities=4, steps=100,
)  # fmt: skip
MODEL = fp.foraging(sites=20)
POSING = dataclasses.replace(MODEL.exact, kind="nle")  # a likelihood of visits without errors
SMALL = {"layers": 1, "flow_widths": (16,), "widths": (32,), "summaries": 8, "bins": 4}


def asked(result, *names, effort=TINY):
    subject = _items.Subject(result=result, model=MODEL, effort=effort, seed=5)
    questions = _items.questions(subject)
    return {item.name: item for name in names for item in questions[name]()}


def test_likelihoods_are_asked_about_one_window_and_five_and_posteriors_about_one():
    subject = _items.Subject(result=POSING, model=MODEL, effort=_items.effort(MODEL, True), seed=1)
    names = list(_items.questions(subject))
    assert names[:5] == ["recovery", "sbc", "coverage", "tarp", "ppc"]
    assert names[5:] == ["exact n=1", "exact n=5", "normalisation", "misspecification"]
    assert _items.effort(MODEL, False).compared == {1: 40, 5: 20}
    assert _items.effort(fp.ddm(), True) is _items.FAST and _items.effort(fp.ddm(), False) is _items.FULL


@pytest.mark.slow
def test_the_exact_likelihood_passes_as_a_learned_one():
    found = asked(POSING, "recovery", "sbc", "exact n=1")
    assert found["recovery"].numbers["rmse_over_exact"] == pytest.approx(dict.fromkeys(MODEL.parameter_names, 1.0))
    assert found["sbc"].ok and "20 data sets of 1 window" in found["sbc"].words
    compared = found["exact n=1"].numbers
    assert compared["sum_error_sd"] == pytest.approx(np.zeros(3))
    assert compared["learned"]["shift_mean"] < 0.3
    assert found["exact n=1"].picture.startswith(b"\x89PNG")


def test_independent_draws_have_an_effective_number_and_no_r_hat():
    from firstpassage.diagnostics import simulated

    found = simulated(POSING, MODEL, datasets=3, trials=1, seed=1)
    assert (found.ess > 20).all() and (found.ess <= 1000).all()
    assert np.isnan(found.r_hat).all()


def test_all_outcomes_of_a_visit_have_probability_one():
    assert asked(POSING, "normalisation")["normalisation"].ok
    short = dataclasses.replace(POSING, sums=lambda x, theta: MODEL.exact.sums(x, theta) + np.log(0.9))
    found = asked(short, "normalisation")["normalisation"]
    assert found.ok is False
    assert found.numbers["mass"] == pytest.approx(np.full(4, 0.9))


def test_the_density_of_the_statistics_of_windows_is_not_integrated():
    windows = dataclasses.replace(POSING, trial="window")
    assert "normalisation" not in _items.questions(_items.Subject(result=windows, model=MODEL, effort=TINY, seed=5))
    strict, loose = (_recipes.limits("nle", 1, trial=trial) for trial in ("patch", "window"))
    assert strict.shift_mean == 0.15 and loose.shift_mean == 0.6
    assert _recipes.limits("npe", 1, trial="window").c2st_mean == 0.60


def test_visits_that_end_at_random_are_longer_and_can_be_read():
    hasty = {"drift_rate": 1.2, "reward_bump": 0.5, "failure_bump": 0.5, "noise_std": 0.05}
    clean = [np.zeros((2, 20, 3))] * 30
    spoiled = _foraging_recipes.disengaged(MODEL, clean, seed=1)
    assert all(one.shape == (2, 20, 3) for one in spoiled)
    read = [MODEL.exact.read(one) for one in spoiled]
    assert all(patches.unpack(one)[..., 3].sum() == 40 for one in read)
    rows = _foraging_recipes._visits(MODEL, hasty, 4000, rng=np.random.default_rng(1))
    stops = _sites.visits(_sites.sites([rows.reshape(4000, -1)], patches.COLUMNS))[0][:, 1]
    assert np.mean(stops > 2) == pytest.approx(0.15 * 0.9**3, abs=0.02)  # without them, hardly any


@pytest.mark.slow
def test_an_amortized_posterior_is_asked_everything():
    settings = fp.NPE(MODEL, trials=1, epoch_pairs=8192, validation=1024, batch=256, **SMALL)
    posterior = settings.fit(budget=65_536, seed=1)
    questions = _items.questions(_items.Subject(result=posterior, model=MODEL, effort=TINY, seed=5))
    items = [item for ask in questions.values() for item in ask()]
    assert [item.name for item in items][-3:] == ["exact n=1", "correction", "misspecification"]
    assert all(item.words and item.question for item in items)
    assert "3 data sets of 1 window" in items[-2].words
