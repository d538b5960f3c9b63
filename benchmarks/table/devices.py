"""Training and sampling on the devices that JAX sees: the CPU beside itself, or a GPU beside the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from table.rows import Row, Side, compared

PROGRAM = Path(__file__).resolve().parents[1] / "device.py"
FIGURES = {
    "training, usual network": ("training", "usual", "pairs_per_second", "pairs per wall s"),
    "training, wide network": ("training", "wide", "pairs_per_second", "pairs per wall s"),
    "sampling 16 data sets": ("sampling", "data_sets_per_second", "data sets per wall s"),
}


def figure(path: tuple[str, ...]) -> Row:
    """Compare the fastest device with the CPU."""
    *keys, unit = path
    record = measured()
    devices = record["devices"]
    rates = {name: _at(found, keys) for name, found in devices.items()}
    others = {name: rate for name, rate in rates.items() if name != "cpu"}
    best = max(others, key=lambda name: others[name]) if others else "cpu"
    sides = (Side(f"{best}: {devices[best]['name']}", [rates[best]]), Side("cpu", [rates["cpu"]]))
    return compared(*sides, unit=unit, note="" if others else record["note"])


def _at(found: Any, keys: list[str]) -> float:
    """Walk into a record."""
    for key in keys:
        found = found[key]
    return float(found)


@cache
def measured() -> dict[str, Any]:
    """Run the benchmark of devices once."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "device.json"
        done = subprocess.run([sys.executable, str(PROGRAM), "--out", str(out)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:])
        return json.loads(out.read_text())


ROWS: dict[str, Callable[[], Row]] = {name: partial(figure, path) for name, path in FIGURES.items()}
