"""The long studies, whose figures are read from benchmarks/results: what runs them again, and what they compare."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cells import CELLS

from table.rows import BETTER, Row

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A stored result: the commands that make it, and the one comparison of it that the table shows."""

    commands: tuple[str, ...]
    unit: str
    sides: tuple[str, str]
    values: Callable[[Any], tuple[float, float]]
    higher: bool = False


def _into(name: str) -> str:
    """Make the command of a program that is told where to write."""
    return f"benchmarks/{name}.py --out benchmarks/results/{name}.json"


def _alone(name: str) -> tuple[str, ...]:
    """Make the command of a program that knows where to write."""
    return (f"benchmarks/{name}.py",)


def _published(record: Mapping[str, Any]) -> tuple[float, float]:
    """Average accuracies and published ones over three tasks and three methods, of one round."""
    tasks, methods = ("two_moons", "slcp", "gaussian_linear"), ("npe", "nle", "nre")
    cells = [record["cells"][f"{task} {method} rounds=1"] for task in tasks for method in methods]
    return statistics.mean(cell["mean"] for cell in cells), statistics.mean(cell["published"] for cell in cells)


def _in_rounds(record: Mapping[str, Any]) -> tuple[float, float]:
    """Average accuracies of several rounds and of one, over all that were measured both ways."""
    pairs = []
    for key, cell in record["cells"].items():
        name, method, budget, rounds, number = key.split("/")
        once = record["cells"].get("/".join((name, method, budget, "1", number)))
        if rounds != "1" and once is not None:
            pairs.append((cell["c2st"], once["c2st"]))
    several, one = zip(*pairs, strict=True)
    return statistics.mean(several), statistics.mean(one)


def _least_ess(found: Mapping[str, Any]) -> float:
    """Give effective draws per CPU second of a fit by HSSM."""
    return found["least_ess"] / found["cpu_seconds"]


STUDIES: dict[str, Study] = {
    "wiener_sampler": Study(
        commands=(_into("wiener_sampler"),), unit="trials per CPU s", higher=True,
        sides=("exact sampler", "ssm-simulators, one call per trial"),
        values=lambda r: tuple(r["trials_per_cpu_second"][k] for k in ("firstpassage_exact", "ssms_per_trial")),
    ),
    "foraging_simulator": Study(
        commands=(_into("foraging_simulator"),), unit="windows with statistics per CPU s", higher=True,
        sides=("simulator", "plain vmapped JAX"),
        values=lambda r: tuple(
            r["windows_per_cpu_second"][k] for k in ("windows_with_statistics", "plain_with_statistics")
        ),
    ),
    "lif_simulator": Study(
        commands=(_into("lif_simulator"),), unit="traces per CPU s", higher=True,
        sides=("simulator", "plain NumPy loop"),
        values=lambda r: tuple(r["traces_per_cpu_second"][k] for k in ("simulator", "plain")),
    ),
    "foraging_likelihood": Study(
        commands=_alone("foraging_likelihood"), unit="ms per value and gradient",
        sides=("moment matching", "exact filter"),
        values=lambda r: tuple(r["milliseconds_each"][k] for k in ("moments gradient", "filter gradient")),
    ),
    "lif_likelihood": Study(
        commands=_alone("lif_likelihood"), unit="ms per value and gradient", sides=("moment matching", "exact filter"),
        values=lambda r: tuple(r["milliseconds_each"][k] for k in ("moments gradient", "exact gradient")),
    ),
    "break_even": Study(
        commands=_alone("break_even"), unit="CPU s per further data set", sides=("NPE", "exact likelihood, NUTS"),
        values=lambda r: tuple(r["methods"][k]["each"] for k in ("npe", "exact")),
    ),
    "pymc_sampling": Study(
        commands=("benchmarks/pymc_sampling.py --out benchmarks/results/pymc_sampling.json",),
        unit="effective draws per CPU s, compilation aside", higher=True,
        sides=("shipped NRE, nutpie", "BayesFlow's NeuralDistribution, pymc"),
        values=lambda r: tuple(r["results"][k]["ess_per_cpu_s"] for k in ("nre:nutpie", "bare:pymc")),
    ),
    "samplers": Study(
        commands=("benchmarks/samplers.py --again",), unit="effective draws per CPU s, compilation included",
        higher=True, sides=("likelihood.sample", "pm.sample with pymc"),
        values=lambda r: tuple(
            r["results"][f"exact: {k}"]["first"]["ess_per_cpu_s"] for k in ("likelihood.sample", "pm.sample pymc")
        ),
    ),
    "hssm_bridge": Study(
        commands=_alone("hssm_bridge"), unit="effective draws per CPU s", higher=True,
        sides=("our exact likelihood in HSSM", "HSSM analytic"),
        values=lambda r: tuple(_least_ess(r["likelihoods"][k]) for k in ("exact", "analytic")),
    ),
    "hierarchical_ddm": Study(
        commands=_alone("hierarchical_ddm"), unit="wall s of NUTS, human choices",
        sides=("learned ratio", "exact likelihood"),
        values=lambda r: tuple(r[k]["seconds"]["wall"] for k in ("nre", "exact")),
    ),
    "foraging_session": Study(
        commands=_alone("foraging_session"), unit="CPU s", sides=("learned likelihood", "moments and correction"),
        values=lambda r: tuple(r[k]["seconds"]["cpu"] for k in ("learned", "corrected")),
    ),
    "foraging_hierarchy": Study(
        commands=_alone("foraging_hierarchy"), unit="CPU s", sides=("learned likelihood", "moments and correction"),
        values=lambda r: tuple(r[k]["seconds"]["cpu"] for k in ("learned", "corrected")),
    ),
    "lif_cells": Study(
        commands=("benchmarks/lif_cells.py --tune 500 --draws 1000 --chains 4 --cores 1",), unit="CPU s",
        sides=("learned ratio", "moments and correction"),
        values=lambda r: tuple(r[k]["seconds"]["cpu"] for k in ("learned", "corrected")),
    ),
    "lif_npe": Study(
        commands=("benchmarks/lif_npe.py --train-reference", "benchmarks/lif_npe.py --ours pretrained"),
        unit="mean C2ST, from .5", sides=("NPE", "reference configuration"),
        values=lambda r: tuple(r[k]["c2st_mean"] for k in ("ours", "reference")),
    ),
    "npe_summaries": Study(
        commands=_alone("npe_summaries"), unit="steps per CPU s", higher=True,
        sides=("statistics", "BayesFlow's DeepSet"),
        values=lambda r: tuple(r["summaries"][k]["steps_per_cpu_second"] for k in ("moments", "bayesflow")),
    ),
    "teaching": Study(
        commands=_alone("teaching"), unit="CPU s of NUTS in PyMC", sides=("learned ratio", "PyMC's own Normal"),
        values=lambda r: tuple(r["gaussian"]["posterior"][k]["cpu_s"] for k in ("nre", "pymc")),
    ),
    "misspecification": Study(
        commands=_alone("misspecification"), unit="power over that of the best exact test", higher=True,
        sides=("learned ratio", "exact likelihood"),
        values=lambda r: tuple(r["power_over_best_exact_test"][k] for k in ("nre", "exact")),
    ),
    "lueckmann": Study(
        commands=("benchmarks/lueckmann.py", "benchmarks/lueckmann.py --rounds 2 --tasks two_moons slcp"),
        unit="mean C2ST of nine tasks and methods, from .5",
        sides=("10,000 simulations, usual settings", "published"), values=_published,
    ),
    "rounds": Study(
        commands=_alone("rounds"), unit="mean C2ST, from .5", sides=("several rounds", "one round"), values=_in_rounds,
    ),
    "pool": Study(
        commands=_alone("pool"), unit="GB of memory",
        sides=("training from 10 million trials on disk", "what was asked"),
        values=lambda r: (
            max(r[k]["largest_memory_gb"] for k in ("nre", "nle")), r["required"]["largest_memory_gb"]
        ),
    ),
    "ssms_models": Study(
        commands=_alone("ssms_models"), unit="models of ssm-simulators", higher=True, sides=("work", "there are"),
        values=lambda r: tuple(r["count"][k] for k in ("works", "of")),
    ),
}  # fmt: skip


def stored(name: str) -> Row:
    """Read the one comparison of a study."""
    study, record = STUDIES[name], read(name)
    ours, peer = (float(value) for value in study.values(record))
    row = _row((study.sides[0], ours), (study.sides[1], peer), unit=study.unit)
    return row | {"ratio": ours / peer if study.higher else peer / ours, "source": f"{name}.json"}


def cell(name: str) -> Row:
    """Read in how many CPU seconds a cell of the study of accuracy came close, beside the published settings."""
    record = read("accuracy")["cells"]
    published = next(each for each in CELLS if each.published and name.startswith(f"{each.model}-"))
    verdicts = {key: record[key]["verdict"] for key in (name, published.name)}
    broken = [f"{key}: {verdict['failed']}" for key, verdict in verdicts.items() if "failed" in verdict]
    if broken:
        raise RuntimeError("; ".join(broken))
    ours, peer = verdicts.values()
    words = ("usual settings", f"published settings ({published.method.upper()})")
    row = _row(*zip(words, (ours["cpu_seconds"], peer["cpu_seconds"]), strict=True), unit="CPU s to C2ST .60")
    for side, verdict in zip(("ours", "peer"), (ours, peer), strict=True):
        if not verdict["reached"]:
            spent, accuracy = verdict["cpu_seconds"], verdict["c2st_mean"]
            row[side]["stopped"] = f"not reached within {spent:.0f} s (C2ST {accuracy:.2f})"
    if not ours["reached"] or (not peer["reached"] and peer["cpu_seconds"] < ours["cpu_seconds"]):
        return row | {"ratio": None}  # who is sooner is not known
    row |= {"ratio": peer["cpu_seconds"] / ours["cpu_seconds"]}
    return row | ({} if peer["reached"] else {"bound": "at least"})


def _row(ours: tuple[str, float], peer: tuple[str, float], *, unit: str) -> Row:
    """Put a row of two stored figures together."""
    sides = [
        {"what": what, "repeats": 1, "median": value, "least": value, "largest": value} for what, value in (ours, peer)
    ]
    return {"unit": unit, "kind": BETTER, "ours": sides[0], "peer": sides[1]}


def read(name: str) -> Any:
    """Read a stored result."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{name}.json is not stored. Run make bench-long STUDIES={name}.")
    return json.loads(path.read_text())


def changed(name: str) -> str:
    """Say when a result was last measured: its own date, or that of the commit."""
    record = read(name)
    machine = record.get("machine")
    if isinstance(machine, Mapping) and "date" in machine:
        return str(machine["date"])
    command = ["git", "log", "-1", "--format=%cs", "--", str(RESULTS / f"{name}.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS)
    return done.stdout.strip() or "date unknown"


def told(name: str, make: Callable[[str], Row], which: str) -> Row:
    """Add what is known of the measurement to a row."""
    row, record = make(which), read(name)
    machine = record.get("machine")
    known = machine if isinstance(machine, Mapping) else record
    cores = f", {known['cores']} cores" if "cores" in known else ""
    return row | {"measured": f"{changed(name)}{cores}"}


USUAL = [each.name for each in CELLS if not each.published]
ROWS: dict[str, Callable[[], Row]] = {
    **{f"training, {name}": partial(told, "accuracy", cell, name) for name in USUAL},
    **{name: partial(told, name, stored, name) for name in STUDIES},
}
COMMANDS = {name: study.commands for name, study in STUDIES.items()} | {
    "accuracy": ("benchmarks/accuracy.py --again",),
}
