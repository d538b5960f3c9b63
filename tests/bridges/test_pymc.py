"""A likelihood inside PyMC: the same numbers, gradients, samplers, predictions, and what is refused."""

import dataclasses
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext

import arviz as az
import jax
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.initial_point import make_initial_point_fn
from pymc.model.transform.optimization import freeze_dims_and_data
from pymc.sampling.parallel import ParallelSamplingError

import firstpassage as fp
from firstpassage.bridges._ops import LogDensity, LogDensityWithPullback
from firstpassage.likelihood import Likelihood

TRUTH = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}


def _gaussian_read(data: object) -> np.ndarray:
    return np.asarray(data, dtype=np.float64).reshape(-1, 2)


def _gaussian_density(x: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
    scaled = (x - theta["mu"][..., None]) / theta["sigma"][..., None]
    return (-0.5 * scaled**2).sum(-1) - 2 * jax.numpy.log(theta["sigma"]) - np.log(2 * np.pi)


def _gaussian_simulate(theta: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return rng.normal(theta["mu"][:, None], theta["sigma"][:, None], (len(theta["mu"]), 2))


def gaussian(**changes: object) -> Likelihood:
    """Make a likelihood that costs nothing: two independent normal columns, mean mu and sd sigma."""
    settings = {
        "model": "gaussian", "kind": "nle", "trial": "pair", "columns": ("left", "right"),
        "read": _gaussian_read, "density": _gaussian_density, "simulate": _gaussian_simulate,
        "parameters": (fp.Parameter("mu", bounds=(-5, 5)), fp.Parameter("sigma", bounds=(0.1, 5))),
    }  # fmt: skip
    return Likelihood(**(settings | changes))


def trials(n: int, *, seed: int = 1, **theta: float) -> np.ndarray:
    """Draw trials of the drift-diffusion model."""
    rows = {name: np.broadcast_to(value, (n,)).astype(float) for name, value in (TRUTH | theta).items()}
    return fp.ddm().exact.simulate(rows, np.random.default_rng(seed))


Ranges = dict[str, tuple[float, float]]
LIKELIHOODS: dict[str, tuple[Callable[[], Likelihood], Callable[[int], np.ndarray], Ranges]] = {
    "gaussian": (
        gaussian,
        lambda n: np.random.default_rng(n).normal(size=(n, 2)),
        {"mu": (-2, 2), "sigma": (0.5, 2)},
    ),
    "ddm": (
        lambda: fp.ddm().exact,
        lambda n: trials(n, seed=n),
        {"v": (-2, 2), "a": (0.8, 2), "z": (0.3, 0.7), "t": (0.01, 0.3)},
    ),
}  # fmt: skip


def flat_model(likelihood: Likelihood, x: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> pm.Model:
    """Make a model of which every parameter is a free variable on the real line."""
    with pm.Model() as model, warnings.catch_warnings():
        warnings.simplefilter("ignore", fp.DataWarning)
        theta = {name: pm.Flat(name, shape=shape) for name, shape in shapes.items()}
        fp.observe("obs", likelihood, **theta, observed=x)
    return model


def total_of(likelihood: Likelihood, x: np.ndarray, theta: dict[str, np.ndarray]) -> float:
    """Sum the log density of all trials without PyMC."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fp.DataWarning)
        return likelihood.log_prob(x, **theta).sum()


def free_ddm(x: np.ndarray, likelihood: Likelihood | None = None) -> pm.Model:
    """Make the drift-diffusion model of the reference set-up."""
    with pm.Model() as model:
        theta = {
            "v": pm.TruncatedNormal("v", 0, 1.5, lower=-3, upper=3),
            "a": pm.TruncatedNormal("a", 1, 0.5, lower=0.3, upper=2.5),
            "z": pm.TruncatedNormal("z", 0.5, 0.2, lower=0.1, upper=0.9),
            "t": pm.TruncatedNormal("t", 0.3, 0.3, lower=0, upper=2),
        }
        fp.observe("obs", likelihood or fp.ddm().exact, **theta, observed=x)
    return model


@pytest.mark.parametrize("n", [1, 2, 7, 200])
@pytest.mark.parametrize("vectors", [False, True], ids=["scalars", "vectors"])
@pytest.mark.parametrize("case", LIKELIHOODS)
def test_pymc_total_is_the_sum_of_the_likelihood(case: str, n: int, vectors: bool) -> None:
    make, draw, ranges = LIKELIHOODS[case]
    likelihood, x = make(), draw(n)
    rng = np.random.default_rng(n)
    shapes = {name: (n,) if vectors and i != 1 else () for i, name in enumerate(ranges)}
    theta = {name: rng.uniform(*ranges[name], size=shapes[name]) for name in ranges}
    model = flat_model(likelihood, x, shapes)
    total = model.compile_logp(mode="FAST_COMPILE")(theta)
    np.testing.assert_allclose(total, total_of(likelihood, x, theta), rtol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA", "CVM"])
@pytest.mark.parametrize("case", LIKELIHOODS)
def test_gradient_is_that_of_finite_differences(case: str, mode: str) -> None:
    make, draw, ranges = LIKELIHOODS[case]
    likelihood, x, rng = make(), draw(7), np.random.default_rng(3)
    shapes = {name: (7,) if i == 0 else () for i, name in enumerate(ranges)}
    model = flat_model(likelihood, x, shapes)
    gradient = model.compile_dlogp(mode=mode)
    for _ in range(5):
        theta = {name: rng.uniform(*ranges[name], size=shapes[name]) for name in ranges}
        flat = np.concatenate([np.ravel(theta[name]) for name in ranges])
        found = gradient(theta)
        sizes = np.cumsum([np.size(theta[name]) for name in ranges])[:-1]

        def total(at: np.ndarray, sizes: np.ndarray = sizes) -> float:
            parts = dict(zip(ranges, np.split(at, sizes), strict=True))
            return likelihood.log_prob(x, **{k: v.reshape(shapes[k]) for k, v in parts.items()}).sum()

        steps = 1e-5 * np.eye(flat.size)
        expected = [(total(flat + step) - total(flat - step)) / 2e-5 for step in steps]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_gradients_are_finite_everywhere_in_the_box() -> None:
    likelihood, x = fp.ddm().exact, trials(20)
    gradient = flat_model(likelihood, x, dict.fromkeys("vazt", ())).compile_dlogp(mode="FAST_COMPILE")
    rng = np.random.default_rng(0)
    for _ in range(200):
        theta = {name: np.array(rng.uniform(*bounds)) for name, bounds in likelihood.box.items()}
        assert np.isfinite(gradient(theta)).all()


def test_outside_the_box_is_impossible_with_a_finite_gradient() -> None:
    model = flat_model(fp.ddm().exact, trials(5), dict.fromkeys("vazt", ()))
    outside = {"v": np.array(4.5), "a": np.array(1.5), "z": np.array(0.5), "t": np.array(0.1)}
    assert model.compile_logp(mode="FAST_COMPILE")(outside) == -np.inf
    assert np.isfinite(model.compile_dlogp(mode="FAST_COMPILE")(outside)).all()


def test_value_and_gradient_cost_one_call() -> None:
    model = flat_model(gaussian(), np.zeros((3, 2)), {"mu": (), "sigma": ()})
    compiled = model.logp_dlogp_function(ravel_inputs=True)._pytensor_function
    operations = [type(node.op) for node in compiled.maker.fgraph.apply_nodes]
    assert operations.count(LogDensityWithPullback) == 1
    assert LogDensity not in operations


def test_graphs_of_the_same_likelihood_share_compiled_functions() -> None:
    traces = []

    def density(x: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
        traces.append(1)
        return _gaussian_density(x, theta)

    likelihood, x = gaussian(density=density), np.zeros((3, 2))
    for _ in range(3):
        flat_model(likelihood, x, {"mu": (), "sigma": ()}).compile_logp(mode="FAST_COMPILE")({"mu": 0.0, "sigma": 1.0})
    assert len(traces) == 1


def test_float32_pytensor_gets_float32_but_computes_in_float64() -> None:
    with pytensor.config.change_flags(floatX="float32"):
        model = flat_model(gaussian(), np.full((200, 2), 1.0), {"mu": (), "sigma": ()})
        value = model.compile_logp(mode="FAST_COMPILE")({"mu": np.float32(0), "sigma": np.float32(1)})
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, -200 * (1 + np.log(2 * np.pi)), rtol=1e-7)


def test_jax_samplers_are_told_to_use_float64() -> None:
    before = jax.config.jax_enable_x64
    import pytensor.link.jax.dispatch  # noqa: F401

    jax.config.update("jax_enable_x64", before)
    model = flat_model(gaussian(), np.zeros((3, 2)), {"mu": (), "sigma": ()})
    value = model.compile_logp(mode="JAX")
    with pytest.raises(fp.ModelError, match="float32.*enable_x64"):
        value({"mu": np.array(0.0), "sigma": np.array(1.0)})
    with jax.enable_x64():
        found = value({"mu": np.array(0.5), "sigma": np.array(1.0)})
    np.testing.assert_allclose(found, 3 * (-0.25 - np.log(2 * np.pi)), rtol=1e-12)


def test_containers_follow_their_data() -> None:
    likelihood, x = gaussian(), np.random.default_rng(0).normal(size=(20, 2))
    with pm.Model() as model:
        data, group = pm.Data("data", x), pm.Data("group", np.arange(20) % 2)
        mu = pm.Normal("mu", shape=2)
        fp.observe("obs", likelihood, mu=mu[group], sigma=1.0, observed=data)
    total = model.compile_logp(vars=model["obs"], mode="FAST_COMPILE")
    means = np.array([-1.0, 1.0])
    for n in (20, 7, 2):
        pm.set_data({"data": x[:n] + 1, "group": np.arange(n) % 2}, model=model)
        expected = likelihood.log_prob(x[:n] + 1, mu=means[np.arange(n) % 2], sigma=1.0).sum()
        np.testing.assert_allclose(total({"mu": means}), expected, rtol=1e-12)


def test_constant_and_derived_parameters() -> None:
    x = trials(6)
    with pm.Model() as model:
        b = pm.Flat("b")
        fp.observe(
            "obs",
            fp.ddm().exact,
            v=b * np.arange(6.0),
            a=1.5,
            z=np.full(6, 0.5),
            t=pt.constant(0.1),
            observed=x,
        )
    expected = fp.ddm().exact.log_prob(x, v=0.3 * np.arange(6), a=1.5, z=0.5, t=0.1).sum()
    np.testing.assert_allclose(model.compile_logp(mode="FAST_COMPILE")({"b": 0.3}), expected, rtol=1e-12)


T_PRIORS: dict[str, Callable[[], pt.TensorVariable]] = {
    "truncated normal": lambda: pm.TruncatedNormal("t", 0.3, 0.3, lower=0, upper=2),
    "narrow uniform": lambda: pm.Uniform("t", 0.1, 0.4),
    "half normal": lambda: pm.HalfNormal("t", 1),
    "log normal": lambda: pm.LogNormal("t", 0, 1),
    "beta": lambda: pm.Beta("t", 2, 2),
    "from the record": lambda: fp.priors(fp.ddm().exact, "t")[0],
}


@pytest.mark.parametrize("prior", T_PRIORS)
def test_jitter_leaves_the_start_possible(prior: str) -> None:
    with pm.Model() as model:
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=T_PRIORS[prior](), observed=trials(50))
    start = make_initial_point_fn(model=model, jitter_rvs=set(model.free_RVs))
    total = model.compile_logp(mode="FAST_COMPILE")
    assert all(np.isfinite(total(start(seed))) for seed in range(50))


def test_start_of_a_vector_follows_each_subject() -> None:
    subject = np.repeat(np.arange(4), 15)
    x = trials(60)
    x[:, 0] += np.array([0, 0.5, 0.1, 2.0])[subject]
    with pm.Model() as model:
        spread = pm.HalfNormal("spread", 0.5)
        t = pm.TruncatedNormal("t", mu=spread, sigma=0.2, lower=0, upper=2, shape=4)
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=t[subject], observed=x)
    start = make_initial_point_fn(model=model, jitter_rvs=set(model.free_RVs))
    total = model.compile_logp(mode="FAST_COMPILE")
    assert all(np.isfinite(total(start(seed))) for seed in range(50))
    assert len(set(model.initial_point()["t_interval__"])) > 1


def test_start_serves_all_observed_variables_of_a_parameter() -> None:
    slow = trials(20)
    slow[:, 0] += 1
    with pm.Model() as model:
        t = pm.HalfNormal("t", 1)
        for i, x in enumerate((slow, trials(20), slow)):
            fp.observe(f"obs{i}", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=t, observed=x)
    start = make_initial_point_fn(model=model, jitter_rvs=set(model.free_RVs))
    total = model.compile_logp(mode="FAST_COMPILE")
    assert all(np.isfinite(total(start(seed))) for seed in range(30))


def test_start_of_a_vector_whose_length_may_change() -> None:
    subject = np.repeat(np.arange(2), 10)
    with pm.Model(coords={"subject": ["a", "b", "c"]}) as model:
        t = pm.HalfNormal("t", 1, dims="subject")
        t_of_trial = t[pm.Data("index", subject)]
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=t_of_trial, observed=trials(20))
    start = make_initial_point_fn(model=model, jitter_rvs=set(model.free_RVs))
    total = model.compile_logp(mode="FAST_COMPILE")
    assert all(np.isfinite(total(start(seed))) for seed in range(30))
    model.set_dim("subject", 4, coord_values=list("abcd"))
    assert model.initial_point()["t_log__"].shape == (4,)


def test_start_survives_transformations_of_the_model() -> None:
    """nutpie's JAX backend samples a frozen copy."""
    model = free_ddm(trials(20))
    for copy in (freeze_dims_and_data(model), pm.do(model, {"z": 0.5})):
        np.testing.assert_allclose(copy.initial_point()["t_interval__"], model.initial_point()["t_interval__"])
    with pm.Model() as fresh:
        pm.TruncatedNormal("t", 0.3, 0.3, lower=0, upper=2)
    assert fresh.initial_point()["t_interval__"] != model.initial_point()["t_interval__"]


def test_start_of_the_user_stays() -> None:
    with pm.Model() as model:
        t = pm.HalfNormal("t", 1, initval=0.2)
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=t, observed=trials(20))
    np.testing.assert_allclose(np.exp(model.initial_point()["t_log__"]), 0.2)


def test_prior_without_bounds_on_t_is_warned_of() -> None:
    with pm.Model(), pytest.warns(fp.DataWarning, match=r"t must lie between.*firstpassage\.priors"):
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=pm.Normal("t", 0.3, 0.3), observed=trials(20))


def test_nuts_samples_the_known_posterior() -> None:
    """The mean of normal data has a normal posterior, known in closed form."""
    x = np.random.default_rng(4).normal(0.7, 1.0, (30, 2))
    with pm.Model():
        fp.observe("obs", gaussian(), mu=pm.Normal("mu", 0, 1), sigma=1.0, observed=x)
        draws = pm.sample(
            500,
            tune=300,
            chains=2,
            cores=1,
            nuts_sampler="pymc",
            random_seed=1,
            progressbar=False,
            quiet=True,
        ).posterior["mu"]
    precision = 1 + x.size
    error = 4 / np.sqrt(precision) / np.sqrt(float(az.ess(draws)))
    assert abs(float(draws.mean()) - x.sum() / precision) < error
    assert abs(float(draws.std()) * np.sqrt(precision) - 1) < 0.15


@pytest.mark.slow
def test_nutpie_default_backend_samples_the_known_posterior() -> None:
    x = np.random.default_rng(4).normal(0.7, 1.0, (30, 2))
    with pm.Model():
        fp.observe("obs", gaussian(), mu=pm.Normal("mu", 0, 1), sigma=1.0, observed=x)
        draws = pm.sample(
            500,
            tune=300,
            chains=2,
            cores=2,
            nuts_sampler="nutpie",
            random_seed=1,
            progressbar=False,
            quiet=True,
        ).posterior["mu"]
    precision = 1 + x.size
    assert abs(float(draws.mean()) - x.sum() / precision) < 0.3 / np.sqrt(precision)
    assert abs(float(draws.std()) * np.sqrt(precision) - 1) < 0.15


@pytest.fixture(scope="module")
def sampled() -> tuple[pm.Model, np.ndarray, "az.DataTree"]:
    """Sample t of the exact drift-diffusion model, quickly."""
    x = trials(30)
    with pm.Model() as model:
        t = pm.Uniform("t", 0, 2)
        fp.observe("obs", fp.ddm().exact, v=0.5, a=1.5, z=0.5, t=t, observed=x)
        idata = pm.sample(
            50, tune=200, chains=2, cores=1, nuts_sampler="pymc", random_seed=1, progressbar=False,
            quiet=True, compute_convergence_checks=False,
        )  # fmt: skip
    return model, x, idata


def test_pointwise_log_likelihood_of_an_exact_likelihood(sampled: tuple) -> None:
    model, x, idata = sampled
    with model:
        found = pm.compute_log_likelihood(idata, extend_inferencedata=False, progressbar=False)["obs"]
    assert found.shape == (2, 50, 30)
    for draw in (0, 49):
        t = float(idata.posterior["t"][1, draw])
        np.testing.assert_allclose(found[1, draw], fp.ddm().exact.log_prob(x, v=0.5, a=1.5, z=0.5, t=t), rtol=1e-10)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_loo_of_an_exact_likelihood(sampled: tuple) -> None:
    model, x, idata = sampled
    with model:
        idata = pm.compute_log_likelihood(idata.copy(), progressbar=False)
    assert az.loo(idata).n_data_points == len(x)


@pytest.mark.filterwarnings("ignore:Numba will use object mode to run TrialsRV")
def test_posterior_predictive_is_the_simulator_at_the_draws(sampled: tuple) -> None:
    model, x, idata = sampled
    drawn = []
    for seed in (1, 1, 2):
        with model:
            predicted = pm.sample_posterior_predictive(idata, random_seed=seed, progressbar=False)
        drawn.append(predicted.posterior_predictive["obs"].to_numpy())
    first, again, other = drawn
    assert first.shape == (2, 50, *x.shape)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(np.unique(first[..., 1])) == {-1.0, 1.0}
    assert (first[..., 0] > idata.posterior["t"].to_numpy()[..., None]).all()
    up = np.exp(-2 * 0.5 * 2 * 1.5 * 0.5)
    expected = (1 - up) / (1 - up**2)
    assert abs((first[..., 1] > 0).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / first[..., 1].size)


@pytest.mark.filterwarnings("ignore:Numba will use object mode to run TrialsRV")
def test_predictions_need_a_simulator_and_the_box() -> None:
    for likelihood, sigma, message in (
        (gaussian(simulate=None), 1.0, r"no simulator.*simulate="),
        (gaussian(), pm.Normal.dist(-3, 0.1), r"sigma must lie in its box.*firstpassage\.priors"),
    ):
        with pm.Model():
            rv = fp.observe("obs", likelihood, mu=0.0, sigma=sigma, observed=np.zeros((3, 2)))
            with pytest.raises(fp.ModelError, match=message):
                pm.draw(rv, random_seed=1)


@pytest.fixture(scope="module")
def ratio() -> pm.Model:
    """Make a model with a ratio: exact numbers, called what a learned ratio is."""
    likelihood = dataclasses.replace(fp.ddm().exact, kind="nre", precision="float32")
    with pm.Model() as model:
        fp.observe("obs", likelihood, v=0.5, a=1.5, z=0.5, t=pm.Uniform("t", 0, 2), observed=trials(30))
    return model


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA", "CVM", "JAX"])
def test_pointwise_log_ratios_are_refused(ratio: pm.Model, sampled: tuple, mode: str) -> None:
    before = jax.config.jax_enable_x64
    import pytensor.link.jax.dispatch  # noqa: F401

    jax.config.update("jax_enable_x64", before)
    double = jax.enable_x64() if mode == "JAX" else nullcontext()
    with double, ratio, pytest.raises(fp.ModelError, match=r"unknown constant.*LOO.*model\.exact"):
        pm.compute_log_likelihood(sampled[2], progressbar=False, compile_kwargs={"mode": mode})


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA", "CVM"])
def test_summed_log_ratios_pass(ratio: pm.Model, mode: str) -> None:
    point = ratio.initial_point()
    t = 2 / (1 + np.exp(-point["t_interval__"]))
    value = ratio.compile_logp(vars=ratio["obs"], jacobian=False, mode=mode)(point)
    expected = fp.ddm().exact.log_prob(trials(30), v=0.5, a=1.5, z=0.5, t=t).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert np.isfinite(ratio.compile_dlogp(mode=mode)(point)).all()
    assert set(ratio.point_logps()) == {"t", "obs"}


def test_models_can_be_transformed_and_pickled(ratio: pm.Model) -> None:
    import cloudpickle

    assert pm.do(ratio, {"t": 0.1})["obs"] is not None
    again = cloudpickle.loads(cloudpickle.dumps(ratio))
    point = ratio.initial_point()
    values = [model.compile_logp(mode="FAST_COMPILE")(point) for model in (ratio, again)]
    assert values[0] == values[1]


def test_process_settings_stay_in_every_step() -> None:
    before = (jax.config.jax_enable_x64, pytensor.config.floatX)
    model = free_ddm(trials(10))
    model.logp_dlogp_function(ravel_inputs=True)
    assert (jax.config.jax_enable_x64, pytensor.config.floatX) == before


def test_fork_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from firstpassage.bridges import _ops

    model = flat_model(gaussian(), np.zeros((3, 2)), {"mu": (), "sigma": ()})
    total = model.compile_logp(mode="FAST_COMPILE")
    monkeypatch.setattr(_ops, "_PROCESS", -1)
    with pytest.raises(fp.ModelError, match=r"fork.*cores=1.*forkserver.*nutpie"):
        total({"mu": 0.0, "sigma": 1.0})


class TestPriors:
    """PyMC variables from the records of the parameters."""

    def test_uniform_on_the_box_in_the_order_asked(self) -> None:
        with pm.Model() as model:
            z, v = fp.priors(fp.ddm().exact, "z", "v")
        assert (z.name, v.name, len(model.free_RVs)) == ("z", "v", 2)
        drawn = pm.draw(z, 2000, random_seed=1)
        assert 0.1 <= drawn.min() < 0.11 and 0.89 < drawn.max() <= 0.9

    def test_no_names_are_all(self) -> None:
        with pm.Model():
            assert [rv.name for rv in fp.priors(fp.ddm().exact)] == ["v", "a", "z", "t"]

    @pytest.mark.parametrize(
        ("family", "arguments", "bounds"),
        [
            ("Uniform", (-1.0, 0.5), (-5, 5)),
            ("Normal", (0.3, 0.7), (-1, 1)),
            ("TruncatedNormal", (0.3, 0.7), (-1, 1)),
            ("HalfNormal", (0.7,), (-1, 1)),
            ("LogNormal", (0.1, 0.5), (0.2, 3)),
            ("Gamma", (2.0, 3.0), (0.1, 2)),
            ("Beta", (2.0, 3.0), (0.2, 0.9)),
            ("Beta", (2.0, 3.0), (-1, 2)),
            ("Exponential", (2.0,), (0, 1)),
        ],
    )
    def test_numpyro_density_cut_to_the_box(self, family: str, arguments: tuple, bounds: tuple) -> None:
        import numpyro.distributions as dist
        from scipy.integrate import quad

        prior = getattr(dist, family)(*arguments, **({"low": -0.5, "high": 2.0} if family == "TruncatedNormal" else {}))
        likelihood = gaussian(
            parameters=(fp.Parameter("mu", bounds=bounds, prior=prior), fp.Parameter("sigma", bounds=(0, 1)))
        )
        with pm.Model() as model:
            (mu,) = fp.priors(likelihood, "mu")
        density = pm.compile([value := pt.dscalar()], pm.logp(mu, value), mode="FAST_COMPILE")
        # Where it lives, the ratio to the prior's own density is one constant, and the total is one.
        inside = np.linspace(*bounds, 42)[1:-1]
        ours = np.array([density(u) for u in inside])
        theirs = np.array([float(prior.log_prob(u)) if bool(prior.support(u)) else -np.inf for u in inside])
        alive = np.isfinite(ours)
        assert np.array_equal(alive, np.isfinite(theirs))
        np.testing.assert_allclose(np.ptp(ours[alive] - theirs[alive]), 0, atol=1e-5)
        knots = [u for u in (-0.5, 0.0, 0.5, 1.0) if bounds[0] < u < bounds[1]]
        assert quad(lambda u: np.exp(density(u)), *bounds, points=knots or None)[0] == pytest.approx(1, abs=1e-6)
        assert np.isfinite(model.compile_dlogp(mode="FAST_COMPILE")(model.initial_point())).all()

    def test_priors_that_cannot_be_made(self) -> None:
        import numpyro.distributions as dist

        for prior, message in (
            (dist.Cauchy(0, 1), r"prior of mu must be.*Write this prior with PyMC"),
            (dist.Uniform(6, 7), r"prior of mu.*misses its box.*overlaps"),
        ):
            likelihood = gaussian(parameters=(fp.Parameter("mu", bounds=(-5, 5), prior=prior),))
            with pm.Model(), pytest.raises(fp.ModelError, match=message):
                fp.priors(likelihood)
        with pytest.raises(fp.ModelError, match="prior of mu must be a distribution of one number"):
            fp.Parameter("mu", bounds=(-5, 5), prior=dist.Normal(np.zeros(2), 1))


class TestDistribution:
    """BayesFlow's NeuralDistribution, safe."""

    def test_is_bayesflows_and_does_what_observe_does(self) -> None:
        likelihood, x = gaussian(), np.random.default_rng(0).normal(size=(2, 2))
        before = jax.config.jax_enable_x64
        dist = likelihood.distribution()
        from bayesflow.wrappers.pymc import NeuralDistribution

        assert isinstance(dist, NeuralDistribution)
        assert (jax.config.jax_enable_x64, pytensor.config.floatX) == (before, "float64")
        with pm.Model() as model:
            dist("obs", sigma=1.0, mu=pm.Flat("mu"), observed=x)
        total = model.compile_logp(mode="FAST_COMPILE")({"mu": 0.3})
        np.testing.assert_allclose(total, likelihood.log_prob(x, mu=0.3, sigma=1.0).sum(), rtol=1e-12)
        pointwise = dist.logp(x, np.array([0.1, 0.2]), 1.0).eval(mode="FAST_COMPILE")
        np.testing.assert_allclose(pointwise, likelihood.log_prob(x, mu=[0.1, 0.2], sigma=1.0), rtol=1e-12)
        assert dist.random(np.zeros(4), 1.0, rng=np.random.default_rng(0), size=(4,)).shape == (4, 2)

    def test_refuses_what_bayesflow_takes(self) -> None:
        dist = gaussian().distribution()
        for call, message in (
            (lambda: dist("obs", 0.0, 1.0, observed=np.zeros((3, 2))), "by keyword"),
            (lambda: dist("obs", mu=0.0, observed=np.zeros((3, 2))), "missing"),
            (lambda: dist("obs", mu=0.0, sigma=1.0, observed=None), "observed must be"),
            (lambda: dist.logp(np.zeros((3, 2)), 0.0), "mu, sigma"),
            (lambda: dist.random(0.0, 1.0, size=(3,)), "rng"),
        ):
            with pm.Model(), pytest.raises(fp.FirstPassageError, match=message):
                call()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_forked_workers_end_with_the_remedy() -> None:
    """BayesFlow's own wrapper hangs here."""
    with free_ddm(trials(20)), pytest.raises(ParallelSamplingError, match=r"does not survive a fork.*cores=1"):
        pm.sample(10, tune=10, chains=2, cores=2, mp_ctx="fork", nuts_sampler="pymc", progressbar=False, quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["pymc", "nutpie"])
def test_regression_is_recovered(sampler: str) -> None:
    rng = np.random.default_rng(8)
    coherence = rng.uniform(-1, 1, 300)
    x = trials(300, seed=9, v=0.3 + 1.2 * coherence)
    likelihood = fp.ddm().exact
    with pm.Model():
        b0, b1 = pm.Normal("b0", 0, 1), pm.Normal("b1", 0, 1)
        a, z, t = fp.priors(likelihood, "a", "z", "t")
        fp.observe("obs", likelihood, v=b0 + b1 * coherence, a=a, z=z, t=t, observed=x)
        idata = pm.sample(
            500,
            tune=700,
            chains=2,
            cores=1,
            nuts_sampler=sampler,
            random_seed=5,
            progressbar=False,
            quiet=True,
        )
    for name, truth in (TRUTH | {"b0": 0.3, "b1": 1.2}).items():
        if name != "v":
            draws = idata.posterior[name]
            assert abs(float(draws.mean()) - truth) < 2 * float(draws.std()), name
            assert float(az.rhat(draws)) < 1.02, name


@pytest.mark.slow
def test_samplers_agree() -> None:
    x, means, errors = trials(100), [], []
    for settings in (
        {"nuts_sampler": "pymc", "cores": 1},
        {"nuts_sampler": "nutpie"},
        {"nuts_sampler": "pymc", "cores": 2, "mp_ctx": "forkserver"},
    ):
        with free_ddm(x):
            posterior = pm.sample(
                700, tune=500, chains=4, random_seed=2, progressbar=False, quiet=True, **settings
            ).posterior
        means.append(np.array([float(posterior[name].mean()) for name in "vazt"]))
        errors.append(np.array([float(az.mcse(posterior[name])) for name in "vazt"]))
        assert max(float(az.rhat(posterior[name])) for name in "vazt") < 1.01
    for mean, error in zip(means[1:], errors[1:], strict=True):
        assert (np.abs(mean - means[0]) < 4 * np.hypot(error, errors[0])).all()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"nuts_sampler": "numpyro"}, {"nuts_sampler": "nutpie", "backend": "jax"}])
@pytest.mark.filterwarnings("ignore")
def test_jax_samplers_run(settings: dict) -> None:
    """PyMC itself turns jax_enable_x64 on for these; it is put back here."""
    assert "pymc" in sys.modules
    before = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", True)
        with free_ddm(trials(100)):
            posterior = pm.sample(
                500, tune=500, chains=2, random_seed=2, progressbar=False, quiet=True, **settings
            ).posterior
    finally:
        jax.config.update("jax_enable_x64", before)
    for name, truth in TRUTH.items():
        assert abs(float(posterior[name].mean()) - truth) < 3 * float(posterior[name].std()), name
