"""Summarise a trial that is a sequence of decisions: a perceptron for each, with what led to it, pooled over all.

Every step brings all that is known before its decision, and so does, beside it, the step before in the same sequence;
what lies further back acts through these. Sequences, such as visits to patches, are exchangeable given the parameters,
hence average and largest over the steps keep what can be known.

References
----------
Zaheer et al. (2017), Deep sets, NeurIPS, theorem 2: sums over elements are the permutation-invariant functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _forward
from firstpassage.estimators._moments import Encode
from firstpassage.models import plain
from firstpassage.models.model import Model


def encoder(model: Model) -> Encode:
    """Make the function that takes single trials (dataset, 1, column) apart: (dataset, step, feature + 2), float32."""
    decisions: Any = model.decisions
    schema = plain.schema(model)
    name = schema.columns[0]

    def encode(x: np.ndarray) -> np.ndarray:
        trial = x.reshape(len(x), -1)
        given = trial if schema.given is None else schema.given(trial)
        steps, decision, begins = decisions.of_simulation({name: given[:, None]})
        return np.concatenate([steps, decision[..., None], begins[..., None]], axis=-1, dtype=np.float32)

    return encode


def inputs(size: int) -> int:
    """Count what the perceptron of a step is given, for so many features with decision and beginning."""
    return 2 * size - 2


def summaries(arrays: Mapping[str, Any], x: Any, *, activation: str) -> Any:
    """Give the learned summaries (dataset, summary) of standardised steps (dataset, step, feature + 2)."""
    steps = x[..., :-2]
    before = history(steps, x[..., -1], back=1)[..., steps.shape[-1] :]
    known = jnp.concatenate([before, x], axis=-1)
    hidden = _forward.outputs(arrays, "summary/trial", known, activation=activation)
    h = _forward.ACTIVATIONS[activation](hidden)
    pooled = jnp.concatenate([h.mean(-2), h.max(-2)], axis=-1)
    return _forward.outputs(arrays, "summary", pooled, activation=activation)


def history(steps: Any, begins: Any, *, back: int) -> jax.Array:
    """Put beside each step (..., step, feature) those before it in the same sequence, 0 where there is none."""
    found, last = [steps], steps
    for _ in range(back):
        before = jnp.concatenate([jnp.zeros_like(last[..., :1, :]), last[..., :-1, :]], axis=-2)
        last = jnp.where(begins[..., None] > 0, 0.0, before)
        found.append(last)
    return jnp.concatenate(found, axis=-1)
