"""Sets of trials for training a posterior estimator: simulated in groups of equal size, summarised at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import DataError, ModelError
from firstpassage.estimators import _latent
from firstpassage.estimators._moments import Encode
from firstpassage.models import plain
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._stream import Feed

_GROUP = 512  # parameter sets that share a number of trials


@dataclass(frozen=True, eq=False, kw_only=True)
class FreshSets:
    """Simulate new sets whenever asked, with numbers of trials spread evenly over the logarithm of their range."""

    model: Model
    trials: tuple[int, int]
    encode: Encode
    seed: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, np.ndarray]:
        """Simulate n sets: parameters on the real line (n, parameter), and features (n, feature)."""
        rng = seeds.generator(self.seed, f"sizes: {purpose}")
        theta = self.model.prior(n, seed=seeds.derive(self.seed, f"prior: {purpose}"))
        latent, features = [], []
        for start in range(0, n, _GROUP):
            rows = {name: value[start : start + _GROUP] for name, value in theta.items()}
            u, s = self._group(rows, trials=_size(self.trials, rng), seed=int(rng.integers(2**32)))
            latent.append(u)
            features.append(s)
        order = rng.permutation(n)
        return np.concatenate(latent)[order], np.concatenate(features)[order]

    def _group(self, theta: Mapping[str, np.ndarray], *, trials: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Simulate one group with equally many trials."""
        data = self.model.likelihood(theta, trials=trials, seed=seed)
        x = np.concatenate([np.reshape(v, (*v.shape[:2], -1)) for v in data.values()], axis=2, dtype=np.float64)
        return on_line(self.model, theta, x), self.encode(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSets:
    """Draw without replacement from sets that exist; a held-out tenth is for validation."""

    latent: np.ndarray
    features: np.ndarray
    seed: int

    def draw(self, n: int, *, purpose: str) -> tuple[np.ndarray, np.ndarray]:
        """Choose n rows; the same purpose gives the same rows."""
        held_out = len(self.latent) // 10
        first, last = (0, held_out) if purpose == "validation" else (held_out, len(self.latent))
        rng = seeds.generator(self.seed, f"rows: {purpose}")
        rows = np.concatenate([rng.permutation(np.arange(first, last)) for _ in range(-(-n // (last - first)))])[:n]
        return self.latent[rows], self.features[rows]


def repeated(feed: Feed, *, passes: int, seed: int) -> Feed:
    """Use what is made for one epoch in `passes` epochs, each time in another order."""
    kept: dict[str, dict[str, np.ndarray]] = {}

    def again(n: int, purpose: str) -> dict[str, np.ndarray]:
        word, _, number = purpose.partition(" ")
        if passes == 1 or word != "epoch":
            return feed(n, purpose)
        made = f"epoch {int(number) // passes}"
        if made not in kept:
            kept.clear()
            kept[made] = feed(n, made)
        order = seeds.generator(seed, f"order: {purpose}").permutation(n)
        return {name: value[order] for name, value in kept[made].items()}

    return again


def source(
    model: Model, simulations: Mapping[str, Any] | None, *, trials: tuple[int, int], encode: Encode, seed: int
) -> FreshSets | TableSets:
    """Take a user's table of sets with equally many trials, or simulate."""
    if simulations is None:
        return FreshSets(model=model, trials=trials, encode=encode, seed=seed)
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
    return TableSets(latent=on_line(model, theta, x), features=encode(x), seed=seed)


def on_line(model: Model, theta: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Map parameters to the real line between the bounds that each set allows."""
    limits = _latent.bounds(model.parameters, plain.schema(model).limits, list(x))
    return _latent.to_line(_latent.stacked(theta, model.parameter_names), limits)


def _size(trials: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw a number of trials."""
    low, high = np.log(trials[0]), np.log(trials[1] + 1)
    return int(min(np.exp(rng.uniform(low, high)), trials[1]))
