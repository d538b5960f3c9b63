"""Save and load what was trained: a folder with weights without pickle, a card in JSON, checksums and probe rows.

A bundle is written under a temporary name and renamed, so that there is the old one or the new one, never a mixture.
Loading checks the folder's members, sizes, checksums and version before anything is built, executes nothing that is
stored in it, and evaluates the probe rows before it returns.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import ArtefactError, AuditWarning, FirstPassageError, ModelError
from firstpassage.estimators import _assemble, _members
from firstpassage.likelihood import Likelihood
from firstpassage.models import registry
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

_TOLERANCE = 1e-4  # nats, of the probe rows
_NUMBERS, _FEWEST = 8192, 4  # numbers of the data of all probe rows, about, and the fewest rows


def save(result: Likelihood | Posterior, path: str | Path, *, overwrite: bool = False) -> Path:
    """Save a learned likelihood or posterior.

    Parameters
    ----------
    result : Likelihood or Posterior
        What ``fit`` returned.
    path : path
        The bundle: a folder that does not exist yet.
    overwrite : bool
        Replace a bundle that is there.

    Returns
    -------
    Path
        The bundle.

    Raises
    ------
    ModelError
        If there is nothing to save in `result`.
    ArtefactError
        If something is in the way, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import firstpassage as fp
    >>> saved = fp.save(fp.pretrained("ddm", "nre"), tempfile.mkdtemp() + "/bundle")
    >>> fp.load(saved).kind
    'nre'
    """
    if not _trained(result):
        raise ModelError(f"only a trained likelihood or posterior can be saved; got {_what(result)}. Call fit first.")
    target = Path(path)
    if target.exists() and not (overwrite and target.is_dir() and (target / "manifest.json").exists()):
        raise ArtefactError(f"{target} exists. Choose another path, or pass overwrite=True to replace a bundle.")
    known = dict(result.card or {})
    card = {k: v for k, v in known.items() if k not in ("settings", "schema")}
    manifest = {"schema": _assemble.SCHEMA, "card": card, "probe": _probe(result)}
    _members.write(target, arrays=result.arrays or {}, config=known["settings"], manifest=manifest)
    return target


def load(path: str | Path, *, model: Model | None = None) -> Any:
    """Load a saved likelihood or posterior, and refuse anything that is not exactly what was saved.

    Parameters
    ----------
    path : path
        A bundle, or a training folder that holds one.
    model : Model, optional
        Needed for a model of your own; its names, order and box must be those of the bundle.

    Returns
    -------
    Likelihood or Posterior
        As it was saved.

    Raises
    ------
    ArtefactError
        If the bundle is missing, incomplete, changed, newer than this version, or made for another model.

    Examples
    --------
    See `save`.
    """
    folder = find(Path(path))
    files = _members.read(folder)
    manifest, config = (_members.parse(folder, name, files[name]) for name in ("manifest.json", "config.json"))
    if manifest.get("schema") != _assemble.SCHEMA:
        raise ArtefactError(
            f"{folder} has the bundle version {manifest.get('schema')!r}; this firstpassage reads {_assemble.SCHEMA}. "
            "Install the version of firstpassage that wrote it."
        )
    try:
        built = _model(manifest, model)
        weights = _members.arrays(folder, files["arrays.npz"])
        learned = _assemble.assemble(built, weights, {**manifest["card"], "settings": config})
        _check_probe(folder, learned, manifest["probe"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtefactError(f"{folder} is not a bundle that firstpassage wrote: {error!r}. Train it again.") from error
    _warn_if_failed(learned)
    return learned


def pretrained(model: str, method: str) -> Any:
    """Load an estimator that comes with the package, and print the headline of its audit on stderr, once.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``.
    method : str
        Such as ``"nre"``; ``"nle-window"`` is the likelihood of window statistics.

    Returns
    -------
    Likelihood or Posterior
        With its audit in ``.card["audit"]``.

    Raises
    ------
    ArtefactError
        If none is shipped for this model and method.

    Examples
    --------
    >>> import firstpassage as fp
    >>> fp.pretrained("ddm", "nre").parameter_names
    ('v', 'a', 'z', 't')
    """
    _check_shipped(model, method)
    learned = load(shelf() / f"{model}-{method}")
    _say(headline(learned))
    return learned


def audit_card(model: str, method: str) -> dict[str, Any]:
    """Read the whole audit of an estimator that comes with the package, with every number that its verdicts rest on.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``.
    method : str
        Such as ``"nre"``; ``"nle-window"`` is the likelihood of window statistics.

    Returns
    -------
    dict
        ok, headline, seed, fast (whether it is the short audit), estimator (how it was trained), and items: by name the
        question, state ("passed", "failed" or "not tested"), words and numbers. It is what ``pipeline.check`` writes
        as audit.json.

    Raises
    ------
    ArtefactError
        If none is shipped for this model and method.

    Examples
    --------
    >>> import firstpassage as fp
    >>> card = fp.pipeline.audit_card("ddm", "nre")
    >>> card["items"]["exact n=50"]["state"]
    'passed'
    """
    _check_shipped(model, method)
    card: dict[str, Any] = json.loads((shelf() / f"{model}-{method}-audit.json").read_text(encoding="utf-8"))
    return card


def method(result: Likelihood | Posterior) -> str:
    """Name the method of an estimator, as `pretrained` and the command line take it.

    Parameters
    ----------
    result : Likelihood or Posterior
        What was loaded.

    Returns
    -------
    str
        Its kind; "nle-window" for a likelihood of window statistics.
    """
    unit = (result.card or {}).get("settings", {}).get("unit")
    return f"{result.kind}-{unit}" if unit == "window" else str(result.kind)


def headline(result: Likelihood | Posterior) -> str:
    """Say in one sentence what the audit of an estimator found.

    Parameters
    ----------
    result : Likelihood or Posterior
        What was loaded.

    Returns
    -------
    str
        The headline of its card.
    """
    found = (result.card or {}).get("audit", {})
    return found.get("headline", f"{result.model} {result.kind}: not audited. Run firstpassage check.")


def list_shipped() -> list[tuple[str, str]]:
    """List the estimators that come with the package.

    Returns
    -------
    list of (str, str)
        Model and method.
    """
    folder = shelf()
    names = sorted(p.name for p in folder.iterdir() if (p / "manifest.json").exists()) if folder.is_dir() else []
    return [tuple(name.split("-", 1)) for name in names]  # type: ignore[misc]


def shelf() -> Path:
    """Find the folder of shipped bundles.

    Returns
    -------
    Path
        Holds a bundle and its audit card for each estimator that comes with the package.
    """
    return Path(str(resources.files("firstpassage.estimators"))) / "pretrained"


def _check_shipped(model: str, method: str) -> None:
    """Refuse a model and a method for which nothing is shipped."""
    shipped = list_shipped()
    if (model, method) not in shipped:
        names = ", ".join(f"{m} {k}" for m, k in shipped) or "none"
        raise ArtefactError(
            f"no {method!r} estimator of {model!r} is shipped; there are: {names}. "
            f"Train one with firstpassage train {model} --method {method}."
        )


@cache
def _say(text: str) -> None:
    """Print a sentence on stderr, once in a process."""
    sys.stderr.write(text + "\n")


def _warn_if_failed(result: Likelihood | Posterior) -> None:
    """Warn of an estimator whose audit failed."""
    found = (result.card or {}).get("audit", {})
    if found.get("ok") is False:
        failed = [f"{name}: {item['words']}" for name, item in found["items"].items() if item["state"] == "failed"]
        warnings.warn(
            f"{found['headline']} {' '.join(failed)} Use the exact likelihood, or train on a larger budget.",
            AuditWarning,
            stacklevel=3,
        )


def _what(result: Any) -> str:
    """Describe what was given instead of a trained likelihood."""
    return f"the {result.kind} likelihood of {result.model}" if isinstance(result, Likelihood) else repr(result)


def find(path: Path) -> Path:
    """Find the bundle at a path: itself, inside a training folder, or the old one of a save that was cut off."""
    if path.is_dir() and (path / "bundle").is_dir():
        return path / "bundle"
    if not path.exists():
        survivors = sorted(path.parent.glob(f"{path.name}.old-*")) if path.parent.is_dir() else []
        if survivors:
            return survivors[-1]
        raise ArtefactError(f"there is no bundle at {path}. Check the path; a bundle is a folder with manifest.json.")
    if not path.is_dir():
        raise ArtefactError(
            f"{path} is a file; a bundle is a folder with {', '.join(_members.MEMBERS)}. Pass that folder."
        )
    return path


def _model(manifest: Mapping[str, Any], model: Model | None) -> Model:
    """Take the user's model, or rebuild one of ours, with the names, order and box of the bundle."""
    card = manifest["card"]
    bounds = {p["name"]: tuple(p["bounds"]) for p in card["parameters"]}
    if model is None:
        if card["model"] not in registry.NAMES:
            raise ArtefactError(f"this bundle is of your own model {card['model']!r}. Pass it: load(path, model=...).")
        try:
            model = registry.make(card["model"], bounds=bounds, **card["model_settings"])
        except FirstPassageError as error:
            raise ArtefactError(f"the model of this bundle cannot be made: {error}") from error
    mine = [(p.name, p.bounds) for p in model.parameters]
    if model.name != card["model"] or mine != list(bounds.items()):
        raise ArtefactError(
            f"this bundle is of {card['model']} with {bounds}; the model given is {model!r}. Names, order and box must "
            "be the same."
        )
    return model


def _trained(result: Any) -> bool:
    """Tell whether there are weights to save."""
    from firstpassage.estimators.posterior import Posterior

    return isinstance(result, (Likelihood, Posterior)) and result.arrays is not None and result.card is not None


def _probe(result: Likelihood | Posterior) -> dict[str, Any]:
    """Evaluate rows spread over the box, or drawn from a joint prior, on data that all of them allow.

    There are 16; fewer of long trials, whose numbers would outweigh the weights.
    """
    rng, joint = np.random.default_rng(0), result.joint
    theta = {p.name: rng.uniform(*p.bounds, 16) for p in result.parameters}
    if joint is not None:
        theta = joint.parameters(joint.sample(16, rng))
    if result.simulate is None:
        raise ModelError(f"the likelihood of {result.model} has no simulator, so its bundle cannot have probe rows.")
    if isinstance(result, Likelihood):
        x = np.asarray(result.simulate(theta, rng), dtype=np.float64)
    else:
        least = result.trials[0]
        repeated = {name: np.repeat(value, least) for name, value in theta.items()}
        x = np.asarray(result.simulate(repeated, rng), dtype=np.float64).reshape(16, least, -1)
    kept = min(len(x), max(_FEWEST, _NUMBERS // x[0].size))
    theta, x = {name: value[:kept] for name, value in theta.items()}, x[:kept]
    values = _evaluate(result, theta, x)
    return {"theta": {k: v.tolist() for k, v in theta.items()}, "x": x.tolist(), _name(result): values.tolist()}


def _name(result: Likelihood | Posterior) -> str:
    """Name the numbers of the probe rows."""
    return "log_ratio" if result.kind == "nre" else "log_density"


def _evaluate(result: Likelihood | Posterior, theta: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Evaluate row by row, without the checks of user data."""
    import jax

    values = {name: np.asarray(value, dtype=np.float64) for name, value in theta.items()}
    if not isinstance(result, Likelihood):
        return result.log_densities(values, list(x))
    with jax.enable_x64():
        return np.asarray(jax.jit(result.function)(x, values))


def _check_probe(folder: Path, learned: Likelihood | Posterior, probe: Mapping[str, Any]) -> None:
    """Compare the probe rows with their stored values."""
    values = _evaluate(learned, probe["theta"], np.asarray(probe["x"], dtype=np.float64))
    error = np.abs(values - np.asarray(probe[_name(learned)], dtype=np.float64)).max()
    if not error <= _TOLERANCE:
        raise ArtefactError(
            f"{folder} gives other values than when it was saved (off by {error:.3g} nats). Train it again, or install "
            "the versions named in its manifest."
        )
