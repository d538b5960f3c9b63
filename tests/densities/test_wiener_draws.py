"""The exact sampler draws from the Wiener first-passage distribution, and from nothing else."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from firstpassage.densities import wiener
from firstpassage.densities.wiener_draws import draw
from firstpassage.errors import ModelError

ALPHA = 1e-3
# v, a, z, t: the middle, edges and corners of the box, then far outside.
POINTS = [
    (0.0, 1.0, 0.5, 0.0),
    (0.5, 1.5, 0.5, 0.3),
    (-3.0, 0.3, 0.1, 0.0),
    (3.0, 2.5, 0.1, 2.0),
    (-3.0, 2.5, 0.9, 2.0),
    (0.0, 0.3, 0.9, 1.0),
    (-1.0, 2.5, 0.7, 0.2),
    (0.2, 2.0, 0.11, 0.4),
    (-0.05, 1.2, 0.77, 0.4),
    (10.0, 1.0, 0.01, 0.0),
    (-6.0, 0.05, 0.99, 0.0),
    (0.0, 10.0, 0.37, 0.0),
]


@jax.jit
def transform(rt: jax.Array, response: jax.Array, theta: jax.Array) -> jax.Array:
    """Map trials to what is uniform if they are exact: lower responses below upper ones, each by its cdf."""
    below = jnp.where(response > 0, wiener.response_probability(-1, *theta[:3]), 0.0)
    return below + wiener.cdf(rt, response, *theta)


def uniformity(drawn: np.ndarray, theta: np.ndarray) -> list[float]:
    """Give the Kolmogorov-Smirnov p of each row of draws (n, trials, 2), for theta (4, n)."""
    with jax.enable_x64():
        rows = np.asarray(transform(drawn[..., 0], drawn[..., 1], theta[..., None]))
    return [float(stats.kstest(row, "uniform").pvalue) for row in rows]


def test_probability_integral_transform_is_uniform():
    v, a, z, t = np.array(POINTS).T
    drawn = draw(np.random.default_rng(11), v=v, a=a, z=z, t=t, trials=20_000)
    p = uniformity(drawn, np.array(POINTS).T)
    assert min(p) > ALPHA / len(POINTS), dict(zip(POINTS, p, strict=True))


def test_transform_sees_the_overshoot_of_an_euler_scheme():
    # Steps of 1 ms act like boundaries .58 sqrt(.001) = .018 further out (Siegmund 1985).
    drawn = draw(np.random.default_rng(12), v=0.5, a=0.318, z=0.5, t=0.3, trials=20_000)
    assert uniformity(drawn, np.array([[0.5], [0.3], [0.5], [0.3]]))[0] < ALPHA


def test_responses_come_with_their_probability():
    v, a, z, t = np.array(POINTS).T
    drawn = draw(np.random.default_rng(13), v=v, a=a, z=z, t=t, trials=20_000)
    with jax.enable_x64():
        upper = np.minimum(jax.jit(wiener.response_probability)(1, v, a, z), 1.0)
    counts = (drawn[..., 1] == 1.0).sum(axis=1)
    p = [stats.binomtest(int(k), 20_000, q).pvalue for k, q in zip(counts, upper, strict=True)]
    assert min(p) > ALPHA / len(POINTS)


def test_mean_decision_time_without_drift_is_the_square_of_half_the_separation():
    decision = draw(np.random.default_rng(14), v=0.0, a=0.7, z=0.5, t=0.0, trials=400_000)[0, :, 0]
    assert abs(decision.mean() - 0.49) < 4 * decision.std() / np.sqrt(decision.size)


def test_draws_are_finite_and_after_t_far_beyond_the_box():
    rng = np.random.default_rng(15)
    n = 20_000
    v, z, t = rng.uniform(-10, 10, n), rng.uniform(0.01, 0.99, n), rng.uniform(0, 2, n)
    a = np.exp(rng.uniform(np.log(0.05), np.log(10.0), n))
    drawn = draw(rng, v=v, a=a, z=z, t=t, trials=5)
    assert drawn.shape == (n, 5, 2)
    assert drawn.dtype == np.float64
    assert np.isfinite(drawn).all()
    assert (drawn[..., 0] > t[:, None]).all()
    assert set(np.unique(drawn[..., 1])) == {-1.0, 1.0}


def test_same_seed_gives_same_draws_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    generators = (np.random.default_rng(seed) for seed in (16, 16, 17))
    first, again, other = (draw(rng, v=[0.5, -1.0], a=1.0, z=0.4, t=0.2, trials=50) for rng in generators)
    np.testing.assert_array_equal(first, again)
    assert not (first == other).all()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_rows_do_not_repeat_each_other():
    drawn = draw(np.random.default_rng(18), v=np.zeros(100), a=1.0, z=0.5, t=0.0, trials=10)
    assert np.unique(drawn[..., 0]).size == 1000


@pytest.mark.parametrize(
    "change",
    [
        {"v": np.nan},
        {"v": np.inf},
        {"a": 0.0},
        {"a": -1.0},
        {"a": np.nan},
        {"z": 0.0},
        {"z": 1.0},
        {"z": np.nan},
        {"t": np.inf},
    ],
    ids=str,
)
def test_parameters_of_no_diffusion_are_refused_with_their_row(change):
    theta = {name: np.full(3, value) for name, value in {"v": 0.5, "a": 1.0, "z": 0.5, "t": 0.3}.items()}
    for name, value in change.items():
        theta[name][1] = value
    with pytest.raises(ModelError, match=r"1 of 3 rows .* row 1,"):
        draw(np.random.default_rng(19), **theta, trials=2)


def test_no_trials_are_refused():
    with pytest.raises(ModelError, match="at least 1 trial"):
        draw(np.random.default_rng(20), v=0.5, a=1.0, z=0.5, t=0.3, trials=0)
