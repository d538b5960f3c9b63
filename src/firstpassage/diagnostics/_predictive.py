"""Posterior predictive: data simulated from posterior draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _draws, seeds
from firstpassage.errors import DataError, ModelError

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood


def predictive(
    likelihood: Likelihood | Posterior, draws: xr.DataTree, data: Any, *, seed: int, replicates: int = 100
) -> np.ndarray:
    """Simulate data sets of the observed size, each from one posterior draw.

    Parameters
    ----------
    likelihood : Likelihood or Posterior
        Its simulator is used, whatever its kind.
    draws : DataTree
        Posterior draws of scalar parameters.
    data : DataFrame or array_like
        The observed trials of one subject, for their number.
    seed : int
        From 0 to 2**63 - 1.
    replicates : int
        Number of simulated data sets.

    Returns
    -------
    ndarray, shape (replicate, trial, column)
        Columns as in ``likelihood.columns``.

    Raises
    ------
    DataError
        If the draws have other parameters than the likelihood.
    ModelError
        If the likelihood has no simulator, or `replicates` is not a positive integer.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp, numpy as np
    >>> theta = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
    >>> draws = arviz_base.from_dict({"posterior": {k: np.full((1, 10), x) for k, x in theta.items()}})
    >>> predictive(fp.ddm().exact, draws, [[0.8, 1.0], [0.6, -1.0]], seed=1, replicates=5).shape
    (5, 2, 2)
    """
    trials = len(likelihood.read(data))
    return replicate(likelihood, draws, trials=trials, seed=seed, replicates=replicates)


def replicate(
    likelihood: Likelihood | Posterior, draws: xr.DataTree, *, trials: int, seed: int, replicates: int
) -> np.ndarray:
    """Simulate data sets of a given size, each from one posterior draw: (replicate, trial, column)."""
    chosen, rng = choose(likelihood, draws, seed=seed, replicates=replicates)
    theta = {name: np.repeat(value, trials) for name, value in chosen.items()}
    simulate: Any = likelihood.simulate
    return np.asarray(simulate(theta, rng)).reshape(replicates, trials, -1)


def choose(
    likelihood: Likelihood | Posterior, draws: xr.DataTree, *, seed: int, replicates: int
) -> tuple[dict[str, np.ndarray], np.random.Generator]:
    """Choose a posterior draw for each replicate: parameters (replicate,), and the generator to simulate with."""
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 1:
        raise ModelError(f"replicates must be a positive integer; got {replicates!r}.")
    if likelihood.simulate is None:
        raise ModelError(f"the {likelihood.kind} likelihood of {likelihood.model} has no simulator to draw from.")
    values = _draws.scalars(draws)
    if set(values) != set(likelihood.parameter_names):
        raise DataError(
            f"draws must have one scalar each of {', '.join(likelihood.parameter_names)}; got {', '.join(values)}."
        )
    rng = seeds.generator(seed, "predictive")
    size = next(iter(values.values())).size
    rows = rng.choice(size, size=replicates, replace=replicates > size)
    return {name: values[name].ravel()[rows] for name in likelihood.parameter_names}, rng
