"""Summary: one row of numbers for each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firstpassage import _draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def summary(draws: xr.DataTree) -> pd.DataFrame:
    """Summarise posterior draws: mean, sd, 90 % interval and convergence of every parameter.

    Parameters
    ----------
    draws : DataTree
        With a posterior group, as ``likelihood.sample`` returns it.

    Returns
    -------
    DataFrame
        One row for each parameter, with mean, sd, q05 and q95 (ends of the central 90 % interval) in the
        parameter's unit, and ess_bulk, ess_tail and r_hat, NaN where they do not exist (one chain, constant
        draws).

    Raises
    ------
    DataError
        If `draws` hold no posterior.

    Examples
    --------
    >>> import arviz_base, numpy as np
    >>> draws = arviz_base.from_dict({"posterior": {"v": np.tile(np.arange(100.0), (2, 1))}})
    >>> float(summary(draws).loc["v", "mean"])
    49.5
    """
    import pandas as pd

    table = pd.DataFrame({name: _row(values) for name, values in _draws.scalars(draws).items()}).T
    return table.rename_axis("parameter")


def _row(values: np.ndarray) -> dict[str, float]:
    """Summarise one parameter's draws (chain, draw)."""
    low, high = np.quantile(values, _draws.TAILS)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if values.size > 1 else float("nan"),
        "q05": float(low),
        "q95": float(high),
        "ess_bulk": _draws.ess(values, method="bulk"),
        "ess_tail": _draws.ess(values, method="tail"),
        "r_hat": _draws.r_hat(values),
    }
