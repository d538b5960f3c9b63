"""The simulator of patch foraging does what the model says, site by site, and agrees with a slow one in Python."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from firstpassage.errors import ModelError
from firstpassage.models import _counters
from firstpassage.models import foraging_sessions as sessions
from firstpassage.models.foraging_sessions import PARAMETERS, Task, draw, simulate
from oracle import foraging_sessions as oracle

ALPHA = 1e-3
BOX = np.array([(-0.3, 1.3), (-1.3, 1.3), (-0.3, 2.0), (0.0, 0.3)])
USUAL = {"drift_rate": 0.4, "reward_bump": -0.3, "failure_bump": 0.3, "noise_std": 0.2}
# The corridor of other animals: everything but the window's length is different.
OTHER = Task(
    start="burn_in", burn_in=30, gap_min=10.0, gap_scale=30.0, gap_max=70.0, site_length=20.0, unit_length=50.0,
    reward_probability=0.6, depletion=0.4, threshold=1.5, start_evidence=0.3,
)  # fmt: skip


def prior(n: int, *, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(*edges, n) for name, edges in zip(PARAMETERS, BOX, strict=True)}


def repeat(n: int, **changes: float) -> dict[str, np.ndarray]:
    return {name: np.full(n, value) for name, value in (USUAL | changes).items()}


def first_of_patch(windows: np.ndarray) -> np.ndarray:
    """Tell which sites begin a patch, in windows that begin with one."""
    left = windows[:, :-1, 2] == 0
    return np.concatenate([np.ones((len(windows), 1), dtype=bool), left], axis=1)


def distances(windows: np.ndarray) -> np.ndarray:
    """Recover the distance to each site, in units of distance."""
    time = windows[..., 0].astype(np.float64)
    before = np.concatenate([np.zeros((len(time), 1)), time[:, :-1]], axis=1)
    return time - np.where(first_of_patch(windows), 0.0, before)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    return simulate(prior(4000, seed=1), task=Task(), seed=2)


@pytest.mark.parametrize("task", [Task(), Task(gap_max=45.0)], ids=["usual", "truncated"])
def test_gaps_are_truncated_exponential(task):
    drawn = distances(simulate(repeat(1000, drift_rate=0.8), task=task, seed=3))
    gaps = drawn * task.unit_length - task.site_length
    b = (task.gap_max - task.gap_min) / task.gap_scale
    law = stats.truncexpon(b=b, loc=task.gap_min, scale=task.gap_scale)
    assert gaps.min() > task.gap_min - 1e-2
    assert gaps.max() < task.gap_max + 1e-2
    assert stats.kstest(gaps.ravel(), law.cdf).pvalue > ALPHA


def test_rewards_deplete_with_those_taken_in_the_patch(windows):
    tried, rewarded = np.zeros(101), np.zeros(101)
    for window in windows:
        taken = 0
        for _, reward, stop in window:
            tried[taken] += stop
            rewarded[taken] += reward
            taken = int(taken + reward) if stop else 0
    seen = np.flatnonzero(tried >= 50)
    probability = 0.8 * np.exp(-0.1 * seen)
    error = np.sqrt(probability * (1 - probability) / tried[seen])
    assert len(seen) > 15
    assert np.all(np.abs(rewarded[seen] / tried[seen] - probability) < 4 * error)


def test_a_leave_brings_no_reward_and_a_new_patch(windows):
    reward, stop = windows[..., 1], windows[..., 2]
    assert set(np.unique(stop)) == {0.0, 1.0}
    assert set(np.unique(reward)) == {0.0, 1.0}
    assert not reward[stop == 0].any()
    shortest = 70.0 / 88.73
    assert distances(windows).min() > shortest - 1e-4
    starts = windows[..., 0][first_of_patch(windows)]
    assert starts.max() < shortest + 19.0 * np.log(2**24) / 88.73 + 1e-4


def probability_of_leaving(task: Task, *, drift_rate: float, noise_std: float) -> float:
    """Give the probability to leave at a patch's first site, by the quantiles of the gap."""
    b = (task.gap_max - task.gap_min) / task.gap_scale
    gap = stats.truncexpon(b=b, loc=task.gap_min, scale=task.gap_scale).ppf((np.arange(200_000) + 0.5) / 200_000)
    d = (task.site_length + gap) / task.unit_length
    return float(stats.norm.cdf((drift_rate * d - task.threshold) / (noise_std * np.sqrt(d))).mean())


@pytest.mark.parametrize(
    ("drift_rate", "noise_std"), [(1.3, 0.3), (1.0, 0.05), (0.6, 0.3), (0.0, 0.5), (-0.3, 0.3), (-0.3, 1.0)]
)
def test_first_site_is_left_with_the_tail_of_the_normal(drift_rate, noise_std):
    n = 20_000
    drawn = simulate(repeat(n, drift_rate=drift_rate, noise_std=noise_std), task=Task(), seed=4)
    expected = probability_of_leaving(Task(), drift_rate=drift_rate, noise_std=noise_std)
    left = int((drawn[:, 0, 2] == 0).sum())
    assert stats.binomtest(left, n, expected).pvalue > ALPHA / 6


def test_without_noise_the_animal_leaves_where_the_drift_and_the_bumps_say():
    theta = prior(2000, seed=5) | {"noise_std": np.zeros(2000)}
    drawn = simulate(theta, task=Task(), seed=6)
    run = distances(drawn)
    evidence = np.zeros(2000)
    for k in range(100):
        evidence += theta["drift_rate"] * run[:, k]
        stop = drawn[:, k, 2] == 1
        clear = np.abs(evidence - 1.0) > 1e-4
        assert np.array_equal(evidence[clear] < 1.0, stop[clear])
        bump = np.where(drawn[:, k, 1] == 1, theta["reward_bump"], theta["failure_bump"])
        evidence = np.where(stop, evidence + bump, 0.0)


@pytest.mark.parametrize("task", [Task(), Task(start="burn_in"), OTHER], ids=["patch", "burn_in", "other"])
def test_slow_simulator_gives_the_same_distributions(task):
    n = 2000
    theta = prior(n, seed=7)
    rng = np.random.default_rng(8)
    slow = np.stack([oracle.window({name: theta[name][i] for name in theta}, task=task, rng=rng) for i in range(n)])
    fast = simulate(theta, task=task, seed=9)
    for summary in (
        lambda x: x[..., 2].sum(axis=1),  # stops
        lambda x: x[..., 0].mean(axis=1),  # mean patch time
        lambda x: x[..., 1].sum(axis=1),  # rewards
        lambda x: x[:, 0, 0],  # where the window begins
    ):
        assert stats.ks_2samp(summary(slow), summary(fast)).pvalue > ALPHA


def test_a_window_begins_at_a_patch_or_after_a_burn_in():
    longest = (50.0 + 100.0) / 88.73
    at_patch = simulate(prior(500, seed=10), task=Task(gap_max=100.0), seed=11)[:, 0, 0]
    burnt_in = simulate(prior(500, seed=10), task=Task(gap_max=100.0, start="burn_in"), seed=11)[:, 0, 0]
    assert at_patch.max() < longest + 1e-4
    assert (burnt_in > longest).mean() > 0.5


def test_a_session_begins_with_the_gap_alone():
    usual = {"sites": 3, "gap_min": 20.0, "gap_max": 20.001, "unit_length": 1.0}
    stays = repeat(5, drift_rate=-0.1, noise_std=0.0, reward_bump=0.0, failure_bump=0.0)
    times = [
        simulate(stays, task=Task(**usual, **change), seed=12)[:, :, 0]
        for change in ({}, {"session_start": True}, {"start": "burn_in", "burn_in": 2})
    ]
    np.testing.assert_allclose(times[0], [[70, 140, 210]] * 5, atol=0.01)
    np.testing.assert_allclose(times[1], [[20, 90, 160]] * 5, atol=0.01)
    np.testing.assert_allclose(times[2], [[160, 230, 300]] * 5, atol=0.01)


def test_a_row_depends_on_its_seed_and_number_only(windows):
    theta = prior(4000, seed=1)
    assert windows.dtype == np.float32
    assert windows.shape == (4000, 100, 3)
    assert windows.flags.writeable
    few = {name: value[:3] for name, value in theta.items()}
    np.testing.assert_array_equal(simulate(few, task=Task(), seed=2), windows[:3])
    with jax.enable_x64():
        np.testing.assert_array_equal(simulate(few, task=Task(), seed=2), windows[:3])
    assert not (simulate(few, task=Task(), seed=3)[:, :, 0] == windows[:3, :, 0]).any()


def test_rows_and_sites_do_not_repeat_each_other():
    gaps = distances(simulate(repeat(2500), task=Task(), seed=13))[:, 0]
    assert np.unique(gaps).size > 2490


def test_draws_are_windows_of_each_row():
    theta = {name: value[:2] for name, value in prior(4000, seed=1).items()}
    first, again = (draw(theta, trials=600, rng=np.random.default_rng(14), task=Task())["window"] for _ in range(2))
    assert first.shape == (2, 600, 100, 3)
    np.testing.assert_array_equal(first, again)
    expected = simulate({name: np.repeat(value, 600) for name, value in theta.items()}, task=Task(), seed=15)
    for i in range(2):
        stops = (x[..., 2].sum(axis=1) for x in (first[i], expected[600 * i : 600 * (i + 1)]))
        assert stats.ks_2samp(*stops).pvalue > ALPHA


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_counters_are_scrambled_as_published(key, counter, expected):
    """The known answers of the Random123 library (Salmon et al. 2011)."""
    x, y = (jnp.full(2, word, dtype=jnp.uint32) for word in counter)
    scrambled = _counters.threefry(jnp.array(key, dtype=jnp.uint32), x, y)
    assert tuple(int(word[1]) for word in scrambled) == expected


def test_bits_become_uniform_and_normal_numbers():
    words, rows = jnp.array([1, 2], dtype=jnp.uint32), jnp.arange(100_000, dtype=jnp.uint32)
    bits = jax.jit(sessions._bits)(words, rows, jnp.uint32(3))
    uniform, normal = np.asarray(_counters.uniform(bits[0])), np.asarray(_counters.normal(bits[1]))
    assert stats.kstest(uniform, "uniform").pvalue > ALPHA
    assert stats.kstest(normal, "norm").pvalue > ALPHA
    assert abs(np.corrcoef(np.asarray(bits)).ravel()[[1, 2, 5]]).max() < 4 / np.sqrt(100_000)
    ends = jnp.array([0, 2**32 - 1], dtype=jnp.uint32)
    assert 0.0 <= float(_counters.uniform(ends).min()) < float(_counters.uniform(ends).max()) < 1.0
    low, high = (float(z) for z in _counters.normal(ends))
    assert -low == high
    assert high == pytest.approx(-stats.norm.ppf(2.0**-25), rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sites": 2}, "sites must be a whole number, at least 3; got 2"),
        ({"sites": 10.0}, "sites must be a whole number"),
        ({"start": "middle"}, "start must be one of patch, burn_in; got 'middle'"),
        ({"burn_in": 0}, "burn_in must be a whole number, at least 1"),
        ({"session_start": 1}, "session_start must be True or False"),
        ({"gap_min": -1.0}, "gap_min must be at least 0 cm; got -1"),
        ({"gap_min": np.nan}, "gap_min must be a finite number"),
        ({"gap_scale": 0.0}, "gap_scale must be above 0 cm"),
        ({"gap_max": 20.0}, "gap_max must be above gap_min=20 cm"),
        ({"gap_max": np.inf}, "gap_max must be a finite number"),
        ({"site_length": -1}, "site_length must be at least 0 cm"),
        ({"unit_length": 0.0}, "unit_length must be above 0 cm"),
        ({"reward_probability": 1.1}, "reward_probability must be from 0 to 1"),
        ({"depletion": -0.1}, "depletion must be at least 0"),
        ({"start_evidence": 1.0}, "start_evidence must be below threshold=1"),
        ({"threshold": "high"}, "threshold must be a finite number; got 'high'"),
    ],
    ids=str,
)
def test_a_task_that_cannot_be_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        Task(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drift_rate": [0.1, np.nan, 0.1]}, r"1 of 3 rows are not so \(first: row 1, drift_rate=nan"),
        ({"noise_std": [0.1, 0.1, -0.1]}, r"noise_std at least 0; 1 of 3 rows are not so \(first: row 2"),
        ({"reward_bump": np.zeros((3, 2))}, r"shape"),
        ({"noise": [0.1]}, "theta must have drift_rate, reward_bump, failure_bump, noise_std; got"),
    ],
    ids=["nan", "negative", "shape", "name"],
)
def test_parameters_that_cannot_be_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        simulate(repeat(3) | change, task=Task(), seed=1)


def test_no_trials_and_no_seed_are_refused():
    with pytest.raises(ModelError, match="trials must be a whole number, at least 1; got 0"):
        draw(repeat(1), trials=0, rng=np.random.default_rng(1), task=Task())
    with pytest.raises(ModelError, match="seed must be an integer"):
        simulate(repeat(1), task=Task(), seed=1.5)
