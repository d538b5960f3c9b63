"""Recordings: what a file of voltage traces holds, on the time grid of the model.

Columns are time (ms) and voltage (mV); spikes (0 or 1) are detected where there are none, and a column trace tells
several traces of one cell apart. Another time step is resampled, and every change is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError
from firstpassage.models import lif_traces

if TYPE_CHECKING:
    import pandas as pd

    from firstpassage.models.model import Model

KEYS = ("voltage", "spikes", "time")  # of an archive
_UNEVEN = 0.05  # of a time step, by which a time may be off an even grid
_SAME = 1e-5  # relative difference of time steps that counts as none: a hundredth of a sample over a long trace
_COARSEST = 5.0  # time steps of the model in one of the file
_SHORTEST = 1.0  # ms that a recording lasts at least; below, times are in another unit

Raw = tuple[str, np.ndarray | None, np.ndarray, np.ndarray | None]  # name, time (ms), voltage (mV), spikes


def prepare(data: Any, *, model: Model) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Turn the table or the arrays of one cell into what the model reads, and say what was done.

    Parameters
    ----------
    data : DataFrame or mapping
        Columns time, voltage, and spikes and trace if there are such; or arrays voltage (sample,) or (trace, sample),
        and spikes and time (sample,) if there are such.
    model : Model
        Its settings say how long a trace is, and how finely sampled.

    Returns
    -------
    (dict, tuple of str)
        voltage and spikes, (trace, sample) each; and one sentence for each thing that was done to them.

    Raises
    ------
    DataError
        If times or lengths do not fit the model.
    """
    T, dt = float(model.settings["T"]), float(model.settings["dt"])
    needed, notes = round(T / dt), []
    voltage, spikes = [], []
    for name, time, one, marked in _raw(data):
        step, told = (dt, "") if time is None else _step(time, name=name, dt=dt)
        v, s, more = _on_grid(one, marked, ratio=step / dt, step=step, dt=dt)
        v, s, cut = _of_length(v, s, needed=needed, spare=max(step / dt, 1.0), name=name, model=model)
        notes += [told, more, cut]
        voltage.append(v)
        spikes.append(s)
    traces = np.stack(voltage)
    if any(s is None for s in spikes):
        found = lif_traces.detect_spikes(traces, model.settings)
        notes.append(f"there are no spikes, so that {int(found.sum())} were detected: {lif_traces.RULE}")
    else:
        found = np.stack([s for s in spikes if s is not None])
    return {"voltage": traces, "spikes": found}, tuple(dict.fromkeys(note for note in notes if note))


def count(data: Mapping[str, np.ndarray]) -> int:
    """Count the traces of a cell.

    Parameters
    ----------
    data : mapping
        As `prepare` returns it.

    Returns
    -------
    int
        Their number.
    """
    return len(data["voltage"])


def _raw(data: Any) -> Iterator[Raw]:
    """Take a table or an archive apart, trace by trace."""
    if not isinstance(data, Mapping):
        yield from _of_table(data)
        return
    unknown = sorted(set(data) - set(KEYS))
    if "voltage" not in data or unknown:
        raise DataError(
            f"the archive must hold voltage (mV), and may hold spikes (0 or 1) and time (ms); got {', '.join(data)}. "
            "Save it with numpy.savez(path, voltage=..., spikes=..., time=...)."
        )
    voltage = _matrix("voltage", data["voltage"])
    spikes = _matrix("spikes", data["spikes"]) if "spikes" in data else [None] * len(voltage)
    time = _numbers("time", np.ravel(data["time"])) if "time" in data else None
    if len(spikes) != len(voltage) or any(s is not None and len(s) != len(voltage[0]) for s in spikes):
        raise DataError("voltage and spikes must have the same shape; they have not. Save them together.")
    if time is not None and len(time) != len(voltage[0]):
        raise DataError(f"time must have {len(voltage[0])} samples, as each trace of voltage; got {len(time)}.")
    for i, (v, s) in enumerate(zip(voltage, spikes, strict=True)):
        yield f"trace {i + 1}" if len(voltage) > 1 else "", time, v, s


def _of_table(table: pd.DataFrame) -> Iterator[Raw]:
    """Take the rows of each trace, in the order of the file."""
    groups: Any = [("", table)] if "trace" not in table else table.groupby("trace", sort=False, dropna=False)
    for label, rows in groups:
        name = f"trace {label}" if "trace" in table else ""
        columns = {key: _numbers(key, rows[key].to_numpy()) for key in KEYS if key in rows}
        yield name, columns["time"], columns["voltage"], columns.get("spikes")


def _matrix(name: str, values: Any) -> list[np.ndarray]:
    """Take traces from an array (sample,) or (trace, sample)."""
    array = np.squeeze(np.asarray(values)) if np.ndim(values) > 2 else np.asarray(values)
    if array.ndim not in (1, 2) or array.size == 0:
        raise DataError(f"{name} must have shape (sample,) or (trace, sample); got {np.shape(values)}.")
    return [_numbers(name, row) for row in np.atleast_2d(array)]


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Turn a column into numbers."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers; got {values[:3].tolist()} first. Look at the file's lines.") from None


def _step(time: np.ndarray, *, name: str, dt: float) -> tuple[float, str]:
    """Give the time step of a trace, and a sentence if it is not that of the model."""
    where = f" of {name}" if name else ""
    if len(time) < 2:
        raise DataError(f"a trace needs more than one sample; got {len(time)}{where}. Pass all rows of the recording.")
    known = np.isfinite(time)
    if not known.all():
        raise DataError(f"time{where} must be finite; {int((~known).sum())} are not. Fill them in.")
    falls = np.diff(time) <= 0
    if falls.any():
        raise DataError(
            f"time{where} must grow from sample to sample; it does not at {int(falls.sum())} of {len(time)} (first: "
            f"sample {int(falls.argmax()) + 1}). Sort the rows, or name a column trace that tells traces apart."
        )
    if abs(time[-1]) < _SHORTEST:
        raise DataError(
            f"time{where} must be in milliseconds; it ends at {time[-1]:g}, as if in seconds. Multiply it by 1000."
        )
    step = float(time[-1] - time[0]) / (len(time) - 1)
    off = np.abs(time - time[0] - step * np.arange(len(time))) / step
    if off.max() > _UNEVEN:
        raise DataError(
            f"time{where} must be evenly spaced; sample {int(off.argmax())} is {off.max():.2f} steps of {step:.4g} ms "
            "off. Interpolate the recording to even steps."
        )
    if step > _COARSEST * dt:
        raise DataError(
            f"the time step{where} is {step:.4g} ms, more than {_COARSEST:g} times the model's {dt:g} ms: too coarse "
            "to tell when it spiked. Record more finely."
        )
    if abs(step / dt - 1) <= _SAME:
        return dt, ""
    told = (
        f"the time step is {step:.4g} ms, not the model's {dt:g} ms: the voltage was interpolated linearly, and spikes "
        "moved to the next sample"
    )
    return step, told + ("; interpolated noise is smaller than the model expects" if step > dt else "")


def _on_grid(
    voltage: np.ndarray, spikes: np.ndarray | None, *, ratio: float, step: float, dt: float
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Bring a trace to the model's time step: points of the voltage, not averages, which would have less noise."""
    if ratio == 1.0:
        return voltage, spikes, ""
    samples = max(int(len(voltage) * ratio + 1e-6), int((len(voltage) - 1) * ratio + 1e-6) + 1)
    grid = np.arange(samples) * dt
    moved = np.interp(grid, np.arange(len(voltage)) * step, voltage)  # the last one is held for what is left of a step
    if spikes is None:
        return moved, None, ""
    marks = np.zeros(samples)
    if not np.isin(spikes, (0, 1)).all():
        raise DataError(
            "spikes must be 0 or 1 to be resampled; others were found. Write 1 at the sample of each spike."
        )
    places = np.ceil(np.flatnonzero(spikes) * ratio - 1e-6).astype(int)
    marks[places[places < samples]] = 1.0
    lost = int(spikes.sum() - marks.sum())
    return moved, marks, f"{lost} spikes were lost between samples" if lost else ""


def _of_length(
    voltage: np.ndarray, spikes: np.ndarray | None, *, needed: int, spare: float, name: str, model: Model
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Leave out the end point of a closed interval, and refuse other lengths."""
    found, dt = len(voltage), float(model.settings["dt"])
    if found == needed:
        return voltage, spikes, ""
    if needed < found <= needed + np.ceil(spare):
        cut = None if spikes is None else spikes[:needed]
        return voltage[:needed], cut, f"the end point at {needed * dt:g} ms was left out"
    which = name or "the recording"
    raise DataError(
        f"{which} lasts {found * dt:g} ms; needed are {needed * dt:g} ms ({needed} samples of {dt:g} ms). "
        + ("Cut it, for example to its beginning" if found > needed else "Record longer")
        + f"; in Python, fp.lif(T={found * dt:g}).exact takes it as it is."
    )
