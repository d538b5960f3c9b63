"""NRE of the statistics of voltage traces: its posterior is near the exact one, under the same prior, also in PyMC."""

import warnings

import jax
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.errors import ModelError
from firstpassage.estimators import _statistic_ratio
from oracle import ordered

SMALL = {"epoch_pairs": 8192, "validation": 1024, "batch": 256, "widths": (64, 64), "candidates": 7, "average": 0.9}


@pytest.fixture(scope="module")
def model():
    return fp.lif(T=20.0, I_mean=250.0)


@pytest.fixture(scope="module")
def learned(model):
    return fp.NRE(model, **SMALL).fit(budget=49_152, seed=1)


@pytest.fixture(scope="module")
def cells(model):
    theta = model.prior(8, seed=3)
    data = model.likelihood(theta, trials=2, seed=3)
    return theta, [{name: value[i] for name, value in data.items()} for i in range(8)]


@pytest.mark.slow
def test_statistics_are_what_a_trace_is_reduced_to(model, learned, cells):
    settings = fp.NRE(model).settings()
    assert (settings["unit"], settings["candidates"], settings["batch"]) == ("trace", 15, 512)
    assert fp.NRE(fp.ddm()).settings()["candidates"] == 3
    x = learned.read(cells[1][0])
    own = len(model.statistics.names)
    assert x.shape == (2, own + 12)
    np.testing.assert_array_equal(x[:, :own], model.statistics.of_trials(model.schema.read(cells[1][0])))
    np.testing.assert_array_equal(learned.read(x), x)
    assert learned.columns == _statistic_ratio.statistics(model).names


def _uniform(seed):
    rng = np.random.default_rng(seed)
    return lambda shape: rng.uniform(size=shape)


def test_candidates_have_the_density_that_is_taken_from_the_ratio():
    """Weighed by the prior over that density, draws around a guess have the prior: its mass, and its means."""
    around = _statistic_ratio.Around(joint=ordered.JOINT, own=2)
    x = np.array([[7.0, 7.0, 0.4, -0.3, 0.5, 0.9, 0.7, 1.2]])
    with jax.enable_x64():
        z = np.asarray(around.draw(x, 200_000, uniform=_uniform(1))[0])
        weight = np.exp(-np.asarray(around.log_density(x, z)))
    assert weight.mean() == pytest.approx(1, abs=0.02)
    theta, prior = ordered.JOINT.parameters(z), ordered.model().prior(40_000, seed=1)
    for name, value in theta.items():
        assert (weight * value).mean() == pytest.approx(prior[name].mean(), abs=0.03)
    np.testing.assert_allclose(np.median(z, axis=0), x[0, 2:5], atol=0.02)


def test_clipped_parameters_are_put_beyond_their_bounds_as_the_prior_puts_them():
    theta = ordered.model().prior(20_000, seed=2)
    with jax.enable_x64():
        around = _statistic_ratio.Around(joint=ordered.JOINT, own=0)
        z = np.asarray(around.place({name: jax.numpy.asarray(v) for name, v in theta.items()}, uniform=_uniform(2)))
    assert stats.kstest(z[:, ordered.JOINT.names.index("spread")], "norm").pvalue > 1e-3
    for name, value in ordered.JOINT.parameters(z).items():
        np.testing.assert_allclose(value, theta[name], atol=1e-9)


@pytest.mark.slow
def test_its_posterior_is_near_the_exact_one(model, learned, cells):
    drawn = learned.sample(cells[1], draws=200, chains=2, seed=1)["posterior"]
    exact = model.exact.sample(cells[1], draws=200, chains=2, seed=1)["posterior"]
    values = {name: drawn[name].values for name in model.parameter_names}
    assert np.isfinite(model.joint.log_density(values)).all()
    prior = model.prior(2000, seed=1)
    for name in ("V_reset", "V_th"):
        spread = exact[name].values.std(axis=(0, 1))
        shift = np.abs(values[name].mean(axis=(0, 1)) - exact[name].values.mean(axis=(0, 1)))
        assert np.median(shift / prior[name].std()) < 0.3
        assert np.median(values[name].std(axis=(0, 1))) < 0.6 * prior[name].std() + spread.mean()


@pytest.mark.slow
def test_a_saved_one_is_the_same_and_sums_over_traces_in_pymc(model, learned, cells, tmp_path):
    again = fp.load(fp.save(learned, tmp_path / "bundle"), model=model)
    theta = {name: float(value[0]) for name, value in cells[0].items()}
    ours, theirs = (one.log_prob(cells[1][0], **theta) for one in (learned, again))
    np.testing.assert_array_equal(ours, theirs)
    with pm.Model() as fit, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fp.observe("obs", again, observed=cells[1][0], **{**theta, "E_L": pm.Uniform("E_L", -72, -62)})
    value = -72 + 10 / (1 + np.exp(-0.2))
    wanted = learned.log_prob(cells[1][0], **{**theta, "E_L": value}).sum()
    found = fit.compile_logp(vars=[fit["obs"]], mode="FAST_COMPILE")({"E_L_interval__": 0.2})
    assert float(found) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
def test_it_is_compared_with_the_exact_likelihood_of_traces(model, learned, cells):
    found = fp.diagnostics.compare(learned, model.exact, cells[1][:2], seed=1, draws=100, chains=2)
    assert found.error is None and found.sum_error is None
    assert set(found.learned.shift) == set(model.parameter_names)


def test_units_that_there_are_not_are_refused(model):
    with pytest.raises(ModelError, match="unit must be None or 'trace' for lif; got 'patch'"):
        fp.NRE(model, unit="patch")
