"""Averages and lagged products of what a voltage trace does beside its relaxation: noise, and the threshold.

The relaxation, fitted by least squares (`lif_relaxation`), is taken off; the rest is followed by exponentially weighted
averages of fixed constants, each begun anew after a spike. How large their errors are from sample to sample tells the
noise in the voltage from that on it; where they stand when a spike comes tells the threshold.
"""

from __future__ import annotations

import math

import numba
import numpy as np

GAINS = np.array([0.03, 0.06, 0.1, 0.16, 0.25])  # of a sample, in its average
BLOCKS = np.array([5, 10, 20, 40])  # samples that are averaged at once
EARLY = np.array([1, 3, 6, 13, 26, 51, 101])  # ends of bins of the phase, at the start
AFTER = np.array([3, 7, 13, 21, 36, 61, 101, 201])  # and after a spike
HOVER = np.array([0.0, 0.4, 0.8])  # mV below where spikes come
LINES = np.array([5, 10, 20, 40])  # samples before a spike, through which a line is laid
_WARM = 8.0  # samples after which an average gives new ones half its usual gain
_SETTLED = 8  # phases from which an average counts as high
_FIRST = 2  # of GAINS: the average by which spikes and hovering are told

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compiled
def follow(
    y: np.ndarray, ends: np.ndarray, path: np.ndarray, dt: float, sums: np.ndarray, track: np.ndarray, at: np.ndarray
) -> None:
    """Follow the averages through all stretches.

    Filled are `sums` (6, gain): squared errors, products with the error before, with the average, squared averages;
    then the bins: counts, sums and squares (3, bin) for the start and after spikes; `track` (2, sample): the rest, and
    the chosen average with the path put back on it, NaN where held; and `at` (spike, gain): averages at spikes.
    """
    rho = 1.0 - dt * math.exp(-path[0])
    gains = len(GAINS)
    m, before = sums[6], sums[7]
    sums[:] = 0.0
    track[:] = np.nan
    for i in range(len(ends)):
        m[:], before[:] = 0.0, 0.0
        start, begin = (path[1], 0) if i == 0 else (path[2], 1)
        share, bins = (1.0, EARLY) if i == 0 else (rho, AFTER)
        slot = 0
        for t in range(ends[i, 0] + 1, ends[i, 1]):
            k = t - ends[i, 0] - 1
            mean = path[3] + (start - path[3]) * share
            rest = y[t] - mean
            if slot < len(bins) and k >= bins[slot]:
                slot += 1
            if slot < len(bins):
                sums[8 + 3 * begin, slot] += 1.0
                sums[9 + 3 * begin, slot] += rest
                sums[10 + 3 * begin, slot] += rest * rest
            warm = (k + 1.0) / (k + 1.0 + _WARM)
            track[0, t], track[1, t] = rest, mean + rho * m[_FIRST]
            for g in range(gains):
                expected = rho * m[g]
                error = rest - expected
                sums[0, g] += error * error
                sums[1, g] += error * before[g]
                sums[2, g] += error * expected
                sums[3, g] += expected * expected
                m[g], before[g] = expected + GAINS[g] * warm * error, error
            share *= rho
        if i < len(ends) - 1:
            mean = path[3] + (start - path[3]) * share
            for g in range(gains):
                at[i, g] = mean + rho * m[g]


@_compiled
def errors(sums: np.ndarray, samples: float, out: np.ndarray) -> None:
    """Fill 3 numbers for each average: log mean squared error, how errors follow each other, and the average."""
    for g in range(len(GAINS)):
        out[3 * g] = 10.0 * math.log((sums[0, g] + 1.0) / (samples + 1.0))
        out[3 * g + 1] = sums[1, g] / (sums[0, g] + 1.0)
        out[3 * g + 2] = sums[2, g] / (sums[3, g] + 10.0)


@_compiled
def phases(sums: np.ndarray, out: np.ndarray) -> None:
    """Fill what is left in bins of the phase: means at the start; means, log squares and log counts after spikes."""
    for b in range(len(EARLY)):
        out[b] = sums[9, b] / math.sqrt(sums[8, b] + 1.0)
    place = len(EARLY)
    for b in range(len(AFTER)):
        n = sums[11, b]
        out[place] = sums[12, b] / (n + 3.0)
        out[place + 1] = math.log((sums[13, b] + 5.0) / (n + 5.0))
        out[place + 2] = math.log1p(n)
        place += 3


@_compiled
def thresholds(track: np.ndarray, at: np.ndarray, spikes: int, out: np.ndarray) -> None:
    """Fill where averages stand at spikes (mean, log spread, lowest), the highest otherwise, and hovering."""
    highest, since = -200.0, 0
    for value in track[1]:
        since = 0 if math.isnan(value) else since + 1
        if since > _SETTLED:
            highest = max(highest, value)
    gains, place = len(GAINS), 2 * len(GAINS)
    for g in range(gains):
        if spikes == 0:
            out[2 * g], out[2 * g + 1] = highest, 0.0
            continue
        mean = at[:spikes, g].mean()
        out[2 * g] = mean
        out[2 * g + 1] = math.log(0.1 + math.sqrt(((at[:spikes, g] - mean) ** 2).sum() / spikes))
    out[place] = highest if spikes == 0 else at[:spikes, _FIRST].min()
    out[place + 1] = highest
    for h in range(len(HOVER)):
        count = 0
        for value in track[1]:
            if value > out[2 * _FIRST] - HOVER[h]:
                count += 1
        out[place + 2 + h] = math.log1p(count)


@_compiled
def blocks(track: np.ndarray, out: np.ndarray) -> None:
    """Fill 3 numbers for each length of block: log squared difference of neighbours, products one and two apart."""
    for b in range(len(BLOCKS)):
        w = BLOCKS[b]
        n = n2 = squares = products = products2 = 0.0
        length, total, last, last2 = 0, 0.0, math.nan, math.nan
        for value in track[0]:
            if math.isnan(value):
                length, total, last, last2 = 0, 0.0, math.nan, math.nan
                continue
            length, total = length + 1, total + value
            if length < w:
                continue
            mean = total / w
            if not math.isnan(last):
                n, squares, products = n + 1.0, squares + (mean - last) ** 2, products + mean * last
            if not math.isnan(last2):
                n2, products2 = n2 + 1.0, products2 + mean * last2
            length, total, last, last2 = 0, 0.0, mean, last
        out[3 * b] = math.log((squares + 2.0 * 2.0 / w) / (n + 2.0))
        out[3 * b + 1] = products / (n + 3.0)
        out[3 * b + 2] = products2 / (n2 + 3.0)


@_compiled
def lines(y: np.ndarray, ends: np.ndarray, spikes: int, default: float, out: np.ndarray) -> None:
    """Fill mean, log spread and mean slope of lines through the last samples before spikes, carried on to these."""
    for j in range(len(LINES)):
        w, n, total, squares, slopes = LINES[j], 0, 0.0, 0.0, 0.0
        for i in range(spikes):
            k = ends[i, 1]
            if k - ends[i, 0] - 1 < w:
                continue
            level = slope = 0.0
            for q in range(w):
                level += y[k - w + q] / w
                slope += y[k - w + q] * (q - 0.5 * (w - 1)) / (w * (w * w - 1.0) / 12.0)
            value = level + slope * 0.5 * (w + 1)
            n, total, squares, slopes = n + 1, total + value, squares + value * value, slopes + slope
        mean = total / n if n else default
        out[3 * j] = mean
        out[3 * j + 1] = 0.5 * math.log(0.05 + max(squares / n - mean * mean, 0.0)) if n else 0.0
        out[3 * j + 2] = slopes / n if n else 0.0
