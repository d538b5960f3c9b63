"""Deep set: learn from single trials, average over them; sets of different sizes are padded to a few widths.

References
----------
Zaheer et al. (2017), Deep sets, NeurIPS, theorem 2: sums over trials are the permutation-invariant functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_SHARPNESS = 10.0  # of the second feature: logarithmic for what is larger than a tenth of the spread
_LOWEST = -1e9  # stands for trials that are not there, where the largest is sought
_LOG_SIZE = 5.0  # brings the logarithm of the number of trials near one


@dataclass(frozen=True, eq=False, kw_only=True)
class Ragged:
    """Hold sets of different sizes end to end; a slice gives a padded array of features, an index array reorders.

    Parameters
    ----------
    trials : ndarray, shape (trial, column), float32
        Of all sets.
    starts, sizes : ndarray, shape (dataset,), int
        Where each set begins, and how many trials it has.
    longest : int
        Largest number of trials to be expected.
    scaling : ndarray, shape (2, column), optional
        Centre and spread of the columns; needed by slices.
    """

    trials: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    longest: int
    scaling: np.ndarray | None = None

    def __len__(self) -> int:
        """Count the sets."""
        return len(self.sizes)

    def __getitem__(self, rows: Any) -> Any:
        """Reorder by an index array (`Ragged`), or pad a slice (dataset, trial, feature)."""
        chosen = replace(self, starts=self.starts[rows], sizes=self.sizes[rows])
        return chosen.padded(width(int(chosen.sizes.max()), self.longest)) if isinstance(rows, slice) else chosen

    def padded(self, n: int) -> np.ndarray:
        """Give features and, as the last one, 1 where there is a trial: (dataset, n, feature), float32."""
        place = np.arange(n)
        there = place < self.sizes[:, None]
        x = self.trials[np.where(there, self.starts[:, None] + place, 0)]
        features = trial_features(x, self.scaling) * there[..., None]
        return np.concatenate([features, there[..., None]], axis=2, dtype=np.float32)


def ragged(sets: Sequence[np.ndarray], *, longest: int, scaling: np.ndarray | None = None) -> Ragged:
    """Put sets (trial, column) end to end."""
    sizes = np.array([len(one) for one in sets])
    trials = np.concatenate([np.asarray(one, np.float32) for one in sets])
    return Ragged(trials=trials, starts=np.cumsum(sizes) - sizes, sizes=sizes, longest=longest, scaling=scaling)


def merged(groups: Sequence[np.ndarray], *, longest: int) -> Ragged:
    """Put groups of sets (dataset, trial, column), with equally many trials within a group, end to end."""
    sizes = np.concatenate([np.full(len(one), one.shape[1]) for one in groups])
    trials = np.concatenate([one.reshape(-1, one.shape[2]) for one in groups], dtype=np.float32)
    return Ragged(trials=trials, starts=np.cumsum(sizes) - sizes, sizes=sizes, longest=longest)


def width(size: int, longest: int) -> int:
    """Choose the padded number of trials: a power of two, or the largest size, so that few programs are compiled."""
    power = 2 ** int(np.ceil(np.log2(max(size, 1))))
    return min(power, longest) if size <= longest else power


def alike(order: np.ndarray, sizes: np.ndarray, *, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Rearrange a random order so that batches hold sets of one padded width, and come in random order."""
    whole = len(order) // batch
    first, rest = np.split(order, [whole * batch])
    longest = int(sizes.max())
    widths = np.array([width(int(size), longest) for size in sizes[first]])
    batches = first[np.argsort(widths, kind="stable")].reshape(whole, batch)
    return np.concatenate([rng.permutation(batches).reshape(-1), rest])


def trial_features(x: np.ndarray, scaling: np.ndarray | None) -> np.ndarray:
    """Scale columns, and put their size on a logarithmic scale beside: (..., 2 column), float32."""
    centre, spread = np.asarray(scaling, np.float32)
    return np.concatenate([(x - centre) / spread, np.arcsinh(_SHARPNESS * x / spread)], axis=-1, dtype=np.float32)


def pooled(arrays: Mapping[str, Any], x: Any, *, activation: str) -> Any:
    """Summarise padded sets (..., trial, feature): average and largest over trials, and log number of trials."""
    import jax.numpy as jnp

    from firstpassage.estimators import _forward

    there = x[..., -1:]
    h = _forward.ACTIVATIONS[activation](_forward.outputs(arrays, "summary/trial", x[..., :-1], activation=activation))
    n = there.sum(-2)
    largest = jnp.where(there > 0, h, _LOWEST).max(-2)
    return jnp.concatenate([(h * there).sum(-2) / n, largest, jnp.log(n) / _LOG_SIZE], axis=-1)


def summaries(arrays: Mapping[str, Any], x: Any, *, activation: str) -> Any:
    """Give the learned summaries (dataset, summary) of padded sets (dataset, trial, feature)."""
    from firstpassage.estimators import _forward

    return _forward.outputs(arrays, "summary", pooled(arrays, x, activation=activation), activation=activation)
