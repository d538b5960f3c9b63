"""Draw the figures of the foraging model.

    python scripts/figures_foraging.py [prior] [loss] [calibration] [posteriors] [visits] [information]

The shipped estimators and the exact likelihood answer the same simulated windows. Their training is not kept, so that
the loss is that of a short one, in runs/figures/foraging-npe (a minute, used again). `information` needs the posterior
of the 37 statistics, which is not shipped: python scripts/train_estimators.py foraging-npe-statistics (five minutes).
Without arguments all are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arviz_base
import drawn
import numpy as np

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.errors import DataWarning

SEED = 20_261_122
WINDOWS = 40  # compared with the exact posterior
CALIBRATED = 1000
REPLICATES, TOGETHER = 200, 40  # of the prior: parameter sets, windows of each
FARTHEST = (16, 15, 8)  # distance, stops and rewards that are shown
BUDGET = 98_304  # windows of the short training
METHODS = ("npe", "nle", "nre")


def main() -> None:
    """Draw what is asked for."""
    warnings.simplefilter("ignore", DataWarning)
    drawers = {
        "prior": prior, "loss": loss, "calibration": calibration, "posteriors": posteriors, "visits": visits,
        "information": information,
    }  # fmt: skip
    drawn.run(drawers, about=__doc__)


def prior() -> Iterator[Path]:
    """Draw the visits that the prior predicts: the mean over parameter sets, and how these differ."""
    model = fp.foraging()
    draws = model.prior(REPLICATES, seed=SEED)
    windows = model.likelihood({k: v[:TOGETHER] for k, v in draws.items()}, seed=SEED)["window"][:, 0]
    tree = arviz_base.from_dict({"posterior": {name: values[None] for name, values in draws.items()}})
    found = diagnostics.visits(model.exact, tree, windows, seed=SEED, replicates=REPLICATES)
    panels = plots.visits(found, method="prior", ax=plots.canvas(rows=1, columns=3, width=2.75, height=2.6)[0])
    panels[0].get_legend().get_texts()[0].set_text("all together")
    for panel, last in zip(panels, FARTHEST, strict=True):
        panel.set_xlim(right=last + 0.5)
        panel.set_ylim(bottom=-0.015 * panel.get_ylim()[1])
        for line in panel.lines:
            line.set_clip_on(True)
    caption = (
        f"Visits that the prior predicts: median and central 90 % of n = {REPLICATES} parameter sets, {TOGETHER} "
        f"windows of 100 sites each; points: a window of each of {TOGETHER} parameter sets, all together, "
        f"up to {', '.join(map(str, FARTHEST))}; seed {SEED}."
    )
    yield from drawn.written(panels, "foraging-prior-predictive", found.numbers(), caption)


def loss() -> Iterator[Path]:
    """Draw the loss of a short training."""
    settings = fp.NPE(fp.foraging(), epoch_pairs=6144, validation=4096, learning_rate=1e-3)
    history, n = drawn.history(settings, name="foraging-npe", budget=BUDGET, seed=SEED)
    panel = plots.loss(history, method="npe", ax=plots.grid(1)[0])
    caption = f"Loss of NPE on n = {n:,} simulated windows of 100 sites, {drawn.SHORT}; seed {SEED}."
    yield from drawn.written(panel, "foraging-loss", drawn.losses(history), caption)


def calibration() -> Iterator[Path]:
    """Draw recovery and ranks of the truth, of the amortized posterior of raw windows."""
    runs = diagnostics.simulated(
        fp.pretrained("foraging", "npe"), fp.foraging(), datasets=CALIBRATED, trials=1, seed=SEED
    )
    told = f"NPE on raw windows of 100 sites, {CALIBRATED} windows simulated from the prior; seed {SEED}"
    yield from drawn.calibration(runs, of="foraging", told=told)


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
    yield from drawn.written(panels, "foraging-posteriors", numbers, caption)


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
    yield from drawn.written(plots.visits(found), "foraging-visits", found.numbers(), caption)


def information() -> Iterator[Path]:
    """Draw how much wider posteriors are than the exact ones, for what each is given."""
    statistics = drawn.RUNS / "foraging-npe-statistics"
    if not statistics.exists():
        where = statistics.relative_to(drawn.ROOT)
        print(f"no {where}: the figure is not drawn again. Train with scripts/train_estimators.py {statistics.name}.")
        return
    model = fp.foraging()
    data = list(model.likelihood(model.prior(WINDOWS, seed=SEED), seed=SEED + 1)["window"][:, 0])
    given = {
        "NPE, raw windows": fp.pretrained("foraging", "npe"),
        "NPE, 37 statistics": fp.load(statistics),
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
    yield from drawn.written(panel, "foraging-information", numbers, caption)


if __name__ == "__main__":
    main()
