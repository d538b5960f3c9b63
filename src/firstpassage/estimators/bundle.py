"""Save and load what was trained: a folder with weights without pickle, a card in JSON, checksums and probe rows.

A bundle is written under a temporary name and renamed, so that there is the old one or the new one, never a mixture.
Loading checks the folder's members, sizes, checksums and version before anything is built, executes nothing that is
stored in it, and evaluates the probe rows before it returns.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from functools import partial
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage.errors import ArtefactError, FirstPassageError, ModelError
from firstpassage.estimators import _atomic
from firstpassage.likelihood import Likelihood
from firstpassage.models import plain, registry
from firstpassage.models.model import Model

SCHEMA = 1
_MEMBERS = ("arrays.npz", "config.json", "manifest.json")
_SUMS = "SHA256SUMS"
_LARGEST = 64 * 2**20  # bytes of one member; our networks have less than 1.5 MB
_TOLERANCE = 1e-4  # nats, of the probe rows
_STACK = ("bayesflow", "keras", "jax", "numpy")


def assemble(model: Model, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Likelihood:
    """Make the learned likelihood of a model from weights and a card.

    Parameters
    ----------
    model : Model
        The model that the weights were trained for.
    arrays : mapping of str to ndarray
        As `ContrastiveRatio.arrays` gives them.
    card : mapping
        Settings and history; the description of the model and the versions are added.

    Returns
    -------
    Likelihood
        kind ``"nre"``, float32.
    """
    from firstpassage.estimators import _ratio

    schema = plain.schema(model)
    described = {
        "schema": SCHEMA, "model": model.name, "model_settings": dict(model.settings), "trial": schema.trial,
        "columns": list(schema.columns), "parameters": [
            {"name": p.name, "bounds": list(p.bounds), "unit": p.unit} for p in model.parameters
        ], "versions": _versions(),
    }  # fmt: skip
    return Likelihood(
        model=model.name, kind="nre", trial=schema.trial, parameters=model.parameters, columns=schema.columns,
        read=schema.read, density=_ratio.density(model, arrays, activation=card["settings"]["activation"]),
        limits=schema.limits, simulate=partial(_simulate_rows, model), precision="float32",
        card={**described, **card}, arrays=dict(arrays),
    )  # fmt: skip


def save(result: Likelihood, path: str | Path, *, overwrite: bool = False) -> Path:
    """Save a learned likelihood.

    Parameters
    ----------
    result : Likelihood
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
    if not isinstance(result, Likelihood) or result.arrays is None or result.card is None:
        raise ModelError(f"only a trained likelihood can be saved; got {_what(result)}. Call fit first, and save that.")
    target = Path(path)
    if target.exists() and not (overwrite and target.is_dir() and (target / "manifest.json").exists()):
        raise ArtefactError(f"{target} exists. Choose another path, or pass overwrite=True to replace a bundle.")
    _replace(target, _contents(result))
    return target


def load(path: str | Path, *, model: Model | None = None) -> Likelihood:
    """Load a saved likelihood, and refuse anything that is not exactly what was saved.

    Parameters
    ----------
    path : path
        A bundle, or a training folder that holds one.
    model : Model, optional
        Needed for a model of your own; its names, order and box must be those of the bundle.

    Returns
    -------
    Likelihood
        As it was saved.

    Raises
    ------
    ArtefactError
        If the bundle is missing, incomplete, changed, newer than this version, or made for another model.

    Examples
    --------
    See `save`.
    """
    folder = _find(Path(path))
    files = _read(folder)
    manifest, config = (_json(folder, name, files[name]) for name in ("manifest.json", "config.json"))
    if manifest.get("schema") != SCHEMA:
        raise ArtefactError(
            f"{folder} has the bundle version {manifest.get('schema')!r}; this firstpassage reads {SCHEMA}. "
            "Install the version of firstpassage that wrote it."
        )
    try:
        built = _model(manifest, model)
        learned = assemble(built, _arrays(folder, files["arrays.npz"]), {**manifest["card"], "settings": config})
        _check_probe(folder, learned, manifest["probe"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtefactError(f"{folder} is not a bundle that firstpassage wrote: {error!r}. Train it again.") from error
    return learned


def pretrained(model: str, method: str) -> Likelihood:
    """Load an estimator that comes with the package.

    Parameters
    ----------
    model : str
        Such as ``"ddm"``.
    method : str
        Such as ``"nre"``.

    Returns
    -------
    Likelihood
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
    shipped = list_shipped()
    if (model, method) not in shipped:
        names = ", ".join(f"{m} {k}" for m, k in shipped) or "none"
        raise ArtefactError(
            f"no {method!r} estimator of {model!r} is shipped; there are: {names}. "
            f"Train one with firstpassage train {model} --method {method}."
        )
    return load(_shelf() / f"{model}-{method}")


def list_shipped() -> list[tuple[str, str]]:
    """List the estimators that come with the package.

    Returns
    -------
    list of (str, str)
        Model and method.
    """
    shelf = _shelf()
    names = sorted(p.name for p in shelf.iterdir() if (p / "manifest.json").exists()) if shelf.is_dir() else []
    return [tuple(name.split("-", 1)) for name in names]  # type: ignore[misc]


def _shelf() -> Path:
    """Find the folder of shipped bundles."""
    return Path(str(resources.files("firstpassage.estimators"))) / "pretrained"


def _what(result: Any) -> str:
    """Describe what was given instead of a trained likelihood."""
    return f"the {result.kind} likelihood of {result.model}" if isinstance(result, Likelihood) else repr(result)


def _versions() -> dict[str, str]:
    """Name the versions of the stack."""
    found = {}
    for package in ("firstpassage", *_STACK):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def _simulate_rows(model: Model, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Simulate one trial for each row of theta: (n, column)."""
    data = model.likelihood(theta, trials=1, seed=int(rng.integers(2**63)))
    return np.concatenate([np.reshape(value, (len(value), -1)) for value in data.values()], axis=1)


def _contents(result: Likelihood) -> dict[str, bytes]:
    """Serialise weights, settings, card and probe rows, and their checksums."""
    card = {k: v for k, v in (result.card or {}).items() if k not in ("settings", "schema")}
    manifest = {"schema": SCHEMA, "card": card, "probe": _probe(result)}
    files = {
        "arrays.npz": _atomic.npz_bytes(result.arrays or {}),
        "config.json": _dump((result.card or {})["settings"]),
        "manifest.json": _dump(manifest),
    }
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in _MEMBERS)
    return {**files, _SUMS: sums.encode()}


def _dump(content: Any) -> bytes:
    """Write JSON that a person can read."""
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _probe(result: Likelihood) -> dict[str, Any]:
    """Evaluate 16 rows spread over the box, on data that all of them allow."""
    rng = np.random.default_rng(0)
    theta = {p.name: rng.uniform(*p.bounds, 16) for p in result.parameters}
    if result.simulate is None:
        raise ModelError(f"the likelihood of {result.model} has no simulator, so its bundle cannot have probe rows.")
    x = np.asarray(result.simulate(theta, rng), dtype=np.float64)
    values = _evaluate(result, theta, x)
    return {"theta": {k: v.tolist() for k, v in theta.items()}, "x": x.tolist(), "log_ratio": values.tolist()}


def _evaluate(result: Likelihood, theta: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Evaluate row by row, without the checks of user data."""
    import jax

    with jax.enable_x64():
        values = {name: np.asarray(value, dtype=np.float64) for name, value in theta.items()}
        return np.asarray(jax.jit(result.function)(x, values))


def _replace(target: Path, contents: Mapping[str, bytes]) -> None:
    """Write all members under a temporary name, then rename."""
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary, old = target.with_name(f"{target.name}.tmp-{mark}"), target.with_name(f"{target.name}.old-{mark}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, content in contents.items():
            _atomic.write_bytes(temporary / name, content)
        _atomic.sync_folder(temporary)
        if target.exists():
            os.rename(target, old)
        os.rename(temporary, target)
        _atomic.sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ArtefactError(f"cannot write {target}: {error.strerror}. Free space, or choose another path.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _find(path: Path) -> Path:
    """Find the bundle at a path: itself, inside a training folder, or the old one of a save that was cut off."""
    if path.is_dir() and (path / "bundle").is_dir():
        return path / "bundle"
    if not path.exists():
        survivors = sorted(path.parent.glob(f"{path.name}.old-*")) if path.parent.is_dir() else []
        if survivors:
            return survivors[-1]
        raise ArtefactError(f"there is no bundle at {path}. Check the path; a bundle is a folder with manifest.json.")
    if not path.is_dir():
        raise ArtefactError(f"{path} is a file; a bundle is a folder with {', '.join(_MEMBERS)}. Pass that folder.")
    return path


def _read(folder: Path) -> dict[str, bytes]:
    """Read the members after checking names, kinds, sizes and checksums."""
    found = {entry.name: entry for entry in os.scandir(folder)}
    expected = {*_MEMBERS, _SUMS}
    if set(found) != expected:
        differ = f"missing {sorted(expected - set(found))}, unexpected {sorted(set(found) - expected)}"
        raise ArtefactError(
            f"{folder} is not a bundle that firstpassage wrote: {differ}. Train it again, or copy it anew."
        )
    for name, entry in found.items():
        if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_size > _LARGEST:
            raise ArtefactError(
                f"{folder / name} must be a plain file of at most {_LARGEST} bytes. Copy the bundle anew."
            )
    files = {name: (folder / name).read_bytes() for name in expected}
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in _MEMBERS)
    if files[_SUMS] != sums.encode():
        raise ArtefactError(f"{folder} was changed or cut off after it was saved: checksums differ. Copy it anew.")
    return files


def _json(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    """Parse a JSON object."""
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise ArtefactError(f"{folder / name} is not JSON: {error}. Copy the bundle anew.") from error
    if not isinstance(parsed, dict):
        raise ArtefactError(
            f"{folder / name} must hold a JSON object; got {type(parsed).__name__}. Copy the bundle anew."
        )
    return parsed


def _arrays(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    """Read the weights without pickle, after looking at the unpacked sizes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(item.file_size for item in packed.infolist()) > _LARGEST:
                raise ArtefactError(f"{folder / 'arrays.npz'} unpacks to more than {_LARGEST} bytes. Do not trust it.")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{folder / 'arrays.npz'} cannot be read: {error}. Copy the bundle anew.") from error
    bad = [name for name, value in arrays.items() if value.dtype.kind != "f" or not np.isfinite(value).all()]
    if bad:
        raise ArtefactError(f"{folder / 'arrays.npz'} must hold finite floats; {bad[0]} does not. Train it again.")
    return arrays


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


def _check_probe(folder: Path, learned: Likelihood, probe: Mapping[str, Any]) -> None:
    """Compare the probe rows with their stored values."""
    values = _evaluate(learned, probe["theta"], np.asarray(probe["x"], dtype=np.float64))
    error = np.abs(values - np.asarray(probe["log_ratio"], dtype=np.float64)).max()
    if not error <= _TOLERANCE:
        raise ArtefactError(
            f"{folder} gives other values than when it was saved (off by {error:.3g} nats). Train it again, or install "
            "the versions named in its manifest."
        )
