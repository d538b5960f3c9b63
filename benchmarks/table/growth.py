"""How costs grow: the exact log density with trials, NUTS with subjects, and the seconds of a sampler with cores."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import clock

from table.rows import Row, Side, compared, grown

SEED, REPEATS = 3, 5
TRIALS, SUBJECTS = (200, 2_000, 20_000), (1, 4, 16)
NUTS = {"draws": 200, "tune": 200, "chains": 4}
POINT = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}


def density(trials: int) -> Row:
    """Compare value and gradient of the log density of choices with HSSM's analytic one."""
    ours, peer = milliseconds(trials)
    return compared(
        Side("exact, JAX", ours), Side("HSSM analytic, PyTensor", peer), unit="CPU ms per value and gradient",
        higher=False,
    )  # fmt: skip


def density_grown(trials: int) -> Row:
    """Compare the cost of so many trials with that of the fewest."""
    most, least = milliseconds(trials)[0], milliseconds(TRIALS[0])[0]
    return grown(
        Side(f"{trials:,} trials", most), Side(f"{TRIALS[0]} trials", least), unit="CPU ms per value and gradient"
    )


@cache
def milliseconds(trials: int) -> tuple[list[float], list[float]]:
    """Time both densities in turn, several calls at a time, since one is shorter than the clock's steps."""
    import pymc_sampling

    x = pymc_sampling.trials(trials, SEED)
    ours, peer = exact(x), analytic(x)
    calls = max(3, 40_000 // trials)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for values, call in zip(found, (ours, peer), strict=True):
            values.append(1000 * clock.seconds(lambda call=call: [call() for _ in range(calls)]) / calls)
    return found


def exact(x: Any) -> Callable[[], Any]:
    """Compile ours, in float64."""
    import jax
    import jax.numpy as jnp

    import firstpassage as fp

    likelihood = fp.ddm().exact
    summed = jax.jit(jax.value_and_grad(lambda theta, x: likelihood.function(x, theta).sum()))
    with jax.enable_x64():
        theta, data = {name: jnp.asarray(value) for name, value in POINT.items()}, jnp.asarray(x)

    def call() -> Any:
        with jax.enable_x64():
            return jax.block_until_ready(summed(theta, data))

    call()
    return call


def analytic(x: Any) -> Callable[[], Any]:
    """Compile HSSM's, in float64."""
    function = compiled()
    point = [float(value) for value in POINT.values()]
    function(x, *point)
    return lambda: function(x, *point)


@cache
def compiled() -> Callable[..., Any]:
    """Compile HSSM's log density and its gradient, for any number of trials."""
    import pytensor
    import pytensor.tensor as pt
    from hssm.likelihoods.analytical import logp_ddm

    data, point = pt.dmatrix("data"), [pt.dscalar(name) for name in POINT]
    total = logp_ddm(data, *point).sum()
    return pytensor.function([data, *point], [total, *pt.grad(total, point)])


def subjects(number: int) -> Row:
    """Compare NUTS of many subjects in one call with as many calls of one, compilation aside."""
    import firstpassage as fp
    from firstpassage import diagnostics

    exact = fp.ddm().exact
    data = diagnostics.data_sets(fp.ddm(), number=number, trials=200, seed=SEED)
    every, alone = [], []
    for turn in range(3):
        spent = clock.seconds(lambda turn=turn: exact.sample(data, seed=turn, **NUTS))
        single = clock.seconds(lambda turn=turn: exact.sample(data[:1], seed=turn, **NUTS))
        if turn:
            every.append(spent / number)
            alone.append(single)
    return compared(
        Side(f"{number} subject{'s' if number > 1 else ''} in one call", every), Side("a call for one subject", alone),
        unit="CPU s per subject", higher=False,
        note="NUTS with the exact likelihood, 200 trials, 4 chains of 200 + 200. The one subject is the first of them.",
    )  # fmt: skip


def cores() -> Row:
    """Compare the wall seconds of a sampler on one core and on two."""
    import pymc as pm
    import pymc_sampling

    import firstpassage as fp

    x = pymc_sampling.trials(200, SEED)
    with pm.Model() as model:
        pymc_sampling.observe_exact(x, None)

    def wall(number: int) -> float:
        start = time.perf_counter()
        fp.sample(model, draws=300, tune=300, chains=4, cores=number, seed=SEED)
        return time.perf_counter() - start

    wall(1)
    pairs = [(wall(2), wall(1)) for _ in range(2)]
    return compared(
        Side("fp.sample, 2 cores", [pair[0] for pair in pairs]), Side("1 core", [pair[1] for pair in pairs]),
        unit="wall s", higher=False,
        note=f"Compilation included; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, which "
        "decides what a second core gives.",
    )  # fmt: skip


ROWS: dict[str, Callable[[], Row]] = {
    **{f"exact log density, {n:,} trials": partial(density, n) for n in TRIALS},
    **{f"exact log density, {n:,} trials against {TRIALS[0]}": partial(density_grown, n) for n in TRIALS[1:]},
    **{f"NUTS, {n} subject{'s' if n > 1 else ''}": partial(subjects, n) for n in SUBJECTS},
    "NUTS in PyMC, 2 cores": cores,
}
