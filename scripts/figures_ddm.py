"""Draw the figures of the drift-diffusion model.

    python scripts/figures_ddm.py [prior] [loss] [calibration] [posteriors] [ppc]

The estimators are the shipped ones; their training is not kept, so that the loss is that of a short one, in
runs/figures/ddm-npe (a minute, used again). Posteriors and predictive checks are of one simulated data set. Without
names all are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import drawn
import numpy as np

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.errors import DataWarning

SEED = 20_261_130
TRIALS = 200
CALIBRATED = 1000
DRAWS = 4000
REPLICATES = 200
PRIORS, LATEST = 500, 8  # data sets; s, of their response times shown
TRUTH = {"v": 0.8, "a": 1.2, "z": 0.45, "t": 0.35}
BUDGET = 245_760  # data sets of the short training


def main() -> None:
    """Draw what is asked for."""
    warnings.simplefilter("ignore", DataWarning)
    drawers = {"prior": prior, "loss": loss, "calibration": calibration, "posteriors": posteriors, "ppc": ppc}
    drawn.run(drawers, about=__doc__)


@cache
def data() -> np.ndarray:
    """Simulate the data set (trial, 2)."""
    return _choices({name: np.array([value]) for name, value in TRUTH.items()})[0]


@cache
def draws() -> dict[str, Any]:
    """Sample its posterior by each method."""
    model = fp.ddm()
    learned = {method: fp.pretrained("ddm", method) for method in ("npe", "nle", "nre")}
    likelihoods: dict[str, Any] = {"exact": model.exact, "nle": learned["nle"], "nre": learned["nre"]}
    sampled = {name: one.sample(data(), draws=DRAWS // 4, seed=SEED) for name, one in likelihoods.items()}
    return sampled | {"npe": learned["npe"].sample(data(), draws=DRAWS, seed=SEED)}


def prior() -> Iterator[Path]:
    """Draw the response times that the prior predicts, and how data sets of it differ."""
    made = _choices(fp.ddm().prior(PRIORS, seed=SEED))
    panels = plots.canvas(rows=1, columns=2, width=4.1, height=2.8)[0]
    with plots.style():
        numbers = _pooled(panels[0], made.reshape(-1, 2)) | _spread(panels[1], made)
    caption = (
        f"What the prior predicts, n = {PRIORS} data sets of {TRIALS} trials. Left: response times of all of them, "
        f"upper boundary upwards, lower downwards; {numbers['beyond']:.1%} are beyond {LATEST} s. Right: each data set "
        f"a dot; seed {SEED}."
    )
    yield from drawn.written(panels, "ddm-prior-predictive", numbers, caption)


def _pooled(panel: Any, trials: np.ndarray) -> dict[str, Any]:
    """Draw the density of the response times of trials (n, 2) by response."""
    edges, numbers = np.linspace(0, LATEST, 41), {"beyond": float(np.mean(trials[:, 0] > LATEST))}
    colour = plots.COLOURS["prior"]
    for side, sign, place in (("upper (+1)", 1, 0.98), ("lower (-1)", -1, 0.04)):
        counts = np.histogram(trials[trials[:, 1] == sign, 0], bins=edges)[0]
        density = counts / (len(trials) * np.diff(edges))
        panel.stairs(sign * density, edges, fill=True, color=colour, alpha=0.3)
        panel.stairs(sign * density, edges, baseline=0, color=colour, linewidth=1.3)
        panel.text(0.99, place, side, transform=panel.transAxes, ha="right", va="top" if sign > 0 else "bottom")
        numbers[side] = density
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set(xlabel="response time (s)", ylabel="density (1/s)", xlim=(0, LATEST))
    panel.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    return numbers | {"edges": edges}


def _spread(panel: Any, made: np.ndarray) -> dict[str, Any]:
    """Draw the share of upper responses of each data set (n, trial, 2) against its median response time."""
    median, share = np.median(made[..., 0], axis=1), np.mean(made[..., 1] > 0, axis=1)
    panel.plot(median, share, ".", color=plots.COLOURS["prior"], markersize=3, alpha=0.6, clip_on=False)
    panel.set(xlabel="median response time (s)", ylabel="share of upper responses", ylim=(0, 1))
    panel.set_xlim(left=0)
    return {"median rt": median, "share of upper responses": share}


def loss() -> Iterator[Path]:
    """Draw the loss of a short training."""
    settings = fp.NPE(fp.ddm(), trials=TRIALS, epoch_pairs=12_288, validation=8192)
    history, n = drawn.history(settings, name="ddm-npe", budget=BUDGET, seed=SEED)
    panel = plots.loss(history, method="npe", ax=plots.grid(1)[0])
    caption = f"Loss of NPE on n = {n:,} simulated data sets of {TRIALS} trials, {drawn.SHORT}; seed {SEED}."
    yield from drawn.written(panel, "ddm-loss", drawn.losses(history), caption)


def calibration() -> Iterator[Path]:
    """Draw recovery and ranks of the truth, of the amortized posterior."""
    posterior = fp.pretrained("ddm", "npe")
    runs = diagnostics.simulated(posterior, fp.ddm(), datasets=CALIBRATED, trials=TRIALS, seed=SEED)
    told = f"NPE, n = {CALIBRATED} data sets of {TRIALS} trials simulated from the prior; seed {SEED}"
    yield from drawn.calibration(runs, of="ddm", told=told)


def posteriors() -> Iterator[Path]:
    """Draw the posterior of the data set by all methods."""
    same: dict[str, Any] = {"parameters": fp.ddm().parameters, "truth": TRUTH}
    caption = (
        f"Posterior of one simulated data set of n = {TRIALS} trials by all methods; black lines: truth; {DRAWS:,} "
        f"draws each; seed {SEED}."
    )
    numbers = plots.pairs_numbers(draws(), **same)
    yield from drawn.written(plots.pairs(draws(), **same), "ddm-posteriors", numbers, caption)


def ppc() -> Iterator[Path]:
    """Draw the response times that the posteriors predict, and statistics of them."""
    exact: Any = fp.ddm().exact
    panels = plots.canvas(rows=1, columns=2, width=4.1, height=2.8)[0]
    numbers = {}
    for panel, method in zip(panels, ("npe", "exact"), strict=True):
        made = diagnostics.predictive(exact, draws()[method], data(), seed=SEED, replicates=REPLICATES)
        plots.predictive(data(), made, method=method, ax=panel)
        numbers[method] = asdict(diagnostics.response_times(data(), made))
    told = f"one simulated data set of n = {TRIALS} trials, {REPLICATES} replicates; seed {SEED}"
    caption = f"Response times (grey), and those that the posterior predicts (median, central 90 %): {told}."
    yield from drawn.written(panels, "ddm-ppc", numbers, caption)
    posterior = fp.pretrained("ddm", "npe")
    found = diagnostics.ppc(posterior, draws()["npe"], data(), seed=SEED, replicates=REPLICATES)
    panels = plots.ppc(found, ax=plots.canvas(rows=1, columns=1, width=5.2, height=4.8).ravel())
    caption = f"Statistics of the data (black) among those that the posterior by NPE predicts (50 and 90 %): {told}."
    yield from drawn.saved(panels, "ddm-ppc-statistics", found, caption)


def _choices(theta: dict[str, np.ndarray]) -> np.ndarray:
    """Simulate a data set for each parameter set (n, trial, 2)."""
    made = fp.ddm().likelihood(theta, trials=TRIALS, seed=SEED)
    return np.stack([made["rt"], made["response"]], axis=-1)


if __name__ == "__main__":
    main()
