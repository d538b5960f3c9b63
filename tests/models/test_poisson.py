"""Counts of chips: probability, simulation, log-uniform prior, data, and the learned ratio of one cookie in PyMC."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.estimators import bundle

RATES = np.array([9.3, 6.0, 9.6, 8.9, 8.1])


def test_the_probability_is_that_of_poisson():
    k = np.array([0, 3, 8, 30, 90])
    for rate in (0.05, 7.3, 60.0):
        np.testing.assert_allclose(fp.poisson().exact.log_prob(k, rate=rate), stats.poisson(rate).logpmf(k), rtol=1e-10)


def test_the_probabilities_sum_to_one():
    k = np.arange(200)
    for rate in (0.05, 1.0, 60.0):
        assert np.exp(fp.poisson().exact.log_prob(k, rate=rate)).sum() == pytest.approx(1.0, abs=1e-12)


def test_simulation_matches_the_probability():
    model = fp.poisson()
    chips = model.likelihood({"rate": np.array([6.0])}, trials=20_000, seed=1)["chips"][0]
    seen = np.bincount(np.minimum(chips, 15).astype(int), minlength=16)
    expected = np.append(stats.poisson(6.0).pmf(np.arange(15)), stats.poisson(6.0).sf(14)) * len(chips)
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    rows = model.exact.simulate({"rate": np.full(4000, 6.0)}, np.random.default_rng(2))
    assert rows.shape == (4000, 1) and abs(rows.mean() - 6.0) < 4 * (6.0 / 4000) ** 0.5


def test_the_gradient_is_that_of_finite_differences():
    import jax

    exact, x, step = fp.poisson().exact, np.array([[0.0], [9.0], [30.0]]), 1e-6
    for rate in (0.06, 7.3, 59.0):
        with jax.enable_x64():
            slope = jax.grad(lambda rate: exact.function(x, {"rate": rate}).sum())(rate)
        difference = exact.log_prob(x, rate=rate + step).sum() - exact.log_prob(x, rate=rate - step).sum()
        assert float(slope) == pytest.approx(difference / (2 * step), rel=1e-5)


def test_the_prior_is_log_uniform_and_follows_the_bounds():
    for model, (low, high) in ((fp.poisson(), (0.05, 60.0)), (fp.poisson(bounds={"rate": (1.0, 20.0)}), (1.0, 20.0))):
        rate = model.prior(4000, seed=1)["rate"]
        assert stats.kstest(np.log(rate), stats.uniform(np.log(low), np.log(high / low)).cdf).pvalue > 1e-3
        np.testing.assert_allclose(model.log_prior({"rate": rate}), -np.log(rate * np.log(high / low)), rtol=1e-9)
    assert fp.poisson().parameters[0].prior is fp.poisson().parameters[0].prior


def test_the_log_uniform_prior_is_the_same_in_pymc():
    exact = fp.poisson().exact
    with pm.Model() as model:
        (rate,) = fp.priors(exact, "rate")
    assert [v.name for v in model.free_RVs] == ["log_rate"] and [v.name for v in model.deterministics] == ["rate"]
    drawn = pm.draw(rate, 2000, random_seed=1)
    assert stats.kstest(np.log(drawn), stats.uniform(np.log(0.05), np.log(60 / 0.05)).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_the_posterior_under_the_log_uniform_prior_is_a_gamma_distribution():
    """Its shape is the sum of the chips, its rate the number of cookies, but for the ends of the box."""
    exact, chips = fp.poisson().exact, np.array([9, 7, 8, 10, 12])
    truth = stats.gamma(chips.sum(), scale=1 / len(chips))
    ours = exact.sample(chips, draws=1000, tune=300, chains=2, seed=1)["posterior"]["rate"]
    assert abs(float(ours.mean()) - truth.mean()) < 0.15 * truth.std()
    assert float(ours.std()) == pytest.approx(truth.std(), rel=0.1)


def test_a_chain_that_starts_at_the_end_of_the_real_line_comes_back():
    """Far out, where the rate is its bound to the last digit, the posterior still falls outwards."""
    import jax

    from firstpassage import _nuts, _spaces

    exact, x = fp.poisson().exact, np.zeros((32, 1))
    posterior = _nuts.write_posterior(exact, _spaces.choose(exact, {}))
    low, high = (np.array([end]) for end in exact.box["rate"])
    with jax.enable_x64():
        slope = jax.grad(lambda z: posterior(z, x, np.ones(32), low, high))
        assert float(slope(np.array([-150.0]))[0]) == pytest.approx(1.0)
        assert float(slope(np.array([150.0]))[0]) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, np.nan], "chips must be finite; 1 of 2 are not"),
        ([3, -999], r"counts from 0; 1 of 2 are not \(first: trial 1, -999\)\. Look for codes"),
        ([3, 2.5], r"whole numbers; 1 of 2 are not \(first: trial 1, 2\.5\)\. Pass counts"),
        (np.ones((3, 2)), r"got shape \(3, 2\)"),
        ([], "at least one of the counts; got none"),
        (pd.DataFrame({"chip": [1]}), "one column 'chips'; got 0 among"),
    ],
)
def test_bad_data_are_refused(data, message):
    with pytest.raises(fp.DataError, match=message):
        fp.poisson().exact.log_prob(data, rate=3.0)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [({"rate": (0.0, 3.0)}, "rate > 0"), ({"rate": 3.0}, "two numbers"), ({"mu": (0, 1)}, "parameters of poisson are")],
)
def test_bad_bounds_are_refused(bounds, message):
    with pytest.raises(fp.ModelError, match=message):
        fp.poisson(bounds=bounds)


def test_the_reference_settings_are_the_usual_ones():
    found = fp.NRE(fp.poisson()).settings()
    assert (found["candidates"], found["batch"], found["epoch_pairs"]) == (64, 128, 50 * 128)


def test_the_shipped_ratio_is_small_and_carries_its_audit():
    learned = fp.pretrained("poisson", "nre")
    assert sum(p.stat().st_size for p in (bundle.shelf() / "poisson-nre").iterdir()) < 200_000
    assert learned.card["audit"]["seed"] != learned.card["seed"]


@pytest.mark.parametrize("rate", RATES)
def test_the_shipped_ratio_gives_the_posterior_of_thirty_cookies(rate):
    """By a grid: the mean within .1 of the exact posterior's sd, its sd within 6 %."""
    chips = np.random.default_rng(int(10 * rate)).poisson(rate, 30)
    grid = np.linspace(4.0, 14.0, 401)
    moments = []
    for likelihood in (fp.pretrained("poisson", "nre"), fp.poisson().exact):
        height = likelihood.summed(likelihood.read(chips), {"rate": grid})
        weight = np.exp(height - height.max()) / np.exp(height - height.max()).sum()
        mean = (weight * grid).sum()
        moments.append((mean, np.sqrt((weight * (grid - mean) ** 2).sum())))
    (ours, spread), (exact, width) = moments
    assert abs(ours - exact) < 0.1 * width
    assert spread == pytest.approx(width, rel=0.06)


def test_factories_are_a_pymc_model_of_the_ratio_of_one_cookie():
    """The log posterior of a hierarchy by the ratio differs from that by Poisson by a constant, near the mode."""
    place = np.repeat(np.arange(5), (30, 30, 30, 30, 5))
    chips = np.random.default_rng(2).poisson(RATES[place])
    found = []
    for own in (False, True):
        with pm.Model() as model:
            mu, sigma = pm.Gamma("mu", 2, 0.2), pm.Exponential("sigma", 1)
            lam = pm.Gamma("lam", mu**2 / sigma**2, mu / sigma**2, shape=5)
            if own:
                pm.Poisson("obs", lam[place], observed=chips)
            else:
                fp.observe("obs", fp.pretrained("poisson", "nre"), rate=lam[place], observed=chips)
        log_p, start = model.compile_logp(), model.initial_point()
        rng = np.random.default_rng(3)
        points = np.log(rng.normal([chips[place == i].mean() for i in range(5)], [0.5, 0.5, 0.5, 0.5, 1.2], (40, 5)))
        found.append([float(log_p(start | {"lam_log__": point})) for point in points])
    ours, theirs = np.array(found)
    assert np.ptp(theirs) > 3
    assert (ours - theirs).std() < 0.3
