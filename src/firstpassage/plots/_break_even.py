"""Break-even: what fitting many data sets costs, by method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage import diagnostics
from firstpassage.diagnostics import BreakEven, Cost
from firstpassage.plots import _grid, _style

_FEWEST = 1000  # data sets that the axis reaches at least
_BEYOND = 10  # times the last crossing, that the axis reaches
_POINTS = 200  # of a line, which is curved on logarithmic axes


def break_even(costs: Mapping[str, Cost], *, ax: Axes | None = None) -> Axes:
    """Draw the CPU seconds of training and fitting against the number of data sets fitted.

    Parameters
    ----------
    costs : mapping of str to Cost
        By method. Their numbers and crossings: ``diagnostics.break_even(costs).numbers()``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each method on logarithmic axes; a ring where two cost the same, with the number of data sets where
        the cheapest method changes; beside the axes, all those numbers.

    Raises
    ------
    DataError
        If there are no costs, or they are something else.

    Examples
    --------
    >>> from firstpassage.diagnostics import Cost
    >>> costs = {"npe": Cost(training=600, each=0.1), "exact": Cost(training=0, each=6.1)}
    >>> break_even(costs).get_xlabel()
    'number of data sets fitted'
    """
    found = diagnostics.break_even(costs)
    last = max([crossing.datasets for crossing in found.crossings], default=1.0)
    n = np.geomspace(1, 10 ** math.ceil(math.log10(max(_FEWEST, _BEYOND / 2 * last))), _POINTS)
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        for i, (method, cost) in enumerate(found.costs.items()):
            colour, dashes = _style.colour(method, i), _style.dashes(method)
            panel.loglog(n, cost.training + cost.each * n, color=colour, linestyle=dashes, label=_grid.name(method))
        _crossings(panel, found)
        panel.set_xlim(n[0], n[-1])
        panel.set_xlabel("number of data sets fitted")
        panel.set_ylabel("total cost (CPU s)")
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    return panel


def _crossings(panel: Axes, found: BreakEven) -> None:
    """Ring the crossings, number those where the cheapest method changes, and list all beside the axes."""
    ring: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 6,
        "markerfacecolor": "none",
        "color": _style.TRUTH,
    }
    for crossing in found.crossings:
        panel.plot(crossing.datasets, crossing.seconds, **ring)
        cheapest = min(cost.total(crossing.datasets) for cost in found.costs.values())
        if math.isclose(crossing.seconds, cheapest, rel_tol=1e-9):
            place: dict[str, Any] = {"xytext": (5, -5), "textcoords": "offset points", "ha": "left", "va": "top"}
            panel.annotate(_count(crossing.datasets), (crossing.datasets, crossing.seconds), **place)
    if found.crossings:
        lines = [f"{_grid.name(c.method)} < {_grid.name(c.other)}: {_count(c.datasets)}" for c in found.crossings]
        text = "\n".join(["cheaper from n =", *lines])
        panel.text(1.03, 0.0, text, transform=panel.transAxes, va="bottom", fontsize="small", color=_grid.NOTE)


def _count(datasets: float) -> str:
    """Write the least whole number of data sets above a crossing."""
    return f"{math.ceil(datasets):,}"
