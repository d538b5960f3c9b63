"""Comparison: learned posteriors against the exact ones, beside what Monte Carlo error alone does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Comparison
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_APART = 0.2  # of learned and floor from the middle of a parameter, where parameters are one apart
_SPREAD = 0.24  # of the data sets, side by side
_ROOM = 0.22  # of the height, for the legend
_LIMIT: dict[str, Any] = {"color": _grid.NOTE, "linewidth": 0.9, "linestyle": ":", "zorder": 1}
_FLOOR = "exact again"


def comparison(
    result: Comparison, *, parameters: Sequence[Parameter] | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Draw shift, ratio of standard deviations and C2ST of every data set.

    Parameters
    ----------
    result : Comparison
        As ``diagnostics.compare`` returns it.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : ndarray of matplotlib.axes.Axes, shape (3,), optional
        Where to draw; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (3,)
        For shifts, sd ratios and C2ST: a point for each data set, and their mean (bar); the learned posterior in the
        colour of its method, a second exact run in black; limits dotted.

    Raises
    ------
    DataError
        If `result` is something else, or `ax` has another length.

    Examples
    --------
    >>> comparison("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Comparison, got str. Make one by diagnostics.compare(...).
    """
    _grid.expect(result, Comparison, remedy="diagnostics.compare(...)")
    names, limits = list(result.learned.shift), result.limits
    symbols = list(_grid.symbols(names, parameters).values())
    with _style.style():
        panels = _grid.panels(ax, 3)
        for side, kind, distance in ((-1, result.kind, result.learned), (1, "exact", result.floor)):
            label = _grid.name(result.kind) if side < 0 else _FLOOR
            for place, name in enumerate(names):
                _group(panels[0], distance.shift[name], place + side * _APART, kind, label=label)
                _group(panels[1], distance.sd_ratio[name], place + side * _APART, kind, label=label)
            _group(panels[2], distance.c2st, side * _APART, kind, label=label)
        worst = limits.shift_worst
        _finish(panels[0], symbols, "shift of the mean (exact sd)", limits=(-worst, 0, worst), of="all")
        low, high = limits.sd_ratio_mean
        _finish(panels[1], symbols, "sd / exact sd", limits=(low, 1, high), of="the mean")
        panels[2].set_xticks([-_APART, _APART], [_grid.name(result.kind), _FLOOR])
        _finish(panels[2], None, "C2ST accuracy", limits=(0.5, limits.c2st_mean), of="the mean")
        _legend(panels[0])
    return panels


def _group(panel: Axes, values: np.ndarray, place: float, kind: str, *, label: str) -> None:
    """Draw the data sets side by side around a place, and their mean."""
    spread = np.linspace(-0.5, 0.5, len(values)) if len(values) > 1 else np.zeros(1)
    colour = _style.colour(kind)
    look: dict[str, Any] = {"markersize": 3.2, "markeredgewidth": 0.6, "markerfacecolor": (colour, 0.45)}
    panel.plot(place + _SPREAD * spread, values, "o", color=colour, label=label, **look)
    half = 0.6 * _SPREAD
    panel.plot([place - half, place + half], [values.mean()] * 2, color=colour, linewidth=1.6)


def _finish(panel: Axes, symbols: list[str] | None, label: str, *, limits: tuple[float, ...], of: str) -> None:
    """Draw what would be perfect and the limits, and name the axes."""
    perfect = limits[len(limits) // 2] if len(limits) == 3 else limits[0]
    for limit in limits:
        if limit == perfect:
            panel.axhline(limit, color=_style.TRUTH, linewidth=0.8, zorder=1)
        else:
            panel.axhline(limit, **_LIMIT)
    if symbols is not None:
        panel.set_xticks(range(len(symbols)), symbols)
        panel.set_xlim(-0.5, len(symbols) - 0.5)
    else:
        panel.set_xlim(-0.5, 0.5)
    panel.set_ylabel(label)
    _grid.head(panel, "", f"dotted: limit of {of}")


def _legend(panel: Axes) -> None:
    """Name both comparisons once, in room above the data."""
    bottom, top = panel.get_ylim()
    panel.set_ylim(bottom, top + _ROOM * (top - bottom))
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    size: dict[str, Any] = {"fontsize": "small", "handlelength": 0.8, "columnspacing": 0.8, "handletextpad": 0.4}
    panel.legend(once.values(), once.keys(), loc="upper left", ncols=2, borderaxespad=0.1, borderpad=0.2, **size)
