"""Plan the training on a table for which no budget was given, by the number of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from firstpassage.estimators import _simulations
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._training import Plan

_STEPS = 70  # of an epoch, about, unless a batch would be larger or smaller than is good
_SMALLEST_BATCH = 16
_ALL_STEPS = 40_000  # of all epochs at most, which bounds the cost of training on a large table
_EPOCHS = (5, 300)  # at least and at most, if no stop comes before
_PATIENCE = 20  # epochs, at most: a table that has been learned by heart gets no better
_AVERAGE = 0.99
_MOST_HELD_OUT = 20_000  # pairs
_RATE = 0.5  # of the learning rate for large batches of fresh pairs
_MEMBERS = 4
_SINGLE_FLOWS = ("spline", "affine")  # BayesFlow's, whose weights belong to layers of Keras
_SINGLE_SUMMARIES = ("bayesflow", "timeseries")


class Method(Protocol):
    """What is needed of an estimator's settings."""

    @property
    def model(self) -> Model:
        """The model."""

    @property
    def members(self) -> int | None:
        """Networks trained beside each other, if that was said."""

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model."""


def plan(method: Method, simulations: Any, *, kind: str, seed: int) -> Plan:
    """Choose batches, epochs and members.

    Parameters
    ----------
    method : NPE, NLE or NRE
        With its settings.
    simulations : mapping, pool or path
        The table.
    kind : str
        "npe", of which a row is a pair, or "nle" or "nre", of which every trial of a row is one.
    seed : int
        Of everything random.

    Returns
    -------
    Plan
        Whose budget is what would be trained on if nothing stopped it.
    """
    from firstpassage.estimators._training import Plan

    chosen = method.settings()
    pairs = _pairs(method.model, simulations, by_trial=kind != "npe")
    held_out = pairs // 10
    batch = _batch(pairs - held_out, most=chosen["batch"])
    # An epoch of a large table is a part of it, as those of fresh pairs are, since its pairs are held in memory.
    steps = max(1, min(pairs - held_out, chosen["epoch_pairs"]) // batch)
    epochs = min(max(_ALL_STEPS // steps, _EPOCHS[0]), _EPOCHS[1])
    patience = chosen["patience"]
    return Plan(
        budget=epochs * steps * batch, batch=batch, epoch_pairs=steps * batch,
        validation=min(held_out, _MOST_HELD_OUT), learning_rate=_RATE * chosen["learning_rate"],
        average=min(chosen["average"], _AVERAGE), patience=_PATIENCE if patience is None else min(patience, _PATIENCE),
        seed=seed, clip=chosen.get("clip"), members=members(method),
    )  # fmt: skip


def members(method: Method) -> int:
    """Choose how many networks are trained beside each other: several for a model of one's own."""
    if method.members is not None:
        return method.members
    return _MEMBERS if method.model.schema is None and can_be_several(method) else 1


def can_be_several(method: Method) -> bool:
    """Tell whether densities of several networks can be averaged."""
    chosen = method.settings()
    single = chosen.get("flow") in _SINGLE_FLOWS or chosen.get("summary") in _SINGLE_SUMMARIES
    return not single and method.model.mixed is None


def _pairs(model: Model, simulations: Any, *, by_trial: bool) -> int:
    """Count the pairs of a table or a pool."""
    given = _simulations.opened(simulations)
    if isinstance(given, Pool):
        rows, trials = given.rows, given.trials
    else:
        found = _simulations.check(model, given)
        rows, trials = len(found.x), found.trials
    return rows * trials if by_trial else rows


def _batch(pairs: int, *, most: int) -> int:
    """Choose a power of two that makes about so many steps an epoch."""
    size = _SMALLEST_BATCH
    while size * 2 <= min(most, pairs // _STEPS + size // 2):
        size *= 2
    return min(size, pairs)
