"""Loss: how training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from firstpassage.errors import DataError
from firstpassage.plots import _style

if TYPE_CHECKING:
    import pandas as pd


def loss(history: pd.DataFrame, *, method: str = "nre", ax: Axes | None = None) -> Axes:
    """Draw the training and the validation loss over the epochs.

    Parameters
    ----------
    history : DataFrame
        Columns epoch, loss and validation_loss (nats), one row per epoch.
    method : str
        What was trained: gives the colour.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        With both lines; the axis fits what comes after the first tenth of the epochs.

    Raises
    ------
    DataError
        If a column is missing, or there is no epoch.

    Examples
    --------
    >>> import pandas as pd
    >>> loss(pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "validation_loss": [1.1, 0.6]})).get_xlabel()
    'epoch'
    """
    missing = [name for name in ("epoch", "loss", "validation_loss") if name not in history]
    if missing or not len(history):
        raise DataError(f"history must have epoch, loss, validation_loss; missing: {missing or 'all rows'}.")
    with _style.style():
        panel = _style.shown(columns=1)[0] if ax is None else ax
        panel.plot(history["epoch"], history["loss"], color=_style.OBSERVED, label="training")
        validation = history["validation_loss"]
        panel.plot(history["epoch"], validation, color=_style.colour(method), label="validation")
        settled = history[["loss", "validation_loss"]].iloc[-(-len(history) // 10) :]
        if len(settled) > 1:  # the fall in the first tenth would hide what comes later
            margin = 0.1 * (settled.max().max() - settled.min().min())
            panel.set_ylim(settled.min().min() - margin, settled.max().max() + margin)
        panel.set_xlabel("epoch")
        panel.set_ylabel("loss (nats)")
        panel.legend()
    return panel
