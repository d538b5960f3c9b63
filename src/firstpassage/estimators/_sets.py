"""Sets of trials for training a posterior estimator: simulated in groups of equal size, summarised at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.estimators import _deepset, _latent, _moments, _scale, _shape, _simulations, _steps, _windows
from firstpassage.estimators._latent import Space
from firstpassage.estimators._moments import Encode
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._stream import Feed

Features = Any  # ndarray (dataset, feature) or (dataset, step, feature), or `Ragged` trials
_GROUP = 512  # parameter sets that share a number of trials


@dataclass(frozen=True, eq=False, kw_only=True)
class FreshSets:
    """Simulate new sets whenever asked, with numbers of trials spread evenly over the logarithm of their range."""

    model: Model
    space: Space
    trials: tuple[int, int]
    encode: Encode
    seed: int
    batch: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, Features]:
        """Simulate n sets: places on the flow's line (n, coordinate), and features (n, feature) or trials."""
        rng = seeds.generator(self.seed, f"sizes: {purpose}")
        points = _latent.draw(self.model, n, seed=seeds.derive(self.seed, f"prior: {purpose}"))
        groups = [
            self._group(points[i : i + _GROUP], trials=_size(self.trials, rng), seed=int(rng.integers(2**32)))
            for i in range(0, n, _GROUP)
        ]
        return _gathered(groups, ragged=self.encode is _all_trials, longest=self.trials[1], batch=self.batch, rng=rng)

    def _group(self, points: np.ndarray, *, trials: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Simulate one group with equally many trials."""
        data = self.model.likelihood(_latent.named(self.model, points), trials=trials, seed=seed)
        x = np.concatenate([np.reshape(v, (*v.shape[:2], -1)) for v in data.values()], axis=2, dtype=np.float64)
        features = self.encode(x)
        return self.space.line(points, x, features), features


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSets:
    """Draw without replacement from sets that exist, cut to numbers of trials of a range."""

    points: np.ndarray
    x: np.ndarray
    space: Space
    trials: tuple[int, int]
    encode: Encode
    seed: int
    batch: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, Features]:
        """Choose n rows; the same purpose gives the same rows, cut in the same way."""
        rows = _simulations.chosen(len(self.points), n, purpose=purpose, seed=self.seed)
        if self.trials[0] == self.trials[1]:
            latent, features = self._whole
            return latent[rows], features[rows]
        rng = seeds.generator(self.seed, f"sizes: {purpose}")
        groups = [self._group(rows[i : i + _GROUP], trials=_size(self.trials, rng)) for i in range(0, n, _GROUP)]
        return _gathered(groups, ragged=self.encode is _all_trials, longest=self.trials[1], batch=self.batch, rng=rng)

    @cached_property
    def _whole(self) -> tuple[np.ndarray, Features]:
        """Encode all rows once, where all have the same number of trials."""
        latent, features = self._group(np.arange(len(self.points)), trials=self.trials[1])
        ragged = self.encode is _all_trials
        return latent, _deepset.merged([features], longest=self.trials[1]) if ragged else features

    def _group(self, rows: np.ndarray, *, trials: int) -> tuple[np.ndarray, np.ndarray]:
        """Encode some rows, of which the first trials are taken."""
        x = self.x[rows, :trials]
        features = self.encode(x)
        return self.space.line(self.points[rows], x, features), features


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolSets:
    """Go through the sets of a pool in random order, cut to numbers of trials of a range."""

    rows: _windows.Rows
    space: Space
    trials: tuple[int, int]
    encode: Encode
    seed: int
    batch: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, Features]:
        """Take n rows; the same purpose gives the same rows, cut in the same way."""
        rng = seeds.generator(self.seed, f"sizes: {purpose}")

        def encoded(found: _simulations.Simulations, picked: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
            parts = [picked[i : i + _GROUP] for i in range(0, len(picked), _GROUP)]
            return [
                self._group(found, part, trials=_size(self.trials, rng), seed=int(rng.integers(2**32)))
                for part in parts
            ]

        groups = [group for part in self.rows.take(n, encoded, purpose=purpose) for group in part]
        return _gathered(groups, ragged=self.encode is _all_trials, longest=self.trials[1], batch=self.batch, rng=rng)

    def _group(
        self, found: _simulations.Simulations, picked: np.ndarray, *, trials: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode some rows, of which the first trials are taken."""
        theta = {name: value[picked] for name, value in found.theta.items()}
        points, x = _latent.points(self.rows.model, theta, seed=seed), found.x[picked, :trials]
        features = self.encode(x)
        return self.space.line(points, x, features), features


def _gathered(
    groups: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    ragged: bool,
    longest: int,
    batch: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Features]:
    """Mix groups that differ in their numbers of trials."""
    latent = np.concatenate([u for u, _ in groups])
    order = rng.permutation(len(latent))
    if not ragged:
        return latent[order], np.concatenate([features for _, features in groups])[order]
    sets = _deepset.merged([features for _, features in groups], longest=longest)
    order = _deepset.alike(order, sets.sizes, batch=batch, rng=rng)
    return latent[order], sets[order]


def repeated(feed: Feed, *, passes: int, seed: int, batch: int) -> Feed:
    """Use what is made for one epoch in `passes` epochs, each time in another order."""
    kept: dict[str, dict[str, Any]] = {}

    def again(n: int, purpose: str) -> dict[str, Any]:
        word, _, number = purpose.partition(" ")
        if passes == 1 or word != "epoch":
            return feed(n, purpose)
        made = f"epoch {int(number) // passes}"
        if made not in kept:
            kept.clear()
            kept[made] = feed(n, made)
        rng = seeds.generator(seed, f"order: {purpose}")
        order = rng.permutation(n)
        sets = kept[made]["summary_variables"]
        if isinstance(sets, _deepset.Ragged):
            order = _deepset.alike(order, sets.sizes, batch=batch, rng=rng)
        return {name: value[order] for name, value in kept[made].items()}

    return again


def encoder(model: Model, *, trials: tuple[int, int], summary: str) -> Encode:
    """Choose what a summary network takes of sets: fixed statistics, the steps of a trial, series, or all trials."""
    if summary == "decisions":
        return _steps.encoder(model)
    if summary == "timeseries" and model.schema is not None:
        return partial(_series, number=model.schema.series)
    if summary == "series":
        return partial(_shape.series, shapes=_simulations.variables(model))
    if summary == "vector":
        return _moments.flat
    return _moments.encoder(model, trials=trials) if summary == "moments" else _all_trials


def _series(x: np.ndarray, *, number: int) -> np.ndarray:
    """Put the series of one trial side by side: (dataset, step, series)."""
    return np.moveaxis(x.reshape(len(x), number, -1), 1, 2).astype(np.float32)


def _all_trials(x: np.ndarray) -> np.ndarray:
    """Take every column of every trial."""
    return x.reshape(*x.shape[:2], -1).astype(np.float32)


def source(
    model: Model,
    simulations: Any,
    *,
    space: Space,
    trials: tuple[int, int],
    encode: Encode,
    seed: int,
    batch: int,
) -> FreshSets | TableSets | PoolSets:
    """Take a user's table or pool of sets, or simulate."""
    if simulations is None:
        return FreshSets(model=model, space=space, trials=trials, encode=encode, seed=seed, batch=batch)
    given = _simulations.opened(simulations)
    if isinstance(given, Pool):
        _simulations.check_trials(given, trials)
        rows = _windows.rows(model, given, seed=seed, items=1)
        return PoolSets(rows=rows, space=space, trials=trials, encode=encode, seed=seed, batch=batch)
    found = _simulations.check(model, given)
    _simulations.check_trials(found, trials)
    points = _latent.points(model, found.theta, seed=seed)
    return TableSets(points=points, x=found.x, space=space, trials=trials, encode=encode, seed=seed, batch=batch)


def rows(features: Features) -> np.ndarray:
    """Give what is to be scaled: fixed statistics by set, steps, or trials."""
    return features.trials if isinstance(features, _deepset.Ragged) else features.reshape(-1, features.shape[-1])


def scaled(features: Features, scaling: np.ndarray) -> Features:
    """Standardise fixed statistics, or let trials be standardised when they are padded."""
    if isinstance(features, _deepset.Ragged):
        return replace(features, scaling=scaling)
    return _scale.place(features, scaling).astype(np.float32)


def _size(trials: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw a number of trials."""
    low, high = np.log(trials[0]), np.log(trials[1] + 1)
    return int(min(np.exp(rng.uniform(low, high)), trials[1]))
