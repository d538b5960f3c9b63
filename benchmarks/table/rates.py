"""Fits of the shipped posterior per CPU second, calibration of a likelihood, start of the program, and memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import clock

from table.rows import Row, Side, compared

SEED, TRIALS, DRAWS = 2, 200, 1000
REPEATS = 3
CALIBRATED, ALONE = 32, 2  # data sets in one call, and one by one

# What is started in a process of its own, to read its largest memory at the end.
# Prints the most memory that a process held. Linux's ru_maxrss of a new process counts the one that started it.
PEAK = (
    "import resource; print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    if sys.platform == "darwin"
    else "print('peak', next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)
BASE = "import bayesflow, jax; jax.numpy.zeros(1).block_until_ready()"
TRAINED = "import firstpassage as fp; fp.NRE(fp.ddm()).fit(budget=1_000_000, seed=1)"
FITTED = (
    "import firstpassage as fp, numpy as np; m = fp.ddm(); "
    "d = m.likelihood(m.prior(1, seed=1), trials=200, seed=1); "
    "fp.pretrained('ddm', '{}').sample(np.stack([d['rt'][0], d['response'][0]], axis=1), draws=500, seed=1)"
)


@cache
def data(number: int) -> list[Any]:
    """Simulate data sets of choices."""
    import firstpassage as fp
    from firstpassage import diagnostics

    return diagnostics.data_sets(fp.ddm(), number=number, trials=TRIALS, seed=SEED)


def fits(number: int) -> Row:
    """Fit data sets by the shipped posterior, and by the exact likelihood and NUTS, both compiled beforehand."""
    import firstpassage as fp

    posterior, exact = fp.pretrained("ddm", "npe"), fp.ddm().exact
    few = data(number)[: min(number, ALONE)]
    nuts = {"draws": DRAWS // 4, "tune": 500, "chains": 4}
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(REPEATS + 1):
        ours = clock.seconds(lambda turn=turn: posterior.sample(data(number), draws=DRAWS, seed=turn))
        theirs = clock.seconds(lambda turn=turn: exact.sample(few, seed=turn, **nuts))
        if turn:
            found[0].append(number / ours)
            found[1].append(len(few) / theirs)
    note = f"{DRAWS} draws each, {TRIALS} trials; NUTS: 4 chains of 500 + {DRAWS // 4}, at most {ALONE} data sets."
    return compared(
        Side("shipped NPE", found[0]), Side("exact likelihood, NUTS", found[1]), unit="fits per CPU s", note=note
    )


def calibration() -> Row:
    """Draw for calibration of the shipped likelihood: many data sets in one call, and one after another."""
    import firstpassage as fp
    from firstpassage import diagnostics

    learned, model = fp.pretrained("ddm", "nle"), fp.ddm()

    def run(number: int, seed: int) -> float:
        def call() -> None:
            diagnostics.sbc(diagnostics.simulated(learned, model, datasets=number, trials=TRIALS, seed=seed))

        return 60 * number / clock.seconds(call)

    run(CALIBRATED, SEED)
    one = {"draws": 500, "tune": 400, "chains": 2}
    learned.sample(data(1)[0], seed=SEED, **one)
    alone = clock.seconds(lambda: [learned.sample(each, seed=SEED, **one) for each in data(ALONE)])
    return compared(
        Side(f"{CALIBRATED} in one call", [run(CALIBRATED, SEED + 1)]),
        Side("one after another", [60 * ALONE / alone]),
        unit="data sets per CPU minute",
        note=f"SBC of the shipped NLE, {TRIALS} trials, 2 chains of 400 + 500; compiled beforehand.",
    )


def started(ours: list[str], peer: list[str], names: tuple[str, str]) -> Row:
    """Start two programs in turn, the second of which is the measure."""
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(REPEATS + 1):
        for values, arguments in zip(found, (ours, peer), strict=True):
            start = clock.cpu()
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-300:]}")
            if turn:  # the first one reads the files from disk
                values.append(max(clock.cpu() - start, 0.01))
    return compared(Side(names[0], found[0]), Side(names[1], found[1]), unit="CPU s", higher=False)


def memory(ours: str, peer: str, names: tuple[str, str], note: str) -> Row:
    """Compare the largest memory of two programs."""
    found = [[largest(program)] for program in (ours, peer)]
    return compared(Side(names[0], found[0]), Side(names[1], found[1]), unit="GB", higher=False, note=note)


@cache
def largest(program: str) -> float:
    """Run Python code in a new process, and read the most memory that it held, in GB."""
    done = subprocess.run([sys.executable, "-c", f"{program}; {PEAK}"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, or kilobytes
    return int(done.stdout.split("peak")[-1]) * unit / 1e9


LIBRARIES = "importing BayesFlow and JAX alone"
ROWS: dict[str, Callable[[], Row]] = {
    "amortized fits, 1 data set": partial(fits, 1),
    "amortized fits, 100 data sets": partial(fits, 100),
    "calibration of a likelihood": calibration,
    "import firstpassage": partial(
        started, ["-c", "import firstpassage"], ["-c", "import bayesflow"], ("import firstpassage", "import bayesflow")
    ),
    "firstpassage --help": partial(
        started, ["-m", "firstpassage", "--help"], ["-c", "import bayesflow"],
        ("firstpassage --help", "import bayesflow"),
    ),
    "memory of a training": partial(
        memory, TRAINED, BASE, ("NRE of the DDM, usual settings", LIBRARIES), "Largest memory of the whole process."
    ),
    "memory of a fit by NPE": partial(
        memory, FITTED.format("npe"), BASE, ("shipped NPE, 200 trials", LIBRARIES),
        "Largest memory of the whole process.",
    ),
    "memory of a fit by NRE": partial(
        memory, FITTED.format("nre"), BASE, ("shipped NRE and NUTS, 200 trials", LIBRARIES),
        "Largest memory of the whole process.",
    ),
}  # fmt: skip
