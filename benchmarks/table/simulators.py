"""Simulators against peers: trials, windows and traces per CPU second, and how the rates change with the number."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import clock

from table.rows import Row, Side, compared

ROOT = Path(__file__).resolve().parents[2]
SEED, REPEATS = 1, 3
CHOICES, WINDOWS, TRACES = (1_000, 10_000, 100_000, 1_000_000), (100, 1_000, 10_000), (100, 1_000, 10_000)
MOST = {"ddm": 10_000, "foraging": 300, "lif": 100}  # of a peer, whose time is proportional to the number


def choices(number: int) -> Row:
    """Draw choices exactly, and by ssm-simulators, whose steps of .001 s are vectorised over parameter sets."""
    import numpy as np
    import wiener_sampler

    def given(n: int) -> Any:
        rng = np.random.default_rng(SEED)
        return np.stack([rng.uniform(*edges, n) for edges in wiener_sampler.BOX.values()], axis=1)

    return _rates(
        number, MOST["ddm"], given, wiener_sampler.exact, wiener_sampler.vectorised,
        ("exact sampler", "ssm-simulators, vectorised"), unit="trials per CPU s",
    )  # fmt: skip


def windows(number: int) -> Row:
    """Simulate windows of 100 sites, and by a plain Python loop over sites."""
    import foraging_simulator
    import numpy as np

    sys.path.insert(0, str(ROOT / "tests"))
    from oracle import foraging_sessions

    task = foraging_simulator.Task()

    def plain(theta: Any, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for row in theta:
            foraging_sessions.window(foraging_simulator.named(row.astype(float)), task=task, rng=rng)

    return _rates(
        number, MOST["foraging"], partial(foraging_simulator.prior, seed=SEED),
        lambda theta, seed: foraging_simulator.simulate(foraging_simulator.named(theta), task=task, seed=seed), plain,
        ("simulator", "plain Python loop"), unit="windows per CPU s",
    )  # fmt: skip


def traces(number: int) -> Row:
    """Simulate traces of 1,000 samples, and by a plain Python loop on floats."""
    import lif_simulator

    return _rates(
        number, MOST["lif"], partial(lif_simulator.prior, seed=SEED), lif_simulator.simulator,
        lif_simulator.plain_floats, ("simulator", "plain Python loop"), unit="traces per CPU s",
    )  # fmt: skip


def _rates(
    number: int, most: int, given: Callable[..., Any], ours: Callable[..., Any], peer: Callable[..., Any],
    names: tuple[str, str], *, unit: str,
) -> Row:  # fmt: skip
    """Time both sides in turn, after one untimed call of each."""
    theta, less = given(number), given(min(number, most))
    found: tuple[list[float], list[float]] = ([], [])
    ours(theta[:10], seed=SEED)
    peer(less[:10], seed=SEED)
    ours(theta, seed=SEED)  # compiled for this shape
    for turn in range(REPEATS):
        # One call of few is shorter than the clock's steps.
        calls = max(1, 20_000 // number)
        spent = clock.seconds(lambda turn=turn, calls=calls: [ours(theta, seed=SEED + turn) for _ in range(calls)])
        found[0].append(calls * len(theta) / spent)
        found[1].append(len(less) / clock.seconds(lambda turn=turn: peer(less, seed=SEED + turn)))
    note = f"The peer's rate is that of {most:,}." if number > most else ""
    return compared(Side(names[0], found[0]), Side(names[1], found[1]), unit=unit, note=note)


ROWS: dict[str, Callable[[], Row]] = {
    **{f"ddm, {n:,} trials": partial(choices, n) for n in CHOICES},
    **{f"foraging, {n:,} windows": partial(windows, n) for n in WINDOWS},
    **{f"lif, {n:,} traces": partial(traces, n) for n in TRACES},
}
