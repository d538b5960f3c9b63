"""Likelihoods of summary statistics: which statistics, their noise, the flow's defaults, reading, saving."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError, ModelError
from firstpassage.models.foraging_statistics import INDEPENDENT, SUMMARY_NAMES, summary_statistics

pytestmark = pytest.mark.filterwarnings("ignore:there is no")
SMALL = {"unit": "window", "layers": 2, "widths": (32, 32), "batch": 256, "epoch_pairs": 8192, "validation": 1024}
THETA = {"drift_rate": 0.3, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.2}


@pytest.fixture(scope="module")
def model():
    return fp.foraging(sites=30)


@pytest.fixture(scope="module")
def learned(model):
    return fp.NLE(model, **SMALL, decay=(0.9, 20)).fit(budget=32_768, seed=1)


def test_the_published_flow_is_the_default(model):
    settings = fp.NLE(model, unit="window").settings()
    assert (settings["flow"], settings["layers"], settings["widths"]) == ("maf", 8, (128, 128))
    assert fp.NLE(fp.ddm()).settings()["flow"] == "mdn"


def test_a_trial_is_a_window_and_its_columns_are_statistics_that_are_no_functions_of_others(learned, model):
    windows = model.likelihood(model.prior(3, seed=1), seed=2)["window"][:, 0]
    assert (learned.kind, learned.trial, learned.columns) == ("nle", "window", INDEPENDENT)
    x = learned.read(windows)
    places = [SUMMARY_NAMES.index(name) for name in INDEPENDENT]
    assert np.array_equal(x, summary_statistics(windows)[:, places])
    assert np.array_equal(learned.log_prob(x, **THETA), learned.log_prob(windows, **THETA))
    with pytest.raises(DataError, match="windows of 30 sites"):
        learned.log_prob(windows[:, :20], **THETA)


def test_it_prefers_the_truth(learned, model):
    theta = model.prior(60, seed=8)
    windows = model.likelihood(theta, seed=9)["window"][:, 0]
    other = model.prior(60, seed=10)
    gain = learned.log_prob(windows, **theta) - learned.log_prob(windows, **other)
    assert np.mean(gain > 0) > 0.8


def test_saved_and_loaded_it_is_the_same(learned, model, tmp_path):
    window = model.likelihood({k: np.array([v]) for k, v in THETA.items()}, seed=4)["window"][0, 0]
    again = fp.load(fp.save(learned, tmp_path / "bundle"))
    assert np.array_equal(again.log_prob(window, **THETA), learned.log_prob(window, **THETA))


def test_the_rate_falls_by_steps():
    from firstpassage.estimators import _run, _training

    plan = _run.plan(fp.NLE(fp.foraging(), unit="window", decay=(0.5, 10)), budget=100_000, seed=1)
    rate = _training._schedule(plan, 1000)
    assert [float(rate(step)) for step in (0, 9, 10, 25)] == pytest.approx([2e-3, 2e-3, 1e-3, 5e-4])


def test_wrong_settings_are_refused(model):
    for wrong, words in (
        ({"decay": 0.5}, "decay must be"),
        ({"decay": (1.5, 10)}, "decay must be"),
        ({"decay": (0.5, 0)}, "positive integer"),
        ({"noise": -1}, "noise must be"),
    ):
        with pytest.raises(ModelError, match=words):
            fp.NLE(model, unit="window", **wrong)
