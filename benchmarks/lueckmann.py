"""Own models with default settings: two moons, SLCP and Gaussian linear, beside the figures that were published.

    python benchmarks/lueckmann.py [--tasks NAME ...] [--methods npe nle nre] [--rounds R] [--observations N]
                                   [--work FOLDER] [--out FILE]

Of each task and method: 10,000 simulations, ``Method(model).fit(simulations=table, seed=...)``, and 10,000 draws for
each of 10 observations from the prior predictive. Measured are the accuracy of a classifier that tells them from as
many reference draws (C2ST: .5 is perfect), its mean over the observations with the standard error, and what training
and sampling cost in CPU and wall seconds. With ``--rounds R`` the simulations are shared among R rounds towards one
observation: an estimator is trained for each of them, of which three are enough to see the difference.

What was measured is written after every observation; the same command again goes on with the rest. Estimators lie in
the folder given by ``--work``. Remove a cell from the file to measure it again.

References
----------
Lueckmann, Boelts, Greenberg, Goncalves and Macke (2021), Benchmarking simulation-based inference, AISTATS: tasks, the
classifier (section A.4), and the figures for 10,000 simulations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tasks import gaussian_linear, slcp, two_moons

import firstpassage as fp

SEED = 20_261_129
SIMULATIONS, DRAWS, CHAINS = 10_000, 10_000, 4
OBSERVATIONS = 10
TASKS = {"two_moons": two_moons, "slcp": slcp, "gaussian_linear": gaussian_linear}
METHODS = {"npe": fp.NPE, "nle": fp.NLE, "nre": fp.NRE}
PUBLISHED = {
    "npe": {"two_moons": 0.606, "slcp": 0.901, "gaussian_linear": 0.552},
    "nle": {"two_moons": 0.713, "slcp": 0.771, "gaussian_linear": 0.555},
    "nre": {"two_moons": 0.761, "slcp": 0.947, "gaussian_linear": 0.560},
}
RESULTS = Path(__file__).resolve().parent / "results" / "lueckmann.json"
WORK = Path(__file__).resolve().parents[1] / "runs" / "lueckmann"


def table(task: ModuleType) -> dict[str, np.ndarray]:
    """Simulate what is trained on."""
    theta = task.model.prior(SIMULATIONS, seed=SEED)
    return {**theta, **task.model.likelihood(theta, seed=SEED)}


def observations(task: ModuleType, number: int) -> np.ndarray:
    """Simulate from the prior predictive: (observation, column)."""
    return np.asarray(task.model.likelihood(task.model.prior(number, seed=SEED + 1), seed=SEED + 1)["x"][:, 0])


def drawn(learned: Any, x: np.ndarray, *, seed: int) -> np.ndarray:
    """Draw from what was learned: (draw, parameter)."""
    chains = {} if learned.kind == "npe" else {"chains": CHAINS}
    tree = learned.sample({"x": x[None]}, draws=DRAWS // chains.get("chains", 1), seed=seed, **chains)["posterior"]
    return np.stack([tree[name].to_numpy().ravel() for name in learned.parameter_names], axis=1)


def c2st(draws: np.ndarray, reference: np.ndarray, *, seed: int) -> float:
    """Tell draws from reference draws by the published classifier: held-out accuracy over five folds."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    both = np.concatenate([reference, draws])
    both = (both - reference.mean(axis=0)) / reference.std(axis=0, ddof=1)
    label = np.repeat([0, 1], [len(reference), len(draws)])
    width = 10 * reference.shape[1]
    classifier = MLPClassifier((width, width), max_iter=1000, solver="adam", random_state=seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a classifier that has not converged finds less, which shows
        return float(cross_val_score(classifier, both, label, cv=folds, scoring="accuracy").mean())


def timed(do: Any, *arguments: Any, **settings: Any) -> tuple[Any, dict[str, float]]:
    """Do something, and take CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = do(*arguments, **settings)
    return found, {"cpu": round(time.process_time() - cpu, 1), "wall": round(time.perf_counter() - wall, 1)}


def trained(task: ModuleType, method: str, *, rounds: int, number: int, x: np.ndarray, work: Path) -> Any:
    """Train from the table; or in rounds towards one observation."""
    estimator = METHODS[method](task.model)
    if rounds == 1:
        folder = work / f"{task.model.name}-{method}"
        return estimator.fit(simulations=table(task), seed=SEED, into=folder)
    folder = work / f"{task.model.name}-{method}-{rounds}-rounds-{number}"
    return estimator.fit(budget=SIMULATIONS, rounds=rounds, observed={"x": x[None]}, seed=SEED + number, into=folder)


def cell(name: str, method: str, *, rounds: int, number: int, report: dict[str, Any], work: Path, out: Path) -> None:
    """Measure one task and method, observation by observation, and write each."""
    task, kept = TASKS[name], report["cells"].setdefault(f"{name} {method} rounds={rounds}", {"observations": {}})
    learned = None
    for i, x in enumerate(observations(task, OBSERVATIONS)[:number]):
        if str(i) in kept["observations"]:
            continue
        cost: dict[str, float] = {}
        if learned is None or rounds > 1:
            learned, cost = timed(trained, task, method, rounds=rounds, number=i, x=x, work=work)
        if cost and rounds == 1:
            kept.setdefault("training", cost)  # a run that is gone on with only loads what it trained
        draws, sampling = timed(drawn, learned, x, seed=SEED + i)
        found = c2st(draws, task.reference(x, draws=DRAWS, seed=SEED + i), seed=i)
        kept["observations"][str(i)] = {"c2st": round(found, 4), "sampling": sampling} | (
            {"training": cost} if rounds > 1 else {}
        )
        summarise(kept, published=PUBLISHED[method][name])
        write(report, out)
        print(f"{name} {method} rounds={rounds} observation {i}: {found:.3f}, {sampling['cpu']} s", flush=True)


def summarise(kept: dict[str, Any], *, published: float) -> None:
    """Take the mean over the observations, its standard error, and costs."""
    each = list(kept["observations"].values())
    values = np.array([one["c2st"] for one in each])
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    kept |= {"mean": round(float(values.mean()), 4), "error": error and round(error, 4), "published": published}
    kept["sampling_cpu"] = round(float(np.mean([one["sampling"]["cpu"] for one in each])), 2)
    if "training" in each[0]:
        kept["training"] = {k: round(float(np.mean([o["training"][k] for o in each])), 1) for k in ("cpu", "wall")}


def write(report: Mapping[str, Any], out: Path) -> None:
    """Write all, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(part, out)


def earlier(out: Path) -> dict[str, Any]:
    """Read what was measured before, or begin."""
    design = {"simulations": SIMULATIONS, "draws": DRAWS, "seed": SEED, "machine": platform.processor()}
    if out.exists():
        return dict(json.loads(out.read_text()))
    return {"design": design, "cores": os.cpu_count(), "version": fp.__version__, "cells": {}}


def main() -> None:
    """Measure what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--observations", type=int, default=None, help="10, or 3 with several rounds")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    number = asked.observations or (OBSERVATIONS if asked.rounds == 1 else 3)
    report = earlier(asked.out)
    for name in asked.tasks:
        for method in asked.methods:
            cell(name, method, rounds=asked.rounds, number=number, report=report, work=asked.work, out=asked.out)
    for title, kept in report["cells"].items():
        error = "" if kept["error"] is None else f" +- {kept['error']:.3f}"
        print(f"{title:38} {kept['mean']:.3f}{error}, published {kept['published']:.3f}, training {kept['training']}")


if __name__ == "__main__":
    main()
