"""Patch visits by brute force: the walk of the evidence itself, path by path and site by site."""

from __future__ import annotations

import numba
import numpy as np

SCALE = 88.73  # cm, the unit of length
COLUMNS = ("patch_time", "reward", "stop")


@numba.njit(cache=True)
def count_cells(
    rng: np.random.Generator, patch_time: np.ndarray, reward: np.ndarray, theta: np.ndarray, paths: int
) -> np.ndarray:
    """Count the paths that leave at each site, and last those still in, where stops bring these rewards."""
    drift, reward_bump, failure_bump, noise = theta
    counts = np.zeros(patch_time.size + 1, dtype=np.int64)
    for _ in range(paths):
        evidence, before, site = 0.0, 0.0, 0
        while site < patch_time.size:
            distance = patch_time[site] - before
            evidence += drift * distance + noise * np.sqrt(distance) * rng.standard_normal()
            if evidence >= 1.0:
                break
            evidence += reward_bump if reward[site] == 1.0 else failure_bump
            before = patch_time[site]
            site += 1
        counts[site] += 1
    return counts


def walk(rng: np.random.Generator, theta: np.ndarray, sites: int) -> list[np.ndarray]:
    """Walk over this many sites from a patch start on: visits (site, 3); the last one may be cut off."""
    drift, reward_bump, failure_bump, noise = theta
    visits, visit, evidence, travelled, rewards = [], [], 0.0, 0.0, 0
    for site in range(sites):
        distance = (20.0 + rng.exponential(19.0) + (50.0 if site else 0.0)) / SCALE
        travelled += distance
        evidence += drift * distance + noise * np.sqrt(distance) * rng.standard_normal()
        if evidence >= 1.0:
            visits.append(np.array([*visit, (travelled, 0.0, 0.0)]))
            visit, evidence, travelled, rewards = [], 0.0, 0.0, 0
            continue
        reward = float(rng.random() < 0.8 * np.exp(-0.1 * rewards))
        evidence += reward_bump if reward else failure_bump
        rewards += int(reward)
        visit.append((travelled, reward, 1.0))
    return [*visits, np.array(visit)] if visit else visits
