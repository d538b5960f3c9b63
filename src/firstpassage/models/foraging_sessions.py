"""The patch-foraging drift-diffusion model's simulator: windows of consecutive odour sites, in JAX.

At each site of a patch the animal has run a distance d since the last one: evidence for leaving grows by
drift_rate d + noise_std sqrt(d) N(0, 1). At or above the threshold the animal runs on, which ends the patch; below it
stops, is rewarded or not, and the evidence moves by reward_bump or failure_bump. Evidence at one site depends on that
at the last, so sites are walked through in order, with many windows side by side.

All randomness comes from a counter: the bits of a site are a function of the seed, the row and the site alone. A row
is therefore the same in whatever batch it is simulated, and nothing but the animal's state is carried along.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11: Threefry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.models import _counters

Start = Literal["patch", "burn_in"]

PARAMETERS = ("drift_rate", "reward_bump", "failure_bump", "noise_std")
COLUMNS = ("patch_time", "reward", "stop")

_BATCH = 1024  # rows of one call: their state stays in the first-level cache


@dataclass(frozen=True, kw_only=True)
class Task:
    """Say what the corridor is like, where a window starts and when the animal leaves.

    Parameters
    ----------
    sites : int
        Odour sites of a window, at least 3.
    start : {"patch", "burn_in"}
        The window begins at the first site of a patch; or after `burn_in` further sites of a new session, which are
        dropped, and so usually in the middle of a patch.
    burn_in : int
        Sites dropped with ``start="burn_in"``, at least 1.
    session_start : bool
        The window is the beginning of a session: the distance to its first site is the gap alone. For
        ``start="patch"``; a burn-in always begins so.
    gap_min : float, cm
        Shortest gap between sites.
    gap_scale : float, cm
        Scale of the exponential distribution of what a gap has above `gap_min`.
    gap_max : float, cm
        Longest gap: the exponential is truncated there.
    site_length : float, cm
        Length of an odour site, run through before each gap.
    unit_length : float, cm
        The unit of distance in windows and parameters.
    reward_probability : float
        Of the first reward in a patch, from 0 to 1.
    depletion : float
        The reward probability falls by exp(-depletion) with each reward taken in the patch.
    threshold : float
        Evidence at which the animal leaves.
    start_evidence : float
        Evidence at the beginning of a patch, below the threshold.

    Raises
    ------
    ModelError
        If a setting cannot be.

    Examples
    --------
    >>> Task(sites=20).gap_min
    20.0
    """

    sites: int = 100
    start: Start = "patch"
    burn_in: int = 100
    session_start: bool = False
    gap_min: float = 20.0
    gap_scale: float = 19.0
    gap_max: float = 1e6
    site_length: float = 50.0
    unit_length: float = 88.73
    reward_probability: float = 0.8
    depletion: float = 0.1
    threshold: float = 1.0
    start_evidence: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings of no corridor, or of an animal that leaves before it came."""
        if self.start not in get_args(Start):
            raise ModelError(f"start must be one of {', '.join(get_args(Start))}; got {self.start!r}.")
        if not isinstance(self.session_start, bool):
            raise ModelError(f"session_start must be True or False; got {self.session_start!r}.")
        for name, least in (("sites", 3), ("burn_in", 1)):
            _check_count(name, getattr(self, name), least=least)
        for name in (field.name for field in fields(self) if field.type == "float"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        _require(self.gap_min >= 0, "gap_min", self.gap_min, "at least 0 cm")
        _require(self.gap_scale > 0, "gap_scale", self.gap_scale, "above 0 cm")
        _require(self.gap_max > self.gap_min, "gap_max", self.gap_max, f"above gap_min={self.gap_min:g} cm")
        _require(self.site_length >= 0, "site_length", self.site_length, "at least 0 cm")
        _require(self.unit_length > 0, "unit_length", self.unit_length, "above 0 cm")
        _require(0 <= self.reward_probability <= 1, "reward_probability", self.reward_probability, "from 0 to 1")
        _require(self.depletion >= 0, "depletion", self.depletion, "at least 0")
        _require(
            self.start_evidence < self.threshold, "start_evidence", self.start_evidence,
            f"below threshold={self.threshold:g}",
        )  # fmt: skip


def simulate(theta: Mapping[str, ArrayLike], *, task: Task, seed: int) -> np.ndarray:
    """Simulate one window for each parameter set.

    Parameters
    ----------
    theta : mapping of str to array_like, shape (n,)
        drift_rate (evidence per unit of distance), reward_bump and failure_bump (evidence), noise_std (evidence per
        square root of distance, >= 0).
    task : Task
        The corridor.
    seed : int
        Row i depends on its parameters, the seed and i only.

    Returns
    -------
    ndarray, shape (n, sites, 3), float32
        `[..., 0]` is patch_time, the distance run since the beginning of the patch, in units of `task.unit_length`;
        `[..., 1]` the reward, `[..., 2]` the stop, 0 or 1 each. Stop 0 is the leave that ends a patch.

    Raises
    ------
    ModelError
        If a parameter is missing, not finite, or noise_std is negative; or the seed is no seed.

    Examples
    --------
    >>> theta = dict(drift_rate=[0.5, 0.2], reward_bump=[-0.4, 0.0], failure_bump=[0.3, 0.5], noise_std=[0.1, 0.2])
    >>> simulate(theta, task=Task(), seed=1).shape
    (2, 100, 3)
    """
    words = seeds.generator(seed, "foraging sessions").integers(2**32, size=2, dtype=np.uint32)
    return _simulate(_table(theta), task, words)


def draw(
    theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator, task: Task
) -> dict[str, np.ndarray]:
    """Simulate several windows for each parameter set.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        As for `simulate`.
    trials : int
        Windows for each parameter set, at least 1.
    rng : numpy.random.Generator
        Source of randomness, advanced by two 32-bit numbers.
    task : Task
        The corridor.

    Returns
    -------
    dict of str to ndarray, shape (n, trials, sites, 3), float32
        ``"window"``: see `simulate`.

    Raises
    ------
    ModelError
        If a parameter is missing, not finite, or noise_std is negative; or there is no trial.

    Examples
    --------
    >>> theta = dict(drift_rate=[0.5], reward_bump=[-0.4], failure_bump=[0.3], noise_std=[0.1])
    >>> draw(theta, trials=3, rng=np.random.default_rng(1), task=Task(sites=20))["window"].shape
    (1, 3, 20, 3)
    """
    _check_count("trials", trials, least=1)
    table = _table(theta)
    words = rng.integers(2**32, size=2, dtype=np.uint32)
    windows = _simulate(np.repeat(table, trials, axis=1), task, words)
    return {"window": windows.reshape(table.shape[1], trials, task.sites, len(COLUMNS))}


def _check_count(name: str, value: int, *, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ModelError(f"{name} must be a whole number, at least {least}; got {value!r}. Pass for example {least}.")


def _number(name: str, value: float) -> float:
    """Return a finite number as a float."""
    if isinstance(value, (bool, str)) or not np.isscalar(value) or not math.isfinite(value):
        raise ModelError(f"{name} must be a finite number; got {value!r}. See Task for its unit.")
    return float(value)


def _require(holds: bool, name: str, value: float, expected: str) -> None:
    """Refuse a setting out of its range."""
    if not holds:
        raise ModelError(f"{name} must be {expected}; got {value:g}. See Task for the usual value.")


def _table(theta: Mapping[str, ArrayLike]) -> np.ndarray:
    """Return the parameters as (4, n) float32, or say what is wrong with them."""
    missing = [name for name in PARAMETERS if name not in theta]
    if missing or len(theta) != len(PARAMETERS):
        raise ModelError(f"theta must have {', '.join(PARAMETERS)}; got {', '.join(theta) or 'nothing'}.")
    rows = [np.asarray(theta[name], dtype=np.float32) for name in PARAMETERS]
    shapes = {name: row.shape for name, row in zip(PARAMETERS, rows, strict=True)}
    if set(shapes.values()) != {rows[0].shape} or rows[0].ndim != 1:
        raise ModelError(f"each parameter must have the same shape (n,); got {shapes}. Broadcast and flatten theta.")
    table = np.stack(rows)
    bad = ~np.isfinite(table).all(axis=0) | (table[3] < 0)
    if bad.any():
        i = int(np.argmax(bad))
        row = ", ".join(f"{name}={value:g}" for name, value in zip(PARAMETERS, table[:, i], strict=True))
        raise ModelError(
            f"parameters must be finite and noise_std at least 0; {bad.sum()} of {bad.size} rows are not so (first: "
            f"row {i}, {row}). Stay within the model's box."
        )
    return table


def _simulate(table: np.ndarray, task: Task, words: np.ndarray) -> np.ndarray:
    """Simulate the columns of a table (4, n), a batch at a time; the last one is filled up with its own first rows."""
    walk = _walk(task)
    n = table.shape[1]
    windows = np.empty((n, task.sites, len(COLUMNS)), dtype=np.float32)
    for first in range(0, n, _BATCH):
        batch = table[:, first : first + _BATCH]
        rows = batch.shape[1]
        filled = batch if rows == _BATCH else np.resize(batch.T, (_BATCH, len(PARAMETERS))).T
        windows[first : first + rows] = walk(filled, words, np.uint32(first))[:rows]
    return windows


class _State(NamedTuple):
    """The animals just after a site."""

    evidence: jax.Array  # (row,)
    patch_time: jax.Array  # (row,), units of distance; 0 after a leave
    probability: jax.Array  # (row,), of the next reward


@lru_cache(maxsize=32)
def _walk(task: Task) -> Callable[..., jax.Array]:
    """Compile the walk of a batch for one task: (parameter, row), key words, number of the first row -> windows."""

    def walk(theta: jax.Array, words: jax.Array, first: jax.Array) -> jax.Array:
        rows = first + lax.iota(jnp.uint32, theta.shape[1])
        begin = jnp.zeros_like(theta[0])
        state = _State(begin + task.start_evidence, begin, begin + task.reward_probability)

        def site(state: _State, k: jax.Array) -> tuple[_State, tuple[jax.Array, jax.Array]]:
            return _site(state, theta, _bits(words, rows, k), _length(task, k), task)

        dropped = task.burn_in if task.start == "burn_in" else 0
        places = jnp.arange(dropped + task.sites, dtype=jnp.uint32)
        if dropped:
            state, _ = lax.scan(lambda state, k: (site(state, k)[0], None), state, places[:dropped])
        _, (patch_time, outcome) = lax.scan(site, state, places[dropped:])
        columns = (patch_time, (outcome == 2).astype(jnp.float32), (outcome > 0).astype(jnp.float32))
        return jnp.stack(columns, axis=-1).transpose(1, 0, 2)

    return jax.jit(walk)


def _length(task: Task, k: jax.Array) -> jax.Array:
    """Give the length of the site before the gap; before the first site of a session there is none."""
    length = task.site_length / task.unit_length
    session = task.session_start or task.start == "burn_in"
    return jnp.where(k == 0, 0.0, length).astype(jnp.float32) if session else jnp.float32(length)


def _site(
    state: _State, theta: jax.Array, bits: tuple[jax.Array, ...], length: jax.Array, task: Task
) -> tuple[_State, tuple[jax.Array, jax.Array]]:
    """Run to the next site; outcome 0 is to leave there, 1 to stop for nothing, 2 to stop and be rewarded."""
    drift, reward_bump, failure_bump, noise = theta
    distance = _counters.once(length + _gap(bits[0], task))
    grown = _counters.once(state.evidence + drift * distance + noise * jnp.sqrt(distance) * _counters.normal(bits[1]))
    patch_time = state.patch_time + distance
    stop = grown < task.threshold
    reward = stop & (_counters.uniform(bits[2]) < state.probability)
    evidence = jnp.where(reward, grown + reward_bump, grown + failure_bump)
    probability = jnp.where(reward, state.probability * math.exp(-task.depletion), state.probability)
    after = _State(
        jnp.where(stop, evidence, task.start_evidence),
        jnp.where(stop, patch_time, 0.0),
        jnp.where(stop, probability, task.reward_probability),
    )
    return after, (patch_time, stop.astype(jnp.float32) + reward.astype(jnp.float32))


def _gap(bits: jax.Array, task: Task) -> jax.Array:
    """Draw gaps from the truncated exponential distribution, by inversion; in units of distance."""
    mass = -math.expm1(-(task.gap_max - task.gap_min) / task.gap_scale)
    return (task.gap_min - task.gap_scale * jnp.log1p(-mass * _counters.uniform(bits))) / task.unit_length


def _bits(words: jax.Array, rows: jax.Array, k: jax.Array) -> tuple[jax.Array, ...]:
    """Give 3 x 32 bits for each row at site k."""
    even, odd = (_counters.threefry(words, rows, jnp.full_like(rows, 2 * k + j)) for j in range(2))
    return tuple(_counters.once(x) for x in (*even, odd[0]))
