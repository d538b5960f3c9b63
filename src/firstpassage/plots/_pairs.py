"""Pairs: marginal and two-dimensional posterior densities of all parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from firstpassage import _draws
from firstpassage.errors import DataError
from firstpassage.plots import _grid, _marginals, _style

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.models.parameter import Parameter

_MASSES = (0.9, 0.5)  # of the regions of highest density, the outer one first
_WIDEST = 2.05  # inches of a panel
_POINTS = 60  # of the grid of a density, along each axis
_KEPT = 1500  # draws at most that a two-dimensional density is made of
_FEWEST = 50  # draws below which they are drawn themselves
_COLLINEAR = 1 - 1e-6  # correlation from which on there is no density
_FEW = 4  # parameters, whose panels have room for more ticks
_PRIOR: dict[str, Any] = {"color": _style.COLOURS["prior"], "linewidth": 0.9, "linestyle": ":"}


def pairs(
    draws: xr.DataTree | Mapping[str, xr.DataTree],
    *,
    parameters: Sequence[Parameter],
    truth: Mapping[str, float] | None = None,
    prior: Mapping[str, np.ndarray] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    ax: np.ndarray | None = None,
) -> np.ndarray:
    """Draw posterior densities of all parameters and pairs of them, several methods laid over each other.

    Parameters
    ----------
    draws : DataTree or mapping of str to DataTree
        Posterior draws, or those of several methods: ``{"npe": ..., "exact": ...}``.
    parameters : sequence of Parameter
        One row and column each; their labels name the axes.
    truth : mapping of str to float, optional
        Parameters that made the data: black lines.
    prior : mapping of str to ndarray, shape (draw,), optional
        Prior draws; if None, the prior of each Parameter, which is uniform on its bounds unless another is given.
    limits : mapping of str to (float, float), optional
        Ends of the axes, for some parameters, in their units; those of the draws and the truth if None.
    ax : ndarray of matplotlib.axes.Axes, shape (parameter, parameter), optional
        Where to draw; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (parameter, parameter)
        On the diagonal the marginal densities with the prior's (dotted); below it the regions that hold 50 and 90 % of
        the draws at the highest density; nothing above it but the legend.

    Raises
    ------
    DataError
        If a parameter is missing from draws, truth or prior, limits name another one or are reversed, draws do not
        vary, or `ax` has another shape.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> rng = np.random.default_rng(1)
    >>> draws = arviz_base.from_dict({"posterior": {name: rng.normal(size=(2, 50)) for name in "vw"}})
    >>> panels = pairs({"npe": draws}, parameters=[fp.Parameter(name, bounds=(-3, 3)) for name in "vw"])
    >>> panels[1, 0].get_xlabel(), panels[1, 0].get_ylabel()
    ('v', 'w')
    """
    values = _values(draws, parameters)
    _check_names("truth", truth, parameters)
    _check_names("prior", prior, parameters)
    _check_limits(limits or {}, parameters)
    with _style.style():
        panels = _panels(ax, len(parameters))
        for column, row in itertools.combinations_with_replacement(range(len(parameters)), 2):
            panel, x, y = panels[row, column], parameters[column], parameters[row]
            if row == column:
                _diagonal(panel, {method: v[x.name] for method, v in values.items()})
            else:
                _below(panel, {method: (v[x.name], v[y.name]) for method, v in values.items()})
        for row in range(len(parameters)):
            name = parameters[row].name
            given = None if limits is None else limits.get(name)
            ends = given or _range([v[name] for v in values.values()], None if truth is None else truth[name])
            _limits(panels, row, *ends)
            _prior(panels[row, row], parameters[row], prior)
            if truth is not None:
                _truth(panels, row, truth[parameters[row].name])
        _finish(panels, parameters)
        _legend(panels, list(values), truth is not None)
    return panels


def pairs_numbers(
    draws: xr.DataTree | Mapping[str, xr.DataTree],
    *,
    parameters: Sequence[Parameter],
    truth: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """List the numbers of a pair plot, for a JSON file.

    Parameters
    ----------
    draws : DataTree or mapping of str to DataTree
        As drawn.
    parameters : sequence of Parameter
        As drawn.
    truth : mapping of str to float, optional
        As drawn.

    Returns
    -------
    dict
        For each method the number of draws, mean, sd and five quantiles by parameter, and the correlations in the order
        of the parameters; the truth if there is one.

    Raises
    ------
    DataError
        If a parameter is missing.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> draws = arviz_base.from_dict({"posterior": {"v": np.array([[0.0, 1.0, 2.0]])}})
    >>> numbers = pairs_numbers({"npe": draws}, parameters=[fp.Parameter("v", bounds=(-3, 3))])
    >>> numbers["methods"]["npe"]["parameters"]["v"]["mean"]
    1.0
    """
    methods = {method: _describe(values) for method, values in _values(draws, parameters).items()}
    _check_names("truth", truth, parameters)
    known = {} if truth is None else {"truth": {p.name: float(truth[p.name]) for p in parameters}}
    return {"methods": methods} | known


def _describe(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Summarise the draws of one method."""
    shares = (0.025, 0.25, 0.5, 0.75, 0.975)
    parameters = {
        name: {
            "mean": float(drawn.mean()),
            "sd": float(drawn.std(ddof=1)),
            "quantiles": {f"{q:g}": float(x) for q, x in zip(shares, np.quantile(drawn, shares), strict=True)},
        }
        for name, drawn in values.items()
    }
    table = np.stack(list(values.values()))
    return {"draws": table.shape[1], "parameters": parameters, "correlation": np.atleast_2d(np.corrcoef(table))}


def _values(draws: Any, parameters: Sequence[Parameter]) -> dict[str, dict[str, np.ndarray]]:
    """Take the draws out, by method and parameter, and refuse what is missing."""
    import xarray as xr

    if isinstance(draws, xr.DataTree | xr.Dataset):
        draws = {str(draws.attrs.get("kind", "posterior")): draws}
    if not isinstance(draws, Mapping) or not draws or not parameters:
        raise DataError('draws and parameters must not be empty. Pass {"npe": draws} and model.parameters.')
    found = {}
    for method, tree in draws.items():
        drawn = _draws.scalars(tree)
        _check_names(f"the draws of {method}", drawn, parameters)
        found[method] = {p.name: drawn[p.name].ravel() for p in parameters}
    return found


def _check_names(what: str, given: Mapping[str, Any] | None, parameters: Sequence[Parameter]) -> None:
    """Refuse a mapping that lacks a parameter."""
    missing = [p.name for p in parameters if given is not None and p.name not in given]
    if given is not None and missing:
        raise DataError(f"{what} must have every parameter; got {', '.join(given)}, but no {', '.join(missing)}.")


def _panels(ax: np.ndarray | None, number: int) -> np.ndarray:
    """Return the axes given, checked, or those of a new figure."""
    if ax is not None:
        found = np.asarray(ax, dtype=object)
        if found.shape != (number, number):
            remedy = f"Use plots.canvas(rows={number}, columns={number})"
            raise DataError(f"ax must have the shape {(number, number)}; got {found.shape}. {remedy}.")
        return found
    import matplotlib.pyplot as plt

    side = min(_WIDEST, _grid.WIDTH / number)
    return plt.subplots(number, number, figsize=(side * number, side * number), squeeze=False)[1]


def _diagonal(panel: Axes, values: Mapping[str, np.ndarray]) -> None:
    """Draw the marginal densities of one parameter."""
    for place, (method, drawn) in enumerate(values.items()):
        with np.errstate(divide="ignore"):  # in the search of a bandwidth, for draws as even as a prior's
            grid, density = _marginals._density(drawn)
        colour = _style.colour(method, place)
        panel.plot(grid, density, color=colour, linestyle=_style.dashes(method), linewidth=1.4)
        if method != "exact":
            panel.fill_between(grid, density, color=colour, alpha=0.15, linewidth=0)


def _below(panel: Axes, values: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw the densities of one pair of parameters."""
    for place, (method, (x, y)) in enumerate(values.items()):
        colour = _style.colour(method, place)
        if len(x) < _FEWEST or not abs(np.corrcoef(x, y)[0, 1]) < _COLLINEAR:
            panel.plot(x, y, ".", color=colour, markersize=2, alpha=0.5)
            continue
        grid_x, grid_y, density, levels = _regions(x, y)
        if method != "exact":
            fills = [(colour, 0.15), (colour, 0.4)]
            panel.contourf(grid_x, grid_y, density, levels=[*levels, density.max() * 1.01], colors=fills)
        dashes = _style.dashes(method)
        panel.contour(grid_x, grid_y, density, levels=levels, colors=[colour], linestyles=dashes, linewidths=1.0)


def _regions(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[float]]:
    """Estimate a density on a grid, and the heights above which the chosen masses lie."""
    from scipy.stats import gaussian_kde

    kept = np.linspace(0, len(x) - 1, min(len(x), _KEPT)).round().astype(int)
    points = np.stack([x[kept], y[kept]])
    estimate = gaussian_kde(points)
    margin = 0.15 * np.ptp(points, axis=1)
    axes = np.linspace(points.min(axis=1) - margin, points.max(axis=1) + margin, _POINTS)
    density = estimate(np.stack(np.meshgrid(*axes.T)).reshape(2, -1)).reshape(_POINTS, _POINTS)
    levels = np.quantile(estimate(points), [1 - mass for mass in _MASSES])
    return axes[:, 0], axes[:, 1], density, levels.tolist()


def _check_limits(limits: Mapping[str, tuple[float, float]], parameters: Sequence[Parameter]) -> None:
    """Refuse limits of no parameter, and ones that are no interval."""
    for name, ends in limits.items():
        if name not in {p.name for p in parameters} or len(ends) != 2 or not ends[0] < ends[1]:
            raise DataError(
                f"limits must map some of {', '.join(p.name for p in parameters)} to (lower, upper); got {name}: "
                f"{ends!r}. Mend or drop it."
            )


def _range(values: list[np.ndarray], truth: float | None) -> tuple[float, float]:
    """Find the range of one parameter's draws and its truth, with a margin."""
    low, high = np.quantile(np.concatenate(values), (0.0005, 0.9995))
    if truth is not None:
        low, high = min(low, truth), max(high, truth)
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _limits(panels: np.ndarray, row: int, low: float, high: float) -> None:
    """Show one range alike in all panels."""
    for panel in panels[row:, row]:
        panel.set_xlim(low, high)
    for panel in panels[row, :row]:
        panel.set_ylim(low, high)
    panels[row, row].set_ylim(bottom=0)


def _prior(panel: Axes, parameter: Parameter, prior: Mapping[str, np.ndarray] | None) -> None:
    """Draw the prior density inside the limits."""
    low, high = parameter.bounds
    if prior is not None:
        grid, density = _marginals._density(np.asarray(prior[parameter.name], dtype=np.float64).ravel())
    else:
        grid = np.linspace(low, high, 400)
        log = np.zeros(400) if parameter.prior is None else np.asarray(parameter.prior.log_prob(grid), dtype=np.float64)
        density = np.exp(log - log.max())
        density = density / np.trapezoid(density, grid)
    panel.plot(np.r_[grid[0], grid, grid[-1]], np.r_[0, density, 0], scalex=False, scaley=False, **_PRIOR)


def _truth(panels: np.ndarray, row: int, value: float) -> None:
    """Draw one parameter's truth in its column and its row."""
    for panel in panels[row:, row]:
        panel.axvline(value, color=_style.TRUTH, linewidth=0.8)
    for panel in panels[row, :row]:
        panel.axhline(value, color=_style.TRUTH, linewidth=0.8)


def _finish(panels: np.ndarray, parameters: Sequence[Parameter]) -> None:
    """Label the outer panels, and leave the upper half empty."""
    few = len(parameters) <= _FEW
    for (row, column), panel in np.ndenumerate(panels):
        if column > row:
            panel.axis("off")
            continue
        panel.locator_params(axis="y", nbins=4 if few else 3, prune="both")
        panel.locator_params(axis="x", nbins=4 if few else 2, prune="both" if few else None)
        panel.tick_params(labelbottom=row == len(parameters) - 1, labelleft=column == 0 and row > 0)
        if row == len(parameters) - 1:
            panel.set_xlabel(parameters[column].label)
        if column == 0 and row > 0:
            panel.set_ylabel(parameters[row].label)
        if row == column:
            panel.set_yticks([])
            panel.spines["left"].set_visible(False)


def _legend(panels: np.ndarray, methods: list[str], truth: bool) -> None:
    """Name methods, prior and truth in the empty corner, or above a single panel."""
    keys = []
    for i, method in enumerate(methods):
        look: dict[str, Any] = {"color": _style.colour(method, i), "linestyle": _style.dashes(method)}
        keys.append(Line2D([], [], label=_grid.name(method), **look))
    keys.append(Line2D([], [], label="prior", **_PRIOR))
    if truth:
        keys.append(Line2D([], [], color=_style.TRUTH, linewidth=0.8, label="truth"))
    corner = panels[0, -1]
    if len(panels) > 1:
        corner.legend(handles=keys, loc="upper right", borderaxespad=0)
    else:
        corner.legend(handles=keys, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
