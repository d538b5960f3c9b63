"""CPU seconds of training until a posterior is close to the exact one, for every model and method.

    python benchmarks/accuracy.py [--cells ddm-nre ...] [--cap 60] [--again]

A cell is a model, a method, and settings: the defaults of this package, or those of a published workflow. It is
trained from scratch with a budget of simulations, then with four times as many, and so on, until a classifier tells
its posteriors from the exact ones in at most 60 % of draws (mean C2ST over the data sets), or until the next training
would take more CPU seconds than the cap: "not reached" is a result. Each training has its own schedule of learning
rates, so that each is the best that its seconds buy, and only the last one counts. Compilation and simulation are
counted; importing is not. The shipped estimator is held against the same exact draws; its seconds are its card's.

Data sets come from the prior: 200 choices, one window of 100 sites, one trace, 50 draws or counts. Exact draws are made
twice; the second run against the first is the floor. Draws of a learned likelihood are those of the second run, drawn
again by weights of the learned over the exact likelihood; where their Pareto k is above .7, they come from NUTS. Bare
BayesFlow estimators have networks so wide that NUTS takes hours: with a k above .7 their C2ST is only a lower bound.
Cells and published settings are those of cells.py. A run that was stopped goes on; trainings with the same design that
are in the output are kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import clock

os.environ.update({name: os.environ.get(name, value) for name, value in clock.ONE_THREAD.items()})

import jax
import numpy as np
import xarray as xr
from cells import CELLS, SEED, Cell, registered

import firstpassage as fp
from firstpassage import diagnostics

OUT = Path(__file__).parent / "results" / "accuracy.json"
STATED, STEP = 0.60, 4
COMPARED = 1000  # draws of each posterior that the classifier is given
NUTS = {"draws": 500, "tune": 500, "chains": 4}
TRUSTED = 0.7  # Pareto k up to which weighed draws are those of the posterior
KEPT = Path(__file__).resolve().parents[1] / "runs" / "accuracy"  # exact draws, so that a run that was stopped goes on
MODELS = {  # trials of a data set, and how many of these
    "gaussian": (50, 6), "poisson": (50, 6), "ddm": (200, 4), "foraging": (1, 6), "lif": (1, 4),
}  # fmt: skip


def main() -> None:
    """Climb every cell that was asked for, and write after each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [cell.name for cell in CELLS]
    parser.add_argument("--cells", nargs="*", default=names, choices=names)
    parser.add_argument("--cap", type=float, default=60.0, help="CPU seconds of one training")
    parser.add_argument("--again", action="store_true", help="train also what is there already")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    design = {
        "seed": SEED, "stated_c2st": STATED, "step": STEP,
        "models": {name: {"trials": trials, "data_sets": sets} for name, (trials, sets) in MODELS.items()},
    }  # fmt: skip
    record = earlier(options.out, design) or {"design": design, "floor": {}, "cells": {}}
    for model in MODELS:
        chosen = [cell for cell in CELLS if cell.model == model and cell.name in options.cells]
        for cell in chosen:
            if options.again:
                record["cells"].pop(cell.name, None)
        if any(not done(record["cells"].get(cell.name), cap=options.cap) for cell in chosen):
            exact = Exact(model)
            record["floor"][model] = exact.against(exact.second)
            for cell in chosen:
                climb(cell, exact, record, options)
    print(json.dumps({name: found["verdict"] for name, found in record["cells"].items()}, indent=1))


class Exact:
    """Hold data sets of a model, and two sets of exact draws of each."""

    def __init__(self, name: str) -> None:
        self.model = registered(name)
        trials, number = MODELS[name]
        self.data = diagnostics.data_sets(self.model, number=number, trials=trials, seed=SEED)
        kept = [KEPT / f"{name}-{SEED}-{trials}-{number}-{which}.nc" for which in (1, 2)]
        if not all(path.exists() for path in kept):
            runs = diagnostics.exact_runs(self.model.exact, self.data, seed=SEED + 1, **NUTS)
            KEPT.mkdir(parents=True, exist_ok=True)
            for path, draws in zip(kept, (runs.first, runs.second), strict=True):
                draws.drop_attrs().to_netcdf(path)
        self.first, self.second = (xr.load_dataset(path) for path in kept)

    def against(self, draws: Any) -> dict[str, Any]:
        """Measure how far draws are from the exact ones, over all data sets."""
        tables, accuracy = [], []
        for i in range(len(self.data)):
            both = draws.isel(dataset=i), self.first.isel(dataset=i)
            tables.append(diagnostics.agreement(*both))
            accuracy.append(round(diagnostics.two_sample(*both, seed=SEED + i, size=COMPARED), 4))
        shift = np.abs(np.stack([table["shift"] for table in tables]).astype(float))
        return {
            "c2st_mean": round(float(np.mean(accuracy)), 4), "shift_mean": round(float(shift.mean()), 4),
            "c2st": accuracy,
        }  # fmt: skip


def climb(cell: Cell, exact: Exact, record: dict[str, Any], options: argparse.Namespace) -> None:
    """Train on larger and larger budgets until the stated accuracy is reached, or the next one is beyond the cap."""
    found = record["cells"].setdefault(cell.name, {"trainings": []})
    if not cell.published and "shipped" not in found:
        found["shipped"] = shipped(cell, exact)
    while not done(found, cap=options.cap):
        budget = cell.first * STEP ** len(found["trainings"])
        try:
            row = train(cell, budget, exact)
        except Exception as error:  # a cell that fails is told, and the others go on
            row = {"budget": budget, "failed": f"{type(error).__name__}: {error}"[:400]}
        found["trainings"].append(row)
        found["verdict"] = verdict(found["trainings"], cap=options.cap)
        print(cell.name, json.dumps(row), found["verdict"], flush=True)
        clock.write(options.out, record | {"machine": clock.machine()})


def train(cell: Cell, budget: int, exact: Exact) -> dict[str, Any]:
    """Train once, sample all data sets and hold the draws against the exact ones."""
    jax.clear_caches()  # so that every training pays for its compilation
    start = clock.cpu()
    learned = cell.learn(budget)
    trained = clock.cpu()
    draws, k = posterior(learned, exact)
    sampled = clock.cpu()
    return {
        "budget": budget, "cpu_seconds": round(trained - start, 1), "cpu_seconds_sampling": round(sampled - trained, 1),
        **exact.against(draws), **({"pareto_k_largest": k} if k is not None else {}),
    }  # fmt: skip


def posterior(learned: Any, exact: Exact) -> tuple[Any, float | None]:
    """Draw from each posterior, by NUTS only where weights of exact draws do not do."""
    if learned.kind == "npe":
        return learned.sample(exact.data, draws=2000, seed=SEED + 2)["posterior"].dataset, None
    draws, k = weighed(learned, exact)
    if k < TRUSTED or learned.card is None:
        return draws, k
    return learned.sample(exact.data, seed=SEED + 2, **NUTS)["posterior"].dataset, None


def weighed(learned: Any, exact: Exact) -> tuple[Any, float]:
    """Draw again among the second exact draws, by weights of the learned over the exact likelihood."""
    from arviz_stats.base import array_stats

    sets, largest = [], 0.0
    for i, data in enumerate(exact.data):
        drawn = exact.second.isel(dataset=i).stack(all=("chain", "draw")).drop_vars(("all", "chain", "draw"))
        theta = {name: drawn[name].values for name in exact.model.parameter_names}
        log_weights = summed(learned, data, theta) - summed(exact.model.exact, data, theta)
        smooth, k = array_stats.psislw(log_weights.max() - log_weights, r_eff=1.0)  # it takes minus log weights
        weights = np.exp(smooth - np.max(smooth))
        chosen = np.random.default_rng(SEED + i).choice(len(weights), COMPARED, p=weights / weights.sum())
        sets.append(drawn.isel(all=chosen).rename(all="draw").expand_dims("chain"))
        largest = max(largest, float(k))
    return xr.concat(sets, "dataset"), round(largest, 3)


def summed(likelihood: Any, data: Any, theta: dict[str, np.ndarray]) -> np.ndarray:
    """Sum the log density of a data set over its trials, for many parameter sets."""
    x = likelihood.read(data)
    with jax.enable_x64():
        total = jax.jit(lambda rows: jax.lax.map(lambda row: likelihood.function(x, row).sum(), rows, batch_size=20))
        return np.asarray(total(theta), dtype="float64")


def shipped(cell: Cell, exact: Exact) -> dict[str, Any] | None:
    """Hold the shipped estimator against the same draws, where there is one."""
    try:
        learned = fp.pretrained(cell.model, cell.method)
    except fp.FirstPassageError:
        return None
    draws, _ = posterior(learned, exact)
    return {"cpu_seconds": learned.card["cpu_seconds"], "pairs": learned.card["pairs"], **exact.against(draws)}


def done(found: dict[str, Any] | None, *, cap: float) -> bool:
    """Tell whether there is nothing left to train."""
    rows = found["trainings"] if found else []
    if not rows:
        return False
    last = rows[-1]
    return "failed" in last or last["c2st_mean"] <= STATED or expected(rows) > cap


def expected(rows: list[dict[str, Any]]) -> float:
    """Predict the CPU seconds of the next training: linear in the budget, of which compilation is the constant."""
    if len(rows) == 1:
        return 2 * rows[0]["cpu_seconds"]
    (small, less), (large, more) = ((row["budget"], row["cpu_seconds"]) for row in rows[-2:])
    return more + (STEP * large - large) * max(more - less, 0.0) / (large - small)


def verdict(rows: list[dict[str, Any]], *, cap: float) -> dict[str, Any]:
    """Say in how many CPU seconds the stated accuracy was reached, or within how many it was not."""
    if "failed" in rows[-1]:
        return {"failed": rows[-1]["failed"]}
    reached = rows[-1]["c2st_mean"] <= STATED
    return {"reached": reached, "cpu_seconds": rows[-1]["cpu_seconds"], "c2st_mean": rows[-1]["c2st_mean"], "cap": cap}


def earlier(path: Path, design: dict[str, Any]) -> dict[str, Any] | None:
    """Read trainings of the same design, to which others can be added."""
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record if record["design"] == design else None


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    main()
