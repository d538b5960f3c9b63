"""The probability of a patch visit is that of the walk of the evidence, in both implementations and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import numpy as np
import pytest

from firstpassage.densities import foraging, foraging_filter
from firstpassage.errors import DataError, ModelError
from oracle import foraging_paths as oracle

BOX = {"drift_rate": (-0.3, 1.3), "reward_bump": (-1.3, 1.3), "failure_bump": (-0.3, 2.0), "noise_std": (0.0, 0.3)}
SITES = 12
BATCH = 256
# drift_rate, reward_bump, failure_bump, noise_std: the first four in the fast suite.
SETTINGS = np.array(
    [
        (0.15, -0.3, 0.25, 0.20),
        (-0.30, 0.26, 0.90, 0.20),
        (0.09, 0.02, 0.02, 0.01),
        (0.40, -0.9, 1.20, 0.30),
        (0.05, 0.05, 0.05, 0.30),
        (-0.05, -0.1, 0.40, 0.25),
        (0.30, -0.3, 0.00, 0.10),
        (0.10, 0.0, 0.00, 0.15),
        (0.35, -0.3, -0.10, 0.05),
        (-0.30, 0.3, 0.30, 0.30),
        (0.00, -1.3, 2.00, 0.30),
        (0.13, 0.01, 0.03, 0.02),
        (0.90, -0.6, 0.10, 0.30),
        (0.00, 0.02, 0.30, 0.03),
    ]
)
FUNCTIONS = {
    "filter": lambda *visit, **theta: foraging.log_probability(*visit, **theta, nodes=48),
    "moments": foraging.log_probability_moments,
}
KINDS = [pytest.param(kind, id=kind) for kind in FUNCTIONS]


@cache
def compiled(kind: str, transform: str = "value") -> Callable[..., jax.Array]:
    """One visit (site, 4) per row of parameters."""

    def one(visit: jax.Array, theta: jax.Array) -> jax.Array:
        return FUNCTIONS[kind](*visit.T, **dict(zip(BOX, theta, strict=True)))

    return jax.jit(jax.vmap(jax.grad(one, argnums=1) if transform == "gradient" else one))


def evaluate(kind: str, visits: np.ndarray, theta: np.ndarray, transform: str = "value") -> np.ndarray:
    """Go through visits (visit, site, 4) in batches of one size, so that one program serves all."""
    rows = np.broadcast_to(theta, (len(visits), 4)).astype(np.float64)
    batches = np.arange(-(-len(visits) // BATCH) * BATCH).clip(max=len(visits) - 1).reshape(-1, BATCH)
    with jax.enable_x64():
        parts = [compiled(kind, transform)(visits[batch], rows[batch]) for batch in batches]
        return np.concatenate([np.asarray(part) for part in parts])[: len(visits)]


def padded(visits: list[np.ndarray], sites: int = SITES, filling: float = 0.0) -> np.ndarray:
    out = np.full((len(visits), sites, 4), filling)
    out[..., 3] = 0.0
    for row, visit in zip(out, visits, strict=True):
        row[: len(visit)] = np.column_stack([visit, np.ones(len(visit))])
    return out


def draw_parameters(n: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(*edges, n) for edges in BOX.values()], axis=1)


def draw_visits(theta: np.ndarray, *, seed: int, sites: int = SITES) -> list[np.ndarray]:
    """One visit for each row of parameters."""
    rng = np.random.default_rng(seed)
    return [oracle.walk(rng, row, sites)[0] for row in theta]


def route(seed: int, sites: int = SITES) -> tuple[np.ndarray, np.ndarray]:
    """Distances and rewards of a patch in which nobody leaves."""
    visit = oracle.walk(np.random.default_rng(seed), np.array([-9.0, 0.0, 0.0, 0.0]), sites)[0]
    return visit[:, 0], visit[:, 1]


def cells(patch_time: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Write all that can happen on a route: leaving at each site, and last being still in."""
    sites = len(patch_time)
    stay = np.stack([patch_time, reward, np.ones(sites)], axis=1)
    leaves = [np.vstack([stay[:k], [patch_time[k], 0.0, 0.0]]) for k in range(sites)]
    return padded([*leaves, stay], sites)


def flat(visits: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    lengths = np.array([len(visit) for visit in visits])
    return (*np.concatenate(visits).T, np.cumsum(lengths) - lengths)


def check_cells(number: int, paths: int) -> tuple[float, int]:
    """Hold one setting against the paths; give chi-square and its degrees of freedom."""
    patch_time, reward = route(number)
    counts = oracle.count_cells(np.random.default_rng(100 + number), patch_time, reward, SETTINGS[number], paths)
    expected = paths * np.exp(evaluate("filter", cells(patch_time, reward), SETTINGS[number]))
    # Where next to nothing is expected counts are no normal numbers: three more are no surprise.
    allowed = 4.0 * np.sqrt(expected * (1.0 - expected / paths).clip(0.0)) + 3.0 * (expected < 10.0)
    assert (np.abs(counts - expected) <= allowed + 1e-6).all(), (SETTINGS[number], counts, expected.round(1))
    often = expected > 10.0
    return float(((counts - expected)[often] ** 2 / expected[often]).sum()), max(int(often.sum()) - 1, 0)


def check_chi_square(results: list[tuple[float, int]]) -> None:
    total, freedom = (sum(column) for column in zip(*results, strict=True))
    assert abs(total - freedom) < 4.0 * np.sqrt(2.0 * freedom), (total, freedom)


def test_all_cells_are_those_of_simulated_paths():
    check_chi_square([check_cells(number, 200_000) for number in range(4)])


@pytest.mark.slow
def test_all_cells_are_those_of_a_million_simulated_paths():
    check_chi_square([check_cells(number, 1_000_000) for number in range(len(SETTINGS))])


@pytest.mark.slow
def test_cells_of_a_long_patch_are_those_of_simulated_paths():
    patch_time, reward = route(50, 60)
    theta = np.array([0.06, -0.02, 0.05, 0.2])
    counts = oracle.count_cells(np.random.default_rng(51), patch_time, reward, theta, 1_000_000)
    visits = [visit[visit[:, 3] > 0, :3] for visit in cells(patch_time, reward)]
    expected = 1e6 * np.exp(foraging_filter.log_probabilities(*flat(visits), theta[None, None])[0])
    assert (np.abs(counts - expected) <= 4.0 * np.sqrt(expected) + 3.0).all()


def test_the_oracle_sees_an_error_of_one_percent_in_the_noise():
    patch_time, reward = route(0)
    counts = oracle.count_cells(np.random.default_rng(1), patch_time, reward, SETTINGS[0], 200_000)
    off = evaluate("filter", cells(patch_time, reward), SETTINGS[0] * [1.0, 1.0, 1.0, 1.01])
    expected = 200_000 * np.exp(off)
    assert ((counts - expected) ** 2 / expected).sum() > 2.0 * SITES


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_cells_sum_to_one(kind):
    for number, theta in enumerate(SETTINGS):
        assert np.exp(evaluate(kind, cells(*route(number)), theta)).sum() == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_visit_that_is_cut_off_has_the_probability_of_all_that_may_follow(kind):
    every = cells(*route(3))
    stays = np.repeat(every[-1:], SITES, axis=0)
    for k in range(SITES):
        stays[k, k + 1 :] = 0.0
    later = np.exp(evaluate(kind, every, SETTINGS[3]))[::-1].cumsum()[::-1]
    np.testing.assert_allclose(np.exp(evaluate(kind, stays, SETTINGS[3])), later[1:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences(kind):
    theta = draw_parameters(60, seed=1)
    theta[:, 3] = theta[:, 3].clip(0.02)
    visits = padded(draw_visits(theta, seed=2))
    expected = np.empty_like(theta)
    for j in range(4):
        step = np.zeros((60, 4))
        step[:, j] = 3e-4 * theta[:, 3]
        near, far = (
            evaluate(kind, visits, theta + m * step) - evaluate(kind, visits, theta - m * step) for m in (1, 2)
        )
        expected[:, j] = (8.0 * near - far) / (12.0 * step[:, j])
    error = np.abs(evaluate(kind, visits, theta, "gradient") - expected)
    assert (error / np.maximum(np.abs(expected), 1e-2)).max() <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_finite_in_the_box_also_for_visits_of_others(kind):
    theta = draw_parameters(1000, seed=3)
    theta[::50, 3] = 0.0
    theta[1::50, 3] = 1e-5
    visits = padded(draw_visits(theta, seed=4))
    visits[500:] = visits[500:][::-1]
    values, slopes = evaluate(kind, visits, theta), evaluate(kind, visits, theta, "gradient")
    assert np.isfinite(values).all()
    assert values.max() <= 1e-12
    assert values.min() < -1e4
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filling", [-1e12, 1.0, 1e300, np.nan])
def test_padding_changes_nothing(kind, filling):
    theta = SETTINGS[[0, 1, 5, 6]]
    visits = draw_visits(theta, seed=5, sites=6)
    plain, filled = padded(visits), padded(visits, filling=filling)
    assert (evaluate(kind, plain, theta) == evaluate(kind, filled, theta)).all()
    assert (evaluate(kind, plain, theta, "gradient") == evaluate(kind, filled, theta, "gradient")).all()
    cut = padded(visits, 6)
    np.testing.assert_allclose(evaluate(kind, cut, theta), evaluate(kind, plain, theta), rtol=1e-12)


IMPOSSIBLE = {
    "negative noise": ("theta", 3, -0.1),
    "missing noise": ("theta", 3, np.nan),
    "infinite drift": ("theta", 0, np.inf),
    "missing bump": ("theta", 1, np.nan),
    "going back": ("visit", 0, 0.1),
    "missing distance": ("visit", 0, np.nan),
    "infinite distance": ("visit", 0, np.inf),
    "half a reward": ("visit", 1, 0.5),
    "missing reward": ("visit", 1, np.nan),
    "half a stop": ("visit", 2, 0.5),
    "missing stop": ("visit", 2, np.nan),
    "a site after the leave": ("visit", 2, 0.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in IMPOSSIBLE.items()])
def test_impossible_arguments_have_probability_zero_and_gradient_zero(kind, change):
    visits, theta = cells(*route(0))[-1:], SETTINGS[:1].copy()
    where, column, value = change
    if where == "theta":
        theta[0, column] = value
    else:
        visits[0, 1, column] = value
    assert evaluate(kind, visits, theta)[0] == -np.inf
    assert (evaluate(kind, visits, theta, "gradient") == 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_one_cell_is_certain_and_the_others_are_very_improbable(kind):
    theta = SETTINGS.copy()
    theta[:, 3] = 0.0
    for number, row in enumerate(theta):
        patch_time, reward = route(number)
        every = cells(patch_time, reward)
        values, slopes = evaluate(kind, every, row), evaluate(kind, every, row, "gradient")
        true = oracle.count_cells(np.random.default_rng(0), patch_time, reward, row, 1).argmax()
        assert values[true] > -1e-9
        assert np.delete(values, true).max() < -50.0
        assert np.isfinite(values).all()
        assert np.isfinite(slopes).all()
        assert (slopes[:, 3] == 0.0).all()
        np.testing.assert_array_equal(values, evaluate(kind, every, row + [0, 0, 0, foraging.SMALLEST_NOISE]))


def test_evidence_exactly_at_the_threshold_without_noise_is_a_coin_flip():
    visit = padded([np.array([(0.5, 0.0, 1.0), (1.0, 0.0, 0.0)])])
    assert evaluate("filter", visit, np.array([1.0, 0.0, 0.0, 0.0]))[0] == pytest.approx(np.log(0.5), abs=1e-12)


def windows(n: int, *, seed: int) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    theta = draw_parameters(n, seed=seed)
    rng = np.random.default_rng(seed)
    return [(row, oracle.walk(rng, row, 100)) for row in theta]


def test_many_visits_at_once_equal_one_by_one():
    theta = draw_parameters(300, seed=6)
    theta[::30, 3] = 1e-3
    visits = draw_visits(theta, seed=7)
    # Lengths for which both take the same number of nodes.
    theta, visits = zip(*((t, v) for t, v in zip(theta, visits, strict=True) if len(v) > 8), strict=True)
    theta = np.stack([theta, np.roll(theta, 1, axis=0), np.array(theta) * 0.9])
    assert theta.shape[1] > 30
    together = foraging_filter.log_probabilities(*flat(list(visits)), theta)
    each = np.stack([evaluate("filter", padded(list(visits)), rows) for rows in theta])
    assert each.min() < -1e3
    np.testing.assert_allclose(together, each, rtol=1e-9, atol=1e-9)


def test_one_row_of_parameters_serves_all_visits():
    row, visits = windows(1, seed=8)[0]
    same = np.repeat(row[None, None], len(visits), axis=1)
    one = foraging_filter.log_probabilities(*flat(visits), row[None, None])
    assert one.shape == (1, len(visits))
    np.testing.assert_array_equal(one, foraging_filter.log_probabilities(*flat(visits), same))
    shifted = foraging_filter.log_probabilities(*flat(visits), row[None, None], threshold=1.5, start=0.5)
    np.testing.assert_array_equal(one, shifted)
    bad = np.stack([row, row * [1, 1, 1, -1], row * np.nan])[:, None]
    assert (foraging_filter.log_probabilities(*flat(visits), bad)[1:] == -np.inf).all()


def test_more_nodes_change_next_to_nothing(monkeypatch):
    many = windows(60, seed=9)
    few = [foraging_filter.log_probabilities(*flat(visits), row[None, None])[0] for row, visits in many]
    monkeypatch.setattr(foraging_filter, "node_count", lambda sites: 256)
    dense = [foraging_filter.log_probabilities(*flat(visits), row[None, None])[0] for row, visits in many]
    error = np.abs(np.concatenate(few) - np.concatenate(dense))
    assert error.max() < 1e-4
    assert np.quantile(error, 0.99) < 1e-6


def test_numbers_of_nodes():
    assert [foraging.node_count(sites) for sites in (1, 8, 9, 20, 40, 100)] == [32, 32, 48, 64, 96, 128]
    nodes, weights = foraging.rule(48)
    assert (weights > 0).all()
    assert (np.diff(nodes) > 0).all()
    assert (weights * np.exp(-8.0 * nodes**2)).sum() == pytest.approx(0.626617, abs=1e-5)


def test_moments_are_close_to_the_filter():
    many = windows(60, seed=10)
    off = []
    for row, visits in many:
        exact = foraging_filter.log_probabilities(*flat(visits), row[None, None]).sum()
        short = [visit for visit in visits if len(visit) <= SITES]
        if len(short) == len(visits):
            filled = short + [short[0][:0]] * (100 - len(short))
            off.append(evaluate("moments", padded(filled), row).sum() - exact)
    assert len(off) > 30
    assert np.median(np.abs(off)) < 0.05
    assert np.max(np.abs(off)) < 2.0


BAD_SITES = {
    "lengths differ": ([0.5, 1.0], [1], [1, 1], [0]),
    "first is not 0": ([0.5, 1.0], [1, 0], [1, 1], [1]),
    "an empty visit": ([0.5, 1.0], [1, 0], [1, 1], [0, 1, 1]),
    "going back": ([0.5, 0.4], [1, 0], [1, 1], [0]),
    "a site after the leave": ([0.5, 0.9], [0, 0], [0, 1], [0]),
    "half a reward": ([0.5, 0.9], [0.5, 0], [1, 1], [0]),
}


@pytest.mark.parametrize("sites", [pytest.param(sites, id=name) for name, sites in BAD_SITES.items()])
def test_sites_that_are_no_visits_are_refused(sites):
    with pytest.raises(DataError):
        foraging_filter.log_probabilities(*sites, SETTINGS[None, :1])


def test_parameters_of_another_shape_are_refused():
    with pytest.raises(ModelError, match=r"\(draw, 1, 4\)"):
        foraging_filter.log_probabilities([0.5, 1.0], [1, 0], [1, 1], [0], SETTINGS[:1])
