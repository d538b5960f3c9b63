"""Check: the whole audit of a trained estimator, written as audit.json and audit.html, and kept in its bundle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage import seeds
from firstpassage.diagnostics._json import as_json
from firstpassage.errors import ArtefactError, FirstPassageError, ModelError
from firstpassage.estimators import _atomic, bundle
from firstpassage.likelihood import Likelihood
from firstpassage.models import registry
from firstpassage.models.model import Model
from firstpassage.pipeline import _items
from firstpassage.pipeline._audit import Audit, Item

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

_LOG = logging.getLogger(__name__)
SEED = 990_000  # of audits; no shipped estimator was trained or chosen with it
Progress = Callable[[dict[str, Any]], None]


def audit(
    result: Likelihood | Posterior,
    *,
    model: Model | None = None,
    fast: bool = False,
    seed: int = SEED,
    progress: Progress | None = None,
) -> Audit:
    """Ask a trained estimator all questions of the audit.

    Parameters
    ----------
    result : Likelihood or Posterior
        What ``fit``, ``load`` or ``pretrained`` returned.
    model : Model, optional
        Needed for a model of your own.
    fast : bool
        Fewer data sets: minutes instead of tens of minutes, with less power.
    seed : int
        Of everything; choose one that training has not seen.
    progress : callable, optional
        Called before every item with a dict of item, done and total.

    Returns
    -------
    Audit
        Items with verdicts in words.

    Raises
    ------
    ModelError
        If the seed is wrong, or a model of your own is missing.
    """
    seeds.check(seed)
    known = _model(result, model)
    subject = _items.Subject(result=result, model=known, effort=_items.effort(known, fast), seed=seed)
    questions, items, start = _items.questions(subject), [], time.perf_counter()
    for done, (name, ask) in enumerate(questions.items()):
        if progress:
            progress({"item": name, "done": done, "total": len(questions)})
        items += _answers(name, ask)
        _LOG.info("%s: %s", name, "; ".join(f"{i.state}: {i.words}" for i in items[-1:]))
    return Audit(
        model=result.model, kind=result.kind, items=tuple(items), seed=seed, fast=fast,
        seconds=time.perf_counter() - start, card=result.card or {},
    )  # fmt: skip


def check(
    path: str | Path,
    *,
    model: Model | None = None,
    into: str | Path | None = None,
    fast: bool = False,
    seed: int = SEED,
    progress: Progress | None = None,
) -> tuple[Audit, Path]:
    """Audit a saved estimator, and write audit.json and audit.html; the bundle keeps the verdicts.

    Parameters
    ----------
    path : str or Path
        A bundle, or a training folder that holds one.
    model : Model, optional
        Needed for a model of your own.
    into : str or Path, optional
        Folder for the two files; the training folder, or the folder in which the bundle lies, if None.
    fast : bool
        The short audit.
    seed : int
        Of everything.
    progress : callable, optional
        Called before every item.

    Returns
    -------
    (Audit, Path)
        The audit, and the folder of its files.

    Raises
    ------
    ArtefactError
        If the bundle cannot be read, or the files cannot be written.
    ModelError
        If a setting cannot be used.
    """
    source = bundle.find(Path(path))
    result = bundle.load(source, model=model)
    folder = source.parent if into is None else Path(into)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"cannot make {folder}: {error.strerror}. Choose another folder with into.") from error
    found = audit(result, model=model, fast=fast, seed=seed, progress=progress)
    write(found, folder)
    bundle.save(replace(result, card={**(result.card or {}), "audit": found.summary()}), source, overwrite=True)
    return found, folder


def write(found: Audit, folder: Path, *, name: str = "audit") -> None:
    """Write the card as JSON and as one page of HTML.

    Parameters
    ----------
    found : Audit
        The audit.
    folder : Path
        Where.
    name : str
        Of both files, before .json and .html.
    """
    _atomic.write_bytes(folder / f"{name}.json", as_json(found.numbers()).encode())
    _atomic.write_bytes(folder / f"{name}.html", found.page().encode())


def _model(result: Likelihood | Posterior, model: Model | None) -> Model:
    """Take the model given, or make one of ours as the card says."""
    if model is not None:
        return model
    card = result.card or {}
    if result.model not in registry.NAMES or "parameters" not in card:
        raise ModelError(
            f"this estimator is of your own model {result.model!r}. Pass it: model=..., or --model FILE.py:NAME on the "
            "command line."
        )
    bounds = {p["name"]: tuple(p["bounds"]) for p in card["parameters"]}
    return registry.make(result.model, bounds=bounds, **card["model_settings"])


def _answers(name: str, ask: Callable[[], list[Item]]) -> list[Item]:
    """Ask, and take the time; a question that cannot be answered is a failed item, with the reason."""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        items = ask()
    except FirstPassageError as error:
        items = [Item(name=name, question="", ok=False, words=f"could not be run: {error}", numbers={})]
    spent = (time.perf_counter() - wall) / len(items), (time.process_time() - cpu) / len(items)
    return [replace(item, seconds=spent[0], cpu_seconds=spent[1]) for item in items]
