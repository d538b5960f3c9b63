"""Every flow by its name: a density, draws that agree with it, first weights from the seed, a round trip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bayesflow.utils.serialization import deserialize, serialize

import firstpassage as fp
from firstpassage.estimators import _autoregressive, _flows, _mixture, _univariate

SETTINGS = {"layers": 2, "flow_widths": (8, 8), "bins": 4, "components": 3, "activation": "silu"}
CONTEXT = jnp.array([0.3, -1.2], dtype=jnp.float32)
CASES = [*((name, 2) for name in _flows.NAMES if name != "spline"), ("affine", 1), ("spline", 1), ("mdn", 3)]
CASES.append(pytest.param(("spline", 2), marks=pytest.mark.slow))


def _layer(name, size):
    layer = _flows.layer(name, settings=SETTINGS, seed=5, size=size)
    layer.build((None, size), (None, 2))
    return layer


@pytest.fixture(scope="module", params=CASES, ids=lambda one: f"{one[0]}-{one[1]}")
def case(request):
    """A layer with weights that are far from the identity, and its evaluator."""
    name, size = request.param
    layer, rng = _layer(name, size), np.random.default_rng(2)
    for variable in layer.trainable_variables:
        variable.assign(np.asarray(variable) + 0.1 * rng.normal(size=variable.shape))
    flow = _flows.evaluator(name, _flows.exported(layer), settings=SETTINGS, size=size, context=2)
    return layer, flow, size


def _draws(flow, n):
    return jax.jit(lambda key: flow.sample(key, CONTEXT, n=n))(jax.random.key(3))


def test_evaluated_is_what_was_trained(case):
    """In a program with x64 switched on and float32 inputs, with rows of conditions or one for all."""
    layer, flow, size = case
    rng = np.random.default_rng(1)
    x, rows = rng.normal(size=(9, size)).astype(np.float32), rng.normal(size=(9, 2)).astype(np.float32)
    theirs = np.asarray(jax.jit(lambda x, c: layer.log_prob(x, conditions=c))(x, rows))
    with jax.enable_x64():
        ours = jax.jit(flow.log_prob)(x, rows)
        shared, slope = jax.jit(jax.value_and_grad(lambda c: flow.log_prob(jnp.asarray(x), c).sum()))(rows[0])
    assert ours.dtype == slope.dtype == np.float32 and np.isfinite(slope).all()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(
        shared, np.sum(jax.jit(flow.log_prob)(x, np.repeat(rows[:1], 9, axis=0))), rtol=1e-5, atol=1e-4
    )


def test_density_is_one_and_draws_agree_with_it(case):
    """Mass and first two moments on a grid, against those of draws; the draws' own log densities are the flow's."""
    _, flow, size = case
    x, log_q = _draws(flow, 20_000)
    np.testing.assert_allclose(jax.jit(flow.log_prob)(x, CONTEXT), log_q, atol=2e-3)
    if size == 3:
        return
    edges = np.linspace(-12, 12, 4001 if size == 1 else 401, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[edges] * size, indexing="ij"), axis=-1).reshape(-1, size)
    cell = float(edges[1] - edges[0]) ** size
    mass = np.exp(np.asarray(jax.jit(flow.log_prob)(grid, CONTEXT), dtype=np.float64)) * cell
    assert abs(mass.sum() - 1) < 0.01
    draws = np.asarray(x, dtype=np.float64)
    for power in (1, 2):
        moment = (mass[:, None] * grid**power).sum(axis=0)
        error = (draws**power).std(axis=0) / np.sqrt(len(draws))
        assert np.all(np.abs((draws**power).mean(axis=0) - moment) < 4.5 * error + 0.01)


def test_first_weights_come_from_the_seed_also_after_a_round_trip():
    for name in _flows.NAMES:
        one, again, other = _layer(name, 2), _layer(name, 2), _flows.layer(name, settings=SETTINGS, seed=6, size=2)
        restored = deserialize(serialize(one))
        for layer in (restored, other):
            layer.build((None, 2), (None, 2))
        first, *same = (_flows.exported(layer) for layer in (one, again, restored))
        for weights in same:
            assert list(weights) == list(first)
            assert all(np.array_equal(weights[key], first[key]) for key in first)
        changed = _flows.exported(other)
        assert any(not np.array_equal(changed[key], first[key]) for key in first)


@pytest.mark.parametrize("transform", ["affine", "spline"])
def test_inverse_undoes_forward(transform):
    shape = _autoregressive.Shape(layers=3, widths=(8,), transform=transform, bins=4, activation="silu")
    rng = np.random.default_rng(4)
    weights = _autoregressive.initial(shape, size=3, context=2, rng=rng, prefix="flow")
    weights = {key: value + 0.1 * rng.normal(size=value.shape).astype(np.float32) for key, value in weights.items()}
    x = rng.normal(size=(50, 3)).astype(np.float32)

    @jax.jit
    def there_and_back(x):
        z, log_jacobian = _autoregressive.forward(weights, shape, x, CONTEXT, prefix="flow")
        return *_autoregressive.inverse(weights, shape, z, CONTEXT, prefix="flow"), log_jacobian

    back, inverted, log_jacobian = there_and_back(x)
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(inverted, log_jacobian, atol=1e-3)


def test_a_mixture_layer_draws_from_its_density():
    """Through BayesFlow's own call, for a batch of conditions; moments against those of the components."""
    layer = _layer("mdn", 2)
    x = np.asarray(jax.jit(lambda c: layer.sample((40_000,), conditions=c, seed=1))(jnp.tile(CONTEXT, (40_000, 1))))
    shape = _mixture.Shape(components=3, widths=(8, 8), activation="silu")
    mixture = _mixture.normals(_flows.exported(layer), shape, CONTEXT, size=2, prefix="flow")
    mean = np.exp(np.asarray(mixture.log_weights)) @ np.asarray(mixture.means)
    assert np.all(np.abs(x.mean(axis=0) - mean) < 5 * x.std(axis=0) / 200)


@pytest.mark.parametrize("name", _flows.NAMES)
def test_one_number_has_a_density_that_is_one(name):
    family = _univariate.shape(name, bins=4, components=3)
    numbers = jnp.asarray(np.random.default_rng(3).normal(size=family.numbers), jnp.float32)
    u = np.linspace(-60, 60, 40_001, dtype=np.float32)
    height = jax.jit(lambda u: jnp.exp(_univariate.log_density(family, u, _univariate.ready(family, numbers))))(u)
    assert abs(np.sum(height) * (u[1] - u[0]) - 1) < 1e-3


def test_an_unknown_flow_is_refused():
    with pytest.raises(fp.ModelError, match="flow must be one of maf-spline, maf"):
        _flows.check("planar")
