"""Marginals: the posterior of every parameter, methods laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage import _draws
from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.models.parameter import Parameter


def marginals(
    draws: Mapping[str, xr.DataTree],
    *,
    parameters: Sequence[Parameter],
    truth: Mapping[str, float] | None = None,
    ax: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the marginal posterior densities of several methods.

    Parameters
    ----------
    draws : mapping of str to DataTree
        Posterior draws by method: ``{"nre": ..., "exact": ...}``.
    parameters : sequence of Parameter
        One panel each; their labels name the axes.
    truth : mapping of str to float, optional
        Parameters that made the data: a solid black line.
    ax : ndarray of matplotlib.axes.Axes, optional
        One for each parameter; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (parameter,)
        The panels.

    Raises
    ------
    DataError
        If a parameter is missing from the draws, or `ax` has another length.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> draws = arviz_base.from_dict({"posterior": {"v": np.random.default_rng(1).normal(size=(2, 50))}})
    >>> marginals({"nre": draws}, parameters=[fp.Parameter("v", bounds=(-3, 3))])[0].get_xlabel()
    'v'
    """
    values = {method: _draws.scalars(tree) for method, tree in draws.items()}
    _check(values, parameters)
    with _style.style():
        panels = _style.shown(columns=len(parameters)) if ax is None else np.asarray(ax).ravel()
        if len(panels) != len(parameters):
            raise DataError(f"ax must hold {len(parameters)} axes, one per parameter; got {len(panels)}.")
        for panel, parameter in zip(panels, parameters, strict=True):
            _panel(panel, {m: v[parameter.name].ravel() for m, v in values.items()})
            panel.set_xlabel(parameter.label)
            if truth is not None:
                panel.axvline(truth[parameter.name], color=_style.TRUTH, linewidth=1.2, label="truth")
        _grid.outer(panels, y="posterior density")
        above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.02, 1.0), "borderpad": 0.0}
        _last_of_first_row(panels).legend(ncols=4, handlelength=1.4, columnspacing=1.0, **above)
    return panels


def _last_of_first_row(panels: np.ndarray) -> Axes:
    """Choose the panel above which there is room."""
    places = [panel.get_subplotspec() for panel in panels]
    rows = [place.rowspan.start if place else 0 for place in places]
    return panels[max(i for i, row in enumerate(rows) if row == min(rows))]


def _check(values: Mapping[str, Mapping[str, np.ndarray]], parameters: Sequence[Parameter]) -> None:
    """Refuse parameters that a method has no draws of."""
    if not values or not parameters:
        raise DataError('draws and parameters must not be empty. Pass {"nre": draws} and model.parameters.')
    for method, drawn in values.items():
        missing = [p.name for p in parameters if p.name not in drawn]
        if missing:
            raise DataError(f"the draws of {method} have {', '.join(drawn)}, but no {', '.join(missing)}.")


def _panel(panel: Axes, values: Mapping[str, np.ndarray]) -> None:
    """Draw one parameter."""
    for place, (method, drawn) in enumerate(values.items()):
        grid, density = _density(drawn)
        colour, name = _style.colour(method, place), _style.NAMES.get(method, method)
        panel.plot(grid, density, color=colour, linestyle=_style.dashes(method), label=name)
        if method != "exact":
            panel.fill_between(grid, density, color=colour, alpha=0.15, linewidth=0)
    everything = np.concatenate([v.ravel() for v in values.values()])
    low, high = np.quantile(everything, (0.0005, 0.9995))
    margin = 0.05 * (high - low) or 0.05
    panel.set_xlim(low - margin, high + margin)
    panel.set_ylim(bottom=0)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.locator_params(axis="x", nbins=5, prune="both")


def _density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate a density that stops at the outermost draws, so that nothing is drawn where no draw is."""
    from arviz_stats.base import array_stats

    if np.ptp(values) == 0:
        raise DataError(f"draws must vary; all are {values[0]:g}.")
    grid, density, _ = array_stats.kde(values)
    return grid, density
