"""Make the example data of the foraging model, src/firstpassage/data/foraging_session.csv, and its truth.

    python scripts/make_foraging_session.py [--into FOLDER]

One mouse in three sessions of 400 sites; the odor of each patch is drawn at random, and drift_rate and reward_bump
depend on it. The walk is written out in plain NumPy, site by site, apart from the package's own simulator.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "src" / "firstpassage" / "data"
SEED = 88_730
SESSIONS, SITES = 3, 400
TRUTH = {
    "A": {"drift_rate": 0.25, "reward_bump": -0.30, "failure_bump": 0.25, "noise_std": 0.15},
    "B": {"drift_rate": 0.40, "reward_bump": -0.10, "failure_bump": 0.25, "noise_std": 0.15},
}
CONSTANTS = {
    "gap_min": 20.0, "gap_scale": 19.0, "gap_max": 1e6, "site_length": 50.0, "unit_length": 88.73,
    "reward_probability": 0.8, "depletion": 0.1, "threshold": 1.0, "start_evidence": 0.0,
}  # fmt: skip
COLUMNS = ("session", "patch", "odor", "patch_time", "reward", "stop")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=DATA)
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content.encode())
        print(folder / name)


def files() -> dict[str, str]:
    """Make the text of both files."""
    rng = np.random.default_rng(SEED)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number in range(1, SESSIONS + 1):
        writer.writerows((number, *row) for row in session(rng))
    known = {"truth": TRUTH, "seed": SEED, "sessions": SESSIONS, "sites": SITES, "constants": CONSTANTS}
    return {"foraging_session.csv": table.getvalue(), "foraging_session.json": json.dumps(known, indent=1) + "\n"}


def session(rng: np.random.Generator) -> Iterator[tuple[int, str, str, int, int]]:
    """Walk through the patches of one session, until its sites are used up."""
    left = SITES
    patch = 0
    while left:
        patch += 1
        odor = "AB"[int(rng.random() < 0.5)]
        for distance, reward, stop in visit(rng, left, **TRUTH[odor]):
            left -= 1
            yield patch, odor, f"{distance:.6f}", reward, stop


def visit(
    rng: np.random.Generator, most: int, *, drift_rate: float, reward_bump: float, failure_bump: float, noise_std: float
) -> Iterator[tuple[float, int, int]]:
    """Run from site to site until the evidence for leaving reaches the threshold, or the session ends."""
    c = CONSTANTS
    patch_time, evidence, rewards = 0.0, c["start_evidence"], 0
    for _ in range(most):
        gap = math.inf
        while gap > c["gap_max"]:
            gap = c["gap_min"] + c["gap_scale"] * rng.exponential()
        distance = (c["site_length"] + gap) / c["unit_length"]
        patch_time += distance
        evidence += drift_rate * distance + noise_std * math.sqrt(distance) * rng.normal()
        if evidence >= c["threshold"]:
            yield patch_time, 0, 0
            return
        reward = int(rng.random() < c["reward_probability"] * math.exp(-c["depletion"] * rewards))
        evidence += reward_bump if reward else failure_bump
        rewards += reward
        yield patch_time, reward, 1


if __name__ == "__main__":
    main()
