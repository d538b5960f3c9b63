"""Summary network and flow of a posterior, compiled, in chunks of a fixed size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _deepset, _flows, _forward, _steps

_CHUNK = 4096  # rows (draws) of one call: fits a processor's cache, and one compilation serves all requests
_SMALL = 256
_SETS = 32  # sets of one call, if their trials go through a network


class Conditional:
    """Evaluate and draw from a conditional density, float32."""

    def __init__(self, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any], size: int) -> None:
        self.centre, self.spread = (np.asarray(row, np.float64) for row in arrays["features/set"])
        self.kind, self.longest = settings.get("summary", "moments"), int(settings["trials"][1])
        flow = _flows.evaluator(
            settings["flow"], arrays, settings=settings, size=size, context=int(settings["summaries"])
        )
        self._summarise: Callable[..., Any] = jax.jit(_summary(self.kind, arrays, settings))
        self._log_prob: Callable[..., Any] = jax.jit(flow.log_prob)

        def draw(key: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
            x, log_q = flow.sample(key, context, n=1)
            return x[0], log_q[0]

        self._draw: Callable[..., Any] = jax.jit(jax.vmap(draw))

    def summarise(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Give learned summaries (dataset, summary) of statistics (feature,), series or trials (trial, column)."""
        if self.kind in ("deepset", "bayesflow"):
            return self._of_sets(features)
        scaled = ((np.stack(features) - self.centre) / self.spread).astype(np.float32)
        if self.kind in ("decisions", "timeseries"):
            chunks = [_filled(scaled[i : i + _SETS], _SETS) for i in range(0, len(scaled), _SETS)]
            return np.concatenate([np.asarray(self._summarise(x)) for x in chunks])[: len(scaled)]
        return _chunked(self._summarise, scaled)

    def _of_sets(self, sets: Sequence[np.ndarray]) -> np.ndarray:
        """Summarise sets of the same padded width together."""
        scaling = np.stack([self.centre, self.spread])
        together = _deepset.ragged(sets, longest=self.longest, scaling=scaling)
        exact = self.kind == "bayesflow"  # which takes no padding
        widths = np.array([int(n) if exact else _deepset.width(int(n), self.longest) for n in together.sizes])
        found: dict[int, np.ndarray] = {}
        for n in np.unique(widths):
            rows = np.flatnonzero(widths == n)
            for start in range(0, len(rows), _SETS):
                some = rows[start : start + _SETS]
                x = _filled(together[some].padded(int(n)), _SETS)
                found |= dict(zip(some.tolist(), np.asarray(self._summarise(x)), strict=False))
        return np.stack([found[i] for i in range(len(sets))])

    def draw(self, context: np.ndarray, keys: Any) -> tuple[np.ndarray, np.ndarray]:
        """Draw on the latent line, with keys (dataset, draw): places and log densities there, float64."""
        shape = keys.shape
        u, log_q = _chunked(self._draw, keys.reshape(-1), np.repeat(context, shape[1], axis=0))
        return u.reshape(*shape, -1).astype(np.float64), log_q.reshape(shape).astype(np.float64)

    def log_prob(self, u: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Evaluate the log density at u (dataset, n, parameter): (dataset, n)."""
        rows = np.repeat(context, u.shape[1], axis=0)
        flat = u.reshape(-1, u.shape[-1]).astype(np.float32)
        return _chunked(self._log_prob, flat, rows).reshape(u.shape[:2]).astype(np.float64)


def _summary(kind: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Callable[..., Any]:
    """Find the function that gives learned summaries."""
    activation = settings["activation"]
    if kind in ("deepset", "decisions"):
        summaries = _deepset.summaries if kind == "deepset" else _steps.summaries
        return lambda x: summaries(arrays, x, activation=activation)
    if kind in ("bayesflow", "timeseries"):
        from firstpassage.estimators import _amortized

        network = _amortized.rebuilt(arrays, settings=settings)
        return lambda x: network(x, training=False)
    return lambda features: _forward.outputs(arrays, "summary", features, activation=activation)


def _chunked(call: Callable[..., Any], *rows: Any) -> Any:
    """Call on chunks of equal size, the last one filled up."""
    n = len(rows[0])
    size = _SMALL if n <= _SMALL else _CHUNK
    parts = []
    for start in range(0, n, size):
        chunk = [_filled(r[start : start + size], size) for r in rows]
        parts.append(jax.tree.map(np.asarray, call(*chunk)))
    return jax.tree.map(lambda *p: np.concatenate(p)[:n], *parts)


def _filled(rows: Any, size: int) -> Any:
    """Repeat the last row up to a size."""
    missing = size - len(rows)
    return jnp.concatenate([rows, jnp.repeat(rows[-1:], missing, axis=0)]) if missing else rows
