"""What fitting many data sets costs by each method: CPU seconds of training, once, and of each data set.

    python benchmarks/break_even.py [--datasets 20] [--methods npe nle nre exact]

Data sets of 200 trials of the drift-diffusion model, parameters uniform in its box. The likelihoods are sampled by
NUTS, all data sets in one call, 4 chains of 1,000 + 1,000; the amortized posterior gives 4,000 draws. Each call is made
twice and the second is counted, since the first one compiles. Training is what the card of the shipped estimator says.
For the posterior also: 1,000 data sets with 1,000 draws each, in seconds of wall time, reading the data included.
Methods are added to the file of results if it has the same design.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

import firstpassage as fp

SEED, TRIALS = 660_000, 200
METHODS = ("npe", "nle", "nre", "exact")
ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "results" / "break_even.json"
MODEL = fp.ddm()


def main() -> None:
    """Time the methods asked for, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    design = {"datasets": options.datasets, "trials": TRIALS, "chains": 4, "tune": 1000, "draws": 1000, "seed": SEED}
    report = earlier(options.out, design) or {"design": design, "methods": {}}
    data = data_sets(options.datasets)
    for name in options.methods:
        report["methods"][name] = cost(name, data)
        print(name, json.dumps(report["methods"][name]), flush=True)
        report["machine"] = {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report) + "\n")


def cost(name: str, data: list[np.ndarray]) -> dict[str, Any]:
    """Time one method on the data."""
    sampler = MODEL.exact if name == "exact" else estimator(name)
    draws = {"draws": 4000} if name == "npe" else {"draws": 1000, "tune": 1000, "chains": 4}
    sampler.sample(data, seed=SEED, **draws)
    started, wall = time.process_time(), time.perf_counter()
    sampler.sample(data, seed=SEED + 1, **draws)
    found = {
        "training": 0.0 if name == "exact" else sampler.card["cpu_seconds"],
        "each": (time.process_time() - started) / len(data),
        "each_wall": (time.perf_counter() - wall) / len(data),
    }
    return found | (rate(sampler) if name == "npe" else {})


def rate(posterior: Any) -> dict[str, float]:
    """Time 1,000 data sets with 1,000 draws each."""
    data = data_sets(1000)
    posterior.sample(data[:20], draws=1000, seed=SEED)
    started, cpu = time.perf_counter(), time.process_time()
    posterior.sample(data, draws=1000, seed=SEED)
    wall = time.perf_counter() - started
    return {
        "sets_x_1000_draws_per_minute_wall": round(1000 * 60 / wall),
        "sets_x_1000_draws_per_cpu_minute": round(1000 * 60 / (time.process_time() - cpu)),
    }


def estimator(name: str) -> Any:
    """Load the shipped estimator, or the one just trained."""
    try:
        return fp.pretrained("ddm", name)
    except fp.ArtefactError:
        return fp.load(ROOT / "runs" / f"ddm-{name}")


def data_sets(number: int) -> list[np.ndarray]:
    """Simulate from the prior of the model."""
    drawn = MODEL.likelihood(MODEL.prior(number, seed=SEED), trials=TRIALS, seed=SEED)
    return list(np.stack([drawn["rt"], drawn["response"]], axis=-1))


def earlier(path: Path, design: dict[str, Any]) -> dict[str, Any] | None:
    """Read results of the same design, to which others can be added."""
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    return report if report["design"] == design else None


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
