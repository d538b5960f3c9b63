"""Rows of the table of benchmarks: two sides measured in the same run, their ratio, and the table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
BETTER, GROWTH = "better", "growth"
_HEAD = "| row | unit | ours | peer | ratio | CPU s |"


@dataclass(frozen=True)
class Side:
    """What was measured, and its repeats; of a run that was stopped, the one value is a bound."""

    what: str
    values: Sequence[float]
    stopped: str | None = None

    def record(self) -> dict[str, Any]:
        """Put median, least and largest together."""
        told = {"what": self.what, "repeats": len(self.values)}
        told |= {"median": statistics.median(self.values), "least": min(self.values), "largest": max(self.values)}
        return told | ({"stopped": self.stopped} if self.stopped else {})


def compared(ours: Side, peer: Side, *, unit: str, higher: bool = True, note: str = "") -> Row:
    """Compare two sides: the ratio says how many times better ours is, in the median of pairs of repeats.

    A rate is the better the higher it is, and a cost the lower. If the peer was stopped, the ratio is a least one.
    """
    over = (ours, peer) if higher else (peer, ours)
    return _row(ours, peer, ratio=_ratio(*over), unit=unit, kind=BETTER, note=note)


def grown(large: Side, small: Side, *, unit: str, note: str = "") -> Row:
    """Compare two sizes of the same thing: the ratio is that of the larger one to the smaller one."""
    return _row(large, small, ratio=_ratio(large, small), unit=unit, kind=GROWTH, note=note)


def failed(why: str) -> Row:
    """Tell why there is no figure."""
    return {"failed": " ".join(why.split())[:400] or "no message"}


def _row(ours: Side, peer: Side, *, ratio: float, unit: str, kind: str, note: str) -> Row:
    """Put a row together."""
    row: Row = {"unit": unit, "kind": kind, "ours": ours.record(), "peer": peer.record(), "ratio": ratio}
    bound = "at most" if ours.stopped and not peer.stopped else "at least" if peer.stopped and not ours.stopped else ""
    if ours.stopped and peer.stopped:
        row["ratio"], bound = None, ""
    return row | ({"bound": bound} if bound else {}) | ({"note": note} if note else {})


def _ratio(top: Side, bottom: Side) -> float:
    """Take the median ratio of pairs, or, of different numbers of repeats, the ratio of the medians."""
    if len(top.values) == len(bottom.values):
        return statistics.median(a / b for a, b in zip(top.values, bottom.values, strict=True))
    return statistics.median(top.values) / statistics.median(bottom.values)


def missing(rows: Mapping[str, Row], wanted: Sequence[str]) -> dict[str, str]:
    """List the rows without a figure, each with the reason."""
    absent = {name: "it was not measured" for name in wanted if name not in rows}
    return absent | {name: row["failed"] for name, row in rows.items() if "failed" in row}


def markdown(table: Mapping[str, Any]) -> str:
    """Write the whole table as Markdown, from nothing but its JSON."""
    told = table["machine"]
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench` from table.json, not by hand. Both sides of a row are measured in the same run; the "
        "ratio says how many times better ours is (higher rates, lower costs), or, where it says growth, how many "
        "times the first side is the second. Medians of repeats, with the least and the largest in brackets. CPU "
        "seconds are those of the whole row, its preparation and compilation included; a stored figure is from another "
        "run, of a study that takes long (`make bench-long`).",
        "",
        f"{told['cores']} cores ({told['machine']}), load {told['load']}, Python {told['python']}, {told['date']}: "
        + ", ".join(f"{name} {number}" for name, number in told["versions"].items())
        + ".",
    ]
    for group, rows in table["groups"].items():
        parts += ["", f"## {group[0].upper()}{group[1:]}", "", _HEAD, "|---|---|---|---|---|---|"]
        parts += [_line(name, row) for name, row in rows.items()]
        parts += _notes(rows)
    return "\n".join(parts) + "\n"


def _line(name: str, row: Row) -> str:
    """Write one row."""
    if "failed" in row:
        return f"| {name} | | **not measured**: {_escaped(row['failed'])} | | | |"
    spent = f"stored, {row['measured']}" if "measured" in row else f"{row['cpu_seconds']:.0f}"
    return f"| {name} | {row['unit']} | {_side(row['ours'])} | {_side(row['peer'])} | {_told(row)} | {spent} |"


def _told(row: Row) -> str:
    """Write a ratio."""
    if row["ratio"] is None:
        return "not known"
    return f"{row.get('bound', '')} {number(row['ratio'])}{' (growth)' if row['kind'] == GROWTH else ''}".strip()


def _side(side: Mapping[str, Any]) -> str:
    """Write one side."""
    text = f"{_escaped(side['what'])}: "
    if "stopped" in side:
        return text + _escaped(side["stopped"])
    text += number(side["median"])
    return text + (f" [{number(side['least'])}, {number(side['largest'])}]" if side["repeats"] > 1 else "")


def _notes(rows: Mapping[str, Row]) -> list[str]:
    """List what is to be said of rows, once for those of which the same is said."""
    named: dict[str, list[str]] = {}
    for name, row in rows.items():
        if "note" in row:
            named.setdefault(row["note"], []).append(name)
    return [line for note, names in named.items() for line in ("", f"{'; '.join(names)}: {note}")]


def number(value: float) -> str:
    """Write a number with three digits, and thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.2e}"


def _escaped(text: str) -> str:
    """Keep a text inside its cell."""
    return text.replace("|", "\\|").replace("\n", " ")
