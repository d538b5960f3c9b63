"""Landscape: the log likelihood of a data set over two parameters, methods laid over each other as contours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_DEPTHS = (0.5, 2.0, 4.5)  # nats below the top: one, two and three standard deviations of a normal posterior


def landscape(
    heights: Mapping[str, np.ndarray],
    *,
    places: Sequence[np.ndarray],
    parameters: Sequence[Parameter],
    truth: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw contours of the summed log likelihood, .5, 2 and 4.5 nats below the top of each method.

    Parameters
    ----------
    heights : mapping of str to ndarray, shape (first, second)
        By method: nats, up to a constant, so that log ratios can lie beside log densities.
    places : (ndarray, ndarray)
        Values of the two parameters at which the heights were computed.
    parameters : (Parameter, Parameter)
        Their labels name the axes.
    truth : mapping of str to float, optional
        Parameters that made the data: a black cross.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        A set of contours for each method.

    Raises
    ------
    DataError
        If there are not two parameters, or the heights have another shape than their places.

    Examples
    --------
    >>> import firstpassage as fp
    >>> mu, sigma = np.linspace(-1, 1, 9), np.linspace(0.5, 2, 8)
    >>> heights = {"exact": -(mu[:, None] ** 2) - (sigma - 1) ** 2}
    >>> landscape(heights, places=(mu, sigma), parameters=fp.gaussian().parameters).get_xlabel()
    '$\\mu$'
    """
    shape = tuple(len(one) for one in places)
    wrong = {name: np.shape(height) for name, height in heights.items() if np.shape(height) != shape}
    if len(parameters) != 2 or len(shape) != 2 or wrong or not heights:
        raise DataError(
            f"heights must have the shape of two parameters' places; got {wrong or shape} for places {shape} and "
            f"{len(parameters)} parameters. Compute them on np.meshgrid(first, second, indexing='ij')."
        )
    with _style.style():
        panel = _grid.panels(ax, 1)[0]
        for place, (method, height) in enumerate(heights.items()):
            look: dict[str, Any] = {"colors": _style.colour(method, place), "linestyles": _style.dashes(method)}
            levels = sorted(-depth for depth in _DEPTHS)
            panel.contour(*places, (height - np.max(height)).T, levels=levels, linewidths=1.4, **look)
        keys = [_key(method, place) for place, method in enumerate(heights)]
        if truth is not None:
            first, second = (truth[p.name] for p in parameters)
            panel.plot(first, second, "+", color=_style.TRUTH, markersize=8)
            keys.append(Line2D([], [], color=_style.TRUTH, marker="+", linestyle="none", label="truth"))
        panel.set(xlabel=parameters[0].label, ylabel=parameters[1].label)
        panel.legend(handles=keys, loc="upper right", handlelength=1.6)
    return panel


def _key(method: str, place: int) -> Line2D:
    """Make the legend's entry of a method."""
    look: dict[str, Any] = {"color": _style.colour(method, place), "linestyle": _style.dashes(method)}
    return Line2D([], [], label=_grid.name(method), **look)
