"""Information: widths of posteriors over those of the exact ones, for one estimator or several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Information
from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_MARKERS = "osD^v"
_TICKS = (0.2, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_ROOM = 1.1  # factor of room beyond the longest line, and around 1
_SPREAD = 0.5  # of the estimators around a parameter, where parameters are one apart


def information(
    result: Information | Mapping[str, Information],
    *,
    parameters: Sequence[Parameter] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the ratio of posterior to exact standard deviation of every parameter.

    Parameters
    ----------
    result : Information, or mapping of str to Information
        As ``diagnostics.information`` returns it; a mapping gives several estimators, by what the legend calls them.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        For each parameter and estimator the median over data sets (marker) and the range from 10 to 90 % (line), on a
        logarithmic scale; 1, where nothing is lost, in black.

    Raises
    ------
    DataError
        If `result` is something else, or the parameters differ.

    Examples
    --------
    >>> information("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Information, got str. Make one by diagnostics.information(...).
    """
    several = dict(result) if isinstance(result, Mapping) else {"": result}
    for one in several.values():
        _grid.expect(one, Information, remedy="diagnostics.information(...)")
    names = _names(list(several.values()))
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        panel.axhline(1, color=_style.TRUTH, linewidth=0.8)
        shifts = _SPREAD * np.linspace(-0.5, 0.5, len(several)) if len(several) > 1 else np.zeros(1)
        for i, (label, one) in enumerate(several.items()):
            _estimator(panel, one, shifts[i], order=i, label=label or _grid.name(one.kind))
        panel.set_yscale("log")
        panel.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        panel.set_yticks([], minor=True)
        panel.set_ylim(*_ends(several.values()))
        panel.set_xticks(range(len(names)), list(_grid.symbols(names, parameters).values()))
        panel.set(xlim=(-0.5, len(names) - 0.5), ylabel="posterior sd / exact sd")
        number = next(iter(several.values())).datasets
        _grid.head(panel, "", f"median, 10 to 90 % of {number} data sets")
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    return panel


def _names(results: Sequence[Information]) -> list[str]:
    """Take the parameters that all results share."""
    names = [list(one.sd) for one in results]
    if not names or any(other != names[0] for other in names):
        raise DataError(f"expected results with the same parameters; got {names}. Draw estimators of one model.")
    return names[0]


def _ends(results: Iterable[Information]) -> tuple[float, float]:
    """Leave room around all lines and around 1."""
    ends = np.concatenate([np.ravel(list(one.quantiles.values())) for one in results])
    return float(min(ends.min(), 1 / _ROOM) / _ROOM), float(max(ends.max(), _ROOM) * _ROOM)


def _estimator(panel: Axes, result: Information, shift: float, *, order: int, label: str) -> None:
    """Draw one estimator's medians and ranges, in the colour of its method."""
    low, middle, high = np.array(list(result.quantiles.values())).T
    colour = _style.colour(result.kind)
    look: dict[str, Any] = {"marker": _MARKERS[order % len(_MARKERS)], "markersize": 4.5, "linestyle": "none"}
    face = (colour, 1.0) if order % 2 == 0 else "white"
    panel.errorbar(
        np.arange(len(middle)) + shift, middle, yerr=(middle - low, high - middle), color=colour, label=label,
        markerfacecolor=face, elinewidth=1.0, **look,
    )  # fmt: skip
