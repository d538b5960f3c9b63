"""The look of all figures: one style sheet, and one colour and line for each method."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by all common kinds of colour vision.
COLOURS = {
    "exact": "#000000",
    "nre": "#0072B2",
    "nle": "#D55E00",
    "npe": "#009E73",
    "approximate": "#CC79A7",
    "nle-window": "#E69F00",
    "prior": "#595959",
}
NAMES = {
    "exact": "exact", "nre": "NRE", "nle": "NLE", "npe": "NPE", "approximate": "approximate",
    "nle-window": "NLE of statistics", "prior": "prior",
}  # fmt: skip
OBSERVED = "#8C8C8C"  # data: outlines
OBSERVED_FILL = "#E8E8E8"
TRUTH = "#000000"  # the parameter that made simulated data: a solid black line
_OTHERS = ("#F0E442", "#56B4E9", "#8C564B")

_DRAWING = threading.RLock()  # matplotlib's settings are of the whole process, and runs of a sweep may be threads
_SHEET = resources.files("firstpassage.plots") / "firstpassage.mplstyle"


@contextmanager
def style() -> Iterator[None]:
    """Apply the style sheet inside a with statement, and put the former settings back.

    Whether figures are shown at once is no matter of looks, and stays as the backend sets it inside.

    Returns
    -------
    context manager
        For ``with style(): ...``.

    Examples
    --------
    >>> with style():
    ...     axes = canvas(rows=1, columns=2)
    """
    interactive = mpl.is_interactive()
    try:
        with _DRAWING, resources.as_file(_SHEET) as sheet, mpl.style.context(sheet):
            try:
                yield
            finally:
                interactive = mpl.is_interactive()
    finally:
        # A notebook's backend, loaded by the first figure, turns this on: put back, no further figure would be shown.
        mpl.interactive(interactive)


def canvas(*, rows: int, columns: int, width: float = 2.4, height: float = 2.3) -> np.ndarray:
    """Make a figure that no window shows and nobody need close, for saving to a file.

    Parameters
    ----------
    rows, columns : int
        Of panels.
    width, height : float
        Inches for each panel.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (rows, columns)
        The figure is ``axes[0, 0].figure``.

    Examples
    --------
    >>> canvas(rows=1, columns=2).shape
    (1, 2)
    """
    with style():
        figure = Figure(figsize=(width * columns, height * rows))
        return figure.subplots(rows, columns, squeeze=False)


def shown(*, columns: int) -> np.ndarray:
    """Make a row of panels in a figure that a notebook shows."""
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(2.4 * columns, 2.3), squeeze=False)[1][0]


def colour(method: str, place: int = 0) -> str:
    """Return the colour of a method; others take turns."""
    return COLOURS.get(method, _OTHERS[place % len(_OTHERS)])


def dashes(method: str) -> str:
    """Return the line style of a method: dashed if exact, so that both lines are seen where they agree."""
    return "--" if method == "exact" else "-"
