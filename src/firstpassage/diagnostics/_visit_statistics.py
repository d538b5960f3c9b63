"""Statistics of visits to patches, for predictive checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from firstpassage.diagnostics._sites import VISIT

Statistic = Callable[[np.ndarray], float]

_QUANTILES = (0.1, 0.5, 0.9)
_REWARDS = (0, 1, 2)  # after so many the shares of leaves are counted
_RESIDENCE, _STOPS, _REWARDED, _LEFT = range(len(VISIT))


def usual() -> dict[str, Statistic]:
    """List the statistics of visits (visit, column); NaN where a data set has no leave."""
    found: dict[str, Statistic] = {
        "number of visits": lambda x: float(len(x)),
        "share of visits cut off": lambda x: float(np.mean(x[:, _LEFT] == 0)),
        "mean residence": partial(_of_left, column=_RESIDENCE, function=np.mean),
        "sd of residence": partial(_of_left, column=_RESIDENCE, function=np.std),
    }
    found |= {
        f"q{100 * q:.0f} of residence": partial(_of_left, column=_RESIDENCE, function=partial(np.quantile, q=q))
        for q in _QUANTILES
    }
    for name, column in (("stops", _STOPS), ("rewards", _REWARDED)):
        found[f"mean {name} per visit"] = partial(_of_left, column=column, function=np.mean)
        found[f"sd of {name} per visit"] = partial(_of_left, column=column, function=np.std)
    return found | {
        f"leaves after {n} reward{'s' * (n != 1)}": partial(
            _of_left, column=_REWARDED, function=partial(_share, value=n)
        )
        for n in _REWARDS
    }


def _of_left(x: np.ndarray, *, column: int, function: Callable[[np.ndarray], float]) -> float:
    """Evaluate a statistic of one column of the visits that ended with a leave."""
    left = x[x[:, _LEFT] == 1, column]
    return float(function(left)) if len(left) else float("nan")


def _share(values: np.ndarray, *, value: float) -> float:
    """Compute the share of a value."""
    return float(np.mean(values == value))
