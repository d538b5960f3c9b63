"""Grid: figures of several panels that fit a report's column, and what all their panels share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from firstpassage.errors import DataError
from firstpassage.plots import _style

if TYPE_CHECKING:
    from firstpassage.models.parameter import Parameter

WIDTH = 8.2  # inches: 900 pixels at 110 dots per inch
_WIDEST = 2.7  # inches of a panel among others
_LOWEST = 2.35  # inches of a row, in which labels take as much room in narrow panels
_ALONE = (4.4, 3.2)  # inches of a panel alone
_MOST = 4  # panels in a row

BAND = "#D2D2D2"  # expected sampling error
WIDE_BAND = "#EDEDED"  # of everything together
_WORDY = 12  # letters of a title that leave little room for a remark
NOTE = "#595959"  # remarks in a panel


def grid(panels: int, *, height: float | None = None) -> np.ndarray:
    """Make a figure of so many panels that no window shows, for saving to a file.

    Rows have up to four panels and are as full as can be; all together are at most as wide as a report's column.

    Parameters
    ----------
    panels : int
        How many.
    height : float, optional
        Inches of each row; chosen to fit if None.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (panel,)
        The argument `ax` of the functions that draw; the figure is ``axes[0].figure``.

    Raises
    ------
    DataError
        If `panels` is not a positive integer.

    Examples
    --------
    >>> grid(6)[0].figure.axes[5].get_subplotspec().rowspan.start
    1
    """
    if isinstance(panels, bool) or not isinstance(panels, (int, np.integer)) or panels < 1:
        raise DataError(f"panels must be a positive integer; got {panels!r}. Count what is to be drawn.")
    with _style.style():
        return _filled(Figure(), panels, height=height)


def panels(ax: Axes | np.ndarray | None, number: int, *, height: float | None = None) -> np.ndarray:
    """Return the axes given, checked, or those of a new figure that a notebook shows."""
    if ax is None:
        import matplotlib.pyplot as plt

        return _filled(plt.figure(), number, height=height)
    found = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(found) != number or not all(isinstance(panel, Axes) for panel in found):
        raise DataError(
            f"ax must hold {number} axes, one per panel; got {len(found)}. Make them by plots.grid({number})."
        )
    return found


def expect(result: Any, kind: type, *, remedy: str) -> None:
    """Refuse what is not the result that a function draws."""
    if not isinstance(result, kind):
        raise DataError(f"expected a {kind.__name__}, got {type(result).__name__}. Make one by {remedy}.")


def labels(names: Iterable[str], parameters: Sequence[Parameter] | None) -> dict[str, str]:
    """Give every name its axis label, symbol (unit); names that are no parameter stay."""
    known = {p.name: p.label for p in parameters or ()}
    return {name: known.get(name, name) for name in names}


def symbols(names: Iterable[str], parameters: Sequence[Parameter] | None) -> dict[str, str]:
    """Give every name its symbol, and every parameter within one; other words stay."""
    known = {p.name: p.symbol or p.name for p in parameters or ()}
    return {name: " ".join(known.get(word, word) for word in name.split(" ")) for name in names}


def name(method: str) -> str:
    """Write the name of a method as in all figures."""
    return _style.NAMES.get(method, method)


def outer(found: np.ndarray, *, x: str | None = None, y: str | None = None) -> None:
    """Label the lowest panel of each column and the leftmost of each row."""
    places = [panel.get_subplotspec() for panel in found]
    for panel, place in zip(found, places, strict=True):
        below = [
            p for p in places if place and p and p.colspan == place.colspan and p.rowspan.start > place.rowspan.start
        ]
        left = [
            p for p in places if place and p and p.rowspan == place.rowspan and p.colspan.start < place.colspan.start
        ]
        if x is not None and not below:
            panel.set_xlabel(x)
        if y is not None and not left:
            panel.set_ylabel(y)


def head(panel: Axes, title: str, note: str = "") -> None:
    """Write a title on the left and a remark on the right, above the panel where no data are."""
    wordy = bool(note) and len(title.replace("$", "")) > _WORDY
    panel.set_title(title, fontsize="x-small" if wordy else None, fontweight="normal")  # as symbols, never bold
    if note:
        short, size = (note.replace(" ", ""), "xx-small") if wordy else (note, "small")
        panel.set_title(short, loc="right", fontsize=size, fontweight="normal", color=NOTE)


def percent(share: float) -> str:
    """Write a share, such as that of a band."""
    return f"{100 * share:.3g} %"


def chance(p: float) -> str:
    """Write the p-value of a test."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.{1 if p < 1e-3 else 2}g}"


def bands(keys: Mapping[str, str]) -> list[Patch]:
    """Make legend entries of bands: label to colour."""
    return [Patch(facecolor=colour, linewidth=0, label=label) for label, colour in keys.items()]


def _filled(figure: Figure, number: int, *, height: float | None = None) -> np.ndarray:
    """Set a figure's size and divide it."""
    rows = -(-number // _MOST) if number != 5 else 2
    columns = -(-number // rows)
    width = _ALONE[0] if number == 1 else min(_WIDEST, WIDTH / columns)
    tall = height if height is not None else (_ALONE[1] if number == 1 else max(_LOWEST, 0.95 * width))
    figure.set_size_inches(width * columns, tall * rows)
    places = figure.add_gridspec(rows, columns)
    return np.array([figure.add_subplot(places[i // columns, i % columns]) for i in range(number)], dtype=object)
