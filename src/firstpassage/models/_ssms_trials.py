"""Draw trials from ssm-simulators, and find out what its simulator of a model does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstpassage.errors import DataError, ModelError

_PROBES, _FEW = 512, 64
_LATER = 0.125  # s, by which the non-decision time is shifted to see what it does; a power of two is exact in float32
_REDRAWS = 200  # of a trial that has no response time in range
_MOST = 0.2  # share of such trials, above which a simulator is not one of response times
_ATTEMPTS, _NEVER = 8, 0.01  # parameter sets of which so large a share is late in every one of these attempts
_SEEDS = 2**31


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What is asked of ssm-simulators: the model's name there, its parameters in order, codes, time step and end."""

    name: str
    parameters: tuple[str, ...]
    codes: tuple[float, ...]
    delta_t: float
    max_t: float

    @property
    def last(self) -> float:
        """The time that a response comes before; the simulator marks what has not ended by a later one."""
        return self.max_t - self.delta_t


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """What a simulator was seen to do.

    Parameters
    ----------
    late : float
        Share of trials without a response time in range, under parameters spread over the box.
    stepped : bool
        Whether a smaller time step changes what a seed gives, but for the noise that smooths times within a step.
    shifts : bool
        Whether t is a time that is added, and nothing else.
    earliest : tuple of (str, float)
        Parameters and weights whose sum every response time exceeds; empty for 0.
    """

    late: float
    stepped: bool
    shifts: bool
    earliest: tuple[tuple[str, float], ...]


def simulate(
    theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator, setup: Setup
) -> dict[str, np.ndarray]:
    """Draw trials (n, trials) for each parameter set; those without a response time in range are drawn again."""
    table = np.stack([theta[name] for name in setup.parameters], axis=1)
    x = raw(setup, table, trials=trials, seed=int(rng.integers(_SEEDS)))
    rows, columns = np.nonzero(~usable(setup, x))
    for _ in range(_REDRAWS):
        if not len(rows):
            return {"rt": x[..., 0], "response": x[..., 1]}
        x[rows, columns] = raw(setup, table[rows], trials=1, seed=int(rng.integers(_SEEDS)))[:, 0]
        left = ~usable(setup, x[rows, columns])
        rows, columns = rows[left], columns[left]
    worst = dict(zip(setup.parameters, table[rows[0]].round(3).tolist(), strict=True))
    raise DataError(
        f"ssm-simulators gave no response time below max_t = {setup.max_t:g} s in {_REDRAWS} trials of {setup.name} "
        f"with {worst}. Narrow the bounds, or set a larger max_t."
    )


def usable(setup: Setup, x: np.ndarray) -> np.ndarray:
    """Tell which trials (..., 2) have a response, and a time after 0 and before the end."""
    return np.isin(x[..., 1], setup.codes) & (x[..., 0] > 0) & (x[..., 0] < setup.last)


def raw(setup: Setup, table: np.ndarray, *, trials: int, seed: int, delta_t: float | None = None) -> np.ndarray:
    """Call ssm-simulators for each row of parameters: (row, trial, 2).

    A few of its models draw from NumPy's global generator, which is seeded for the call and then put back.
    """
    from ssms.basic_simulators.simulator import simulator

    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        out = simulator(
            theta=table.astype(np.float32), model=setup.name, n_samples=trials, random_state=seed,
            delta_t=delta_t or setup.delta_t, max_t=setup.max_t,
        )  # fmt: skip
    finally:
        np.random.set_state(state)  # noqa: NPY002
    shape = (trials, len(table), -1)
    parts = [np.asarray(out[k], dtype=np.float64).reshape(shape)[:, :, 0].T for k in ("rts", "choices")]
    return np.stack(parts, axis=-1)


def examine(setup: Setup, box: Mapping[str, tuple[float, float]], *, edge: Mapping[str, Any] | None) -> Found:
    """Simulate parameters spread over the box, and refuse a simulator whose trials are none."""
    rng = np.random.default_rng(0)
    table = np.stack([rng.uniform(*box[name], size=_PROBES) for name in setup.parameters], axis=1)
    try:
        x = raw(setup, table, trials=1, seed=1)[:, 0]
        again, finer = (raw(setup, table[:_FEW], trials=1, seed=2, delta_t=d)[:, 0] for d in (None, setup.delta_t / 2))
        same = raw(setup, table[:_FEW], trials=1, seed=2)[:, 0]
    except Exception as error:
        raise ModelError(
            f"ssm-simulators cannot simulate {setup.name!r} throughout its box: {error}. Narrow the bounds so that its "
            "parameters need not depend on each other: bounds={...}."
        ) from error
    good = usable(setup, x)
    if good.mean() < 1 - _MOST:
        raise ModelError(
            f"{setup.name!r} must give choices with response times between 0 and max_t = {setup.max_t:g} s; "
            f"{1 - good.mean():.0%} of its trials have none. Narrow the bounds, set a larger max_t, or take another "
            "model: one of choices alone is none of response times."
        )
    _refuse_endless(setup, table[~good])
    if not np.array_equal(again, same, equal_nan=True):
        raise ModelError(f"ssm-simulators does not honour the seed of {setup.name!r}. Simulate it yourself: fp.Model.")
    return Found(
        late=float(1 - good.mean()), stepped=not np.allclose(again, finer, rtol=0, atol=2 * setup.delta_t),
        shifts=_shifts(setup, table[:_FEW], same), earliest=_earliest(setup, table[good], x[good, 0], edge),
    )  # fmt: skip


def _refuse_endless(setup: Setup, late: np.ndarray) -> None:
    """Refuse a box with parameter sets under which trials hardly ever end, as no redrawing helps there."""
    rows = late
    for attempt in range(_ATTEMPTS):
        if not len(rows):
            return
        rows = rows[~usable(setup, raw(setup, rows, trials=1, seed=3 + attempt)[:, 0])]
    if len(rows) > _NEVER * _PROBES:
        worst = dict(zip(setup.parameters, rows[0].round(2).tolist(), strict=True))
        raise ModelError(
            f"trials of {setup.name!r} must end before max_t = {setup.max_t:g} s; with {len(rows)} of {_PROBES} "
            f"parameter sets over the box they hardly ever do (one is {worst}). Narrow the bounds: bounds={{...}}."
        )


def _shifts(setup: Setup, table: np.ndarray, x: np.ndarray) -> bool:
    """Tell whether a later t moves every response time of the same seed by as much, and changes no choice."""
    if "t" not in setup.parameters:
        return False
    later = table.copy()
    later[:, setup.parameters.index("t")] += _LATER
    moved = raw(setup, later, trials=1, seed=2)[:, 0]
    both = usable(setup, x) & usable(setup, moved)
    same = moved[both, 1] == x[both, 1]
    return bool(both.any() and same.all() and np.allclose(moved[both, 0] - x[both, 0], _LATER, atol=1e-4))


def _earliest(
    setup: Setup, table: np.ndarray, rt: np.ndarray, edge: Mapping[str, Any] | None
) -> tuple[tuple[str, float], ...]:
    """Find the latest of three times that every response comes after: t, t less its spread, or 0."""
    candidates: list[tuple[tuple[str, float], ...]] = [(("t", 1.0),)]
    if edge is not None:
        candidates.insert(0, (("t", 1.0), (str(edge["param"]), -float(edge["scale"]))))
    for weights in candidates:
        if all(name in setup.parameters for name, _ in weights):
            earliest = sum(weight * table[:, setup.parameters.index(name)] for name, weight in weights)
            if (rt > earliest).all():
                return weights
    return ()
