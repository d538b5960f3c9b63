"""Train on a table as long as that helps: several networks beside each other, of which the best weights are kept.

A table invites a network to learn it by heart. Here every network stops when a held-out tenth gets no better, its
weights averaged over the last steps are kept as they were when that tenth was predicted best, and the densities of
networks that started from other weights are averaged, since these err in other places.

References
----------
Prechelt (1998), Early stopping - but when?, in Neural networks: tricks of the trade; Polyak and Juditsky (1992),
Acceleration of stochastic approximation by averaging, SIAM Journal on Control and Optimization 30.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from firstpassage import seeds
from firstpassage.errors import ModelError
from firstpassage.estimators._ensemble import Ensemble
from firstpassage.estimators._stream import Feed
from firstpassage.estimators._training import Checkpoint, Plan, Progress

_LOG = logging.getLogger("firstpassage.estimators")
_HELD_OUT = 2048  # pairs of one evaluation
_GAIN = 1e-4  # nats by which a validation loss must fall to be a better one
_DECAY = 0.1  # of weights in a step, times the learning rate
_WARM_UP = 10  # steps after which weights are averaged over about half of all steps

_WORDS = "epoch %(epoch)d of at most %(epochs)d: loss %(loss).5f, validation %(validation_loss).5f"

Weights = list[Any]


@dataclass(kw_only=True)
class _State:
    """Hold all that training changes; every array has the members first."""

    variables: tuple[Weights, Weights, Weights, Weights]  # trainable, others, of the optimiser, of the metrics
    average: Weights
    best: Weights
    losses: np.ndarray  # (member,): lowest validation losses


def train(
    estimator: Any, feed: Feed, *, plan: Plan, checkpoint: Checkpoint | None, progress: Progress | None
) -> tuple[Ensemble, list[dict[str, Any]]]:
    """Train all members; returns their arrays, and one record per epoch."""
    _compile(estimator, plan)
    state, history = _begun(estimator, plan, checkpoint)
    step, evaluate = _programs(estimator)
    held_out = _parts(feed(plan.validation, "validation"))
    started = time.process_time()
    while len(history) < plan.epochs and not _stale(history, plan.patience):
        loss = _epoch(state, step, feed, plan=plan, epoch=len(history))
        parts = [evaluate(state.average, *state.variables[1::2], part) for part in held_out]
        found = np.mean(np.asarray(parts), axis=0)
        better = _keep(state, found)
        spent = time.process_time() - started + (history[-1]["cpu_seconds"] if history else 0.0)
        started = time.process_time()
        history.append(_record(plan, len(history), loss=loss, found=found, better=better, spent=spent))
        if checkpoint:
            checkpoint.save(_leaves(state), history)
        if progress:
            progress(history[-1])
        _LOG.info(_WORDS, history[-1])
    return Ensemble(_arrays(estimator, state)), history


def _compile(estimator: Any, plan: Plan) -> None:
    """Give the estimator its optimiser."""
    rate = keras.optimizers.schedules.PolynomialDecay(
        0.1 * plan.learning_rate, decay_steps=max(1, min(200, plan.steps)), end_learning_rate=plan.learning_rate
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=_DECAY, global_clipnorm=plan.clip)
    estimator.compile(optimizer=optimizer)
    optimizer.build(estimator.trainable_variables)


def _begun(estimator: Any, plan: Plan, checkpoint: Checkpoint | None) -> tuple[_State, list[dict[str, Any]]]:
    """Start all members from weights of their own, or where a run was interrupted."""
    lists = [
        estimator.trainable_variables, estimator.non_trainable_variables, estimator.optimizer.variables,
        estimator.metrics_variables,
    ]  # fmt: skip
    trainable, *others = [[np.asarray(v) for v in variables] for variables in lists]
    count = plan.members or 1
    members = [trainable, *(_redrawn(trainable, seed=seeds.derive(plan.seed, f"member {k}")) for k in range(1, count))]
    weights = [jnp.asarray(np.stack(values)) for values in zip(*members, strict=True)]
    rest = [[jnp.asarray(np.stack([value] * count)) for value in values] for values in others]
    state = _State(
        variables=(weights, rest[0], rest[1], rest[2]), average=weights, best=weights,
        losses=np.full(count, np.inf),
    )  # fmt: skip
    saved, history = checkpoint.load() if checkpoint else ([], [])
    if saved:
        _put(state, saved)
    return state, history


def _redrawn(weights: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Draw other weights from the same distribution, by shuffling the entries of each kernel."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(w.ravel()).reshape(w.shape) if w.ndim > 1 else w for w in weights]


def _programs(estimator: Any) -> tuple[Any, Any]:
    """Compile a step and an evaluation of all members at once."""

    def one(variables: Any, average: Weights, data: Any, momentum: Any) -> Any:
        metrics, after = estimator.stateless_train_step(variables, data)
        kept = [momentum * old + (1 - momentum) * new for old, new in zip(average, after[0], strict=True)]
        return metrics["loss"], after, kept

    def check(weights: Weights, others: Weights, metrics: Weights, data: Any) -> Any:
        return estimator.stateless_compute_metrics(weights, others, metrics, data=data, stage="validation")[0]

    step = jax.jit(jax.vmap(one, in_axes=(0, 0, None, None)))
    return step, jax.jit(jax.vmap(check, in_axes=(0, 0, 0, None)))


def _epoch(state: _State, step: Any, feed: Feed, *, plan: Plan, epoch: int) -> float:
    """Go once through the table; gives the mean loss."""
    pairs, losses = feed(plan.steps * plan.batch, f"epoch {epoch}"), []
    for i in range(plan.steps):
        done = epoch * plan.steps + i
        momentum = np.float32(min(plan.average, (1 + done) / (_WARM_UP + done)))
        batch = _rows(pairs, slice(i * plan.batch, (i + 1) * plan.batch))
        loss, state.variables, state.average = step(state.variables, state.average, batch, momentum)
        losses.append(loss)
    mean = float(np.mean([np.asarray(loss) for loss in losses]))
    if not np.isfinite(mean):
        raise ModelError(
            f"the training loss is {mean} in epoch {epoch + 1}. Lower learning_rate, or look for extreme values in the "
            "simulations."
        )
    return mean


def _keep(state: _State, found: np.ndarray) -> bool:
    """Keep the averaged weights of the members that are better than ever; tells whether there are such."""
    better = found < state.losses - _GAIN
    if better.any():
        marks = [better.reshape(-1, *[1] * (w.ndim - 1)) for w in state.best]
        state.best = [jnp.where(m, new, w) for m, new, w in zip(marks, state.average, state.best, strict=True)]
        state.losses = np.where(better, found, state.losses)
    return bool(better.any())


def _record(plan: Plan, epoch: int, *, loss: float, found: np.ndarray, better: bool, spent: float) -> dict[str, Any]:
    """Describe an epoch."""
    return {
        "epoch": epoch + 1, "epochs": plan.epochs, "pairs": (epoch + 1) * plan.steps * plan.batch,
        "budget": plan.budget, "loss": loss, "validation_loss": float(found.mean()), "cpu_seconds": spent,
        "better": better,
    }  # fmt: skip


def _stale(history: list[dict[str, Any]], patience: int | None) -> bool:
    """Tell whether no member has become better for `patience` epochs."""
    return patience is not None and len(history) > patience and not any(r["better"] for r in history[-patience:])


def _parts(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut the held-out pairs into parts of equal size, of which few programs are compiled."""
    n = len(pairs["inference_variables"])
    size = min(n, _HELD_OUT)
    return [_rows(pairs, slice(i, i + size)) for i in range(0, n - size + 1, size)]


def _rows(pairs: dict[str, Any], rows: slice) -> dict[str, Any]:
    """Take some rows of everything."""
    return {name: np.asarray(value[rows]) for name, value in pairs.items()}


def _leaves(state: _State) -> list[Any]:
    """List everything that must be saved."""
    return [*jax.tree.leaves(state.variables), *state.average, *state.best, state.losses]


def _put(state: _State, saved: Sequence[np.ndarray]) -> None:
    """Put back what was saved."""
    size, n = len(jax.tree.leaves(state.variables)), len(state.average)
    variables = jax.tree.unflatten(jax.tree.structure(state.variables), [jnp.asarray(v) for v in saved[:size]])
    state.variables = variables
    state.average = [jnp.asarray(v) for v in saved[size : size + n]]
    state.best = [jnp.asarray(v) for v in saved[size + n : size + 2 * n]]
    state.losses = np.asarray(saved[-1])


def _arrays(estimator: Any, state: _State) -> list[dict[str, np.ndarray]]:
    """Take out the best weights of every member under the names that the estimator gives them."""
    found = []
    for k in range(len(state.losses)):
        for variable, values in zip(estimator.trainable_variables, state.best, strict=True):
            variable.assign(values[k])
        found.append({name: np.asarray(value) for name, value in estimator.arrays().items()})
    return found
