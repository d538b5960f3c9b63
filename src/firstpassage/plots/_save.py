"""Save a figure whole, with its numbers beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from firstpassage.diagnostics._json import as_json
from firstpassage.errors import ArtefactError
from firstpassage.estimators._atomic import write_bytes
from firstpassage.plots import _style

_LARGEST = 150_000  # bytes of one PNG
_RESOLUTIONS = (170, 140, 110, 90, 72)  # dots per inch, tried in turn


def save(figure: Figure, path: str | Path, *, numbers: Mapping[str, Any], caption: str) -> Path:
    """Write a figure as PNG below 150 kB and, beside it, its numbers and caption as JSON.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or Path
        Ends in ``.png``; the numbers go to the same name with ``.json``.
    numbers : mapping
        What is drawn: numbers, strings, arrays, lists and dicts of them.
    caption : str
        What is to be seen, with n and the seed.

    Returns
    -------
    Path
        Of the PNG.

    Raises
    ------
    ArtefactError
        If the path does not end in .png, the figure is too large, or a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> figure = _style.canvas(rows=1, columns=1)[0, 0].figure
    >>> save(figure, tempfile.mkdtemp() + "/empty.png", numbers={}, caption="n = 0, seed 1").name
    'empty.png'
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ArtefactError(f"a figure's path must end in .png; got {path}.")
    write_bytes(path, _png(figure))
    write_bytes(path.with_suffix(".json"), as_json({"caption": caption, **numbers}).encode())
    return path


def _png(figure: Figure) -> bytes:
    """Draw at the highest resolution that keeps the file small."""
    for resolution in _RESOLUTIONS:
        buffer = io.BytesIO()
        with _style.style():
            figure.savefig(buffer, format="png", dpi=resolution, metadata={"Software": None})
        if buffer.tell() < _LARGEST:
            return buffer.getvalue()
    raise ArtefactError(f"the figure has {buffer.tell()} bytes, needs < {_LARGEST}. Draw fewer panels.")
