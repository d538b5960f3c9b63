"""Cost: what training and every data set take, and from how many data sets on a training pays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from firstpassage.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Hold what a method costs.

    Parameters
    ----------
    training : float
        CPU seconds, once: simulations and training; zero for an exact likelihood.
    each : float
        CPU seconds for the posterior of one data set.

    Raises
    ------
    DataError
        If `training` is negative, `each` is not positive, or one is not finite.

    Examples
    --------
    >>> Cost(training=600.0, each=0.5).total(100)
    650.0
    """

    training: float
    each: float

    def __post_init__(self) -> None:
        """Refuse what no computation can take."""
        if not (math.isfinite(self.training) and math.isfinite(self.each) and self.training >= 0 and self.each > 0):
            raise DataError(
                f"training must be >= 0 and each > 0 CPU seconds; got {self.training!r}, {self.each!r}. Measure them."
            )

    def total(self, datasets: float) -> float:
        """Add training and all data sets up.

        Parameters
        ----------
        datasets : float
            How many.

        Returns
        -------
        float
            CPU seconds.
        """
        return self.training + self.each * datasets


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Say from how many data sets on one method is cheaper than another.

    Parameters
    ----------
    method, other : str
        The one that takes more training and less for each data set, and the other.
    datasets : float
        Where both cost the same; above it, `method` is cheaper.
    seconds : float
        CPU seconds of both there.
    """

    method: str
    other: str
    datasets: float
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class BreakEven:
    """Hold costs of several methods and where they are equal.

    Parameters
    ----------
    costs : dict of str to Cost
        By method.
    crossings : tuple of Crossing
        Of at least one data set, the fewest data sets first.
    """

    costs: dict[str, Cost]
    crossings: tuple[Crossing, ...]

    @property
    def verdict(self) -> str:
        """Say in one sentence from how many data sets on each training pays."""
        found = [f"{c.method} is cheaper than {c.other} from {math.ceil(c.datasets)} data sets" for c in self.crossings]
        return f"{'; '.join(found) or 'no two methods ever cost the same'}."

    def cheapest(self, datasets: float) -> str:
        """Name the method with the lowest total.

        Parameters
        ----------
        datasets : float
            How many are to be fitted.

        Returns
        -------
        str
            A method.
        """
        return min(self.costs, key=lambda method: self.costs[method].total(datasets))

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            verdict, the costs by method, and the crossings.
        """
        costs = {method: {"training": cost.training, "each": cost.each} for method, cost in self.costs.items()}
        return {"verdict": self.verdict, "cpu_seconds": costs, "crossings": [vars(c) for c in self.crossings]}


def break_even(costs: Mapping[str, Cost]) -> BreakEven:
    """Find the numbers of data sets at which methods cost the same.

    Parameters
    ----------
    costs : mapping of str to Cost
        By method.

    Returns
    -------
    BreakEven
        Costs and crossings.

    Raises
    ------
    DataError
        If there are no costs, or they are something else.

    Examples
    --------
    >>> break_even({"npe": Cost(training=600, each=0.1), "exact": Cost(training=0, each=6.1)}).verdict
    'npe is cheaper than exact from 100 data sets.'
    """
    if not costs or not all(isinstance(cost, Cost) for cost in costs.values()):
        raise DataError(
            f'costs must be {{"npe": Cost(training=, each=), ...}} in CPU seconds; got {costs!r}. Use diagnostics.Cost.'
        )
    found = [_crossing(first, other, costs) for first, other in permutations(costs, 2)]
    reached = [crossing for crossing in found if crossing is not None and crossing.datasets >= 1]
    return BreakEven(costs=dict(costs), crossings=tuple(sorted(reached, key=lambda c: c.datasets)))


def _crossing(method: str, other: str, costs: Mapping[str, Cost]) -> Crossing | None:
    """Find where a method that trains longer catches up, if it does."""
    longer, shorter = costs[method], costs[other]
    if longer.training <= shorter.training or longer.each >= shorter.each:
        return None
    datasets = (longer.training - shorter.training) / (shorter.each - longer.each)
    return Crossing(method=method, other=other, datasets=datasets, seconds=longer.total(datasets))
