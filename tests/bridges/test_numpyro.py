"""A likelihood as a distribution of NumPyro: the same numbers, shapes, draws, starts, and what is refused."""

import dataclasses
import warnings

import arviz_base
import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer import MCMC, NUTS, Predictive
from numpyro.infer.util import initialize_model

import firstpassage as fp
from firstpassage.bridges._numpyro_priors import Cut

TRUTH = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
LIKELIHOODS = {
    "gaussian": (lambda: fp.gaussian().exact, {"mu": (-2, 2), "sigma": (0.5, 2)}),
    "ddm": (lambda: fp.ddm().exact, {"v": (-2, 2), "a": (0.8, 2), "z": (0.3, 0.7), "t": (0.01, 0.2)}),
}
CASES = ["gaussian", pytest.param("ddm", marks=pytest.mark.slow)]


def waiting() -> fp.Likelihood:
    """Make a likelihood of exponential times that begin at t, which the fastest one bounds."""

    def density(x, theta):
        time = x[:, 0] - theta["t"]
        return jnp.where(time > 0, -time, -jnp.inf)

    return fp.Likelihood(
        model="waiting", kind="exact", trial="time", columns=("time",), density=density,
        parameters=(fp.Parameter("t", bounds=(0, 2)),), limits=lambda x: {"t": (0.0, float(x.min()))},
        read=lambda data: np.asarray(data, dtype=np.float64).reshape(-1, 1),
    )  # fmt: skip


def trials(n: int, *, seed: int = 1, **theta: object) -> np.ndarray:
    """Draw trials of the drift-diffusion model."""
    rows = {name: np.broadcast_to(value, (n,)).astype(float) for name, value in (TRUTH | theta).items()}
    return fp.ddm().exact.simulate(rows, np.random.default_rng(seed))


def data_of(case: str, n: int) -> np.ndarray:
    return trials(n) if case == "ddm" else np.random.default_rng(n).normal(size=(n, 1))


def run(model: object, *args: object, warmup: int = 300, samples: int = 400, **settings: object) -> MCMC:
    """Sample two chains."""
    sampler = MCMC(
        NUTS(model, **settings), num_warmup=warmup, num_samples=samples, num_chains=2, chain_method="vectorized",
        progress_bar=False,
    )  # fmt: skip
    sampler.run(jax.random.key(1), *args)
    return sampler


@pytest.mark.parametrize("case", CASES)
def test_log_prob_is_that_of_the_likelihood_in_any_plates(case):
    make, ranges = LIKELIHOODS[case]
    likelihood, rng = make(), np.random.default_rng(2)
    x = data_of(case, 12)
    Obs = likelihood.to_numpyro()
    per_trial = {name: rng.uniform(*ends, size=12) for name, ends in ranges.items()}
    scalars = {name: values[0] for name, values in per_trial.items()}
    one = next(iter(ranges))
    mixed = scalars | {one: per_trial[one]}
    with jax.enable_x64():
        for theta in (scalars, per_trial, mixed):
            assert Obs(**theta).batch_shape == np.broadcast_shapes(*(np.shape(v) for v in theta.values()))
            expected = likelihood.log_prob(x, **theta)
            np.testing.assert_allclose(Obs(**theta).log_prob(x), expected, rtol=1e-12)
        # three subjects of four trials, one drift each; and five draws of parameters over all of them
        by_subject = scalars | {one: per_trial[one][:3, None]}
        expected = likelihood.log_prob(x, **scalars | {one: np.repeat(per_trial[one][:3], 4)}).reshape(3, 4)
        np.testing.assert_allclose(Obs(**by_subject).log_prob(x.reshape(3, 4, -1)), expected, rtol=1e-12)
        many = scalars | {one: per_trial[one][:5, None]}
        expected = [likelihood.log_prob(x, **scalars | {one: value}) for value in per_trial[one][:5]]
        np.testing.assert_allclose(Obs(**many).log_prob(x), expected, rtol=1e-12)


def test_shapes_follow_numpyro() -> None:
    Obs = fp.gaussian().exact.to_numpyro()
    x = data_of("gaussian", 4)
    one = Obs(mu=jnp.zeros((3, 1)), sigma=jnp.ones(4))
    assert (one.batch_shape, one.event_shape, one.event_dim) == ((3, 4), (1,), 1)
    assert one.expand((2, 3, 4)).batch_shape == (2, 3, 4)
    assert one.to_event(1).log_prob(x).shape == (3,)
    assert one.mask(jnp.array([True, False, True, True])).log_prob(x)[0, 1] == 0
    again = jax.jit(lambda given: given)(one)
    np.testing.assert_array_equal(again.theta["sigma"], one.theta["sigma"])


def test_make_gives_one_class_for_one_likelihood() -> None:
    likelihood = fp.gaussian().exact
    assert likelihood.to_numpyro() is likelihood.to_numpyro()


def test_outside_the_box_is_impossible_with_a_finite_gradient() -> None:
    Obs, x = fp.gaussian().exact.to_numpyro(), data_of("gaussian", 20)
    both = jax.jit(jax.value_and_grad(lambda mu, sigma: Obs(mu=mu, sigma=sigma).log_prob(x).sum(), argnums=(0, 1)))
    for at in ((5.5, 1.0), (0.0, -1.0), (0.0, 0.0), (jnp.nan, 1.0), (jnp.inf, 1.0)):
        value, gradient = both(*at)
        assert value == -jnp.inf
        assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_float32_is_near_enough_for_nuts() -> None:
    """NumPyro's own precision: the sum over 1000 trials is off by less than .01 nat at points of a posterior."""
    likelihood, x = fp.ddm().exact, trials(1000)
    Obs, rng = likelihood.to_numpyro(), np.random.default_rng(5)
    single = jax.jit(lambda theta: Obs(**theta).log_prob(x).sum())
    errors = []
    for _ in range(50):
        theta = {name: np.float32(rng.normal(value, 0.02)) for name, value in (TRUTH | {"t": 0.25}).items()}
        assert single(theta).dtype == jnp.float32
        errors.append(float(single(theta)) - likelihood.log_prob(x, **theta).sum())
    assert np.std(errors) < 0.01


def test_names_are_checked() -> None:
    Obs = fp.gaussian().exact.to_numpyro()
    for call, error, message in (
        (lambda: Obs(0.0, 1.0), fp.ModelError, r"by name; got 2 by position.*Obs\(mu=\.\.\., sigma="),
        (lambda: Obs(mu=0.0), fp.ModelError, r"missing \['sigma'\]"),
        (lambda: Obs(mu=0.0, sigma=1.0, tau=2.0), fp.ModelError, r"unknown \['tau'\]"),
        (lambda: Obs(mu="high", sigma=1.0), fp.DataError, "mu must be"),
        (lambda: Obs(mu=jnp.zeros(3), sigma=jnp.ones(4)), fp.DataError, r"broadcast; got mu \(3,\), sigma \(4,\)"),
        (lambda: Obs(mu=9.0, sigma=1.0, validate_args=True), fp.ModelError, r"mu must lie in its box \(-5, 5\)"),
        (lambda: Obs.priors("tau"), fp.ModelError, "priors takes names among mu, sigma"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_data_are_checked_before_they_are_sampled() -> None:
    Obs = fp.ddm().exact.to_numpyro()
    one = Obs(v=0.0, a=1.0, z=0.5, t=0.1)
    for x, message in (
        (np.array([[0.5, 1.0], [np.nan, 1.0]]), "rt"),
        (np.array([[0.5, 1.0], [0.7, 0.0]]), "response"),
        (np.array([0.5, 0.6, 0.7]), r"Pass obs=Obs\.read\(data\)"),
        (trials(5).T, r"along the last axis"),
    ):
        with pytest.raises(fp.DataError, match=message):
            one.log_prob(x)
    with pytest.raises(fp.DataError, match=r"does not broadcast with parameters of shape \(7,\).*subject_of_trial"):
        Obs(v=jnp.zeros(7), a=1.0, z=0.5, t=0.1).log_prob(trials(5))
    table = pd.DataFrame(trials(5), columns=["rt", "response"])
    np.testing.assert_array_equal(Obs.read(table), trials(5))


def test_draws_are_the_simulators() -> None:
    Obs = fp.gaussian().exact.to_numpyro()
    one = Obs(mu=jnp.array([-2.0, 2.0]), sigma=0.5)
    drawn = one.sample(jax.random.key(1), (4000,))
    assert drawn.shape == (4000, 2, 1)
    np.testing.assert_allclose(drawn.mean(0)[:, 0], [-2, 2], atol=4 * 0.5 / np.sqrt(4000))
    traced = jax.jit(lambda key: one.sample(key, (4000,)))(jax.random.key(1))
    np.testing.assert_array_equal(traced, drawn)
    assert not np.array_equal(one.sample(jax.random.key(2), (4000,)), drawn)


def test_draws_need_a_simulator_and_the_box() -> None:
    mute = dataclasses.replace(fp.gaussian().exact, simulate=None).to_numpyro()
    with pytest.raises(fp.ModelError, match="no simulator"):
        mute(mu=0.0, sigma=1.0).sample(jax.random.key(1))
    with pytest.raises(fp.ModelError, match="mu must lie in its box"):
        fp.gaussian().exact.to_numpyro()(mu=6.0, sigma=1.0).sample(jax.random.key(1))
    with pytest.raises(Exception, match="mu must lie in its box"):
        jax.jit(lambda mu: fp.gaussian().exact.to_numpyro()(mu=mu, sigma=1.0).sample(jax.random.key(1)))(6.0)


@pytest.mark.slow
def test_nuts_samples_the_known_posterior_and_predicts() -> None:
    x = np.random.default_rng(4).normal(0.7, 1.0, (60, 1))
    Obs = fp.gaussian().exact.to_numpyro()

    def model(x=None):
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        with numpyro.plate("trial", 60):
            numpyro.sample("obs", Obs(mu=mu, sigma=1.0), obs=x)

    sampler = run(model, x, warmup=200, samples=300)
    draws = np.asarray(sampler.get_samples(group_by_chain=True)["mu"])
    precision = 1 + x.size
    error = 4 / np.sqrt(precision) / np.sqrt(float(arviz_stats.ess(draws)))
    assert abs(draws.mean() - x.sum() / precision) < error
    assert abs(draws.std() * np.sqrt(precision) - 1) < 0.2
    predicted = Predictive(model, sampler.get_samples())(jax.random.key(2))["obs"]
    assert predicted.shape == (600, 60, 1)
    assert abs(float(predicted.mean()) - draws.mean()) < 0.05
    assert abs(float(predicted.std()) - np.sqrt(1 + 1 / precision)) < 0.05


class TestPriors:
    """Sites from the records of the parameters."""

    def test_are_in_the_box_and_below_what_the_data_allow(self) -> None:
        x = trials(20)
        Obs = fp.ddm().exact.to_numpyro()

        def model():
            Obs.priors("a", data=x)
            z, t = Obs.priors("z", "t", data=x)
            assert z.shape == t.shape == ()

        drawn = Predictive(model, num_samples=2000)(jax.random.key(1))
        assert set(drawn) == {"a", "z", "t"}
        for name, (low, high) in (fp.ddm().exact.box | {"t": (0, x[:, 0].min())}).items():
            if name != "v":
                assert low <= drawn[name].min() < low + 0.01 * (high - low)
                assert high - 0.01 * (high - low) < drawn[name].max() <= high

    @pytest.mark.parametrize("base", [dist.Gamma(2.0, 0.5), dist.LogNormal(0.0, 0.5)])
    def test_cut_density_is_one_in_all_and_that_of_its_draws(self, base) -> None:
        cut = Cut(base, 0.2, 0.9)
        grid = np.linspace(0.2, 0.9, 2001)
        assert np.trapezoid(np.exp(cut.log_prob(grid)), grid) == pytest.approx(1, abs=1e-4)
        drawn = np.asarray(cut.sample(jax.random.key(1), (4000,)))
        below = float((base.cdf(0.5) - base.cdf(0.2)) / (base.cdf(0.9) - base.cdf(0.2)))
        assert abs((drawn < 0.5).mean() - below) < 4 * np.sqrt(below * (1 - below) / 4000)

    def test_records_with_a_prior(self) -> None:
        """A log-uniform prior stays one; a normal one is cut to the box."""
        mu = fp.Parameter("mu", bounds=(-1, 1), prior=dist.Normal(0.0, 5.0))
        likelihood = dataclasses.replace(fp.gaussian().exact, parameters=(mu, fp.gaussian().parameters[1]))
        (drawn,) = Predictive(lambda: likelihood.to_numpyro().priors("mu"), num_samples=500)(jax.random.key(1)).values()
        assert -1 <= drawn.min() < -0.9 and 0.9 < drawn.max() <= 1
        (rates,) = Predictive(fp.poisson().exact.to_numpyro().priors, num_samples=2000)(jax.random.key(1)).values()
        assert abs(float(jnp.log(rates).mean()) - np.log(0.05 * 60) / 2) < 0.2

    def test_a_joint_prior_obeys_its_order(self) -> None:
        drawn = Predictive(fp.lif().exact.to_numpyro().priors, num_samples=300)(jax.random.key(1))
        assert (drawn["V_reset"] < drawn["V_init"]).all()
        assert (drawn["V_init"] < drawn["E_L"]).all()
        with pytest.raises(fp.ModelError, match="joint"):
            fp.lif().exact.to_numpyro().priors("V_reset")


@pytest.mark.slow
def test_starts_are_possible_for_every_subject() -> None:
    """Of 25 subjects with their own t, chance starts some above the fastest time, and NumPyro gives up."""
    subject = np.repeat(np.arange(25), 4)
    x = 0.05 + np.random.default_rng(1).exponential(size=(100, 1))
    Obs = waiting().to_numpyro()

    def model(x):
        with numpyro.plate("subject", 25):
            t = numpyro.sample("t", dist.Uniform(0, 2))
        with numpyro.plate("trial", 100):
            numpyro.sample("obs", Obs(t=t[subject]), obs=x)

    key = jax.random.key(1)
    with pytest.raises(RuntimeError, match="Cannot find valid initial parameters"):
        initialize_model(key, model, model_args=(x,))
    start = initialize_model(key, model, model_args=(x,), init_strategy=Obs.start(x)).param_info
    assert np.isfinite(start.potential_energy)
    t = 2 * jax.nn.sigmoid(start.z["t"])
    assert (t < np.minimum.reduceat(x[:, 0], np.arange(0, 100, 4))).all()
    assert len(np.unique(t)) == 25


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nle", "nre"])
def test_learned_likelihoods_sample_as_the_exact_one(kind: str) -> None:
    x, means, sds = trials(150), [], []
    for likelihood in (fp.ddm().exact, fp.pretrained("ddm", kind)):
        Obs = likelihood.to_numpyro()

        def model(x, Obs=Obs):
            theta = dict(zip("vazt", Obs.priors(*"vazt", data=x), strict=True))
            with numpyro.plate("trial", len(x)):
                numpyro.sample("obs", Obs(**theta), obs=x)

        draws = run(model, x, warmup=500, samples=500).get_samples()
        means.append(np.array([draws[name].mean() for name in "vazt"]))
        sds.append(np.array([draws[name].std() for name in "vazt"]))
    assert (np.abs(means[1] - means[0]) < 0.4 * sds[0]).all()
    np.testing.assert_allclose(sds[1], sds[0], rtol=0.25)


COOKIES = ((9.3, 30), (6.0, 30), (9.6, 30), (8.9, 30), (8.1, 5))


def bake(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Count the chips of the cookies of five locations."""
    rng = np.random.default_rng(seed)
    location = np.repeat(np.arange(5), [n for _, n in COOKIES])
    return rng.poisson(np.array([rate for rate, _ in COOKIES])[location]), location


def pooled(chip, location, chips):
    rate = numpyro.sample("rate", dist.Gamma(2, 0.2))
    with numpyro.plate("cookie", len(location)):
        numpyro.sample("chips", chip(rate), obs=chips)


def unpooled(chip, location, chips):
    with numpyro.plate("location", 5):
        rate = numpyro.sample("rate", dist.Gamma(2, 0.2))
    with numpyro.plate("cookie", len(location)):
        numpyro.sample("chips", chip(rate[location]), obs=chips)


def hierarchical(chip, location, chips):
    mu = numpyro.sample("mu", dist.Gamma(2, 0.2))
    sigma = numpyro.sample("sigma", dist.Exponential(1))
    with numpyro.plate("location", 5):
        rate = numpyro.sample("rate", dist.Gamma(mu**2 / sigma**2, mu / sigma**2))
    with numpyro.plate("cookie", len(location)):
        numpyro.sample("chips", chip(rate[location]), obs=chips)


@pytest.mark.slow
@pytest.mark.parametrize("model", [pooled, unpooled, hierarchical])
def test_cookies_are_those_of_the_poisson_model(model) -> None:
    """The likelihood of one cookie takes the place of Poisson, in float64 as small sigma asks for it."""
    chips, location = bake()
    Obs = fp.poisson().exact.to_numpyro()
    found = []
    with jax.enable_x64(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chip, x in ((dist.Poisson, chips), (lambda rate: Obs(rate=rate), Obs.read(chips))):
            sampler = run(model, chip, location, x, warmup=1000, samples=1500, target_accept_prob=0.95)
            found.append(arviz_base.from_numpyro(sampler, log_likelihood=False)["posterior"].dataset["rate"].as_numpy())
    error = np.hypot(*(arviz_stats.mcse(one) for one in found))
    means = [one.mean(("chain", "draw")) for one in found]
    assert (np.abs(means[1] - means[0]) < 4 * error).all()
    if model is hierarchical:  # the location of five cookies is drawn to the others
        raw, middle = chips[location == 4].mean(), float(means[1].mean())
        assert abs(float(means[1][4]) - middle) < abs(raw - middle)
