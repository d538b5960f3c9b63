"""Amortized Bayesian inference, that you can audit, for models that integrate to a bound."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstpassage.bridges.correction import correct
    from firstpassage.bridges.hierarchical import hierarchical
    from firstpassage.bridges.onnx import to_onnx
    from firstpassage.bridges.pymc import observe, priors
    from firstpassage.bridges.sampling import sample
    from firstpassage.errors import (
        ArtefactError,
        AuditWarning,
        DataError,
        DataWarning,
        FirstPassageError,
        ModelError,
        SamplingWarning,
    )
    from firstpassage.estimators.bundle import load, pretrained, save
    from firstpassage.estimators.nle import NLE
    from firstpassage.estimators.npe import NPE
    from firstpassage.estimators.nre import NRE
    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood
    from firstpassage.models.ddm import ddm
    from firstpassage.models.examples import example
    from firstpassage.models.foraging import foraging
    from firstpassage.models.gaussian import gaussian
    from firstpassage.models.lapses import lapses
    from firstpassage.models.lif import lif
    from firstpassage.models.model import Model
    from firstpassage.models.parameter import Parameter
    from firstpassage.models.poisson import poisson
    from firstpassage.models.ssms import from_ssms

__version__ = "0.1.0"

_HOMES = {
    "ArtefactError": "errors",
    "AuditWarning": "errors",
    "DataError": "errors",
    "DataWarning": "errors",
    "FirstPassageError": "errors",
    "Likelihood": "likelihood",
    "Model": "models.model",
    "ModelError": "errors",
    "NLE": "estimators.nle",
    "NPE": "estimators.npe",
    "NRE": "estimators.nre",
    "Parameter": "models.parameter",
    "Posterior": "estimators.posterior",
    "correct": "bridges.correction",
    "ddm": "models.ddm",
    "example": "models.examples",
    "foraging": "models.foraging",
    "from_ssms": "models.ssms",
    "gaussian": "models.gaussian",
    "hierarchical": "bridges.hierarchical",
    "lapses": "models.lapses",
    "lif": "models.lif",
    "load": "estimators.bundle",
    "observe": "bridges.pymc",
    "poisson": "models.poisson",
    "pretrained": "estimators.bundle",
    "priors": "bridges.pymc",
    "sample": "bridges.sampling",
    "SamplingWarning": "errors",
    "save": "estimators.bundle",
    "to_onnx": "bridges.onnx",
}
_ROOMS = ("diagnostics", "models", "pipeline", "plots")

__all__ = [
    "ArtefactError",
    "AuditWarning",
    "correct",
    "DataError",
    "DataWarning",
    "ddm",
    "diagnostics",
    "example",
    "FirstPassageError",
    "foraging",
    "from_ssms",
    "gaussian",
    "hierarchical",
    "lapses",
    "lif",
    "Likelihood",
    "load",
    "Model",
    "ModelError",
    "models",
    "NLE",
    "NPE",
    "NRE",
    "observe",
    "Parameter",
    "pipeline",
    "plots",
    "poisson",
    "Posterior",
    "pretrained",
    "priors",
    "sample",
    "SamplingWarning",
    "save",
    "to_onnx",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the import itself is quick."""
    if name in _HOMES:
        return getattr(import_module(f"firstpassage.{_HOMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"firstpassage.{name}")
    raise AttributeError(f"module 'firstpassage' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
