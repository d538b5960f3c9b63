"""Predictive: response times of the data against those that the posterior predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from firstpassage.diagnostics import ResponseTimes, response_times
from firstpassage.models import choices
from firstpassage.plots import _style


def predictive(data: Any, replicates: np.ndarray, *, method: str = "nre", ax: Axes | None = None) -> Axes:
    """Draw the densities of rt by response: upwards for the upper boundary, downwards for the lower.

    Parameters
    ----------
    data : DataFrame or array_like, shape (trial, 2)
        rt in seconds, response +1 or -1.
    replicates : ndarray, shape (replicate, trial, 2)
        As ``diagnostics.predictive`` returns them.
    method : str
        Whose posterior made them: gives the colour.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        With the data (grey), the predictive median (line) and the band of 90 % of the replicates.

    Raises
    ------
    DataError
        If data or replicates have a wrong form.

    Examples
    --------
    >>> data = np.array([[0.5, 1.0], [0.7, -1.0], [0.9, 1.0]])
    >>> predictive(data, np.stack([data, data])).get_xlabel()
    'response time (s)'
    """
    found = response_times(choices.read(data), replicates)
    with _style.style():
        panel = _style.shown(columns=1)[0] if ax is None else ax
        colour = _style.colour(method)
        for side, sign in (("upper", 1.0), ("lower", -1.0)):
            _side(panel, found, side=side, sign=sign, colour=colour)
        _finish(panel)
        _legend(panel, method)
    return panel


def _side(panel: Axes, found: ResponseTimes, *, side: str, sign: float, colour: str) -> None:
    """Draw data, band and median of one response, upwards or downwards."""
    observed, low, median, high = (sign * x[side] for x in (found.observed, found.low, found.median, found.high))
    panel.stairs(observed, found.edges, fill=True, facecolor=_style.OBSERVED_FILL)
    panel.stairs(observed, found.edges, baseline=0, color=_style.OBSERVED, linewidth=0.9)
    panel.stairs(high, found.edges, baseline=low, fill=True, color=colour, alpha=0.3, linewidth=0)
    panel.stairs(median, found.edges, baseline=0, color=colour, linewidth=1.3)


def _legend(panel: Axes, method: str) -> None:
    """Name what is drawn, once for both sides."""
    colour, name = _style.colour(method), _style.NAMES.get(method, method)
    keys = [
        Patch(facecolor=_style.OBSERVED_FILL, edgecolor=_style.OBSERVED, label="data"),
        Line2D([], [], color=colour, linewidth=1.3, label=f"{name} median"),
        Patch(facecolor=colour, alpha=0.3, linewidth=0, label="90 % band"),
    ]
    panel.legend(handles=keys, loc="upper right", bbox_to_anchor=(1.0, 0.92), handlelength=1.4, borderpad=0.1)


def _finish(panel: Axes) -> None:
    """Name axes and sides; both sides show positive densities."""
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set_xlabel("response time (s)")
    panel.set_ylabel("density (1/s)")
    bottom, top = panel.get_ylim()
    panel.set_ylim(1.15 * bottom, 1.15 * top)
    panel.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    size = 9  # points, as the legend
    panel.text(0.99, 0.02, "lower (-1)", transform=panel.transAxes, ha="right", va="bottom", fontsize=size)
    panel.text(0.99, 0.98, "upper (+1)", transform=panel.transAxes, ha="right", va="top", fontsize=size)
