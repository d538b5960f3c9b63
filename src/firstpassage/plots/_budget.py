"""Budget: how near posteriors are to the exact one, against the number of simulations, in one round and in several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from firstpassage.errors import DataError
from firstpassage.plots import _grid, _style

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("method", "rounds", "simulations")
_LABELS = {"c2st": "C2ST to the exact posterior", "shift_mean": "shift of the mean (exact sd)"}
_PERFECT = {"c2st": 0.5, "shift_mean": 0.0}


def budget(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Draw the distance from exact posteriors against the number of simulations.

    Parameters
    ----------
    table : DataFrame
        A row for each posterior: method, rounds, simulations (in all rounds), and c2st, shift_mean or both.
    ax : ndarray of matplotlib.axes.Axes, shape (panel,), optional
        A panel for each of the distances there are; a new figure if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (panel,)
        Dots are posteriors, lines join the means of the same method and number of rounds: solid and filled for
        several rounds, dashed and open for one. Black: as equal as can be.

    Raises
    ------
    DataError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"method": "npe", "simulations": 1000, "c2st": 0.6}
    >>> len(budget(pd.DataFrame([{**row, "rounds": 1}, {**row, "rounds": 4}])))
    1
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame) or not {*_NEEDED} <= set(table) or not set(_LABELS) & set(table):
        raise DataError(
            f"expected a DataFrame with {', '.join(_NEEDED)} and {' or '.join(_LABELS)}; got "
            f"{list(table) if isinstance(table, pd.DataFrame) else type(table).__name__}. Add the columns."
        )
    kinds = [name for name in _LABELS if name in table]
    with _style.style():
        panels = _grid.panels(ax, len(kinds))
        for panel, kind in zip(panels, kinds, strict=True):
            panel.axhline(_PERFECT[kind], color=_style.TRUTH, linewidth=0.9)
            for (method, rounds), rows in table.groupby(["method", "rounds"]):
                _line(panel, rows, kind, method=str(method), rounds=int(rounds))
            panel.set(xscale="log", xlabel="simulations", ylabel=_LABELS[kind])
        panels[0].legend()
    return panels


def _line(panel: Axes, rows: Any, kind: str, *, method: str, rounds: int) -> None:
    """Draw all posteriors of a method and a number of rounds, and join their means."""
    colour = _style.colour(method)
    filled = colour if rounds > 1 else "white"
    panel.plot(rows["simulations"], rows[kind], "o", color=colour, markersize=2.5, alpha=0.5, markerfacecolor=filled)
    mean = rows.groupby("simulations")[kind].mean()
    words = "one round" if rounds == 1 else f"{rounds} rounds"
    panel.plot(
        mean.index, mean, "o-" if rounds > 1 else "o--", color=colour, markerfacecolor=filled,
        label=f"{_grid.name(method)}, {words}",
    )  # fmt: skip
