"""The files of a bundle: written whole under a temporary name and renamed, and checked before anything is built."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage.errors import ArtefactError
from firstpassage.estimators import _atomic

MEMBERS = ("arrays.npz", "config.json", "manifest.json")
SUMS = "SHA256SUMS"
_LARGEST = 64 * 2**20  # bytes of one member; our networks have less than 1.5 MB


def write(target: Path, *, arrays: Mapping[str, np.ndarray], config: Any, manifest: Any) -> None:
    """Write weights, settings and manifest, and their checksums."""
    files = {"arrays.npz": _atomic.npz_bytes(arrays), "config.json": _dump(config), "manifest.json": _dump(manifest)}
    _replace(target, {**files, SUMS: _sums(files)})


def _sums(files: Mapping[str, bytes]) -> bytes:
    """List the checksums of all members."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in MEMBERS).encode()


def _dump(content: Any) -> bytes:
    """Write JSON that a person can read."""
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


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


def read(folder: Path) -> dict[str, bytes]:
    """Read the members after checking names, kinds, sizes and checksums."""
    found = {entry.name: entry for entry in os.scandir(folder)}
    expected = {*MEMBERS, SUMS}
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
    if files[SUMS] != _sums(files):
        raise ArtefactError(f"{folder} was changed or cut off after it was saved: checksums differ. Copy it anew.")
    return files


def parse(folder: Path, name: str, content: bytes) -> dict[str, Any]:
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


def arrays(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    """Read the weights without pickle, after looking at the unpacked sizes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(item.file_size for item in packed.infolist()) > _LARGEST:
                raise ArtefactError(f"{folder / 'arrays.npz'} unpacks to more than {_LARGEST} bytes. Do not trust it.")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            weights = {name: np.asarray(stored[name]) for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{folder / 'arrays.npz'} cannot be read: {error}. Copy the bundle anew.") from error
    bad = [name for name, value in weights.items() if value.dtype.kind != "f" or not np.isfinite(value).all()]
    if bad:
        raise ArtefactError(f"{folder / 'arrays.npz'} must hold finite floats; {bad[0]} does not. Train it again.")
    return weights
