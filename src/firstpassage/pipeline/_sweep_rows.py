"""Rows of a sweep: one JSON file for each configuration, written whole; the summary is derived from them.

A row is written once, by whoever did the run, and only read afterwards, so that none is lost or comes twice however
the sweep is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstpassage.pipeline._folder import RunFolder
from firstpassage.pipeline._sweep_plan import Planned, flat, varying

if TYPE_CHECKING:
    import pandas as pd

DONE, FAILED, RUNNING, WAITING = "done", "failed", "running", "waiting"
_RECOVERY = ("correlation", "rmse", "relative_rmse", "contraction", "z_mean", "z_sd")
_SBC = ("gamma_p", "chi_square_p")
_EXACT = ("shift", "sd_ratio")
_METRICS = "metrics.json"


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the row of a configuration that is done or failed.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    name : str
        Of the configuration.

    Returns
    -------
    dict or None
        None if there is no row, or what it says is done was removed.
    """
    try:
        row: dict[str, Any] = json.loads(_path(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return None if row["status"] == DONE and not (folder / name / _METRICS).exists() else row


def forget(folder: Path, name: str) -> None:
    """Remove a row, so that its configuration is run again.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    name : str
        Of the configuration.
    """
    _path(folder, name).unlink(missing_ok=True)


def write_done(folder: Path, name: str, *, metrics: Mapping[str, Any]) -> None:
    """Write the row of a finished run, which follows from its metrics alone.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    name : str
        Of the configuration.
    metrics : mapping
        As metrics.json holds them.
    """
    seconds = sum(metrics["seconds"].values())
    _write(folder, name, {"status": DONE, "seconds": seconds, "numbers": numbers(metrics), "error": ""})


def write_failed(folder: Path, name: str, *, error: str, traceback: str, seconds: float) -> None:
    """Write the row of a run that failed, and its traceback into the folder of the run.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    name : str
        Of the configuration.
    error : str
        One line.
    traceback : str
        All of it.
    seconds : float
        Until it failed.
    """
    RunFolder(folder / name).write_text("traceback.txt", traceback)
    _write(folder, name, {"status": FAILED, "seconds": seconds, "numbers": {}, "error": error})


def numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Take from the metrics of a run what a summary compares.

    Parameters
    ----------
    metrics : mapping
        As metrics.json holds them.

    Returns
    -------
    dict of str to number
        Names with dots: part, parameter or quantity, statistic.

    Examples
    --------
    >>> numbers({"ok": True, "training": {"pairs": 5}, "exact": {"parameters": {"mu": {"shift": 0.1}}}})
    {'simulations': 5, 'ok': True, 'exact.mu.shift': 0.1}
    """
    training = metrics.get("training", {})
    found = {"simulations": training.get("pairs"), "epochs": training.get("epochs")}
    found |= {key: training.get(key) for key in ("loss", "validation_loss", "best_validation_loss")}
    found |= {"ok": metrics.get("ok")}
    for part in ("recovery", "sbc", "ppc"):
        found |= {f"{part}.ok": metrics.get(part, {}).get("ok")}
    for part, key, statistics in (
        ("recovery", "parameters", _RECOVERY), ("sbc", "quantities", _SBC), ("exact", "parameters", _EXACT),
    ):  # fmt: skip
        for name, values in metrics.get(part, {}).get(key, {}).items():
            found |= {f"{part}.{name}.{statistic}": values.get(statistic) for statistic in statistics}
    return {key: value for key, value in found.items() if value is not None}


def summary(folder: Path, plan: Sequence[Planned], *, running: Collection[str] = ()) -> pd.DataFrame:
    """Lay out all rows of a sweep.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    plan : sequence of Planned
        Its configurations.
    running : collection of str
        Names of those that are being run.

    Returns
    -------
    DataFrame
        A row for each configuration, in the order of the plan: name, status (done, failed, running, waiting), the
        settings that vary, seconds, and what `numbers` takes; error, if one failed.
    """
    import pandas as pd

    settings = [flat(one.settings) for one in plan]
    columns = varying(settings)
    rows = []
    for one, given in zip(plan, settings, strict=True):
        row = read(folder, one.name) or {"status": RUNNING if one.name in running else WAITING}
        head = {"name": one.name, "status": row["status"], **{key: _cell(given.get(key)) for key in columns}}
        rows.append(
            {**head, "seconds": row.get("seconds"), **row.get("numbers", {}), "error": row.get("error") or None}
        )
    table = pd.DataFrame(rows)
    tail = [name for name in _ordered(table.columns[2 + len(columns) :]) if name != "error"]
    return table[["name", "status", *columns, *tail, "error"]]


def write_summary(folder: RunFolder, plan: Sequence[Planned], *, running: Collection[str] = ()) -> pd.DataFrame:
    """Write sweep_summary.csv and, with all settings, sweep_summary.json.

    Parameters
    ----------
    folder : RunFolder
        Of the sweep.
    plan : sequence of Planned
        Its configurations.
    running : collection of str
        Names of those that are being run.

    Returns
    -------
    DataFrame
        As `summary` gives it.
    """
    table = summary(folder.path, plan, running=running)
    folder.write_text("sweep_summary.csv", table.to_csv(index=False, float_format="%.6g"))
    rows = [row | {"settings": one.settings} for row, one in zip(records(table), plan, strict=True)]
    folder.write_json("sweep_summary.json", {"rows": rows})
    return table


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """List the rows of a summary, each without the cells that are empty.

    Parameters
    ----------
    table : DataFrame
        As `summary` gives it.

    Returns
    -------
    list of dict
        For a JSON file.
    """
    kept = table.notna().to_dict("records")
    return [
        {str(key): value for key, value in row.items() if there[key]}
        for row, there in zip(table.to_dict("records"), kept, strict=True)
    ]


def _path(folder: Path, name: str) -> Path:
    """Name the file of a row."""
    return folder / "rows" / f"{name}.json"


def _write(folder: Path, name: str, row: Mapping[str, Any]) -> None:
    """Write a row whole or not at all."""
    RunFolder(folder).write_json(f"rows/{name}.json", {"name": name, **row})


def _cell(value: Any) -> Any:
    """Write lists of a setting as text, which a table can hold."""
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else value


def _ordered(columns: Iterable[str]) -> list[str]:
    """Put the columns of the same part together; rows of other models may have brought some later."""
    parts = ("recovery", "sbc", "exact")
    plain = [name for name in columns if name.count(".") < 2]
    return [*plain, *(name for part in parts for name in columns if name.startswith(f"{part}.") and name not in plain)]
