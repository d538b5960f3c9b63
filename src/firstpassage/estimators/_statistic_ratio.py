"""What a ratio network is given of the statistics of a trial: these, the parameters, and how far they lie from a guess.

Where a model guesses from statistics where the posterior about lies, distances of the coordinates from the guess, in
units of its spread, spare the network from learning a narrow ridge between parameters and statistics. The guess is a
function of the data alone: what the distances mean is learned from simulations.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from firstpassage.models.model import Model
from firstpassage.models.records import Statistics, Symmetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def statistics(model: Model) -> Statistics | None:
    """Give the statistics of a model, with its guess as further columns."""
    own = model.statistics
    if own is None or model.guess is None or model.joint is None:
        return own
    parts = [f"{part}_{name}" for part in ("centre", "spread") for name in model.joint.coordinates]
    return replace(own, names=(*own.names, *parts), of_trials=partial(_with_guess, own=own, guess=model.guess))


def _with_guess(x: np.ndarray, *, own: Statistics, guess: Callable[..., Any]) -> np.ndarray:
    """Compute the statistics of trials, and centre and spread of the guess."""
    found = own.of_trials(x)
    return np.concatenate([found, *guess(found)], axis=1)


def symmetry(model: Model) -> Symmetry | None:
    """Write what a network is given of pairs and of data alone; None is all columns and the parameters as they are."""
    if model.statistics is None or model.guess is None or model.joint is None:
        return None
    joint, own = model.joint, len(model.statistics.names)

    def invariants(x: Any, theta: Mapping[str, Any]) -> Any:
        values = dict(zip(theta, jnp.broadcast_arrays(*theta.values()), strict=True))
        size = len(joint.names)
        centre, spread = x[..., own : own + size], x[..., own + size :]
        far = (joint.place(values) - centre) / spread
        shape = jnp.broadcast_shapes(far.shape[:-1], x.shape[:-1])
        columns = [jnp.stack(list(values.values()), -1), x[..., :own], jnp.arcsinh(far), jnp.sqrt(1 + far**2)]
        return jnp.concatenate([jnp.broadcast_to(c, (*shape, c.shape[-1])) for c in columns], axis=-1)

    return Symmetry(
        invariants=invariants, evidence=lambda x: x[..., :own],
        log_scale=lambda x, theta: jnp.zeros_like(x[..., 0]),
        possible=lambda x, theta: jnp.ones_like(x[..., 0], dtype=bool),
    )  # fmt: skip
