"""Sweep: loss, recovery, calibration and distance from exact posteriors of many runs, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.models.parameter import Parameter

_MARKERS = "osD^vPX*<>"
_ROW, _AROUND = 0.21, 1.15  # inches of a run, and of what is around the runs
_LOWEST, _HIGHEST = 1.9, 12.0  # inches of a figure
_READABLE = 50  # runs beyond which they are numbered instead of named
_LONGEST = 34  # letters of the name of a run
_SHORT = {"optimiser.learning_rate": "rate", "optimiser.batch": "batch"}
_UNCERTAIN = 0.05  # of a p-value: limit that is drawn


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One panel: the columns it takes, and how it is labelled."""

    part: str
    statistic: str
    label: str
    perfect: float | None = None
    limit: float | None = None
    logarithmic: bool = False


_KINDS = (
    _Kind(part="", statistic="validation_loss", label="validation loss"),
    _Kind(part="recovery", statistic="relative_rmse", label="RMSE / prior sd", perfect=0.0, limit=1.0),
    _Kind(part="sbc", statistic="gamma_p", label="SBC p-value", limit=_UNCERTAIN, logarithmic=True),
    _Kind(part="exact", statistic="shift", label="shift (exact sd)", perfect=0.0),
)


def sweep(
    summary: pd.DataFrame, *, parameters: Sequence[Parameter] | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Compare the runs of a sweep: a row each, in the colour of its method, with a marker for each parameter.

    Parameters
    ----------
    summary : DataFrame
        As ``pipeline.sweep`` gives it, or sweep_summary.csv.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : ndarray of matplotlib.axes.Axes, shape (panel,), optional
        One for each of the panels below for which the summary has columns; a new figure that no window shows if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (panel,)
        Validation loss; root mean squared error of recovery over the sd of the prior (1, dotted: what the prior mean
        reaches); p-values of simulation-based calibration (.05 dotted); shift of the posterior mean of the observation
        from the exact one.

    Raises
    ------
    DataError
        If `summary` is no summary, or no run of it is done.

    Examples
    --------
    >>> sweep("no summary")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected the summary of a sweep, got str. Make one by pipeline.sweep(...).
    """
    _check(summary)
    kinds = [kind for kind in _KINDS if _columns(summary, kind)]
    if not kinds:
        raise DataError("expected a run that is done; the summary has none. Wait for one, or see the column error.")
    with _style.style():
        panels = _panels(ax, kinds, runs=len(summary))
        known = _grid.symbols(_names(summary, kinds), parameters)
        for panel, kind in zip(panels, kinds, strict=True):
            _draw(panel, summary, kind, known)
        _name_runs(panels, summary)
        _legend(panels, kinds, known)
    return panels


def _check(summary: Any) -> None:
    """Refuse what is no summary."""
    if "columns" not in dir(summary) or not {"name", "status", "seconds"} <= set(summary.columns):
        raise DataError(
            f"expected the summary of a sweep, got {type(summary).__name__}. Make one by pipeline.sweep(...)."
        )


def _columns(summary: pd.DataFrame, kind: _Kind) -> dict[str, str]:
    """Find the columns of a panel, by parameter or quantity."""
    if not kind.part:
        return {"": kind.statistic} if kind.statistic in summary.columns else {}
    head, tail = f"{kind.part}.", f".{kind.statistic}"
    found = [name for name in summary.columns if name.startswith(head) and name.endswith(tail)]
    return {name[len(head) : -len(tail)]: name for name in found}


def _names(summary: pd.DataFrame, kinds: Sequence[_Kind]) -> list[str]:
    """List all parameters and quantities once."""
    return list(dict.fromkeys(name for kind in kinds for name in _columns(summary, kind) if name))


def _panels(ax: Any, kinds: Sequence[_Kind], *, runs: int) -> np.ndarray:
    """Make a row of panels with room for all runs, or take those that are given."""
    if ax is None:
        height = min(max(_AROUND + _ROW * runs, _LOWEST), _HIGHEST)
        ax = _style.canvas(rows=1, columns=len(kinds), width=_grid.WIDTH / len(kinds), height=height)[0]
    return _grid.panels(ax, len(kinds))


def _draw(panel: Axes, summary: pd.DataFrame, kind: _Kind, known: dict[str, str]) -> None:
    """Draw one statistic of all runs."""
    methods, place = _methods(summary), np.arange(len(summary))
    columns = _columns(summary, kind)
    shifts = 0.5 * np.linspace(-0.5, 0.5, len(columns)) if len(columns) > 1 else np.zeros(1)
    for (name, column), shift in zip(columns.items(), shifts, strict=True):
        marker = _MARKERS[list(known).index(name) % len(_MARKERS)] if name else "o"
        values = summary[column].astype(float).to_numpy()
        for method in dict.fromkeys(methods):
            mine = np.array(methods) == method
            look: dict[str, Any] = {"markersize": 3.6, "markeredgewidth": 0.7, "markerfacecolor": "white"}
            panel.plot(values[mine], place[mine] + shift, marker, color=_style.colour(method), **look)
    if kind.logarithmic:
        panel.set_xscale("log")
    if kind.perfect is not None:
        panel.axvline(kind.perfect, color=_style.TRUTH, linewidth=0.8, zorder=1)
    if kind.limit is not None:
        panel.axvline(kind.limit, color=_grid.NOTE, linewidth=0.9, linestyle=":", zorder=1)
    panel.set_xlabel(kind.label)


def _methods(summary: pd.DataFrame) -> list[str]:
    """Take the method of every run from the name of its folder."""
    return [str(name).partition("_")[0] for name in summary["name"]]


def _name_runs(panels: np.ndarray, summary: pd.DataFrame) -> None:
    """Name the runs by what varies, say which are not done, and put the first on top."""
    number = len(summary)
    labels = _labels(summary) if number <= _READABLE else None
    for panel in panels:
        panel.set_ylim(number - 0.5, -0.5)
        panel.set_yticks(range(number) if labels else [0, number - 1], [])
        panel.grid(axis="y", color=_grid.WIDE_BAND, linewidth=0.6)
        panel.set_axisbelow(True)
    if labels:
        panels[0].set_yticklabels(labels, fontsize="x-small")
    else:
        panels[0].set_yticklabels(["run 1", f"run {number}"], fontsize="small")
    place: dict[str, Any] = {"fontsize": "x-small", "color": _grid.NOTE, "va": "center", "ha": "left"}
    for row, status in enumerate(summary["status"]):
        if status != "done":
            panels[0].text(0.03, row, status, transform=panels[0].get_yaxis_transform(), **place)


def _labels(summary: pd.DataFrame) -> list[str]:
    """Name each run by the settings that vary, which stand between status and seconds."""
    columns = list(summary.columns)
    settings = columns[columns.index("status") + 1 : columns.index("seconds")]
    labels = []
    for row in summary[settings].to_dict("records"):
        words = [_setting(key, value) for key, value in row.items() if value is not None and value == value]
        label = ", ".join(words)
        labels.append(label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…")
    return labels if settings else [str(name) for name in summary["name"]]


def _setting(key: str, value: Any) -> str:
    """Write one setting shortly."""
    name = _SHORT.get(key, key.rpartition(".")[2])
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if key in ("method", "model.name") else f"{name} {text}"


def _legend(panels: np.ndarray, kinds: Sequence[_Kind], known: dict[str, str]) -> None:
    """Name the markers below all panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="none", marker=_MARKERS[i % len(_MARKERS)], color=_grid.NOTE, markerfacecolor="white",
               markersize=4, label=label)
        for i, label in enumerate(known.values())
    ]  # fmt: skip
    if handles and any(kind.part for kind in kinds):
        panels[0].figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
