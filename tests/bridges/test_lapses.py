"""Lapses: a normalised mixture, the same likelihood without them, robust against an outlier, and what is refused."""

import warnings

import numpy as np
import pymc as pm
import pytest

import firstpassage as fp

THETA = {"v": 0.8, "a": 1.1, "z": 0.45, "t": 0.3}


def trials(n: int, *, likelihood: fp.Likelihood, seed: int = 1, **theta: float) -> np.ndarray:
    rows = {name: np.full(n, float((THETA | theta)[name])) for name in likelihood.parameter_names}
    return likelihood.simulate(rows, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def robust() -> fp.Likelihood:
    return fp.lapses(fp.ddm().exact, longest=10.0)


def test_the_mixture_integrates_to_one(robust):
    def density(x: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fp.DataWarning)  # all responses are one
            return robust.log_prob(x, **THETA, p_outlier=0.2)

    times, weights = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for low, high in [(0, 0.3), (0.3, 0.4), (0.4, 0.6), (0.6, 1.5), (1.5, 10)]:
        rt = (low + high) / 2 + (high - low) / 2 * times
        for response in (-1.0, 1.0):
            x = np.stack([rt, np.full(40, response)], axis=1)
            total += float((weights * np.exp(density(x))).sum()) * (high - low) / 2
    assert total == pytest.approx(1.0, abs=2e-5)  # the tail of decisions beyond 10 s is not in it


@pytest.mark.parametrize("kind", ["exact", "nle"])
def test_without_lapses_it_is_the_likelihood_given(kind):
    plain = fp.ddm().exact if kind == "exact" else fp.pretrained("ddm", kind)
    x = np.vstack([trials(20, likelihood=fp.ddm().exact), [[0.31, 1.0], [0.2, -1.0]]])
    expected = plain.log_prob(x, **THETA)
    assert np.array_equal(fp.lapses(plain).log_prob(x, **THETA, p_outlier=0.0), expected)
    mixed = fp.lapses(plain).log_prob(x, **THETA, p_outlier=0.1)
    assert mixed == pytest.approx(np.logaddexp(np.log(0.9) + expected, np.log(0.1 / 40)), abs=2e-5)


def test_gradients_are_finite_where_only_a_lapse_is_possible(robust):
    import jax

    x = np.array([[0.2, 1.0], [0.300001, -1.0], [0.9, 1.0]])
    with jax.enable_x64():
        pull = jax.jit(jax.jacrev(lambda theta: robust.function(x, theta)))
        for p in (0.0, 0.1, 0.5):
            slopes = pull(THETA | {"p_outlier": p})
            assert all(np.isfinite(one).all() for one in slopes.values())


def test_data_bound_no_parameter(robust):
    x = robust.read([[0.1, 1.0], [0.9, 1.0], [0.8, -1.0]])
    assert robust.support(x) == robust.box
    assert robust.box["p_outlier"] == (0.0, 0.5)


def test_simulated_trials_are_mixed(robust):
    x = trials(20_000, likelihood=robust, p_outlier=0.3)
    early = (x[:, 0] < 0.3).mean()
    assert early == pytest.approx(0.3 * 0.3 / 10, abs=0.003)
    assert (x[:, 0] > 5).mean() == pytest.approx(0.3 * 0.5, abs=0.01)
    assert set(np.unique(x[:, 1])) == {-1.0, 1.0}


def test_the_prior_of_lapses_is_skewed_to_none(robust):
    with pm.Model() as model:
        (p,) = fp.priors(robust, "p_outlier")
        drawn = pm.draw(p, 2000, random_seed=1)
    assert 0 <= drawn.min() and drawn.max() <= 0.5 and np.median(drawn) < 0.05
    assert "p_outlier" in model.named_vars


def test_longer_trials_than_a_lapse_are_refused_when_read(robust):
    with pytest.raises(fp.DataError, match="at most 10 s.*1 of 2 are longer"):
        robust.log_prob([[0.9, 1.0], [10.5, -1.0]], **THETA, p_outlier=0.1)


def test_what_cannot_be_mixed_is_refused(robust):
    with pytest.raises(fp.ModelError, match="normalised density"):
        fp.lapses(fp.pretrained("ddm", "nre"))
    with pytest.raises(fp.ModelError, match="lapses are known for trials of rt, response"):
        fp.lapses(fp.foraging().exact)
    with pytest.raises(fp.ModelError, match="has lapses already"):
        fp.lapses(robust)
    with pytest.raises(fp.ModelError, match="longest must be a positive number"):
        fp.lapses(fp.ddm().exact, longest=0)
    with pytest.raises(fp.ModelError, match="lapses takes a Likelihood"):
        fp.lapses(fp.ddm())


def test_lapses_cannot_be_saved_as_if_they_were_learned():
    with pytest.raises(fp.ModelError, match="can be saved"):
        fp.save(fp.lapses(fp.pretrained("ddm", "nle")), "nowhere")


@pytest.mark.slow
def test_outliers_do_not_move_the_non_decision_time():
    exact = fp.ddm().exact
    x = np.vstack([trials(400, likelihood=exact), [[0.05, 1.0], [0.1, -1.0], [9.0, 1.0]]])
    draws = fp.lapses(exact).sample(x, draws=500, tune=500, chains=2, seed=1)["posterior"]
    for name, true in THETA.items():
        assert abs(float(draws[name].mean()) - true) < 4 * float(draws[name].std())
    assert 0.001 < float(draws["p_outlier"].mean()) < 0.04
    assert float(exact.sample(x, draws=500, tune=500, chains=2, seed=1)["posterior"]["t"].max()) < 0.05
