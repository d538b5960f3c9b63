"""Trials per CPU second of the exact sampler, and of ssm-simulators called per trial and vectorised.

    python benchmarks/wiener_sampler.py [--rounds 5] [--seed 1] [--out wiener_sampler.json]

Parameters are uniform in the box of the drift-diffusion model, one trial each. Called per trial, as
BayesFlow's tutorial does, ssm-simulators gets one theta and n_samples=1. The three take turns, `rounds`
times, in one process; reported are medians, and the required ratio is at least 100 to the call per trial.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ssms.basic_simulators.simulator import simulator

from firstpassage.densities.wiener_draws import draw

BOX = {"v": (-3.0, 3.0), "a": (0.3, 2.5), "z": (0.1, 0.9), "t": (0.0, 2.0)}
REQUIRED_RATIO = 100


def exact(theta: np.ndarray, *, seed: int) -> None:
    """Draw one trial per row with ours."""
    v, a, z, t = theta.T
    draw(np.random.default_rng(seed), v=v, a=a, z=z, t=t, trials=1)


def per_trial(theta: np.ndarray, *, seed: int) -> None:
    """Call ssm-simulators once for each trial."""
    for i, row in enumerate(theta):
        simulator(theta=row, model="ddm", n_samples=1, random_state=seed + i)


def vectorised(theta: np.ndarray, *, seed: int) -> None:
    """Call ssm-simulators once for all rows."""
    simulator(theta=theta, model="ddm", n_samples=1, random_state=seed)


# What is timed, and the trials of one round, so that each takes about a second or less.
CONTENDERS: dict[str, tuple[Callable[..., None], int]] = {
    "firstpassage_exact": (exact, 1_000_000),
    "ssms_per_trial": (per_trial, 1_000),
    "ssms_vectorised": (vectorised, 20_000),
}


def rate(contender: Callable[..., None], *, trials: int, seed: int) -> float:
    """Measure trials per CPU second of the whole process."""
    rng = np.random.default_rng(seed)
    theta = np.stack([rng.uniform(*edges, trials) for edges in BOX.values()], axis=1)
    start = time.process_time()
    contender(theta, seed=seed)
    return trials / (time.process_time() - start)


def measure(*, rounds: int, seed: int) -> dict[str, object]:
    """Time all contenders in turn, after one untimed call of each."""
    for contender, _ in CONTENDERS.values():
        rate(contender, trials=10, seed=seed)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name, (contender, trials) in CONTENDERS.items():
            rates[name].append(rate(contender, trials=trials, seed=seed + turn))
    median = {name: statistics.median(values) for name, values in rates.items()}
    pairs = zip(rates["firstpassage_exact"], rates["ssms_per_trial"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    return {
        "trials_per_cpu_second": median,
        "all_rounds": rates,
        "ratio_to_per_trial": statistics.median(ratios),
        "lowest_ratio_to_per_trial": min(ratios),
        "required_ratio": REQUIRED_RATIO,
        "ratio_to_vectorised": median["firstpassage_exact"] / median["ssms_vectorised"],
        "rounds": rounds,
        "seed": seed,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numba", "numpy", "ssm-simulators")},
    }


def main() -> None:
    """Print the measurement as JSON, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(rounds=options.rounds, seed=options.seed), indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
