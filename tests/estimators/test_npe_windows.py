"""Amortized posteriors of foraging windows: their trials are windows, while the exact likelihood's are visits."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")
SMALL = {"layers": 1, "flow_widths": (16,), "widths": (32,), "summaries": 8, "bins": 4}


@pytest.fixture(scope="module")
def model():
    return fp.foraging(sites=20)


@pytest.fixture(scope="module")
def posterior(model):
    settings = fp.NPE(model, trials=1, epoch_pairs=8192, validation=1024, batch=256, **SMALL)
    return settings.fit(budget=16_384, seed=1)


@pytest.fixture(scope="module")
def windows(model):
    return list(model.likelihood(model.prior(3, seed=5), seed=5)["window"][:, 0])


def test_windows_are_read_and_described(posterior, windows):
    draws = posterior.sample(windows[0], draws=50, seed=1)
    assert posterior.trial == "window"
    assert float(draws["observed_data"]["stops"][0]) == windows[0][:, 2].sum()
    assert posterior.sample(windows, draws=20, seed=1)["posterior"]["drift_rate"].shape == (1, 20, 3)
    with pytest.raises(DataError, match="windows of 20 sites"):
        posterior.sample(windows[0][:10], draws=10, seed=1)


def test_the_exact_likelihood_of_visits_corrects_them(posterior, model, windows):
    corrected = posterior.sample(windows[0], draws=300, seed=1, correct="exact")
    assert corrected.attrs["correct"] == "exact" and corrected.attrs["pareto_k"] < 1
    exact = model.exact.sample(windows[0], draws=2000, chains=1, seed=2)["posterior"]
    for name in model.parameter_names:
        shift = float(corrected["posterior"][name].mean() - exact[name].mean())
        assert abs(shift) < 0.35 * float(exact[name].std())


def test_they_are_compared_with_the_exact_posterior(posterior, model, windows):
    found = fp.diagnostics.compare(posterior, model.exact, windows, seed=1, draws=200, tune=100, chains=2)
    assert np.isfinite(found.learned.summary()["shift_mean"])
    assert found.floor.summary()["shift_mean"] < found.learned.summary()["shift_mean"]  # it was trained for seconds
