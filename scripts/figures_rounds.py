"""Draw what several rounds gain over one, of a window of foraging.

    python benchmarks/rounds.py --tasks foraging; python scripts/figures_rounds.py

Reads benchmarks/results/rounds.json; writes figures/rounds.png and its numbers.
"""

from __future__ import annotations

import json

import drawn
import pandas as pd

from firstpassage import plots

RESULTS = drawn.ROOT / "benchmarks" / "results" / "rounds.json"
TASK = "foraging"


def main() -> None:
    """Draw the figure, and say what was written."""
    report = json.loads(RESULTS.read_text())
    rows = []
    for key, cell in report["cells"].items():
        name, method, simulations, rounds, number = key.split("/")
        if name == TASK:
            place = {"method": method, "simulations": int(simulations), "rounds": int(rounds), "observation": number}
            rows.append({**place, "c2st": cell["c2st"], "shift_mean": cell["shift_mean"]})
    table = pd.DataFrame(rows).sort_values(["method", "rounds", "simulations", "observation"])
    design, cell = report["design"], ["method", "rounds", "simulations"]
    table = table[table.groupby(cell)["c2st"].transform("size") == design["observations"]]  # means of the same windows
    panels = plots.budget(table, ax=plots.canvas(rows=1, columns=2, width=3.3, height=2.8)[0])
    caption = (
        "Distance from the exact posterior of a window of 100 sites, by NPE and NLE of its 37 statistics, against the "
        f"number of simulations in all rounds; n = {design['observations']} windows; seed {design['seed']}."
    )
    numbers = {name: table[name].to_numpy() for name in ("simulations", "rounds", "c2st", "shift_mean")}
    numbers["method"] = table["method"].to_list()
    for path in drawn.written(panels, "rounds", numbers, caption):
        print(path.relative_to(drawn.ROOT))


if __name__ == "__main__":
    main()
