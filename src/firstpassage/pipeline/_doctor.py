"""Doctor: whether this installation computes what it should."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from firstpassage.errors import AuditWarning, FirstPassageError

_OLDEST, _NEXT = (3, 12), (3, 14)
# log density of two trials at v = .5, a = 1.5, z = .5, t = .3, from both series in 40 digits (tests/oracle).
_TRIALS, _THETA = ((0.8, 1.0), (0.6, -1.0)), {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
_REFERENCE = (-1.0362526999465306, -3.2450142186078852)
_TOLERANCE = 1e-9  # nats


@dataclass(frozen=True, kw_only=True)
class Check:
    """Hold the outcome of one check.

    Parameters
    ----------
    name : str
        What was looked at.
    found : str
        What was seen.
    remedy : str
        What to do; empty if all is well.
    """

    name: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether all is well."""
        return not self.remedy


def doctor(folder: str | Path = ".") -> list[Check]:
    """Look at Python, the versions, the backend, a known log density, the disk and the processors.

    Parameters
    ----------
    folder : str or Path
        Where output would go.

    Returns
    -------
    list of Check
        One for each thing looked at; a check that fails never hides the others.

    Examples
    --------
    >>> doctor()[0].name
    'python'
    """
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("python", _python),
        ("packages", _packages),
        ("backend", _backend),
        ("exact density", _density),
        ("shipped estimators", _estimators),
        ("output folder", lambda: _writable(Path(folder))),
        ("processors", _processors),
    ]
    return [_safely(name, check) for name, check in checks]


def _safely(name: str, check: Callable[[], Check]) -> Check:
    """Turn whatever goes wrong inside a check into its outcome."""
    try:
        return check()
    except FirstPassageError as error:
        return Check(name=name, found="problem", remedy=str(error))
    except Exception as error:  # a broken installation fails in any way
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        return Check(name=name, found=text, remedy="Install again with the pins of requirements.txt.")


def _python() -> Check:
    """Compare Python with what the stack declares."""
    good = _OLDEST <= sys.version_info[:2] < _NEXT
    found = f"{sys.version.split()[0]} at {sys.executable}"
    return Check(name="python", found=found, remedy="" if good else "Use Python 3.12 or 3.13.")


def _packages() -> Check:
    """Compare installed versions with the ranges that the package declares; extras only where installed."""
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in metadata.requires("firstpassage") or ()]
    except metadata.PackageNotFoundError:
        return Check(name="packages", found="firstpassage is not installed", remedy="pip install -e .")
    wrong, seen = [], 0
    for requirement in declared:
        optional = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        found = _version(requirement.name)
        seen += found is not None
        fits = optional if found is None else requirement.specifier.contains(found, prereleases=True)
        if not fits:
            wrong.append(f"{requirement.name} {found or 'missing'}, needs {requirement.specifier or 'any'}")
    remedy = "pip install -r requirements.txt" if wrong else ""
    return Check(name="packages", found="; ".join(wrong) or f"{seen} in their ranges", remedy=remedy)


def _version(name: str) -> str | None:
    """Find the installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _backend() -> Check:
    """Load Keras on JAX, and list JAX's devices."""
    from firstpassage import backend

    backend.require_jax()
    import jax

    return Check(name="backend", found=f"Keras on JAX, on {', '.join(str(d) for d in jax.devices())}")


def _density() -> Check:
    """Compute two log densities whose values are known."""
    from firstpassage.models.ddm import ddm

    exact = ddm().exact
    values = exact.log_prob(_TRIALS, **_THETA) if exact is not None else ()
    error = max(abs(float(v) - r) for v, r in zip(values, _REFERENCE, strict=True))
    remedy = "" if error < _TOLERANCE else "Install again with the pins of requirements.txt."
    return Check(name="exact density", found=f"differs from the reference by {error:.1e} nats", remedy=remedy)


def _estimators() -> Check:
    """Load every shipped estimator, which checks its sums and its probe rows."""
    from firstpassage.estimators import bundle

    shipped = bundle.list_shipped()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)  # of what its card says, not of the installation
        for model, method in shipped:
            bundle.pretrained(model, method)
    found = ", ".join(f"{model} {method}" for model, method in shipped) or "none"
    remedy = "" if shipped else "Install the package anew, or train."
    return Check(name="shipped estimators", found=found, remedy=remedy)


def _writable(folder: Path) -> Check:
    """Write and remove a file."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"firstpassage")
    except OSError as error:
        found = f"{folder.resolve()}: {error.strerror}"
        return Check(name="output folder", found=found, remedy="Choose another with --into.")
    return Check(name="output folder", found=f"{folder.resolve()} can be written")


def _processors() -> Check:
    """Count the processors that this process may use."""
    number = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return Check(name="processors", found=f"{number} usable")
