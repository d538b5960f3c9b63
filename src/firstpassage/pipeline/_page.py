"""One page of HTML that needs no other file: style, tables, pictures."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #111 }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child, td.text { text-align: left } td.text { white-space: normal }
img { max-width: 100% } .bad { color: #b00020; font-weight: 600 }
figcaption, .small { color: #555; font-size: 13px }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Put parts of HTML on one page."""
    head = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    opening = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head>'
    return "\n".join([opening, "<body>", *parts, "</body></html>\n"])


def picture(content: bytes, caption: str) -> str:
    """Embed a PNG, with its caption."""
    data = base64.b64encode(content).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def table(frame: pd.DataFrame) -> str:
    """Write a data frame as HTML with few digits."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in frame.columns)
    rows = ["".join(f"<td>{escape(_cell(v))}</td>" for v in row) for row in frame.itertuples(index=False)]
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _cell(value: Any) -> str:
    """Write one cell."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "unknown"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"


def figure(path: Path) -> str:
    """Embed a saved figure, with the caption that lies beside it."""
    return picture(path.read_bytes(), json.loads(path.with_suffix(".json").read_text())["caption"])
