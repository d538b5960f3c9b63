"""NPE of the integrate-and-fire neuron against the exact posterior: ours, and the reference configuration.

    python benchmarks/lif_npe.py --train-reference [--minutes 30]     # once; runs/lif-npe-reference
    python benchmarks/lif_npe.py [--traces 40] [--ours runs/lif-npe/bundle] [--out benchmarks/results/lif_npe.json]
    python benchmarks/lif_npe.py --only-reference                     # adds it to the results that there are

Fresh traces from the reference prior are sampled twice by the exact likelihood, with at least 1,000 effective draws
each; the second run against the first is the floor. Then come as many draws of each network: distance of the means in
exact posterior standard deviations, ratio of the standard deviations by parameter, accuracy of a classifier (C2ST). The
draws of our network corrected by the exact likelihood are reported second. Calibration is that of our network on 1,000
more traces. Exact draws are kept in runs/lif-npe-exact, so that an interrupted run goes on. The reference configuration
is BayesFlow's TimeSeriesNetwork (hidden 64, 32 summaries) on the raw traces and its affine coupling flow, trained on
20,000 simulations in batches of 128 for the epochs that fit in 30 CPU minutes; if not one fits, on fewer simulations.
CPU seconds are those of training and simulation, from the card. Ratios are medians over traces, the rest are means.
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

import arviz_base
import jax
import numpy as np

import firstpassage as fp
from firstpassage.diagnostics import agreement, sbc, simulated, two_sample

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "lif_npe.json"
REFERENCE, EXACT = ROOT / "runs" / "lif-npe-reference", ROOT / "runs" / "lif-npe-exact"
SEED, DRAWS, LEAST = 550_000, 4000, 1000
REFERENCE_TRACES, REFERENCE_BATCH = 20_000, 128
MODEL = fp.lif()
LIMITS = {"shift_mean": 0.15, "sd_ratio_medians": [0.95, 1.15], "c2st_mean": 0.57, "cpu_seconds": 900}
CORRECTED_LIMITS = {"shift_above_floor": 0.05, "pareto_k_below_0.7": 0.9}


def main() -> None:
    """Train the reference, or measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-reference", action="store_true", help="train the reference configuration, and stop")
    parser.add_argument("--minutes", type=float, default=30, help="CPU minutes of training of the reference")
    parser.add_argument("--traces", type=int, default=40)
    parser.add_argument("--ours", default="runs/lif-npe/bundle", help="a bundle; `pretrained` is the shipped one")
    parser.add_argument("--only-reference", action="store_true", help="measure it, and add it to the results")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.train_reference:
        train_reference(60 * options.minutes)
        return
    sets, truth = fresh(options.traces)
    first, second = (exact_draws(sets, run=run) for run in (0, 1))
    if options.only_reference:
        known = json.loads(options.out.read_text())
        add(known, "reference", network(fp.load(REFERENCE / "bundle", model=MODEL), sets, first), options.out)
        return
    posterior = fp.pretrained("lif", "npe") if options.ours == "pretrained" else fp.load(options.ours, model=MODEL)
    report = {"design": design(options.traces, first, second), "truth": truth}
    report["machine"] = {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}
    floor = distance(second["theta"], first["theta"])
    add(report, "floor", floor, options.out)
    add(report, "ours", network(posterior, sets, first) | {"limits": LIMITS}, options.out)
    add(report, "calibration", calibration(posterior), options.out)
    if (REFERENCE / "bundle").exists():
        add(report, "reference", network(fp.load(REFERENCE / "bundle", model=MODEL), sets, first), options.out)
    add(report, "ours_corrected", corrected(posterior, sets, first, floor), options.out)


def add(report: dict[str, Any], name: str, found: dict[str, Any], path: Path) -> None:
    """Add a part to the report, print it without the numbers of each trace, and write what there is."""
    report[name] = found
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report) + "\n")
    print(name, json.dumps({k: v for k, v in found.items() if k not in ("each", "card")}), flush=True)


def fresh(traces: int) -> tuple[list[dict[str, np.ndarray]], dict[str, list[float]]]:
    """Simulate traces that nothing was trained or chosen on."""
    theta = MODEL.prior(traces, seed=SEED)
    data = MODEL.likelihood(theta, trials=1, seed=SEED + 1)
    sets = [{name: value[i] for name, value in data.items()} for i in range(traces)]
    return sets, {name: [round(float(v), 4) for v in value] for name, value in theta.items()}


def exact_draws(sets: list[dict[str, np.ndarray]], *, run: int) -> dict[str, np.ndarray]:
    """Sample each trace by the exact likelihood: draws (trace, draw, parameter), effective number, CPU seconds."""
    EXACT.mkdir(parents=True, exist_ok=True)
    found = []
    for i, one in enumerate(sets):
        path = EXACT / f"{SEED}-{i}-{run}.npz"
        if not path.exists():
            np.savez(path, **one_exact(one, seed=SEED + 10 + 1000 * run + i))
            print(f"exact, run {run}: trace {i + 1} of {len(sets)}", flush=True)
        found.append(dict(np.load(path)))
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def one_exact(data: dict[str, np.ndarray], *, seed: int) -> dict[str, Any]:
    """Sample one trace; more draws are asked for until enough are effective."""
    started = time.process_time()
    for draws in (DRAWS, 3 * DRAWS, 9 * DRAWS):
        tree = MODEL.exact.sample(data, draws=draws // 4, chains=4, seed=seed)
        if tree.attrs["effective"] >= LEAST:
            break
    theta = np.stack([tree["posterior"][name].values.ravel() for name in MODEL.parameter_names], axis=1)
    kept = np.random.default_rng(seed).permutation(len(theta))[:DRAWS]
    return {
        "theta": theta[kept], "effective": tree.attrs["effective"], "pareto_k": tree.attrs["pareto_k"],
        "cpu_seconds": time.process_time() - started,
    }  # fmt: skip


def network(posterior: Any, sets: list[dict[str, np.ndarray]], exact: dict[str, np.ndarray]) -> dict[str, Any]:
    """Hold a network's draws against the exact ones."""
    started = time.process_time()
    tree = posterior.sample(sets, draws=DRAWS, seed=SEED + 5)
    seconds = time.process_time() - started
    card = {name: posterior.card[name] for name in ("pairs", "epochs", "cpu_seconds", "validation_loss", "settings")}
    return distance(stacked(tree), exact["theta"]) | {"card": card, "cpu_seconds_sampling": round(seconds, 2)}


def corrected(
    posterior: Any, sets: list[dict[str, np.ndarray]], exact: dict[str, np.ndarray], floor: dict[str, Any]
) -> dict[str, Any]:
    """Hold the corrected draws against the exact ones, and say how many corrections can be trusted."""
    started = time.process_time()
    tree = posterior.sample(sets, draws=DRAWS // 4, seed=SEED + 6, correct="exact")
    seconds = time.process_time() - started
    k, efficiency = np.array(tree.attrs["pareto_k"]), np.array(tree.attrs["efficiency"])
    found = distance(stacked(tree), exact["theta"])
    return found | {
        "shift_above_floor": round(found["shift_mean"] - floor["shift_mean"], 4),
        "pareto_k_below_0.7": round(float((k < 0.7).mean()), 4),
        "efficiency_10_50_90": np.quantile(efficiency, (0.1, 0.5, 0.9)).round(3).tolist(),
        "cpu_seconds_per_trace": round(seconds / len(sets), 2), "limits": CORRECTED_LIMITS,
    }  # fmt: skip


def calibration(posterior: Any) -> dict[str, Any]:
    """Rank the truths of 1,000 fresh traces among 1,000 draws each, and count draws outside the prior's support.

    The exact likelihood is left out of the ranked quantities: it would take an hour.
    """
    bare = fp.Model(
        name="lif", parameters=MODEL.parameters, prior=MODEL.joint, likelihood=MODEL._simulator, schema=MODEL.schema
    )
    found = simulated(posterior, bare, datasets=1000, trials=1, draws=1000, seed=SEED + 7)
    ranked = sbc(found)
    inside = np.isfinite(MODEL.joint.log_density({name: values.ravel() for name, values in found.draws.items()}))
    return {
        "sbc_gamma_p": ranked.gamma_p, "sbc_chi_square_p": ranked.chi_square_p, "sbc_failed": list(ranked.failed),
        "draws": int(inside.size), "outside_the_support": int((~inside).sum()),
    }  # fmt: skip


def stacked(tree: Any) -> np.ndarray:
    """Put the draws of many data sets side by side: (dataset, draw, parameter)."""
    posterior = tree["posterior"].dataset.stack(all=("chain", "draw")).transpose("dataset", "all")
    return np.stack([posterior[name].values for name in MODEL.parameter_names], axis=-1)


def distance(ours: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    """Measure the distances of draws (trace, draw, parameter), trace by trace."""
    tables, accuracy = [], []
    for i, (a, b) in enumerate(zip(ours, exact, strict=True)):
        both = [tree(draws) for draws in (a, b)]
        tables.append(agreement(*both))
        accuracy.append(two_sample(*both, seed=SEED + i))
    shift = np.abs(np.stack([table["shift"] for table in tables]).astype(float))
    ratio = np.stack([table["sd_ratio"] for table in tables]).astype(float)
    names = list(tables[0].index)
    return {
        "shift_mean": round(float(shift.mean()), 4), "shift_worst": round(float(shift.max()), 3),
        "shift_means": dict(zip(names, shift.mean(0).round(4).tolist(), strict=True)),
        "sd_ratio_medians": dict(zip(names, np.median(ratio, axis=0).round(4).tolist(), strict=True)),
        "c2st_mean": round(float(np.mean(accuracy)), 4), "c2st_worst": round(float(np.max(accuracy)), 4),
        "each": {"shift": shift.round(4).tolist(), "sd_ratio": ratio.round(4).tolist(), "c2st": accuracy},
    }  # fmt: skip


def tree(draws: np.ndarray) -> Any:
    """Put draws (draw, parameter) into the tree that the diagnostics take."""
    named = zip(MODEL.parameter_names, draws.T, strict=True)
    return arviz_base.from_dict({"posterior": {name: values[None] for name, values in named}})


def design(traces: int, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, Any]:
    """Say what was compared, and how good the exact runs are."""
    seconds = first["cpu_seconds"]
    return {
        "traces": traces, "seed": SEED, "draws": DRAWS,
        "exact_effective_least": round(float(min(first["effective"].min(), second["effective"].min())), 0),
        "exact_effective_median": round(float(np.median(first["effective"])), 0),
        "exact_cpu_seconds_per_trace": {"median": round(float(np.median(seconds)), 2), "most": round(seconds.max(), 2)},
    }  # fmt: skip


def reference(passes: int, traces: int) -> fp.NPE:
    """Set the reference configuration up for so many epochs of its 20,000 simulations."""
    return fp.NPE(
        MODEL, summary="timeseries", hidden=64, summaries=32, flow="affine", layers=6, flow_widths=(128, 128),
        batch=REFERENCE_BATCH, epoch_pairs=traces, validation=1024, passes=passes, learning_rate=5e-4, average=0.0,
        patience=None, clip=1.5,
    )  # fmt: skip


def train_reference(seconds: float) -> None:
    """Time a few batches, and train for the epochs, or the part of the first one, that fit."""
    spent: list[float] = []
    reference(2, 10 * REFERENCE_BATCH).fit(
        budget=10 * REFERENCE_BATCH, seed=SEED, progress=lambda record: spent.append(record["cpu_seconds"])
    )
    step = (spent[1] - spent[0]) / 10
    print(f"{step:.2f} CPU seconds a step, {spent[0] - 10 * step:.1f} to compile", flush=True)
    steps = int((seconds - spent[0]) / step)
    whole = REFERENCE_TRACES // REFERENCE_BATCH
    passes, traces = max(1, steps // whole), min(steps, whole) * REFERENCE_BATCH
    learned = reference(passes, traces).fit(budget=traces, seed=SEED, into=REFERENCE)
    print(f"{traces} traces, {passes} epochs: {learned.card['cpu_seconds']} CPU seconds")


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
