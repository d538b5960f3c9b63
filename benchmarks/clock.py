"""CPU seconds of this process and its children, spread of repeats, and what a record tells of machine and command."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "firstpassage", "bayesflow", "keras", "jax", "numba", "numpy", "pymc", "numpyro", "nutpie", "hssm",
    "ssm-simulators",
)  # fmt: skip
ONE_THREAD = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


def cpu() -> float:
    """Give the CPU seconds of this process and of those children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def seconds(call: Callable[[], Any]) -> float:
    """Measure the CPU seconds of a call."""
    start = cpu_fine()
    call()
    return max(cpu_fine() - start, 1e-9)


def cpu_fine() -> float:
    """Give the CPU seconds of this process alone, in steps finer than the clock ticks that `cpu` counts."""
    return time.process_time()


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Give the median of repeats, the least and the largest of them, and how many there are."""
    return {
        "median": statistics.median(values), "least": min(values), "largest": max(values), "repeats": len(values),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """Say on what was measured, with which versions, when, and by which command."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    program = Path(sys.argv[0])
    return {
        "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2), "versions": found, "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", "/".join(program.parts[-2:]), *sys.argv[1:]]),
    }  # fmt: skip


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        part.write(json.dumps(record, indent=1) + "\n")
    Path(part.name).chmod(0o644)
    os.replace(part.name, path)
