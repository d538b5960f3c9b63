"""Predictions of a fit of voltage traces: what posterior and prior predict, in figures, words and a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage import diagnostics, seeds
from firstpassage.models import plain
from firstpassage.models.model import Model
from firstpassage.pipeline import _figures, _page

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.diagnostics import Traces
    from firstpassage.pipeline._fit import Fit

_SHOWN = 3  # traces in a figure, or one of each fit: noisy lines make large files


def added(fits: Sequence[Fit], *, model: Model, seed: int) -> list[Fit]:
    """Add what posterior and prior predict to fits of traces.

    Parameters
    ----------
    fits : sequence of Fit
        Of one model.
    model : Model
        It reads and simulates.
    seed : int
        Of the run; fits of one group have the same draws of the prior.

    Returns
    -------
    list of Fit
        The same ones where trials are no traces.
    """
    if plain.schema(model).trial != "trace":
        return list(fits)
    own = {fit.group.name: seeds.derive(seed, f"predicted traces {fit.group.name}") for fit in fits}
    return [
        replace(fit, predicted=diagnostics.traces(model, fit.draws, fit.group.data, seed=own[fit.group.name]))
        for fit in fits
    ]


def verdicts(fits: Sequence[Fit]) -> list[str]:
    """Say for each fit of traces whether its posterior reproduces the data.

    Parameters
    ----------
    fits : sequence of Fit
        As `added` returns them.

    Returns
    -------
    list of str
        Empty where trials are no traces.
    """
    return [f"{fit.group.name}, {fit.method}: {found.verdict}" for fit, found in _known(fits)]


def section(fits: Sequence[Fit]) -> list[str]:
    """Write what posterior and prior predict as a section of a report.

    Parameters
    ----------
    fits : sequence of Fit
        As `added` returns them.

    Returns
    -------
    list of str
        Parts of HTML; empty where trials are no traces.
    """
    known = _known(fits)
    if not known:
        return []
    return [
        "<h2>Does the posterior predict the data?</h2>",
        "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in verdicts(fits)) + "</ul>",
        f'<p class="small">{known[0][1].replicates} replicates from posterior and prior each. Coverage: share of the '
        "samples in the pointwise 5 to 95 % band. Percentile: share of replicates with as many spikes as the data or "
        "fewer; mid-p counts ties half. Error: mean absolute difference of data and predictive median, below the "
        "median of V_th, mV. Score: mean distance of the spike trains of data and replicates, less half of that of "
        "replicates from each other; the lower the better. Coverage and percentile cannot tell a posterior from the "
        "prior; error and score can.</p>",
        _page.table(_lite(known)), _page.table(_statistics(known)),
    ]  # fmt: skip


def _known(fits: Iterable[Fit]) -> list[tuple[Fit, Traces]]:
    """Pair fits with what they predict."""
    return [(fit, fit.predicted) for fit in fits if fit.predicted is not None]


def _lite(known: Sequence[tuple[Fit, Traces]]) -> pd.DataFrame:
    """Tabulate the numbers of the published check, each with the prior's in the row below."""
    import pandas as pd

    rows = [
        {
            "group": fit.group.name, "draws of": name, "coverage": one.coverage, "percentile": one.percentile,
            "mid-p": one.mid_p, "error (mV)": one.error, "score": one.score,
        }
        for fit, found in known
        for name, one in ((fit.method, found.posterior), ("prior", found.prior))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _statistics(known: Sequence[tuple[Fit, Traces]]) -> pd.DataFrame:
    """Tabulate the place of each number of the data among the replicates of posterior and prior."""
    import pandas as pd

    rows = []
    for fit, found in known:
        for name, one in found.posterior.statistics.items():
            ours, prior = one.numbers(), found.prior.statistics[name].numbers()
            rows.append(
                {
                    "group": fit.group.name, "method": fit.method, "number": name, "data": ours["observed"],
                    "replicates": f"{ours['low']:.3g} to {ours['high']:.3g}", "mid-p": ours["p"],
                    "of the prior": f"{prior['low']:.3g} to {prior['high']:.3g}", "its mid-p": prior["p"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def traces(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw observed and predicted voltage of the first traces of each fit.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.
    path : Path
        Of the PNG.
    model : Model
        For the caption.
    seed : int
        Of the run, for the caption.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    known = _known(fit for some in rows.values() for fit in some)
    shown = [(fit, _first(found, max(_SHOWN // len(known), 1))) for fit, found in known]
    panels = plots.canvas(rows=sum(len(one.voltage) for _, one in shown), columns=1, width=8.2, height=2.1)[:, 0]
    numbers: dict[str, Any] = {}
    place = 0
    for fit, one in shown:
        plots.traces(one, method=fit.method, ax=panels[place : place + len(one.voltage)])
        place += len(one.voltage)
        numbers.setdefault(fit.group.name, {})[fit.method] = one.drawn()
    caption = (
        f"Voltage of the data (black, spikes above) and of {shown[0][1].replicates} replicates simulated from the "
        f"posterior of {model.name}: median and central 90 % at each time; {_figures.counts(rows)}; seed {seed}."
    )
    return plots.save(panels[0].figure, path, numbers=numbers, caption=caption)


def _first(found: Traces, number: int) -> Traces:
    """Keep the first traces."""
    few = slice(number)
    bands = {name: vars(found.posterior)[name][few] for name in ("low", "median", "high")}
    return replace(
        found, voltage=found.voltage[few], spikes=found.spikes[few], posterior=replace(found.posterior, **bands)
    )


def spikes(rows: Mapping[str, Sequence[Fit]], path: Path, *, model: Model, seed: int) -> Path:
    """Draw how many spikes posterior and prior of each fit predict, and how many there were.

    Parameters
    ----------
    rows : mapping of str to sequence of Fit
        The fits of each group, by its name.
    path : Path
        Of the PNG.
    model : Model
        For the caption.
    seed : int
        Of the run, for the caption.

    Returns
    -------
    Path
        Of the PNG.
    """
    from firstpassage import plots

    known = _known(fit for some in rows.values() for fit in some)
    panels = plots.canvas(rows=1, columns=len(known), width=3.6, height=2.6)[0]
    numbers: dict[str, Any] = {}
    for panel, (fit, found) in zip(panels, known, strict=True):
        plots.spike_counts(found, method=fit.method, ax=panel)
        numbers.setdefault(fit.group.name, {})[fit.method] = found.numbers()
    caption = (
        f"Spikes of the data (black) and of replicates simulated from the posterior (filled) and the prior (dotted) of "
        f"{model.name}; {_figures.counts(rows)}; seed {seed}."
    )
    return plots.save(panels[0].figure, path, numbers=numbers, caption=caption)
