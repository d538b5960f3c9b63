"""The Wiener first-passage density is what the 40-digit oracle says, everywhere, in both precisions."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from firstpassage.densities import wiener
from oracle import wiener_mpmath

GRID = Path(__file__).parents[1] / "reference" / "wiener_grid.npz"
BOX = {"v": (-3.0, 3.0), "a": (0.3, 2.5), "z": (0.1, 0.9), "t": (0.0, 2.0)}
PARAMETERS = (2, 3, 4, 5)  # positions of v, a, z, t
PRECISIONS = [pytest.param(bits, id=f"float{bits}") for bits in (64, 32)]

density = jax.jit(wiener.log_density)
gradients = jax.jit(jax.vmap(jax.grad(wiener.log_density, argnums=PARAMETERS)))
cdf, log_cdf = jax.jit(wiener.cdf), jax.jit(wiener.log_cdf)
response_probability = jax.jit(wiener.response_probability)


@pytest.fixture(scope="module")
def grid() -> dict[str, np.ndarray]:
    with np.load(GRID) as stored:
        return dict(stored)


def evaluate(function: Callable, *arrays: np.ndarray, bits: int = 64) -> np.ndarray:
    """Call in this precision, and see that the result has it."""
    with jax.enable_x64(bits == 64):
        values = jax.tree.map(np.asarray, function(*(np.asarray(x, dtype=f"float{bits}") for x in arrays)))
    values = np.asarray(values)
    assert values.dtype == f"float{bits}"
    return values.astype(np.float64)


def draw_parameters(n: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(*edges, n) for edges in BOX.values()])


@pytest.mark.parametrize(("bits", "tolerance", "relative"), [(64, 1e-10, 1e-12), (32, 5e-4, 1e-6)])
def test_log_density_equals_the_oracle_without_a_floor(grid, bits, tolerance, relative):
    exact = grid[f"log_density{bits}"]
    error = np.abs(evaluate(density, *grid[f"inputs{bits}"].T, bits=bits) - exact)
    plain = exact > -60
    assert plain.sum() > 3000
    assert exact.min() < -1e5
    assert error[plain].max() <= tolerance
    assert (error[~plain] / -exact[~plain]).max() <= relative


def check_stored(inputs: np.ndarray, stored: np.ndarray) -> None:
    again = [float(wiener_mpmath.log_density(*point)) for point in inputs]
    np.testing.assert_allclose(stored, again, rtol=1e-15, atol=1e-15)


def test_stored_grid_is_the_oracles_at_fifty_points(grid):
    some = np.random.default_rng(1).choice(len(grid["inputs64"]), 50, replace=False)
    check_stored(grid["inputs64"][some], grid["log_density64"][some])


@pytest.mark.slow
@pytest.mark.parametrize("bits", PRECISIONS)
def test_stored_grid_is_the_oracles(grid, bits):
    assert len(grid[f"inputs{bits}"]) >= 5000
    check_stored(grid[f"inputs{bits}"], grid[f"log_density{bits}"])


def test_density_integrates_to_one_over_rt_and_response():
    v, a, z, t = draw_parameters(50, seed=2)
    log_time = np.linspace(np.log(1e-6), np.log(400.0), 8001)[:, None]
    time = np.exp(log_time)
    both = [np.exp(evaluate(density, time + t, np.full_like(t, r), v, a, z, t)) * time for r in (1.0, -1.0)]
    mass = np.trapezoid(sum(both), log_time, axis=0)
    np.testing.assert_allclose(mass, 1.0, atol=1e-10)


def test_mean_time_without_drift_is_the_square_of_half_the_separation():
    log_time = np.linspace(np.log(1e-6), np.log(100.0), 8001)
    time = np.exp(log_time)
    log_p = evaluate(density, time, np.ones_like(time), 0.0, 0.7, 0.5, 0.0)
    assert np.trapezoid(2 * np.exp(log_p) * time**2, log_time) == pytest.approx(0.7**2, rel=1e-9)


def oracle_gradient(point: np.ndarray) -> list[float]:
    """Central differences of the oracle, in 50 digits, with step 1e-14."""
    with mp.workdps(50):
        step, exact = mp.mpf(10) ** -14, [mp.mpf(float(x)) for x in point]

        def shifted(position: int, by: mp.mpf) -> mp.mpf:
            moved = list(exact)
            moved[position] += by
            return wiener_mpmath.log_density(*moved)

        return [float((shifted(j, step) - shifted(j, -step)) / (2 * step)) for j in PARAMETERS]


@pytest.mark.parametrize(("bits", "relative"), [(64, 1e-6), (32, 1e-4)])
def test_gradient_equals_finite_differences_of_the_oracle(grid, bits, relative):
    inputs = grid[f"inputs{bits}"]
    points = inputs[np.random.default_rng(3).choice(len(inputs), 100, replace=False)]
    expected = np.array([oracle_gradient(point) for point in points])
    error = np.abs(evaluate(gradients, *points.T, bits=bits).T - expected)
    assert (error / np.maximum(np.abs(expected), 1e-2)).max() <= relative


def test_curvature_in_the_start_is_that_of_the_oracle_at_the_middle():
    with mp.workdps(50):
        step = mp.mpf(10) ** -12
        starts = [mp.mpf("0.5") + k * step for k in (-1, 0, 1)]
        values = [wiener_mpmath.log_density(1.3, 1.0, 0.4, 0.8, start, 0.2) for start in starts]
        expected = float((values[0] - 2 * values[1] + values[2]) / step**2)
    curvature = jax.jit(jax.grad(jax.grad(wiener.log_density, argnums=4), argnums=4))
    assert float(evaluate(curvature, 1.3, 1.0, 0.4, 0.8, 0.5, 0.2)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("bits", PRECISIONS)
def test_gradients_are_finite_at_every_corner_and_for_every_rt(bits):
    corners = np.array(list(itertools.product(*((*edges, np.mean(edges)) for edges in BOX.values()))))
    times = np.array([*-np.geomspace(1e-7, 2.0, 5), 0.0, *np.geomspace(1e-4, 20.0, 40)])
    rows = np.array([(t + d, r, v, a, z, t) for v, a, z, t in corners for d in times for r in (1.0, -1.0)])
    values, slopes = evaluate(density, *rows.T, bits=bits), evaluate(gradients, *rows.T, bits=bits)
    early = rows.astype(f"float{bits}")[:, 0] <= rows.astype(f"float{bits}")[:, 5]
    assert np.isfinite(slopes).all()
    assert np.isfinite(values[~early]).all()
    assert (values[early] == -np.inf).all()
    assert (slopes[:, early] == 0.0).all()


IMPOSSIBLE = {
    "rt at t": {"rt": 0.3},
    "rt before t": {"rt": 0.1},
    "rt negative": {"rt": -999.0},
    "rt missing": {"rt": np.nan},
    "rt infinite": {"rt": np.inf},
    "response 0": {"response": 0.0},
    "response 2": {"response": 2.0},
    "v infinite": {"v": np.inf},
    "v missing": {"v": np.nan},
    "a zero": {"a": 0.0},
    "a negative": {"a": -1.0},
    "a infinite": {"a": np.inf},
    "z zero": {"z": 0.0},
    "z one": {"z": 1.0},
    "z missing": {"z": np.nan},
    "t missing": {"t": np.nan},
}


@pytest.mark.parametrize("bits", PRECISIONS)
@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in IMPOSSIBLE.items()])
def test_impossible_arguments_have_density_zero_and_gradient_zero(change, bits):
    valid = {"rt": 0.9, "response": 1.0, "v": 0.5, "a": 1.0, "z": 0.5, "t": 0.3}
    point = np.array([list((valid | change).values())])
    assert evaluate(density, *point.T, bits=bits)[0] == -np.inf
    assert (evaluate(gradients, *point.T, bits=bits) == 0.0).all()


def test_mirroring_the_boundaries_and_rescaling_time_change_nothing():
    v, a, z, t = draw_parameters(200, seed=4)
    time, response = np.random.default_rng(5).uniform(0.01, 5.0, 200), np.resize([1.0, -1.0], 200)
    plain = evaluate(density, t + time, response, v, a, z, t)
    mirrored = evaluate(density, t + time, -response, -v, a, 1 - z, t)
    slower = evaluate(density, t + 4 * time, response, v / 2, 2 * a, z, t)
    np.testing.assert_allclose(mirrored, plain, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(slower + np.log(4), plain, rtol=1e-11, atol=1e-11)


def test_batch_equals_loop():
    v, a, z, t = draw_parameters(6, seed=6)
    rt, response = t + np.linspace(0.1, 3.0, 6), np.resize([1.0, -1.0], 6)
    batch = evaluate(density, rt, response, v, a, z, t)
    loop = [evaluate(density, *row) for row in zip(rt, response, v, a, z, t, strict=True)]
    np.testing.assert_allclose(batch, loop, rtol=1e-13)
    table = evaluate(density, rt[:, None], response[:, None], v, a, z, t)
    np.testing.assert_allclose(np.diagonal(table), loop, rtol=1e-13)


@pytest.mark.slow
def test_cdf_is_the_integral_of_the_oracles_density(grid):
    likely = np.flatnonzero(grid["log_density64"] > -150)
    points = grid["inputs64"][np.random.default_rng(7).choice(likely, 6, replace=False)]
    exact = [float(mp.log(wiener_mpmath.cdf(*point))) for point in points]
    np.testing.assert_allclose(evaluate(log_cdf, *points.T), exact, rtol=0, atol=1e-9)


def test_slope_of_cdf_is_the_density_and_its_end_the_response_probability():
    v, a, z, t = draw_parameters(400, seed=8)
    time, response = np.geomspace(0.02, 20.0, 400), np.resize([1.0, -1.0], 400)
    slope = evaluate(jax.jit(jax.vmap(jax.grad(wiener.cdf))), t + time, response, v, a, z, t)
    np.testing.assert_allclose(slope, np.exp(evaluate(density, t + time, response, v, a, z, t)), atol=1e-9)
    end = evaluate(cdf, t + np.inf, response, v, a, z, t)
    np.testing.assert_allclose(end, evaluate(response_probability, response, v, a, z), rtol=1e-13)
    assert evaluate(cdf, t, response, v, a, z, t).max() == 0.0


def test_response_probability_equals_the_oracle_and_has_a_gradient_at_drift_zero():
    v, a, z, _ = draw_parameters(200, seed=9)
    v = np.concatenate([v[:120] * 5, v[120:] * 1e-3, [0.0]])
    a, z, response = np.append(a, 1.0), np.append(z, 0.3), np.resize([1.0, -1.0], 201)
    arguments = (response, v, a, z)
    exact = [float(wiener_mpmath.response_probability(*row)) for row in zip(*arguments, strict=True)]
    np.testing.assert_allclose(evaluate(response_probability, *arguments), exact, rtol=1e-12)
    slopes = jax.jit(jax.vmap(jax.grad(wiener.response_probability, argnums=(1, 2, 3))))
    for bits in (64, 32):
        assert np.isfinite(evaluate(slopes, *arguments, bits=bits)).all()
    # d P(upper) / dv at drift 0 is 2 a z (1 - z); the last row is an upper response with a = 1, z = .3.
    assert evaluate(slopes, *arguments)[0, -1] == pytest.approx(2 * 0.3 * 0.7, rel=1e-12)


@pytest.mark.parametrize("bits", PRECISIONS)
def test_sum_over_trials_under_vmap_equals_that_of_each_chain(bits):
    rt, response = np.linspace(0.4, 3.0, 50), np.resize([1.0, -1.0], 50)

    def total(theta: jax.Array) -> jax.Array:
        return jnp.sum(wiener.log_density(rt.astype(f"float{bits}"), response, *theta))

    chains = draw_parameters(4, seed=10).T
    chains[:, 3] = 0.2
    one = jax.jit(jax.grad(total))
    together = evaluate(jax.jit(jax.vmap(jax.grad(total))), chains, bits=bits)
    np.testing.assert_allclose(together, [evaluate(one, chain, bits=bits) for chain in chains], rtol=1e-4)


# HSSM changes JAX's and PyTensor's precision on import, so that it gets a process of its own.
HSSM = """
import sys
import numpy as np
from hssm.likelihoods.analytical import logp_ddm
points = np.load(sys.argv[1])["inputs64"]
np.save(sys.argv[2], logp_ddm(points[:, :2], *points[:, 2:].T).eval())
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hssm") is None, reason="needs hssm")
def test_log_density_equals_hssms_above_its_floor(grid, tmp_path):
    subprocess.run([sys.executable, "-c", HSSM, GRID, tmp_path / "hssm.npy"], check=True, capture_output=True)
    rt, response, v, a, z, t = grid["inputs64"].T
    ours, theirs = evaluate(density, *grid["inputs64"].T), np.load(tmp_path / "hssm.npy")
    # HSSM floors the density without drift, in units of the separation, at exp(-66.1).
    mirrored = np.where(response > 0, -v, v)
    tilt = mirrored * 2 * a * np.where(response > 0, 1 - z, z) + v**2 * (rt - t) / 2
    above = ours + tilt + 2 * np.log(2 * a) > -66
    assert above.sum() > 3000
    np.testing.assert_allclose(ours[above], theirs[above], rtol=0, atol=1e-11)
