"""The short tables of README.md: every shipped estimator in one row, and peers beside us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHELF = ROOT / "src" / "firstpassage" / "estimators" / "pretrained"
SHIPPED = {
    "ddm": ("npe", "nle", "nre"),
    "foraging": ("npe", "nle", "nre", "nle-window"),
    "lif": ("npe", "nre"),
    "gaussian": ("nre",),
    "poisson": ("nre",),
}
NAMES = {"npe": "NPE", "nle": "NLE", "nre": "NRE", "nle-window": "NLE on statistics"}


# Rows of the benchmark table that the README shows, by group.
BESIDE = {
    "simulators": ("ddm, 10,000 trials", "foraging, 1,000 windows", "lif, 1,000 traces"),
    "NUTS": None,  # all that stand against a sampler at 2,000 trials
    "fits, calibration, start and memory": ("amortized fits, 100 data sets",),
    "growth with trials, subjects and cores": ("exact log density, 200 trials", "exact log density, 20,000 trials"),
}
TASKS = {"two_moons": "two moons", "slcp": "SLCP", "gaussian_linear": "Gaussian linear"}
METHODS = ("npe", "nle", "nre")


def parts() -> list[str]:
    """List the tables."""
    return [shipped(), *beside(), *own_models()]


def beside() -> list[str]:
    """Tabulate peers beside us, from the table of `make bench`."""
    table = stored("table")
    rows = [] if table is None else [_beside(*row) for row in _chosen(table["groups"])]
    if not rows:
        return []
    head = [
        "Peers beside us, both sides measured in one run of `make bench` (ratio above 1: ours is better; all rows:",
        "[benchmarks/results/TABLE.md](benchmarks/results/TABLE.md)):",
        "",
        "| what | unit | firstpassage | peer | ratio |",
        "|---|---|---|---|---|",
    ]
    return ["\n".join([*head, *rows])]


def _chosen(groups: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Find the rows that are shown and have figures."""
    found = []
    for group, names in BESIDE.items():
        for name, row in groups.get(group, {}).items():
            wanted = name in names if names is not None else name.endswith("2,000 trials")
            if wanted and "failed" not in row:
                found.append((name, row))
    return found


def _beside(name: str, row: dict[str, Any]) -> str:
    """Write one row."""
    bound = f"{row['bound']} " if "bound" in row else ""
    if row["ratio"] is None:
        ratio = "not known"
    else:
        ratio = f"{row['ratio']:.0f}" if row["ratio"] >= 10 else f"{row['ratio']:.2g}"
    return f"| {name} | {row['unit']} | {_side(row['ours'])} | {_side(row['peer'])} | {bound}{ratio} |"


def _side(side: dict[str, Any]) -> str:
    """Write one side."""
    if "stopped" in side:
        return f"{side['what']}: {side['stopped']}"
    value = side["median"]
    return f"{side['what']}: {f'{value:,.0f}' if value >= 100 else f'{value:.3g}'}"


def own_models() -> list[str]:
    """Tabulate the tasks of Lueckmann et al., written as own models, beside the published figures."""
    record = stored("lueckmann")
    if record is None:
        return []
    lines = [
        "Own models with default settings: mean C2ST against reference posteriors after 10,000 simulations on tasks",
        "of Lueckmann et al. (2021), in brackets the figure published there (`benchmarks/lueckmann.py`; lower is",
        "better, .5 is perfect; `of` so many observations, there 10). Two rounds share as many simulations, towards",
        "one observation; in brackets one round on the same observations:",
        "",
        "| task | " + " | ".join(NAMES[method] for method in METHODS) + " | "
        + " | ".join(f"{NAMES[method]}, two rounds" for method in METHODS) + " |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    return ["\n".join([*lines, *(_task(record["cells"], task) for task in TASKS)])]


def _task(cells: dict[str, Any], task: str) -> str:
    """Write one task."""
    found = [cells.get(f"{task} {method} rounds=1") for method in METHODS]
    one = [f"{c['mean']:.3f} of {len(c['observations'])} ({c['published']:.3f})" if c else "" for c in found]
    two = [_in_rounds(cells, f"{task} {method}") for method in METHODS]
    return f"| {TASKS[task]} | {' | '.join(one)} | {' | '.join(two)} |"


def _in_rounds(cells: dict[str, Any], name: str) -> str:
    """Write the mean C2ST of two rounds, and that of one round on the same observations."""
    one, two = (cells.get(f"{name} rounds={rounds}", {}).get("observations", {}) for rounds in (1, 2))
    both = [number for number in two if number in one]
    if not both:
        return ""
    means = [sum(found[number]["c2st"] for number in both) / len(both) for found in (two, one)]
    return f"{means[0]:.3f} of {len(both)} ({means[1]:.3f})"


def shipped() -> str:
    """Tabulate the shipped estimators against the exact posterior."""
    lines = [
        "Shipped estimators against the exact posterior, on simulated data sets: shift of posterior means in posterior",
        "standard deviations, ratio of standard deviations, and C2ST, the accuracy of a classifier that is to tell the",
        "two posteriors apart (.5: it cannot). In brackets a second exact run: no estimator can do better.",
        "",
        "| model | method | trials | training, CPU min | mean shift (floor) | sd ratio | C2ST (floor) | audit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, methods in SHIPPED.items():
        lines += [_row(model, method) for method in methods]
    return "\n".join(lines)


def _row(model: str, method: str) -> str:
    """Write the row of one estimator, at its middle number of trials."""
    audit = json.loads((SHELF / f"{model}-{method}-audit.json").read_text())
    sizes = {name: item for name, item in audit["items"].items() if name.startswith("exact n=")}
    name = list(sizes)[len(sizes) // 2]
    ours, floor = (sizes[name]["numbers"][which] for which in ("learned", "floor"))
    passed = sum(item["state"] == "passed" for item in audit["items"].values())
    kind = "short, " if audit["fast"] else ""
    return (
        f"| {model} | {NAMES[method]} | {name.removeprefix('exact n=')} | {audit['estimator']['cpu_seconds'] / 60:.0f} "
        f"| {ours['shift_mean']:.3f} ({floor['shift_mean']:.3f}) | {ours['sd_ratio_mean']:.2f} "
        f"| {ours['c2st_mean']:.3f} ({floor['c2st_mean']:.3f}) | {kind}{passed} of {len(audit['items'])} |"
    )


def stored(name: str) -> dict[str, Any] | None:
    """Read a stored benchmark, if there is one."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
