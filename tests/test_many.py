"""Many data sets in one call: the same posteriors as one at a time, in the order of the list."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpyro import distributions as dist

import firstpassage as fp
from firstpassage import _subjects

SETTINGS = {"draws": 300, "tune": 300, "chains": 2}
SIZES = (60, 30, 50)  # of two padded sizes, so that groups must be put back in order
THETA = {"v": [0.5, -1.0, 0.2], "a": [1.2, 0.9, 1.5], "z": [0.5, 0.6, 0.4], "t": [0.3, 0.2, 0.5]}


@pytest.fixture(scope="module")
def exact():
    return fp.ddm().exact


@pytest.fixture(scope="module")
def subjects():
    theta = {name: np.array(values) for name, values in THETA.items()}
    data = fp.ddm().likelihood(theta, trials=max(SIZES), seed=3)
    return [np.stack([data["rt"][i, :n], data["response"][i, :n]], axis=1) for i, n in enumerate(SIZES)]


@pytest.fixture(scope="module")
def together(exact, subjects):
    return exact.sample(subjects, seed=1, **SETTINGS)


@pytest.mark.slow
def test_posteriors_are_those_of_one_at_a_time(exact, subjects, together):
    import arviz_stats

    for i in (0, 2):  # of one padded size, to compile once
        alone = exact.sample(subjects[i], seed=5, **SETTINGS)["posterior"].dataset
        many = together["posterior"].dataset.isel(dataset=i, drop=True)
        error = np.hypot(*(arviz_stats.mcse(d).to_array() for d in (alone, many)))
        assert (abs(alone.mean() - many.mean()).to_array() < 4 * error).all(), i
        assert (abs(many.std() / alone.std() - 1).to_array() < 0.25).all(), i


def test_posterior_is_that_of_a_grid(exact, subjects):
    """Fix a, z, t by narrow priors; the posterior of v is then a one-dimensional integral."""
    fixed = {"a": 1.0, "z": 0.5, "t": 0.15}
    narrow = {k: dist.Uniform(value - 1e-4, value + 1e-4) for k, value in fixed.items()}
    pair = [subjects[0], subjects[2]]
    draws = exact.sample(pair, seed=2, prior=narrow, draws=600, tune=200, chains=2)["posterior"]["v"].values
    grid = np.linspace(-3, 3, 601)
    for i, data in enumerate(pair):
        height = np.array([exact.log_prob(data, v=v, **fixed).sum() for v in grid])
        weight = np.exp(height - height.max())
        mean = np.average(grid, weights=weight)
        sd = np.sqrt(np.average((grid - mean) ** 2, weights=weight))
        assert abs(draws[..., i].mean() - mean) < 0.15 * sd
        assert abs(draws[..., i].std() / sd - 1) < 0.1


def test_an_axis_numbers_the_data_sets_and_short_ones_are_padded(together, subjects):
    assert together["posterior"]["v"].dims == ("chain", "draw", "dataset")
    assert together["sample_stats"]["lp"].dims == ("chain", "draw", "dataset")
    assert together["observed_data"]["rt"].dims == ("dataset", "trial")
    assert together["posterior"]["dataset"].values.tolist() == [0, 1, 2]
    rt = together["observed_data"]["rt"].values
    for i, data in enumerate(subjects):
        assert np.array_equal(rt[i, : len(data)], data[:, 0])
        assert np.isnan(rt[i, len(data) :]).all()


def test_statistics_are_those_of_the_draws(exact, subjects, together):
    stats = together["sample_stats"]
    assert stats["diverging"].dtype == bool
    assert 0.6 < float(stats["acceptance_rate"].mean()) < 0.97
    assert (stats["n_steps"] >= 2 ** (stats["tree_depth"] - 1)).all()
    theta = {name: together["posterior"][name].values[0, 7, 1] for name in THETA}
    box = {**exact.box, "t": (0.0, subjects[1][:, 0].min())}
    share = np.array([(theta[k] - low) / (high - low) for k, (low, high) in box.items()])
    expected = exact.log_prob(subjects[1], **theta).sum() + np.log(share * (1 - share)).sum()
    assert stats["lp"].values[0, 7, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_draws_depend_on_the_seed_and_the_number_alone(exact, subjects, together):
    def draws(data, seed):
        return exact.sample(data, seed=seed, **SETTINGS)["posterior"]["v"].values

    again, longer, other = draws(subjects, 1), draws([*subjects, *subjects[:2]], 1), draws(subjects, 2)
    first = together["posterior"]["v"].values
    assert np.array_equal(first, again)
    assert np.array_equal(first, longer[..., :3])
    assert not np.array_equal(first, other)
    assert not np.array_equal(longer[..., 0], longer[..., 3])


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ([[0.8, 1.0], [0.6, -1.0]], None),
        (np.ones((3, 2)), None),
        ({"rt": [0.8], "response": [1]}, None),
        ([np.ones((3, 2)), np.ones((4, 2))], 2),
        (([[0.8, 1.0]], [[0.6, -1.0]]), 2),
        ([{"rt": [0.8], "response": [1]}], 1),
        ([pd.DataFrame({"rt": [0.8], "response": [1]})], 1),
    ],
)
def test_a_list_of_data_sets_is_told_from_a_list_of_rows(data, number):
    found = _subjects.many(data)
    assert (found is None) if number is None else (len(found) == number)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one data set"),
        ([np.ones((3, 2)), [0.5, 1.0]], "data set 1 is"),
        ([[[0.8, 1.0], [0.7, -1.0]], [[0.8, 1.0], [-0.6, -1.0]]], "data set 1: rt must be positive"),
    ],
)
def test_errors_name_the_data_set(exact, data, message):
    with pytest.raises(fp.DataError, match=message):
        exact.sample(data, seed=1, **SETTINGS)


def test_data_that_no_parameters_allow_are_named():
    narrow = fp.ddm(bounds={"t": (0.5, 2.0)}).exact
    with pytest.raises(fp.DataError, match="data set 1: these data need t between"):
        narrow.sample([[[0.9, 1.0], [0.8, -1.0]], [[0.4, 1.0], [0.9, -1.0]]], seed=1)


def test_a_prior_that_misses_the_data_is_named(exact, subjects):
    late = {"t": dist.Uniform(0.45, 0.5)}
    with pytest.raises(fp.ModelError, match="data set 1: the prior of t"):
        exact.sample(subjects, seed=1, prior=late)


def test_data_sets_of_one_choice_are_warned_of_once(exact):
    one_choice = [[0.8, 1.0], [0.6, 1.0], [0.9, 1.0]]
    with pytest.warns(fp.DataWarning, match="2 of 3 data sets.*first: data set 1: all 3 responses") as caught:
        _subjects.read_all(exact.read, [[[0.8, 1.0], [0.7, -1.0]], one_choice, one_choice])
    assert len(caught) == 1


def test_other_warnings_pass():
    def read(data):
        warnings.warn("old form", DeprecationWarning, stacklevel=2)
        return np.asarray(data)

    with pytest.warns(DeprecationWarning, match="old form"):
        _subjects.read_all(read, [[[1.0]]])


def test_a_likelihood_that_is_zero_everywhere_names_the_data_set(subjects):
    import dataclasses

    import jax.numpy as jnp

    def density(x, theta):
        return jnp.where(x[..., 0].max() > 4.0, -jnp.inf, -((x[..., 0] - theta["a"]) ** 2))

    exact = dataclasses.replace(fp.ddm().exact, density=density)
    with pytest.raises(fp.DataError, match=r"zero or not finite .* in 1 of 2 data sets \(first: data set 1\)"):
        exact.sample([[[0.9, 1.0], [0.8, -1.0]], [[4.4, 1.0], [0.9, -1.0]]], seed=1, draws=5, tune=20, chains=1)
