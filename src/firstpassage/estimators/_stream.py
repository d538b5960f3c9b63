"""Pairs of parameters and one trial for training: fresh ones each epoch, a table that is shuffled, or a pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from firstpassage import seeds
from firstpassage.estimators import _simulations, _windows
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

Pairs = tuple[dict[str, np.ndarray], np.ndarray]
Feed = Callable[[int, str], dict[str, np.ndarray]]  # (number, purpose) -> what the estimator's metrics take, by name


class Source(Protocol):
    """Anything that gives pairs for a purpose."""

    def draw(self, n: int, *, purpose: str) -> Pairs:
        """Give n pairs: theta (n,) by name, and x (n, column)."""


@dataclass(frozen=True, eq=False)
class Fresh:
    """Simulate new pairs whenever asked."""

    model: Model
    seed: int

    def draw(self, n: int, *, purpose: str) -> Pairs:
        """Simulate n pairs; the same purpose gives the same pairs."""
        theta = self.model.prior(n, seed=seeds.derive(self.seed, f"prior: {purpose}"))
        data = self.model.likelihood(theta, trials=1, seed=seeds.derive(self.seed, f"data: {purpose}"))
        return theta, flatten(data)


@dataclass(frozen=True, eq=False)
class Table:
    """Draw without replacement from pairs that exist; a held-out tenth is for validation."""

    theta: dict[str, np.ndarray]
    x: np.ndarray
    seed: int

    def draw(self, n: int, *, purpose: str) -> Pairs:
        """Choose n rows; the same purpose gives the same rows."""
        rows = _simulations.chosen(len(self.x), n, purpose=purpose, seed=self.seed)
        return {name: value[rows] for name, value in self.theta.items()}, self.x[rows]


@dataclass(frozen=True, eq=False)
class Pooled:
    """Go through a pool in random order, a pass after another; its first tenth is for validation."""

    rows: _windows.Rows

    def draw(self, n: int, *, purpose: str) -> Pairs:
        """Take n trials with their parameters; the same purpose gives the same ones."""
        parts = self.rows.take(n, _pairs, purpose=purpose)
        theta = {name: np.concatenate([part[name] for part, _ in parts]) for name in parts[0][0]}
        return theta, np.concatenate([x for _, x in parts])


def _pairs(found: _simulations.Simulations, picked: np.ndarray) -> Pairs:
    """Take single trials out of rows, of which the first has the first numbers, with their parameters."""
    rows, trials = np.divmod(picked, found.trials)
    return {name: value[rows] for name, value in found.theta.items()}, found.x[rows, trials]


def source(model: Model, simulations: Any, *, seed: int) -> Source:
    """Take a user's table or pool, or simulate."""
    if simulations is None:
        return Fresh(model, seed)
    given = _simulations.opened(simulations)
    if isinstance(given, Pool):
        return Pooled(_windows.rows(model, given, seed=seed, items=given.trials))
    return table(model, given, seed=seed)


def table(model: Model, simulations: Mapping[str, Any], *, seed: int) -> Table:
    """Check a user's table, and take each of its trials for a pair; those of one row lie beside each other."""
    found = _simulations.check(model, simulations)
    trials = found.x.shape[1]
    theta = {name: np.repeat(value, trials) for name, value in found.theta.items()}
    return Table(theta, found.x.reshape(len(found.x) * trials, -1), seed)


def flatten(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put the variables of one trial per row side by side: (n, column)."""
    return np.concatenate([np.reshape(value, (len(value), -1)) for value in data.values()], axis=1)


class Batches(keras.utils.PyDataset):
    """Feed one epoch of pairs in batches; the next epoch's pairs are made when an epoch ends."""

    def __init__(self, feed: Feed, *, batch: int, steps: int, epoch: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.feed, self.batch, self.steps, self.epoch = feed, batch, steps, epoch
        self._fill()

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self.steps

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        """Give one batch."""
        rows = slice(i * self.batch, (i + 1) * self.batch)
        return {name: value[rows] for name, value in self.pairs.items()}

    def on_epoch_end(self) -> None:
        """Move to the next epoch's pairs."""
        self.epoch += 1
        self._fill()

    def _fill(self) -> None:
        """Make this epoch's pairs."""
        self.pairs = self.feed(self.batch * self.steps, f"epoch {self.epoch}")


def adapted(source: Source, adapter: Any) -> Feed:
    """Put pairs of a source through a BayesFlow adapter, with the trailing channel axis that it wants."""

    def feed(n: int, purpose: str) -> dict[str, np.ndarray]:
        theta, x = source.draw(n, purpose=purpose)
        return adapter({**{name: value[:, None] for name, value in theta.items()}, "x": x})

    return feed
