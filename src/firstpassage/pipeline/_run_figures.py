"""Figures of a run: posterior and pairs of the observation, its predictive check, recovery and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import Ppc, Recovery, Sbc
from firstpassage.models.model import Model

if TYPE_CHECKING:
    import xarray as xr

_PRIOR = 10_000  # draws of a joint prior, for its densities
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROW, _AROUND = 0.24, 0.9  # inches of a row of a predictive check, and of what is around the rows
_WIDTH = 8.2  # inches, of a report's column
_WIDEST = 2.6  # inches of a panel

Draws = Mapping[str, "xr.DataTree"]


def posterior(folder: Path, draws: Draws, *, model: Model, truth: Mapping[str, float] | None, about: str) -> Path:
    """Draw marginal posteriors, methods laid over each other; `about` says n and seed."""
    from firstpassage import plots

    panels = plots.grid(len(model.parameters))
    plots.marginals(draws, parameters=model.parameters, truth=truth, ax=panels)
    numbers = {method: _quantiles(tree) for method, tree in draws.items()}
    caption = f"Marginal posterior densities of {model.name}; {about}."
    found = {"truth": dict(truth) if truth else None, "quantiles": numbers}
    return plots.save(panels[0].figure, folder / "posterior.png", numbers=found, caption=caption)


def pairplot(
    folder: Path, draws: Draws, *, model: Model, truth: Mapping[str, float] | None, about: str, seed: int
) -> Path:
    """Draw the posterior densities of all parameters and pairs of them."""
    from firstpassage import plots

    number = len(model.parameters)
    side = min(_WIDTH / number, _WIDEST)
    panels = plots.canvas(rows=number, columns=number, width=side, height=side)
    prior = None if model.joint is None else model.prior(_PRIOR, seed=seeds.derive(seed, "prior of pairs"))
    plots.pairs(draws, parameters=model.parameters, truth=truth, prior=prior, ax=panels)
    caption = f"Posterior densities of {model.name}: regions that hold 50 and 90 % of the draws; {about}."
    found = plots.pairs_numbers(draws, parameters=model.parameters, truth=truth)
    return plots.save(panels[0, 0].figure, folder / "pairplot.png", numbers=found, caption=caption)


def ppc(folder: Path, found: Ppc, *, model: Model, about: str) -> Path:
    """Draw statistics of the observation among those of replicates."""
    from firstpassage import plots

    panels = plots.ppc(found, ax=plots.grid(1, height=_AROUND + _ROW * len(found.names)))
    caption = f"Statistics of the data of {model.name} among {len(found.replicated)} replicates; {about}."
    return plots.save(panels[0].figure, folder / "ppc.png", numbers=plots.numbers(found), caption=caption)


def recovery(folder: Path, found: Recovery, *, model: Model) -> Path:
    """Draw posterior means against truths."""
    from firstpassage import plots

    panels = plots.recovery(found, parameters=model.parameters, ax=plots.grid(len(model.parameters)))
    caption = f"Posterior mean and sd against the truth; {_design(found)}."
    return plots.save(panels[0].figure, folder / "recovery.png", numbers=plots.numbers(found), caption=caption)


def sbc(folder: Path, found: Sbc, *, model: Model) -> Path:
    """Draw how ranks differ from uniform ones."""
    from firstpassage import plots

    panels = plots.calibration_ecdf(found, parameters=model.parameters, ax=plots.grid(len(found.ranks)))
    caption = f"Ranks of the truth among posterior draws: difference from uniform, with 95 % bands; {_design(found)}."
    return plots.save(panels[0].figure, folder / "sbc.png", numbers=plots.numbers(found), caption=caption)


def _design(found: Recovery | Sbc) -> str:
    """Say n and the seed."""
    return f"{found.design.words}, seed {found.design.seed}"


def _quantiles(tree: Any) -> dict[str, dict[str, float]]:
    """List the quantiles of every parameter."""
    return {
        str(name): dict(zip(map(str, _QUANTILES), np.quantile(values, _QUANTILES).tolist(), strict=True))
        for name, values in tree["posterior"].dataset.data_vars.items()
    }
