"""Priors that users bring: of NumPyro and PyMC, independent and dependent, cut to the box; and what refuses them."""

import numpy as np
import numpyro
import pymc as pm
import pytest
from numpyro import distributions as dist
from scipy import stats

import firstpassage as fp
from firstpassage.likelihood import Likelihood

BOX = (-4.0, 4.0)
GRID = np.linspace(*BOX, 401)
CELL = GRID[1] - GRID[0]


def simulate(theta, *, trials, rng):
    return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}


def one(prior, *, bounds=BOX, **settings):
    parameter = fp.Parameter("mu", bounds=bounds, prior=prior, **settings)
    return fp.Model(name="shift", parameters=[parameter], likelihood=simulate)


def two(prior, *, likelihood=simulate, **settings):
    parameters = [fp.Parameter("mu", bounds=BOX), fp.Parameter("nu", bounds=BOX)]
    return fp.Model(name="pair", parameters=parameters, likelihood=likelihood, prior=prior, **settings)


class Triangle:
    """A prior of one's own: density 1 - |x| on (-1, 1)."""

    support = (-1.0, 1.0)

    def sample(self, n, rng):
        return rng.triangular(-1.0, 0.0, 1.0, n)

    def log_prob(self, value):
        import jax.numpy as jnp

        return jnp.log(jnp.maximum(1 - jnp.abs(value), 0.0))


SCALARS = {
    "numpyro normal": (lambda: dist.Normal(0.3, 0.5), stats.norm(0.3, 0.5)),
    "numpyro uniform": (lambda: dist.Uniform(-1.0, 2.0), stats.uniform(-1, 3)),
    "pymc normal": (lambda: pm.Normal.dist(0.3, 0.5), stats.norm(0.3, 0.5)),
    "pymc half normal": (lambda: pm.HalfNormal.dist(0.5), stats.halfnorm(0, 0.5)),
    "pymc uniform": (lambda: pm.Uniform.dist(-1, 2), stats.uniform(-1, 3)),
    "own": (Triangle, stats.triang(0.5, -1, 2)),
}


@pytest.mark.parametrize("name", SCALARS)
def test_priors_of_one_parameter_have_the_right_density_and_draws(name):
    make, truth = SCALARS[name]
    model = one(make())
    np.testing.assert_allclose(
        np.exp(model.log_prior({"mu": GRID})), truth.pdf(GRID), atol=2e-7
    )  # NumPyro keeps its constants in single precision
    drawn = model.prior(2000, seed=1)["mu"]
    assert stats.kstest(drawn, truth.cdf).pvalue > 1e-3
    assert np.array_equal(drawn, model.prior(2000, seed=1)["mu"])


@pytest.mark.parametrize("make", [lambda: dist.Normal(0.0, 3.0), lambda: pm.Normal.dist(0, 3), Triangle])
def test_a_prior_cut_to_the_bounds_is_normalised_there(make):
    bounds = (-0.5, 2.0)
    model = one(make(), bounds=bounds, truncate=True)
    grid = np.linspace(*bounds, 2001)
    assert abs(np.trapezoid(np.exp(model.log_prior({"mu": grid})), grid) - 1) < 1e-3
    drawn = model.prior(500, seed=1)["mu"]
    assert drawn.min() >= bounds[0] and drawn.max() <= bounds[1]


def test_a_prior_that_leaves_the_bounds_says_how_to_cut_it():
    with pytest.raises(fp.ModelError, match="mu must lie in.*truncate=True"):
        one(pm.Normal.dist(0, 3)).prior(100, seed=1)
    with pytest.raises(fp.ModelError, match="of its mass in the bounds"):
        one(dist.Normal(50.0, 1.0), truncate=True)


COVARIANCE = np.array([[0.25, 0.2], [0.2, 0.5]])


def numpyro_model():
    mu = numpyro.sample("mu", dist.Normal(0.0, 0.5))
    numpyro.sample("nu", dist.Normal(0.8 * mu, np.sqrt(0.34)))


def pymc_model():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 0.5)
        pm.Normal("nu", 0.8 * mu, np.sqrt(0.34))
    return model


JOINTS = {
    "numpyro distribution": lambda: dist.MultivariateNormal(np.zeros(2), COVARIANCE),
    "numpyro model": lambda: numpyro_model,
    "pymc model": pymc_model,
}


@pytest.mark.parametrize("name", JOINTS)
def test_dependent_priors_have_the_right_density_and_draws(name):
    model = two(JOINTS[name]())
    theta = {"mu": np.repeat(GRID[::40], 11), "nu": np.tile(GRID[::40], 11)}
    truth = stats.multivariate_normal(np.zeros(2), COVARIANCE).logpdf(np.stack(list(theta.values()), axis=1))
    np.testing.assert_allclose(model.log_prior(theta), truth, rtol=1e-5)
    assert model.log_prior({"mu": np.array([9.0]), "nu": np.array([0.0])})[0] == -np.inf
    drawn = model.prior(4000, seed=1)
    np.testing.assert_allclose(np.cov(*drawn.values()), COVARIANCE, atol=0.04)
    assert np.array_equal(drawn["nu"], model.prior(4000, seed=1)["nu"])


def half_model():
    with pm.Model() as model:
        mu = pm.Uniform("mu", 0, 2)
        pm.Uniform("nu", 0, mu)  # the support of one depends on the other
    return model


def half_numpyro():
    mu = numpyro.sample("mu", dist.Uniform(0.0, 2.0))
    numpyro.sample("nu", dist.Uniform(0.0, mu))


@pytest.mark.parametrize("make", [half_model, lambda: half_numpyro])
def test_dependent_priors_integrate_to_one_over_their_support(make):
    model = two(make())
    cells = np.linspace(*BOX, 801)[:-1] + 0.005
    mu, nu = np.meshgrid(cells, cells, indexing="ij")
    density = np.exp(model.log_prior({"mu": mu.ravel(), "nu": nu.ravel()})).reshape(mu.shape)
    assert not density[nu > mu].any()
    density[mu == nu] /= 2  # of such a cell half lies in the support
    assert abs(density.sum() * 0.01**2 - 1) < 0.01


def exact():
    """Say that x ~ Normal(mu + nu, 1)."""

    def density(x, theta):
        return -0.5 * (x[:, 0] - theta["mu"] - theta["nu"]) ** 2

    return Likelihood(
        model="pair", kind="exact", trial="draw", parameters=(), columns=("x",), read=np.atleast_2d, density=density
    )


def bound(model):
    from dataclasses import replace

    likelihood = replace(exact(), parameters=model.parameters)
    return fp.Model(
        name="pair", parameters=model.parameters, likelihood=simulate, prior=model.dependent, exact=likelihood
    ).exact


@pytest.mark.parametrize("method", [pytest.param("nuts", marks=pytest.mark.slow), "smc"])
def test_likelihoods_are_sampled_under_a_dependent_prior(method):
    """The posterior is normal: of precision COVARIANCE^-1 + [[1, 1], [1, 1]] n."""
    likelihood = bound(two(dist.MultivariateNormal(np.zeros(2), COVARIANCE)))
    data = np.full((3, 1), 0.7)
    draws = likelihood.sample(data, draws=500, tune=300, chains=4, seed=1, method=method)["posterior"]
    precision = np.linalg.inv(COVARIANCE) + 3 * np.ones((2, 2))
    mean = np.linalg.solve(precision, np.full(2, 2.1))
    found = np.stack([draws[name].to_numpy().ravel() for name in ("mu", "nu")])
    np.testing.assert_allclose(found.mean(1), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(found), np.linalg.inv(precision), atol=0.04)


def test_a_prior_that_can_only_be_sampled_is_refused_by_likelihoods():
    likelihood = bound(two(lambda n, *, rng: {name: rng.uniform(-1, 1, n) for name in ("mu", "nu")}))
    with pytest.raises(fp.ModelError, match="only be sampled, so that only NPE"):
        likelihood.sample(np.zeros((3, 1)), draws=10, tune=20, chains=1, seed=1)
    own = {"mu": dist.Normal(0.0, 1.0), "nu": pm.Normal.dist(0, 1)}
    with pytest.raises(fp.ModelError, match="got priors for mu"):
        likelihood.sample(np.zeros((3, 1)), draws=10, tune=20, chains=1, seed=1, prior={"mu": own["mu"]})
    draws = likelihood.sample(np.zeros((3, 1)), draws=1000, chains=1, seed=1, prior=own, method="smc")["posterior"]
    assert abs(float(draws["mu"].var()) - 4 / 7) < 0.08  # of the normal posterior


def test_the_pymc_bridge_uses_pymc_priors_and_refuses_dependent_ones():
    likelihood = bound(two(pymc_model()))
    with pytest.raises(fp.ModelError, match=r"joint prior of its own.*PyMC"), pm.Model():
        fp.priors(likelihood)
    from firstpassage.bridges import _priors

    parameter = fp.Parameter("mu", bounds=(-1.0, 4.0), prior=pm.Normal.dist(0, 2))
    with pm.Model() as model:
        _priors.register(parameter, None)
    value = np.array([-0.9, 0.0, 3.9])
    found = [float(pm.logp(model["mu"], one).eval(mode="FAST_COMPILE")) for one in (*value, -1.5)]
    np.testing.assert_allclose(found, stats.truncnorm(-0.5, 2.0, 0, 2).logpdf([*value, -1.5]), rtol=1e-6)


def discrete_model():
    numpyro.sample("mu", dist.Poisson(1.0))
    numpyro.sample("nu", dist.Normal(0.0, 1.0))


def with_potential():
    with pm.Model() as model:
        pm.Normal("mu", 0, 1)
        pm.Potential("more", pm.Normal("nu", 0, 1) ** 2)
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: one(pm.Poisson.dist(1.0)), "continuous"),
        (lambda: one(pm.Normal.dist(0, 1, shape=2)), "one number"),
        (lambda: one(pm.Normal.dist(0, 1) + 1), "which is computed"),
        (lambda: one(dist.Poisson(1.0)), "continuous"),
        (lambda: one(dist.Normal(np.zeros(2), 1.0)), "one number"),
        (lambda: one(dist.Normal), "must have sample and log_prob"),
        (lambda: two(dist.MultivariateNormal(np.zeros(3), np.eye(3))), r"event_shape \(2,\)"),
        (lambda: two(dist.Normal(np.zeros(2), 1.0)), r"to_event\(1\)"),
        (lambda: two(lambda: numpyro.sample("mu", dist.Normal(0.0, 1.0))), "must have the sites mu, nu"),
        (lambda: two(discrete_model), "continuous and not observed"),
        (lambda: two(with_potential()), "observed or potential"),
        (lambda: two(pm.Model()), "free variables mu, nu"),
        (lambda: two(lambda n, seed: None), r"must take \(n, \*, rng\)"),
        (
            lambda: fp.Model(
                name="m", parameters=[fp.Parameter("mu", bounds=BOX, prior=dist.Normal(0.0, 1.0))],
                likelihood=simulate, prior=lambda: numpyro.sample("mu", dist.Normal(0.0, 1.0)),
            ), "one of their own",
        ),
    ],
)  # fmt: skip
def test_priors_that_cannot_be_used_are_refused(make, message):
    with pytest.raises(fp.ModelError, match=message):
        make()
