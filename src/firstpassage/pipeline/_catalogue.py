"""What can be fitted, by which methods and with which priors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage.errors import ArtefactError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import ddm, gaussian
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

LEARNED = ("npe", "nle", "nre")
METHODS = (*LEARNED, "exact", "nle-window")  # the last one of window statistics
PRIORS = ("box", "reference")
DEFAULTS = {"ddm": "nre"}  # methods where none is asked for
MEANINGS = {
    "ddm": {
        "v": "drift rate towards the upper boundary (unit diffusion noise)",
        "a": "HALF the boundary separation: boundaries at +a and -a (HDDM, Stan and most papers use 2 a)",
        "z": "relative start point: the start is at -a + 2 a z",
        "t": "non-decision time",
    },
    "foraging": {
        "drift_rate": "evidence for leaving that grows with the distance, per 88.73 cm",
        "reward_bump": "evidence added after a rewarded stop",
        "failure_bump": "evidence added after an unrewarded stop",
        "noise_std": "noise of the evidence, per square root of 88.73 cm",
    },
    "lif": {
        "V_th": "threshold: voltage at which the neuron spikes",
        "tau_m": "time constant of the membrane",
        "g_L": "leak conductance",
        "V_reset": "voltage after a spike, for the refractory time",
        "V_init": "voltage at the first sample",
        "E_L": "resting voltage, to which the leak pulls",
    },
    "gaussian": {"mu": "mean of the draws", "sigma": "standard deviation of the draws"},
    "poisson": {"rate": "expected number of chocolate chips in a cookie"},
}

REFERENCE: dict[str, Callable[[], dict[str, Any]]] = {  # the published workflows'
    "ddm": ddm.reference_priors,
    "gaussian": gaussian.reference_priors,
}


def default_method(model: str, *, estimator: str | None = None) -> str:
    """Choose a method where none is asked for.

    Parameters
    ----------
    model : str
        Name of the model.
    estimator : str, optional
        A trained bundle, that of a likelihood.

    Returns
    -------
    str
        ``"nre"`` for ddm; otherwise ``"exact"``, or ``"nle"`` for a trained bundle.
    """
    return DEFAULTS.get(model, "exact" if estimator is None else "nle")


def find(
    model: Model, methods: Sequence[str], *, estimator: str | Path | None = None
) -> dict[str, Likelihood | Posterior]:
    """Find what each method fits by: the exact likelihood, a trained estimator, or a shipped one.

    Parameters
    ----------
    model : Model
        The model.
    methods : sequence of str
        Of `METHODS`.
    estimator : path, optional
        A trained bundle, taken for the method of its kind instead of the shipped one.

    Returns
    -------
    dict of str to Likelihood or Posterior
        By method, in their order; a Posterior for npe.

    Raises
    ------
    ModelError
        If a method does not exist for this model.
    ArtefactError
        If the estimator is missing, damaged, of another model or of a kind that is not asked for; or if none is
        shipped.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ModelError(f"there is no method {', '.join(unknown)!r}; the methods are {', '.join(METHODS)}.")
    if "exact" in methods and model.exact is None:
        raise ModelError(f"{model.name} has no exact likelihood. Use --method {' or '.join(LEARNED)}.")
    own = {} if estimator is None else _trained(model, methods, estimator)
    return {method: own[method] if method in own else _provided(model, method) for method in methods}


def _trained(model: Model, methods: Sequence[str], path: str | Path) -> dict[str, Likelihood | Posterior]:
    """Load a user's estimator, and file it under its kind."""
    from firstpassage.estimators import bundle

    found = bundle.load(path)
    wanted = [method for method in methods if method != "exact"]
    method = bundle.method(found)
    if found.model != model.name or method not in wanted:
        raise ArtefactError(
            f"{path} is the {method} estimator of {found.model}; needed is one of {model.name} for "
            f"{' or '.join(wanted)}. Pass another folder, or --method {method}."
        )
    return {method: found}


def _provided(model: Model, method: str) -> Likelihood | Posterior:
    """Take the exact likelihood, or the shipped estimator."""
    if method == "exact" and model.exact is not None:
        return model.exact
    from firstpassage.estimators import bundle

    return bundle.pretrained(model.name, method)


def priors(model: Model, name: str) -> dict[str, Any] | None:
    """Make the priors that a name stands for.

    Parameters
    ----------
    model : Model
        The model.
    name : {"box", "reference"}
        The model's own priors (uniform on the box), or the truncated normals of the reference set-up.

    Returns
    -------
    dict of str to numpyro distribution, or None
        None is the model's own.

    Raises
    ------
    ModelError
        If there are no such priors.
    """
    if name not in PRIORS:
        raise ModelError(f"there is no prior {name!r}; the priors are {', '.join(PRIORS)}.")
    if name == "box":
        return None
    if model.name not in REFERENCE:
        raise ModelError(f"{model.name} has no reference priors. Use --prior box.")
    return REFERENCE[model.name]()
