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


def parts() -> list[str]:
    """List the tables."""
    return [shipped()]


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
