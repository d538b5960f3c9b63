"""Figures of a run: marginals, pairs and posterior predictive of each group, with their numbers.

matplotlib is loaded when the first one is drawn, so that bad input is refused quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import diagnostics, seeds
from firstpassage.errors import ModelError
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.pipeline._fit import Fit

_REPLICATES = 200
_WIDTH = 8.2  # inches, of a report's column
_BESIDE = 4  # panels in a row that are large enough to read
_PRIOR = 10_000  # draws of a joint prior, for its densities
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def marginals(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw one row of marginal posteriors for each group, methods laid over each other.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.
    path : Path
        Of the PNG.
    model : Model
        Its parameters are the columns.
    seed : int
        Of the run, for the caption.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    many = len(model.parameters) > _BESIDE and len(rows) == 1
    size = len(model.parameters)
    panels = plots.grid(size)[None] if many else plots.canvas(rows=len(rows), columns=size, height=2.1)
    numbers = {}
    for axes, (name, fits) in zip(panels, rows.items(), strict=True):
        plots.marginals({fit.method: fit.draws for fit in fits}, parameters=model.parameters, ax=axes)
        numbers[name] = {fit.method: _quantiles(fit) for fit in fits}
    _tidy(panels, list(rows))
    caption = f"Marginal posterior densities of {model.name}; {counts(rows)}; seed {seed}."
    return plots.save(panels[0, 0].figure, path, numbers=numbers, caption=caption)


def predictive(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw one row of predicted and observed response times for each group, one panel for each method.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.
    path : Path
        Of the PNG.
    model : Model
        For the caption.
    seed : int
        Of the run; the replicates derive theirs.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    columns = max(len(fits) for fits in rows.values())
    panels = plots.canvas(rows=len(rows), columns=columns, width=4.2, height=2.6)
    numbers: dict[str, Any] = {}
    for axes, (name, fits) in zip(panels, rows.items(), strict=True):
        for panel, fit in zip(axes, fits, strict=False):
            numbers.setdefault(name, {})[fit.method] = _predict(fit, panel, seed=seed)
    _tidy(panels, list(rows))
    caption = (
        f"Response times of the data and of {_REPLICATES} data sets of the same size simulated from the "
        f"posterior of {model.name}: median and central 90 %; upper boundary upwards, lower downwards; "
        f"{counts(rows)}; seed {seed}."
    )
    return plots.save(panels[0, 0].figure, path, numbers=numbers, caption=caption)


def pairs(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw the posterior densities of all parameters and pairs of them, of one group.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of one group, by its name.
    path : Path
        Of the PNG.
    model : Model
        Its parameters are the rows and columns.
    seed : int
        Of the run, for the caption.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    number = len(model.parameters)
    side = _WIDTH / number
    panels = plots.canvas(rows=number, columns=number, width=side, height=side)
    drawn = {fit.method: fit.draws for fits in rows.values() for fit in fits}
    prior = None if model.joint is None else model.prior(_PRIOR, seed=seeds.derive(seed, "prior of pairs"))
    plots.pairs(drawn, parameters=model.parameters, prior=prior, ax=panels)
    caption = (
        f"Posterior densities of {model.name}: regions that hold 50 and 90 % of the draws, and marginal densities with "
        f"the prior's (dotted); {counts(rows)}; seed {seed}."
    )
    found = plots.pairs_numbers(drawn, parameters=model.parameters)
    return plots.save(panels[0, 0].figure, path, numbers=found, caption=caption)


def visits(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw one row of predicted and observed visits to patches for each group and method.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.
    path : Path
        Of the PNG.
    model : Model
        Its exact likelihood reads and simulates visits, whatever the method.
    seed : int
        Of the run; the replicates derive theirs.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    if model.exact is None:
        raise ModelError(f"{model.name} has no exact likelihood that reads and simulates visits.")
    fits = [fit for some in rows.values() for fit in some]
    panels = plots.canvas(rows=len(fits), columns=3, width=2.75, height=2.6)
    numbers: dict[str, Any] = {}
    for axes, fit in zip(panels, fits, strict=True):
        own = seeds.derive(seed, f"visits {fit.group.name} {fit.method}")
        found = diagnostics.visits(model.exact, fit.draws, fit.group.data, seed=own, replicates=_REPLICATES)
        plots.visits(found, method=fit.method, ax=axes)
        numbers.setdefault(fit.group.name, {})[fit.method] = found.numbers()
    _tidy(panels, [fit.group.name for fit in fits], legends=True)
    caption = (
        f"Visits of the data and of {_REPLICATES} data sets of the same size simulated from the posterior of "
        f"{model.name}: median and central 90 %. Distance and stops of whole visits, those cut off by the end of the "
        f"recording left out; the share of arrivals at a site that leave, by the rewards taken in the patch before; "
        f"{counts(rows)}; seed {seed}."
    )
    return plots.save(panels[0, 0].figure, path, numbers=numbers, caption=caption)


def counts(rows: Mapping[str, Sequence[Fit]]) -> str:
    """Say how many trials each group has, and which draws were corrected.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.

    Returns
    -------
    str
        For a caption.
    """
    groups = [(name, fits[0].group) for name, fits in rows.items()]
    sizes = [f"{name}: n = {g.trials} {g.noun.removesuffix('s') if g.trials == 1 else g.noun}" for name, g in groups]
    corrected = {fit.method for fits in rows.values() for fit in fits if "correct" in fit.draws.attrs}
    return "; ".join([*sizes, *(f"{method} corrected by the exact likelihood" for method in sorted(corrected))])


def _tidy(panels: np.ndarray, names: Sequence[str], *, legends: bool = False) -> None:
    """Name the rows at their left, and keep the axis labels of the last, and the legends of the first or of all."""
    from firstpassage import plots

    last = len(names) - 1
    with plots.style():
        for row, name in enumerate(names):
            if name != "all":
                panels[row, 0].set_title(name)
            for panel in panels[row]:
                if row < last:
                    panel.set_xlabel("")
                legend = panel.get_legend()
                if row > 0 and legend is not None and not legends:
                    legend.remove()


def _quantiles(fit: Fit) -> dict[str, dict[str, float]]:
    """List the quantiles of every parameter."""
    posterior = fit.draws["posterior"].dataset
    return {
        str(name): dict(zip(map(str, _QUANTILES), np.quantile(values, _QUANTILES).tolist(), strict=True))
        for name, values in posterior.data_vars.items()
    }


def _predict(fit: Fit, panel: Any, *, seed: int) -> dict[str, Any]:
    """Draw one predictive panel and return its numbers."""
    from firstpassage import plots

    data = fit.estimator.read(fit.group.data)
    own = seeds.derive(seed, f"predictive {fit.group.name} {fit.method}")
    replicates = diagnostics.predictive(fit.estimator, fit.draws, data, seed=own, replicates=_REPLICATES)
    plots.predictive(data, replicates, method=fit.method, ax=panel)
    found = diagnostics.response_times(data, replicates)
    return asdict(found)
