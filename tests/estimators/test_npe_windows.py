"""Amortized posteriors of foraging windows: their trials are windows, while the exact likelihood's are visits."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")
SMALL = {"layers": 1, "flow_widths": (16,), "widths": (32,), "summaries": 8, "bins": 4, "trial_widths": (16, 16)}


@pytest.fixture(scope="module")
def model():
    return fp.foraging(sites=20)


@pytest.fixture(scope="module", params=["decisions", pytest.param("moments", marks=pytest.mark.slow)])
def posterior(model, request):
    settings = fp.NPE(model, summary=request.param, epoch_pairs=8192, validation=1024, batch=128, **SMALL)
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


@pytest.mark.slow
def test_they_are_compared_with_the_exact_posterior(posterior, model, windows):
    found = fp.diagnostics.compare(posterior, model.exact, windows, seed=1, draws=200, tune=100, chains=2)
    assert np.isfinite(found.learned.summary()["shift_mean"])
    assert found.floor.summary()["shift_mean"] < found.learned.summary()["shift_mean"]  # it was trained for seconds


def test_the_order_of_visits_does_not_matter_to_a_network_of_decisions(posterior, model, windows):
    if posterior.card["settings"].get("summary") != "decisions":
        pytest.skip("fixed statistics depend on it")
    window = max(windows, key=lambda w: (w[:, 2] == 0).sum())
    ends = np.flatnonzero(window[:, 2] == 0) + 1
    assert len(ends) >= 2
    first, second, rest = window[: ends[0]], window[ends[0] : ends[1]], window[ends[1] :]
    swapped = np.concatenate([second, first, rest])
    assert not np.array_equal(swapped, window)
    assert np.allclose(*(posterior.summaries([posterior.read(w)]) for w in (window, swapped)), atol=1e-4)


def test_saved_and_loaded_it_is_the_same(posterior, windows, tmp_path):
    again = fp.load(fp.save(posterior, tmp_path / "bundle"))
    one, two = (p.sample(windows[0], draws=20, seed=3)["posterior"]["noise_std"] for p in (posterior, again))
    assert np.array_equal(one, two)


def test_decisions_are_the_default_where_there_are_some():
    assert fp.NPE(fp.foraging()).settings()["summary"] == "decisions"
    assert fp.NPE(fp.foraging(), trials=3).summary == "moments"
    assert (fp.NPE(fp.ddm()).summary, fp.NPE(fp.ddm()).trials) == ("moments", (20, 1000))
    with pytest.raises(ModelError, match='summary="decisions" takes one trial'):
        fp.NPE(fp.ddm(), trials=1, summary="decisions")
    with pytest.raises(ModelError, match='summary="decisions" takes one trial'):
        fp.NPE(fp.foraging(), trials=2, summary="decisions")
