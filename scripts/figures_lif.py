"""Draw the figures of the integrate-and-fire neuron.

    python scripts/figures_lif.py [prior] [loss] [calibration] [posteriors] [ppc] [--estimator FOLDER]

The amortized posterior is the shipped one unless a folder is given; its loss is read from the folder that it was
trained in, runs/lif-npe unless given. Posteriors and predictive checks are of the first trace of the example recording.
Without names all are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import arviz_base
import drawn
import numpy as np
import pandas as pd

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.errors import DataWarning

SEED = 20_261_129
CALIBRATED = 1000
DRAWS = 4000
REPLICATES = 200
SHOWN = 2  # traces of the prior


def main() -> None:
    """Draw what is asked for, and say what was written."""
    parser = drawn.parser(Figures.NAMES, about=__doc__)
    parser.add_argument("--estimator", type=Path, help="a trained folder, or a bundle")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DataWarning)
    drawer = Figures(arguments.estimator)
    drawn.show({name: getattr(drawer, name) for name in Figures.NAMES}, asked=arguments.figures)


class Figures:
    """Draw figures of one estimator, which is loaded when the first one needs it."""

    NAMES = ("prior", "loss", "calibration", "posteriors", "ppc")

    def __init__(self, estimator: Path | None) -> None:
        self.folder = estimator
        self.model = fp.lif()

    @cached_property
    def npe(self) -> Any:
        """The amortized posterior."""
        return fp.pretrained("lif", "npe") if self.folder is None else fp.load(self.folder)

    @cached_property
    def trace(self) -> pd.DataFrame:
        """The first trace of the example recording."""
        table = fp.example("lif")
        return table[table["trace"] == table["trace"].iloc[0]].drop(columns="trace")

    @cached_property
    def draws(self) -> dict[str, Any]:
        """Posterior draws of that trace by each method."""
        exact: Any = self.model.exact
        return {
            "npe": self.npe.sample(self.trace, draws=DRAWS, seed=SEED),
            "exact": exact.sample(self.trace, draws=DRAWS // 4, seed=SEED),
        }

    def prior(self) -> Iterator[Path]:
        """Draw what the prior predicts, and traces of some of its neurons."""
        draws = self.model.prior(REPLICATES, seed=SEED)
        made = self.model.likelihood({k: v[:SHOWN] for k, v in draws.items()}, seed=SEED)
        tree = arviz_base.from_dict({"posterior": {name: values[None] for name, values in draws.items()}})
        data = {name: values[:, 0] for name, values in made.items()}
        found = diagnostics.traces(self.model, tree, data, seed=SEED, replicates=REPLICATES)
        panels = plots.traces(found, method="prior", ax=_stack(SHOWN))
        caption = (
            f"Voltage that the prior predicts (median and central 90 % of {REPLICATES} neurons), and traces of {SHOWN} "
            f"neurons of the prior (black, spikes above); seed {SEED}."
        )
        yield from drawn.written(panels, "lif-prior-predictive", {"drawn": found.drawn()}, caption)

    def loss(self) -> Iterator[Path]:
        """Draw how training went."""
        path = (self.folder if self.folder is not None else drawn.RUNS / "lif-npe") / "history.csv"
        if not path.exists():
            print(f"no {path}: the loss is not drawn again. Train with scripts/train_estimators.py lif-npe.")
            return
        history = pd.read_csv(path)
        panel = plots.loss(history, method="npe", ax=plots.grid(1)[0])
        card = self.npe.card
        caption = f"Loss of NPE on n = {card['pairs']:,} simulated traces; seed {card['seed']}."
        yield from drawn.written(panel, "lif-loss", drawn.losses(history), caption)

    def calibration(self) -> Iterator[Path]:
        """Draw recovery and ranks of the truth."""
        runs = diagnostics.simulated(self.npe, self.model, datasets=CALIBRATED, trials=1, seed=SEED)
        told = f"NPE, {CALIBRATED} traces simulated from the prior; seed {SEED}"
        yield from drawn.calibration(runs, of="lif", told=told)

    def posteriors(self) -> Iterator[Path]:
        """Draw the posterior of the trace by both methods: pairs, and marginal densities."""
        truth = self._truth()
        told = f"n = 1 trace of the example recording; black: truth; {DRAWS:,} draws each; seed {SEED}"
        same: dict[str, Any] = {"parameters": self.model.parameters, "truth": truth}
        prior = self.model.prior(DRAWS, seed=SEED)
        numbers = plots.pairs_numbers(self.draws, **same)
        panels = plots.pairs(self.draws, prior=prior, **same)
        yield from drawn.written(
            panels, "lif-posteriors", numbers, f"Posterior by NPE and by the exact likelihood: {told}."
        )
        panels = plots.marginals(self.draws, ax=plots.grid(len(self.model.parameters)), **same)
        yield from drawn.written(panels, "lif-marginals", numbers, f"Marginal posterior densities: {told}.")

    def ppc(self) -> Iterator[Path]:
        """Draw the voltage and the spikes that the amortized posterior predicts."""
        found = diagnostics.traces(self.model, self.draws["npe"], self.trace, seed=SEED, replicates=REPLICATES)
        told = f"n = 1 trace of the example recording, {REPLICATES} replicates from the posterior by NPE"
        numbers = found.numbers() | {"drawn": found.drawn()}
        caption = f"Voltage (black, spikes above), and its predictive median and central 90 %: {told}; seed {SEED}."
        yield from drawn.written(plots.traces(found, method="npe", ax=_stack(1)), "lif-ppc-voltage", numbers, caption)
        panel = plots.spike_counts(found, method="npe", ax=plots.grid(1)[0])
        caption = f"Spikes (black), and those predicted by the posterior and by the prior: {told}; seed {SEED}."
        yield from drawn.written(panel, "lif-ppc-spikes", found.numbers(), caption)

    def _truth(self) -> dict[str, float]:
        """Take the parameters that made the example."""
        return {name: float(fp.example("lif").attrs["truth"][name]) for name in self.model.parameter_names}


def _stack(rows: int) -> np.ndarray:
    """Make panels one above another."""
    return plots.canvas(rows=rows, columns=1, width=8.2, height=2.2)[:, 0]


if __name__ == "__main__":
    main()
