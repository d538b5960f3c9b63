"""Draw the figures of the foraging model.

    python scripts/figures_foraging.py [calibration] [posteriors] [visits] [information]

The shipped estimators and the exact likelihood answer the same simulated windows. `information` needs the posterior of
the 37 statistics, which is not shipped: python scripts/train_estimators.py foraging-npe-statistics (five minutes).
Without arguments all are drawn.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.errors import DataWarning

ROOT = Path(__file__).resolve().parent.parent
FIGURES, RUNS = ROOT / "figures", ROOT / "runs"
SEED = 20_261_122
WINDOWS = 40  # compared with the exact posterior
CALIBRATED = 1000
METHODS = ("npe", "nle", "nre")


def main() -> None:
    """Draw what is asked for, and say what was written."""
    drawers = {"calibration": calibration, "posteriors": posteriors, "visits": visits, "information": information}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", help=f"some of {', '.join(drawers)}")
    chosen = parser.parse_args().figures or list(drawers)
    if not set(chosen) <= set(drawers):
        parser.error(f"there are {', '.join(drawers)}; got {' '.join(chosen)}")
    FIGURES.mkdir(exist_ok=True)
    warnings.simplefilter("ignore", DataWarning)
    for name in chosen:
        for path in drawers[name]():
            print(path.relative_to(ROOT))


def calibration() -> Iterator[Path]:
    """Draw recovery and ranks of the truth, of the amortized posterior of raw windows."""
    model, posterior = fp.foraging(), fp.pretrained("foraging", "npe")
    runs = diagnostics.simulated(posterior, model, datasets=CALIBRATED, trials=1, seed=SEED)
    told = f"NPE on raw windows of 100 sites, {CALIBRATED} windows simulated from the prior; seed {SEED}"
    recovered, ranked = diagnostics.recovery(runs), diagnostics.sbc(runs)
    panels = plots.recovery(recovered, parameters=model.parameters, ax=plots.grid(len(model.parameters)))
    yield from _saved(panels, "recovery", recovered, f"Posterior mean and sd against the truth: {told}.")
    ranks = plots.calibration_histogram(ranked, parameters=model.parameters, ax=plots.grid(len(ranked.ranks)))
    yield from _saved(ranks, "calibration", ranked, f"Ranks of the truth among posterior draws (SBC): {told}.")
    curves = plots.calibration_ecdf(ranked, parameters=model.parameters, ax=plots.grid(len(ranked.ranks)))
    yield from _saved(curves, "sbc", ranked, f"Ranks of the truth, difference of their ECDF from uniform: {told}.")


def posteriors() -> Iterator[Path]:
    """Draw the posterior of one window by all methods."""
    model = fp.foraging()
    theta = {"drift_rate": 0.4, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.15}
    window = model.likelihood({k: np.array([v]) for k, v in theta.items()}, seed=SEED)["window"][0, 0]
    draws: dict[str, Any] = {"exact": model.exact.sample(window, draws=1000, seed=1)}
    for method in METHODS:
        learned = fp.pretrained("foraging", method)
        draws[method] = learned.sample(window, draws=4000 if method == "npe" else 1000, seed=1)
    panels = plots.pairs(draws, parameters=model.parameters, truth=theta)
    numbers = plots.pairs_numbers(draws, parameters=model.parameters, truth=theta)
    caption = f"Posterior of one window of 100 sites by all methods; black: truth; 4,000 draws each; seed {SEED}."
    yield from _written(panels, "posteriors", numbers, caption)


def visits() -> Iterator[Path]:
    """Draw the visits of the example session that the posterior predicts."""
    model, table = fp.foraging(), fp.example("foraging")
    table = table[table["odor"] == "B"]
    draws = model.exact.sample(table, draws=1000, seed=1)
    found = diagnostics.visits(model.exact, draws, table, seed=SEED)
    caption = (
        f"Visits of the example session to patches of odor B (points) and {found.replicates} replicates from the exact "
        f"posterior (median, central 90 %): n = {found.whole} visits; seed {SEED}."
    )
    yield from _written(plots.visits(found), "visits", found.numbers(), caption)


def information() -> Iterator[Path]:
    """Draw how much wider posteriors are than the exact ones, for what each is given."""
    model = fp.foraging()
    data = list(model.likelihood(model.prior(WINDOWS, seed=SEED), seed=SEED + 1)["window"][:, 0])
    given = {
        "NPE, raw windows": fp.pretrained("foraging", "npe"),
        "NPE, 37 statistics": fp.load(RUNS / "foraging-npe-statistics"),
        "NLE, 23 statistics": fp.pretrained("foraging", "nle-window"),
        "NLE, decisions": fp.pretrained("foraging", "nle"),
        "NRE, decisions": fp.pretrained("foraging", "nre"),
    }
    found: dict[str, diagnostics.Information] = {}
    for name, estimator in given.items():
        known = next(iter(found.values()), None)
        found[name] = diagnostics.information(estimator, model.exact, data, seed=SEED, known=known)
    caption = (
        f"Posterior over exact standard deviation: median and 10 to 90 % of n = {WINDOWS} windows of 100 sites from "
        f"the prior; seed {SEED}. Statistics lose information; 1 would lose none."
    )
    numbers = {name: one.numbers() for name, one in found.items()}
    panel = plots.information(found, parameters=model.parameters)
    yield from _written(np.array([panel]), "information", numbers, caption)


def _saved(panels: np.ndarray, name: str, found: Any, caption: str) -> Iterator[Path]:
    """Save panels with the numbers of a result."""
    yield from _written(panels, name, plots.numbers(found), caption)


def _written(panels: np.ndarray, name: str, numbers: Any, caption: str) -> Iterator[Path]:
    """Save the figure that panels belong to."""
    path = plots.save(np.ravel(panels)[0].figure, FIGURES / f"foraging-{name}.png", numbers=numbers, caption=caption)
    yield from (path, path.with_suffix(".json"))


if __name__ == "__main__":
    main()
