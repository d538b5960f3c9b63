"""Recovery: posterior means against the parameters that made the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Recovery
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter


def recovery(
    result: Recovery, *, parameters: Sequence[Parameter] | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Draw posterior mean and sd against the truth, for each parameter and data set.

    Parameters
    ----------
    result : Recovery
        As ``diagnostics.recovery`` returns it.
    parameters : sequence of Parameter, optional
        For labels, symbol (unit); plain names if None.
    ax : ndarray of matplotlib.axes.Axes, optional
        One for each parameter; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (parameter,)
        Points with bars of one posterior sd, the identity (black), correlation and root mean squared error.

    Raises
    ------
    DataError
        If `result` is something else, or `ax` has another length.

    Examples
    --------
    >>> recovery("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Recovery, got str. Make one by diagnostics.recovery(simulated).
    """
    _grid.expect(result, Recovery, remedy="diagnostics.recovery(simulated)")
    with _style.style():
        panels = _grid.panels(ax, len(result.truth))
        labels = _grid.labels(result.truth, parameters)
        for panel, name in zip(panels, result.truth, strict=True):
            _panel(panel, result, name)
            panel.set_xlabel("true " + labels[name].replace(" (", "\n(", 1))
        _grid.outer(panels, y="posterior mean, sd")
    return panels


def _panel(panel: Axes, result: Recovery, name: str) -> None:
    """Draw one parameter on two equal axes."""
    truth, mean, sd = result.truth[name], result.mean[name], result.sd[name]
    low, high = min(truth.min(), (mean - sd).min()), max(truth.max(), (mean + sd).max())
    margin = 0.04 * (high - low) or 0.5
    panel.axline((low, low), slope=1, color=_style.TRUTH, linewidth=0.9, zorder=1)
    colour = _style.colour(result.design.kind)
    bars: dict[str, Any] = {"elinewidth": 0.7, "ecolor": (colour, 0.35)}
    panel.errorbar(truth, mean, yerr=sd, fmt="o", markersize=2.6, markeredgewidth=0, color=(colour, 0.7), **bars)
    panel.set_xlim(low - margin, high + margin)
    panel.set_ylim(low - margin, high + margin)
    panel.locator_params(nbins=3)
    found = result.parameters[name]
    _grid.head(panel, "", f"r {found.correlation:.2f}, RMSE {found.rmse:.2g}")
