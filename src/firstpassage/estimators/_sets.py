"""Sets of trials for training a posterior estimator: simulated in groups of equal size, summarised at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import DataError, ModelError
from firstpassage.estimators import _deepset, _latent, _moments, _steps
from firstpassage.estimators._latent import Space
from firstpassage.estimators._moments import Encode
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
        latent, features = [], []
        for start in range(0, n, _GROUP):
            some = points[start : start + _GROUP]
            u, s = self._group(some, trials=_size(self.trials, rng), seed=int(rng.integers(2**32)))
            latent.append(u)
            features.append(s)
        order = rng.permutation(n)
        if self.encode is not _all_trials:
            return np.concatenate(latent)[order], np.concatenate(features)[order]
        sets = _deepset.merged(features, longest=self.trials[1])
        order = _deepset.alike(order, sets.sizes, batch=self.batch, rng=rng)
        return np.concatenate(latent)[order], sets[order]

    def _group(self, points: np.ndarray, *, trials: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Simulate one group with equally many trials."""
        data = self.model.likelihood(_latent.named(self.model, points), trials=trials, seed=seed)
        x = np.concatenate([np.reshape(v, (*v.shape[:2], -1)) for v in data.values()], axis=2, dtype=np.float64)
        features = self.encode(x)
        return self.space.line(points, x, features), features


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSets:
    """Draw without replacement from sets that exist; a held-out tenth is for validation."""

    latent: np.ndarray
    features: Features
    seed: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, Features]:
        """Choose n rows; the same purpose gives the same rows."""
        held_out = len(self.latent) // 10
        first, last = (0, held_out) if purpose == "validation" else (held_out, len(self.latent))
        rng = seeds.generator(self.seed, f"rows: {purpose}")
        rows = np.concatenate([rng.permutation(np.arange(first, last)) for _ in range(-(-n // (last - first)))])[:n]
        return self.latent[rows], self.features[rows]


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
    return _moments.encoder(model, trials=trials) if summary == "moments" else _all_trials


def _series(x: np.ndarray, *, number: int) -> np.ndarray:
    """Put the series of one trial side by side: (dataset, step, series)."""
    return np.moveaxis(x.reshape(len(x), number, -1), 1, 2).astype(np.float32)


def _all_trials(x: np.ndarray) -> np.ndarray:
    """Take every column of every trial."""
    return x.reshape(*x.shape[:2], -1).astype(np.float32)


def source(
    model: Model,
    simulations: Mapping[str, Any] | None,
    *,
    space: Space,
    trials: tuple[int, int],
    encode: Encode,
    seed: int,
    batch: int,
) -> FreshSets | TableSets:
    """Take a user's table of sets with equally many trials, or simulate."""
    if simulations is None:
        return FreshSets(model=model, space=space, trials=trials, encode=encode, seed=seed, batch=batch)
    names = model.parameter_names
    variables = [name for name in simulations if name not in names]
    if any(name not in simulations for name in names) or not variables:
        raise ModelError(
            f"simulations must map every parameter ({', '.join(names)}) to (n,) and every observed variable to "
            f"(n, trials, ...) arrays; got {sorted(simulations)}."
        )
    rows = {name: np.asarray(simulations[name], dtype=np.float64) for name in simulations}
    if len({len(v) for v in rows.values()}) != 1 or not all(np.isfinite(v).all() for v in rows.values()):
        raise DataError("simulations must be finite arrays of equal length. Drop the failed rows first.")
    x = np.concatenate([rows[v].reshape(*rows[v].shape[:2], -1) for v in variables], axis=2)
    theta = {name: rows[name] for name in names}
    if len(x) < 20:
        raise DataError(f"simulations must hold at least 20 sets; got {len(x)}.")
    features: Features = encode(x)
    latent = space.line(_latent.points(model, theta, seed=seed), x, features)
    if encode is _all_trials:
        features = _deepset.merged([features], longest=x.shape[1])
    return TableSets(latent=latent, features=features, seed=seed)


def rows(features: Features) -> np.ndarray:
    """Give what is to be scaled: fixed statistics by set, steps, or trials."""
    return features.trials if isinstance(features, _deepset.Ragged) else features.reshape(-1, features.shape[-1])


def scaled(features: Features, scaling: np.ndarray) -> Features:
    """Standardise fixed statistics, or let trials be standardised when they are padded."""
    if isinstance(features, _deepset.Ragged):
        return replace(features, scaling=scaling)
    centre, spread = scaling
    return ((features - centre) / spread).astype(np.float32)


def _size(trials: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw a number of trials."""
    low, high = np.log(trials[0]), np.log(trials[1] + 1)
    return int(min(np.exp(rng.uniform(low, high)), trials[1]))
