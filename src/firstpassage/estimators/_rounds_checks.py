"""Refuse what cannot be trained in rounds, before anything is simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstpassage import _subjects
from firstpassage.errors import DataError, ModelError
from firstpassage.estimators import _assemble, _rounds_card, _rounds_table, _run, _simulations
from firstpassage.estimators._rounds_table import Table
from firstpassage.estimators._simulations import FEWEST
from firstpassage.models.model import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """Hold an order that can be carried out.

    Parameters
    ----------
    method : Method
        The settings; those of a posterior for the observed number of trials.
    trials : int
        Trials of each simulation.
    counts : tuple of int
        Simulations of every round.
    table : Table or None
        The user's, which is the first round.
    digest : str
        Of the observed data.
    simulations : str or None
        Digest of the user's table.
    """

    method: Any
    trials: int
    counts: tuple[int, ...]
    table: Table | None
    digest: str
    simulations: str | None


def check(method: Any, order: _run.Order) -> Asked:
    """Check method, observed data and budget together."""
    model = method.model
    _check_unit(method, order)
    x = _observed(method, order)
    trials = 1
    if order.kind == "npe":
        trials = len(x)
        _check_trials(method, trials)
        method = replace(method, trials=trials)
    else:
        _check_prior(model, order.kind)
    table = None
    if order.simulations is not None:
        table = _rounds_table.of_user(model, order.simulations, trials=trials if order.kind == "npe" else None)
    return Asked(
        method=method, trials=trials, counts=_counts(order, table), table=table, digest=_rounds_card.digest(x),
        simulations=None if order.simulations is None else _simulations.digest(order.simulations),
    )  # fmt: skip


def _observed(method: Any, order: _run.Order) -> np.ndarray:
    """Read the observed data, which are those of one subject."""
    several = _subjects.many(order.observed)
    if several is not None:
        raise DataError(
            f"rounds look at the data of one subject; got a list of {len(several)}. Train for each of them, or with "
            "rounds=1 for all."
        )
    card = {"kind": order.kind, "settings": method.settings()}
    return _assemble.schema(method.model, card).read(order.observed)


def _check_unit(method: Any, order: _run.Order) -> None:
    """Refuse estimators of decisions, and candidates that presume the prior."""
    model, unit = method.model, method.settings().get("unit")
    if model.decisions is not None and unit == model.decisions.schema.trial:
        raise ModelError(
            f"several rounds need simulations that are kept; unit={unit!r} learns decisions from fresh ones only, and "
            f'got rounds={order.rounds}. Use NPE, unit="window", or rounds=1.'
        )
    if order.kind == "nre" and unit is not None:
        from firstpassage.estimators import _statistic_ratio

        if _statistic_ratio.around(model) is not None:
            raise ModelError(
                f"NRE of {model.name} draws its candidates around a guess, which presumes parameters of the prior; got "
                f"rounds={order.rounds}. Use NPE or NLE, or rounds=1."
            )


def _check_trials(method: Any, trials: int) -> None:
    """Refuse more or fewer trials than a posterior is for."""
    low, high = method.trials
    if not low <= trials <= high:
        raise DataError(
            f"observed must have {low} to {high} trials, for which this NPE is; got {trials}. Pass trials={trials} to "
            "NPE."
        )


def _check_prior(model: Model, kind: str) -> None:
    """Refuse a prior without density, by which proposals could not be drawn."""
    try:
        model.log_prior({p.name: np.array([sum(p.bounds) / 2]) for p in model.parameters})
    except ModelError as error:
        raise ModelError(f"rounds of {kind} need the density of the prior. {error}") from None


def _counts(order: _run.Order, table: Table | None) -> tuple[int, ...]:
    """Share the budget among the rounds; a table is the first one, and without budget each round is as large."""
    rounds, first = order.rounds, 0 if table is None else len(table)
    if order.budget is None:
        return (first,) * rounds
    budget = _run.positive_integer("budget", order.budget)
    left, later = budget - first, rounds - (table is not None)
    if left < FEWEST * later:
        kept = "" if table is None else f" besides the {first} of the table"
        raise ModelError(
            f"budget must be at least {FEWEST} simulations for each of {later} rounds{kept}; got {budget}. Pass "
            f"budget={first + FEWEST * later} or more, or fewer rounds."
        )
    shares = tuple(left // later + (i < left % later) for i in range(later))
    return shares if table is None else (first, *shares)
