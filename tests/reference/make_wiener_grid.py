"""Write `wiener_grid.npz`: log densities from the 40-digit oracle, at 5,280 points in two precisions.

Run `python tests/reference/make_wiener_grid.py` from anywhere; it takes some ten seconds.

`inputs64` and `inputs32`, shape (point, 6), are rt, response, v, a, z, t as the density receives them: rt is
the float sum of t and the decision time, so that oracle and density see the same rounded numbers.
`log_density64` and `log_density32` belong to them.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))

import wiener_mpmath

DRIFTS = (-3.0, -1.0, 0.0, 1.0, 3.0)
HALF_SEPARATIONS = (0.3, 0.8, 1.5, 2.5)
STARTS = (0.1, 0.3, 0.5, 0.9)
NON_DECISION_TIMES = (0.0, 0.3, 2.0)  # seconds
DECISION_TIMES = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0)  # seconds


def grid(dtype: type[np.floating]) -> np.ndarray:
    """Lay out the points, shape (point, 6), rounded to `dtype`."""
    responses = (1.0, -1.0)
    axes = (DECISION_TIMES, responses, DRIFTS, HALF_SEPARATIONS, STARTS, NON_DECISION_TIMES)
    points = np.array(list(itertools.product(*axes))).astype(dtype)
    points[:, 0] += points[:, 5]
    return points


def main() -> None:
    """Compute both precisions and write them beside this file."""
    stored = {}
    for bits, dtype in (("64", np.float64), ("32", np.float32)):
        points = grid(dtype)
        stored[f"inputs{bits}"] = points
        exact = [float(wiener_mpmath.log_density(*point)) for point in points]
        stored[f"log_density{bits}"] = np.array(exact)
    np.savez_compressed(Path(__file__).with_name("wiener_grid.npz"), **stored)


if __name__ == "__main__":
    main()
