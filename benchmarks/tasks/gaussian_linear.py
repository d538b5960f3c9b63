"""Gaussian linear: the mean of a normal distribution in ten dimensions, with a normal prior.

    firstpassage train --model benchmarks/tasks/gaussian_linear.py:model --method npe --seed 1 --into runs/linear

theta ~ Normal(0, .1 I) and x ~ Normal(theta, .1 I), both in ten dimensions; variances are meant. The posterior is
Normal(x / 2, .05 I).

References
----------
Lueckmann, Boelts, Greenberg, Goncalves and Macke (2021), Benchmarking simulation-based inference, task T.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpyro.distributions import Normal

import firstpassage as fp

VARIANCE = 0.1  # of the prior, and of the data
SD = math.sqrt(VARIANCE)
# The box is at six standard deviations of the prior.
PARAMETERS = tuple(
    fp.Parameter(f"theta_{i}", bounds=(-2.0, 2.0), prior=Normal(0.0, SD), symbol=rf"$\theta_{{{i}}}$")
    for i in range(1, 11)
)


def simulate(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw about the mean: x (n, trials, 10)."""
    mean = np.stack([np.asarray(theta[p.name]) for p in PARAMETERS], axis=1)[:, None, :]
    return {"x": rng.normal(mean, SD, (len(mean), trials, len(PARAMETERS)))}


def log_likelihood(x: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Evaluate the log density of x (10,) for parameters (n, 10): (n,)."""
    return -0.5 * ((x - theta) ** 2).sum(axis=1) / VARIANCE - 5 * math.log(2 * math.pi * VARIANCE)


def reference(x: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Draw from the posterior of x (10,), which is normal: (draw, 10)."""
    return np.random.default_rng(seed).normal(x / 2, math.sqrt(VARIANCE / 2), (draws, len(PARAMETERS)))


model = fp.Model(name="gaussian_linear", parameters=PARAMETERS, likelihood=simulate)
