"""What can be fitted, with which likelihood and which priors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstpassage.errors import ArtefactError, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.ddm import reference_priors
from firstpassage.models.model import Model

METHODS = ("nre", "exact")
PRIORS = ("box", "reference")
MEANINGS = {
    "ddm": {
        "v": "drift rate towards the upper boundary (unit diffusion noise)",
        "a": "HALF the boundary separation: boundaries at +a and -a (HDDM, Stan and most papers use 2 a)",
        "z": "relative start point: the start is at -a + 2 a z",
        "t": "non-decision time",
    }
}

_REFERENCE = {"ddm": reference_priors}  # the published workflow's


def likelihood(model: Model, method: str, *, estimator: str | Path | None = None) -> Likelihood:
    """Find the likelihood of a model by the name of the method.

    Parameters
    ----------
    model : Model
        The model.
    method : str
        One of `METHODS`.
    estimator : path, optional
        A trained bundle to take instead of the shipped one.

    Returns
    -------
    Likelihood
        Of that kind.

    Raises
    ------
    ModelError
        If the method does not exist for this model.
    ArtefactError
        If the estimator is missing, damaged, or of another model or kind.
    """
    if method not in METHODS:
        raise ModelError(f"there is no method {method!r}; the methods are {', '.join(METHODS)}.")
    if method == "exact":
        if model.exact is None:
            raise ModelError(f"{model.name} has no exact likelihood. Use --method nre.")
        return model.exact
    from firstpassage.estimators import bundle

    if estimator is None:
        return bundle.pretrained(model.name, method)
    found = bundle.load(estimator)
    if (found.model, found.kind) != (model.name, method):
        raise ArtefactError(
            f"{estimator} is the {found.kind} estimator of {found.model}; needed is the {method} one of "
            f"{model.name}. Pass another folder."
        )
    return found


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
    if model.name not in _REFERENCE:
        raise ModelError(f"{model.name} has no reference priors. Use --prior box.")
    return _REFERENCE[model.name]()
