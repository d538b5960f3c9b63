"""Put a learned likelihood or posterior together from a model, weights and a card."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.estimators import _quick, _rounds_card
from firstpassage.likelihood import Likelihood
from firstpassage.models import plain
from firstpassage.models.model import Model
from firstpassage.models.records import Schema

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

SCHEMA = 1
_STACK = ("bayesflow", "keras", "jax", "numpy")


def assemble(model: Model, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Likelihood | Posterior:
    """Make what was learned from weights and a card, to which the model's description and the versions are added."""
    full = {**_description(model, schema(model, card)), **card}
    if card["kind"] == "npe":
        from firstpassage.estimators import posterior

        return _rounds_card.bound(posterior.assemble(model, arrays, full), full)
    return _rounds_card.bound(_likelihood(model, arrays, full), full)


def _likelihood(model: Model, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Likelihood:
    """Make a learned likelihood, float32."""
    data = schema(model, card)
    learned = Likelihood(
        model=model.name, kind=card["kind"], trial=data.trial, parameters=model.parameters, columns=data.columns,
        read=data.read, density=_density(model, arrays, card), limits=data.limits, describe=data.describe,
        table=data.table, simulate=data.simulate or partial(simulate_rows, model), precision="float32",
        card=dict(card), arrays=dict(arrays), joint=model.joint, start=_start(model, card),
        dependent=model.dependent, several_modes=model.exact is None,
    )  # fmt: skip
    return _quick.quick(learned, model, data)


def _start(model: Model, card: Mapping[str, Any]) -> Any:
    """Find out how the parameters are guessed from what this estimator reads; None where they are not."""
    if card["kind"] != "nre" or card["settings"].get("unit") is None:
        return None
    from firstpassage.estimators import _statistic_ratio

    candidates = _statistic_ratio.around(model)
    return None if candidates is None else candidates.spans


def schema(model: Model, card: Mapping[str, Any]) -> Schema:
    """Say what the data of this estimator are: those of the model, the sequences in them, or their statistics."""
    unit = card["settings"].get("unit")
    if unit is None:
        return plain.schema(model)
    if model.decisions is not None and unit == model.decisions.schema.trial:
        return model.decisions.schema
    from firstpassage.estimators import _reduced, _statistic_ratio

    statistics = _statistic_ratio.statistics(model) if card["kind"] == "nre" else model.statistics
    return _reduced.schema(model, statistics)


def _density(model: Model, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Any:
    """Find the density of a kind in JAX."""
    if card["kind"] == "nre":
        from firstpassage.estimators import _ratio

        unit = card["settings"].get("unit")
        if model.decisions is not None and unit == model.decisions.schema.trial:
            return _ratio.of_decisions(model, arrays, settings=card["settings"])
        symmetry = _ratio.symmetry(model, statistics=unit is not None)
        return _ratio.density(symmetry, arrays, activation=card["settings"]["activation"])
    if card["kind"] == "nle":
        from firstpassage.estimators import _nle_density

        return _nle_density.density(model, arrays, settings=card["settings"])
    raise KeyError(card["kind"])


def _description(model: Model, data: Schema) -> dict[str, Any]:
    """Describe the model in JSON."""
    return {
        "schema": SCHEMA, "model": model.name, "model_settings": dict(model.settings), "trial": data.trial,
        "columns": list(data.columns), "parameters": [
            {"name": p.name, "bounds": list(p.bounds), "unit": p.unit} for p in model.parameters
        ], "versions": _versions(),
    }  # fmt: skip


def simulate_rows(model: Model, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Simulate one trial for each row of theta: (n, column)."""
    data = model.likelihood(theta, trials=1, seed=int(rng.integers(2**63)))
    return np.concatenate([np.reshape(value, (len(value), -1)) for value in data.values()], axis=1)


def _versions() -> dict[str, str]:
    """Name the versions of the stack."""
    found = {}
    for package in ("firstpassage", *_STACK):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
