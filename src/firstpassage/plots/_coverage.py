"""Coverage: how much oftener or more rarely than they say intervals hold the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Coverage
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_MARKERS = "osD^vPX*<>"
_SPREAD = 0.5  # of the markers around a level, where levels are one apart


def coverage(result: Coverage, *, parameters: Sequence[Parameter] | None = None, ax: Axes | None = None) -> Axes:
    """Draw empirical minus nominal coverage of central intervals, for every parameter and their mean.

    Parameters
    ----------
    result : Coverage
        As ``diagnostics.coverage`` returns it.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        A marker for each parameter and level, with one standard error; the mean over parameters (line); the band that
        the verdict uses, which holds all levels and parameters of a calibrated sampler with probability 1 - alpha.

    Raises
    ------
    DataError
        If `result` is something else.

    Examples
    --------
    >>> coverage("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Coverage, got str. Make one by diagnostics.coverage(simulated).
    """
    _grid.expect(result, Coverage, remedy="diagnostics.coverage(simulated)")
    place = np.arange(len(result.levels))
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        _band(panel, result)
        panel.axhline(0, color=_style.TRUTH, linewidth=0.8)
        _markers(panel, result, _grid.symbols(result.share, parameters))
        colour = _style.colour(result.design.kind)
        mean, error = 100 * (result.mean - result.levels), 100 * result.mean_se
        right = place + _shifts(len(result.share))[-1]
        panel.errorbar(right, mean, yerr=error, color=colour, marker="_", markersize=9, label="mean")
        panel.set_xticks(place, [f"{100 * level:.3g}" for level in result.levels])
        panel.set_xlabel("nominal coverage (%)")
        panel.set_ylabel("empirical − nominal (% points)")
        _regions(panel)
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    return panel


def _band(panel: Axes, result: Coverage) -> None:
    """Draw the limits as one box for each level."""
    low, high = 100 * (result.low - result.levels), 100 * (result.high - result.levels)
    edges = np.arange(len(low) + 1) - 0.5
    panel.stairs(
        high, edges, baseline=low, fill=True, color=_grid.BAND, label=f"{_grid.percent(1 - result.alpha)} band"
    )
    panel.set_xlim(edges[0], edges[-1])


def _markers(panel: Axes, result: Coverage, symbols: dict[str, str]) -> None:
    """Draw every parameter's shares, side by side."""
    colour = _style.colour(result.design.kind)
    look: dict[str, Any] = {
        "linestyle": "none",
        "markersize": 4.5,
        "markerfacecolor": "white",
        "color": colour,
        "elinewidth": 0.7,
    }
    for i, (shift, name) in enumerate(zip(_shifts(len(symbols)), symbols, strict=False)):
        difference = 100 * (result.share[name] - result.levels)
        marker = _MARKERS[i % len(_MARKERS)]
        place = np.arange(len(difference)) + shift
        panel.errorbar(place, difference, yerr=100 * result.se, marker=marker, label=symbols[name], **look)


def _shifts(parameters: int) -> np.ndarray:
    """Spread the markers around a level: one for each parameter, and the mean."""
    return _SPREAD * np.linspace(-0.5, 0.5, parameters + 1)


def _regions(panel: Axes) -> None:
    """Say on both sides of zero what a deviation means, in room of its own."""
    reach = 1.25 * max(map(abs, panel.get_ylim()))
    panel.set_ylim(-reach, reach)
    note: dict[str, Any] = {"transform": panel.transAxes, "ha": "left", "fontsize": "small", "color": _grid.NOTE}
    panel.text(0.02, 0.98, "conservative: intervals too wide", va="top", **note)
    panel.text(0.02, 0.02, "overconfident: too narrow or misplaced", va="bottom", **note)
