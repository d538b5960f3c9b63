"""Take the parameters out of posterior draws, and ask ArviZ for their convergence statistics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from firstpassage.errors import DataError

TAILS = (0.05, 0.95)  # of the intervals reported, and of the tail effective sample size


def scalars(draws: Any) -> dict[str, np.ndarray]:
    """Return every scalar parameter as an array (chain, draw); ``b[0]`` names an entry of a vector `b`."""
    import xarray as xr

    if isinstance(draws, xr.DataTree) and "posterior" in draws.children:
        posterior = draws["posterior"].dataset
    elif isinstance(draws, xr.Dataset):
        posterior = draws
    else:
        raise DataError(
            "draws must be a DataTree with a posterior group, as sample() returns it; got "
            f"{type(draws).__name__}. Read a saved one with xarray.open_datatree(path)."
        )
    found: dict[str, np.ndarray] = {}
    for name, variable in posterior.data_vars.items():
        found |= _entries(str(name), variable)
    if not found or not next(iter(found.values())).size:
        raise DataError("draws hold no parameter with chains and draws. Sample first.")
    return found


def variable(name: str) -> str:
    """Name the variable of which a scalar is an entry."""
    return name.partition("[")[0]


def moving(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out the entries of vectors that are constant while others of the same vector are not."""
    constant = {name for name, value in values.items() if np.ptp(value) == 0}
    alive = {variable(name) for name in values if name not in constant}
    return {name: value for name, value in values.items() if name not in constant or variable(name) not in alive}


def flags(draws: Any, name: str) -> np.ndarray | None:
    """Return one of the sampler's statistics (chain, draw), or None where there are none."""
    import xarray as xr

    if not isinstance(draws, xr.DataTree) or "sample_stats" not in draws.children:
        return None
    statistics = draws["sample_stats"].dataset
    return np.asarray(statistics[name]) if name in statistics else None


def r_hat(values: np.ndarray) -> float:
    """Return the rank-normalised split R-hat of draws (chain, draw), or NaN where it does not exist."""
    from arviz_stats.base import array_stats

    return _quietly(array_stats.rhat, values, method="rank")


def ess(values: np.ndarray, *, method: str) -> float:
    """Return the bulk or tail effective sample size of draws (chain, draw), or NaN where there is none."""
    from arviz_stats.base import array_stats

    return _quietly(array_stats.ess, values, method=method, prob=TAILS if method == "tail" else None)


def _entries(name: str, variable: Any) -> dict[str, np.ndarray]:
    """Split one variable into scalars (chain, draw)."""
    if not {"chain", "draw"} <= set(variable.dims):
        raise DataError(f"draws of {name} must have the dimensions chain and draw; got {variable.dims}.")
    values = np.asarray(variable.transpose("chain", "draw", ...), dtype=np.float64)
    last = np.moveaxis(values, (0, 1), (-2, -1))
    return {f"{name}{list(i)}" if i else name: last[i] for i in np.ndindex(last.shape[:-2])}


def _quietly(statistic: Callable[..., Any], values: np.ndarray, **settings: Any) -> float:
    """Compute one ArviZ statistic; NaN for draws that are constant, too few or not finite."""
    if values.size < 8 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return math.nan
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return float(np.asarray(statistic(values, chain_axis=0, draw_axis=1, **settings)))
