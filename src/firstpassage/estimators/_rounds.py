"""Train in rounds towards one observation: simulate where the parameters are plausible given it, train on everything.

The first round simulates parameters of the prior. What is right afterwards depends on what is learned.

NPE learns the posterior under the density that the parameters were drawn from, and that has to be the prior, or the
posterior is pulled to where simulations were made. Later rounds therefore draw from the prior cut to the region A of
highest density of the current posterior at the observed data. The regions are nested, so that every round's simulations
that lie in the last one are draws of the prior cut to it; the density of all simulations together is not proportional
to the prior, being higher where more rounds reached. So those outside of the last region are left out. Under the prior
cut to A the posterior at the observed data is the whole one cut to A, which all but holds its mass: nothing needs to be
corrected. The parameters' bounds become a box around A, so that little of a flow can leak out of it.

NLE learns p(x | theta), whatever the parameters were drawn from: later rounds draw them from the current posterior.

NRE-C learns p(x | theta) / p(x), where p(x) belongs to the density that all parameters, contrastive ones too, were
drawn from. In theta that is a constant, so that prior times ratio stays the posterior, and rounds are those of NLE.

References
----------
Deistler, Goncalves and Macke (2022), Truncated proposals for scalable and hassle-free simulation-based inference,
NeurIPS. Papamakarios, Sterratt and Murray (2019), Sequential neural likelihood, AISTATS. Durkan, Murray and
Papamakarios (2020), On contrastive learning for likelihood-free inference, ICML.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstpassage import seeds
from firstpassage.errors import ArtefactError
from firstpassage.estimators import (
    _assemble,
    _atomic,
    _rounds_checks,
    _rounds_region,
    _rounds_table,
    _run,
    bundle,
)
from firstpassage.estimators._rounds_checks import Asked
from firstpassage.estimators._rounds_region import Region
from firstpassage.estimators._rounds_table import Table
from firstpassage.models import restricted

_LOG = logging.getLogger("firstpassage.estimators")
_IDENTITY = "rounds.json"
_CHAINS = 4


@dataclass(kw_only=True)
class _State:
    """Hold what the rounds so far have made."""

    tables: list[Table] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    learned: Any = None


def fit(method: _run.Method, order: _run.Order) -> Any:
    """Train in rounds, or load what this run has already made; returns a Likelihood or a Posterior."""
    asked = _rounds_checks.check(method, order)
    folder = None if order.into is None else Path(order.into)
    if folder is not None:
        _claim(folder, _identity(asked, order))
        if (folder / "bundle").exists():
            return bundle.load(folder / "bundle", model=method.model)
    state = _State()
    for number in range(order.rounds):
        _round(asked, order, state, number=number)
    learned = _whole(asked, order, state)
    if folder is not None:
        _run.finish(folder, learned, state.history)
    return learned


def _round(asked: Asked, order: _run.Order, state: _State, *, number: int) -> None:
    """Simulate, and train on all that may be used."""
    folder = None if order.into is None else Path(order.into) / f"round-{number + 1}"
    if number and order.kind == "npe":
        seed = seeds.derive(order.seed, f"region {number}")
        state.regions.append(_rounds_region.region(state.learned, order.observed, seed=seed))
    made = _rounds_table.saved(folder)
    if made is None:
        made = _simulated(asked, order, state, number=number)
        _rounds_table.save(folder, made)
    state.tables.append(made)
    method, table = _narrowed(asked, state, _rounds_table.joined(state.tables))
    state.used.append(len(table))
    _LOG.info("round %d of %d: %d simulations, %d used", number + 1, order.rounds, len(made), len(table))
    numbers = {"round": number + 1, "rounds": order.rounds}
    history: list[dict[str, Any]] = []

    def record(epoch: dict[str, Any]) -> None:
        history.append({**numbers, **epoch})
        if order.progress:
            order.progress(history[-1])

    part = _run.Order(
        kind=order.kind, budget=None, seed=seeds.derive(order.seed, f"round {number}"),
        simulations=table.shuffled(seeds.derive(order.seed, f"rows {number}")), into=folder, progress=record,
    )  # fmt: skip
    state.learned = _run.fit(method, part)
    if order.kind == "npe":  # the prior of a narrowed model can only be sampled
        state.learned = replace(state.learned, log_prior=asked.method.model.log_prior)
    state.history += history if folder is None else _rounds_table.history(folder, numbers)


def _simulated(asked: Asked, order: _run.Order, state: _State, *, number: int) -> Table:
    """Make the simulations of a round: from the prior or the user's table, and then from proposals."""
    if number == 0 and asked.table is not None:
        return asked.table
    model, n, acceptance = asked.method.model, asked.counts[number], 1.0
    seed = seeds.derive(order.seed, f"proposals {number}")
    if number == 0:
        theta = model.prior(n, seed=seed)
    elif order.kind == "npe":
        drawn = _rounds_region.truncated(model, state.regions, n, seed=seed)
        theta, acceptance = drawn.theta, drawn.acceptance
    else:
        theta = _plausible(state.learned, order.observed, n, seed=seed)
    data = model.likelihood(theta, trials=asked.trials, seed=seeds.derive(order.seed, f"data {number}"))
    return Table(theta=theta, data=data, acceptance=acceptance)


def _plausible(learned: Any, observed: Any, n: int, *, seed: int) -> dict[str, Any]:
    """Draw parameter sets from the current posterior of a learned likelihood."""
    drawn = learned.sample(observed, draws=-(-n // _CHAINS), chains=_CHAINS, seed=seed)["posterior"]
    return {name: drawn[name].to_numpy().ravel()[:n] for name in learned.parameter_names}


def _narrowed(asked: Asked, state: _State, table: Table) -> tuple[Any, Table]:
    """Keep the simulations in the last region, and narrow the model to the box around it."""
    method: Any = asked.method
    if not state.regions:
        return method, table
    table = table[_rounds_region.inside(state.regions, table.theta)]
    if method.model.joint is not None:
        return method, table
    part = restricted.restrict(method.model, box=state.regions[-1].box, theta=table.theta)
    return replace(method, model=part), table


def _whole(asked: Asked, order: _run.Order, state: _State) -> Any:
    """Say in the card how the rounds went, and bind what was learned last to the observation."""
    joint, model = asked.method.model.joint, asked.method.model
    box = None if joint is not None or not state.regions else state.regions[-1].box
    made = [len(one) for one in state.tables]
    rounds = {
        "number": order.rounds, "observed": asked.digest, "simulations": made,
        "used": state.used, "acceptance": [round(one.acceptance, 6) for one in state.tables],
        "box": None if box is None else {name: list(ends) for name, ends in box.items()},
    }  # fmt: skip
    card = {name: value for name, value in state.learned.card.items() if name != "parameters"}
    seconds = sum(record["cpu_seconds"] for record in _last(state.history))
    card |= {
        "rounds": rounds, "budget": sum(made), "pairs": sum(made), "seed": order.seed,
        "cpu_seconds": round(seconds, 1), "simulations": asked.simulations,
    }  # fmt: skip
    return _assemble.assemble(model, state.learned.arrays, card)


def _last(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the last epoch of every round."""
    return list({record["round"]: record for record in history}.values())


def _identity(asked: Asked, order: _run.Order) -> str:
    """Digest everything that a resumed run must share."""
    model = asked.method.model
    content = [
        order.kind, repr(model), dict(model.settings), asked.method.settings(), order.seed, order.rounds,
        list(asked.counts), asked.digest, asked.simulations,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _claim(folder: Path, identity: str) -> None:
    """Make the folder this run's, or refuse one of another run."""
    _run.make_folder(folder)
    mark = folder / _IDENTITY
    if mark.exists():
        same = mark.read_text(encoding="utf-8") == json.dumps({"identity": identity})
    else:
        same = not (folder / "bundle").exists()
        if same:
            _atomic.write_bytes(mark, json.dumps({"identity": identity}).encode())
    if not same:
        raise ArtefactError(
            f"{folder} holds another run (model, settings, budget, rounds, observed data or seed differ). Choose "
            "another folder."
        )
