"""Calibration: ranks of truths among posterior draws, as histograms and as distribution functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.diagnostics import Sbc
from firstpassage.diagnostics._count_band import count_band
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

_ONE = 0.05  # level of the band of one quantity, as in Sbc
_ROOM = 1.22  # of the highest thing drawn, so that the legend fits above


def calibration_histogram(
    result: Sbc, *, parameters: Sequence[Parameter] | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Draw the histogram of ranks of each quantity, with the counts that a calibrated sampler stays within.

    Parameters
    ----------
    result : Sbc
        As ``diagnostics.sbc`` returns it.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : ndarray of matplotlib.axes.Axes, optional
        One for each quantity; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (quantity,)
        Counts (coloured), the expected ones (black), and two bands: dark, all bins of one quantity with 95 %
        probability; light, all bins of all quantities with 1 - alpha. Each title has the chi-square test's p.

    Raises
    ------
    DataError
        If `result` is something else, or `ax` has another length.

    Examples
    --------
    >>> calibration_histogram("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Sbc, got str. Make one by diagnostics.sbc(simulated).
    """
    _grid.expect(result, Sbc, remedy="diagnostics.sbc(simulated)")
    (low, high), (joint_low, joint_high) = histogram_bands(result)
    top = _ROOM * max(joint_high.max(), *(counts.max() for counts in result.counts.values()))
    with _style.style():
        panels = _grid.panels(ax, len(result.counts))
        symbols = _grid.symbols(result.counts, parameters)
        for panel, (name, counts) in zip(panels, result.counts.items(), strict=True):
            panel.stairs(joint_high, result.edges, baseline=joint_low, fill=True, color=_grid.WIDE_BAND)
            panel.stairs(high, result.edges, baseline=low, fill=True, color=_grid.BAND)
            panel.stairs(result.expected, result.edges, baseline=None, color=_style.TRUTH, linewidth=0.8)
            colour = _style.colour(result.design.kind)
            panel.stairs(counts, result.edges, fill=True, color=colour, alpha=0.25)
            panel.stairs(counts, result.edges, color=colour, linewidth=1.4)
            panel.set(xlim=(0, result.design.draws + 1), ylim=(0, top))
            _grid.head(panel, symbols[name], _grid.chance(result.chi_square_p[name]))
        _grid.outer(panels, x="rank of the truth", y="data sets")
        _legend(panels[0], result)
    return panels


def calibration_ecdf(
    result: Sbc, *, parameters: Sequence[Parameter] | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Draw the empirical distribution function of each quantity's ranks, minus that of uniform ones.

    Parameters
    ----------
    result : Sbc
        As ``diagnostics.sbc`` returns it.
    parameters : sequence of Parameter, optional
        For symbols; plain names if None.
    ax : ndarray of matplotlib.axes.Axes, optional
        One for each quantity; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (quantity,)
        The difference (coloured) and two bands: dark, one quantity with 95 % probability; light, all quantities with
        1 - alpha, which is the one that the verdict uses. Each title has the gamma test's p.

    Raises
    ------
    DataError
        If `result` is something else, or `ax` has another length.

    Examples
    --------
    >>> calibration_ecdf("no result")
    Traceback (most recent call last):
    firstpassage.errors.DataError: expected a Sbc, got str. Make one by diagnostics.sbc(simulated).
    """
    _grid.expect(result, Sbc, remedy="diagnostics.sbc(simulated)")
    z = np.concatenate([[0.0], result.z, [1.0]])
    low, high, joint_low, joint_high = (
        np.pad(x, 1) for x in (result.low, result.high, result.joint_low, result.joint_high)
    )
    largest = max(np.abs([joint_low, joint_high]).max(), *(np.abs(x).max() for x in result.difference.values()))
    with _style.style():
        panels = _grid.panels(ax, len(result.difference))
        symbols = _grid.symbols(result.difference, parameters)
        for panel, (name, difference) in zip(panels, result.difference.items(), strict=True):
            panel.fill_between(z, joint_low, joint_high, color=_grid.WIDE_BAND, linewidth=0)
            panel.fill_between(z, low, high, color=_grid.BAND, linewidth=0)
            panel.axhline(0, color=_style.TRUTH, linewidth=0.8)
            panel.plot(z, np.pad(difference, 1), color=_style.colour(result.design.kind))
            panel.set(
                xlim=(0, 1), ylim=(-1.08 * largest, _ROOM * largest), xticks=[0, 0.5, 1], xticklabels=["0", "0.5", "1"]
            )
            _grid.head(panel, symbols[name], _grid.chance(result.gamma_p[name]))
        _grid.outer(panels, x="fractional rank", y="ECDF difference")
        _legend(panels[0], result)
    return panels


def histogram_bands(result: Sbc) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Find the least and greatest counts, of one quantity and of all."""
    n = result.design.datasets
    shares = tuple((result.expected / n).tolist())
    return count_band(n, shares, alpha=_ONE), count_band(n, shares, alpha=result.alpha / len(result.counts))


def _legend(panel: Axes, result: Sbc) -> None:
    """Name the bands, in the room above the data of one panel."""
    one, every = _grid.percent(1 - _ONE), _grid.percent(1 - result.alpha)
    keys = {f"{one}, each": _grid.BAND, f"{every}, all": _grid.WIDE_BAND}
    where: dict[str, Any] = {"loc": "upper left", "borderaxespad": 0.1, "borderpad": 0.2}
    size: dict[str, Any] = {"fontsize": "small", "handlelength": 1.0, "columnspacing": 0.8, "handletextpad": 0.4}
    panel.legend(handles=_grid.bands(keys), ncols=2, **where, **size)
