"""Pieces of data sets, of which functions are summed.

Pieces are single trials, the decisions at the sites of a corridor, or short stretches of voltage traces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.diagnostics import _sites, _trace_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstpassage.diagnostics._discrepancy import Discrepancy

_TRACES = 500  # that are simulated for pieces of traces
SIMULATED = 5000  # pieces of the fitted simulator, and of the prior predictive, from which cells are learned


@dataclass(frozen=True, eq=False, kw_only=True)
class Replicates:
    """Hold pieces of the fitted simulator (piece, column), and data sets of the observed size, as `read` returns."""

    fitted: np.ndarray
    data: Sequence[np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Trials:
    """Take single trials."""

    sampler: Any

    def simulate(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Simulate one trial for each row of theta: (n, column)."""
        drawn = np.asarray(self.sampler.simulate(theta, rng), dtype=np.float64)
        return drawn.reshape(len(drawn), -1)

    def everything(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Simulate pieces at parameters from the prior (n,): (piece, column)."""
        return self.simulate(theta, rng)

    def replicates(
        self, estimate: Mapping[str, float], *, like: np.ndarray, number: int, rng: np.random.Generator
    ) -> Replicates:
        """Simulate data sets like the given one at the estimate."""
        size = len(like)
        theta = {name: np.full(SIMULATED + number * size, value) for name, value in estimate.items()}
        trials = self.simulate(theta, rng)
        return Replicates(fitted=trials[:SIMULATED], data=list(trials[SIMULATED:].reshape(number, size, -1)))

    def sums(self, tell: Discrepancy, data: Sequence[np.ndarray]) -> np.ndarray:
        """Sum functions of a trial over the trials of each data set: (dataset, function)."""
        return tell.per_trial(np.concatenate(data)).reshape(len(data), len(data[0]), -1).sum(axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Decisions:
    """Take the decisions of foraging data, visits or windows."""

    sampler: Any

    def everything(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Simulate pieces at parameters from the prior (n,): (piece, column)."""
        drawn = np.asarray(self.sampler.simulate(theta, rng), dtype=np.float64)
        pieces = _sites.decisions(_sites.sites([drawn], self.sampler.columns))
        return pieces[rng.choice(len(pieces), min(SIMULATED, len(pieces)), replace=False)]

    def replicates(
        self, estimate: Mapping[str, float], *, like: np.ndarray, number: int, rng: np.random.Generator
    ) -> Replicates:
        """Simulate data sets like the given one at the estimate."""
        theta = {name: np.full(number, value) for name, value in estimate.items()}
        data = _sites.replicate(self.sampler, theta, like=like, rng=rng)
        more = {name: np.full(SIMULATED, value) for name, value in estimate.items()}
        return Replicates(fitted=self.everything(more, rng), data=data)

    def sums(self, tell: Discrepancy, data: Sequence[np.ndarray]) -> np.ndarray:
        """Sum functions of a decision over the decisions of each data set: (dataset, function)."""
        found = _sites.sites(data, self.sampler.columns)
        each = tell.per_trial(_sites.decisions(found))
        first = np.flatnonzero(np.diff(found.owner, prepend=-1))
        return np.add.reduceat(each, first, axis=0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Stretches:
    """Take stretches of voltage traces."""

    sampler: Any

    def everything(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Simulate pieces at parameters from the prior (n,), of the first ones: (piece, column)."""
        some = {name: value[:_TRACES] for name, value in theta.items()}
        drawn = np.asarray(self.sampler.simulate(some, rng), dtype=np.float64)
        pieces = _trace_statistics.stretches(drawn.reshape(len(drawn), -1)).reshape(-1, _trace_statistics.COLUMNS)
        return pieces[rng.choice(len(pieces), min(SIMULATED, len(pieces)), replace=False)]

    def replicates(
        self, estimate: Mapping[str, float], *, like: np.ndarray, number: int, rng: np.random.Generator
    ) -> Replicates:
        """Simulate data sets like the given one at the estimate."""
        theta = {name: np.full(number * len(like), value) for name, value in estimate.items()}
        drawn = np.asarray(self.sampler.simulate(theta, rng), dtype=np.float64)
        more = {name: np.full(_TRACES, value) for name, value in estimate.items()}
        return Replicates(fitted=self.everything(more, rng), data=list(drawn.reshape(number, len(like), -1)))

    def sums(self, tell: Discrepancy, data: Sequence[np.ndarray]) -> np.ndarray:
        """Sum functions of a stretch over the stretches of each data set: (dataset, function)."""
        pieces = _trace_statistics.stretches(np.concatenate(data)).reshape(-1, _trace_statistics.COLUMNS)
        return tell.per_trial(pieces).reshape(len(data), len(pieces) // len(data), -1).sum(axis=1)


Pieces = Trials | Decisions | Stretches


def of(sampler: Any) -> Pieces:
    """Choose the pieces that suit a sampler's data."""
    if _trace_statistics.known(sampler.columns):
        return Stretches(sampler=sampler)
    return Decisions(sampler=sampler) if _sites.known(sampler.columns) else Trials(sampler=sampler)
