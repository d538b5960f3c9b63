"""Draw the checks of the two simplest models, normal draws and counts, side by side.

    python scripts/figures_simple.py [prior] [loss] [calibration] [posteriors] [ppc]

The learned ratios are the shipped ones; their training is not kept, so that the loss is that of short ones, in
runs/figures (a minute, used again). Posteriors and predictive checks are of one simulated data set of each model.
Without names all are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import drawn
import numpy as np

import firstpassage as fp
from firstpassage import diagnostics, plots

SEED = 20_261_130
TRIALS = 50
CALIBRATED = 150
DRAWS = 1000  # of each of four chains
REPLICATES = 200
PRIORS = 2000  # data sets
MODELS = {"gaussian": fp.gaussian(), "poisson": fp.poisson()}
TITLES = {"gaussian": "normal draws", "poisson": "counts"}
COLUMNS = {"gaussian": ("$x$", np.linspace(-15, 15, 61)), "poisson": ("chips in a cookie", np.arange(61) - 0.5)}
TRUTHS = {"gaussian": {"mu": 2.0, "sigma": 1.5}, "poisson": {"rate": 4.0}}
TRAININGS = {  # shorter than those of the shipped ratios
    "gaussian": (393_216, fp.NRE(MODELS["gaussian"], batch=512, epoch_pairs=16_384, validation=16_384)),
    "poisson": (
        1_572_864,
        fp.NRE(MODELS["poisson"], candidates=16, batch=256, epoch_pairs=65_536, validation=16_384, learning_rate=4e-3),
    ),
}


def main() -> None:
    """Draw what is asked for."""
    drawers = {"prior": prior, "loss": loss, "calibration": calibration, "posteriors": posteriors, "ppc": ppc}
    drawn.run(drawers, about=__doc__)


@cache
def data(name: str) -> np.ndarray:
    """Simulate the data set (trial,) of a model."""
    return _simulated(name, {key: np.array([value]) for key, value in TRUTHS[name].items()})[0]


@cache
def draws(name: str) -> dict[str, Any]:
    """Sample its posterior by the exact likelihood and by the learned ratio."""
    methods: dict[str, Any] = {"exact": MODELS[name].exact, "nre": fp.pretrained(name, "nre")}
    return {method: one.sample(data(name), draws=DRAWS, seed=SEED) for method, one in methods.items()}


def prior() -> Iterator[Path]:
    """Draw the data that the priors predict."""
    panels, numbers = _pair(), {}
    for panel, (name, model) in zip(panels, MODELS.items(), strict=True):
        made = _simulated(name, model.prior(PRIORS, seed=SEED)).ravel()
        label, edges = COLUMNS[name]
        density = np.histogram(made, bins=edges)[0] / (len(made) * np.diff(edges))
        with plots.style():
            panel.stairs(density, edges, fill=True, color=plots.COLOURS["prior"], alpha=0.3)
            panel.stairs(density, edges, color=plots.COLOURS["prior"], linewidth=1.3)
            panel.set(xlabel=label, xlim=(edges[0], edges[-1]), title=TITLES[name])
        beyond = float(np.mean((made < edges[0]) | (made >= edges[-1])))
        numbers[name] = {"edges": edges, "density": density, "beyond": beyond}
    panels[0].set_ylabel("density")
    panels[1].set_ylabel("share of cookies")
    caption = (
        f"Data that the prior predicts: n = {PRIORS:,} data sets of {TRIALS} trials of each model; beyond the axes are "
        f"{numbers['gaussian']['beyond']:.1%} and {numbers['poisson']['beyond']:.1%}; seed {SEED}."
    )
    yield from drawn.written(panels, "teaching-prior-predictive", numbers, caption)


def loss() -> Iterator[Path]:
    """Draw the losses of short trainings."""
    panels, numbers, sizes = _pair(), {}, []
    for panel, (name, (budget, settings)) in zip(panels, TRAININGS.items(), strict=True):
        history, n = drawn.history(settings, name=f"{name}-nre", budget=budget, seed=SEED)
        plots.loss(history, method="nre", ax=panel)
        _title(panel, name)
        numbers[name] = drawn.losses(history)
        sizes.append(f"{n:,}")
    caption = (
        f"Loss of NRE on n = {' and '.join(sizes)} simulated trials, each {drawn.SHORT}; validation is on one fixed "
        f"set, so that the two lines may differ by a constant; seed {SEED}."
    )
    yield from drawn.written(panels, "teaching-loss", numbers, caption)


def calibration() -> Iterator[Path]:
    """Draw recovery and ranks of the truth: the first panels are of the normal draws, the last ones of the counts."""
    runs = {
        name: diagnostics.simulated(
            fp.pretrained(name, "nre"), model, datasets=CALIBRATED, trials=TRIALS, seed=SEED
        )
        for name, model in MODELS.items()
    }  # fmt: skip
    recovered = {name: diagnostics.recovery(one) for name, one in runs.items()}
    ranked = {name: diagnostics.sbc(one) for name, one in runs.items()}
    told = (
        f"NRE of normal draws (first) and counts (last), n = {CALIBRATED} data sets of {TRIALS} trials of each "
        f"simulated from the prior; seed {SEED}"
    )
    yield from _beside(recovered, "recovery", plots.recovery, f"Posterior mean and sd against the truth: {told}.")
    words = "Ranks of the truth among posterior draws (SBC)"
    yield from _beside(ranked, "calibration", plots.calibration_histogram, f"{words}: {told}.")
    words = "Ranks of the truth, difference of their ECDF from uniform"
    yield from _beside(ranked, "sbc", plots.calibration_ecdf, f"{words}: {told}.")


def posteriors() -> Iterator[Path]:
    """Draw the posteriors of the data sets, learned and exact."""
    parts = {name: len(model.parameters) for name, model in MODELS.items()}
    panels, numbers = plots.grid(sum(parts.values())), {}
    for name, own in _divided(panels, parts).items():
        same: dict[str, Any] = {"parameters": MODELS[name].parameters, "truth": TRUTHS[name]}
        plots.marginals(draws(name), ax=own, **same)
        numbers[name] = plots.pairs_numbers(draws(name), **same)
        if own[-1] is not panels[-1]:
            own[-1].get_legend().remove()
    caption = (
        f"Posteriors of n = {TRIALS} normal draws (mu, sigma) and of {TRIALS} counts (lambda), learned and "
        f"exact; black lines: truth; {4 * DRAWS:,} draws each; seed {SEED}."
    )
    yield from drawn.written(panels, "teaching-posteriors", numbers, caption)


def ppc() -> Iterator[Path]:
    """Draw statistics of the data sets among those that the learned posteriors predict."""
    panels, numbers = _pair(), {}
    for panel, name in zip(panels, MODELS, strict=True):
        ratio = fp.pretrained(name, "nre")
        found = diagnostics.ppc(ratio, draws(name)["nre"], data(name), seed=SEED, replicates=REPLICATES)
        plots.ppc(found, ax=panel)
        _title(panel, name)
        numbers[name] = plots.numbers(found)
    caption = (
        f"Statistics of the data (black) among those that the posterior by NRE predicts (50 and 90 %): n = {TRIALS} "
        f"trials of each model, {REPLICATES} replicates; seed {SEED}."
    )
    yield from drawn.written(panels, "teaching-ppc", numbers, caption)


def _beside(found: dict[str, Any], kind: str, draw: Any, caption: str) -> Iterator[Path]:
    """Draw a diagnostic of both models in one figure."""
    parts = {name: len(one.truth if kind == "recovery" else one.ranks) for name, one in found.items()}
    panels = plots.grid(sum(parts.values()))
    for name, own in _divided(panels, parts).items():
        draw(found[name], parameters=MODELS[name].parameters, ax=own)
    numbers = {name: plots.numbers(one) for name, one in found.items()}
    yield from drawn.written(panels, f"teaching-{kind}", numbers, caption)


def _divided(panels: np.ndarray, parts: dict[str, int]) -> dict[str, np.ndarray]:
    """Give each model its panels."""
    return dict(zip(parts, np.split(panels, np.cumsum(list(parts.values()))[:-1]), strict=True))


def _pair() -> np.ndarray:
    """Make a panel for each model."""
    return plots.canvas(rows=1, columns=len(MODELS), width=4.1, height=2.8)[0]


def _title(panel: Any, name: str) -> None:
    """Name the model above its panel."""
    with plots.style():
        panel.set_title(TITLES[name])


def _simulated(name: str, theta: dict[str, np.ndarray]) -> np.ndarray:
    """Simulate a data set for each parameter set (n, trial)."""
    (made,) = MODELS[name].likelihood(theta, trials=TRIALS, seed=SEED).values()
    return made


if __name__ == "__main__":
    main()
