"""Traces: voltage and spikes of a neuron, observed and as the posterior predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from firstpassage.diagnostics import Traces
from firstpassage.plots import _grid, _style

_HEIGHT = 2.6  # inches
_FAINT = 0.28  # of the band
_THIN = 0.7  # points, of the data
_ABOVE, _ROOM = 0.04, 0.34  # shares of the height: of the row of spikes above the voltage, and of all that is above
_MOST = 60  # bins of a histogram; beyond, some counts share one
_PRIOR: dict[str, Any] = {"color": _style.COLOURS["prior"], "linewidth": 1.1, "linestyle": ":"}  # as in pairs


def traces(found: Traces, *, method: str = "exact", ax: Axes | np.ndarray | None = None) -> np.ndarray:
    """Draw the voltage of each trace (black, with its spikes above) over the predictive median and 90 % band.

    Parameters
    ----------
    found : Traces
        As ``diagnostics.traces`` returns it.
    method : str
        Whose posterior made the replicates: gives the colour; that of the exact likelihood is grey here, since the data
        are black.
    ax : matplotlib.axes.Axes or ndarray of them, optional
        One for each trace; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (trace,)
        Voltage (mV) against time (ms).

    Raises
    ------
    DataError
        If `found` is something else, or `ax` has another length.

    Examples
    --------
    >>> traces("no traces")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Traces, got str. Make one by diagnostics.traces.
    """
    _grid.expect(found, Traces, remedy="diagnostics.traces")
    with _style.style():
        panels = _panels(ax, len(found.voltage))
        for i, panel in enumerate(panels):
            _voltage(panel, found, i, _colour(method))
        _grid.outer(panels, x="time (ms)", y="voltage (mV)")
        _keys(panels[0], method)
    return panels


def spike_counts(found: Traces, *, method: str = "exact", ax: Axes | None = None) -> Axes:
    """Draw how many spikes posterior (filled) and prior (dotted) predict, and how many there were (black).

    Parameters
    ----------
    found : Traces
        As ``diagnostics.traces`` returns it.
    method : str
        Whose posterior made the replicates: gives the colour, as in `traces`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        Share of the replicates by their number of spikes over all traces.

    Raises
    ------
    DataError
        If `found` is something else.

    Examples
    --------
    >>> spike_counts("no traces")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Traces, got str. Make one by diagnostics.traces.
    """
    _grid.expect(found, Traces, remedy="diagnostics.traces")
    observed, ours, prior = int(found.spikes.sum()), found.posterior, found.prior
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        colour, edges = _colour(method), _edges(observed, ours.counts, prior.counts)
        shares = [np.histogram(some, bins=edges)[0] / len(some) for some in (ours.counts, prior.counts)]
        panel.stairs(shares[0], edges, fill=True, color=colour, alpha=_FAINT)
        panel.stairs(shares[0], edges, color=colour, linewidth=1.4)
        panel.stairs(shares[1], edges, baseline=0, **_PRIOR)
        panel.axvline(observed, color=_style.TRUTH, linewidth=1.4)
        panel.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.08 * max(map(np.max, shares))))
        panel.set_xlabel("spikes" if len(found.voltage) == 1 else f"spikes in {len(found.voltage)} traces")
        panel.set_ylabel("share of replicates")
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        _grid.head(panel, "", f"mid-p {ours.mid_p:.2f}, prior {prior.mid_p:.2f}")
        side = "right" if 2 * observed < edges[-1] else "left"  # where the data are not
        panel.legend(handles=_names(method), loc=f"upper {side}", handlelength=1.2, borderpad=0.1)
    return panel


def _names(method: str) -> list[Any]:
    """Name what the figure of counts shows."""
    colour = _colour(method)
    return [
        Patch(facecolor=(colour, _FAINT), edgecolor=colour, label=_grid.name(method)),
        Line2D([], [], label="prior", **_PRIOR), Line2D([], [], color=_style.TRUTH, linewidth=1.4, label="data"),
    ]  # fmt: skip


def _panels(ax: Axes | np.ndarray | None, number: int) -> np.ndarray:
    """Take the axes given, or stack new ones that are as wide as a report's column."""
    if ax is not None:
        return _grid.panels(ax, number)
    import matplotlib.pyplot as plt

    return plt.subplots(number, 1, figsize=(_grid.WIDTH, _HEIGHT * number), squeeze=False)[1][:, 0]


def _colour(method: str) -> str:
    """Return the colour of a method; grey for the exact one, whose black is that of the data."""
    return _style.OBSERVED if method == "exact" else _style.colour(method)


def _voltage(panel: Axes, found: Traces, i: int, colour: str) -> None:
    """Draw one trace."""
    time, ours = found.time, found.posterior
    panel.fill_between(time, ours.low[i], ours.high[i], color=colour, alpha=_FAINT, linewidth=0)
    panel.plot(time, ours.median[i], color=colour, linewidth=1.3)
    panel.plot(time, found.voltage[i], color=_style.TRUTH, linewidth=_THIN)
    low = min(ours.low[i].min(), found.voltage[i].min())
    high = max(ours.high[i].max(), found.voltage[i].max())
    height = high - low
    spikes = time[found.spikes[i] > 0]
    panel.vlines(spikes, high + _ABOVE * height, high + 3 * _ABOVE * height, color=_style.TRUTH, linewidth=1.2)
    panel.set_xlim(time[0], time[-1])
    panel.set_ylim(low - _ABOVE * height, high + (_ROOM if i == 0 else 4 * _ABOVE) * height)


def _edges(observed: int, *counts: np.ndarray) -> np.ndarray:
    """Give each count a bin; where there are too many, a few counts share one."""
    highest = max(observed, *(int(some.max()) for some in counts))
    width = -(-(highest + 1) // _MOST)
    return np.arange(0, highest + width + 1, width) - 0.5


def _keys(panel: Axes, method: str) -> None:
    """Name what is drawn, above the spikes."""
    colour = _colour(method)
    keys = [
        Line2D([], [], color=_style.TRUTH, linewidth=_THIN, label="data, spikes"),
        Line2D([], [], color=colour, linewidth=1.3, label=f"{_grid.name(method)} median"),
        Patch(facecolor=colour, alpha=_FAINT, linewidth=0, label="90 % band"),
    ]
    panel.legend(handles=keys, loc="upper center", ncols=3, handlelength=1.4, columnspacing=1.2, borderpad=0.1)
