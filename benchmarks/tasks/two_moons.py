"""Two moons: a crescent that two parameters shift, so that the posterior is two crescents.

    firstpassage train --model benchmarks/tasks/two_moons.py:model --method npe --seed 1 --into runs/moons

theta is uniform on the square (-1, 1)^2. With a ~ U(-pi/2, pi/2) and r ~ Normal(.1, .01),

    x = (r cos a + .25, r sin a) + (-|theta_1 + theta_2|, -theta_1 + theta_2) / sqrt 2.

References
----------
Lueckmann, Boelts, Greenberg, Goncalves and Macke (2021), Benchmarking simulation-based inference, task T.8.
Greenberg, Nonnenmacher and Macke (2019), Automatic posterior transformation for likelihood-free inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

import firstpassage as fp

PARAMETERS = tuple(fp.Parameter(f"theta_{i}", bounds=(-1.0, 1.0), symbol=rf"$\theta_{i}$") for i in (1, 2))
RADIUS, THICKNESS, SHIFT = 0.1, 0.01, 0.25  # of the crescent


def simulate(theta: Mapping[str, np.ndarray], *, trials: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw points of the crescent, and shift it: x (n, trials, 2)."""
    first, second = (np.asarray(theta[p.name])[:, None] for p in PARAMETERS)
    shift = np.stack([-np.abs(first + second), second - first], axis=-1) / math.sqrt(2)
    return {"x": crescent((len(first), trials), rng) + shift}


def crescent(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw points of the crescent where nothing shifts it: (..., 2)."""
    angle, radius = rng.uniform(-math.pi / 2, math.pi / 2, shape), rng.normal(RADIUS, THICKNESS, shape)
    return np.stack([radius * np.cos(angle) + SHIFT, radius * np.sin(angle)], axis=-1)


def log_likelihood(x: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Evaluate the log density of x (2,) for parameters (n, 2): (n,)."""
    total, apart = theta.sum(axis=1), theta[:, 1] - theta[:, 0]
    across = x[0] + np.abs(total) / math.sqrt(2) - SHIFT
    up = x[1] - apart / math.sqrt(2)
    radius = np.hypot(across, up)
    score = (radius - RADIUS) / THICKNESS
    density = -0.5 * score**2 - math.log(THICKNESS * math.sqrt(2 * math.pi) * math.pi) - np.log(radius)
    return np.where(across > 0, density, -np.inf)


def reference(x: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Draw from the posterior of x (2,), exactly: (draw, 2).

    Parameters are a rotation of where the crescent was shifted to, once for each sign of their sum; so a point of the
    crescent says what shifted it, and what lies outside the square is drawn anew.
    """
    rng, found = np.random.default_rng(seed), np.empty((0, 2))
    while len(found) < draws:
        shift = x - crescent((2 * draws,), rng)
        possible = shift[:, 0] <= 0
        total = rng.choice([-1.0, 1.0], len(shift)) * shift[:, 0]
        theta = np.stack([total - shift[:, 1], total + shift[:, 1]], axis=1) / math.sqrt(2)
        found = np.concatenate([found, theta[possible & (np.abs(theta) < 1).all(axis=1)]])
    return found[:draws]


model = fp.Model(name="two_moons", parameters=PARAMETERS, likelihood=simulate)
