"""Diagnostics: numbers only."""

from firstpassage._convergence import Convergence, Independent, convergence
from firstpassage.diagnostics._agreement import agreement, agreement_verdict
from firstpassage.diagnostics._compare import Comparison, Distance, ExactRuns, Limits, compare, exact_runs
from firstpassage.diagnostics._cost import BreakEven, Cost, Crossing, break_even
from firstpassage.diagnostics._coverage import Coverage, coverage
from firstpassage.diagnostics._design import Design
from firstpassage.diagnostics._information import Information, information
from firstpassage.diagnostics._misspecification import Misspecification, misspecification
from firstpassage.diagnostics._ppc import Ppc, ppc
from firstpassage.diagnostics._predictive import predictive
from firstpassage.diagnostics._recovery import Recovered, Recovery, recovery
from firstpassage.diagnostics._response_times import ResponseTimes, response_times
from firstpassage.diagnostics._sbc import Sbc, sbc
from firstpassage.diagnostics._simulated import Simulated, data_sets, simulated
from firstpassage.diagnostics._summary import summary
from firstpassage.diagnostics._tarp import Tarp, tarp
from firstpassage.diagnostics._traces import Predicted, Ranked, Traces, traces
from firstpassage.diagnostics._two_sample import two_sample
from firstpassage.diagnostics._visits import Banded, Visits, visits

__all__ = [
    "Banded",
    "BreakEven",
    "Comparison",
    "Convergence",
    "Cost",
    "Coverage",
    "Crossing",
    "Design",
    "Distance",
    "ExactRuns",
    "Independent",
    "Information",
    "Limits",
    "Misspecification",
    "Ppc",
    "Predicted",
    "Ranked",
    "Recovered",
    "Recovery",
    "ResponseTimes",
    "Sbc",
    "Simulated",
    "Tarp",
    "Traces",
    "Visits",
    "agreement",
    "agreement_verdict",
    "break_even",
    "compare",
    "convergence",
    "coverage",
    "data_sets",
    "exact_runs",
    "information",
    "misspecification",
    "ppc",
    "predictive",
    "recovery",
    "response_times",
    "sbc",
    "simulated",
    "summary",
    "tarp",
    "traces",
    "two_sample",
    "visits",
]
