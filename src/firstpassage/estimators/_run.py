"""One training run, the same for every estimator: plan, folder, checkpoint, weights, card."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firstpassage import backend, seeds
from firstpassage.errors import ArtefactError, ModelError
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators._stream import Feed
    from firstpassage.estimators._training import Plan

_LOG = logging.getLogger("firstpassage.estimators")
Progress = Callable[[dict[str, Any]], None]


class Method(Protocol):
    """What a run needs of an estimator's settings."""

    @property
    def model(self) -> Model:
        """The model."""

    @property
    def members(self) -> int | None:
        """Networks trained beside each other on a table, if that was said."""

    def settings(self) -> dict[str, Any]:
        """List the settings by name, without the model."""

    def prepare(self, seed: int, simulations: Any) -> tuple[Any, Feed]:
        """Build BayesFlow's estimator with weights drawn from the seed, and the feed that trains it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of one run.

    Parameters
    ----------
    kind : str
        "nre", "nle" or "npe".
    budget : int or None
        Pairs simulated, over all rounds; None, which needs a table, trains as long as a held-out share gets better.
    seed : int
        Of everything random.
    simulations : mapping, pool or None
        A table to train from.
    into : Path or None
        The folder.
    progress : callable or None
        Called after every epoch.
    rounds : int
        How often simulations are made; after the first time where the parameters are plausible given `observed`.
    observed : object
        The data of one subject; None unless there are several rounds.
    """

    kind: str
    budget: int | None
    seed: int
    simulations: Any
    into: str | Path | None
    progress: Progress | None
    rounds: int = 1
    observed: Any = None


def fit(method: Method, order: Order) -> Any:
    """Train, or load what this run has already made; returns a Likelihood or a Posterior."""
    seeds.check(order.seed)
    _check_rounds(order)
    if order.rounds > 1:
        from firstpassage.estimators import _rounds

        return _rounds.fit(method, order)
    chosen = _plan(method, order)
    folder = None if order.into is None else Path(order.into)
    if folder is not None and (folder / "bundle").exists():
        return _finished(method, folder, chosen, table=_table(order))
    estimator, history = trained(method, chosen, order)
    learned = assembled(method, estimator, plan=chosen, kind=order.kind, history=history, table=_table(order))
    if folder is not None:
        finish(folder, learned, history)
    return learned


def _check_rounds(order: Order) -> None:
    """Refuse budgets, rounds and observed data that do not go together."""
    rounds = positive_integer("rounds", order.rounds)
    if rounds > 1 and order.observed is None:
        raise ModelError(f"rounds={rounds} looks at one data set: pass observed=..., as sample takes it; got None.")
    if rounds == 1 and order.observed is not None:
        raise ModelError("observed is for several rounds; got rounds=1. Pass rounds=2 or more, or leave observed out.")
    if order.budget is None and order.simulations is None:
        raise ModelError("budget must be a number of simulations where these are to be made; got None. Pass budget=...")


def _plan(method: Method, order: Order) -> Plan:
    """Plan to spend the budget, or, without one, as much as a table deserves."""
    if order.budget is not None:
        return plan(method, budget=positive_integer("budget", order.budget), seed=order.seed)
    backend.require_jax()
    from firstpassage.estimators import _table_plan

    return _table_plan.plan(method, order.simulations, kind=order.kind, seed=order.seed)


def plan(method: Method, *, budget: int, seed: int) -> Plan:
    """Take the settings of training together."""
    backend.require_jax()
    from firstpassage.estimators._training import Plan

    chosen = method.settings()
    batch = chosen["batch"]
    if budget < batch:
        raise ModelError(f"budget must be at least one batch ({batch} pairs); got {budget}.")
    return Plan(
        budget=budget * chosen.get("passes", 1), batch=batch, epoch_pairs=max(chosen["epoch_pairs"], batch),
        validation=max(chosen["validation"], batch), learning_rate=chosen["learning_rate"], average=chosen["average"],
        patience=chosen["patience"], seed=seed, clip=chosen.get("clip"), decay=chosen.get("decay"),
    )  # fmt: skip


def trained(method: Method, chosen: Plan, order: Order) -> tuple[Any, list[dict[str, Any]]]:
    """Make the estimator and train it."""
    from firstpassage.estimators import _effort, _training

    estimator, feed = method.prepare(chosen.seed, order.simulations)
    checkpoint = None
    if order.into is not None:
        make_folder(Path(order.into))
        mark = _fingerprint(method, chosen, order)
        checkpoint = _training.Checkpoint(folder=Path(order.into), fingerprint=mark)
    if chosen.members is not None:
        return _effort.train(estimator, feed, plan=chosen, checkpoint=checkpoint, progress=order.progress)
    history = _training.train(estimator, feed, plan=chosen, checkpoint=checkpoint, progress=order.progress)
    return estimator, history


def assembled(
    method: Method,
    estimator: Any,
    *,
    plan: Plan,
    kind: str,
    history: list[dict[str, Any]],
    table: Mapping[str, str] | None = None,
) -> Any:
    """Wrap the trained weights, and say in the card how they came about."""
    from firstpassage.estimators import _assemble

    last, passes = history[-1], _passes(method, plan)
    if plan.members is not None:  # what is kept is what was best
        last = last | {"validation_loss": min(record["validation_loss"] for record in history)}
    card = {
        "model": method.model.name, "kind": kind, "model_settings": dict(method.model.settings),
        "settings": method.settings(), "budget": plan.budget // passes, "seed": plan.seed,
        "pairs": last["pairs"] // passes,
        "epochs": len(history), "loss": last["loss"], "validation_loss": last["validation_loss"],
        "cpu_seconds": round(last["cpu_seconds"], 1), **(table or {}), **_members(plan),
    }  # fmt: skip
    return _assemble.assemble(method.model, estimator.arrays(), card)


def _passes(method: Method, plan: Plan) -> int:
    """Say how often each simulated pair is used, of those that a plan counts."""
    return 1 if plan.members is not None else method.settings().get("passes", 1)


def _members(plan: Plan) -> dict[str, int]:
    """Say how many networks were trained on a table without a budget; nothing where there was one."""
    return {} if plan.members is None else {"members": plan.members}


def _fingerprint(method: Method, chosen: Plan, order: Order) -> str:
    """Digest everything that a resumed run must share."""
    model = {"name": method.model.name, "box": repr(method.model), "settings": dict(method.model.settings)}
    content = [order.kind, model, method.settings(), asdict(chosen), _table(order) or True]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _table(order: Order) -> dict[str, str]:
    """Name the table that is trained from by its digest; nothing where pairs are simulated."""
    from firstpassage.estimators import _simulations

    return {} if order.simulations is None else {"simulations": _simulations.digest(order.simulations)}


def finish(folder: Path, learned: Any, history: list[dict[str, Any]]) -> None:
    """Write the bundle and the history, and drop the checkpoint."""
    import pandas as pd

    from firstpassage.estimators import _atomic, _training, bundle

    _atomic.write_bytes(folder / "history.csv", pd.DataFrame(history).to_csv(index=False).encode())
    bundle.save(learned, folder / "bundle")  # last, as a folder with a bundle is finished
    _training.Checkpoint(folder=folder, fingerprint="").clear()


def _finished(method: Method, folder: Path, chosen: Plan, *, table: Mapping[str, str]) -> Any:
    """Load a finished run, if it is this one."""
    from firstpassage.estimators import bundle

    learned = bundle.load(folder / "bundle", model=method.model)
    card = learned.card or {}
    settings = json.loads(json.dumps(method.settings()))
    wanted = {"settings": settings, "budget": chosen.budget // _passes(method, chosen), "seed": chosen.seed}
    wanted["members"] = chosen.members
    wanted["simulations"] = table.get("simulations")
    wanted["rounds"] = None
    differ = [name for name, value in wanted.items() if card.get(name) != value]
    if differ:
        raise ArtefactError(f"{folder} holds a finished run with other {', '.join(differ)}. Choose another folder.")
    _LOG.info("%s holds this run, finished: loaded", folder)
    return learned


def make_folder(folder: Path) -> None:
    """Make an output folder, or say why that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot make the folder {folder}: {error.strerror}. Choose another one.") from error


def positive_integer(name: str, value: Any) -> int:
    """Check a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{name} must be a positive integer; got {value!r}.")
    return int(value)


def fill(settings: Any, *usual: Mapping[str, Any]) -> None:
    """Put usual values where None was given; earlier ones go before later ones."""
    for values in usual:
        for name, value in values.items():
            if getattr(settings, name) is None:
                object.__setattr__(settings, name, value)


def check_training(settings: Any) -> None:
    """Refuse sizes and rates of training that cannot be used; shared by all estimators."""
    for name in ("batch", "epoch_pairs", "validation"):
        positive_integer(name, getattr(settings, name))
    if not (settings.learning_rate > 0 and 0 <= settings.average < 1):
        raise ModelError(
            f"learning_rate must be positive and average in [0, 1); got {settings.learning_rate}, {settings.average}."
        )
    if settings.patience is not None:
        positive_integer("patience", settings.patience)


def check_clip(clip: Any) -> None:
    """Refuse a norm of gradients that cannot be one."""
    if clip is not None and not (isinstance(clip, (int, float)) and 0 < clip < float("inf")):
        raise ModelError(f"clip must be None or a positive number; got {clip!r}.")


def check_unit(model: Model, unit: Any) -> None:
    """Refuse a unit that a model's trials cannot be taken apart to: sequences of decisions, or statistics."""
    known = [] if model.decisions is None else [model.decisions.schema.trial]
    if model.statistics is not None and model.schema is not None:
        known.append(model.schema.trial)
    if unit is not None and unit not in known:
        words = " or ".join(["None", *map(repr, known)])
        raise ModelError(f"unit must be {words} for {model.name}; got {unit!r}.")


def usual_unit(model: Model) -> str | None:
    """Choose what a trial is where nothing is said: decisions, statistics of long series, or what is simulated."""
    if model.decisions is not None:
        return model.decisions.schema.trial
    series = model.schema is not None and model.schema.series > 0
    return model.schema.trial if series and model.schema is not None and model.statistics is not None else None


def check_decay(decay: Any) -> None:
    """Refuse what is not a factor and a number of steps."""
    if decay is None:
        return
    if not (isinstance(decay, (tuple, list)) and len(decay) == 2 and 0 < decay[0] <= 1):
        raise ModelError(f"decay must be None or a factor up to 1 and a number of steps, (.999, 5000); got {decay!r}.")
    positive_integer("the number of steps of decay", decay[1])


def sizes(settings: Any, *names: str) -> None:
    """Check tuples of layer widths, and keep them as tuples of int."""
    for name in names:
        widths = tuple(positive_integer(name, width) for width in getattr(settings, name))
        object.__setattr__(settings, name, widths)


def own(model: Model) -> bool:
    """Tell whether a model is one of the user's, of which no more is known than what its simulator returns."""
    return model.schema is None and model.symmetry is None and model.mixed is None and model.decisions is None


def check_members(settings: Any) -> None:
    """Refuse numbers of networks beside each other that cannot be trained, or whose densities cannot be averaged."""
    from firstpassage.estimators import _table_plan

    if settings.members is None:
        return
    several = positive_integer("members", settings.members) > 1
    if several and not _table_plan.can_be_several(settings):
        raise ModelError(
            f"members={settings.members} needs networks whose densities can be averaged; those of mixed data, of "
            "BayesFlow's coupling flows and of its summary networks cannot. Leave members out, or use another flow."
        )


def unsaid(settings: Any) -> set[str]:
    """Name the settings that are listed only where they were given."""
    return {name for name in ("decay", "members") if getattr(settings, name) is None}
