"""The foraging model: its parts fit together, and its posteriors are those of the exact likelihood."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError, ModelError
from firstpassage.models import patches

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")

THETA = {"drift_rate": 0.4, "reward_bump": -0.3, "failure_bump": 0.5, "noise_std": 0.2}


@pytest.fixture(scope="module")
def model():
    return fp.foraging()


@pytest.fixture(scope="module")
def window(model):
    return model.likelihood({k: np.array([v]) for k, v in THETA.items()}, seed=5)["window"][0, 0]


def test_data_are_windows_and_trials_are_visits(model, window):
    assert window.shape == (100, 3)
    assert (model.schema.trial, model.exact.trial, model.approximate.kind) == ("window", "patch", "approximate")
    visits = model.exact.trials(window)
    assert len(visits) == len(model.exact.log_prob(window, **THETA))
    assert visits["sites"].sum() == 100
    assert visits["left"].sum() == (window[:, 2] == 0).sum()


def test_constants_and_bounds_are_settings(model):
    other = fp.foraging(sites=30, threshold=2.0, bounds={"noise_std": (0.05, 0.5)})
    assert other.settings["threshold"] == 2.0
    assert other.likelihood(other.prior(2, seed=1), seed=1)["window"].shape == (2, 1, 30, 3)
    assert other.exact.box["noise_std"] == (0.05, 0.5)
    for wrong, words in (
        ({"site": 3}, "constants sites, start"),
        ({"bounds": {"noise": (0, 1)}}, "bounds name"),
        ({"bounds": {"noise_std": (-0.1, 1)}}, "must not be negative"),
        ({"sites": 0}, "sites"),
        ({"start": "middle"}, "start"),
    ):
        with pytest.raises(ModelError, match=words):
            fp.foraging(**wrong)


def test_a_higher_threshold_is_the_same_as_smaller_evidence(window):
    """Drift, bumps and noise scale with the threshold: an identity of the model, for both likelihoods."""
    twice = fp.foraging(threshold=2.0, bounds={"drift_rate": (-0.6, 2.6), "noise_std": (0.0, 0.6),
                                               "reward_bump": (-2.6, 2.6), "failure_bump": (-0.6, 4.0)})  # fmt: skip
    doubled = {name: 2 * value for name, value in THETA.items()}
    for one, two in ((fp.foraging().exact, twice.exact), (fp.foraging().approximate, twice.approximate)):
        assert np.allclose(one.log_prob(window, **THETA), two.log_prob(window, **doubled), atol=1e-9)


def test_visits_are_independent_and_parameters_may_differ_between_them(model, window):
    whole = model.exact.log_prob(window, **THETA)
    n = len(whole)
    drift = np.linspace(0.1, 0.9, n)
    each = model.exact.log_prob(window, **{**THETA, "drift_rate": drift})
    for i in (0, n // 2, n - 1):
        alone = model.exact.log_prob(window, **{**THETA, "drift_rate": drift[i]})
        assert each[i] == pytest.approx(alone[i], abs=1e-10)


def test_sums_over_visits_are_those_of_the_density(model, window):
    theta = model.prior(20, seed=3)
    x = model.exact.read(window)
    for likelihood in (model.exact, model.approximate):
        summed = likelihood.summed(x, theta)
        for i in (0, 7, 19):
            values = {name: v[i] for name, v in theta.items()}
            assert summed[i] == pytest.approx(likelihood.log_prob(window, **values).sum(), rel=1e-7, abs=1e-7)


def test_zero_noise_gives_numbers(model, window):
    values = model.exact.log_prob(window, **{**THETA, "noise_std": 0.0})
    assert not np.isnan(values).any()


def test_posterior_draws_are_quick_exact_and_reproducible(model, window):
    draws = model.exact.sample(window, draws=500, chains=2, seed=1)
    assert draws.attrs["sampler"] == "importance" and draws.attrs["pareto_k"] < 0.7
    assert draws.attrs["verdict"].startswith("importance sampling by way of the approximation: Pareto k 0.")
    assert draws.attrs["effective"] > 500
    assert set(draws["observed_data"].data_vars) == {"sites", "stops", "rewards", "residence", "left"}
    for name, (low, high) in model.exact.box.items():
        values = draws["posterior"][name].values
        assert values.min() >= low and values.max() <= high
        assert abs(values.mean() - THETA[name]) < 4 * values.std()
    again = model.exact.sample(window, draws=500, chains=2, seed=1)
    assert np.array_equal(draws["posterior"]["drift_rate"], again["posterior"]["drift_rate"])


def test_several_mice_at_once(model):
    windows = model.likelihood(model.prior(3, seed=8), seed=8)["window"][:, 0]
    draws = model.exact.sample([windows[0], windows[1][:60], windows[2]], draws=200, chains=1, seed=2)
    assert draws["posterior"]["noise_std"].shape == (1, 200, 3)
    assert len(draws.attrs["pareto_k"]) == 3


def test_simulated_visits_are_visits(model):
    rows = model.exact.simulate({k: np.full(50, v) for k, v in THETA.items()}, np.random.default_rng(1))
    x = patches.read(rows)
    assert np.array_equal(x, rows)
    assert patches.describe(x)["left"].mean() > 0.9


def test_windows_within_a_patch_need_the_burn_in_model(window):
    burnt = fp.foraging(start="burn_in")
    inside = burnt.likelihood({k: np.array([v]) for k, v in THETA.items()}, seed=5)["window"][0, 0]
    assert len(burnt.exact.log_prob(inside, **THETA)) <= len(fp.foraging().exact.log_prob(inside, **THETA))
    with pytest.raises(DataError, match="looks like centimetres"):
        burnt.exact.log_prob(inside * [88.73, 1, 1], **THETA)


@pytest.mark.slow
def test_the_exact_posterior_is_calibrated():
    """SBC with 200 windows through importance sampling; parameters, log likelihood and a data-dependent quantity."""
    model = fp.foraging()
    found = fp.diagnostics.sbc(model.exact, model, datasets=200, trials=1, seed=11)
    assert found.ok, found.verdict


@pytest.mark.slow
def test_importance_sampling_agrees_with_nuts_on_the_filter():
    model = fp.foraging(sites=30)
    window = model.likelihood({k: np.array([v]) for k, v in THETA.items()}, seed=6)["window"][0, 0]
    weighted = model.exact.sample(window, draws=4000, chains=1, seed=1)["posterior"]
    chains = model.exact.sample(window, draws=500, tune=500, chains=2, seed=2, method="nuts")["posterior"]
    for name in model.parameter_names:
        sd = float(chains[name].std())
        assert float(weighted[name].mean()) == pytest.approx(float(chains[name].mean()), abs=0.25 * sd)
        assert float(weighted[name].std()) == pytest.approx(sd, rel=0.2)
