"""Rows of a pool in random order, with a window of it in memory.

In each pass over the pool the shards come in a new random order. As many as fit into a window are read, their rows are
mixed, and every one of them is given once; then comes the next window. So rows mix within a window: wholly where the
pool fits into one, and beyond it by the order of the shards alone, whose rows are independent draws anyway. An epoch
begins where the one before it ended. All this follows from the seed and the number of the epoch, so that a run that was
killed goes on with the rows it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from firstpassage import seeds
from firstpassage.estimators import _simulations
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

WINDOW = 256_000_000  # bytes of a window
_INDEX = np.dtype(np.uint32)  # of an item in a window
_VALIDATION, _TRAINING = "validation", "training"
Span = tuple[int, int, int]  # number of a shard, first row, row behind the last
Part = tuple[_simulations.Simulations, np.ndarray]  # rows in memory, and which of their items are given
type Give[T] = Callable[[_simulations.Simulations, np.ndarray], T]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Give the rows of a pool, or their trials, without repetition until all were given.

    Parameters
    ----------
    model : Model
        For which they are checked.
    pool : Pool
        On disk. The first tenth of its rows is for validation, as of a table.
    seed : int
        Of the order.
    items : int
        What is given of a row: 1, the whole; or the number of trials, each for itself.
    shapes : mapping
        Of the variables in one trial.
    window : int
        Bytes of rows in memory; at least one shard.
    """

    model: Model
    pool: Pool
    seed: int
    items: int
    shapes: Mapping[str, tuple[int, ...]]
    window: int = WINDOW
    _kept: dict[tuple[str, int, int], Part] = field(default_factory=dict, repr=False)

    def take[T](self, n: int, give: Give[T], *, purpose: str) -> list[T]:
        """Give n items in parts, each by a call with rows in memory; the same purpose gives the same items."""
        word, _, number = purpose.partition(" ")
        region = _VALIDATION if purpose == _VALIDATION else _TRAINING
        spans = self._spans(region)
        position = n * int(number) if word == "epoch" else 0
        end, given = position + n, list[T]()
        while position < end:
            turn, offset = divmod(position, self._items(spans))
            shuffled = self._shuffled(spans, region=region, turn=turn)
            i, begin, content = self._window(shuffled, offset, region=region, n=n)
            place = slice(offset - begin, min(self._items(content), offset - begin + end - position))
            # No name is bound to the rows here, which would keep them while the next window is read.
            given.append(give(*self._loaded(content, region=region, turn=turn, window=i, place=place)))
            position += place.stop - place.start
        return given

    def _items(self, spans: list[Span]) -> int:
        """Count the items of some spans."""
        return self.items * sum(last - first for _, first, last in spans)

    def _spans(self, region: str) -> list[Span]:
        """List which rows of which shards are for validation, or for training."""
        held_out, start, spans = self.pool.rows // 10, 0, []
        for k, shard in enumerate(self.pool.shards):
            edge = min(max(held_out - start, 0), shard.rows)
            first, last = (0, edge) if region == _VALIDATION else (edge, shard.rows)
            if last > first:
                spans.append((k, first, last))
            start += shard.rows
        return spans

    def _shuffled(self, spans: list[Span], *, region: str, turn: int) -> list[Span]:
        """Put spans in the order of a pass."""
        order = seeds.generator(self.seed, f"{region} shards, pass {turn}").permutation(len(spans))
        return [spans[k] for k in order]

    def _window(self, spans: list[Span], offset: int, *, region: str, n: int) -> tuple[int, int, list[Span]]:
        """Find the window that an item of a pass lies in: its number, its first item, and its spans."""
        limit = max(1, self.window // self._bytes)
        if region == _VALIDATION:
            limit = min(limit, -(-n // self.items))  # no more than is asked for, as it is read once
        i, begin, content, size = 0, 0, list[Span](), 0
        for span in spans:
            rows = span[2] - span[1]
            if content and size + rows > limit:
                if offset < begin + size * self.items:
                    break
                i, begin, content, size = i + 1, begin + size * self.items, [], 0
            content.append(span)
            size += rows
        return i, begin, content

    @property
    def _bytes(self) -> int:
        """Count the bytes of a row, its places in the order included."""
        columns = sum(int(np.prod(shape)) for shape in self.shapes.values())
        return 8 * (len(self.model.parameters) + self.pool.trials * columns) + _INDEX.itemsize * self.items

    def _loaded(self, spans: list[Span], *, region: str, turn: int, window: int, place: slice) -> Part:
        """Read a window and take from the order of its items; one of training stays until the next is wanted."""
        key = (region, turn, window)
        if key not in self._kept:
            if region == _TRAINING:
                self._kept.clear()  # before another is read, so that there is never more than one
            found, order = self._read(spans), np.arange(self._items(spans), dtype=_INDEX)
            seeds.generator(self.seed, f"{region} rows, pass {turn}, window {window}").shuffle(order)
            if region == _VALIDATION:
                return found, order[place]
            self._kept[key] = found, order
        found, order = self._kept[key]
        return found, order[place]

    def _read(self, spans: list[Span]) -> _simulations.Simulations:
        """Read spans of shards into arrays of the size of all of them."""
        rows = sum(last - first for _, first, last in spans)
        theta = {name: np.empty(rows) for name in self.model.parameter_names}
        columns = sum(int(np.prod(shape)) for shape in self.shapes.values())
        x = np.empty((rows, self.pool.trials, columns))
        at = 0
        for k, first, last in spans:
            found = _simulations.of_shard(self.model, self.pool, k, shapes=self.shapes)
            place = slice(at, at + last - first)
            for name, value in found.theta.items():
                theta[name][place] = value[first:last]
            x[place] = found.x[first:last]
            at += last - first
        return _simulations.Simulations(theta=theta, x=x)


def rows(model: Model, pool: Pool, *, seed: int, items: int, window: int = WINDOW) -> Rows:
    """Check a pool against a model, and give its rows in random order."""
    _simulations.check_pool(model, pool)
    shapes = _simulations.variables(model)
    return Rows(model=model, pool=pool, seed=seed, items=items, shapes=shapes, window=window)
