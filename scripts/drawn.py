"""What the programs that draw figures share: which are asked for, how they are written, and two kinds of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from firstpassage import diagnostics, plots

ROOT = Path(__file__).resolve().parent.parent
FIGURES, RUNS = ROOT / "figures", ROOT / "runs"
SHORT = "a short training of the script that draws this figure, not that of the shipped estimator"


def run(drawers: Mapping[str, Callable[[], Iterable[Path]]], *, about: str | None) -> None:
    """Draw the figures that the command line names, or all."""
    show(drawers, asked=parser(drawers, about=about).parse_args().figures)


def parser(names: Iterable[str], *, about: str | None) -> argparse.ArgumentParser:
    """Make the parser of a program that draws some figures."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("figures", nargs="*", help=f"some of {', '.join(names)}")
    return made


def show(drawers: Mapping[str, Callable[[], Iterable[Path]]], *, asked: list[str]) -> None:
    """Draw what is asked for, all if nothing is, and say what was written."""
    if not set(asked) <= set(drawers):
        raise SystemExit(f"there are {', '.join(drawers)}; got {' '.join(asked)}")
    FIGURES.mkdir(exist_ok=True)
    for name in asked or drawers:
        for path in drawers[name]():
            print(path.relative_to(ROOT))


def calibration(runs: diagnostics.Simulated, *, of: str, told: str) -> Iterator[Path]:
    """Draw recovery and ranks of the truth, of data sets simulated from the prior."""
    parameters = runs.parameters
    recovered, ranked = diagnostics.recovery(runs), diagnostics.sbc(runs)
    panels = plots.recovery(recovered, parameters=parameters, ax=plots.grid(len(parameters)))
    yield from saved(panels, f"{of}-recovery", recovered, f"Posterior mean and sd against the truth: {told}.")
    ranks = plots.calibration_histogram(ranked, parameters=parameters, ax=plots.grid(len(ranked.ranks)))
    yield from saved(ranks, f"{of}-calibration", ranked, f"Ranks of the truth among posterior draws (SBC): {told}.")
    curves = plots.calibration_ecdf(ranked, parameters=parameters, ax=plots.grid(len(ranked.ranks)))
    yield from saved(curves, f"{of}-sbc", ranked, f"Ranks of the truth, difference of their ECDF from uniform: {told}.")


def history(settings: Any, *, name: str, budget: int, seed: int) -> tuple[pd.DataFrame, int]:
    """Train into runs/figures unless that was done; give the loss of every epoch, and the number of simulations."""
    into = RUNS / "figures" / name
    learned = settings.fit(budget=budget, seed=seed, into=into)
    return pd.read_csv(into / "history.csv"), learned.card["pairs"]


def losses(found: pd.DataFrame) -> dict[str, np.ndarray]:
    """Take what a figure of the loss shows."""
    return {name: found[name].to_numpy() for name in ("epoch", "loss", "validation_loss")}


def saved(panels: Any, name: str, found: Any, caption: str) -> Iterator[Path]:
    """Save panels with the numbers of a result."""
    yield from written(panels, name, plots.numbers(found), caption)


def written(panels: Any, name: str, numbers: Any, caption: str) -> Iterator[Path]:
    """Save the figure that panels belong to."""
    path = plots.save(np.ravel(panels)[0].figure, FIGURES / f"{name}.png", numbers=numbers, caption=caption)
    yield from (path, path.with_suffix(".json"))
