"""Foraging data as what they consist of: sites, visits to patches, and replicates with the same numbers of sites.

Diagnostics of single trials are of little use where a trial is a window of 100 sites, or a visit of any length. So
data sets are taken apart into decisions and visits, and simulated anew with as many sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstpassage.models import patches

VISIT = ("residence", "stops", "rewards", "left")  # columns of what `visits` returns
_WINDOW = ("window",)  # columns of data that are windows, as the model names them


def known(columns: Sequence[str]) -> bool:
    """Tell by the columns whether data are foraging sites, as visits or as windows."""
    return tuple(columns) in (patches.COLUMNS, _WINDOW)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sites:
    """Hold the sites of some data sets one after another.

    Parameters
    ----------
    values : ndarray, shape (site, 3)
        patch_time, reward, stop.
    begins : ndarray of bool, shape (site,)
        Whether a visit begins.
    owner : ndarray of int, shape (site,)
        Number of the data set.
    """

    values: np.ndarray
    begins: np.ndarray
    owner: np.ndarray


def sites(data: Sequence[np.ndarray], columns: Sequence[str]) -> Sites:
    """List the sites of data sets as they were read."""
    each = [_of_windows(x) if tuple(columns) == _WINDOW else _of_visits(x) for x in data]
    return Sites(
        values=np.concatenate([values for values, _ in each]),
        begins=np.concatenate([begins for _, begins in each]),
        owner=np.repeat(np.arange(len(each)), [len(begins) for _, begins in each]),
    )


def visits(found: Sites) -> tuple[np.ndarray, np.ndarray]:
    """Describe every visit by the columns `VISIT`, and name the data set of each: (visit, column), (visit,)."""
    first = np.flatnonzero(found.begins)
    last = np.append(first[1:], len(found.begins)) - 1
    time, reward, stop = found.values.T
    described = [time[last], np.add.reduceat(stop, first), np.add.reduceat(reward, first), 1 - stop[last]]
    return np.stack(described, axis=1), found.owner[first]


def decisions(found: Sites) -> np.ndarray:
    """Describe every decision (site, column): distance, rewards and failures so far, the last outcome, the leave."""
    time, reward, stop = found.values.T
    first = np.flatnonzero(found.begins)
    visit = np.cumsum(found.begins) - 1

    def before(values: np.ndarray) -> np.ndarray:
        sums = np.cumsum(values) - values
        return np.asarray(sums - sums[first][visit])

    last = np.where(found.begins, 0.5, np.append(0.0, reward[:-1]))
    return np.stack([time, before(reward), before(stop - reward), last, 1 - stop], axis=1)


def replicate(
    sampler: Any,
    theta: Mapping[str, np.ndarray],
    *,
    like: np.ndarray,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Simulate a data set as `read` returns it for each row of theta, with the sites that the data `like` have."""
    if tuple(sampler.columns) == _WINDOW:
        rows = {name: np.repeat(value, len(like)) for name, value in theta.items()}
        drawn = np.asarray(sampler.simulate(rows, rng), dtype=np.float64)
        return list(drawn.reshape(-1, *like.shape))
    lengths = segments(like)
    rows = {name: np.repeat(value, sum(lengths)) for name, value in theta.items()}  # a visit has one site at least
    drawn = patches.unpack(np.asarray(sampler.simulate(rows, rng), dtype=np.float64))
    return [filled_up(some, lengths) for some in np.split(drawn, len(next(iter(theta.values()))))]


def windows(data: np.ndarray, sites_each: int) -> np.ndarray:
    """Put visits (patch, 4 * site) whose sites fill up windows into a stack (window, site, 3)."""
    values, _ = _of_visits(data)
    return values.reshape(-1, sites_each, 3)


def _of_windows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the sites of windows (window, 3 * site), and where visits begin."""
    table = x.reshape(len(x), -1, 3)
    begins = np.concatenate([np.ones((len(x), 1), dtype=bool), table[:, :-1, 2] == 0], axis=1)
    return table.reshape(-1, 3), begins.ravel()


def _of_visits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the sites of visits (patch, 4 * site), and where each begins."""
    table = patches.unpack(x)
    there = table[..., 3] > 0
    begins = np.zeros(there.shape, dtype=bool)
    begins[:, 0] = True
    return table[there][:, :3], begins[there]


def segments(x: np.ndarray) -> list[int]:
    """Count the sites up to each visit that was cut off, and after the last one: there windows ended."""
    table = patches.unpack(x)
    count = table[..., 3].sum(axis=1)
    left = ((1 - table[..., 2]) * table[..., 3]).sum(axis=1) > 0
    ends = np.unique(np.append(np.flatnonzero(~left) + 1, len(x)))
    return np.diff(np.append(0, np.cumsum(count)[ends - 1])).astype(int).tolist()


def filled_up(drawn: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """Take visits (visit, site, 4) one after another until their sites fill up all lengths; the last ones are cut."""
    count, parts, start = drawn[..., 3].sum(axis=1).astype(int), [], 0
    for length in lengths:
        total = np.cumsum(count[start:])
        number = int(np.searchsorted(total, length)) + 1
        kept = np.minimum(count[start : start + number], length - np.append(0, total[: number - 1]))
        parts.append(cut(drawn[start : start + number], kept))
        start += number
    both = np.concatenate(parts)
    return both.reshape(len(both), -1)


def cut(drawn: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Keep the first sites of each visit (visit, site, 4)."""
    made = drawn.copy()
    made[np.arange(drawn.shape[1]) >= kept[:, None]] = 0.0
    return patches.filled(made)
