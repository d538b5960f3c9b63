"""Plots: the only room that knows matplotlib; every function draws a result of the diagnostics."""

from firstpassage.plots._break_even import break_even
from firstpassage.plots._budget import budget
from firstpassage.plots._calibration import calibration_ecdf, calibration_histogram
from firstpassage.plots._comparison import comparison
from firstpassage.plots._coverage import coverage
from firstpassage.plots._grid import grid
from firstpassage.plots._information import information
from firstpassage.plots._landscape import landscape
from firstpassage.plots._loss import loss
from firstpassage.plots._marginals import marginals
from firstpassage.plots._numbers import numbers
from firstpassage.plots._pairs import pairs, pairs_numbers
from firstpassage.plots._ppc import ppc
from firstpassage.plots._predictive import predictive
from firstpassage.plots._recovery import recovery
from firstpassage.plots._save import save
from firstpassage.plots._shrinkage import Estimates, shrinkage
from firstpassage.plots._style import COLOURS, canvas, style
from firstpassage.plots._sweep import sweep
from firstpassage.plots._tarp import tarp
from firstpassage.plots._traces import spike_counts, traces
from firstpassage.plots._visits import visits

__all__ = [
    "COLOURS",
    "Estimates",
    "break_even",
    "budget",
    "calibration_ecdf",
    "calibration_histogram",
    "canvas",
    "comparison",
    "coverage",
    "grid",
    "information",
    "landscape",
    "loss",
    "marginals",
    "numbers",
    "pairs",
    "pairs_numbers",
    "ppc",
    "predictive",
    "recovery",
    "save",
    "shrinkage",
    "spike_counts",
    "style",
    "sweep",
    "tarp",
    "traces",
    "visits",
]
