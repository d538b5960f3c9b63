"""Summarise a time series by strided convolutions in plain JAX: each layer makes a series a quarter as long.

A layer takes twice as many times as it steps forward, so that neighbours overlap; on a CPU this is one product of
matrices, which recurrent networks are not. What is left at the end keeps its place in time, with the average beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from firstpassage.estimators import _forward

_STRIDE = 4
_SHORT = 12  # times at which no further layer makes the series shorter


def depth(length: int) -> int:
    """Count the layers for a series of so many times."""
    layers = 0
    while length > _SHORT:
        length, layers = -(-length // _STRIDE), layers + 1
    return layers


def left(length: int) -> int:
    """Count the times after the last layer."""
    for _ in range(depth(length)):
        length = -(-length // _STRIDE)
    return length


def inputs(channels: int) -> int:
    """Count what one unit of a layer sees of so many channels."""
    return 2 * _STRIDE * channels


def summaries(arrays: Mapping[str, Any], x: Any, *, activation: str) -> Any:
    """Give the learned summaries (dataset, summary) of series (dataset, time, channel)."""
    h = jnp.asarray(x)
    for layer in range(depth(h.shape[-2])):
        h = _forward.ACTIVATIONS[activation](_forward.dense(arrays, f"summary/time/{layer}", _windows(h)))
    flat = jnp.concatenate([h.reshape(*h.shape[:-2], -1), h.mean(-2)], axis=-1)
    return _forward.outputs(arrays, "summary", flat, activation=activation)


def _windows(h: Any) -> Any:
    """Cut overlapping windows: (dataset, window, 2 stride channel); the ends are filled with zeros."""
    missing = -h.shape[-2] % _STRIDE
    padding = [(0, 0)] * (h.ndim - 2)
    h = jnp.pad(h, [*padding, (0, missing + _STRIDE), (0, 0)])
    blocks = h.reshape(*h.shape[:-2], -1, _STRIDE * h.shape[-1])
    return jnp.concatenate([blocks[..., :-1, :], blocks[..., 1:, :]], axis=-1)
