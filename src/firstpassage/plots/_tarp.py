"""Tarp: expected coverage of credible balls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Tarp
from firstpassage.plots import _grid, _style


def tarp(result: Tarp, *, ax: Axes | None = None) -> Axes:
    """Draw the expected coverage of credible balls against their credibility.

    Parameters
    ----------
    result : Tarp
        As ``diagnostics.tarp`` returns it.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        The coverage (coloured), the identity (black) and the band that a calibrated sampler stays within with
        probability 1 - alpha. The title has the test's p.

    Raises
    ------
    DataError
        If `result` is something else.

    Examples
    --------
    >>> tarp("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Tarp, got str. Make one by diagnostics.tarp(simulated).
    """
    _grid.expect(result, Tarp, remedy="diagnostics.tarp(simulated)")
    level, coverage = (np.concatenate([[0.0], x, [1.0]]) for x in (result.level, result.coverage))
    method = result.design.kind
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        low, high = np.maximum(level - result.critical, 0), np.minimum(level + result.critical, 1)
        panel.fill_between(
            level, low, high, color=_grid.BAND, linewidth=0, label=f"{_grid.percent(1 - result.alpha)} band"
        )
        panel.plot([0, 1], [0, 1], color=_style.TRUTH, linewidth=0.9)
        panel.plot(level, coverage, color=_style.colour(method), label=_grid.name(method))
        panel.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
        panel.set_xlabel("credibility level")
        panel.set_ylabel("expected coverage")
        panel.legend(loc="upper left")
        _grid.head(panel, "", _grid.chance(result.p))
    return panel
