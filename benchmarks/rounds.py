"""What several rounds of simulations towards one observation gain over as many simulations from the prior.

    python benchmarks/rounds.py [--tasks foraging two_moons slcp] [--methods npe nle nre] [--minutes 40]

For each task, method and number of simulations an estimator is trained with default effort on a table of so many draws
of the prior, and, for each observation, in rounds with the same number of simulations in all. Both are held against the
exact posterior of three observations: accuracy of a classifier between their draws (C2ST, .5 if they are the same) and
the largest shift of a mean, in exact standard deviations. `foraging` is a window of 100 sites, of which NPE and NLE
see the 37 statistics alone, so that they cannot reach the exact posterior; `two_moons` and `slcp` are tasks whose
posteriors have several modes (Lueckmann et al. 2021).

Every cell is written to the file of results as soon as it is done; the same command goes on where it was stopped, and
cells of a smaller number of simulations come first. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import arviz_base
import numpy as np

import firstpassage as fp
from firstpassage import diagnostics

HERE = Path(__file__).resolve().parent
OUT = HERE / "results" / "rounds.json"
SEED, OBSERVATIONS, DRAWS, COMPARED = 880_000, 3, 4000, 3000
METHODS = ("npe", "nle", "nre")


@dataclass(frozen=True, kw_only=True)
class Task:
    """Say what is learned, and how the truth is known.

    Parameters
    ----------
    model : Model
        Prior and simulator.
    data : callable
        One observation, from what the simulator returns.
    exact : callable
        ``exact(data, seed)``: draws of the exact posterior.
    settings : mapping
        Settings of each method; those left out are the usual ones.
    budgets : tuple of int
        Numbers of simulations.
    rounds : int
        Rounds that are compared with one.
    """

    model: fp.Model
    data: Callable[[dict[str, np.ndarray]], Any]
    exact: Callable[[Any, int], Any]
    settings: dict[str, dict[str, Any]]
    budgets: tuple[int, ...]
    rounds: int


def main() -> None:
    """Make the cells that are missing, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["foraging", "two_moons", "slcp"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--minutes", type=float, default=1e9, help="CPU minutes after which no other cell is begun")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    for name, method, budget, rounds, number in cells(options.tasks, options.methods):
        report = read(options.out)
        key = f"{name}/{method}/{budget}/{rounds}/{number}"
        if key in report["cells"]:
            continue
        if time.process_time() > 60 * options.minutes:
            break
        found = measured(name, method, budget=budget, rounds=rounds, number=number)
        report = read(options.out)
        report["cells"][key] = found
        write(options.out, report)
        print(key, json.dumps(found), flush=True)


def cells(names: list[str], methods: list[str]) -> Iterator[tuple[str, str, int, int, int]]:
    """List the cells, the cheap ones first."""
    tasks = {name: task(name) for name in names}
    every = [
        (name, method, budget, rounds, number)
        for name, one in tasks.items()
        for method in (one.settings if name == "foraging" else METHODS)
        for budget in one.budgets
        for rounds in (1, one.rounds)
        for number in range(OBSERVATIONS)
        if method in methods
    ]
    yield from sorted(every, key=lambda cell: (cell[2], names.index(cell[0]), METHODS.index(cell[1]), cell[3]))


def measured(name: str, method: str, *, budget: int, rounds: int, number: int) -> dict[str, Any]:
    """Train, draw and compare."""
    one, (data, exact) = task(name), truth(name, number)
    started = time.process_time()
    if rounds == 1:
        learned, seconds = amortized(name, method, budget)
    else:
        learned = estimator(one, method).fit(budget=budget, rounds=rounds, observed=data, seed=SEED + number)
        seconds = time.process_time() - started
    started = time.process_time()
    if method == "npe":
        draws = learned.sample(data, draws=DRAWS, seed=SEED)
    else:
        draws = learned.sample(data, draws=DRAWS // 4, chains=4, seed=SEED)
    sampling = time.process_time() - started
    ours, theirs = (tree["posterior"].to_dataset() for tree in (draws, exact))
    shift = [float(abs(ours[p].mean() - theirs[p].mean()) / theirs[p].std()) for p in one.model.parameter_names]
    ratio = [float(ours[p].std() / theirs[p].std()) for p in one.model.parameter_names]
    found = {
        "c2st": round(diagnostics.two_sample(draws, exact, seed=SEED, size=COMPARED), 4),
        "shift_mean": round(float(np.mean(shift)), 4), "shift_worst": round(max(shift), 4),
        "sd_ratio_mean": round(float(np.mean(ratio)), 4), "training_cpu_seconds": round(seconds, 1),
        "sampling_cpu_seconds": round(sampling, 1),
    }  # fmt: skip
    rounds_made = learned.card.get("rounds")
    return found if rounds_made is None else found | {k: rounds_made[k] for k in ("simulations", "used", "acceptance")}


@cache
def amortized(name: str, method: str, budget: int) -> tuple[Any, float]:
    """Train on draws of the prior, once for all observations."""
    started, one = time.process_time(), task(name)
    theta = one.model.prior(budget, seed=SEED)
    table = {**theta, **one.model.likelihood(theta, trials=1, seed=SEED + 1)}
    return estimator(one, method).fit(simulations=table, seed=SEED), time.process_time() - started


def estimator(one: Task, method: str) -> Any:
    """Make the untrained estimator."""
    made: Any = {"npe": fp.NPE, "nle": fp.NLE, "nre": fp.NRE}[method]
    return made(one.model, **one.settings.get(method, {}))


@cache
def truth(name: str, number: int) -> tuple[Any, Any]:
    """Simulate an observation from the prior, and draw from its exact posterior."""
    one = task(name)
    theta = one.model.prior(OBSERVATIONS, seed=SEED + 2)
    made = one.model.likelihood(theta, trials=1, seed=SEED + 3)
    data = one.data({key: value[number] for key, value in made.items()})
    return data, one.exact(data, SEED + 4)


@cache
def task(name: str) -> Task:
    """Make one of the tasks."""
    if name == "foraging":
        model = fp.foraging()
        return Task(
            model=model, data=lambda made: made["window"][0], rounds=4, budgets=(1000, 3000, 10_000),
            exact=lambda data, seed: model.exact.sample(data, draws=DRAWS // 4, chains=4, seed=seed),
            settings={"npe": {"summary": "moments"}, "nle": {"unit": "window"}},
        )  # fmt: skip
    spec = importlib.util.spec_from_file_location(name, HERE / "tasks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def exact(data: Any, seed: int) -> Any:
        theta = module.reference(data["x"][0], draws=DRAWS, seed=seed)
        names = module.model.parameter_names
        return arviz_base.from_dict({"posterior": {p: theta[None, :, i] for i, p in enumerate(names)}})

    return Task(model=module.model, data=dict, exact=exact, settings={}, budgets=(10_000,), rounds=2)


def read(path: Path) -> dict[str, Any]:
    """Read what was measured before with the same design."""
    design = {"seed": SEED, "observations": OBSERVATIONS, "draws": DRAWS, "compared": COMPARED}
    report = json.loads(path.read_text()) if path.exists() else {}
    return report if report.get("design") == design else {"design": design, "cells": {}}


def write(path: Path, report: dict[str, Any]) -> None:
    """Replace the file of results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report, indent=1) + "\n")
    part.replace(path)


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
