"""Model and Parameter: a user's own prior and simulator, checked and seeded."""

import numpy as np
import pytest
from numpyro import distributions as dist
from scipy import stats

import firstpassage as fp

MU = fp.Parameter("mu", bounds=(-2, 2))
SIGMA = fp.Parameter("sigma", bounds=(0.5, 2), prior=dist.LogNormal(0.0, 0.1), unit="mV")


def batch(theta, *, trials, rng):
    shape = (len(theta["mu"]), trials)
    return {"x": rng.normal(theta["mu"][:, None], theta["sigma"][:, None], shape)}


def single(theta, *, trials, rng):
    return {"x": rng.normal(theta["mu"], theta["sigma"], trials)}


def traceable(theta, *, trials, rng):
    import jax

    return {"x": theta["mu"] + theta["sigma"] * jax.random.normal(rng, (trials,))}


def _model(simulate=batch, **settings):
    return fp.Model(name="shift", parameters=[MU, SIGMA], likelihood=simulate, **settings)


@pytest.mark.parametrize(("style", "simulate"), [("batch", batch), ("single", single), ("jax", traceable)])
def test_every_style_simulates_the_same_distribution(style, simulate):
    model = _model(simulate, style=style)
    theta = {"mu": np.array([-1.0, 1.0]), "sigma": np.array([0.5, 1.5])}
    x = model.likelihood(theta, trials=4000, seed=1)["x"]
    assert x.shape == (2, 4000)
    np.testing.assert_allclose(x.mean(1), [-1, 1], atol=0.1)
    np.testing.assert_allclose(x.std(1), [0.5, 1.5], rtol=0.05)
    assert np.array_equal(x, model.likelihood(theta, trials=4000, seed=1)["x"])


def test_priors_are_drawn_from_their_distributions_and_seeded():
    drawn = _model().prior(4000, seed=1)
    assert abs(np.log(drawn["sigma"]).std() - 0.1) < 0.01
    assert np.array_equal(drawn["sigma"], _model().prior(4000, seed=1)["sigma"])


def test_a_prior_that_leaves_the_box_is_refused():
    wide = fp.Parameter("sigma", bounds=(0.9, 1.1), prior=dist.LogNormal(0.0, 1.0))
    model = fp.Model(name="wide", parameters=[MU, wide], likelihood=batch)
    with pytest.raises(fp.ModelError, match=r"sigma must lie in \(0.9, 1.1\).*Widen"):
        model.prior(100, seed=1)


def test_a_joint_prior_is_a_function():
    def prior(n, *, rng):
        mu = rng.uniform(-1, 1, n)
        return {"mu": mu, "sigma": 1 + mu**2 / 2}

    model = _model(prior=prior)
    drawn = model.prior(50, seed=1)
    np.testing.assert_allclose(drawn["sigma"], 1 + drawn["mu"] ** 2 / 2)
    with pytest.raises(fp.ModelError, match="can only be sampled"):
        model.log_prior(drawn)


def test_log_prior_is_minus_infinity_outside_the_box():
    value = _model().log_prior({"mu": np.array([0.0, 3.0]), "sigma": np.array([1.0, 1.0])})
    assert value[1] == -np.inf
    np.testing.assert_allclose(value[0], -np.log(4) + stats.lognorm(s=0.1).logpdf(1.0), atol=1e-7)


def test_a_model_is_frozen():
    with pytest.raises(fp.ModelError, match="frozen"):
        _model().name = "other"


def _nan(theta, *, trials, rng):
    x = batch(theta, trials=trials, rng=rng)["x"]
    x[3] = np.nan
    return {"x": x}


def _raises(theta, *, trials, rng):
    if theta["mu"] > 0:
        raise ZeroDivisionError("oops")
    return {"x": np.zeros(trials)}


def _batch_raises(theta, *, trials, rng):
    if (theta["mu"] > 0).any():
        raise ZeroDivisionError("oops")
    return {"x": np.zeros((len(theta["mu"]), trials))}


def _no_batch(theta, *, trials, rng):
    return {"x": np.full((1, trials), float(theta["mu"].item()))}


def test_a_simulator_that_ignores_its_generator_is_noticed():
    def simulate(theta, *, trials, rng):
        return {"x": np.random.normal(size=(len(theta["mu"]), trials))}  # noqa: NPY002

    state = np.random.get_state()  # noqa: NPY002
    try:
        with pytest.warns(fp.DataWarning, match="global generator"):
            _model(simulate).likelihood({"mu": np.zeros(2), "sigma": np.ones(2)}, trials=3, seed=1)
    finally:
        np.random.set_state(state)  # noqa: NPY002


BAD_SIMULATORS = {
    "nan": (_nan, "batch", fp.DataError, r"NaN or infinite 'x' for 1 of 8 .*row 3"),
    "wrong shape": (lambda theta, *, trials, rng: {"x": np.zeros(3)}, "batch", fp.ModelError, r"shape \(8, 5\)"),
    "no dict": (lambda theta, *, trials, rng: np.zeros((8, 5)), "batch", fp.ModelError, "must return a dict"),
    "empty": (lambda theta, *, trials, rng: {}, "batch", fp.ModelError, "must return a dict"),
    "objects": (
        lambda theta, *, trials, rng: {"x": np.full((8, 5), None)}, "batch", fp.ModelError, "as numbers",
    ),
    "no dict of one": (lambda theta, *, trials, rng: 1.0, "single", fp.ModelError, "must return a dict"),
    "no dict in JAX": (lambda theta, *, trials, rng: theta["mu"], "jax", fp.ModelError, "must return a dict"),
    "names that vary": (
        lambda theta, *, trials, rng: {"x" if theta["mu"] > 0 else "y": np.zeros(trials)}, "single", fp.ModelError,
        "same names",
    ),
    "ragged in a batch": (
        lambda theta, *, trials, rng: {"x": [np.zeros(i) for i in range(8)]}, "batch", fp.ModelError, "as numbers",
    ),
    "a row of a batch fails": (_batch_raises, "batch", fp.ModelError, r"failed at row \d, {'mu': .*oops"),
    "a batch fails": (_no_batch, "batch", fp.ModelError, r"not with each of the first 8 alone.*shape \(n,\)"),
    "not traceable": (_raises, "jax", fp.ModelError, r'must be traceable by JAX.*style="single"'),
    "a row fails": (_raises, "single", fp.ModelError, r"failed at row \d, .*oops"),
    "ragged": (
        lambda theta, *, trials, rng: {"x": np.zeros(trials + int(theta["mu"] > 0))}, "single", fp.ModelError,
        "same shapes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SIMULATORS)
def test_bad_simulators_are_refused(name):
    simulate, style, error, message = BAD_SIMULATORS[name]
    model = _model(simulate, style=style)
    with pytest.raises(error, match=message):
        model.likelihood(model.prior(8, seed=1), trials=5, seed=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.Parameter("2x", bounds=(0, 1)), "Python identifier"),
        (lambda: fp.Parameter("lambda", bounds=(0, 1)), "Python identifier"),
        (lambda: fp.Parameter("data", bounds=(0, 1)), "cannot be called"),
        (lambda: fp.Parameter("x", bounds=(1, 0)), "lower < upper"),
        (lambda: fp.Parameter("x", bounds=(0, np.inf)), "finite"),
        (lambda: fp.Parameter("x", bounds=(0, 1), prior=3), "sample and log_prob"),
        (lambda: fp.Model(name="m", parameters=[], likelihood=batch), "one or more"),
        (lambda: fp.Model(name="m", parameters=[MU, MU], likelihood=batch), "name of its own"),
        (lambda: fp.Model(name="m m", parameters=[MU], likelihood=batch), "Python identifier"),
        (lambda: fp.Model(name="m", parameters=[MU], likelihood=None), "must be a function"),
        (lambda: fp.Model(name="m", parameters=[MU], likelihood=batch, prior=3), "must be a function"),
        (lambda: fp.Model(name="m", parameters=[MU], likelihood=batch, style="fast"), "style must be"),
        (lambda: _model().prior(0, seed=1), "positive integer"),
        (lambda: _model().prior(1.5, seed=1), "positive integer"),
        (lambda: _model().prior(3, seed=-1), "seed must"),
        (lambda: _model().likelihood({"mu": np.zeros(3)}, seed=1), "must be a dict of"),
        (lambda: _model().likelihood({"mu": np.zeros(3), "sigma": np.ones(2)}, seed=1), "must have shape"),
        (lambda: _model().likelihood({"mu": np.full(3, 9.0), "sigma": np.ones(3)}, seed=1), "mu must lie in"),
        (lambda: _model().likelihood({"mu": np.full(3, np.nan), "sigma": np.ones(3)}, seed=1), "mu must lie in"),
    ],
)
def test_bad_definitions_are_refused(make, message):
    with pytest.raises(fp.ModelError, match=message):
        make()
