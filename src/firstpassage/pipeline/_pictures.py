"""One small picture for each result of the diagnostics, for the audit card."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from firstpassage import diagnostics
from firstpassage.models.parameter import Parameter

_DOTS = 80  # per inch: a card with all its pictures stays small


def of(found: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Draw a result: ``picture`` (PNG) and ``caption`` for an Item; nothing where there is nothing to draw."""
    drawn: dict[type, tuple[Callable[..., Any], str]] = {
        diagnostics.Recovery: (_recovery, "Posterior mean and sd against the truth"),
        diagnostics.Sbc: (_ecdf, "Ranks of the truth: difference from uniform, with 95 % bands"),
        diagnostics.Coverage: (_coverage, "Coverage of central intervals, with standard errors"),
        diagnostics.Tarp: (_tarp, "Joint expected coverage, with the band of sampling error"),
        diagnostics.Comparison: (_comparison, "Shifts of the mean, ratios of the sd and C2ST, by data set"),
        diagnostics.Ppc: (_ppc, "Statistics of the last data set against those of the replicates"),
    }
    if type(found) not in drawn:
        return {}
    draw, caption = drawn[type(found)]
    return {"picture": png(draw(found, parameters)), "caption": f"{caption}; {_size(found)}."}


def png(panels: Any) -> bytes:
    """Write the figure of some panels at a low resolution."""
    from firstpassage import plots

    buffer = io.BytesIO()
    with plots.style():
        panels[0].figure.savefig(buffer, format="png", dpi=_DOTS, metadata={"Software": None})
    return buffer.getvalue()


def _recovery(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw one panel for each parameter."""
    from firstpassage import plots

    return plots.recovery(found, parameters=parameters, ax=plots.grid(len(parameters)))


def _ecdf(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw one panel for each quantity."""
    from firstpassage import plots

    return plots.calibration_ecdf(found, parameters=parameters, ax=plots.grid(len(found.ranks)))


def _coverage(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw one panel."""
    from firstpassage import plots

    return [plots.coverage(found, parameters=parameters, ax=plots.grid(1)[0])]


def _tarp(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw one panel."""
    from firstpassage import plots

    del parameters
    return [plots.tarp(found, ax=plots.grid(1)[0])]


def _comparison(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw three panels."""
    from firstpassage import plots

    return plots.comparison(found, parameters=parameters, ax=plots.grid(3))


def _ppc(found: Any, parameters: Sequence[Parameter]) -> Any:
    """Draw one panel."""
    from firstpassage import plots

    del parameters
    return plots.ppc(found, ax=plots.grid(1))


def _size(found: Any) -> str:
    """Say n and the seed."""
    if isinstance(found, diagnostics.Comparison):
        low, high = int(found.trials.min()), int(found.trials.max())
        size = f"{high}" if low == high else f"{low} to {high}"
        return f"{len(found.trials)} data sets of {size} trial{'s' if high > 1 else ''}, seed {found.seed}"
    if isinstance(found, diagnostics.Ppc):
        return f"{len(found.replicated)} replicates, seed {found.seed}"
    return f"{found.design.words}, seed {found.design.seed}"
