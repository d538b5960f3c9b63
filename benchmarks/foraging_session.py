"""A session of 1,000 patches with an odour regression in PyMC: corrected and learned, against the truth.

    python benchmarks/foraging_session.py [--bundle runs/foraging-nle] [--cores 2]

drift_rate = b0 + b1 odor for each patch, odor 0 or 1; the other parameters are shared. Sampled by nutpie are the
moment-matched likelihood, whose draws `fp.correct` weighs by the exact filter, and the learned likelihood of patches.
Seconds include compilation. z: (mean - truth) / sd. distance: between the two means, in posterior sd.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pymc as pm

import firstpassage as fp

SEED, PATCHES = 700_000, 1000
TRUTH = {"b0": 0.2, "b1": 0.25, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.15}
SHARED = ("reward_bump", "failure_bump", "noise_std")
OUT = Path(__file__).parent / "results" / "foraging_session.json"
# The low-rank mass matrix follows the correlations of drift and bumps: six times the ESS of the diagonal one.
NUTS = {"adaptation": "low_rank", "target_accept": 0.9}
_MORE = 3  # times the draws, where weights will take some away
MODEL = fp.foraging()


def main() -> None:
    """Fit one session twice, print and write."""
    options = arguments(__doc__, out=OUT)
    x, odor = session(np.random.default_rng(options.seed))
    report = compared(lambda likelihood: regression(likelihood, x, odor), TRUTH, options=options)
    report["design"] = {"patches": PATCHES, "truth": TRUTH, "sites": int(x.reshape(PATCHES, -1, 4)[..., 3].sum())}
    write(report, options)


def session(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Simulate visits, each with its odour."""
    odor = rng.integers(0, 2, PATCHES)
    rows = {name: np.full(PATCHES, TRUTH[name]) for name in SHARED}
    x = MODEL.exact.simulate({"drift_rate": TRUTH["b0"] + TRUTH["b1"] * odor, **rows}, rng)
    return MODEL.exact.read(x), odor


def regression(likelihood: fp.Likelihood, x: np.ndarray, odor: np.ndarray) -> pm.Model:
    """Let the drift rate depend on the odour."""
    with pm.Model() as model:
        b0, b1 = pm.Normal("b0", 0.5, 0.5), pm.Normal("b1", 0, 0.5)
        shared = dict(zip(SHARED, fp.priors(likelihood, *SHARED), strict=True))
        fp.observe("obs", likelihood, drift_rate=b0 + b1 * odor, observed=x, **shared)
    return model


def arguments(text: str | None, *, out: Path) -> argparse.Namespace:
    """Parse what both benchmarks of PyMC models of visits take."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a learned likelihood of patches; the shipped one if left out")
    parser.add_argument("--tune", type=int, default=400)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


def compared(
    make: Callable[[fp.Likelihood], pm.Model], truth: Mapping[str, Any], *, options: argparse.Namespace
) -> dict[str, Any]:
    """Fit by the corrected and by the learned likelihood."""
    report = corrected(make(MODEL.approximate), truth, options=options)
    report["learned"] = fitted(make(learned(options)), truth, options=options)
    return report | between(report, "corrected", "learned")


def corrected(
    model: pm.Model, truth: Mapping[str, Any], *, options: argparse.Namespace, more: int = _MORE,
    names: tuple[str, str] = ("approximate", "corrected"),
) -> dict[str, Any]:  # fmt: skip
    """Fit by the moment-matched or a learned likelihood, and weigh its draws by the filter."""
    draws, sampling = timed(lambda: sample(model, options, draws=more * options.draws))
    weighed, correcting = timed(lambda: fp.correct(draws, model, exact=MODEL.exact, seed=options.seed))
    weights = {name: weighed.attrs[name] for name in ("pareto_k", "efficiency", "effective", "verdict")}
    report = {
        names[0]: summary(draws, truth) | {"seconds": sampling},
        names[1]: summary(weighed, truth) | weights | {"seconds": added(sampling, correcting)},
    }
    print(json.dumps(report), flush=True)
    return report


def fitted(model: pm.Model, truth: Mapping[str, Any], *, options: argparse.Namespace) -> dict[str, Any]:
    """Sample a model as it is."""
    draws, seconds = timed(lambda: sample(model, options))
    report = summary(draws, truth) | {"seconds": seconds}
    print(json.dumps(report), flush=True)
    return report


def learned(options: argparse.Namespace) -> fp.Likelihood:
    """Load a learned likelihood of patches."""
    return fp.load(options.bundle) if options.bundle else fp.pretrained("foraging", "nle")


def between(report: Mapping[str, Any], first: str, second: str) -> dict[str, Any]:
    """Compare two fits with each other, and find the largest distances from each other and from the truth."""
    found = distances(report[first], report[second])
    far = {f"z_{name}": largest(report[name]["z"]) for name in (first, second)}
    return {"distance": found, "largest": {"distance": max(found.values()), **far}}


def sample(model: pm.Model, options: argparse.Namespace, *, draws: int | None = None) -> Any:
    """Sample by nutpie."""
    with model:
        return pm.sample(
            draws or options.draws, tune=options.tune, chains=options.chains, cores=options.cores,
            random_seed=options.seed, nuts_sampler="nutpie", nuts=NUTS, progressbar=False, quiet=True,
            compute_convergence_checks=False,
        )  # fmt: skip


def summary(draws: Any, truth: Mapping[str, Any]) -> dict[str, Any]:
    """Put the figures of one fit together; entries of vectors are numbered."""
    posterior = draws["posterior"].dataset[list(truth)]
    flat = {name: np.asarray(posterior[name]).reshape(-1, np.size(truth[name])) for name in truth}
    names = [f"{n}[{i}]" if np.ndim(truth[n]) else n for n in truth for i in range(np.size(truth[n]))]
    values, right = np.concatenate(list(flat.values()), axis=1), np.concatenate([np.ravel(truth[n]) for n in truth])
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    found = {"mean": mean, "sd": sd, "z": (mean - right) / sd}
    report: dict[str, Any] = {
        key: dict(zip(names, rounded(numbers), strict=True)) for key, numbers in found.items()
    }  # fmt: skip
    report["min_bulk_ess"] = min(float(one.min()) for one in statistic(az.ess, posterior))
    report["max_rhat"] = max(float(one.max()) for one in statistic(az.rhat, posterior))
    if "sample_stats" in draws.children:
        stats = draws["sample_stats"].dataset
        report["divergent_share"] = float(np.mean(stats["diverging"]))
        report["gradients_per_draw"] = float(np.mean(stats["n_steps"]))
    return report


def statistic(function: Callable[..., Any], posterior: Any) -> list[np.ndarray]:
    """Compute a diagnostic of every variable."""
    return [np.asarray(function(posterior[name].to_dataset()).to_dataarray()) for name in posterior]


def distances(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """Compare two fits: difference of means over the mean of their sd."""
    return {
        name: round(2 * abs(mean - second["mean"][name]) / (first["sd"][name] + second["sd"][name]), 3)
        for name, mean in first["mean"].items()
    }  # fmt: skip


def timed(function: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Give what a function returns, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    return found, {"wall": round(time.perf_counter() - wall, 1), "cpu": round(time.process_time() - cpu, 1)}


def added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Add seconds."""
    return {name: round(first[name] + second[name], 1) for name in first}


def largest(numbers: Mapping[str, float]) -> float:
    """Find the largest absolute value."""
    return max(abs(one) for one in numbers.values())


def rounded(numbers: np.ndarray) -> list[float]:
    """Keep four decimals."""
    return [round(float(one), 4) for one in numbers]


def write(report: dict[str, Any], options: argparse.Namespace) -> None:
    """Add settings and machine, print and write."""
    keys = ("tune", "draws", "chains", "cores", "seed")
    report["design"] |= {"nuts": NUTS, **{key: vars(options)[key] for key in keys}}
    report["machine"] = {
        "cores": os.cpu_count(), "python": platform.python_version(), "pymc": pm.__version__,
        "load": [round(one, 1) for one in os.getloadavg()],
    }  # fmt: skip
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Numba will use object mode")
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
