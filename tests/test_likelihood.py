"""Likelihood: names, shapes, box and precision, and NUTS under it."""

import dataclasses

import jax
import numpy as np
import pytest
from numpyro import distributions as dist

import firstpassage as fp

THETA = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}


@pytest.fixture(scope="module")
def exact():
    return fp.ddm().exact


@pytest.fixture(scope="module")
def trials():
    theta = {name: np.array([value]) for name, value in THETA.items()}
    data = fp.ddm().likelihood(theta, trials=200, seed=3)
    return np.stack([data["rt"][0], data["response"][0]], axis=1)


@pytest.fixture(scope="module")
def posterior(exact, trials):
    return exact.sample(trials, seed=1, prior=fp.models.ddm.reference_priors())


def test_one_entry_per_trial_and_order_of_names_is_free(exact, trials):
    forward = exact.log_prob(trials, **THETA)
    backward = exact.log_prob(trials, **dict(reversed(THETA.items())))
    assert forward.shape == (200,) and forward.dtype == np.float64
    assert np.array_equal(forward, backward)


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_vectors_give_what_a_loop_over_trials_gives(exact, trials, n):
    rng = np.random.default_rng(n)
    theta = {"v": rng.uniform(-2, 2, n), "a": rng.uniform(0.5, 2, n), "z": rng.uniform(0.3, 0.7, n), "t": 0.1}
    together = exact.log_prob(trials[:n], **theta)
    rows = [{k: v if np.ndim(v) == 0 else v[i] for k, v in theta.items()} for i in range(n)]
    alone = [exact.log_prob(trials[i : i + 1], **row)[0] for i, row in enumerate(rows)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_one_value_in_an_array_is_a_scalar(exact, trials):
    np.testing.assert_array_equal(exact.log_prob(trials, **{**THETA, "v": [0.5]}), exact.log_prob(trials, **THETA))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 3.01),
        ("v", -3.01),
        ("a", 0.29),
        ("a", 2.51),
        ("z", 0.09),
        ("z", 0.91),
        ("t", -0.01),
        ("t", 2.01),
    ],
)
def test_outside_the_box_is_impossible_with_a_zero_gradient(exact, trials, name, value):
    theta = {**THETA, name: value}
    assert np.all(exact.log_prob(trials, **theta) == -np.inf)
    with jax.enable_x64():
        slope = jax.grad(lambda row: exact.function(trials, row).sum())({k: np.float64(v) for k, v in theta.items()})
    assert all(float(v) == 0 for v in slope.values())


def test_nan_is_impossible_with_a_zero_gradient(exact, trials):
    with jax.enable_x64():
        theta = {k: np.float64(v) for k, v in {**THETA, "v": np.nan}.items()}
        assert np.all(np.asarray(exact.function(trials, theta)) == -np.inf)
        slope = jax.grad(lambda row: exact.function(trials, row).sum())(theta)
    assert all(float(v) == 0 for v in slope.values())


def test_below_t_is_impossible_with_a_zero_gradient(exact):
    assert exact.log_prob([[0.3, 1.0], [0.2, 1.0], [0.4, -1.0]], **THETA).tolist()[:2] == [-np.inf, -np.inf]
    with jax.enable_x64():
        x = np.array([[0.2, 1.0]])
        slope = jax.grad(lambda row: exact.function(x, row)[0])({k: np.float64(v) for k, v in THETA.items()})
    assert all(float(v) == 0 for v in slope.values())


def test_precision_of_the_density_is_its_own_and_sums_are_float64(exact, trials):
    single = dataclasses.replace(exact, precision="float32")
    error = np.abs(single.log_prob(trials, **THETA) - exact.log_prob(trials, **THETA))
    assert 0 < error.max() < 1e-4


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ({"v": 0.5, "a": 1.5, "z": 0.5}, "missing \\['t'\\]"),
        ({**THETA, "w": 1.0}, "unknown \\['w'\\]"),
        ({"drift": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}, "unknown \\['drift'\\] and missing \\['v'\\]"),
    ],
)
def test_names_are_checked(exact, trials, theta, message):
    with pytest.raises(fp.ModelError, match=message):
        exact.log_prob(trials, **theta)


@pytest.mark.parametrize(
    "value", [np.zeros(199), np.zeros((200, 1)), np.zeros((200, 2)), np.zeros(0), "fast", None, np.nan]
)
def test_shapes_and_types_are_checked(exact, trials, value):
    with pytest.raises(fp.DataError, match="v must be"):
        exact.log_prob(trials, **{**THETA, "v": value})


def test_trials_are_listed_with_the_index_of_the_table(exact, trials):
    import pandas as pd

    table = pd.DataFrame(trials, columns=["rt", "response"], index=[f"s{i}" for i in range(200)])
    listed = exact.trials(table)
    assert list(listed.index) == list(table.index)
    np.testing.assert_array_equal(listed.to_numpy(), trials)


def test_posterior_is_that_of_a_grid(exact, trials):
    """Fix a, z, t by narrow priors; the posterior of v is then a one-dimensional integral."""
    narrow = {k: dist.Uniform(THETA[k] - 1e-4, THETA[k] + 1e-4) for k in ("a", "z", "t")}
    draws = exact.sample(trials, seed=2, prior=narrow, draws=1000, tune=500)["posterior"]["v"].values
    grid = np.linspace(-1, 2, 601)
    height = np.array([exact.log_prob(trials, **{**THETA, "v": v}).sum() for v in grid])
    weight = np.exp(height - height.max())
    mean = np.average(grid, weights=weight)
    sd = np.sqrt(np.average((grid - mean) ** 2, weights=weight))
    assert abs(draws.mean() - mean) < 0.15 * sd
    assert abs(draws.std() / sd - 1) < 0.08


def test_posterior_recovers_and_converges(posterior):
    from firstpassage.diagnostics import convergence

    found = convergence(posterior)
    assert found.ok, found.verdict
    for name, truth in THETA.items():
        values = posterior["posterior"][name].values
        assert abs(values.mean() - truth) < 3.5 * values.std()


def test_tree_holds_statistics_and_data(posterior, trials):
    statistics = set(posterior["sample_stats"].data_vars)
    assert {
        "diverging",
        "lp",
        "energy",
        "n_steps",
        "tree_depth",
        "acceptance_rate",
        "step_size",
    } <= statistics
    np.testing.assert_array_equal(posterior["observed_data"]["rt"].values, trials[:, 0])
    assert posterior["posterior"]["v"].shape == (4, 1000)


@pytest.mark.slow
def test_same_seed_same_draws(exact, trials):
    settings = {"draws": 50, "tune": 50, "chains": 2}
    one, two, other = (exact.sample(trials, seed=s, **settings)["posterior"]["v"].values for s in (7, 7, 8))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_draws_never_leave_box_data_or_prior(exact, trials):
    settings = {"draws": 50, "tune": 50, "chains": 2}
    draws = exact.sample(trials, seed=7, **settings)["posterior"]
    assert float(draws["t"].max()) < trials[:, 0].min()
    for name, (low, high) in exact.box.items():
        assert low <= float(draws[name].min()) and float(draws[name].max()) <= high


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be"),
        ({"tune": -1}, "tune must be"),
        ({"chains": 1.5}, "chains must be"),
        ({"seed": None}, "seed must be"),
        ({"method": "gibbs"}, "method must be"),
        ({"prior": {"w": dist.Normal(0, 1)}}, "prior names"),
        ({"prior": {"v": 3.0}}, "prior of v must have sample and log_prob"),
        ({"prior": {"v": dist.Uniform(5, 6)}}, "prior of v lives on"),
        ({"prior": {"v": dist.Normal(np.zeros(3), 1)}}, "distribution of one number"),
        ({"prior": [1]}, "prior must map"),
    ],
)
def test_bad_settings_are_refused_before_sampling(exact, trials, settings, message):
    with pytest.raises(fp.ModelError, match=message):
        exact.sample(trials, **{"seed": 1, **settings})


def test_data_that_no_t_allows_are_refused():
    narrow = fp.ddm(bounds={"t": (0.5, 2.0)}).exact
    with pytest.raises(fp.DataError, match="need t between"):
        narrow.sample([[0.4, 1.0], [0.9, -1.0]], seed=1)
