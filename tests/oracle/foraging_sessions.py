"""Slow oracle for the foraging simulator: one animal, one site after another, in float64.

It shares neither code nor random numbers with `firstpassage.models.foraging_sessions`; gaps are drawn by rejection.
"""

from __future__ import annotations

import math

import numpy as np


def window(theta: dict[str, float], *, task, rng: np.random.Generator) -> np.ndarray:
    """Simulate one window, shape (sites, 3), for a task as the simulator takes it."""
    dropped = task.burn_in if task.start == "burn_in" else 0
    session = task.session_start or task.start == "burn_in"
    evidence, patch_time, rewards = task.start_evidence, 0.0, 0
    rows = []
    for site in range(dropped + task.sites):
        length = 0.0 if site == 0 and session else task.site_length
        distance = (length + _gap(task, rng)) / task.unit_length
        patch_time += distance
        evidence += theta["drift_rate"] * distance + theta["noise_std"] * math.sqrt(distance) * rng.standard_normal()
        if evidence >= task.threshold:
            rows.append((patch_time, 0.0, 0.0))
            evidence, patch_time, rewards = task.start_evidence, 0.0, 0
            continue
        rewarded = rng.random() < task.reward_probability * math.exp(-task.depletion * rewards)
        rows.append((patch_time, float(rewarded), 1.0))
        rewards += rewarded
        evidence += theta["reward_bump"] if rewarded else theta["failure_bump"]
    return np.array(rows[dropped:])


def _gap(task, rng: np.random.Generator) -> float:
    """Draw a gap in cm."""
    while True:
        gap = task.gap_min + rng.exponential(task.gap_scale)
        if gap <= task.gap_max:
            return gap
