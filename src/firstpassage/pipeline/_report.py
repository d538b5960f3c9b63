"""Report: the tables, the figures and one page of HTML that a run leaves."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage.diagnostics import agreement_verdict
from firstpassage.errors import ArtefactError, DataError, DataWarning
from firstpassage.models import plain
from firstpassage.models.model import Model
from firstpassage.pipeline import _catalogue, _figures, _page, _predictions
from firstpassage.pipeline._folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.pipeline._fit import Fit, FitRun, FitSettings

_LOG = logging.getLogger(__name__)


def write(folder: RunFolder, run: FitRun, *, model: Model, settings: FitSettings) -> None:
    """Write summary.csv, metrics.json, the figures and report.html.

    Parameters
    ----------
    folder : RunFolder
        Where.
    run : FitRun
        What was fitted.
    model : Model
        Of the run.
    settings : FitSettings
        Of the run.
    """
    folder.write_text("summary.csv", run.summary.to_csv(index=False, float_format="%.6g"))
    folder.write_json("metrics.json", metrics(run))
    pictures = {}
    (folder.path / "figures").mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # told already, when the table was read
        for name, fits in by_group(run).items():
            paths = {
                kind: folder.path / "figures" / f"{fits[0].group.slug}-{kind.__name__}.png" for kind in _kinds(model)
            }
            drawn = [_drawn(kind, name, fits, path, model, settings) for kind, path in paths.items()]
            pictures[name] = [path for path in drawn if path is not None]
    folder.write_text("report.html", _whole(run, pictures, model=model, settings=settings))


def _kinds(model: Model) -> list[Callable[..., Path]]:
    """Choose the figures of each group."""
    if model.decisions is not None and model.exact is not None:
        return [_figures.marginals, _figures.pairs, _figures.visits]
    if plain.schema(model).trial == "trace":
        return [_figures.marginals, _figures.pairs, _predictions.traces, _predictions.spikes]
    return [_figures.marginals, *([_figures.predictive] if plain.schema(model).trial == "choice" else [])]


def _drawn(
    kind: Callable[..., Path], name: str, fits: list[Fit], path: Path, model: Model, settings: FitSettings
) -> Path | None:
    """Draw one figure of a group, or say why its data do not allow it, or that its file would be too large."""
    try:
        return kind({name: fits}, path, model=model, seed=settings.seed)
    except (ArtefactError, DataError) as error:
        _LOG.warning("%s: no figure of %s: %s", name, kind.__name__, error)
        return None


def by_group(run: FitRun) -> dict[str, list[Fit]]:
    """Collect the fits of each group.

    Parameters
    ----------
    run : FitRun
        What was fitted.

    Returns
    -------
    dict of str to list of Fit
        In the order of the run.
    """
    groups: dict[str, list[Fit]] = {}
    for fit in run.fits:
        groups.setdefault(fit.group.name, []).append(fit)
    return groups


def metrics(run: FitRun) -> dict[str, Any]:
    """Collect the convergence of every fit, and how far learned posteriors lie from exact ones.

    Parameters
    ----------
    run : FitRun
        What was fitted.

    Returns
    -------
    dict
        ``ok``, ``failures``, and ``groups`` by name, each with ``trials``, ``methods`` and ``agreement``.
    """
    groups: dict[str, Any] = {}
    for name, fits in by_group(run).items():
        methods = {fit.method: _metrics(fit) for fit in fits}
        groups[name] = {"trials": fits[0].group.trials, "methods": methods}
        if fits[0].group.notes:
            groups[name]["notes"] = list(fits[0].group.notes)
        if len(run.agreement):
            tables = _agreements(run, name)
            groups[name]["agreement"] = {m: table.to_dict("index") for m, table in tables.items()}
            groups[name]["agreement_verdict"] = {m: agreement_verdict(table) for m, table in tables.items()}
    return {"ok": run.ok, "failures": list(run.failures), "groups": groups}


def agreement_verdicts(run: FitRun) -> list[str]:
    """Say for each group and learned method whether it agrees with the exact posterior.

    Parameters
    ----------
    run : FitRun
        What was fitted.

    Returns
    -------
    list of str
        Empty unless the exact method ran too.
    """
    return [
        f"{name}, {method}: {agreement_verdict(table)}"
        for name in by_group(run)
        for method, table in _agreements(run, name).items()
    ]


def _agreements(run: FitRun, group: str) -> dict[str, pd.DataFrame]:
    """Take one group's comparisons with the exact posterior, by method."""
    if not len(run.agreement):
        return {}
    here = run.agreement[run.agreement["group"] == group].set_index("parameter")
    return {str(m): table[["shift", "shift_se", "sd_ratio"]] for m, table in here.groupby("method")}


def _metrics(fit: Fit) -> dict[str, Any]:
    """Describe one fit in numbers and one sentence."""
    numbers = asdict(fit.convergence)
    return {
        "ok": fit.convergence.ok, "verdict": fit.convergence.verdict, **numbers,
        "seconds": fit.seconds, "seed": fit.seed,
        **({} if fit.predicted is None else {"predicted": fit.predicted.numbers()}),
    }  # fmt: skip


def _whole(run: FitRun, pictures: dict[str, list[Path]], *, model: Model, settings: FitSettings) -> str:
    """Put everything on one page that needs no other file."""
    meanings = _catalogue.MEANINGS.get(model.name, {})
    parts = [
        f"<h1>{escape(model.name)}: {escape(', '.join(settings.methods))}</h1>",
        f"<p>{escape(_sampling(run, settings))}; seed {settings.seed}, prior {escape(_prior(model, settings))}. "
        "Settings: config.json; versions: environment.txt.</p>",
        "<ul>" + "".join(f"<li><b>{escape(k)}</b>: {escape(v)}</li>" for k, v in meanings.items()) + "</ul>",
        *_notes(run), "<h2>May the draws be used?</h2>", _verdicts(run),
        "<h2>Posterior</h2>", _page.table(run.summary),
    ]  # fmt: skip
    if len(run.agreement):
        parts += [
            "<h2>Learned against exact</h2>",
            '<p class="small">shift: distance of the posterior means in exact posterior standard deviations; '
            "shift_se: its standard error from the finite number of draws; sd_ratio: learned over exact "
            "standard deviation.</p>",
            "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in agreement_verdicts(run)) + "</ul>",
            _page.table(run.agreement),
        ]
    parts += _predictions.section(run.fits)
    for name, paths in pictures.items():
        parts += [f"<h2>{escape(name)}</h2>", *(_page.figure(path) for path in paths)]
    return _page.page(f"firstpassage fit {model.name}", parts)


def _prior(model: Model, settings: FitSettings) -> str:
    """Name the prior."""
    return settings.prior if model.joint is None else "of the model, joint"


def _notes(run: FitRun) -> list[str]:
    """List what was done to the data of the file, where something was."""
    told = [f"{name}: {note}" for name, fits in by_group(run).items() for note in fits[0].group.notes]
    return ["<h2>Data</h2>", "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in told) + "</ul>"] if told else []


def _sampling(run: FitRun, settings: FitSettings) -> str:
    """Say how the draws were made."""
    samplers = [(fit.method, fit.draws.attrs.get("sampler")) for fit in run.fits]
    weighed, tempered = ({name for name, kind in samplers if kind == one} for one in ("importance", "smc"))
    chains = {name for name, kind in samplers if name != "npe" and kind not in ("importance", "smc")}
    number = settings.chains * settings.draws
    parts = []
    if chains:
        words = f"{settings.chains} chains of {settings.tune} tuning steps and {settings.draws} draws"
        parts.append(f"{_listed(chains, settings)}: {words}")
    if weighed:
        parts.append(f"{_listed(weighed, settings)}: {number} draws by importance sampling, by way of an approximation")
    if tempered:
        parts.append(f"{_listed(tempered, settings)}: {number} draws by sequential Monte Carlo")
    if "npe" in settings.methods:
        corrected = ", corrected by the exact likelihood" if settings.correct else ""
        parts.append(f"npe: {number} independent draws from the network{corrected}")
    return "; ".join(parts)


def _listed(some: set[str], settings: FitSettings) -> str:
    """List methods in their order."""
    return ", ".join(method for method in settings.methods if method in some)


def _verdicts(run: FitRun) -> str:
    """List one sentence for each fit, and what could not be fitted."""
    rows = [
        f"<tr><td>{escape(fit.group.name)}</td><td>{escape(fit.method)}</td><td>{fit.group.trials}</td>"
        f'<td class="text{"" if fit.convergence.ok else " bad"}">{escape(fit.convergence.verdict)}</td></tr>'
        for fit in run.fits
    ]
    rows += [f'<tr><td class="text bad" colspan="4">{escape(text)}</td></tr>' for text in run.failures]
    head = f"<tr><th>group</th><th>method</th><th>{run.fits[0].group.noun}</th><th>verdict</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"
