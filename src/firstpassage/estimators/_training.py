"""Train a BayesFlow estimator on a stream of pairs: schedule, averaged weights, early stop, checkpoint, resumption."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from firstpassage.errors import ArtefactError, ModelError
from firstpassage.estimators._atomic import write_npz
from firstpassage.estimators._stream import Batches, Feed

_LOG = logging.getLogger("firstpassage.estimators")
_CHECKPOINT = "checkpoint.npz"
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes and rates of one training run.

    Parameters
    ----------
    budget : int
        Pairs simulated, over all epochs.
    batch, epoch_pairs, validation : int
        Pairs per step, per epoch, and for the validation loss.
    learning_rate : float
        Highest rate, after a warm-up; it decays to zero by a cosine.
    average : float
        Momentum of the averaged weights, which are the ones kept; at most that of averaging a twentieth of the steps.
    patience : int or None
        Stop after so many epochs without a lower validation loss.
    seed : int
        Of everything.
    clip : float or None
        Largest norm of a step's gradient; a longer one is shortened to it.
    decay : (float, int) or None
        Multiply the rate by the first number after every so many steps, instead of warm-up and cosine.
    members : int or None
        Networks that are trained beside each other on a table while a held-out share gets better; None is one network
        that spends the budget.
    """

    budget: int
    batch: int
    epoch_pairs: int
    validation: int
    learning_rate: float
    average: float
    patience: int | None
    seed: int
    clip: float | None = None
    decay: tuple[float, int] | None = None
    members: int | None = None

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return max(1, min(self.epoch_pairs, self.budget) // self.batch)

    @property
    def epochs(self) -> int:
        """Epochs that spend the budget."""
        return max(1, round(self.budget / (self.steps * self.batch)))


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where training is saved after every epoch, and what it must match to be continued."""

    folder: Path
    fingerprint: str

    def save(self, values: Sequence[Any], history: list[dict[str, Any]]) -> None:
        """Write weights, optimiser, generators and history whole or not at all."""
        arrays = {f"variable/{i}": np.asarray(v) for i, v in enumerate(values)}
        text = json.dumps({"fingerprint": self.fingerprint, "history": history})
        write_npz(self.folder / _CHECKPOINT, arrays | {"state": np.frombuffer(text.encode(), dtype=np.uint8)})

    def load(self) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        """Read what was saved and its history; both are empty if nothing was."""
        path = self.folder / _CHECKPOINT
        if not path.exists():
            return [], []
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as saved:
                state = json.loads(saved["state"].tobytes())
                values = [saved[f"variable/{i}"] for i in range(len(saved.files) - 1)]
        except Exception as error:
            raise ArtefactError(f"{path} cannot be read ({error}). Delete it to train from the start.") from error
        if state["fingerprint"] != self.fingerprint:
            raise ArtefactError(
                f"{path} belongs to another run (model, settings, budget or seed differ). Choose another folder, or "
                "delete it to train from the start."
            )
        return values, state["history"]

    def clear(self) -> None:
        """Remove the saved state of a finished run."""
        (self.folder / _CHECKPOINT).unlink(missing_ok=True)


def train(
    estimator: Any, feed: Feed, *, plan: Plan, checkpoint: Checkpoint | None, progress: Progress | None
) -> list[dict[str, Any]]:
    """Fit the estimator in place, leave it with the averaged weights, and return one record per epoch."""
    optimizer = _optimizer(plan)
    estimator.compile(optimizer=optimizer, jit_compile=True)
    optimizer.build(estimator.trainable_variables)
    saved, history = checkpoint.load() if checkpoint else ([], [])
    for variable, value in zip(_variables(estimator) if saved else [], saved, strict=True):
        variable.assign(value)
    if len(history) < plan.epochs and not _stale(history, plan.patience):
        data = Batches(feed, batch=plan.batch, steps=plan.steps, epoch=len(history))
        validation = feed(plan.validation, "validation")
        watch = _Watch(plan, history, validation, checkpoint=checkpoint, progress=progress)
        estimator.fit(
            dataset=data, epochs=plan.epochs, initial_epoch=len(history), verbose=0, shuffle=False, callbacks=[watch]
        )
    return history


class _Watch(keras.callbacks.Callback):
    """Validate, record, save and stop after each epoch."""

    def __init__(
        self,
        plan: Plan,
        history: list[dict[str, Any]],
        validation: dict[str, np.ndarray],
        *,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self.plan, self.history, self.validation = plan, history, validation
        self.checkpoint, self.progress = checkpoint, progress
        self.started, self.cpu = time.monotonic(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Do all that is due when an epoch has ended."""
        plan, cpu = self.plan, time.process_time()
        self.history.append({
            "epoch": epoch + 1, "epochs": plan.epochs, "pairs": (epoch + 1) * plan.steps * plan.batch,
            "budget": plan.budget, "loss": float((logs or {})["loss"]), "validation_loss": self._validate(),
            "cpu_seconds": cpu - self.cpu + (self.history[-1]["cpu_seconds"] if self.history else 0.0),
        })  # fmt: skip
        self.cpu = cpu
        if not np.isfinite(self.history[-1]["loss"]):
            raise ModelError(
                f"the training loss is {self.history[-1]['loss']} in epoch {epoch + 1}. Lower learning_rate, or look "
                "for extreme values in the simulations."
            )
        if self.checkpoint:
            self.checkpoint.save(_variables(self.model), self.history)
        if self.progress:
            self.progress(self.history[-1])
        _LOG.info("epoch %(epoch)d of %(epochs)d: loss %(loss).5f, validation %(validation_loss).5f", self.history[-1])
        if _stale(self.history, plan.patience):
            self.model.stop_training = True

    def _validate(self) -> float:
        """Compute the loss on the fixed validation pairs, with the weights as they are."""
        logs = self.model.evaluate(x=_Fixed(self.validation, self.plan.batch), verbose=0, return_dict=True)
        return float(logs["loss"])


class _Fixed(keras.utils.PyDataset):
    """Feed the validation pairs."""

    def __init__(self, pairs: dict[str, np.ndarray], batch: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.pairs, self.batch = pairs, batch

    def __len__(self) -> int:
        """Count whole batches."""
        return len(self.pairs["inference_variables"]) // self.batch

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        """Give one batch."""
        return {name: value[i * self.batch : (i + 1) * self.batch] for name, value in self.pairs.items()}


def _optimizer(plan: Plan) -> keras.optimizers.Optimizer:
    """Make Adam with decaying rate and averaged weights."""
    total = plan.steps * plan.epochs
    momentum = min(plan.average, max(0.0, 1 - 20 / total))
    return keras.optimizers.Adam(_schedule(plan, total), use_ema=True, ema_momentum=momentum, global_clipnorm=plan.clip)


def _schedule(plan: Plan, total: int) -> Any:
    """Make the learning rate: by steps, or a warm-up and a cosine."""
    if plan.decay is not None:
        factor, steps = plan.decay
        return keras.optimizers.schedules.ExponentialDecay(
            plan.learning_rate, decay_steps=steps, decay_rate=factor, staircase=True
        )
    warmup = min(500, total // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else plan.learning_rate,
        decay_steps=max(1, total - warmup),
        warmup_target=plan.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _variables(estimator: Any) -> list[Any]:
    """List everything that training changes."""
    return [*estimator.trainable_variables, *estimator.non_trainable_variables, *estimator.optimizer.variables]


def _stale(history: list[dict[str, Any]], patience: int | None) -> bool:
    """Tell whether the validation loss has not fallen for `patience` epochs."""
    losses = [record["validation_loss"] for record in history]
    return patience is not None and len(losses) > patience and int(np.argmin(losses)) < len(losses) - patience
