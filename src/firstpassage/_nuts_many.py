"""NUTS for many data sets: each core has some lanes, which take the next chain of the next data set when they are free.

Data sets of one padded size share a compiled program, which advances all its lanes by some ticks (see `_nuts_lanes`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _nuts, _subjects, seeds
from firstpassage.errors import DataError

if TYPE_CHECKING:
    import jax

    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood

_TRIALS = 4096  # lanes x trials of a program: with fewer, small operations dominate; with more, arrays leave the cache
_LANES = 16  # at most, so that a short list leaves few idle
_TICKS = 256  # leapfrog steps between two looks at which lanes are free

_STATISTICS = ("lp", "energy", "diverging", "n_steps", "tree_depth", "acceptance_rate", "step_size")
_TYPES = {"diverging": np.bool_, "n_steps": np.int64, "tree_depth": np.int64}


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Data sets of one padded size, their numbers in the list, their boxes and the keys of their chains."""

    numbers: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    box: np.ndarray
    keys: jax.Array

    @property
    def lanes(self) -> int:
        """Choose the number of lanes by the size alone, so that it never changes the draws."""
        return int(np.clip(_TRIALS // self.weight.shape[1], 1, _LANES))


def run(
    likelihood: Likelihood, x: Sequence[np.ndarray], *, space: Space, settings: _nuts.Settings, seed: int
) -> _nuts.Result:
    """Sample the posterior of each data set; draws of data set i depend on the seed and i alone."""
    import jax

    from firstpassage import _nuts_lanes

    boxes = []
    for i, one in enumerate(x):
        with _subjects.named(i):
            boxes.append(space.ends(likelihood, one))
    width = len(likelihood.parameters) + len(_STATISTICS)
    records = np.full((settings.chains, settings.draws, len(x), width), np.nan)
    cores = os.cpu_count() or 1
    warm_up = _nuts_lanes.schedule(settings.tune), np.int32(settings.tune)
    with jax.enable_x64(), ThreadPoolExecutor(max_workers=cores) as pool:
        keys = _keys(seed, data_sets=len(x), chains=settings.chains)
        for group in _groups(x, np.stack(boxes), keys):
            jobs = deque(np.ndindex(len(group.numbers), settings.chains))
            program, blank = _program(likelihood, space, group.lanes, group.x.shape[1:], len(warm_up[0]))
            advance = partial(program, warm_up)
            work = partial(_work, advance, blank, group=group, jobs=jobs, settings=settings, records=records)
            for done in [pool.submit(work) for _ in range(min(cores, -(-len(jobs) // group.lanes)))]:
                done.result()
    return _result(likelihood, records)


def _keys(seed: int, *, data_sets: int, chains: int) -> jax.Array:
    """Derive a key for every chain of every data set from the seed and their numbers."""
    import jax

    key = seeds.key(seed, "nuts of many")
    return jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i), chains))(np.arange(data_sets))


def _groups(x: Sequence[np.ndarray], boxes: np.ndarray, keys: jax.Array) -> list[_Group]:
    """Group the data sets by their padded shape."""
    padded = [_nuts.pad(one) for one in x]
    groups = []
    for shape in sorted({data.shape for data, _ in padded}):
        numbers = np.array([i for i, (data, _) in enumerate(padded) if data.shape == shape])
        data, weight = (np.stack([padded[i][part] for i in numbers]).astype(np.float64) for part in (0, 1))
        groups.append(_Group(numbers=numbers, x=data, weight=weight, box=boxes[numbers], keys=keys[numbers]))
    return groups


def _work(
    program: Callable[..., Any],
    lanes: Any,
    *,
    group: _Group,
    jobs: deque[tuple[int, int]],
    settings: _nuts.Settings,
    records: np.ndarray,
) -> None:
    """Advance lanes until no job (data set, chain) is left; threads take jobs from one queue and fill `records`."""
    import jax

    busy = np.zeros(group.lanes, dtype=bool)
    row, chain = np.zeros((2, group.lanes), dtype=int)
    with jax.enable_x64():
        while True:
            fresh = np.zeros(group.lanes, dtype=bool)
            for lane in np.flatnonzero(~busy):
                try:
                    row[lane], chain[lane] = jobs.popleft()
                except IndexError:
                    break
                fresh[lane] = busy[lane] = True
            if not busy.any():
                return
            low, high = group.box[row, :, 0], group.box[row, :, 1]
            lanes, out = program(lanes, fresh, group.keys[row, chain], group.x[row], group.weight[row], low, high)
            label, record = (np.asarray(part) for part in out)
            tick, at = np.nonzero((label >= 0) & (label < settings.draws) & busy)
            records[chain[at], label[tick, at], group.numbers[row[at]]] = record[tick, at]
            busy &= np.asarray(lanes.step) < settings.tune + settings.draws * np.asarray(lanes.tuning.pace)


def _result(likelihood: Likelihood, records: np.ndarray) -> _nuts.Result:
    """Name the columns of the records."""
    names = likelihood.parameter_names
    columns = dict(zip((*names, *_STATISTICS), np.moveaxis(records, -1, 0), strict=True))
    broken = ~np.isfinite(columns["lp"]).all(axis=(0, 1))
    if broken.any():
        raise DataError(
            f"the {likelihood.kind} likelihood of {likelihood.model} is zero or not finite for all starting points in "
            f"{int(broken.sum())} of {broken.size} data sets (first: data set {int(np.argmax(broken))}). Look at its "
            "extreme trials."
        )
    statistics = {name: columns[name].astype(_TYPES.get(name, np.float64)) for name in _STATISTICS}
    return _nuts.Result(theta={name: columns[name] for name in names}, statistics=statistics)


@lru_cache(maxsize=32)
def _program(
    likelihood: Likelihood, space: Space, lanes: int, shape: tuple[int, ...], stages: int
) -> tuple[Callable[..., Any], Any]:
    """Compile what starts the fresh lanes and advances all of them; return also lanes to begin with."""
    import jax

    from firstpassage import _nuts_lanes

    size, p = shape[0], len(likelihood.parameters)
    form = jax.ShapeDtypeStruct
    one_lane = jax.eval_shape(partial(_nuts_lanes.start, p))
    blank = jax.tree.map(lambda leaf: np.zeros((lanes, *leaf.shape), leaf.dtype), one_lane)
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), lanes))
    warm_up = (form((stages, 2), np.int32), form((), np.int32))
    data = [form((lanes, *one), np.float64) for one in (shape, (size,), (p,), (p,))]
    program = partial(_advance, _nuts.write_posterior(likelihood, space), space)
    compiled = jax.jit(program, compiler_options=_nuts.compiler_options())
    return compiled.lower(warm_up, blank, form((lanes,), np.bool_), key, *data).compile(), blank


def _advance(
    log_posterior: Callable[..., Any],
    space: Space,
    warm_up: tuple[Any, Any],
    lanes: Any,
    fresh: Any,
    key: Any,
    *data: Any,
) -> tuple[Any, Any]:
    """Put fresh lanes at their start, advance all, and map what they record from the real line to parameters."""
    import jax

    from firstpassage import _nuts_lanes

    low, high = data[-2:]
    p = low.shape[-1]
    lanes = jax.vmap(lambda new, lane: _nuts_lanes.choose(new, _nuts_lanes.start(p), lane))(fresh, lanes)
    ticks = lanes.tick + jax.numpy.arange(_TICKS)[:, None]
    chances = jax.vmap(jax.vmap(partial(_nuts_lanes.chances, size=p)), (None, 0))(key, ticks)
    lanes, (label, record) = jax.lax.scan(_tick(log_posterior, warm_up, data), lanes, chances)
    theta = space.parameters(record[..., :p], low, high)
    return lanes, (label, jax.numpy.concatenate([theta, record[..., p:]], axis=-1))


def _tick(
    log_posterior: Callable[..., Any], warm_up: tuple[Any, Any], data: tuple[Any, ...]
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Write a tick of all lanes: where a window of the warm-up ends for one of them, learn from it."""
    import jax

    from firstpassage import _nuts_lanes

    schedule, tune = warm_up

    def advance(lane: Any, chance: Any, *data: Any) -> Any:
        target = jax.value_and_grad(lambda z: log_posterior(z, *data))
        return _nuts_lanes.advance(lane, target, chance=chance, schedule=schedule, tune=tune)

    def tick(lanes: Any, chance: Any) -> tuple[Any, Any]:
        lanes, due, record = jax.vmap(advance)(lanes, chance, *data)
        learn = jax.vmap(partial(_nuts_lanes.learn, tune=tune))
        return jax.lax.cond(due.any(), learn, lambda lanes, due: lanes, lanes, due), record

    return tick
