"""Shrinkage: what each group's parameter is alone, and in a hierarchy, methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_APART = 0.18  # between the marks of a group, where groups are one apart


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimates:
    """Hold posterior means and central intervals of one parameter in each group.

    Parameters
    ----------
    mean : ndarray, shape (group,)
        Posterior means.
    interval : ndarray, shape (group, 2)
        Lower and upper ends.
    """

    mean: np.ndarray
    interval: np.ndarray


def shrinkage(
    unpooled: Mapping[str, Estimates],
    hierarchical: Mapping[str, Estimates],
    *,
    groups: Sequence[str],
    parameter: Parameter,
    common: float | None = None,
    truth: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw how a hierarchy moves each group's estimate, by each method.

    Parameters
    ----------
    unpooled, hierarchical : mapping of str to Estimates
        By method, the same ones in both.
    groups : sequence of str
        Their labels.
    parameter : Parameter
        Its label names the axis.
    common : float, optional
        Mean of the groups in the hierarchy: a dotted line.
    truth : sequence of float, optional
        What made the data: black bars.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        For each group and method an open mark (unpooled) and a filled one (hierarchical), each with its interval.

    Raises
    ------
    DataError
        If the methods or the numbers of groups differ.

    Examples
    --------
    >>> import firstpassage as fp
    >>> one = Estimates(mean=np.array([9.0, 6.0]), interval=np.array([[8.0, 10.0], [5.0, 7.0]]))
    >>> rate = fp.poisson().parameters[0]
    >>> shrinkage({"nre": one}, {"nre": one}, groups=("A", "B"), parameter=rate).get_ylabel()
    '$\\lambda$ (chips per cookie)'
    """
    sizes = {len(one.mean) for one in (*unpooled.values(), *hierarchical.values())}
    if list(unpooled) != list(hierarchical) or sizes != {len(groups)}:
        raise DataError(
            f"unpooled and hierarchical must have the same methods and {len(groups)} groups; got {', '.join(unpooled)} "
            f"and {', '.join(hierarchical)} with {sorted(sizes)} groups. Summarise both models by the same methods."
        )
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        number = 2 * len(unpooled)
        shifts = _APART * (np.arange(number) - (number - 1) / 2)
        for i, method in enumerate(unpooled):
            for j, found in enumerate((unpooled[method], hierarchical[method])):
                _marks(panel, found, shifts[2 * i + j], colour=_style.colour(method, i), filled=j == 1)
        _lines(panel, shifts, common=common, truth=truth)
        panel.set_xticks(range(len(groups)), list(groups))
        panel.set(xlim=(-0.6, len(groups) - 0.4), ylabel=parameter.label)
        keys = _keys(list(unpooled), common=common, truth=truth)
        panel.legend(handles=keys, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.4)
    return panel


def _marks(panel: Axes, found: Estimates, shift: float, *, colour: str, filled: bool) -> None:
    """Draw one method's estimates in all groups."""
    at, ends = np.arange(len(found.mean)) + shift, np.abs(found.interval.T - found.mean)
    face = colour if filled else "white"
    look: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": face, "linestyle": "none"}
    panel.errorbar(at, found.mean, yerr=ends, color=colour, elinewidth=1.2, **look)


def _lines(panel: Axes, shifts: np.ndarray, *, common: float | None, truth: Sequence[float] | None) -> None:
    """Draw the common mean, and the truth of each group."""
    if common is not None:
        panel.axhline(common, color=_grid.NOTE, linewidth=1.0, linestyle=":")
    for i, value in enumerate(() if truth is None else truth):
        ends = i + shifts[0] - _APART / 2, i + shifts[-1] + _APART / 2
        panel.plot(ends, [value, value], color=_style.TRUTH, linewidth=1.0, zorder=0)


def _keys(methods: Sequence[str], *, common: float | None, truth: Sequence[float] | None) -> list[Line2D]:
    """Make the legend."""
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 5}
    keys = []
    for i, method in enumerate(methods):
        colour, name = _style.colour(method, i), _grid.name(method)
        keys.append(Line2D([], [], color=colour, markerfacecolor="white", label=f"{name}, unpooled", **dot))
        keys.append(Line2D([], [], color=colour, label=f"{name}, hierarchical", **dot))
    if common is not None:
        keys.append(Line2D([], [], color=_grid.NOTE, linewidth=1.0, linestyle=":", label="common mean"))
    if truth is not None:
        keys.append(Line2D([], [], color=_style.TRUTH, linewidth=1.0, label="truth"))
    return keys
