"""Effective draws of NUTS per CPU second: our two defaults beside BayesFlow's bare wrapper and HSSM's analytic density.

The drift-diffusion model with 200, 2,000 and 20,000 trials; every case runs in a process of its own (nuts.py). A case
that is not done after a number of CPU seconds is stopped: its rate is then at most that of as many effective draws as
there would have been draws.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from nuts import CHAINS, DRAWS, NAMES, limit

from table.rows import Row, Side, compared

TRIALS = (200, 2_000, 20_000)
PEERS = ("bare:pymc", "hssm:pymc", "hssm:nutpie", "hssm:numpyro")
PROGRAM = Path(__file__).resolve().parents[1] / "nuts.py"
CONVERGED = 1.05  # R-hat up to which a rate is told without a word


def versus(ours: str, peer: str, trials: int) -> Row:
    """Compare two cases on the same data."""
    sides, spent, notes = [], 0.0, []
    for case in (ours, peer):
        found = measured(case, trials)
        if "failed" in found:
            raise RuntimeError(f"{case}: {found['failed']}")
        rate = found.get("ess_per_cpu_s", CHAINS * DRAWS / limit(trials))
        sides.append(Side(NAMES[case], [rate], stopped=found.get("stopped")))
        spent += found["cpu_s"]
        if found.get("max_rhat", 1.0) > CONVERGED:
            notes.append(f"R-hat of {NAMES[case]} {found['max_rhat']:.2f}")
    row = compared(*sides, unit="effective draws per CPU s", note="; ".join(notes))
    return row | {"cpu_seconds": round(spent, 1)}


@cache
def measured(case: str, trials: int) -> dict[str, Any]:
    """Run a case in a new process, once for all rows that need it."""
    most = limit(trials)
    command = [sys.executable, str(PROGRAM), "--case", case, "--trials", str(trials)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode in (-24, -9) and lines:  # SIGXCPU, or SIGKILL a little later
        return {"stopped": f"stopped at {most} CPU s", "cpu_s": float(most)}
    if done.returncode or not lines:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return {"failed": said[-1] if said else f"ended with {done.returncode}"}
    return json.loads(lines[-1])


ROWS: dict[str, Callable[[], Row]] = {
    f"{NAMES[ours]} against {NAMES[peer]}, {n:,} trials": partial(versus, ours, peer, n)
    for n in TRIALS
    for peer in PEERS
    for ours in (("likelihood.sample", "fp.sample") if peer == "hssm:nutpie" else ("likelihood.sample",))
}
