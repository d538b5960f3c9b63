"""The log density of a trace of the integrate-and-fire neuron by quadrature on a fine fixed grid, in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse, special

from oracle.lif_traces import RECORDING

PANEL, NODES, REACH = 1.0, 8, 10.0  # width of a panel in standard deviations of one step; nodes in it; kernel's reach


@dataclass
class Neuron:
    """One parameter set on its grid; `drive` is the mean of the voltage gained by the step from each sample."""

    threshold: float
    rho: float
    drive: np.ndarray
    s: float
    noise: float
    v: np.ndarray = field(default_factory=lambda: np.empty(0))
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))
    kernels: dict[float, sparse.csr_array] = field(default_factory=dict)

    def density(self, belief: float | np.ndarray, i: int) -> np.ndarray:
        """Give the density one step after sample i, from a known voltage or a density on the nodes."""
        if not isinstance(belief, np.ndarray):
            return np.exp(gauss(self.v, self.rho * belief + self.drive[i], self.s))
        if self.drive[i] not in self.kernels:
            self.kernels = {self.drive[i]: kernel(self.v, self.weights, self.rho, self.drive[i], self.s)}
        return self.kernels[self.drive[i]] @ belief

    def expect(self, log_function: Callable[[np.ndarray], np.ndarray], belief: float | np.ndarray) -> float:
        """Give the log of the mean of a function of the voltage."""
        if not isinstance(belief, np.ndarray):
            return float(log_function(np.array([belief]))[0])
        logs = log_function(self.v)
        return float(np.log((self.weights * belief) @ np.exp(logs - logs.max())) + logs.max())


def log_density(
    voltage: np.ndarray, spikes: np.ndarray, theta: np.ndarray, current: np.ndarray | None = None, **recording: float
) -> float:
    """Carry the density of the voltage, given no spike, on all nodes from the threshold down to where it cannot get."""
    set_up = RECORDING | recording
    threshold, tau, conductance, reset, start, rest = (float(value) for value in theta)
    mean = np.full(len(voltage), set_up["I_mean"]) if current is None else np.asarray(current, dtype=float)
    drive = set_up["dt"] / tau * (rest + mean / conductance)
    s, rho = set_up["dt"] / tau * set_up["I_std"] / conductance, 1.0 - set_up["dt"] / tau
    neuron = Neuron(threshold, rho, drive, s, set_up["noise_std"])
    lowest = min(reset, start, drive.min() / (1.0 - rho)) - 12.0 * s / np.sqrt(1.0 - rho**2)
    neuron.v, neuron.weights = grid(lowest, threshold, s)
    if spikes[-1] or bool(spikes[0]) != (start >= threshold):
        return -np.inf
    belief: float | np.ndarray = reset if spikes[0] else start
    total = gauss(voltage[0], belief, neuron.noise)
    latest = 0 if spikes[0] else -1 - int(set_up["refractory"])
    for i in range(1, len(voltage) - 1):
        if i - latest <= set_up["refractory"]:
            if spikes[i]:
                return -np.inf
            total += gauss(voltage[i], reset, neuron.noise)
        elif spikes[i]:
            total += gauss(voltage[i], reset, neuron.noise) + crossing(neuron, belief, i - 1)
            belief, latest = reset, i
        else:
            value, belief = stay(neuron, belief, i - 1, voltage[i])
            total += value
    spread = np.hypot(s, neuron.noise)
    return float(total + neuron.expect(lambda v: gauss(voltage[-1], rho * v + drive[-2], spread), belief))


def crossing(neuron: Neuron, belief: float | np.ndarray, i: int) -> float:
    """Give the log probability of a voltage above the threshold one step after sample i."""
    return neuron.expect(
        lambda v: special.log_ndtr((neuron.rho * v + neuron.drive[i] - neuron.threshold) / neuron.s), belief
    )


def stay(neuron: Neuron, belief: float | np.ndarray, i: int, y: float) -> tuple[float, np.ndarray]:
    """Give the log density of observing y below the threshold one step after sample i, and the density then."""
    likelihood = gauss(y, neuron.v, neuron.noise)
    density = neuron.density(belief, i) * np.exp(likelihood - likelihood.max())
    mass = neuron.weights @ density
    return float(np.log(mass) + likelihood.max()), density / mass


def grid(lowest: float, highest: float, s: float) -> tuple[np.ndarray, np.ndarray]:
    """Give Gauss-Legendre nodes and weights in panels from the threshold down."""
    places, weights = np.polynomial.legendre.leggauss(NODES)
    panels = int(np.ceil((highest - lowest) / (PANEL * s)))
    edges = highest - PANEL * s * np.arange(panels)
    v = (edges[:, None] - PANEL * s * (0.5 + 0.5 * places)).ravel()
    return v, np.tile(0.5 * PANEL * s * weights, panels)


def kernel(v: np.ndarray, weights: np.ndarray, rho: float, drive: float, s: float) -> sparse.csr_array:
    """Write one step from all nodes to all nodes as a matrix."""
    down = v[::-1]
    first = len(v) - np.searchsorted(down, rho * v + drive + REACH * s)
    stop = len(v) - np.searchsorted(down, rho * v + drive - REACH * s)
    columns = np.repeat(np.arange(len(v)), stop - first)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(first, stop, strict=True)])
    values = np.exp(gauss(v[rows], rho * v[columns] + drive, s)) * weights[columns]
    return sparse.csr_array((values, (rows, columns)), shape=(len(v), len(v)))


def gauss(x: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Log density of a normal distribution."""
    return -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2.0 * np.pi)
