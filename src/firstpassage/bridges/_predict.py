"""Trials simulated from a likelihood, whose parameters must lie in their box: for predictions of every bridge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood


def simulate(likelihood: Likelihood, rows: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw one trial for each row of the parameters.

    Parameters
    ----------
    likelihood : Likelihood
        With a simulator.
    rows : mapping of str to ndarray, shape (n,)
        The parameters.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n, column)
        The trials.

    Raises
    ------
    ModelError
        If there is no simulator, or a parameter is outside its box.
    """
    if likelihood.simulate is None:
        raise ModelError(
            f"the {likelihood.kind} likelihood of {likelihood.model} has no simulator, so nothing can be "
            "predicted from it. Make it with simulate=..., or simulate with model.likelihood(theta, "
            "trials=..., seed=...)."
        )
    for name, (low, high) in likelihood.box.items():
        bad = ~((rows[name] >= low) & (rows[name] <= high))
        if bad.any():
            raise ModelError(
                f"{name} must lie in its box ({low:g}, {high:g}) to simulate trials; {int(bad.sum())} of "
                f"{bad.size} values do not (first: {rows[name][bad][0]:.4g}). Use a prior that stays "
                "inside, such as firstpassage.priors."
            )
    return np.asarray(likelihood.simulate(rows, rng), dtype=np.float64)
