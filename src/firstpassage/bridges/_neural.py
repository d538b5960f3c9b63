"""BayesFlow's `NeuralDistribution` around a likelihood, without running BayesFlow's constructor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from firstpassage.backend import require_jax
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from bayesflow.wrappers.pymc import NeuralDistribution


def make(
    likelihood: Likelihood,
    *,
    observe: Callable[..., TensorVariable],
    log_density: Callable[..., TensorVariable],
    simulate: Callable[..., np.ndarray],
) -> NeuralDistribution:
    """Make the object from the functions of the bridge.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.
    observe, log_density, simulate : callable
        Those of `bridges.pymc` and `bridges._variable`.

    Returns
    -------
    bayesflow.wrappers.pymc.NeuralDistribution
        Of a subclass.
    """

    class Distribution(_neural_distribution()):  # type: ignore[misc]
        """NeuralDistribution with checks, float64, a box and a simulator."""

        def __init__(self) -> None:
            self.param_names = likelihood.parameter_names
            self.exchangeable = True
            self.simulator_fn = None if likelihood.simulate is None else self.random
            self.likelihood = likelihood

        def __call__(self, name: str, *misplaced: Any, observed: Any = None, **theta: Any) -> TensorVariable:
            return observe(name, likelihood, *misplaced, observed=observed, **theta)

        def logp(self, value: Any, *dist_params: Any) -> TensorVariable:
            if len(dist_params) != len(likelihood.parameters):
                raise ModelError(
                    f"logp takes the trials and then {', '.join(likelihood.parameter_names)}, in this "
                    f"order; got {len(dist_params)} parameters."
                )
            x = value if isinstance(value, pt.TensorVariable) else pt.constant(likelihood.read(value))
            return log_density(likelihood, x, [pt.as_tensor_variable(p) for p in dist_params])

        def random(self, *dist_params: Any, rng: Any = None, size: Any = None) -> np.ndarray:
            if rng is None:
                raise ModelError("random needs rng, a numpy.random.Generator. Pass rng=np.random.default_rng(seed).")
            shape = np.broadcast_shapes(*(np.shape(p) for p in dist_params)) if size is None else size
            rows = {n: np.broadcast_to(p, shape).ravel() for n, p in zip(self.param_names, dist_params, strict=True)}
            return simulate(likelihood, rows, rng).reshape(*np.empty(shape).shape, -1)

    return Distribution()


def _neural_distribution() -> type:
    """Import BayesFlow's class, and put back what the import changes: JAX's x64 switch."""
    import jax

    require_jax()
    before = jax.config.jax_enable_x64
    try:
        from bayesflow.wrappers.pymc import NeuralDistribution
    finally:
        jax.config.update("jax_enable_x64", before)
    return NeuralDistribution
