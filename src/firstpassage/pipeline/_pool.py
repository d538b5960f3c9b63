"""Write a pool of simulations: shard by shard, by many processes, each of which may be killed at any moment.

A shard follows from the seed and its number alone, so that neither the number of processes nor what was killed changes
a byte. A process claims a shard by a lock, which the operating system drops when the process dies; it writes the shard
whole, and then enters it into the index under another lock. What the index does not list is simulated again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from filelock import FileLock, Timeout

from firstpassage import seeds
from firstpassage.errors import ArtefactError, FirstPassageError, ModelError
from firstpassage.estimators import _atomic, _run, _simulations, pools
from firstpassage.estimators.pools import Pool, Shard
from firstpassage.models.model import Model
from firstpassage.pipeline import _own_model
from firstpassage.pipeline._folder import version

_LOG = logging.getLogger(__name__)
_LOCK, _CLAIMS = ".lock", ".claims"
_PATIENCE = 60  # seconds that the index may be locked by others
_PAUSE = 0.3  # seconds between looks at shards that others simulate
_ROWS, _BYTES = 100_000, 16_000_000  # of a shard, where the user says nothing
_PROBES = 4  # rows by which a changed simulator is recognised
_SAME = 1e-3  # relative difference of their statistics, above that of other machines
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """Say what every shard is made of."""

    folder: Path
    model: Model
    trials: int
    seed: int


def pool(
    model: Model,
    *,
    n: int,
    seed: int,
    into: str | Path,
    trials: int = 1,
    shard: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Pool:
    """Draw parameters from the prior, simulate data, and write both into a folder of many files.

    Called again, it goes on where it was stopped; with a larger `n` it adds rows, and those that are there stay.
    Several processes, started by hand on one folder, share the work.

    Parameters
    ----------
    model : Model
        Prior and simulator.
    n : int
        Parameter sets; more that are there already are kept.
    seed : int
        From 0 to 2**63 - 1. Each file follows from it and from its own number alone.
    into : str or Path
        A new folder, or one of the same pool.
    trials : int
        Of each parameter set.
    shard : int, optional
        Rows of a file, the last one may have fewer; None is that of the pool that is there, or 100,000, or as many as
        16 MB hold.
    workers : int
        Processes.
    progress : callable, optional
        Called after every file with a dict of done and total.

    Returns
    -------
    Pool
        What ``fit(simulations=...)`` takes.

    Raises
    ------
    ModelError
        If a number or the seed is wrong, or the simulator fails.
    ArtefactError
        If the folder holds something else, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import firstpassage as fp
    >>> folder = tempfile.mkdtemp() + "/pool"
    >>> pool(fp.gaussian(), n=100, shard=40, seed=1, into=folder).rows
    100
    >>> pool(fp.gaussian(), n=200, seed=1, into=folder).rows  # the first 100 stay
    200
    """
    for name, value in (("n", n), ("trials", trials), ("workers", workers)):
        _run.positive_integer(name, value)
    if shard is not None:
        _run.positive_integer("shard", shard)
    job = _Job(folder=Path(into), model=model, trials=trials, seed=seeds.check(seed))
    _begin(job, n=n, shard=shard)
    _tell(job.folder, progress)
    while left := pools.missing(_index(job.folder)):
        written = 0
        for rows in _written(job, left, workers=workers):
            written += rows
            _tell(job.folder, progress)
        if not written:
            time.sleep(_PAUSE)  # others have claimed all that is left
            _tell(job.folder, progress)
    return pools.read(job.folder)


def _begin(job: _Job, *, n: int, shard: int | None) -> None:
    """Make the folder and its index, or see that these are of the same pool, and note how many rows are wanted."""
    _check_folder(job.folder)
    probe = _probe(job)
    _run.make_folder(job.folder / _CLAIMS)
    with _locked(job.folder):
        index = pools.read_index(job.folder)
        if index is None:
            size = shard or min(n, _ROWS, max(1, _BYTES // _row_bytes(job)))
            head = {"firstpassage": version(), "schema": pools.SCHEMA, **_identity(job, size)}
            _write_index(job.folder, {**head, "rows": n, "probe": probe, "shards": {}})
            return
        wanted = _identity(job, shard or index["shard"])
        differ = [name for name, value in wanted.items() if index[name] != value]
        if not differ and not _same(probe, index["probe"]):
            differ = ["results of its simulator"]
        if differ:
            raise ArtefactError(
                f"{job.folder} holds another pool, with other {', '.join(differ)}. Choose another folder, or pass what "
                f"{pools.INDEX} names."
            )
        if n > index["rows"]:
            _write_index(job.folder, {**index, "rows": n})


def _check_folder(folder: Path) -> None:
    """Refuse a path where no pool can be."""
    if folder.exists() and not folder.is_dir():
        raise ArtefactError(f"{folder} is a file; a pool is a folder. Choose another path.")
    ours = {pools.INDEX, _LOCK, _CLAIMS}
    if folder.is_dir() and {path.name for path in folder.iterdir()} - ours and not (folder / pools.INDEX).exists():
        raise ArtefactError(f"{folder} is not empty and holds no pool. Choose an empty folder.")


def _identity(job: _Job, shard: int) -> dict[str, Any]:
    """List what all shards of a pool share."""
    return {"origin": pools.describe(job.model), "trials": job.trials, "seed": job.seed, "shard": shard}


def _probe(job: _Job) -> dict[str, list[float]]:
    """Simulate a few rows, whose means and spreads tell whether the simulator is still the same."""
    theta = job.model.prior(_PROBES, seed=seeds.derive(job.seed, "pool probe"))
    data = job.model.likelihood(theta, trials=1, seed=seeds.derive(job.seed, "pool probe data"))
    return {name: [float(np.mean(value)), float(np.std(value))] for name, value in (theta | data).items()}


def _same(ours: Mapping[str, list[float]], theirs: Mapping[str, list[float]]) -> bool:
    """Compare probes."""
    return set(ours) == set(theirs) and all(np.allclose(ours[k], theirs[k], rtol=_SAME, atol=_SAME) for k in ours)


def _row_bytes(job: _Job) -> int:
    """Count the bytes of one parameter set with its data."""
    columns = sum(int(np.prod(shape)) for shape in _simulations.variables(job.model).values())
    return 8 * (len(job.model.parameters) + job.trials * columns)


def _written(job: _Job, left: list[int], *, workers: int) -> Iterator[int]:
    """Write what others do not, here or in processes of our own; gives the rows of each shard."""
    if min(workers, len(left)) == 1:
        yield from (_write(job, k) for k in left)
        return
    import joblib

    payload, files = _portable(job), _own_model.files()
    run, written = joblib.Parallel(n_jobs=min(workers, len(left)), batch_size=1, return_as="generator_unordered"), 0
    try:
        for rows in run(joblib.delayed(_write_elsewhere)(payload, k, files=files) for k in left):
            written += rows
            yield rows
    except BrokenProcessPool as error:
        if not written:  # else the caller asks for what is left, by new processes
            raise ArtefactError(
                f"a process that simulated into {job.folder} was killed before it wrote anything; what is whole stays. "
                "Start the same again, which goes on; with fewer workers or a smaller shard if memory ran out."
            ) from error
        _LOG.warning("a process that simulated into %s was killed; others go on", job.folder)


def _portable(job: _Job) -> bytes:
    """Put a job into bytes for other processes."""
    try:
        return cloudpickle.dumps(job)
    except Exception as error:
        raise ModelError(
            f"{job.model.name} cannot be handed to other processes ({error}). Pass workers=1, and start several "
            "processes by hand."
        ) from error


def _write_elsewhere(payload: bytes, k: int, *, files: tuple[Path, ...]) -> int:
    """Write a shard in a process that has to find the model first."""
    return _write(_received(payload, files), k)


@cache
def _received(payload: bytes, files: tuple[Path, ...]) -> _Job:
    """Run the files of the user's own models, by whose names functions are handed over, and take a job."""
    for path in files:
        _own_model.run_file(path)
    try:
        return cloudpickle.loads(payload)
    except Exception as error:
        raise ModelError(
            f"the model cannot be found in another process ({error!r}). Define it in a file that can be imported, or "
            "pass workers=1."
        ) from error


def _write(job: _Job, k: int) -> int:
    """Simulate and write a shard unless it is there or claimed; gives the rows that were written."""
    with _claimed(job.folder, k) as ours:
        index = _index(job.folder)
        if not ours or k not in pools.missing(index):
            return 0
        rows = pools.rows_of(index, k)
        for litter in job.folder.glob(f"{k:06d}-*.tmp-*"):  # of a process that was killed, as the claim was free
            litter.unlink(missing_ok=True)
        content = _atomic.npz_bytes(_simulated(job, k, size=index["shard"], rows=rows))
        shard = Shard(file=f"{k:06d}-{rows}.npz", rows=rows, sha256=hashlib.sha256(content).hexdigest())
        _atomic.write_bytes(job.folder / shard.file, content)
        _enter(job.folder, k, shard=shard)
        return rows


def _simulated(job: _Job, k: int, *, size: int, rows: int) -> dict[str, np.ndarray]:
    """Simulate the first rows of a shard, always with all of them, so that a pool can grow."""
    rng = np.random.default_rng([seeds.derive(job.seed, "pool"), job.seed, k])
    prior, data = (int(seed) for seed in rng.integers(2**63, size=2))
    theta = job.model.prior(size, seed=prior)
    try:
        simulated = job.model.likelihood(theta, trials=job.trials, seed=data)
    except FirstPassageError as error:
        raise type(error)(f"in shard {k} of {job.folder}: {error}") from error
    return {name: value[:rows] for name, value in (theta | simulated).items()}


def _enter(folder: Path, k: int, *, shard: Shard) -> None:
    """Enter a shard that is whole into the index, and remove the shorter one that it replaces."""
    with _locked(folder):
        index = _index(folder)
        before = index["shards"].get(str(k))
        shards = {**index["shards"], str(k): asdict(shard)}
        _write_index(folder, {**index, "shards": dict(sorted(shards.items(), key=lambda item: int(item[0])))})
    if before is not None and before["file"] != shard.file:
        (folder / before["file"]).unlink(missing_ok=True)


def _index(folder: Path) -> dict[str, Any]:
    """Read the index, without the shards whose files are gone, which are to be simulated again."""
    index = pools.read_index(folder)
    if index is None:
        raise ArtefactError(f"{folder} lost its {pools.INDEX} while simulations were written. Simulate again.")
    there = {path.name for path in folder.glob("*.npz")}
    return {**index, "shards": {k: one for k, one in index["shards"].items() if one["file"] in there}}


def _write_index(folder: Path, index: Mapping[str, Any]) -> None:
    """Replace the index; its lock must be held."""
    for litter in folder.glob(f"{pools.INDEX}.tmp-*"):
        litter.unlink(missing_ok=True)
    _atomic.write_bytes(folder / pools.INDEX, (json.dumps(index, indent=1) + "\n").encode())


def _tell(folder: Path, progress: Progress | None) -> None:
    """Say how many rows there are."""
    if progress:
        index = _index(folder)
        done = sum(shard["rows"] for shard in index["shards"].values())
        progress({"done": done, "total": index["rows"]})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the index."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise ArtefactError(
            f"the index of {folder} was locked by another process for {_PATIENCE} s. See what that process does."
        ) from None
    except OSError as error:
        raise ArtefactError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _claimed(folder: Path, k: int) -> Iterator[bool]:
    """Claim a shard, if no living process has."""
    path = folder / _CLAIMS / f"{k:06d}"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise ArtefactError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error
    try:
        yield True
        path.unlink(missing_ok=True)  # one that has opened it meanwhile will find the shard in the index
    finally:
        lock.release()
