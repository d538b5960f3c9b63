"""Diagnostics: numbers only."""

from firstpassage.diagnostics._agreement import agreement, agreement_verdict
from firstpassage.diagnostics._convergence import Convergence, convergence
from firstpassage.diagnostics._predictive import predictive
from firstpassage.diagnostics._response_times import ResponseTimes, response_times
from firstpassage.diagnostics._summary import summary
from firstpassage.diagnostics._two_sample import two_sample

__all__ = [
    "Convergence",
    "ResponseTimes",
    "agreement",
    "agreement_verdict",
    "convergence",
    "predictive",
    "response_times",
    "summary",
    "two_sample",
]
