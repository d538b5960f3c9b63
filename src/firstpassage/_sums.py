"""Sums of the log density over trials, for many parameter sets, in few compiled programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from firstpassage import _nuts, _values

if TYPE_CHECKING:
    import jax

    from firstpassage.likelihood import Likelihood

_BLOCKS = (256, 4096)  # parameter sets that are summed at once, few and many: so few programs are compiled


@lru_cache(maxsize=16)
def _program(likelihood: Likelihood) -> Callable[..., jax.Array]:
    """Compile the sum over weighted trials of a likelihood."""
    import jax
    import jax.numpy as jnp

    def one(x: jax.Array, weight: jax.Array, theta: Mapping[str, jax.Array]) -> jax.Array:
        return jnp.sum(jnp.where(weight > 0, likelihood.function(x, theta), 0.0))

    return jax.jit(lambda x, weight, theta: jax.lax.map(lambda row: one(x, weight, row), theta, batch_size=256))


def run(likelihood: Likelihood, x: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """Sum over the trials `x` for (draw,) or (draw, trial) parameters, block by block."""
    import jax

    padded, weight = _nuts.pad(x)
    n = len(next(iter(theta.values())))
    size = _BLOCKS[n > _BLOCKS[0]]
    rows = {name: _values.blocks(value, size=size, trials=len(padded)) for name, value in theta.items()}
    with jax.enable_x64():
        parts = [{name: value[i] for name, value in rows.items()} for i in range(-(-n // size))]
        blocks = [np.asarray(_program(likelihood)(padded, weight, some)) for some in parts]
    return np.concatenate(blocks, dtype=np.float64)[:n]
