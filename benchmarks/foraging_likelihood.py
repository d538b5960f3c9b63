"""What the likelihood of foraging windows costs: the exact filter, moment matching, and whole posteriors.

    python benchmarks/foraging_likelihood.py [--windows 20]

Values and gradients in JAX for 64 parameter sets at once, visits padded to the longest; the same sums in numba; and the
exact posterior by importance sampling, 1,200 draws of one window of 100 sites, after compilation. CPU seconds of one
process; windows and parameters are drawn from the prior. Ratios are within this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import firstpassage as fp

SEED, DRAWS, BATCH, ROUNDS = 550_000, 1200, 64, 5
OUT = Path(__file__).parent / "results" / "foraging_likelihood.json"
MODEL = fp.foraging()


def main() -> None:
    """Time everything, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    theta = MODEL.prior(options.windows, seed=SEED)
    windows = list(MODEL.likelihood(theta, seed=SEED)["window"][:, 0])
    evaluation = [evaluations(window) for window in windows[:4]]
    report: dict[str, Any] = {
        "design": {"windows": options.windows, "sites": 100, "draws": DRAWS, "batch": BATCH, "seed": SEED},
        "milliseconds_each": {k: float(np.median([one[k] for one in evaluation])) for k in evaluation[0]},
        "posterior": posteriors(windows),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__},
    }
    cost = report["milliseconds_each"]
    report["filter_over_moments"] = {k: cost[f"filter {k}"] / cost[f"moments {k}"] for k in ("value", "gradient")}
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def evaluations(window: np.ndarray) -> dict[str, float]:
    """Time one evaluation of a window's log likelihood, in milliseconds."""
    x = MODEL.exact.read(window)
    many = MODEL.prior(BATCH, seed=SEED + 1)
    found = {}
    with jax.enable_x64():
        for name, likelihood in (("filter", MODEL.exact), ("moments", MODEL.approximate)):
            total = jax.vmap(lambda theta, of=likelihood: of.function(x, theta).sum())
            slope = jax.vmap(jax.grad(lambda theta, of=likelihood: of.function(x, theta).sum()))
            found[f"{name} value"] = timed(jax.jit(total), many) / BATCH
            found[f"{name} gradient"] = timed(jax.jit(slope), many) / BATCH
            found[f"{name} value in numba"] = timed(lambda theta, of=likelihood: of.summed(x, theta), many) / BATCH
    return found


def timed(function: Callable[[Any], Any], argument: Any) -> float:
    """Find the least CPU milliseconds of some calls, after one that compiles."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        jax.block_until_ready(function(argument))
        times.append(1000 * (time.process_time() - started))
    return min(times[1:])


def posteriors(windows: list[np.ndarray]) -> dict[str, float]:
    """Time exact posteriors, one window after the other."""
    MODEL.exact.sample(windows[0], draws=DRAWS, chains=1, seed=1)
    seconds, effective, k = [], [], []
    for window in windows:
        started = time.process_time()
        draws = MODEL.exact.sample(window, draws=DRAWS, chains=1, seed=1)
        seconds.append(time.process_time() - started)
        effective.append(draws.attrs["effective"])
        k.append(draws.attrs["pareto_k"])
    return {
        "cpu_seconds_median": float(np.median(seconds)), "cpu_seconds_largest": max(seconds),
        "effective_median": float(np.median(effective)), "effective_tenth": float(np.quantile(effective, 0.1)),
        "pareto_k_largest": max(k),
    }  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
