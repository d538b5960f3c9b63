"""Sampling under a joint prior: importance sampling and NUTS find the same posterior, with the mass of its atoms."""

import jax
import numpy as np
import pytest
from scipy.special import logit

import firstpassage as fp
from firstpassage import _importance, _nuts, _spaces
from firstpassage.errors import ModelError
from oracle import ordered

X = np.random.default_rng(1).normal([0.2, 0.6], 1.1, (5, 2))


@pytest.fixture(scope="module")
def truth():
    return ordered.posterior(X)


def _check(drawn, truth, *, effective):
    theta, weight = truth
    for name, wanted in theta.items():
        mean = weight @ wanted
        sd = np.sqrt(weight @ (wanted - mean) ** 2)
        values = drawn["posterior"][name].values.ravel()
        assert values.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(effective))
        assert values.std() == pytest.approx(sd, rel=5 / np.sqrt(effective))
    values = {name: drawn["posterior"][name].values.ravel() for name in theta}
    assert np.isfinite(ordered.JOINT.log_density(values)).all()
    for bound in (0.7, 1.4):
        mass = weight @ (theta["spread"] == bound)
        assert (values["spread"] == bound).mean() == pytest.approx(mass, abs=3 / np.sqrt(effective))


def test_weighted_draws_have_the_posterior(truth):
    drawn = ordered.EXACT.sample(X, draws=1000, chains=4, seed=1)
    assert drawn.attrs["sampler"] == "importance"
    assert drawn.attrs["pareto_k"] < 0.7
    _check(drawn, truth, effective=min(drawn.attrs["effective"], 4000))


@pytest.mark.slow
def test_nuts_and_importance_sampling_have_one_target():
    space, z = _spaces.choose(ordered.EXACT, {}), np.random.default_rng(2).normal(0, 1.5, (20, 3))
    ends = space.ends(ordered.EXACT, X)
    with jax.enable_x64():
        wanted = _importance._target(ordered.EXACT, X, space, ends)(z)
        log_posterior = _nuts.write_posterior(ordered.EXACT, space)
        found, slope = jax.vmap(jax.value_and_grad(lambda at: log_posterior(at, *_nuts.pad(X), *ends.T)))(z)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
        assert np.isfinite(slope).all()


@pytest.mark.slow
def test_nuts_has_the_posterior(truth):
    alone = ordered.EXACT.sample(X, draws=500, tune=300, chains=2, seed=1, method="nuts")
    _check(alone, truth, effective=300)


@pytest.mark.slow
def test_nuts_of_many_has_the_posterior(truth):
    many = ordered.EXACT.sample([X, X[:3]], draws=500, tune=300, chains=4, seed=1, method="nuts")
    _check({"posterior": many["posterior"].dataset.isel(dataset=0)}, truth, effective=400)


def test_the_space_has_the_density_of_the_prior():
    """Volumes of the real line, counted by a wide normal distribution, have the prior's mass."""
    space = _spaces.Coordinates(ordered.JOINT)
    rng = np.random.default_rng(1)
    z = rng.normal(0, 1.5, (40_000, 3))
    theta, log_prior = space.many(z, np.zeros((3, 2)))
    weight = np.exp(log_prior + (z**2 / 2 / 1.5**2).sum(axis=1)) * 1.5**3 * (2 * np.pi) ** 1.5
    weight = weight * np.prod(space.scaling[1])
    assert weight.mean() == pytest.approx(1, abs=0.02)
    prior = ordered.model().prior(40_000, seed=1)
    for name, value in theta.items():
        assert (weight * value).mean() / weight.mean() == pytest.approx(prior[name].mean(), abs=0.05)
    assert abs(logit((theta["spread"] == 1.4).mean())) < 3


def test_a_prior_of_single_parameters_is_refused():
    with pytest.raises(ModelError, match="joint one, of parameters that depend on each other; got one for low"):
        ordered.EXACT.sample(X, seed=1, prior={"low": None})


@pytest.mark.parametrize("silent", [False, True])
def test_the_posterior_of_a_short_trace_obeys_the_prior_and_ranks_the_truth(silent):
    """Ten truths with few or no spikes: none is far outside its posterior, and weights can be trusted."""
    model = fp.lif(T=20.0, I_mean=20.0 if silent else 250.0)
    theta = model.prior(10, seed=5)
    data = model.likelihood(theta, trials=1, seed=6)
    traces = [{name: value[i] for name, value in data.items()} for i in range(10)]
    spikes = np.array([one["spikes"].sum() for one in traces])
    assert (spikes == 0).all() if silent else (spikes > 0).sum() > 5
    drawn = model.exact.sample(traces, draws=100, chains=4, seed=1)
    assert max(drawn.attrs["pareto_k"]) < 0.7
    assert min(drawn.attrs["effective"]) > 250
    values = {name: drawn["posterior"][name].values for name in model.parameter_names}
    assert np.isfinite(model.joint.log_density(values)).all()
    below = np.stack([(values[name] < theta[name]).mean(axis=(0, 1)) for name in theta])
    assert ((below > 0.002) & (below < 0.998)).mean() > 0.9
