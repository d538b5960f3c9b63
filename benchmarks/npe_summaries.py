"""What a posterior estimator gets out of the same CPU seconds with each of its three summaries.

    python benchmarks/npe_summaries.py [--seconds 120] [--trials 200] [--summaries moments deepset bayesflow]

Data sets of the drift-diffusion model, all with the same number of trials (or, `--trials 20 1000`, in a range, which
BayesFlow's DeepSet cannot take). A short timing run finds what compilation and an epoch cost; then each summary is
trained with the budget that takes the CPU seconds asked for, compilation aside, with the same flow and batches.
Reported: steps per CPU second, data sets seen, minus the mean log density of the true parameters in the same held-out
data sets (nats), and how far the posterior mean of 10 data sets is from that of draws corrected by the exact
likelihood, in corrected standard deviations. Times are CPU seconds of one thread. Summaries are added to the file of
results if it has the same design.
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

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax
import numpy as np

import firstpassage as fp

SEED, HELD_OUT, SHIFTED = 770_000, 2_000, 10
SUMMARIES = ("moments", "deepset", "bayesflow")
EPOCHS = {"moments": 8192, "deepset": 8192, "bayesflow": 1024}  # sets; few where a step takes seconds
PASSES = 3
OUT = Path(__file__).parent / "results" / "npe_summaries.json"
MODEL = fp.ddm()


def main() -> None:
    """Time and train each summary, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="CPU seconds of training for each summary")
    parser.add_argument("--trials", type=int, nargs="+", default=[200], help="one number, or the ends of a range")
    parser.add_argument("--summaries", nargs="+", default=list(SUMMARIES), choices=SUMMARIES)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    trials = options.trials[0] if len(options.trials) == 1 else tuple(options.trials)
    design = {"trials": options.trials, "seconds": options.seconds, "batch": 512, "passes": PASSES, "seed": SEED}
    design |= {"held_out": HELD_OUT, "shifted": SHIFTED}
    report = earlier(options.out, design) or {"design": design, "summaries": {}}
    for summary in options.summaries:
        if summary == "bayesflow" and not isinstance(trials, int):
            continue
        report["summaries"][summary] = measured(summary, trials, options.seconds)
        print(summary, json.dumps(report["summaries"][summary]), flush=True)
        write(options.out, report)


def measured(summary: Any, trials: int | tuple[int, int], seconds: float) -> dict[str, Any]:
    """Train with the budget that takes the seconds, and hold the posterior against held-out data."""
    settings = fp.NPE(
        MODEL, trials=trials, summary=summary, epoch_pairs=EPOCHS[summary], validation=1024, passes=PASSES,
        patience=None,
    )  # fmt: skip
    size = EPOCHS[summary]
    epoch, compiling = timing(settings)
    epochs = max(PASSES, PASSES * round(seconds / epoch / PASSES))
    records: list[dict[str, Any]] = []
    posterior = settings.fit(budget=size * epochs // PASSES, seed=SEED, progress=records.append)
    spent = records[-1]["cpu_seconds"]
    steps = epochs * size // 512
    found = {
        "steps_per_cpu_second": round(size / 512 / epoch, 2), "steps": steps, "sets_seen": size * epochs,
        "sets_simulated": size * epochs // PASSES, "cpu_seconds": round(spent, 1),
        "cpu_seconds_compiling": round(compiling, 1), "training_validation_loss": records[-1]["validation_loss"],
    }  # fmt: skip
    return found | held_out(posterior, trials) | shift(posterior, trials)


def timing(settings: fp.NPE) -> tuple[float, float]:
    """Find the CPU seconds of an epoch, and of compilation, by a short run."""
    spent: list[float] = []
    settings.fit(
        budget=2 * settings.epoch_pairs, seed=SEED, progress=lambda record: spent.append(record["cpu_seconds"])
    )
    epoch = (spent[2 * PASSES - 1] - spent[PASSES - 1]) / PASSES
    return epoch, max(0.0, spent[PASSES - 1] - PASSES * epoch)


def held_out(posterior: Any, trials: int | tuple[int, int]) -> dict[str, float]:
    """Average minus the log density of the parameters that made each held-out data set."""
    theta, x = data_sets(HELD_OUT, trials, seed=SEED + 1)
    started = time.process_time()
    log_q = posterior.log_densities(theta, x)
    return {
        "held_out_loss": round(float(-log_q.mean()), 4),
        "held_out_loss_se": round(float(log_q.std() / np.sqrt(len(x))), 4),
        "cpu_seconds_evaluating": round(time.process_time() - started, 2),
    }


def shift(posterior: Any, trials: int | tuple[int, int]) -> dict[str, Any]:
    """Compare the means of a few data sets with those of draws corrected by the exact likelihood."""
    _, x = data_sets(SHIFTED, trials, seed=SEED + 2)
    plain = posterior.sample(x, draws=2000, seed=1)["posterior"]
    exact = posterior.sample(x, draws=1000, seed=1, correct="exact")
    trusted = np.array(exact.attrs["pareto_k"]) < 0.7
    shifts = [
        np.abs(plain[name].mean(("chain", "draw")) - exact["posterior"][name].mean(("chain", "draw"))).values
        / exact["posterior"][name].std(("chain", "draw")).values
        for name in posterior.parameter_names
    ]
    mean = float(np.mean(np.array(shifts)[:, trusted])) if trusted.any() else None
    return {
        "shift_mean": mean if mean is None else round(mean, 4),
        "pareto_k_below_0.7": f"{int(trusted.sum())} of {len(x)}",
        "efficiency_median": round(float(np.median(exact.attrs["efficiency"])), 4),
    }


def data_sets(
    number: int, trials: int | tuple[int, int], *, seed: int
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Simulate from the prior; a range of trials is spread over its logarithm."""
    theta = MODEL.prior(number, seed=seed)
    low, high = (trials, trials) if isinstance(trials, int) else trials
    drawn = MODEL.likelihood(theta, trials=high, seed=seed)
    x = np.stack([drawn["rt"], drawn["response"]], axis=-1)
    sizes = np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high), number)).round().astype(int)
    return theta, [one[:n] for one, n in zip(x, sizes, strict=True)]


def earlier(path: Path, design: dict[str, Any]) -> dict[str, Any] | None:
    """Read results of the same design, to which others can be added."""
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    return report if report["design"] == design else None


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the report, with ratios to the fixed statistics."""
    found = report["summaries"]
    if "moments" in found:
        base = found["moments"]["steps_per_cpu_second"]
        report["steps_of_moments_over"] = {k: round(base / v["steps_per_cpu_second"], 2) for k, v in found.items()}
    report["machine"] = {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
