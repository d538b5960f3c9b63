"""Predictive check: statistics of the data among those of replicates, on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from firstpassage.diagnostics import Ppc
from firstpassage.plots import _grid, _style

_FARTHEST = 4.0  # sd of the replicates; data beyond are drawn as arrows at the edge
_ROW, _AROUND = 0.24, 0.9  # inches of a row, and of what is above and below the rows
_WIDTHS = {0.9: 2.0, 0.5: 5.0}  # points, by share of the replicates


def ppc(result: Ppc, *, ax: Axes | np.ndarray | None = None) -> np.ndarray:
    """Draw each statistic of the data among those of the replicates, less their median and over their sd.

    Parameters
    ----------
    result : Ppc
        As ``diagnostics.ppc`` returns it.
    ax : matplotlib.axes.Axes or ndarray of them, optional
        One for each condition; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (condition,)
        A row for each statistic: the intervals of 90 and 50 % of the replicates (coloured) and the data (black), an
        arrow with its value if farther than 4 sd. On the right is the share of replicates below the data, bold if it
        is unusual.

    Raises
    ------
    DataError
        If `result` is something else, or `ax` has another length.

    Examples
    --------
    >>> made = np.random.default_rng(1).normal(size=(50, 1))
    >>> found = Ppc(names=("mean rt",), observed=np.array([0.5]), replicated=made, kind="npe", seed=1)
    >>> ppc(found)[0].get_yticklabels()[0].get_text()
    'mean rt'
    """
    _grid.expect(result, Ppc, remedy="diagnostics.ppc(sampler, draws, data, seed=1)")
    conditions = _conditions(result.names)
    rows = list(dict.fromkeys(name for columns in conditions.values() for name in columns))
    with _style.style():
        panels = _grid.panels(ax, len(conditions), height=_AROUND + _ROW * len(rows))
        for panel, (condition, columns) in zip(panels, conditions.items(), strict=True):
            for name, column in columns.items():
                _row(panel, result, column, rows.index(name))
            _finish(panel, condition, rows)
        _grid.outer(panels, x="deviation (sd)")
        first = {panel.get_subplotspec().colspan.start for panel in panels if panel.get_subplotspec()} or {0}
        for panel in panels:
            place = panel.get_subplotspec()
            panel.tick_params(labelleft=place is None or place.colspan.start == min(first))
        _legend(panels[-1], result.kind)
    return panels


def _conditions(names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Sort the statistics by condition: name to column, of each."""
    parts = [name.partition(": ") for name in names]
    several = all(separator for _, separator, _ in parts)
    found: dict[str, dict[str, int]] = {}
    for column, (condition, _, statistic) in enumerate(parts):
        if several:
            found.setdefault(condition, {})[statistic] = column
        else:
            found.setdefault("", {})[names[column]] = column
    return found


def _row(panel: Axes, result: Ppc, column: int, row: int) -> None:
    """Draw one statistic."""
    made = result.replicated[:, column]
    scale = made.std() or 1.0
    colour = _style.colour(result.kind)
    for mass, width in _WIDTHS.items():
        ends = (np.quantile(made, [(1 - mass) / 2, (1 + mass) / 2]) - np.median(made)) / scale
        panel.plot(ends, [row, row], color=colour, linewidth=width, alpha=0.45, solid_capstyle="butt")
    observed = float((result.observed[column] - np.median(made)) / scale)
    look: dict[str, Any] = {"color": _style.TRUTH, "markersize": 4.5, "zorder": 3, "clip_on": False}
    if abs(observed) <= _FARTHEST:
        panel.plot([observed], [row], "o", **look)
    else:
        side = 1 if observed > 0 else -1
        panel.plot([side * _FARTHEST], [row], ">" if side > 0 else "<", **look)
        place: dict[str, Any] = {"ha": "right" if side > 0 else "left", "va": "center", "fontsize": "small"}
        panel.text(side * (_FARTHEST - 0.3), row, f"{observed:.3g}", **place)
    p, weight = result.p[column], "bold" if result.names[column] in result.unusual else "normal"
    note: dict[str, Any] = {"fontsize": "small", "color": _grid.NOTE, "fontweight": weight, "va": "center"}
    panel.text(1.02, row, f"{p:.2f}", transform=panel.get_yaxis_transform(), **note)


def _finish(panel: Axes, condition: str, rows: list[str]) -> None:
    """Name the rows, from above, with room for the legend."""
    panel.plot([0, 0], [-0.5, len(rows) - 0.4], color=_grid.NOTE, linewidth=0.6, zorder=0)
    panel.text(1.02, -1, "p", transform=panel.get_yaxis_transform(), fontsize="small", color=_grid.NOTE, va="center")
    panel.set(xlim=(-_FARTHEST, _FARTHEST), ylim=(len(rows) - 0.4, -1.5))
    panel.set_yticks(range(len(rows)), rows)
    panel.tick_params(axis="y", length=0)
    _grid.head(panel, condition)


def _legend(panel: Axes, kind: str) -> None:
    """Name intervals and data, in the empty row above all others."""
    keys = [
        Line2D([], [], color=_style.colour(kind), linewidth=width, alpha=0.45, label=_grid.percent(mass))
        for mass, width in _WIDTHS.items()
    ]
    keys.append(Line2D([], [], linestyle="none", marker="o", markersize=4.5, color=_style.TRUTH, label="data"))
    size: dict[str, Any] = {"fontsize": "small", "handlelength": 0.8, "columnspacing": 0.8, "handletextpad": 0.4}
    panel.legend(handles=keys, loc="upper center", ncols=3, borderaxespad=0.0, borderpad=0.2, **size)
