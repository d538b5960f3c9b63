"""The normal distribution: density, simulation, data, and the learned ratio beside them."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import firstpassage as fp
from firstpassage.estimators import bundle
from firstpassage.models.gaussian import reference_priors

THETA = {"mu": 2.0, "sigma": 1.5}


def _draws(n, seed, **theta):
    return np.random.default_rng(seed).normal(*({**THETA, **theta}).values(), n)


def test_the_density_is_the_normal_one():
    x = np.array([-40.0, -1.0, 2.0, 2.5, 60.0])
    found = fp.gaussian().exact.log_prob(x, **THETA)
    np.testing.assert_allclose(found, stats.norm(2.0, 1.5).logpdf(x), rtol=1e-13)


def test_the_density_integrates_to_one_for_each_trial_of_a_regression():
    exact, grid = fp.gaussian().exact, np.linspace(-30, 30, 6001)
    for mu, sigma in ((-4.0, 0.1), (0.0, 1.0), (4.5, 3.0)):
        mass = integrate.trapezoid(np.exp(exact.log_prob(grid, mu=np.full(len(grid), mu), sigma=sigma)), grid)
        assert mass == pytest.approx(1.0, abs=1e-9)


def test_simulation_matches_the_density():
    model = fp.gaussian()
    data = model.likelihood({"mu": np.array([-3.0, 2.0]), "sigma": np.array([0.2, 4.0])}, trials=5000, seed=1)
    assert data["x"].shape == (2, 5000)
    for x, (mu, sigma) in zip(data["x"], ((-3.0, 0.2), (2.0, 4.0)), strict=True):
        assert stats.kstest(x, stats.norm(mu, sigma).cdf).pvalue > 1e-3
    rows = model.exact.simulate({"mu": np.full(5000, 2.0), "sigma": np.full(5000, 4.0)}, np.random.default_rng(1))
    assert rows.shape == (5000, 1) and stats.kstest(rows[:, 0], stats.norm(2.0, 4.0).cdf).pvalue > 1e-3


def test_the_gradient_is_that_of_finite_differences_and_zero_outside_the_box():
    import jax

    exact, x, step = fp.gaussian().exact, np.array([[0.3], [4.0]]), 1e-6

    def total(mu, sigma):
        return exact.function(x, {"mu": mu, "sigma": sigma}).sum()

    with jax.enable_x64():
        slopes = jax.grad(total, argnums=(0, 1))(*THETA.values())
        outside = jax.grad(lambda mu: exact.function(x, {"mu": mu, "sigma": 1.0})[0])(6.0)
    for i, slope in enumerate(slopes):
        up, down = (np.array(list(THETA.values())) + sign * step * np.eye(2)[i] for sign in (1, -1))
        difference = (exact.log_prob(x, mu=up[0], sigma=up[1]) - exact.log_prob(x, mu=down[0], sigma=down[1])).sum()
        assert float(slope) == pytest.approx(difference / (2 * step), rel=1e-6)
    assert float(outside) == 0.0
    assert (exact.log_prob(x, mu=6.0, sigma=1.0) == -np.inf).all()


def test_arrays_columns_and_tables_are_the_same_data():
    exact, x = fp.gaussian().exact, _draws(7, 1)
    expected = exact.log_prob(x, **THETA)
    table = pd.DataFrame({"x": x, "other": 1})
    for data in (x[:, None], list(x), {"x": x}, table):
        np.testing.assert_array_equal(exact.log_prob(data, **THETA), expected)
    assert list(exact.trials(table).columns) == ["x"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1.0, np.nan], r"x must be finite; 1 of 2 are not \(first: trial 1, nan\)\. Drop"),
        ([np.inf], "x must be finite"),
        ([], "expected at least one of the draws; got none. Check the filter"),
        ([[1.0, 2.0]], r"shape \(n,\) or \(n, 1\); got shape \(1, 2\)\. Pass the trials of one subject"),
        (3.0, "one number for each trial"),
        (["a"], "x must be numbers; got"),
        ([True, False], "x must be numbers"),
        ({"y": [1.0]}, "one column 'x'; got 0 among"),
        (np.ma.masked_invalid([1.0, np.nan]), "no masked values; 1 are masked"),
    ],
)
def test_bad_data_are_refused(data, message):
    with pytest.raises(fp.DataError, match=message):
        fp.gaussian().exact.log_prob(data, **THETA)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [({"sigma": (0.0, 1.0)}, "sigma > 0"), ({"rate": (0, 1)}, "parameters of gaussian are mu, sigma")],
)
def test_bad_bounds_are_refused(bounds, message):
    with pytest.raises(fp.ModelError, match=message):
        fp.gaussian(bounds=bounds)


def test_the_reference_settings_are_the_usual_ones():
    """64 candidates, batches of 128, 50 of them an epoch: a budget of 640,000 is 100 epochs."""
    found = fp.NRE(fp.gaussian()).settings()
    assert (found["candidates"], found["batch"], found["epoch_pairs"]) == (64, 128, 50 * 128)
    assert fp.NRE(fp.gaussian(), candidates=3, batch=1024).settings()["candidates"] == 3


def test_the_network_is_given_no_more_than_shift_and_scale():
    """Its input does not change when data and parameters are moved and stretched together."""
    symmetry = fp.gaussian().symmetry
    x, theta = np.array([[0.5], [3.0]]), {"mu": 1.0, "sigma": 0.7}
    moved = symmetry.invariants(2 * x - 3, {"mu": 2 * 1.0 - 3, "sigma": 2 * 0.7})
    np.testing.assert_allclose(symmetry.invariants(x, theta), moved, rtol=1e-6)
    assert float(symmetry.log_scale(x, {"mu": 0.0, "sigma": 2.0})[0]) == pytest.approx(-np.log(2))


def test_the_shipped_log_ratio_differs_from_the_log_likelihood_by_a_constant():
    """Summed over 50 draws, over the exact posterior: sd at most .3 nat, on data that training has not seen."""
    learned, exact = fp.pretrained("gaussian", "nre"), fp.gaussian().exact
    rng = np.random.default_rng(5)
    for seed in range(5):
        x = exact.read(_draws(50, seed))
        theta = {"mu": rng.normal(x.mean(), x.std() / 50**0.5, 400), "sigma": rng.normal(x.std(), x.std() / 10, 400)}
        assert (learned.summed(x, theta) - exact.summed(x, theta)).std() <= 0.3


def test_the_shipped_ratio_is_small_and_carries_its_audit():
    learned = fp.pretrained("gaussian", "nre")
    assert sum(p.stat().st_size for p in (bundle.shelf() / "gaussian-nre").iterdir()) < 200_000
    assert learned.card["audit"]["ok"] and learned.card["audit"]["seed"] != learned.card["seed"]


def test_the_reference_priors_lie_in_the_box():
    for name, prior in reference_priors().items():
        low, high = fp.gaussian().exact.box[name]
        assert low <= float(prior.support.lower_bound) and float(prior.support.upper_bound) <= high
