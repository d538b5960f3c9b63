"""The observed variable of an HSSM model: trials whose log density is one of this package's likelihoods."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.abstract import _logprob
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges._ratios import AbstractRatios
from firstpassage.bridges._variable import TrialsRV, log_density
from firstpassage.errors import DataWarning, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models.lapses import NAME as LAPSES

_WITHHELD = (
    "HSSM's log_likelihood is NaN: a ratio estimator (kind 'nre') has no log likelihood of single trials, so LOO, WAIC "
    "and model comparison made of it would mean nothing. Use a normalised likelihood to compare models."
)


class HSSMTrialsRV(TrialsRV):
    """Trials, as HSSM observes them."""


class Withheld(AbstractRatios):
    """Give NaN instead of single log ratios.

    HSSM evaluates the log likelihood of every trial after each run, so that an error there would spoil the run.
    """

    __props__ = ()

    def __init__(self) -> None:
        self.name = "withheld"

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Give NaN, and say why, once from each place."""
        warnings.warn(_WITHHELD, DataWarning, stacklevel=2)
        outputs[0][0] = np.full(np.shape(inputs[0]), np.nan, dtype=node.outputs[0].dtype)

    def perform_jax(self, *inputs: Any) -> Any:
        """Give NaN inside another JAX program."""
        import jax.numpy as jnp

        return jnp.full_like(inputs[0], jnp.nan)


@numba_funcify.register(Withheld)
def _numba_withheld(op: Withheld, node: Apply | None = None, **kwargs: Any) -> Callable[..., Any]:
    """Give NaN from Numba's object mode."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numba will use object mode")
        return generate_fallback_impl(op, node=node, **kwargs)


@_logprob.register(HSSMTrialsRV)
def _log_probability(
    op: HSSMTrialsRV, values: Sequence[TensorVariable], rng: Any, size: Any, *theta: TensorVariable, **kwargs: Any
) -> TensorVariable:
    """Give the log density of every trial; of ratios only the sum."""
    del rng, size, kwargs
    density = log_density(op.likelihood, values[0], theta)
    return Withheld()(density) if op.likelihood.kind == "nre" else density


def distribution(likelihood: Likelihood) -> type[pm.Distribution]:
    """Make the class of PyMC distributions that HSSM takes as `loglik`.

    Given as a class it is used as it is: HSSM's floor of -66.1 under log densities, which makes impossible trials
    possible, does not come into it.

    Parameters
    ----------
    likelihood : Likelihood
        Of choices with response times.

    Returns
    -------
    type
        A subclass of `pymc.Distribution`; it refuses data that `likelihood` cannot read when the model is built.
    """

    class Trials(pm.Distribution):
        """Trials whose parameters are those of the likelihood."""

        rv_op = HSSMTrialsRV(likelihood=likelihood)

        def __new__(cls, name: str, *args: Any, observed: Any = None, **kwargs: Any) -> Any:
            """Read the data first."""
            if observed is not None:
                likelihood.read(np.asarray(observed))
            return super().__new__(cls, name, *args, observed=observed, **kwargs)

        @classmethod
        def dist(cls, **kwargs: Any) -> TensorVariable:
            """Put the parameters in order."""
            if LAPSES in kwargs and LAPSES not in likelihood.parameter_names:
                raise ModelError(
                    "HSSM has been given p_outlier of its own. Give it to to_hssm: to_hssm(p_outlier=...)."
                )
            theta = [pt.as_tensor_variable(kwargs.pop(name)) for name in likelihood.parameter_names]
            return super().dist(theta, **kwargs)

    return Trials
