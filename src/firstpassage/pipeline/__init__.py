"""Pipeline: from a table or a budget to a folder of artefacts."""

from firstpassage.estimators.bundle import audit_card, list_shipped
from firstpassage.estimators.pools import Pool
from firstpassage.pipeline._audit import Audit, Item
from firstpassage.pipeline._catalogue import default_method
from firstpassage.pipeline._check import audit, check
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._demo import demo
from firstpassage.pipeline._doctor import Check, doctor
from firstpassage.pipeline._fit import Fit, FitRun, FitSettings, fit_table
from firstpassage.pipeline._folder import RunFolder, run_folder
from firstpassage.pipeline._own_model import make as model
from firstpassage.pipeline._pool import pool
from firstpassage.pipeline._predictions import verdicts as predicted_verdicts
from firstpassage.pipeline._prepare import Prepared, prepare
from firstpassage.pipeline._report import agreement_verdicts, by_group, metrics
from firstpassage.pipeline._run import Run, run
from firstpassage.pipeline._simulations import simulate, simulations
from firstpassage.pipeline._sweep import Sweep, sweep
from firstpassage.pipeline._sweep_plan import configurations
from firstpassage.pipeline._tables import Group
from firstpassage.pipeline._train import TrainRun, TrainSettings, train

__all__ = [
    "Audit",
    "Check",
    "Fit",
    "FitRun",
    "FitSettings",
    "Group",
    "Item",
    "Pool",
    "Prepared",
    "Run",
    "RunConfig",
    "RunFolder",
    "Sweep",
    "TrainRun",
    "TrainSettings",
    "agreement_verdicts",
    "audit",
    "audit_card",
    "by_group",
    "check",
    "configurations",
    "default_method",
    "demo",
    "doctor",
    "fit_table",
    "list_shipped",
    "metrics",
    "model",
    "pool",
    "predicted_verdicts",
    "prepare",
    "run",
    "run_folder",
    "simulate",
    "simulations",
    "sweep",
    "train",
]
