"""Let importance sampling draw from learned likelihoods of which NUTS would be slow: of visits, and of windows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from firstpassage import _pairs
from firstpassage.likelihood import Likelihood
from firstpassage.models.model import Model
from firstpassage.models.records import Schema


def quick(learned: Likelihood, model: Model, data: Schema) -> Likelihood:
    """Give a learned likelihood a quick sum over trials, and something to propose draws with.

    Proposals change the cost of the draws and not what they are drawn from: they are weighed by the learned density.
    Where the model has a quick approximation of the same trials, that proposes; else the learned density itself, to
    which a Student t is fitted.

    Parameters
    ----------
    learned : Likelihood
        As it was trained.
    model : Model
        Of which it was learned.
    data : Schema
        What its trials are.

    Returns
    -------
    Likelihood
        The same density; unchanged where the exact likelihood has no approximation, since NUTS is quick there.
    """
    exact = model.exact
    if exact is None or exact.approximation is None:
        return learned
    summed = replace(learned, sums=partial(_pairs.sums, likelihood=learned, split=data.split))
    return replace(summed, approximation=exact.approximation if learned.columns == exact.columns else summed)
