"""The random variable that `observe` registers: trials, with a log density and a simulator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from pymc.logprob.abstract import _logprob
from pytensor import config
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable

from firstpassage.bridges._ops import LogDensity, OnlySummed
from firstpassage.bridges._predict import simulate
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood

# Object mode is what it takes, for this variable as for PyMC's own CustomDist.
warnings.filterwarnings("ignore", message="Numba will use object mode to run TrialsRV", category=UserWarning)


class TrialsRV(RandomVariable):
    """Trials of one subject: one row for each, with the observed variables as columns."""

    __props__ = ("name", "signature", "dtype", "inplace", "likelihood")
    _print_name = ("Trials", "\\operatorname{Trials}")

    def __init__(
        self,
        name: str | None = None,
        signature: str | None = None,
        dtype: str = "float64",
        inplace: bool = False,
        likelihood: Likelihood | None = None,
    ) -> None:
        if likelihood is None:
            raise ModelError("a TrialsRV needs a Likelihood; use firstpassage.observe.")
        self.likelihood = likelihood
        parameters = ",".join("()" for _ in likelihood.parameters)
        super().__init__(
            name=name or likelihood.model,
            signature=signature or f"{parameters}->({len(likelihood.columns)})",
            dtype=dtype,
            inplace=inplace,
        )

    def __str__(self) -> str:
        """Keep PyTensor's printed graphs short."""
        return f"TrialsRV{{{self.likelihood.kind}_{self.likelihood.model}}}"

    def rng_fn(self, rng: np.random.Generator, *inputs: Any) -> np.ndarray:
        """Simulate one trial for each row."""
        *theta, size = inputs
        shape = (
            np.broadcast_shapes(*(np.shape(value) for value in theta)) if size is None else tuple(int(n) for n in size)
        )
        rows = {
            name: np.broadcast_to(value, shape).ravel()
            for name, value in zip(self.likelihood.parameter_names, theta, strict=True)
        }
        return simulate(self.likelihood, rows, rng).reshape(*shape, -1)


@_logprob.register(TrialsRV)
def _log_probability(
    op: TrialsRV, values: Sequence[TensorVariable], rng: Any, size: Any, *theta: TensorVariable, **kwargs: Any
) -> TensorVariable:
    """Give PyMC the log density of every trial; of ratios only the sum."""
    del rng, size, kwargs
    density = log_density(op.likelihood, values[0], theta)
    return OnlySummed()(density) if op.likelihood.kind == "nre" else density


def log_density(likelihood: Likelihood, x: TensorVariable, theta: Sequence[TensorVariable]) -> TensorVariable:
    """Write the log density of every trial.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned.
    x : TensorVariable, shape (trial, column)
        The trials.
    theta : sequence of TensorVariable, shape (), (1,) or (trial,)
        The parameters in the order of the likelihood. PyMC adds the axis of a scalar.

    Returns
    -------
    TensorVariable, shape (trial,)
        In the precision that PyTensor is set to.
    """
    inputs = [value.reshape(()) if value.type.shape == (1,) else value for value in theta]
    return LogDensity(likelihood)(x.astype("float64"), *(v.astype("float64") for v in inputs)).astype(config.floatX)
