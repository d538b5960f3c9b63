"""Agreement: how far a learned posterior lies from the exact one, in units that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firstpassage import _draws
from firstpassage.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SHIFT = 0.35  # exact posterior sd that a mean may be shifted by
SD_RATIO = (0.8, 1.25)


def agreement(draws: xr.DataTree, exact: xr.DataTree) -> pd.DataFrame:
    """Compare two posteriors of the same data: shift of the mean, and ratio of the standard deviations.

    Parameters
    ----------
    draws, exact : DataTree
        Posterior draws of the learned and of the exact likelihood, with the same parameters.

    Returns
    -------
    DataFrame
        One row for each parameter: shift ((mean - exact mean) / exact sd), shift_se (its standard error from
        the finite number of draws) and sd_ratio (sd / exact sd).

    Raises
    ------
    DataError
        If the parameters differ, or `exact` is constant.

    Examples
    --------
    >>> import arviz_base, numpy as np
    >>> draws = arviz_base.from_dict({"posterior": {"v": np.random.default_rng(1).normal(size=(4, 500))}})
    >>> float(agreement(draws, draws).loc["v", "shift"])
    0.0
    """
    import pandas as pd

    ours, theirs = _draws.scalars(draws), _draws.scalars(exact)
    if set(ours) != set(theirs):
        raise DataError(f"both posteriors must have the same parameters; got {sorted(ours)} and {sorted(theirs)}.")
    table = pd.DataFrame({name: _compare(name, values, theirs[name]) for name, values in ours.items()}).T
    return table.rename_axis("parameter")


def agreement_verdict(table: pd.DataFrame) -> str:
    """Say in one sentence whether a learned posterior may stand for the exact one.

    Parameters
    ----------
    table : DataFrame
        As `agreement` returns it.

    Returns
    -------
    str
        It agrees if every mean is shifted by at most .35 exact sd and every sd ratio lies in [.8, 1.25].

    Examples
    --------
    >>> import pandas as pd
    >>> agreement_verdict(pd.DataFrame({"shift": [0.1], "shift_se": [0.03], "sd_ratio": [1.02]}, index=["v"]))
    'agrees with the exact posterior: largest shift +0.10 sd (v), sd ratios 1.02 to 1.02.'
    """
    worst = table["shift"].abs().idxmax()
    low, high = table["sd_ratio"].min(), table["sd_ratio"].max()
    ok = abs(table.loc[worst, "shift"]) <= SHIFT and SD_RATIO[0] <= low and high <= SD_RATIO[1]
    numbers = f"largest shift {table.loc[worst, 'shift']:+.2f} sd ({worst}), sd ratios {low:.2f} to {high:.2f}"
    if ok:
        return f"agrees with the exact posterior: {numbers}."
    return f"DIFFERS from the exact posterior: {numbers}; use the exact one, or train on a larger budget."


def _compare(name: str, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Compare the draws of one parameter."""
    sd = theirs.std()
    if not sd > 0:
        raise DataError(f"the exact draws of {name} must vary; all are {theirs.flat[0]:g}. Sample more draws.")
    ratio = float(ours.std() / sd)
    errors = ratio**2 / _draws.ess(ours, method="bulk") + 1 / _draws.ess(theirs, method="bulk")
    shift = float((ours.mean() - theirs.mean()) / sd)
    return {"shift": shift, "shift_se": float(np.sqrt(errors)), "sd_ratio": ratio}
