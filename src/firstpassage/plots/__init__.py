"""Plots: the only room that knows matplotlib; every function draws a result of the diagnostics."""

from firstpassage.plots._loss import loss
from firstpassage.plots._marginals import marginals
from firstpassage.plots._predictive import predictive
from firstpassage.plots._save import save
from firstpassage.plots._style import COLOURS, canvas, style

__all__ = ["COLOURS", "canvas", "loss", "marginals", "predictive", "save", "style"]
