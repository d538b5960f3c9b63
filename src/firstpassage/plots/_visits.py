"""Visits: how far, how many stops and when an animal left patches, of the data and as the posterior predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from firstpassage.diagnostics import Banded, Visits
from firstpassage.plots import _grid, _style

_HEIGHT = 2.6  # inches
_HEADROOM = 1.08  # of all panels
_LEGEND = 1.5  # of the first one
_FAINT = 0.25  # of the band
_DATA: dict[str, Any] = {
    **{"marker": "o", "linestyle": "", "markersize": 4.5, "markerfacecolor": "white", "clip_on": False},
    **{"markeredgecolor": "#404040", "zorder": 3},
}


def visits(found: Visits, *, method: str = "exact", ax: np.ndarray | None = None) -> np.ndarray:
    """Draw residence, stops and leaves of the data (points) with median and central 90 % of the replicates.

    Parameters
    ----------
    found : Visits
        As ``diagnostics.visits`` returns it.
    method : str
        Whose posterior made the replicates: gives the colour.
    ax : ndarray of matplotlib.axes.Axes, shape (3,), optional
        Where to draw; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (3,)
        Density of the distance on leaving; share of visits by their stops; share of arrivals at a site on which the
        animal left, by the rewards that it had taken in the patch.

    Raises
    ------
    DataError
        If `found` is something else, or there are not three axes.

    Examples
    --------
    >>> import numpy as np
    >>> from firstpassage.diagnostics import Banded, Visits
    >>> bars = Banded(at=np.arange(3.0), observed=np.ones(2), median=np.ones(2), low=np.zeros(2), high=np.ones(2))
    >>> line = Banded(at=np.arange(2), observed=bars.low, median=bars.low, low=bars.low, high=bars.high)
    >>> numbers = dict(arrivals=np.array([9, 5]), whole=7, cut=0, replicates=2, seed=1)
    >>> panels = visits(Visits(residence=bars, stops=bars, hazard=line, **numbers))
    >>> panels[2].get_xlabel()
    'rewards taken in the patch'
    """
    _grid.expect(found, Visits, remedy="diagnostics.visits")
    with _style.style():
        panels = _grid.panels(ax, 3, height=_HEIGHT)
        colour = _style.colour(method)
        for panel, bars in zip(panels, (found.residence, found.stops), strict=False):
            _bars(panel, bars, colour)
        _points(panels[2], found.hazard, colour)
        _label(panels)
        _legend(panels[0], method)
    return panels


def _bars(panel: Axes, bars: Banded, colour: str) -> None:
    """Draw bins: band and median as steps, the data as points at their middles."""
    panel.stairs(bars.high, bars.at, baseline=bars.low, fill=True, color=colour, alpha=_FAINT, linewidth=0)
    panel.stairs(bars.median, bars.at, baseline=0, color=colour, linewidth=1.3)
    panel.plot((bars.at[1:] + bars.at[:-1]) / 2, bars.observed, **_DATA)
    panel.set_xlim(bars.at[0], bars.at[-1])
    panel.set_ylim(0, _HEADROOM * max(bars.high.max(), bars.observed.max()))


def _points(panel: Axes, curve: Banded, colour: str) -> None:
    """Draw shares at whole numbers."""
    panel.fill_between(curve.at, curve.low, curve.high, color=colour, alpha=_FAINT, linewidth=0)
    panel.plot(curve.at, curve.median, color=colour, linewidth=1.3)
    panel.plot(curve.at, curve.observed, **_DATA)
    panel.set_xlim(curve.at[0] - 0.3, max(curve.at[-1], curve.at[0] + 1) + 0.3)
    panel.set_ylim(0, min(1.0, _HEADROOM * max(np.nanmax(curve.high), np.nanmax(curve.observed), 0.05)))


def _label(panels: np.ndarray) -> None:
    """Name the axes; counts have whole numbers."""
    labels = (
        ("distance in the patch (88.73 cm)", "density (1 / 88.73 cm)"),
        ("stops in the patch", "share of visits"),
        ("rewards taken in the patch", "leaves per arrival"),
    )
    for panel, (x, y) in zip(panels, labels, strict=True):
        panel.set_xlabel(x)
        panel.set_ylabel(y)
    for panel in panels[1:]:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _legend(panel: Axes, method: str) -> None:
    """Name what is drawn, in the upper right, where the density of distances is low."""
    colour = _style.colour(method)
    keys = [
        Line2D([], [], **_DATA, label="data"),
        Line2D([], [], color=colour, linewidth=1.3, label=f"{_grid.name(method)} median"),
        Patch(facecolor=colour, alpha=_FAINT, linewidth=0, label="90 % band"),
    ]
    panel.set_ylim(top=_LEGEND * panel.get_ylim()[1])
    panel.legend(handles=keys, loc="upper right", handlelength=1.4, borderpad=0.1)
