"""The density of a voltage below its threshold as masses on nodes: what the compiled filter of traces does there."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from firstpassage.densities.foraging_filter import _exponential, _log_ndtr

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)
_ROOT = math.sqrt(0.5)
# Standard deviations of one step beyond which the kernel is left out; largest exponent that `_exponential` is given.
_KERNEL, _LARGEST = 8.75, 600.0
# Share of the mass below which the lowest nodes are left out.
_TRIM = 1e-18
# A kernel made for one current serves others that shift its mean by less than this, in standard deviations.
_SHIFT = 0.75
_TINY = 1e-250
# Sums in any order, so that the compiler can vectorise them; infinities and NaN keep their meaning.
_LOOSE = {"contract", "reassoc", "nsz"}


class Cell(NamedTuple):
    """One parameter set: voltages in mV, `decay` and `step` per time step, `noise` the variance of the observation."""

    threshold: float
    reset: float
    start: float
    decay: float
    step: float
    noise: float


class Grid(NamedTuple):
    """Nodes below the threshold in units of `step`, with their weights, and room for the kernel and the masses."""

    x: np.ndarray
    weight: np.ndarray
    kernel: np.ndarray
    first: np.ndarray
    made: np.ndarray  # shift of the mean that the kernel is made for, and its width in nodes
    mass: np.ndarray
    moved: np.ndarray


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def log_normal(error: float, variance: float) -> float:
    """Log density of a normal distribution."""
    return -0.5 * (error * error / variance + math.log(variance)) - _HALF_LOG_TAU


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def drop_from_threshold(cell: Cell, drive: float) -> float:
    """Give the mean step away from the threshold, from the threshold itself, in units of the step's deviation."""
    return (cell.threshold - cell.decay * cell.threshold - drive) / cell.step


@numba.njit(cache=True, nogil=True, error_model="numpy")
def lay(rule: np.ndarray, length: float) -> Grid:
    """Lay nodes over the grid, and leave the kernel to be made where it is needed."""
    n = rule.shape[1]
    x, weight = 0.5 * length * (1.0 + rule[0]), 0.5 * length * rule[1]
    made = np.full(2, math.nan)
    return Grid(x, weight, np.empty((n, n)), np.zeros(n, np.int64), made, np.zeros(n), np.zeros(n))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def enter(cell: Cell, grid: Grid, mean: float, variance: float) -> tuple[int, float]:
    """Put a normal distribution, cut off at the threshold, on the nodes; give the nodes in use and the log mass."""
    middle, rate = (cell.threshold - mean) / cell.step, 0.5 * cell.step**2 / variance
    least = rate * min(middle, 0.0) ** 2
    for j in range(grid.x.size):
        grid.mass[j] = grid.weight[j] * math.exp(least - rate * (grid.x[j] - middle) ** 2)
    total = grid.mass.sum()
    used = trimmed(grid.mass, total, grid.x.size)
    return used, math.log(total) - least + 0.5 * math.log(2.0 * rate) - _HALF_LOG_TAU


@numba.njit(cache=True, nogil=True, error_model="numpy")
def trimmed(mass: np.ndarray, total: float, used: int) -> int:
    """Normalise masses and leave out the lowest voltages that carry none."""
    while used > 1 and mass[used - 1] < _TRIM * total:
        used -= 1
    mass[:used] /= total
    mass[used:] = 0.0
    return used


@numba.njit(cache=True, nogil=True, error_model="numpy")
def move(grid: Grid, used: int, decay: float, drop: float) -> int:
    """Take all masses one step on; give the number of nodes that carry some."""
    if not abs(drop - grid.made[0]) < _SHIFT:
        _make(grid, decay, drop)
    # N(u - shift) = N(u) exp(u shift - shift^2 / 2), and u is a difference: the kernel need not be made anew.
    shift = drop - grid.made[0]
    x, mass, moved = grid.x, grid.mass, grid.moved
    if shift != 0.0:
        for j in range(used):
            mass[j] *= math.exp(-shift * (decay * x[j] + grid.made[0]))
    lowest, rows = decay * x[used - 1] + drop + _KERNEL, used
    while rows < x.size and x[rows] < lowest:
        rows += 1
    _multiply(grid.kernel[:rows], grid.first, int(grid.made[1]), mass, moved)
    mass[:rows] = moved[:rows]
    if shift != 0.0:
        for j in range(rows):
            mass[j] *= math.exp(shift * (x[j] - 0.5 * shift))
    return rows


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _make(grid: Grid, decay: float, drop: float) -> None:
    """Make the kernel for one mean step: rows of equal width, each from its first node on."""
    x, n, width = grid.x, grid.x.size, 1
    low = high = 0
    for i in range(n):
        while low < n and x[i] - decay * x[low] - drop > _KERNEL:
            low += 1
        while high < n and x[i] - decay * x[high] - drop > -_KERNEL:
            high += 1
        grid.first[i] = low
        width = max(width, high - low)
    width = min((width + 7) // 8 * 8, n)
    for i in range(n):
        grid.first[i] = min(grid.first[i], n - width)
        for k in range(width):
            u = x[i] - decay * x[grid.first[i] + k] - drop
            grid.kernel[i, k] = grid.weight[i] * math.exp(-0.5 * u * u - _HALF_LOG_TAU)
    grid.made[0], grid.made[1] = drop, width


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_LOOSE)
def _multiply(kernel: np.ndarray, first: np.ndarray, width: int, mass: np.ndarray, moved: np.ndarray) -> None:
    """Multiply the banded kernel with the masses."""
    for i in range(kernel.shape[0]):
        row, near = kernel[i], mass[first[i] :]
        total = 0.0
        for k in range(width):
            total += row[k] * near[k]
        moved[i] = total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_LOOSE)
def weigh(mass: np.ndarray, x: np.ndarray, y: float, rate: float) -> tuple[float, float, float, float]:
    """Weigh masses by exp(least - rate (x - y)^2); give their sum, their mean, their mean square, and `least`."""
    best = min(max(y, 0.0), x[-1])
    least = rate * (best - y) ** 2
    total = first = second = 0.0
    for j in range(mass.size):
        share = mass[j] * _exponential(min(max(rate * (x[j] - y) ** 2 - least, 0.0), _LARGEST))
        mass[j] = share
        total += share
        first += share * x[j]
        second += share * x[j] * x[j]
    return total, first / total, second / total, least


@numba.njit(cache=True, nogil=True, error_model="numpy")
def crossing(grid: Grid, used: int, decay: float, drop: float) -> float:
    """Give the log probability of a spike at the next sample."""
    total = 0.0
    for j in range(used):
        total += grid.mass[j] * 0.5 * math.erfc((decay * grid.x[j] + drop) * _ROOT)
    if total > _TINY:
        return math.log(total)
    terms = np.empty(used)
    for j in range(used):
        terms[j] = math.log(grid.mass[j]) + _log_ndtr(-decay * grid.x[j] - drop)
    largest = terms.max()
    return largest + math.log(np.exp(terms - largest).sum())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def plain_step(grid: Grid, used: int, cell: Cell, drop: float, y: float) -> float:
    """Give the log density of the last sample, which is neither checked nor reset."""
    variance = cell.step**2 + cell.noise
    terms = np.empty(used)
    for j in range(used):
        away = y - cell.threshold + cell.step * (cell.decay * grid.x[j] + drop)
        terms[j] = -0.5 * away * away / variance
    largest = terms.max()
    return (
        largest
        + math.log((grid.mass[:used] * np.exp(terms - largest)).sum())
        - 0.5 * math.log(variance)
        - _HALF_LOG_TAU
    )
