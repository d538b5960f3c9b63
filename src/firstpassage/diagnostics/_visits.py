"""Visits to patches: how far, how many stops and when it left, of the data and of posterior predictive replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.diagnostics._predictive import choose
from firstpassage.errors import DataError, ModelError
from firstpassage.models import patches

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.likelihood import Likelihood

_BINS = (8, 30)  # of distance, fewest and most
_ARRIVALS = 10  # of the data, from which on a share of leaves is shown
_SPARE = 1.3  # visits simulated at once, for each one of the data
_TAIL = 0.999  # of the replicates that is shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Banded:
    """Hold a curve of the data, and its spread over replicates.

    Parameters
    ----------
    at : ndarray
        Where: edges of bins, one more than values; or the places themselves.
    observed, median, low, high : ndarray
        Of the data; median, 5 % and 95 % quantile over the replicates.
    """

    at: np.ndarray
    observed: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Visits:
    """Hold what visits to patches look like.

    Parameters
    ----------
    residence : Banded
        Density of the distance in the patch on leaving, over bins, in the model's unit of length; of whole visits.
    stops : Banded
        Share of whole visits by their number of stops, 0, 1, and so on; the last bin has all further ones.
    hazard : Banded
        Share of arrivals at a site on which it left, by the number of rewards taken in the patch before; all visits.
    arrivals : ndarray
        Of the data, behind each value of `hazard`.
    whole, cut : int
        Visits of the data that ended with a leave, and that the end of the recording cut off.
    replicates, seed : int
        Of the replicates.
    """

    residence: Banded
    stops: Banded
    hazard: Banded
    arrivals: np.ndarray
    whole: int
    cut: int
    replicates: int
    seed: int

    def numbers(self) -> dict[str, Any]:
        """List everything, for a JSON file."""
        return asdict(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Counts:
    """Hold of one data set: residence and stops of whole visits; leaves and arrivals by rewards so far."""

    residence: np.ndarray
    stops: np.ndarray
    leaves: np.ndarray
    arrivals: np.ndarray


def visits(likelihood: Likelihood, draws: xr.DataTree, data: Any, *, seed: int, replicates: int = 200) -> Visits:
    """Compare visits to patches with replicates, each simulated from one posterior draw.

    A window, and a session whose last visit the recording cut off, is replicated by visits that fill the same number of
    sites, the last one cut off in turn; other sessions by as many visits. So the replicates are as short of long visits
    as the data are. A simulated visit ends after 64 sites at the latest, and counts as cut off then.

    Parameters
    ----------
    likelihood : Likelihood
        Of visits, such as ``fp.foraging().exact``: it reads and simulates, whatever method the draws are of.
    draws : DataTree
        Posterior draws of scalar parameters.
    data : DataFrame or array_like
        One subject's sites.
    seed : int
        From 0 to 2**63 - 1.
    replicates : int
        Number of simulated data sets.

    Returns
    -------
    Visits
        Numbers for ``plots.visits``.

    Raises
    ------
    DataError
        If the data are not usable, no visit of them ended with a leave, or the draws have other parameters.
    ModelError
        If the likelihood is not one of visits, or `replicates` is not a positive integer.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp, numpy as np
    >>> theta = {"drift_rate": 0.4, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.1}
    >>> draws = arviz_base.from_dict({"posterior": {k: np.full((1, 10), x) for k, x in theta.items()}})
    >>> data = [[1.2, 1, 1], [2.1, 0, 1], [3.3, 0, 0], [0.9, 0, 0]]
    >>> visits(fp.foraging().exact, draws, data, seed=1, replicates=5).whole
    2
    """
    if likelihood.trial != "patch" or likelihood.simulate is None:
        raise ModelError(
            f"visits are simulated by a likelihood of visits; got one of a {likelihood.trial}. Pass model.exact."
        )
    x = likelihood.read(data)
    observed = _counts(x)
    if not observed.residence.size:
        raise DataError("no visit ended with a leave, so that there is no residence to compare. Use longer windows.")
    theta, rng = choose(likelihood, draws, seed=seed, replicates=replicates)
    runs = _runs(likelihood, data, x)
    made = []
    for i in range(replicates):
        one = {name: float(value[i]) for name, value in theta.items()}
        made.append(_counts(_fill(likelihood, one, runs, rng=rng)))
    return _compared(observed, made, cut=len(x) - observed.residence.size, seed=seed)


def _compared(observed: _Counts, made: Sequence[_Counts], *, cut: int, seed: int) -> Visits:
    """Put data and replicates on the same bins."""
    edges = _edges(observed.residence, np.concatenate([one.residence for one in made]))
    stops = np.concatenate([one.stops for one in made])
    most = int(max(observed.stops.max(), np.quantile(stops, _TAIL) if stops.size else 0))
    shown = np.flatnonzero(observed.arrivals >= min(_ARRIVALS, observed.arrivals.max()))
    return Visits(
        residence=_banded(edges, [_density(one.residence, edges) for one in (observed, *made)]),
        stops=_banded(np.arange(most + 2) - 0.5, [_shares(one.stops, most) for one in (observed, *made)]),
        hazard=_banded(shown, [_hazard(one, shown) for one in (observed, *made)]),
        arrivals=observed.arrivals[shown], whole=observed.residence.size, cut=cut, replicates=len(made), seed=seed,
    )  # fmt: skip


def _counts(x: np.ndarray) -> _Counts:
    """Count in visits x (patch, 4 * site)."""
    described = patches.describe(x)
    left = described["left"] == 1
    _, reward, stop, present = np.moveaxis(patches.unpack(x), -1, 0)
    there = present > 0
    before = (np.cumsum(reward * present, axis=1) - reward)[there].astype(int)
    return _Counts(
        residence=described["residence"][left], stops=described["stops"][left].astype(int),
        leaves=np.bincount(before[stop[there] == 0], minlength=before.max() + 1), arrivals=np.bincount(before),
    )  # fmt: skip


def _runs(likelihood: Likelihood, data: Any, x: np.ndarray) -> list[tuple[int, int | None]]:
    """Divide visits into runs: (visits, sites) of windows and of what ends in a visit cut off, else (visits, None)."""
    described = patches.describe(x)
    sites, cut = described["sites"].astype(int), described["left"] == 0
    if np.ndim(data) == 3 and sites.sum() == np.shape(data)[0] * np.shape(data)[1]:
        place = (np.cumsum(sites) - sites) // np.shape(data)[1]
        return [(int((place == i).sum()), int(np.shape(data)[1])) for i in range(len(data))]
    listed = likelihood.trials(data)
    session = listed["session"].to_numpy() if "session" in listed else np.zeros(len(x))
    ends = np.flatnonzero(cut[:-1] | (session[1:] != session[:-1])) + 1
    parts = np.split(np.arange(len(x)), ends)
    return [(len(part), int(sites[part].sum()) if cut[part[-1]] else None) for part in parts]


def _fill(
    likelihood: Likelihood, theta: dict[str, float], runs: Sequence[tuple[int, int | None]], *,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Simulate one data set of these runs, by visits taken one after another."""
    size = int(_SPARE * sum(visits for visits, _ in runs)) + 32
    pool = _simulated(likelihood, theta, size, rng=rng)
    made, place = [], 0
    for wanted, sites in runs:
        taken = _taken(pool[place:], wanted, sites)
        while taken is None:
            pool, place = np.concatenate([pool[place:], _simulated(likelihood, theta, size, rng=rng)]), 0
            taken = _taken(pool, wanted, sites)
        made.append(taken)
        place += len(taken)
    return np.concatenate(made)


def _simulated(
    likelihood: Likelihood, theta: dict[str, float], size: int, *, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Simulate visits of one parameter set."""
    if likelihood.simulate is None:
        raise ModelError(f"the {likelihood.kind} likelihood of {likelihood.model} has no simulator to draw from.")
    return likelihood.simulate({name: np.full(size, value) for name, value in theta.items()}, rng)


def _taken(pool: np.ndarray, visits: int, sites: int | None) -> np.ndarray | None:
    """Take so many visits, or visits of so many sites, the last one cut off; None if there are too few."""
    if sites is None:
        return pool[:visits] if len(pool) >= visits else None
    ends = np.cumsum(patches.unpack(pool)[..., 3].sum(axis=1))
    last = int(np.searchsorted(ends, sites))
    if last >= len(pool):
        return None
    taken = pool[: last + 1].copy()
    kept = sites - (int(ends[last - 1]) if last else 0)
    cut = patches.unpack(taken[last:])
    cut[0, kept:] = 0.0
    taken[last:] = patches.filled(cut).reshape(1, -1)
    return taken


def _edges(observed: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """Choose bins of distance by the rule of Freedman and Diaconis, within limits."""
    high = max(float(observed.max()), float(np.quantile(replicated, _TAIL)) if replicated.size else 0.0)
    width = 2 * np.subtract(*np.quantile(observed, (0.75, 0.25))) / len(observed) ** (1 / 3)
    number = int(np.clip(high / width if width > 0 else 0, *_BINS))
    return np.linspace(0.0, high, number + 1)


def _density(residence: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Compute the density of distance."""
    return np.histogram(residence, bins=edges)[0] / (max(len(residence), 1) * np.diff(edges))


def _shares(stops: np.ndarray, most: int) -> np.ndarray:
    """Compute the share of visits with 0, 1, ... `most` or more stops."""
    return np.bincount(np.minimum(stops, most), minlength=most + 1) / max(len(stops), 1)


def _hazard(counts: _Counts, rewards: np.ndarray) -> np.ndarray:
    """Compute the share of arrivals that are leaves after so many rewards; NaN where there are none."""
    size = int(rewards.max()) + 1
    leaves, arrivals = (np.pad(n, (0, max(0, size - len(n))))[rewards] for n in (counts.leaves, counts.arrivals))
    return np.divide(leaves, arrivals, out=np.full(len(rewards), np.nan), where=arrivals > 0)


def _banded(at: np.ndarray, curves: Sequence[np.ndarray]) -> Banded:
    """Take the quantiles over all curves but the first, which is that of the data."""
    drawn = np.stack(curves[1:])
    unreached = np.isnan(drawn).all(axis=0)
    found = np.nanquantile(np.where(unreached, 0.0, drawn), (0.05, 0.5, 0.95), axis=0)
    low, median, high = np.where(unreached, np.nan, found)
    return Banded(at=at, observed=curves[0], median=median, low=low, high=high)
