"""What the audit needs to know of the teaching models: data that are not of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstpassage import seeds
from firstpassage.models.model import Model

_SHARE = 0.15  # of the trials
_FARTHER = 4.0  # times


def outlying(model: Model, clean: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Move 15 % of the draws (n, 1) of each data set four times as far from its median."""
    del model
    return [np.where(_hit(x, seed + i), np.median(x) + _FARTHER * (x - np.median(x)), x) for i, x in enumerate(clean)]


def chipless(model: Model, clean: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Take all chips out of 15 % of the cookies (n, 1) of each data set."""
    del model
    return [np.where(_hit(x, seed + i), 0.0, x) for i, x in enumerate(clean)]


def _hit(x: np.ndarray, seed: int) -> np.ndarray:
    """Choose trials at random."""
    return seeds.generator(seed, "lapses").uniform(size=x.shape) < _SHARE
