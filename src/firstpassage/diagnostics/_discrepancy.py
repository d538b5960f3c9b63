"""Discrepancy between trials and a simulator: functions of one trial that are summed over trials, for any columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

OUTLYING = (0.01, 0.1)  # shares of outlying trials
_LEAVES, _SMALLEST = 24, 100  # cells at most, and simulated trials in each at least
_NEIGHBOUR = 20  # whose distance says how dense the simulated trials lie
_FARTHEST = 3.0  # standard deviations: beyond, a regression on the estimates knows nothing
_LEAST_VARIANCE = 0.01  # of a direction of the standardised counts that is kept


@dataclass(frozen=True, eq=False, kw_only=True)
class Discrepancy:
    """Hold what one data set's fitted simulator looks like, learned from its own trials and from those of the prior.

    A classification tree that separates the two divides the space of trials into cells, in which their shares differ.
    """

    tree: Any
    cell: np.ndarray  # number of the tree's leaf to number of the cell
    ratio: np.ndarray  # density under the prior predictive over that under the fitted simulator, by cell
    distance: Callable[[np.ndarray], np.ndarray]

    def per_trial(self, x: np.ndarray) -> np.ndarray:
        """Evaluate for each trial: surprise, outlyingness at each share of outliers, indicator of each cell."""
        cell = self.cell[self.tree.apply(x)]
        share = np.array(OUTLYING)
        outlying = np.log1p(share * (self.ratio[cell, None] - 1))
        indicator = (cell[:, None] == np.arange(len(self.ratio))).astype(np.float64)
        return np.column_stack([self.distance(x), outlying, indicator])


def learn(fitted: np.ndarray, everything: np.ndarray, *, seed: int) -> Discrepancy:
    """Learn cells and densities from trials (n, column) of the fitted simulator and of the prior predictive."""
    from sklearn.tree import DecisionTreeClassifier

    both = np.concatenate([fitted, everything])
    label = np.repeat([0, 1], [len(fitted), len(everything)])
    tree = DecisionTreeClassifier(min_samples_leaf=_SMALLEST, max_leaf_nodes=_LEAVES, random_state=seed % 2**31)
    leaf = tree.fit(both, label).apply(both)
    leaves, cells = np.unique(leaf, return_inverse=True)
    number = np.zeros(leaf.max() + 1, dtype=np.int64)
    number[leaves] = np.arange(len(leaves))
    mine, theirs = (np.bincount(cells[label == which], minlength=len(leaves)) + 0.5 for which in (0, 1))
    ratio = (theirs / theirs.sum()) / (mine / mine.sum())
    return Discrepancy(tree=tree, cell=number, ratio=ratio, distance=_distance(fitted))


def statistics(sums: np.ndarray, deviations: np.ndarray) -> dict[str, np.ndarray]:
    """Turn summed functions into statistics that are large where a data set is unlike the others with its estimate.

    Rows are the data and its replicates, treated alike. What the estimates explain is taken out by linear regression.
    """
    left = _residuals(sums, deviations)
    surprise, outlying = left[:, 0], left[:, 1 : 1 + len(OUTLYING)]
    found = {"surprise": np.abs(surprise)}
    found |= {f"outliers {share:.0%}": column for share, column in zip(OUTLYING, outlying.T, strict=True)}
    return found | {"shape": _length(left[:, 1 + len(OUTLYING) :])}


def combine(found: dict[str, np.ndarray]) -> tuple[float, dict[str, float]]:
    """Rank the first row among all by its best statistic: one p value, and one by statistic."""
    from scipy import stats

    table = np.stack(list(found.values()), axis=1)
    share = stats.rankdata(-table, axis=0, method="max") / len(table)
    least = share.min(axis=1)
    return float(np.mean(least <= least[0])), dict(zip(found, share[0].tolist(), strict=True))


def _distance(fitted: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Make the log distance of a trial to one of its nearest simulated trials: minus its log density, but for units."""
    from scipy.spatial import cKDTree

    centre, scale = fitted.mean(axis=0), fitted.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    known = cKDTree((fitted - centre) / scale)

    def distance(x: np.ndarray) -> np.ndarray:
        return np.log(known.query((x - centre) / scale, k=[_NEIGHBOUR])[0][:, 0] + 1e-6)

    return distance


def _residuals(sums: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Take out what a regression on the estimates of the other replicates predicts."""
    spread = deviations[1:].std(axis=0)
    scaled = (deviations - deviations[1:].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    known = np.column_stack([np.ones(len(sums)), np.clip(scaled, -_FARTHEST, _FARTHEST)])
    weights, *_ = np.linalg.lstsq(known[1:], sums[1:], rcond=1e-8)
    leverage = np.einsum("ij,jk,ik->i", known, np.linalg.pinv(known[1:].T @ known[1:]), known)
    leverage[0] = 0.0
    return (sums - known @ weights) / (1 - np.minimum(leverage, 0.9))[:, None]


def _length(counts: np.ndarray) -> np.ndarray:
    """Compute each row's squared Mahalanobis length under the covariance of the other replicates."""
    spread = counts[1:].std(axis=0)
    scaled = counts / np.where(spread > 1e-9, spread, 1.0)
    replicates = len(counts) - 1
    variance, direction = np.linalg.eigh(scaled[1:].T @ scaled[1:] / replicates)
    kept = variance > _LEAST_VARIANCE
    length = np.square(scaled @ direction[:, kept] / np.sqrt(variance[kept])).sum(axis=1)
    own = np.minimum(length[1:] / replicates, 1 - 1e-9)
    return np.concatenate([length[:1], length[1:] / (1 - own) * (1 - 1 / replicates)])
