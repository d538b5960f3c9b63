"""Measure the quick table of benchmarks, collect the long studies, and write one table.

    python benchmarks [--groups simulators ...] [--missing]      # make bench
    python benchmarks --long [NAMES]                             # make bench-long

The quick table is measured afresh in about half an hour of CPU time: simulators, effective draws of NUTS, rates
and memory, growth, and the devices that JAX sees; each group in a process of its own. The long studies take an hour and
more each: their figures are read from benchmarks/results, and `--long` runs them again, one after the other, all of
them although one fails. Written are benchmarks/results/table.json and, from it, TABLE.md; with --groups the other
groups of an earlier table are kept. The exit code is 1 if a row could not be measured or a study is not stored, after
all others were tried; with --missing only rows without a figure are measured, which goes on with a table that was
interrupted. A peer that is stopped at its limit of CPU seconds is a figure: the ratio is then a least one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import clock
from table import rows

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
# The heading of a group, and its module.
GROUPS = {
    "simulators": "simulators", "NUTS": "sampling", "fits, calibration, start and memory": "rates",
    "growth with trials, subjects and cores": "growth", "devices": "devices", "long studies": "studies",
}  # fmt: skip
MARK = "row: "


def main() -> None:
    """Measure, write, and end with 1 if a row is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modules = list(GROUPS.values())
    parser.add_argument("--groups", nargs="*", default=modules, choices=modules)
    parser.add_argument("--timeout", type=float, default=7200, help="wall seconds of a group")
    parser.add_argument("--into", type=Path, default=RESULTS)
    parser.add_argument("--long", nargs="*", metavar="STUDY", help="run the long studies, or some, instead")
    parser.add_argument("--missing", action="store_true", help="keep the figures that there are")
    parser.add_argument("--child", choices=modules, help=argparse.SUPPRESS)
    parser.add_argument("--skip", type=json.loads, default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options.child, skip=options.skip)
        return
    if options.long is not None:
        sys.exit(run_studies(options.long))
    known, machine = earlier(options.into / "table.json"), clock.machine()
    for heading, module in GROUPS.items():
        if module in options.groups:
            old = known.get(heading, {}) if options.missing else {}
            kept = {name: row for name, row in old.items() if "failed" not in row and name in wanted(module)}
            known[heading] = dict(kept)
            for found in apart(module, skip=list(kept), timeout=options.timeout):
                every = known[heading] | found
                known[heading] = {name: every[name] for name in wanted(module) if name in every}
                write(options.into, known, machine)
    gaps = unmeasured(known)
    for name, why in gaps.items():
        print(f"not measured: {name}: {why}", file=sys.stderr)
    print(options.into / "TABLE.md")
    sys.exit(1 if gaps else 0)


def measure(module: str, *, skip: list[str]) -> None:
    """Measure the rows of a group in this process, one line of JSON each."""
    for name, call in importlib.import_module(f"table.{module}").ROWS.items():
        if name in skip:
            continue
        start = clock.cpu()
        try:
            row = call()
        except Exception as error:  # a row that fails is told, and the others go on
            if not isinstance(error, FileNotFoundError):
                traceback.print_exc()
            row = rows.failed(f"{type(error).__name__}: {error}")
        row.setdefault("cpu_seconds", round(clock.cpu() - start, 2))
        row |= {"date": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[0], 1)}
        print(MARK + json.dumps({name: row}), flush=True)


def apart(module: str, *, skip: list[str], timeout: float) -> Iterator[dict[str, rows.Row]]:
    """Measure a group in a new process: each row when it is known, and at last those that its end left out."""
    command = [sys.executable, str(HERE), "--child", module, "--skip", json.dumps(skip)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "KERAS_BACKEND": "jax"}
    left = set(wanted(module)) - set(skip)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        timer = _stop_at(child, time.monotonic() + timeout)
        for line in child.stdout:
            if line.startswith(MARK):
                found = json.loads(line.removeprefix(MARK))
                left -= set(found)
                print(line.removeprefix(MARK), end="", flush=True)
                yield found
        timer.cancel()
    yield {name: rows.failed(f"its process ended with {child.returncode}") for name in sorted(left)}


def _stop_at(child: subprocess.Popen[str], end: float) -> Timer:
    """Kill a process at a time, unless it is cancelled."""
    timer = Timer(max(0.0, end - time.monotonic()), child.kill)
    timer.daemon = True
    timer.start()
    return timer


def wanted(module: str) -> list[str]:
    """Name the rows of a group."""
    return list(importlib.import_module(f"table.{module}").ROWS)


def unmeasured(groups: dict[str, dict[str, rows.Row]]) -> dict[str, str]:
    """List the rows that have no figure, of all groups."""
    gaps = {}
    for heading, module in GROUPS.items():
        found = rows.missing(groups.get(heading, {}), wanted(module))
        gaps |= {f"{heading}: {name}": why for name, why in found.items()}
    return gaps


def earlier(path: Path) -> dict[str, dict[str, rows.Row]]:
    """Read the groups of an earlier table."""
    return json.loads(path.read_text())["groups"] if path.exists() else {}


def write(into: Path, groups: dict[str, dict[str, rows.Row]], machine: dict[str, Any]) -> None:
    """Write the table twice, with the groups in order."""
    table = {"machine": machine, "groups": {heading: groups[heading] for heading in GROUPS if heading in groups}}
    clock.write(into / "table.json", table)
    (into / "TABLE.md").write_text(rows.markdown(table), encoding="utf-8")


def run_studies(names: list[str]) -> int:
    """Run long studies one after the other, and count those that failed."""
    from table import studies

    unknown = set(names) - set(studies.COMMANDS)
    if unknown:
        sys.exit(f"There are {', '.join(studies.COMMANDS)}; got {' '.join(sorted(unknown))}.")
    broken = []
    for name in names or studies.COMMANDS:
        for command in studies.COMMANDS[name]:
            print(command, flush=True)
            if subprocess.run([sys.executable, *command.split()], cwd=HERE.parent).returncode:
                broken.append(command)
                break
    for command in broken:
        print(f"failed: {command}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    main()
