"""The 37 summary statistics are what their definitions say, finite for any window; 23 of them tell the other 14."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firstpassage.errors import DataError
from firstpassage.models.foraging_sessions import PARAMETERS, Task, simulate
from firstpassage.models.foraging_statistics import DEPENDENT, INDEPENDENT, SUMMARY_NAMES, summary_statistics
from oracle import foraging_statistics as oracle

BOX = np.array([(-0.3, 1.3), (-1.3, 1.3), (-0.3, 2.0), (0.0, 0.3)])


def named(windows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(SUMMARY_NAMES, summary_statistics(windows).T, strict=True))


def assert_equals_the_oracle(windows: np.ndarray) -> None:
    expected = [[oracle.statistics(window)[name] for name in SUMMARY_NAMES] for window in windows]
    np.testing.assert_allclose(summary_statistics(windows), expected, rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    rng = np.random.default_rng(1)
    theta = {name: rng.uniform(*edges, 2000) for name, edges in zip(PARAMETERS, BOX, strict=True)}
    return simulate(theta, task=Task(), seed=2)


@pytest.mark.parametrize(("sites", "n"), [(100, 200), (3, 200), (4, 200), (5, 200), (8, 100), (31, 50), (99, 20)])
def test_statistics_are_those_of_the_definitions(windows, sites, n):
    assert_equals_the_oracle(windows[:n, -sites:])


def test_long_windows_and_float64(windows):
    assert_equals_the_oracle(windows[:20].reshape(2, 1000, 3))
    precise = windows[:20].astype(np.float64)
    precise[..., 0] += np.random.default_rng(3).uniform(0, 1e-9, precise.shape[:2])
    assert_equals_the_oracle(precise)


def test_times_that_crowd_in_one_bucket_are_still_ordered(windows):
    crowded = windows[:20].astype(np.float64)
    crowded[..., 0] = np.random.default_rng(4).lognormal(0, 3, crowded.shape[:2])
    assert_equals_the_oracle(crowded)
    crowded[..., 0] = -crowded[..., 0]
    assert_equals_the_oracle(crowded)


def test_amounts_of_reward_are_summed_as_they_are(windows):
    amounts = windows[:20].copy()
    amounts[..., 1] *= np.random.default_rng(5).choice([0.5, 2.0], amounts.shape[:2])
    assert_equals_the_oracle(amounts)


def window(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


DEGENERATE = {
    "no stop": window(*[(1.0, 0, 0)] * 9),
    "one stop": window(*[(1.0, 0, 0)] * 4, (1.0, 1, 1), *[(2.0, 0, 0)] * 4),
    "two stops": window((1.0, 1, 1), (2.0, 0, 1), *[(1.0, 0, 0)] * 7),
    "no reward": window(*[(1.0 + k, 0, 1) for k in range(8)], (9.0, 0, 0)),
    "no leave": window(*[(1.0 + k, k % 2, 1) for k in range(9)]),
    "all rewarded": window(*[(1.0 + k, 1, 1) for k in range(9)]),
    "equal times": window(*[(0.7, 0, 1)] * 5, *[(0.7, 1, 1)] * 4),
    "no time": window(*[(0.0, 0, 1)] * 9),
    "leaves only between stops": window(*[(1.0, 1, 1), (2.0, 0, 0)] * 5),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_windows_have_finite_statistics(name):
    assert np.isfinite(summary_statistics(DEGENERATE[name])).all()
    assert_equals_the_oracle(DEGENERATE[name][None])


def test_no_stop_gives_nothing_but_the_local_spread():
    found = named(window((1.0, 0, 0), (2.0, 0, 0), (4.0, 0, 0)))
    assert {name for name, value in found.items() if value[0] != 0} == {"sites_per_stop", "mean_local_std"}
    assert found["sites_per_stop"] == 3
    assert found["mean_local_std"] == 0.5


def test_a_window_by_hand():
    # stops at 1, 2, 3 (rewards 1, 0, 1), a leave at 4, then stops at 1, 3 (rewards 1, 0)
    by_hand = window((1.0, 1, 1), (2.0, 0, 1), (3.0, 1, 1), (4.0, 0, 0), (1.0, 1, 1), (3.0, 0, 1))
    expected = {
        "max_time": 3.0,
        "mean_time": 2.0,
        "std_time": math.sqrt(4 / 5),
        "mean_stops": 5 / 6,
        "mean_rewards": 1 / 2,
        "std_rewards": 1 / 2,
        "mean_time_after_reward": 2.5,  # 2 and 3; the leave at 4 is not valid
        "mean_time_after_failure": 2.0,  # 3, and 1 after the leave
        "std_time_after_reward": 0.5,
        "std_time_after_failure": 1.0,
        "early_mean": 1.5,
        "late_mean": 2.0,
        "middle_mean": 3.0,
        "late_minus_early": 0.5,
        "p25": 1.0,  # elements 1, 2 and 3 of 1, 1, 2, 3, 3
        "median": 2.0,
        "p75": 3.0,
        "iqr": 2.0,
        "diff_std": math.sqrt(2 / 9),  # of 1, 1, 2
        "mean_abs_change": 4 / 3,
        "reward_rate": 3 / 5,
        "mean_reward_site": 2.0,  # 0, 2 and 4
        "prop_sites_rewarded": 3 / 5,
        "n_stops": 5,
        "sites_per_stop": 6 / 5,
        "stop_rate": 5 / 6,
        "after_reward_cv": 0.2,
        "after_failure_cv": 0.5,
        "transition_reliability": math.sqrt(2 / 9),  # of 1, 1 (into the leave) and 2
        "mean_local_std": math.sqrt(3.04),  # of 1, 1, 1, -3, 2
        "signal_to_noise": 0.4,
        "reward_effect": 0.5,
        "failure_effect": 0.0,
        "autocorr_lag1": 1 / 2,  # of (1, 2), (2, 3), (1, 3)
        "reward_effect_predictability": -1 / 2,  # of (1, 2), (0, 3), (1, 3)
        "temporal_trend": 3 / math.sqrt(17.2 * 4),  # of sites 0, 1, 2, 4, 5
    }
    found = named(by_hand)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize(("m", "elements"), [(1, (0, 0, 0)), (3, (0, 1, 2)), (4, (1, 2, 3)), (9, (2, 4, 6))])
def test_percentiles_are_elements_of_the_sorted_times(m, elements):
    times = np.zeros((9, 3))
    times[:m] = [(10.0 * (k + 1), 0, 1) for k in range(m)]
    found = named(np.random.default_rng(m).permutation(times))
    assert [found[name][0] for name in ("p25", "median", "p75")] == [10.0 * (k + 1) for k in elements]


def recomputed(x: dict[str, np.ndarray], sites: int) -> dict[str, np.ndarray]:
    """Give the 14 dependent statistics from the 23 others."""
    q, share = x["n_stops"] / sites, x["reward_rate"] * x["n_stops"] / sites
    contrast = (x["mean_time_after_failure"] - x["mean_time_after_reward"]) ** 2
    variance = (x["std_time_after_reward"] ** 2 + x["std_time_after_failure"] ** 2) / 2
    return {
        "mean_stops": q,
        "std_stops": np.sqrt(q * (1 - q)),
        "mean_rewards": share,
        "std_rewards": np.sqrt(share * (1 - share)),
        "late_minus_early": x["late_mean"] - x["early_mean"],
        "iqr": x["p75"] - x["p25"],
        "prop_sites_rewarded": x["reward_rate"],
        "sites_per_stop": sites / np.maximum(x["n_stops"], 1),
        "stop_rate": q,
        "after_reward_cv": x["std_time_after_reward"] / np.maximum(x["mean_time_after_reward"], 1e-8),
        "after_failure_cv": x["std_time_after_failure"] / np.maximum(x["mean_time_after_failure"], 1e-8),
        "signal_to_noise": contrast / np.maximum(variance, 1e-8),
        "reward_effect": x["mean_time_after_reward"] - x["mean_time"],
        "failure_effect": x["mean_time"] - x["mean_time_after_failure"],
    }


def test_the_independent_statistics_tell_the_others(windows):
    found = named(windows)
    again = recomputed({name: found[name] for name in INDEPENDENT}, windows.shape[1])
    assert set(again) == set(DEPENDENT)
    assert len(SUMMARY_NAMES) == len(set(SUMMARY_NAMES)) == 37
    assert len(INDEPENDENT) == 23
    for name, value in again.items():
        np.testing.assert_allclose(value, found[name], rtol=1e-6, atol=1e-9, err_msg=name)


def test_none_of_the_independent_statistics_is_a_weighted_sum_of_others(windows):
    found = named(windows)
    correlations = np.corrcoef([found[name] for name in INDEPENDENT])
    assert np.linalg.eigvalsh(correlations).min() > 1e-6  # an exact weighted sum leaves 1e-15


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((5, 2)), r"shape \(n, sites, 3\).*got float64 of shape \(5, 2\)"),
        (np.zeros((2, 3)), "sites >= 3"),
        (np.zeros(3), "shape"),
        (np.zeros((2, 2, 5, 3)), "shape"),
        (np.full((5, 3), "a"), "must be numbers"),
        (np.full((2, 5, 3), [[[1.0, 0.0, 1.0]], [[np.nan, 0.0, 1.0]]]), "window 1 is not so"),
        (np.full((5, 3), [1.0, np.inf, 1.0]), "must be finite"),
        (np.full((5, 3), [1.0, 0.0, np.nan]), "must be finite"),
        (np.full((5, 3), [1.0, 0.0, 0.5]), "stop 0 or 1"),
    ],
    ids=["columns", "sites", "vector", "stack", "text", "nan", "inf", "nan stop", "half stop"],
)
def test_what_is_no_window_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        summary_statistics(data)


def test_one_window_or_none(windows):
    np.testing.assert_array_equal(summary_statistics(windows[7]), summary_statistics(windows)[7:8])
    assert summary_statistics(windows[:0]).shape == (0, 37)
    assert summary_statistics(np.asfortranarray(windows[:5])).shape == (5, 37)
