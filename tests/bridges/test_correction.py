"""Draws of a PyMC model are corrected by the exact likelihood, or refused."""

import warnings
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import firstpassage as fp
from firstpassage.bridges import _lengths

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:Numba will use object mode")
VISITS = fp.foraging()
REST = {"reward_bump": -0.3, "failure_bump": 0.5, "noise_std": 0.29}
LOW, HIGH = 0.0, 0.8


def nuts() -> dict[str, Any]:
    """Give the settings of nutpie anew: PyMC writes target_accept into the mapping that it is given."""
    return {
        "nuts_sampler": "nutpie", "nuts": {"adaptation": "low_rank"}, "progressbar": False, "quiet": True,
        "compute_convergence_checks": False, "cores": 1,
    }  # fmt: skip


def visits_of(n: int, *, seed: int) -> np.ndarray:
    rows = {"drift_rate": 0.2 + 0.2 * (np.arange(n) % 2), **{k: np.full(n, v) for k, v in REST.items()}}
    return VISITS.exact.read(VISITS.exact.simulate(rows, np.random.default_rng(seed)))


def regression(x: np.ndarray, likelihood: fp.Likelihood = VISITS.approximate) -> pm.Model:
    """Let every second visit have a drift rate .2 higher."""
    with pm.Model() as model:
        drift = pm.Uniform("drift", LOW, HIGH)
        fp.observe("obs", likelihood, drift_rate=drift + 0.2 * (np.arange(len(x)) % 2), observed=x, **REST)
    return model


def posterior_on_grid(likelihood: fp.Likelihood, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grid = np.linspace(LOW, HIGH, 401)
    drift = grid[:, None] + 0.2 * (np.arange(len(x)) % 2)
    total = likelihood.summed(x, {"drift_rate": drift, **{k: np.full(401, v) for k, v in REST.items()}})
    weight = np.exp(total - total.max())
    return grid, weight / weight.sum()


def tree(drift: np.ndarray, **observed: np.ndarray) -> xr.DataTree:
    draws = xr.Dataset({"drift": (("chain", "draw"), drift.reshape(2, -1))})
    data = xr.Dataset({name: (("obs_dim_0", "obs_dim_1"), x) for name, x in observed.items()})
    return xr.DataTree.from_dict({"posterior": draws, "observed_data": data})


def draws_on_grid(likelihood: fp.Likelihood, x: np.ndarray, *, n: int) -> np.ndarray:
    grid, weight = posterior_on_grid(likelihood, x)
    return np.random.default_rng(1).permutation(
        np.interp((np.arange(n) + 0.5) / n, np.cumsum(weight) - weight / 2, grid)
    )


@pytest.fixture(scope="module")
def x():
    return visits_of(150, seed=4)


@pytest.mark.parametrize("kind", [pytest.param("exact", marks=pytest.mark.slow), "approximate"])
def test_sums_with_one_value_per_visit_equal_a_loop(kind, x):
    likelihood = getattr(VISITS, kind)
    rng = np.random.default_rng(2)
    theta = {"drift_rate": rng.uniform(0, 1, (3, 12)), "reward_bump": rng.uniform(-1, 0, 3),
             "failure_bump": rng.uniform(0, 1, (3, 12)), "noise_std": rng.uniform(0.1, 0.3, 3)}  # fmt: skip
    found = likelihood.summed(x[:12], theta)
    loop = [
        sum(likelihood.log_prob(x[j : j + 1], **{k: v[i, j] if v.ndim > 1 else v[i] for k, v in theta.items()}).sum()
            for j in range(12)) for i in range(3)
    ]  # fmt: skip
    assert found == pytest.approx(loop, abs=1e-4)


def test_sums_in_jax_take_one_value_per_trial():
    likelihood = fp.ddm().exact
    data = fp.ddm().likelihood({"v": [0.5], "a": [1.5], "z": [0.5], "t": [0.3]}, trials=40, seed=1)
    trials = np.column_stack([data["rt"][0], data["response"][0]])
    theta = {"v": np.random.default_rng(1).normal(size=(5, 40)), "a": np.full(5, 1.4), "z": np.full(5, 0.5),
             "t": np.full(5, 0.2)}  # fmt: skip
    loop = [likelihood.log_prob(trials, **{name: values[i] for name, values in theta.items()}).sum() for i in range(5)]
    assert likelihood.summed(trials, theta) == pytest.approx(loop, abs=1e-9)


@pytest.mark.slow
def test_short_and_long_visits_apart_have_the_density_and_slope_of_all_together(x):
    odor = np.arange(len(x)) % 2
    with pm.Model() as model:
        slope = pm.Flat("slope")
        fp.observe("obs", VISITS.approximate, drift_rate=0.2 + slope * odor, observed=x, **REST)
    assert len(_lengths.split(VISITS.approximate, x).rows) > 1

    def direct(at: float) -> float:
        return VISITS.approximate.log_prob(x, drift_rate=0.2 + at * odor, **REST).sum()

    value = model.compile_logp(mode="FAST_COMPILE")
    gradient = model.compile_dlogp(vars=[slope], mode="FAST_COMPILE")
    assert float(value({"slope": 0.3})) == pytest.approx(direct(0.3), abs=1e-8)
    assert gradient({"slope": 0.3})[0] == pytest.approx((direct(0.3001) - direct(0.2999)) / 2e-4, rel=1e-4)


def test_corrected_draws_have_the_exact_posterior(x):
    draws = draws_on_grid(VISITS.approximate, x, n=2000)
    grid, weight = posterior_on_grid(VISITS.exact, x)
    right = weight @ grid
    sd = np.sqrt(weight @ (grid - right) ** 2)
    found = fp.correct(tree(draws, obs=x), regression(x), exact=VISITS.exact, seed=3)
    corrected = found["posterior"]["drift"].to_numpy()
    assert abs(draws.mean() - right) > 0.15 * sd, "there is something to correct"
    assert abs(corrected.mean() - right) < 0.04 * sd
    assert corrected.std() == pytest.approx(sd, rel=0.05)
    assert corrected.shape == (2, 1000)
    assert found.attrs["pareto_k"] < 0.7
    assert found.attrs["effective"] == pytest.approx(2000 * found.attrs["efficiency"])
    assert found.attrs["verdict"].startswith("corrected by the exact likelihood")
    again = fp.correct(tree(draws, obs=x), regression(x), exact=VISITS.exact, seed=3)
    assert found.identical(again)


@pytest.mark.slow
def test_exact_draws_stay_as_they_are(x):
    draws = draws_on_grid(VISITS.exact, x, n=200)
    found = fp.correct(tree(draws), regression(x, VISITS.exact), exact=VISITS.exact, seed=3)
    assert np.array_equal(found["posterior"]["drift"].to_numpy().ravel(), draws)
    assert found.attrs["efficiency"] == pytest.approx(1)


def test_weights_that_cannot_be_trusted_are_told(x):
    far = np.random.default_rng(1).uniform(0.6, 0.8, 400)
    with pytest.warns(fp.SamplingWarning, match="NOT to be trusted: Pareto k"):
        found = fp.correct(tree(far), regression(x), exact=VISITS.exact, seed=3)
    assert found.attrs["pareto_k"] > 0.7


def plain(x: np.ndarray) -> pm.Model:
    with pm.Model() as model:
        pm.Normal("obs", pm.Uniform("drift", LOW, HIGH), 1, observed=x[:, 0])
    return model


BAD = {
    "not a model": (lambda x: {"model": "m"}, fp.ModelError, "must be the pymc.Model"),
    "nothing of observe": (lambda x: {"model": plain(x)}, fp.ModelError, "made by observe; got 0 of 1"),
    "not exact": (lambda x: {"exact": VISITS.approximate}, fp.ModelError, "got one of kind 'approximate'"),
    "no likelihood": (lambda x: {"exact": VISITS}, fp.ModelError, "must be an exact likelihood"),
    "other model": (lambda x: {"exact": fp.ddm().exact}, fp.ModelError, "must be of the model and box of 'obs'"),
    "other box": (
        lambda x: {"exact": fp.foraging(bounds={"noise_std": (0.0, 0.4)}).exact}, fp.ModelError, "model and box",
    ),
    "no draws": (lambda x: {"draws": xr.DataTree()}, fp.ModelError, "what pm.sample returned"),
    "other names": (
        lambda x: {"draws": xr.DataTree.from_dict({"posterior": xr.Dataset()})}, fp.ModelError, "draws of drift",
    ),
    "other shape": (
        lambda x: {"draws": xr.DataTree.from_dict(
            {"posterior": xr.Dataset({"drift": (("chain", "draw", "mouse"), np.zeros((2, 100, 3)))})})},
        fp.ModelError, r"drift has shape \(3,\)",
    ),
    "impossible": (lambda x: {"draws": tree(np.full(200, 1.2))}, fp.ModelError, "200 of 200 are impossible"),
    "few": (lambda x: {"draws": tree(np.full(20, 0.2))}, fp.DataError, "at least 100 draws; got 20"),
    "other data": (lambda x: {"draws": tree(np.full(200, 0.2), obs=x + 1)}, fp.DataError, "made with other data"),
    "seed": (lambda x: {"seed": -1}, fp.ModelError, "seed must"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_corrected_is_refused(case, x):
    change, error, words = BAD[case]
    good = {"draws": tree(np.full(200, 0.2)), "model": regression(x), "exact": VISITS.exact, "seed": 1}
    given = good | change(x)
    draws, model = given.pop("draws"), given.pop("model")
    with pytest.raises(error, match=words):
        fp.correct(draws, model, **given)


def hierarchy(likelihood: fp.Likelihood, x: np.ndarray, mouse: np.ndarray) -> pm.Model:
    """Draw the drift rate of each mouse on the logit scale of its box, non-centred."""
    low, high = likelihood.box["drift_rate"]
    with pm.Model() as model:
        mean, sd = pm.Normal("mean", 0, 1), pm.HalfNormal("sd", 0.5)
        own = mean + sd * pm.Normal("offset", 0, 1, shape=3)
        drift = pm.Deterministic("drift_rate", low + (high - low) * pm.math.sigmoid(own))
        bumps = dict(
            zip(("reward_bump", "failure_bump"), fp.priors(likelihood, "reward_bump", "failure_bump"), strict=True)
        )
        fp.observe("obs", likelihood, drift_rate=drift[mouse], noise_std=0.2, observed=x, **bumps)
    return model


@pytest.mark.slow
def test_three_mice_in_a_hierarchy():
    """The mean of each mouse's drift rate, corrected, is near its truth, and no draw diverges."""
    truth, mouse = np.array([0.15, 0.4, 0.65]), np.repeat(np.arange(3), 12)
    rows = {"drift_rate": truth[mouse], "reward_bump": np.full(36, -0.2), "failure_bump": np.full(36, 0.3),
            "noise_std": np.full(36, 0.2)}  # fmt: skip
    x = VISITS.exact.read(VISITS.exact.simulate(rows, np.random.default_rng(1)))
    model = hierarchy(VISITS.approximate, x, mouse)
    with model:
        draws = pm.sample(150, tune=300, chains=2, random_seed=1, target_accept=0.95, **nuts())
    assert not draws["sample_stats"]["diverging"].any()
    found = fp.correct(draws, model, exact=VISITS.exact, seed=1)
    posterior = found["posterior"]["drift_rate"]
    z = (posterior.mean(("chain", "draw")) - truth) / posterior.std(("chain", "draw"))
    assert (abs(z) < 3).all()
    assert found.attrs["pareto_k"] < 0.7
    low, high = VISITS.exact.box["drift_rate"]
    inner = found["posterior"]["mean"] + found["posterior"]["sd"] * found["posterior"]["offset"]
    again = low + (high - low) / (1 + np.exp(-inner))
    assert np.allclose(again, posterior), "all variables of a draw stay together"


@pytest.mark.slow
def test_one_window_has_the_posterior_that_the_exact_likelihood_samples():
    theta = {"drift_rate": [0.3], "reward_bump": [-0.3], "failure_bump": [0.5], "noise_std": [0.2]}
    window = VISITS.likelihood(theta, seed=5)["window"][0, 0]
    with pm.Model() as model, warnings.catch_warnings():
        warnings.simplefilter("ignore", fp.SamplingWarning)
        names = VISITS.parameter_names
        fp.observe(
            "obs", VISITS.approximate, observed=window, **dict(zip(names, fp.priors(VISITS.approximate), strict=True))
        )
        draws = pm.sample(2000, tune=1000, chains=2, random_seed=1, target_accept=0.95, **nuts())
    found = fp.correct(draws, model, exact=VISITS.exact, seed=2)["posterior"].dataset
    right = VISITS.exact.sample(window, draws=2000, chains=2, seed=3)["posterior"].dataset
    for name in names:
        sd = float(right[name].std())
        assert abs(float(found[name].mean() - right[name].mean())) < 0.15 * sd
        assert float(found[name].std()) == pytest.approx(sd, rel=0.15)
