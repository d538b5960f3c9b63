"""Slow oracle for the summary statistics of a foraging window: their definitions, one list at a time."""

from __future__ import annotations

import math

import numpy as np


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def std(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(mean([(value - centre) ** 2 for value in values]))


def correlation(pairs: list[tuple[float, float]]) -> float:
    x, y = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    scale, x_mean, y_mean = std(x) * std(y), mean(x), mean(y)
    if len(pairs) < 3 or scale <= 1e-8:
        return 0.0
    return mean([(a - x_mean) * (b - y_mean) for a, b in pairs]) / scale


def element(values: list[float], p: float) -> float:
    m = len(values)
    return sorted(values)[min(max(math.floor(p * m), 0), m - 1)] if m else 0.0


def statistics(window: np.ndarray) -> dict[str, float]:
    """Compute all 37 for one window of shape (sites, 3)."""
    time, reward, stop = ([float(value) for value in column] for column in np.asarray(window, dtype=np.float64).T)
    n = len(time)
    third = n // 3
    valid = [k for k in range(n) if stop[k] == 1]
    m = len(valid)
    times = [time[k] for k in valid]
    after_reward = [time[k] for k in valid if k > 0 and reward[k - 1] > 0]
    after_failure = [time[k] for k in valid if k > 0 and reward[k - 1] == 0]
    early = mean([time[k] for k in valid if k < third])
    late = mean([time[k] for k in valid if k >= 2 * third])
    pairs = [k for k in range(n - 1) if stop[k] == 1 and stop[k + 1] == 1]
    steps = [time[k + 1] - time[k] for k in range(n - 1)]
    p25, p75 = element(times, 0.25), element(times, 0.75)
    contrast = (mean(after_failure) - mean(after_reward)) ** 2
    return {
        "max_time": max(times, default=0.0),
        "mean_time": mean(times),
        "std_time": std(times),
        "mean_stops": mean(stop),
        "std_stops": std(stop),
        "mean_rewards": mean(reward),
        "std_rewards": std(reward),
        "mean_time_after_reward": mean(after_reward),
        "mean_time_after_failure": mean(after_failure),
        "std_time_after_reward": std(after_reward),
        "std_time_after_failure": std(after_failure),
        "early_mean": early,
        "late_mean": late,
        "temporal_trend": correlation([(k, time[k]) for k in valid]),
        "late_minus_early": late - early,
        "middle_mean": mean([time[k] for k in valid if third <= k < 2 * third]),
        "p25": p25,
        "median": element(times, 0.5),
        "p75": p75,
        "iqr": p75 - p25,
        "autocorr_lag1": correlation([(time[k], time[k + 1]) for k in pairs]),
        "diff_std": std([steps[k] for k in pairs]),
        "mean_abs_change": mean([abs(steps[k]) for k in pairs]),
        "reward_rate": sum(reward) / max(m, 1),
        "mean_reward_site": mean([k for k in valid if reward[k] > 0]),
        "prop_sites_rewarded": len([k for k in valid if reward[k] > 0]) / max(m, 1),
        "n_stops": m,
        "sites_per_stop": n / max(m, 1),
        "stop_rate": m / n,
        "after_reward_cv": std(after_reward) / max(mean(after_reward), 1e-8),
        "after_failure_cv": std(after_failure) / max(mean(after_failure), 1e-8),
        "transition_reliability": std([steps[k] for k in range(n - 1) if reward[k] > 0 and reward[k + 1] == 0]),
        "reward_effect_predictability": correlation([(reward[k], time[k + 1]) for k in pairs]),
        "mean_local_std": std(steps),
        "signal_to_noise": contrast / max((std(after_reward) ** 2 + std(after_failure) ** 2) / 2, 1e-8),
        "reward_effect": mean(after_reward) - mean(times),
        "failure_effect": mean(times) - mean(after_failure),
    }
