"""NLE: normalised, with the model's symmetries, zero where data are impossible; continuous data in their own units."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.estimators import _run
from firstpassage.estimators.nle import NLE
from firstpassage.models.model import Mixed

SMALL = {"widths": (16, 16), "choice_widths": (8,), "batch": 256, "epoch_pairs": 65_536, "validation": 4096}
ROW = {"v": 1.0, "a": 1.0, "z": 0.4, "t": 0.25}


@pytest.fixture(scope="module")
def learned():
    return NLE(fp.ddm(), **SMALL).fit(budget=262_144, seed=1)


@pytest.fixture(scope="module")
def pairs():
    model = fp.ddm()
    theta = model.prior(400, seed=8)
    data = model.likelihood(theta, trials=1, seed=8)
    return theta, np.concatenate([data["rt"], data["response"]], axis=1)


def _values(likelihood, theta, x):
    with jax.enable_x64():
        return np.asarray(jax.jit(likelihood.function)(x, theta))


def _masses(likelihood, theta):
    """Integrate the density over the times of each response: (2, n)."""
    u = np.linspace(-9, 4, 1001)
    parts = []
    with jax.enable_x64():
        total = jax.jit(jax.vmap(lambda x, row: jax.numpy.exp(likelihood.function(x, row))))
        for response in (1.0, -1.0):
            rt = theta["t"][:, None] + np.exp(u) * (2 * theta["a"][:, None]) ** 2
            x = np.stack([rt, np.full_like(rt, response)], axis=-1)
            parts.append(np.trapezoid(np.asarray(total(x, theta)) * (rt - theta["t"][:, None]), u, axis=1))
    return np.array(parts)


def test_it_is_a_probability_density(learned):
    theta = fp.ddm().prior(50, seed=2)
    assert np.abs(_masses(learned, theta).sum(axis=0) - 1).max() < 0.01


def test_a_few_seconds_of_training_come_near_the_exact_density(learned, pairs):
    """The mean difference is the Kullback-Leibler divergence; a constant of the right mass would have about 1."""
    theta, x = pairs
    difference = _values(fp.ddm().exact, theta, x) - _values(learned, theta, x)
    assert -0.02 < difference.mean() < 0.1
    drawn = fp.ddm().prior(50, seed=2)
    np.testing.assert_allclose(_masses(learned, drawn)[0], _masses(fp.ddm().exact, drawn)[0], atol=0.15)


def test_swapping_the_boundaries_changes_nothing(learned, pairs):
    theta, x = pairs
    mirrored = {**theta, "v": -theta["v"], "z": 1 - theta["z"]}
    np.testing.assert_allclose(_values(learned, theta, x), _values(learned, mirrored, x * [1, -1]), atol=2e-4)


def test_time_scales_with_the_square_of_the_separation(learned):
    """Twice the size, half the drift and four times the time: a quarter of the density."""
    small = {"v": np.array([1.0, -0.5]), "a": np.array([0.8, 0.6]), "z": np.array([0.4, 0.6]), "t": np.zeros(2)}
    large = {"v": small["v"] / 2, "a": small["a"] * 2, "z": small["z"], "t": np.zeros(2)}
    x = np.array([[0.5, 1.0], [0.3, -1.0]])
    np.testing.assert_allclose(_values(learned, small, x) - np.log(4), _values(learned, large, x * [4, 1]), atol=2e-4)


def test_one_parameter_set_for_all_trials_is_as_one_for_each(learned, pairs):
    """Two ways through the networks: once for each response, or once for each trial."""
    x = pairs[1][:50] + [0.3, 0.0]
    repeated = {name: np.full(50, value) for name, value in ROW.items()}
    np.testing.assert_allclose(_values(learned, ROW, x), _values(learned, repeated, x), atol=1e-5)


def test_below_t_is_impossible_with_a_zero_gradient(learned):
    x = np.array([[0.2, 1.0], [0.25, -1.0], [0.9, 1.0]])
    assert np.isneginf(_values(learned, ROW, x)).tolist() == [True, True, False]
    with jax.enable_x64():
        slope = jax.grad(lambda row: learned.function(x[:2], row).sum())({k: np.float64(v) for k, v in ROW.items()})
    assert all(float(value) == 0 for value in slope.values())


@pytest.mark.parametrize("shared", [True, False])
def test_gradient_is_that_of_finite_differences(learned, pairs, shared):
    double = dataclasses.replace(learned, precision="float64")
    theta, x = pairs
    inside = x[:, 0] > theta["t"] + 0.01
    rows = {k: np.clip(v, *np.array(learned.box[k]) + [1e-3, -1e-3])[inside] for k, v in theta.items()}
    x, rows = (x[:30] + [0.3, 0.0], ROW) if shared else (x[inside], rows)
    step = 1e-5
    with jax.enable_x64():
        total = jax.jit(lambda row: double.function(x, row).sum())
        slopes = jax.jit(jax.grad(total))({k: np.asarray(v) for k, v in rows.items()})
        for name in learned.parameter_names:
            up, down = ({**rows, name: rows[name] + s} for s in (step, -step))
            difference = (float(total(up)) - float(total(down))) / (2 * step)
            np.testing.assert_allclose(np.sum(slopes[name]), difference, rtol=1e-5, atol=1e-4)


def test_our_numbers_are_those_that_were_trained(pairs):
    """The likelihood in plain JAX against the loss that Keras minimises, through the adapter."""
    theta, x = pairs
    settings = NLE(fp.ddm(), flow="spline", widths=(8,), choice_widths=(4,), bins=4, validation=1024)
    order = _run.Order(kind="nle", budget=4096, seed=3, simulations=None, into=None, progress=None)
    plan = _run.plan(settings, budget=4096, seed=3)
    estimator, history = _run.trained(settings, plan, order)
    ours = _run.assembled(settings, estimator, plan=plan, kind="nle", history=history)
    batch = estimator.adapter({**{k: v[:, None] for k, v in theta.items()}, "x": x})
    loss = float(estimator.compute_metrics(**batch, stage="validation")["loss"])
    assert abs(loss + _values(ours, theta, x).mean()) < 1e-4


def test_same_seed_same_weights_and_other_seed_others():
    settings = NLE(fp.ddm(), widths=(4,), choice_widths=(4,), validation=1024)
    one, two, other = (settings.fit(budget=4096, seed=s).arrays for s in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["value/0/kernel"], other["value/0/kernel"])


def test_saved_and_loaded_it_is_the_same(learned, pairs, tmp_path):
    theta, x = pairs
    loaded = fp.load(fp.save(learned, tmp_path / "ddm-nle"))
    assert loaded.kind == "nle" and loaded.card["settings"]["flow"] == "mdn"
    np.testing.assert_array_equal(_values(loaded, theta, x), _values(learned, theta, x))


def test_it_can_be_observed_and_its_trials_have_densities(learned):
    """Unlike a ratio it gives PyMC log densities of single trials."""
    import pymc as pm

    x = np.array([[0.6, 1.0], [0.9, -1.0], [1.1, 1.0]])
    with pm.Model() as program:
        v = pm.Uniform("v", -3, 3)
        fp.observe("trials", learned, v=v, a=1.0, z=0.4, t=0.25, observed=x)
    with program:
        each = program.compile_logp(vars=program.observed_RVs, sum=False)({"v_interval__": np.array(0.0)})[0]
    np.testing.assert_allclose(each, learned.log_prob(x, v=0.0, a=1.0, z=0.4, t=0.25), rtol=1e-5)


NORMAL = [fp.Parameter("m", bounds=(-2, 2)), fp.Parameter("s", bounds=(0.5, 1.5))]


def _two(theta, *, trials, rng):
    """Two columns in other units: x ~ N(m, s), y ~ 100 + 10 N(x / 2, 1)."""
    z = rng.normal(size=(len(theta["m"]), trials, 2))
    x = theta["m"][:, None] + theta["s"][:, None] * z[..., 0]
    return {"x": x, "y": 100 + 10 * (x / 2 + z[..., 1])}


@pytest.mark.parametrize(
    "flow", ["mdn", "maf-spline", *(pytest.param(name, marks=pytest.mark.slow) for name in ("maf", "affine", "spline"))]
)
def test_continuous_data_of_a_model_of_ones_own(flow, tmp_path):
    model = fp.Model(name="two", parameters=NORMAL, likelihood=_two)
    settings = NLE(
        model, flow=flow, widths=(16,), layers=1, bins=4, components=3, batch=256, epoch_pairs=32_768,
        validation=2048, learning_rate=5e-3,
    )  # fmt: skip
    learned = settings.fit(budget=65_536, seed=1)
    theta = model.prior(500, seed=5)
    data = {name: value[:, 0] for name, value in model.likelihood(theta, seed=6).items()}
    truth = stats.norm.logpdf(data["x"], theta["m"], theta["s"])
    truth = truth + stats.norm.logpdf(data["y"], 100 + 5 * data["x"], 10)
    difference = truth - learned.log_prob(data, **theta)
    assert abs(difference.mean()) < 0.05 and np.median(np.abs(difference)) < 0.15
    if flow == "spline":
        loaded = fp.load(fp.save(learned, tmp_path / "two"), model=model)
        np.testing.assert_array_equal(loaded.log_prob(data, **theta), learned.log_prob(data, **theta))


def test_one_continuous_column():
    model = fp.Model(name="one", parameters=NORMAL, likelihood=lambda theta, **k: {"x": _two(theta, **k)["x"]})
    settings = NLE(model, flow="affine", widths=(16,), layers=1, batch=256, validation=2048, learning_rate=5e-3)
    learned = settings.fit(budget=65_536, seed=1)
    grid = np.linspace(-12, 12, 2001)
    height = np.exp(learned.log_prob(grid, m=0.5, s=1.0))
    assert abs(np.trapezoid(height, grid) - 1) < 1e-3
    assert np.abs(height - stats.norm.pdf(grid, 0.5, 1.0)).max() < 0.05


def _counts(theta, *, trials, rng):
    return {"x": _two(theta, trials=trials, rng=rng)["x"], "n": rng.integers(0, 4, (len(theta["m"]), trials))}


def test_categories_without_a_mixed_record_are_refused():
    model = fp.Model(name="counts", parameters=NORMAL, likelihood=_counts)
    with pytest.raises(fp.ModelError, match=r"column 1 of counts takes only 4 values .*Mixed record"):
        NLE(model).fit(budget=4096, seed=1)


BROKEN = {
    "categories do not list": {"categories": (1.0, 0.0)},
    "excludes simulated data": {"possible": lambda x, theta: x[..., 0] > 1.0},
    "does not undo": {"inverse": lambda u, c, theta: fp.ddm().mixed.inverse(u + 1.0, c, theta)},
    "is not the log slope": {"value": lambda x, theta: (fp.ddm().mixed.value(x, theta)[0], 0 * x[..., 0])},
}


@pytest.mark.parametrize("message", BROKEN)
def test_an_inconsistent_mixed_record_is_refused(message):
    good = fp.ddm()
    fields = {field.name: getattr(good.mixed, field.name) for field in dataclasses.fields(Mixed)}
    model = fp.Model(
        name="broken", parameters=good.parameters, likelihood=lambda theta, **k: good.likelihood(theta, seed=1),
        mixed=Mixed(**fields | BROKEN[message]),
    )  # fmt: skip
    with pytest.raises(fp.ModelError, match=message):
        NLE(model).fit(budget=4096, seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flow": "planar"}, "flow must be one of"),
        ({"components": 0}, "components must be a positive integer"),
        ({"bins": 1.5}, "bins must be"),
        ({"layers": 0}, "layers must be"),
        ({"widths": (0,)}, "widths must be"),
        ({"choice_widths": (-1,)}, "choice_widths must be"),
        ({"activation": "cube"}, "activation must be one of"),
        ({"batch": "1e3"}, "batch must be"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"average": 1.0}, "average in"),
        ({"patience": 0}, "patience must be"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(fp.ModelError, match=message):
        NLE(fp.ddm(), **change)


def test_it_takes_a_model():
    with pytest.raises(fp.ModelError, match="takes a Model"):
        NLE("ddm")
    with pytest.raises(fp.ModelError, match="at least one batch"):
        NLE(fp.ddm()).fit(budget=10, seed=1)
