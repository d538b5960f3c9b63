"""Trials reduced to statistics, for likelihoods of these: what such data are, and pairs to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.models import plain
from firstpassage.models.model import Model
from firstpassage.models.records import Schema, Statistics

if TYPE_CHECKING:
    from firstpassage.estimators._stream import Pairs, Source

_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduced:
    """Reduce the trials of a source to statistics, with a little noise.

    A statistic that is often exactly 0, or takes whole numbers only, has no density; with noise of a small share of
    its standard deviation it has one, close to that of the statistic where that is smooth.

    Parameters
    ----------
    source : Source
        Of parameters and trials.
    statistics : Statistics
        Of each trial.
    noise : ndarray, shape (statistic,)
        Standard deviations.
    seed : int
        Of the noise.
    """

    source: Source
    statistics: Statistics
    noise: np.ndarray
    seed: int

    def draw(self, n: int, *, purpose: str) -> Pairs:
        """Give n pairs of parameters and statistics; the same purpose gives the same pairs."""
        theta, x = self.source.draw(n, purpose=purpose)
        found = self.statistics.of_trials(x)
        rng = seeds.generator(self.seed, f"noise: {purpose}")
        return theta, found + self.noise * rng.standard_normal(found.shape)


def source(statistics: Statistics, given: Source, *, probes: int, noise: float, seed: int) -> Reduced:
    """Measure the spread of the statistics and choose their noise, a share of it."""
    _, x = given.draw(probes, purpose="spread")
    spread = np.maximum(statistics.of_trials(x).std(axis=0), _SMALLEST)
    return Reduced(source=given, statistics=statistics, noise=noise * spread, seed=seed)


def schema(model: Model, statistics: Statistics | None) -> Schema:
    """Say what the data of a likelihood of statistics are: the model's own, which are reduced when they are read."""
    whole = plain.schema(model)
    if statistics is None:
        return whole
    return Schema(
        trial=whole.trial,
        columns=statistics.names,
        read=partial(_read, whole=whole, statistics=statistics),
        simulate=partial(_simulate, model=model, statistics=statistics),
    )


def _read(data: Any, *, whole: Schema, statistics: Statistics) -> np.ndarray:
    """Read trials and reduce them; what was returned by this function is accepted, too."""
    known = isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == len(statistics.names)
    return np.asarray(data, dtype=np.float64) if known else statistics.of_trials(whole.read(data))


def _simulate(
    theta: Mapping[str, np.ndarray], rng: np.random.Generator, *, model: Model, statistics: Statistics
) -> np.ndarray:
    """Simulate the statistics of one trial for each row of theta."""
    data = model.likelihood(theta, trials=1, seed=int(rng.integers(2**63)))
    return statistics.of_trials(np.concatenate([np.reshape(v, (len(v), -1)) for v in data.values()], axis=1))
