"""Read voltage traces of one cell, check them, and detect spikes where none are given.

A trace is a row of the array that `read` returns: all voltages, then all spikes, then, where a stimulus is given, all
currents.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError
from firstpassage.models.lif_recording import Recording

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("voltage", "spikes")
RULE = (
    "a spike is the first sample of a fall by more than 5 mV (or 4 standard deviations of the observation noise) and "
    "more than half the largest fall, from the mean of the 5 samples before to that of the 5 samples from it on."
)

_FURTHER = ("condition", "stimulus")  # what data may have beside the observed variables
_WINDOW = 5  # samples on either side of a fall
_FALL, _NOISY = 5.0, 4.0  # mV; standard deviations of the observation noise: 6 of a difference of two such means
_VOLTS, _MICROVOLTS = 1.0, 300.0  # a median of voltages below, or above, is not in mV
_EVEN = 0.01  # of a time step, by which times may be off


def read(data: Any, *, recording: Recording) -> np.ndarray:
    """Check the traces of one cell.

    Parameters
    ----------
    data : mapping, DataFrame or ndarray
        ``{"voltage": (sample,) or (trace, sample), "spikes": the same}``, in mV and 0 or 1. Where a stimulus is given,
        ``"condition"`` (trace,) may name each trace's, from 0, or ``"stimulus"`` (trace, sample) give it in pA; else
        traces take the conditions in turn. Or a table with columns voltage and spikes, and trace if there are several;
        or what this function returned.
    recording : Recording
        Duration, time step, refractory time, stimulus.

    Returns
    -------
    ndarray, shape (trace, 2 * sample) or with a stimulus (trace, 3 * sample), float64
        voltage (mV), spikes (0 or 1), stimulus (pA).

    Raises
    ------
    DataError
        If a value, the coding, the unit or the shape is wrong, or the model cannot have spiked there.

    Examples
    --------
    >>> silent = {"voltage": np.full(1000, -70.0), "spikes": np.zeros(1000)}
    >>> read(silent, recording=Recording()).shape
    (1, 2000)
    """
    if isinstance(data, np.ndarray):
        return _again(data, recording)
    if _is_table(data):
        data = _of_table(data, recording)
    if not isinstance(data, Mapping):
        raise DataError(
            'data must be {"voltage": ..., "spikes": ...}, of shape (sample,) or (trace, sample) each; got '
            f"{type(data).__name__}. Put the traces of one cell into such a dict."
        )
    unknown = sorted(set(map(str, data)) - {*COLUMNS, *_FURTHER})
    if unknown:
        raise DataError(f"data may have {', '.join((*COLUMNS, *_FURTHER))}; got also {', '.join(unknown)}.")
    _check_names(list(data))
    voltage, spikes = (_traces(name, data[name], recording) for name in COLUMNS)
    if voltage.shape != spikes.shape:
        raise DataError(f"voltage and spikes must have one shape; got {voltage.shape} and {spikes.shape}.")
    check_voltage(voltage)
    _check_spikes(spikes, recording)
    if recording.stimulus is None:
        if {"condition", "stimulus"} & set(data):
            raise DataError("data have a stimulus, but the model has none. Make it with fp.lif(stimulus=...).")
        return np.concatenate([voltage, spikes], axis=1)
    return np.concatenate([voltage, spikes, _currents(data, len(voltage), recording)], axis=1)


def detect_spikes(voltage: Any, recording: Recording | Mapping[str, Any]) -> np.ndarray:
    """Find spikes in voltages: where the voltage falls to its reset.

    The neuron crosses its threshold between two samples, so that the crossing is never seen; what is seen is the reset,
    a fall within one sample, to a voltage that is then held. See `RULE`. The place is the split of the samples around
    the fall into high ones and low ones that fits best, so that noise seldom moves it. A spike of which less than two
    samples are seen, at the very end, may be missed.

    Parameters
    ----------
    voltage : array_like, shape (sample,) or (trace, sample), mV
        Observed voltages, of any length.
    recording : Recording or mapping
        Refractory time and observation noise; ``model.settings`` will do.

    Returns
    -------
    ndarray, of the shape of `voltage`, float64
        1 at spikes, else 0.

    Raises
    ------
    DataError
        If a voltage is not finite, or not in mV.

    Examples
    --------
    >>> voltage = np.concatenate([np.linspace(-70.0, -55.0, 300), np.linspace(-72.0, -60.0, 200)])
    >>> np.flatnonzero(detect_spikes(voltage, Recording())).tolist()
    [300]
    """
    chosen = recording if isinstance(recording, Recording) else Recording.of(recording)
    traces = np.atleast_2d(_numeric("voltage", voltage))
    if traces.ndim != 2 or traces.size == 0:
        raise DataError(f"voltage must have shape (sample,) or (trace, sample); got {np.shape(voltage)}.")
    check_voltage(traces)
    spikes = np.stack([_falls(trace, chosen) for trace in traces])
    return spikes.reshape(np.shape(voltage))


def describe(x: np.ndarray, *, recording: Recording) -> dict[str, np.ndarray]:
    """Say what to list of each trace.

    Parameters
    ----------
    x : ndarray, shape (trace, column)
        As `read` returns it.
    recording : Recording
        Its number of samples.

    Returns
    -------
    dict of str to ndarray, shape (trace,)
        spikes (their number), first_spike (ms, NaN if silent) and mean_voltage (mV).
    """
    voltage, spikes, _ = blocks(x, recording=recording)
    first = np.where(spikes.any(axis=1), spikes.argmax(axis=1) * recording.dt, np.nan)
    return {"spikes": spikes.sum(axis=1), "first_spike": first, "mean_voltage": voltage.mean(axis=1)}


def table(data: Any, *, recording: Recording) -> pd.DataFrame:
    """List the traces of a cell, with what is constant in each, so that regressors can be matched to them.

    Parameters
    ----------
    data, recording
        As for `read`.

    Returns
    -------
    DataFrame
        One row for each trace: what `describe` gives, and of a table every further column that is constant in traces.

    Raises
    ------
    DataError
        If the data are not usable.
    """
    import pandas as pd

    described = pd.DataFrame(describe(read(data, recording=recording), recording=recording))
    if not _is_table(data) or "trace" not in data:
        return described.rename_axis("trial")
    rest = data.drop(columns=[*COLUMNS, "time"], errors="ignore")
    grouped = rest.groupby(data["trace"].to_numpy(), sort=False)
    constant = [name for name in rest.columns if (grouped[name].nunique(dropna=False) == 1).all()]
    return pd.concat([grouped[constant].first().reset_index(drop=True), described], axis=1).rename_axis("trial")


def blocks(x: Any, *, recording: Recording) -> tuple[Any, Any, Any]:
    """Take rows of `read` apart, of NumPy or JAX.

    Parameters
    ----------
    x : array, shape (..., column)
        As `read` returns it.
    recording : Recording
        Its number of samples.

    Returns
    -------
    voltage, spikes, stimulus : array, shape (..., sample)
        The last is None unless there is a stimulus.
    """
    n = recording.samples
    return x[..., :n], x[..., n : 2 * n], None if recording.stimulus is None else x[..., 2 * n :]


def check_voltage(voltage: np.ndarray) -> None:
    """Refuse voltages that are not finite or not in mV.

    Parameters
    ----------
    voltage : ndarray, shape (trace, sample)
        Observed voltages.

    Raises
    ------
    DataError
        If there is such a voltage.
    """
    bad = ~np.isfinite(voltage)
    if bad.any():
        raise DataError(
            f"voltage must be finite; {int(bad.sum())} of {bad.size} samples are not (first: {_place(bad)}, "
            f"{voltage[bad][0]}). Leave that trace out, or mend the sample."
        )
    middle = float(np.median(np.abs(voltage)))
    if middle < _VOLTS:
        raise DataError(
            f"voltage must be in mV; its median size is {middle:.3g}, which looks like volts. Multiply by 1000."
        )
    if middle > _MICROVOLTS:
        raise DataError(
            f"voltage must be in mV; its median size is {middle:.4g}, which looks like microvolts. Divide by 1000."
        )


def _check_spikes(spikes: np.ndarray, recording: Recording) -> None:
    """Refuse spikes that are not 0 or 1, and those that the model cannot have: its likelihood would be zero."""
    bad = ~np.isin(spikes, (0.0, 1.0))
    if bad.any():
        raise DataError(
            f"spikes must be 0 or 1 at every sample; {int(bad.sum())} of {bad.size} are not (first: {_place(bad)}, "
            f"{spikes[bad][0]:g}). Write 1 at the sample of each spike, 0 elsewhere."
        )
    since = np.array([0, recording.samples - 1])
    edge = spikes[:, since] > 0
    if edge.any():
        trace, end = np.argwhere(edge)[0]
        why = ("first sample, but a trace begins below the threshold", "last sample, which the model does not test")[
            end
        ]
        raise DataError(f"there is a spike at the {why} (trace {trace}, sample {since[end]}). Set it to 0.")
    for trace, row in enumerate(spikes):
        places = np.flatnonzero(row)
        early = np.flatnonzero(np.diff(places) <= recording.refractory)
        if early.size:
            first, second = places[early[0]], places[early[0] + 1]
            raise DataError(
                f"a spike at sample {second} of trace {trace} lies {(second - first) * recording.dt:.4g} ms after the "
                f"one at sample {first}, inside the refractory time of {recording.tref:g} ms: the model cannot do that "
                f"({early.size} such spikes in this trace). Remove it, or set tref."
            )


def _check_names(names: list[str]) -> None:
    """Refuse data without voltages or spikes."""
    if "voltage" not in names:
        raise DataError(f"data must have voltage and spikes, and may have {', '.join(_FURTHER)}; got {names}.")
    if "spikes" not in names:
        raise DataError(
            "data have no spikes. Give them as 0 or 1 at every sample, or detect them: "
            'data["spikes"] = firstpassage.models.lif_traces.detect_spikes(data["voltage"], model.settings).'
        )


def _traces(name: str, values: Any, recording: Recording) -> np.ndarray:
    """Check one variable: numbers, (trace, sample), of the right length."""
    array = _numeric(name, values)
    if array.size == 0:
        raise DataError(f"{name} is empty. Check the file, or the filter that made this selection.")
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]  # the trailing axis of BayesFlow
    if array.ndim not in (1, 2):
        raise DataError(f"{name} must have shape (sample,) or (trace, sample); got {np.shape(values)}.")
    if array.shape[-1] != recording.samples:
        raise DataError(
            f"{name} must have {recording.samples} samples, T={recording.T:g} ms of dt={recording.dt:g} ms; got "
            f"{array.shape[-1]}. Cut or resample it, or make the model with "
            f"fp.lif(T={array.shape[-1] * recording.dt:g})."
        )
    return np.atleast_2d(array)


def _numeric(name: str, values: Any) -> np.ndarray:
    """Turn values into float64, refusing strings, complex numbers, masked values, and voltages that are booleans."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise DataError(f"{name} must have no masked values. Leave those traces out.")
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cUSMm" or (array.dtype.kind == "b" and name != "spikes"):
            raise TypeError
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} must be numbers, equally many in each trace (voltage in mV, spikes 0 or 1); got {values!r:.60}."
        ) from None


def _currents(data: Mapping[str, Any], traces: int, recording: Recording) -> np.ndarray:
    """Give the stimulus of each trace: as it is, or named by its condition, or the conditions in turn."""
    if "stimulus" in data:
        stimulus = _traces("stimulus", data["stimulus"], recording)
        if stimulus.shape != (traces, recording.samples) or not np.isfinite(stimulus).all():
            raise DataError(f"stimulus must be finite currents in pA, of the shape of voltage; got {stimulus.shape}.")
        return stimulus
    given = data.get("condition", np.arange(traces) % recording.conditions)
    condition = np.atleast_1d(_numeric("condition", given))
    known = np.isin(condition, np.arange(recording.conditions))
    if condition.shape != (traces,) or not known.all():
        raise DataError(
            f"condition must be a whole number from 0 to {recording.conditions - 1} for each of {traces} traces; got "
            f"{np.asarray(given).tolist()!r:.60}."
        )
    return recording.currents[condition.astype(int)]


def _again(x: np.ndarray, recording: Recording) -> np.ndarray:
    """Check what `read` returned."""
    if x.ndim != 2 or x.shape[1] != recording.blocks * recording.samples or x.dtype.kind != "f" or len(x) == 0:
        raise DataError(
            'data must be {"voltage": ..., "spikes": ...}, or a table with such columns; got an array of shape '
            f"{x.shape}. Name its parts."
        )
    made = np.array(x, dtype=np.float64)
    voltage, spikes, stimulus = blocks(made, recording=recording)
    check_voltage(voltage)
    _check_spikes(spikes, recording)
    if stimulus is not None and not np.isfinite(stimulus).all():
        raise DataError("the stimulus must be finite; it is not. Name a condition for each trace instead.")
    return made


def _is_table(data: Any) -> bool:
    """Tell whether the data are a DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _of_table(data: pd.DataFrame, recording: Recording) -> dict[str, Any]:
    """Take the traces of a table, and check their times."""
    _check_names(list(data.columns))
    if len(data) == 0:
        raise DataError("the table is empty. Check the file, or the filter that made this selection.")
    groups = [rows for _, rows in data.groupby("trace", sort=False)] if "trace" in data else [data]
    if len({len(rows) for rows in groups}) != 1:
        raise DataError(f"traces must have equally many samples; they have {[len(rows) for rows in groups]!s:.60}.")
    if "time" in data:
        for rows in groups:
            step = np.diff(_numeric("time", rows["time"]))
            if not (np.abs(step - recording.dt) <= _EVEN * recording.dt).all():
                raise DataError(
                    f"time must go on by dt={recording.dt:g} ms from sample to sample within a trace; it does not. "
                    "Sort the rows, resample, name the traces in a column trace, or set dt."
                )
    given = [name for name in (*COLUMNS, "stimulus") if name in data]
    made: dict[str, Any] = {name: np.stack([rows[name].to_numpy() for rows in groups]) for name in given}
    if "condition" in data:
        made["condition"] = [rows["condition"].iloc[0] for rows in groups]
    return made


def _falls(voltage: np.ndarray, recording: Recording) -> np.ndarray:
    """Find the falls of one trace, the largest first, each with its refractory time to itself."""
    n, spikes = len(voltage), np.zeros(len(voltage))
    total = np.concatenate([[0.0], np.cumsum(voltage)])
    place = np.arange(1, n)
    before, after = np.maximum(place - _WINDOW, 0), np.minimum(place + _WINDOW, n)
    fall = (total[place] - total[before]) / (place - before) - (total[after] - total[place]) / (after - place)
    least = max(_FALL, _NOISY * recording.obs_noise_std, 0.5 * fall.max(initial=0.0))
    own = max(recording.refractory, _WINDOW)
    left = np.where(fall > least, fall, 0.0)
    while left.any():
        at = int(left.argmax())
        spikes[_split(voltage, int(place[at]))] = 1.0
        left[max(at - own, 0) : at + own + 1] = 0.0
    return spikes


def _split(voltage: np.ndarray, near: int) -> int:
    """Move the beginning of the low samples to where high and low ones are told apart best."""
    first, last = max(near - _WINDOW, 0), min(near + _WINDOW, len(voltage))
    middle = (voltage[first:near].mean() + voltage[near:last].mean()) / 2
    return first + int(np.cumsum(voltage[first:last] - middle).argmax()) + 1


def _place(bad: np.ndarray) -> str:
    """Name the first bad sample."""
    trace, sample = np.argwhere(bad)[0]
    return f"trace {trace}, sample {sample}"
