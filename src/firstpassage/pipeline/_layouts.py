"""Layouts: what a file of each model holds, and how its rows make trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataError, DataWarning
from firstpassage.models import patches, plain
from firstpassage.models.model import Model

if TYPE_CHECKING:
    import pandas as pd

_TYPICAL = 0.5  # of the shortest distance to a site: a median below is in another unit


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """Say what a file of a model holds.

    Parameters
    ----------
    model : str
        Name of the model.
    columns : tuple of str
        That a table must have.
    labels : tuple of str
        Columns that are used if they are there.
    noun : str
        What one trial is called, in the plural.
    remedy : str
        A sentence that says what to pass.
    count : callable
        ``count(data) -> int``: number of trials; raises `DataError` if they cannot be told.
    in_units : callable, optional
        ``in_units(data)``: divides lengths in cm by the model's unit.
    whole : callable, optional
        ``whole(sites, conditions) -> sites``: prepares a table for being split by these columns, where a trial has
        several rows, and refuses conditions that change within one.
    arrays : bool
        Whether an array without names is read, too.
    archives : bool
        Whether arrays with names are.
    prepare : callable, optional
        ``prepare(data) -> (data, notes)``: turns the rows of a group, or arrays, into what the model reads, and says in
        sentences what was done to them.
    """

    model: str
    columns: tuple[str, ...]
    remedy: str
    labels: tuple[str, ...] = ()
    noun: str = "trials"
    count: Callable[[Any], int] = len
    in_units: Callable[[Any], Any] | None = None
    whole: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame] | None = None
    arrays: bool = False
    archives: bool = False
    prepare: Callable[[Any], tuple[Any, tuple[str, ...]]] | None = None


def of(model: Model) -> Layout:
    """Give the layout of a model's files.

    Parameters
    ----------
    model : Model
        One that comes with the package.

    Returns
    -------
    Layout
        One row for each trial, but for sites, of which several make a visit, and samples, which make traces.
    """
    if model.name == "foraging":
        return _of_sites(model)
    if model.name == "lif":
        return _of_traces(model)
    return Layout(
        model=model.name, columns=plain.schema(model).columns,
        remedy="Pass a CSV or parquet file with a header and one trial per row.",
    )  # fmt: skip


def _of_sites(model: Model) -> Layout:
    """Give the layout of sites, one row each, or of windows of them."""
    unit = float(model.settings["unit_length"])
    shortest = (model.settings["gap_min"] + model.settings["site_length"]) / unit
    return Layout(
        model=model.name, columns=patches.OBSERVED, labels=("session", "patch"), noun="visits",
        remedy="Pass a CSV or parquet file with a header and one site per row, or a .npy file of windows "
        "(window, site, 3).",
        count=partial(_count_visits, model), in_units=partial(_in_units, unit=unit, shortest=shortest),
        whole=_whole_visits, arrays=True,
    )  # fmt: skip


def _of_traces(model: Model) -> Layout:
    """Give the layout of voltage traces, a row for each sample, or of arrays of them."""
    from firstpassage.pipeline import _recordings

    return Layout(
        model=model.name, columns=("time", "voltage"), labels=("spikes", "trace"), noun="traces",
        remedy="Pass a CSV or parquet file with the columns time (ms) and voltage (mV), and spikes (0 or 1) and trace "
        "if there are such, or a .npz file with voltage, spikes, time.",
        count=_recordings.count, archives=True, prepare=partial(_recordings.prepare, model=model),
    )  # fmt: skip


def _count_visits(model: Model, data: Any) -> int:
    """Count visits, whole windows included."""
    if isinstance(data, np.ndarray) and (data.ndim not in (2, 3) or data.shape[-1] != 3):
        raise DataError(
            "windows must have the shape (site, 3) or (window, site, 3), with patch_time, reward, stop along the last "
            f"axis; got {data.shape}. Save data[..., [time, reward, stop]] with numpy.save."
        )
    schema = model.decisions.schema if model.decisions is not None else plain.schema(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # told when an estimator reads them
        return len(schema.read(data))


def _in_units(data: Any, *, unit: float, shortest: float) -> Any:
    """Divide distances in cm by the model's unit; what is no number is left for `read` to refuse."""
    if isinstance(data, np.ndarray):
        if data.dtype.kind not in "iuf" or data.ndim == 0 or data.shape[-1] != 3:
            return data
        converted = np.concatenate([data[..., :1] / unit, data[..., 1:]], axis=-1)
        times = converted[..., 0].ravel()
    else:
        if data["patch_time"].dtype.kind not in "iuf":
            return data
        converted = data.assign(patch_time=data["patch_time"] / unit)
        times = converted["patch_time"].to_numpy()
    known = times[np.isfinite(times)]
    if known.size and np.median(known) < _TYPICAL * shortest:
        raise DataError(
            f"patch_time has the median {np.median(known) * unit:.3g}, too short for centimetres: the shortest "
            f"distance to a site is {shortest * unit:.3g} cm. Leave out --unit if it is in units of {unit:g} cm."
        )
    return converted


def _whole_visits(sites: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """Give every visit a number, lest it be glued to another when those between them are taken away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        visit = np.cumsum(patches.sites(sites).begins)
    for name in conditions.columns:
        changing = conditions[name].groupby(visit).transform("nunique").to_numpy() > 1
        if changing.any():
            raise DataError(
                f"{name} must be the same throughout a visit; it changes within "
                f"{np.unique(visit[changing]).size} of {visit[-1]} visits (first: visit {visit[changing.argmax()]}, "
                f"from line {int(changing.argmax()) + 2}). Group by a column that belongs to whole patches, or number "
                "the patches in a column patch."
            )
    return sites.assign(patch=visit)
