"""Weights of several networks that were trained on the same task beside each other, whose densities are averaged.

Their arrays are stacked, with the member first, under names that begin with ``members/``; what all share, such as
scales, keeps its name. What holds no such names is one network.

References
----------
Lakshminarayanan, Pritzel and Blundell (2017), Simple and scalable predictive uncertainty estimation using deep
ensembles, NeurIPS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Density = Callable[[Any, Mapping[str, Any]], Any]
_PREFIX = "members/"
_SHARED = "features/"  # of what is measured before training


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Hold the arrays of trained members, as an estimator holds its own."""

    members: Sequence[Mapping[str, np.ndarray]]

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the arrays of one member as they are, and those of several stacked."""
        first = dict(self.members[0])
        if len(self.members) == 1:
            return first
        own = [name for name in first if not name.startswith(_SHARED)]
        stacked = {_PREFIX + name: np.stack([member[name] for member in self.members]) for name in own}
        return {name: value for name, value in first.items() if name.startswith(_SHARED)} | stacked


def split(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tell what all members share from what is stacked; the latter is empty where there is one network."""
    stacked = {name.removeprefix(_PREFIX): value for name, value in arrays.items() if name.startswith(_PREFIX)}
    return {name: value for name, value in arrays.items() if not name.startswith(_PREFIX)}, stacked


def count(stacked: Mapping[str, np.ndarray]) -> int:
    """Count members; a single network is one."""
    return len(next(iter(stacked.values()))) if stacked else 1


def averaged(make: Callable[[Mapping[str, Any]], Density], arrays: Mapping[str, np.ndarray]) -> Density:
    """Make the log of the average density of all members; `make` makes that of one from its arrays."""
    shared, stacked = split(arrays)
    if not stacked:
        return make(shared)
    log_count = math.log(count(stacked))

    def log_density(x: Any, theta: Mapping[str, Any]) -> Any:
        each = jax.vmap(lambda own: make({**shared, **own})(x, theta))(stacked)
        return jax.nn.logsumexp(each, axis=0) - jnp.asarray(log_count, each.dtype)

    return log_density
