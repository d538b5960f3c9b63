"""Draw the drifts of Cavanagh's subjects by condition, learned against exact.

    python scripts/figures_hierarchical.py [--results benchmarks/results/hierarchical_ddm.json] [--into figures]

The numbers are those of benchmarks/hierarchical_ddm.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import firstpassage as fp
from firstpassage import plots

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "hierarchical_ddm.json"
NAME = "hierarchical-ddm.png"
LABELS = {"exact": "exact", "nre": "NRE", "nle": "NLE"}
CONDITIONS = {"LL": "LL (two losing)", "WL": "WL (win against lose)", "WW": "WW (two winning)"}
_APART = 0.24  # rows between methods
_WIDE = 1.645  # sd of a central interval of 90 %


def main() -> None:
    """Draw, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path, default=ROOT / "figures")
    options = parser.parse_args()
    report = json.loads(options.results.read_text())
    fits = {kind: report[kind] for kind in LABELS if kind in report}
    path = plots.save(
        drawn(fits)[0].figure, options.into / NAME, caption=caption(report["design"], fits), numbers=numbers(fits)
    )
    print(path)


def drawn(fits: Mapping[str, Any]) -> np.ndarray:
    """Draw one panel for each condition: subjects in the order of their exact drift in the first, the group on top."""
    first = next(iter(fits.values()))["subject_v"]
    order = np.argsort(np.array(first["mean"])[:, 0])
    panels = plots.canvas(rows=1, columns=len(first["stim"]), width=2.8, height=4.2)[0]
    with plots.style():
        for column, (ax, condition) in enumerate(zip(panels, first["stim"], strict=True)):
            for place, (kind, one) in enumerate(fits.items()):
                shift = (place - (len(fits) - 1) / 2) * _APART
                panel(ax, kind, one, order=order, column=column, shift=shift)
            ax.axhspan(len(order) - 0.5, len(order) + 0.5, color="#EDEDED", zorder=0)
            ax.axvline(0, color="#8C8C8C", linewidth=0.6, zorder=0)
            ax.set_title(CONDITIONS.get(condition, condition))
            ax.set_xlabel("$v$ (1/s)")
            ax.set_ylim(-0.7, len(order) + 0.5)
            ax.set_yticks(range(len(order) + 1), [])
        names = [str(first["participant_id"][i]) for i in order]
        panels[0].set_yticks(range(len(order) + 1), [*names, "group"])
        panels[0].set_ylabel("participant")
        panels[0].legend(loc="lower right")
        low, high = zip(*(ax.get_xlim() for ax in panels), strict=True)
        for ax in panels:
            ax.set_xlim(min(low), max(high))
    return panels


def panel(ax: Any, kind: str, one: Mapping[str, Any], *, order: np.ndarray, column: int, shift: float) -> None:
    """Draw the means and central 90 % of one method in one condition."""
    subjects = one["subject_v"]
    mean, low, high = (np.array(subjects[key])[order, column] for key in ("mean", "low", "high"))
    group = one["group_v"][f"v[{subjects['stim'][column]}]"]
    mean = np.append(mean, group["mean"])
    low = np.append(low, group["mean"] - _WIDE * group["sd"])
    high = np.append(high, group["mean"] + _WIDE * group["sd"])
    ax.errorbar(
        mean, np.arange(len(mean)) + shift, xerr=[mean - low, high - mean], fmt="o", markersize=2.6, linewidth=1.0,
        color=plots.COLOURS[kind], label=LABELS[kind],
    )  # fmt: skip


def numbers(fits: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is drawn."""
    return {kind: {"subjects": one["subject_v"], "group": one["group_v"]} for kind, one in fits.items()}


def caption(design: Mapping[str, Any], fits: Mapping[str, Any]) -> str:
    """Say what is to be seen."""
    draws = design["chains"] * design["draws"]
    methods = ", ".join(LABELS[kind] for kind in fits)
    return (
        f"Drift of each subject and of the group (mean over the subjects) by condition in a hierarchical model, by "
        f"{methods}: posterior means and central 90 %. Data: {design['data']}, n = {design['trials']} trials of "
        f"{design['subjects']} subjects; v ~ {design['formulas']['v']}; {draws} draws each; seed {design['seed']}; "
        f"firstpassage {fp.__version__}."
    )


if __name__ == "__main__":
    main()
