"""Summary network and flow of a posterior, compiled, in chunks of a fixed size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.estimators import _deepset, _ensemble, _flows, _forward, _scale, _steps, _strided

_CHUNK = 4096  # rows (draws) of one call: fits a processor's cache, and one compilation serves all requests
_SMALL = 256
_NETWORKS = {"deepset": _deepset.summaries, "decisions": _steps.summaries, "series": _strided.summaries}
_SETS = 32  # sets of one call, if their trials go through a network


class Conditional:
    """Evaluate and draw from a conditional density, float32; that of several networks is the average of theirs."""

    def __init__(self, arrays: Mapping[str, np.ndarray], *, settings: Mapping[str, Any], size: int) -> None:
        self.scaling = np.asarray(arrays["features/set"], np.float64)
        self.kind, self.longest = settings.get("summary", "moments"), int(settings["trials"][1])
        shared, self._stacked = _ensemble.split(arrays)
        self.members = _ensemble.count(self._stacked)

        def networks(own: Mapping[str, Any]) -> tuple[Callable[..., Any], _flows.Flow]:
            made, context = {**shared, **own}, int(settings["summaries"])
            flow = _flows.evaluator(settings["flow"], made, settings=settings, size=size, context=context)
            return _summary(self.kind, made, settings), flow

        alone = None if self._stacked else networks({})  # layers of Keras must be made before they are compiled

        def summarise(own: Mapping[str, Any], x: Any) -> Any:
            return (alone or networks(own))[0](x)

        def log_prob(own: Mapping[str, Any], u: Any, context: Any) -> Any:
            return (alone or networks(own))[1].log_prob(u, context)

        def draw(own: Mapping[str, Any], key: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
            x, log_q = (alone or networks(own))[1].sample(key, context, n=1)
            return x[0], log_q[0]

        self._summarise: Callable[..., Any] = jax.jit(_every(summarise, self._stacked))
        self._log_prob: Callable[..., Any] = jax.jit(_mean(log_prob, self._stacked))
        self._draw: Callable[..., Any] = jax.jit(lambda own, *rows: jax.vmap(partial(draw, own))(*rows))

    def summarise(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Give learned summaries (dataset, summary) of statistics (feature,), series or trials (trial, column).

        Those of several networks follow each other.
        """
        if self.kind in ("deepset", "bayesflow"):
            return self._of_sets(features)
        scaled = _scale.place(np.stack(features), self.scaling).astype(np.float32)
        if self.kind in ("decisions", "timeseries", "series"):
            chunks = [_filled(scaled[i : i + _SETS], _SETS) for i in range(0, len(scaled), _SETS)]
            return np.concatenate([np.asarray(self._summarise(x)) for x in chunks])[: len(scaled)]
        return _chunked(self._summarise, scaled)

    def _of_sets(self, sets: Sequence[np.ndarray]) -> np.ndarray:
        """Summarise sets of the same padded width together."""
        together = _deepset.ragged(sets, longest=self.longest, scaling=self.scaling)
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
        shape, rows = keys.shape, np.repeat(context, keys.shape[1], axis=0)
        if self.members == 1:
            u, log_q = _chunked(partial(self._draw, {}), keys.reshape(-1), rows)
        else:
            u = self._of_members(rows, keys.reshape(-1))
            log_q = _chunked(self._log_prob, u, rows)
        return u.reshape(*shape, -1).astype(np.float64), log_q.reshape(shape).astype(np.float64)

    def _of_members(self, rows: np.ndarray, keys: Any) -> np.ndarray:
        """Draw once for each row and key, from a member that the key chooses."""
        chosen = np.asarray(jax.vmap(lambda key: jax.random.randint(key, (), 0, self.members))(keys))
        size = rows.shape[1] // self.members
        found: dict[int, np.ndarray] = {}
        for k in np.unique(chosen):
            mine = np.flatnonzero(chosen == k)
            own = {name: value[k] for name, value in self._stacked.items()}
            u, _ = _chunked(partial(self._draw, own), keys[mine], rows[mine, k * size : (k + 1) * size])
            found |= dict(zip(mine.tolist(), u, strict=True))
        return np.stack([found[i] for i in range(len(rows))])

    def log_prob(self, u: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Evaluate the log density at u (dataset, n, parameter): (dataset, n)."""
        rows = np.repeat(context, u.shape[1], axis=0)
        flat = u.reshape(-1, u.shape[-1]).astype(np.float32)
        return _chunked(self._log_prob, flat, rows).reshape(u.shape[:2]).astype(np.float64)


def _every(summarise: Callable[..., Any], stacked: Mapping[str, np.ndarray]) -> Callable[..., Any]:
    """Put the summaries of all members side by side: (dataset, member x summary)."""
    if not stacked:
        return partial(summarise, {})

    def together(x: Any) -> Any:
        return jnp.concatenate(list(jax.vmap(lambda own: summarise(own, x))(stacked)), axis=-1)

    return together


def _mean(log_prob: Callable[..., Any], stacked: Mapping[str, np.ndarray]) -> Callable[..., Any]:
    """Average the densities of all members, each of which has its own share of the context."""
    if not stacked:
        return partial(log_prob, {})
    members = _ensemble.count(stacked)

    def together(u: Any, context: Any) -> Any:
        shares = jnp.stack(jnp.split(context, members, axis=-1))
        each = jax.vmap(lambda own, share: log_prob(own, u, share))(stacked, shares)
        return jax.nn.logsumexp(each, axis=0) - jnp.log(jnp.asarray(members, each.dtype))

    return together


def _summary(kind: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Callable[..., Any]:
    """Find the function that gives learned summaries."""
    activation = settings["activation"]
    if kind in _NETWORKS:
        return lambda x: _NETWORKS[kind](arrays, x, activation=activation)
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
