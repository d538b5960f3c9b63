"""Simulations of several rounds: parameters and data by name, joined, chosen, kept in a file of each round."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import ArtefactError
from firstpassage.estimators import _atomic, _run, _simulations
from firstpassage.estimators.pools import Pool
from firstpassage.models.model import Model

_FILE = "simulations.npz"


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """Hold simulations, one for each row.

    Parameters
    ----------
    theta : mapping of str to ndarray, shape (n,)
        Parameters.
    data : mapping of str to ndarray, shape (n, trials, ...)
        Observed variables.
    acceptance : float
        Share of the proposed parameters that were used.
    """

    theta: Mapping[str, np.ndarray]
    data: Mapping[str, np.ndarray]
    acceptance: float

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.theta.values())))

    def __getitem__(self, rows: np.ndarray) -> Table:
        """Take some rows."""
        theta, data = ({name: value[rows] for name, value in part.items()} for part in (self.theta, self.data))
        return Table(theta=theta, data=data, acceptance=self.acceptance)

    def shuffled(self, seed: int) -> dict[str, np.ndarray]:
        """Give a table to train from, whose held-out rows are of all rounds."""
        mixed = self[seeds.generator(seed, "order of rounds").permutation(len(self))]
        return {**mixed.theta, **mixed.data}


def of_user(model: Model, simulations: Any, *, trials: int | None) -> Table:
    """Check a user's table or pool; take data sets cut to so many trials, or each trial for a simulation of its own."""
    found = _simulations.check(model, _in_memory(model, simulations))
    rows, there = found.x.shape[:2]
    x = found.x if trials is None else found.x[:, :trials]
    theta = found.theta if trials is not None else {name: np.repeat(v, there) for name, v in found.theta.items()}
    data, start = {}, 0
    for name, shape in _simulations.variables(model).items():
        size = int(np.prod(shape, dtype=int))
        part = x[..., start : start + size]
        data[name] = part.reshape((rows, trials, *shape) if trials is not None else (rows * there, 1, *shape))
        start += size
    return Table(theta=theta, data=data, acceptance=1.0)


def _in_memory(model: Model, simulations: Any) -> Any:
    """Read all shards of a pool, for later rounds need its rows by choice; a table is taken as it is."""
    given = _simulations.opened(simulations)
    if not isinstance(given, Pool):
        return given
    _simulations.check_pool(model, given)
    shards = [given.table(k) for k in range(len(given.shards))]
    return {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}


def joined(tables: Sequence[Table]) -> Table:
    """Put the rounds one after the other."""

    def stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    theta, data = stacked([one.theta for one in tables]), stacked([one.data for one in tables])
    return Table(theta=theta, data=data, acceptance=tables[-1].acceptance)


def save(folder: Path | None, table: Table) -> None:
    """Write the simulations of a round, whole or not at all."""
    if folder is None:
        return
    _run.make_folder(folder)
    parts = {"theta": table.theta, "data": table.data}
    arrays = {f"{part}/{name}": value for part, named in parts.items() for name, value in named.items()}
    _atomic.write_npz(folder / _FILE, arrays | {"acceptance": np.asarray(table.acceptance)})


def saved(folder: Path | None) -> Table | None:
    """Read what an interrupted run has simulated in a round; None where it has not."""
    if folder is None or not (folder / _FILE).exists():
        return None
    path = folder / _FILE
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            named = {name: file[name] for name in file.files}
        theta, data = (
            {name.partition("/")[2]: value for name, value in named.items() if name.startswith(f"{part}/")}
            for part in ("theta", "data")
        )
        return Table(theta=theta, data=data, acceptance=float(named["acceptance"]))
    except Exception as error:
        raise ArtefactError(f"{path} cannot be read ({error}). Delete it to simulate this round again.") from error


def history(folder: Path, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Read the history of a round that is finished."""
    import pandas as pd

    records = pd.read_csv(folder / "history.csv").to_dict("records")
    return [{**numbers, **{str(name): value for name, value in record.items()}} for record in records]
