"""SLCP, simple likelihood and complex posterior: four draws of a normal distribution in the plane, in one vector.

    firstpassage train --model benchmarks/tasks/slcp.py:model --method npe --seed 1 --into runs/slcp

theta is uniform on (-3, 3)^5; the draws have mean (theta_1, theta_2), standard deviations theta_3^2 and theta_4^2 and
correlation tanh theta_5. Nothing depends on the signs of theta_3 and theta_4: the posterior has four equal modes.

References
----------
Papamakarios, Sterratt and Murray (2019), Sequential neural likelihood, section A.1.
Lueckmann, Boelts, Greenberg, Goncalves and Macke (2021), Benchmarking simulation-based inference, task T.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

import firstpassage as fp

PARAMETERS = tuple(fp.Parameter(f"theta_{i}", bounds=(-3.0, 3.0), symbol=rf"$\theta_{i}$") for i in range(1, 6))
BOUND, POINTS = 3.0, 4
FREEDOM = 2.5  # of the inverse Wishart distribution; with it the posterior is (1 - rho^2)^(1/4) times as high


def simulate(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw four points for each trial: x (n, trials, 8)."""
    m1, m2, t3, t4, t5 = (np.asarray(theta[p.name])[:, None, None] for p in PARAMETERS)
    first, second = rng.standard_normal((2, len(m1), trials, POINTS))
    rho = np.tanh(t5)
    up = rho * first + np.sqrt(1 - rho**2) * second
    points = np.stack([m1 + t3**2 * first, m2 + t4**2 * up], axis=-1)
    return {"x": points.reshape(len(m1), trials, 2 * POINTS)}


def log_likelihood(x: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Evaluate the log density of x (8,) for parameters (n, 5): (n,)."""
    points, (m1, m2, t3, t4, t5) = x.reshape(POINTS, 2, 1), theta.T
    rest = 1 - np.tanh(t5) ** 2
    a, b = (points[:, 0] - m1) / t3**2, (points[:, 1] - m2) / t4**2
    form = (a**2 - 2 * np.tanh(t5) * a * b + b**2) / rest
    norm = math.log(2 * math.pi) + 2 * np.log(np.abs(t3)) + 2 * np.log(np.abs(t4)) + np.log(rest) / 2
    return -0.5 * form.sum(axis=0) - POINTS * norm


def reference(x: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Draw from the posterior of x (8,), exactly: (draw, 5).

    Without the box and with another prior the covariance would have an inverse Wishart distribution, and the mean a
    normal one given that. In theta the posterior of the covariance is (1 - rho^2)^(1/4) times that inverse Wishart
    density, at most one: drawn from it and rejected, within the box.
    """
    rng, found = np.random.default_rng(seed), np.empty((0, 5))
    points = x.reshape(POINTS, 2)
    mean, apart = points.mean(axis=0), points - points.mean(axis=0)
    while len(found) < draws:
        covariance = _inverse_wishart(apart.T @ apart, n=4 * draws, rng=rng)
        m = mean + np.einsum("nij,nj->ni", np.linalg.cholesky(covariance / POINTS), rng.standard_normal((4 * draws, 2)))
        variance = covariance[:, [0, 1], [0, 1]]
        rho = covariance[:, 0, 1] / np.sqrt(variance.prod(axis=1))
        scale = variance**0.25 * rng.choice([-1.0, 1.0], (4 * draws, 2))
        kept = rng.uniform(size=4 * draws) < (1 - rho**2) ** 0.25
        theta = np.concatenate([m, scale, np.arctanh(rho)[:, None]], axis=1)
        found = np.concatenate([found, theta[kept & (np.abs(theta) < BOUND).all(axis=1)]])
    return found[:draws]


def _inverse_wishart(scatter: np.ndarray, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw covariances (n, 2, 2) by Bartlett's decomposition of their inverse."""
    lower = np.zeros((n, 2, 2))
    lower[:, 0, 0] = np.sqrt(rng.chisquare(FREEDOM, n))
    lower[:, 1, 0] = rng.standard_normal(n)
    lower[:, 1, 1] = np.sqrt(rng.chisquare(FREEDOM - 1, n))
    root = np.linalg.inv(np.linalg.cholesky(np.linalg.inv(scatter)) @ lower)
    return np.swapaxes(root, 1, 2) @ root


model = fp.Model(name="slcp", parameters=PARAMETERS, likelihood=simulate)
