"""Draw how close to the exact posterior every method comes, against what its training costs.

    python scripts/figures_accuracy.py

Drawn from the stored benchmark (benchmarks/accuracy.py): one panel for each model, one colour for each method.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drawn

from firstpassage import plots

STORED = drawn.ROOT / "benchmarks" / "results" / "accuracy.json"
MODELS = {
    "gaussian": "normal draws", "poisson": "counts", "ddm": "drift-diffusion model", "foraging": "patch foraging",
    "lif": "integrate-and-fire neuron",
}  # fmt: skip
METHODS = {"npe": "NPE", "nle": "NLE", "nre": "NRE", "nle-window": "NLE of statistics"}
PUBLISHED = "-published"
NOTE = "#595959"
PLAIN = "#8C8C8C"  # of marks that explain the legend


def main() -> None:
    """Draw, and say what was written."""
    if not STORED.exists():
        print(f"no {STORED.relative_to(drawn.ROOT)}: the figure is not drawn. Run make bench-long STUDIES=accuracy.")
        return
    for path in draw(json.loads(STORED.read_text())):
        print(path.relative_to(drawn.ROOT))


def draw(record: dict[str, Any]) -> Iterator[Path]:
    """Draw all models, and a legend in the place of a sixth one."""
    panels = plots.canvas(rows=2, columns=3, width=2.75, height=2.5).ravel()
    numbers: dict[str, Any] = {}
    with plots.style():
        for panel, model in zip(panels, MODELS, strict=False):
            numbers[model] = cells(record, model)
            show(panel, model, numbers[model], floor=record["floor"].get(model), stated=record["design"]["stated_c2st"])
        legend(panels[len(MODELS)])
    sets = ", ".join(f"{MODELS[name]} n = {told['data_sets']}" for name, told in record["design"]["models"].items())
    caption = (
        "Accuracy of a classifier that is to tell learned from exact posteriors (mean C2ST; .5: it cannot), against "
        "CPU seconds of training, simulation and compilation included. Each mark is a training from scratch with a "
        "schedule of its own; diamonds are the shipped estimators, whose seconds are those of their cards; open marks "
        "are published settings. Dotted: the stated accuracy; grey: up to that of a second exact run. Data sets: "
        f"{sets}; seed {record['design']['seed']}."
    )
    yield from drawn.written(panels, "accuracy-cost", numbers, caption)


def cells(record: dict[str, Any], model: str) -> dict[str, Any]:
    """Take seconds and C2ST of the cells of a model."""
    found = {}
    for name, cell in record["cells"].items():
        if name.split("-")[0] == model:
            rows, shipped = [row for row in cell["trainings"] if "failed" not in row], cell.get("shipped")
            found[name.removeprefix(f"{model}-")] = {
                "cpu_seconds": [row["cpu_seconds"] for row in rows], "c2st": [row["c2st_mean"] for row in rows],
                "shipped": shipped and {key: shipped[key] for key in ("cpu_seconds", "c2st_mean")},
            }  # fmt: skip
    return found


def show(panel: Any, model: str, found: dict[str, Any], *, floor: dict[str, Any] | None, stated: float) -> None:
    """Draw one model."""
    if floor is not None:
        panel.axhspan(0.4, max(floor["c2st_mean"], 0.5), color="#D2D2D2", linewidth=0)
    panel.axhline(stated, color=NOTE, linestyle=":", linewidth=0.9)
    for name, cell in found.items():
        method, published = name.removesuffix(PUBLISHED), name.endswith(PUBLISHED)
        colour = plots.COLOURS[method]
        shape: dict[str, Any] = {"linestyle": ":", "markerfacecolor": "white"} if published else {"linestyle": "-"}
        panel.plot(cell["cpu_seconds"], cell["c2st"], marker="o", markersize=4.5, color=colour, **shape)
        if cell["shipped"]:
            shipped = cell["shipped"]
            panel.plot(shipped["cpu_seconds"], shipped["c2st_mean"], "D", markersize=6.5, color=colour)
    panel.set_xscale("log")
    panel.set_xlim(1.5, 6000)
    panel.set_ylim(0.48, 1.02)
    panel.set_title(MODELS[model])
    panel.set_xlabel("CPU seconds of training")
    panel.set_ylabel("C2ST")


def legend(panel: Any) -> None:
    """Explain colours and marks, without a panel."""
    from matplotlib.lines import Line2D

    marks = [
        *(Line2D([], [], color=plots.COLOURS[method], marker="o", label=name) for method, name in METHODS.items()),
        Line2D([], [], color=PLAIN, marker="o", markerfacecolor="white", linestyle=":", label="published settings"),
        Line2D([], [], color=PLAIN, marker="D", markersize=6.5, linestyle="none", label="shipped estimator"),
        Line2D([], [], color=NOTE, linestyle=":", linewidth=0.9, label="stated accuracy"),
        Line2D([], [], color="#D2D2D2", linewidth=6, label="up to a second exact run"),
    ]
    panel.axis("off")
    panel.legend(handles=marks, loc="center", frameon=False)


if __name__ == "__main__":
    main()
