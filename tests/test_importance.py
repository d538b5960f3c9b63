"""Sampling by way of an approximation: the posterior is that of the exact likelihood, and bad weights are noticed."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from firstpassage import _importance, _weights
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.parameter import Parameter

DATA = np.random.default_rng(3).normal(0.7, 1.0, (40, 1))
PARAMETERS = (Parameter("mu", bounds=(-3, 3)), Parameter("tau", bounds=(0.2, 3)))


def _normal(x, theta, *, shift=0.0, wider=1.0):
    sd = theta["tau"] * wider
    return -0.5 * ((x[:, 0] - theta["mu"] - shift) / sd) ** 2 - jnp.log(sd) - 0.5 * jnp.log(2 * jnp.pi)


def _likelihood(kind, density, **more):
    return Likelihood(
        model="shift", kind=kind, trial="trial", parameters=PARAMETERS, columns=("x",), density=density,
        read=lambda data: np.asarray(data, dtype=np.float64).reshape(-1, 1), **more,
    )  # fmt: skip


def _with_approximation(**off):
    rough = _likelihood("approximate", lambda x, theta: _normal(x, theta, **off))
    return _likelihood("exact", _normal, approximation=rough)


CLOSE = _with_approximation(shift=0.05, wider=1.04)
FAR = _with_approximation(shift=2.5)


def _grid_moments():
    mu, tau = np.meshgrid(np.linspace(-3, 3, 800), np.linspace(0.2, 3, 800), indexing="ij")
    log = stats.norm.logpdf(DATA[:, 0][:, None, None], mu, tau).sum(0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    return {
        name: (float((weight * v).sum()), float(np.sqrt((weight * v**2).sum() - (weight * v).sum() ** 2)))
        for name, v in (("mu", mu), ("tau", tau))
    }


def test_weighted_draws_have_the_exact_posterior():
    draws = CLOSE.sample(DATA, draws=2000, chains=2, seed=1)
    assert draws.attrs["sampler"] == "importance"
    assert draws.attrs["pareto_k"] < 0.7
    assert draws.attrs["effective"] > 1500
    for name, (mean, sd) in _grid_moments().items():
        values = draws["posterior"][name].values
        assert values.shape == (2, 2000)
        assert values.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(draws.attrs["effective"]))
        assert values.std() == pytest.approx(sd, rel=0.08)


def test_an_approximation_that_is_far_off_is_left_behind():
    """The Student t is fitted to the exact posterior itself, in as many rounds as that takes."""
    draws = FAR.sample(DATA, draws=500, chains=1, seed=1)
    assert draws.attrs["sampler"] == "importance" and draws.attrs["pareto_k"] <= 0.7
    mean, sd = _grid_moments()["mu"]
    assert float(draws["posterior"]["mu"].mean()) == pytest.approx(mean, abs=0.3 * sd)


@pytest.mark.slow
def test_weights_that_cannot_be_trusted_give_way_to_nuts(monkeypatch):
    monkeypatch.setattr(_importance, "_STUBBORN", 4)
    forced = FAR.sample(DATA, draws=500, chains=1, seed=1, method="importance")
    assert forced.attrs["pareto_k"] > 0.7
    free = FAR.sample(DATA, draws=500, tune=300, chains=1, seed=1)
    assert free.attrs["sampler"] == "nuts"
    mean, sd = _grid_moments()["mu"]
    assert float(free["posterior"]["mu"].mean()) == pytest.approx(mean, abs=0.3 * sd)


def test_many_data_sets_equal_each_alone_in_form_and_differ_in_draws():
    several = CLOSE.sample([DATA, DATA[:20], DATA], draws=300, chains=2, seed=4)
    assert several["posterior"]["mu"].shape == (2, 300, 3)
    assert len(several.attrs["pareto_k"]) == 3
    assert not np.array_equal(several["posterior"]["mu"][..., 0], several["posterior"]["mu"][..., 2])
    again = CLOSE.sample([DATA, DATA[:20]], draws=300, chains=2, seed=4)
    assert np.array_equal(several["posterior"]["mu"][..., :2], again["posterior"]["mu"])


def test_a_prior_counts():
    from numpyro.distributions import Normal

    free = CLOSE.sample(DATA, draws=1000, chains=1, seed=1)
    held = CLOSE.sample(DATA, draws=1000, chains=1, seed=1, prior={"mu": Normal(-1.0, 0.05)})
    assert float(held["posterior"]["mu"].mean()) < float(free["posterior"]["mu"].mean()) - 1.0


def test_importance_without_an_approximation_is_refused():
    with pytest.raises(ModelError, match='needs a quick approximation.*Use method="nuts"'):
        replace(CLOSE, approximation=None).sample(DATA, seed=1, method="importance")
    with pytest.raises(ModelError, match="method must be one of auto, nuts, importance"):
        CLOSE.sample(DATA, seed=1, method="slice")


def test_the_student_t_is_normalised_and_drawn_as_it_says():
    student = _importance._Student(mean=np.array([1.0, -2.0]), factor=np.array([[1.0, 0.0], [0.6, 0.5]]))
    z = student.draw(20_000, np.random.default_rng(1))
    reference = stats.multivariate_t([1.0, -2.0], student.factor @ student.factor.T, df=5)
    assert np.allclose(student.log_density(z[:50]), reference.logpdf(z[:50]))
    assert stats.kstest((z[:, 0] - 1.0), stats.t(5).cdf).pvalue > 1e-3


def test_smoothed_weights_sum_to_one_and_count_what_is_effective():
    weight, k = _weights.smoothed(np.random.default_rng(1).normal(0, 0.1, 4000))
    assert weight.sum() == pytest.approx(1)
    assert k < 0.5
    assert _weights.effective(weight) == pytest.approx(4000, rel=0.03)
    _, equal = _weights.smoothed(1e-9 * np.random.default_rng(1).standard_cauchy(4000))
    assert equal == 0.0  # tiny differences with heavy tails
    none, hopeless = _weights.smoothed(np.full(100, -np.inf))
    assert hopeless == np.inf and np.allclose(none, 0.01)
    _, heavy = _weights.smoothed(np.random.default_rng(1).standard_cauchy(4000) ** 2)
    assert heavy > 0.7
