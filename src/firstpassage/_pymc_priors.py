"""PyMC distributions and models as priors: their graphs become JAX functions. PyMC is loaded by those who use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstpassage._priors import Dependent
from firstpassage.errors import ModelError

_FLAGS = "XLA_FLAGS"


@dataclass(frozen=True, eq=False)
class PyMCPrior:
    """Give draws and density of one PyMC distribution.

    Parameters
    ----------
    variable : TensorVariable
        What ``.dist(...)`` returned.
    support : (float, float)
        Ends of the support.
    function : callable
        The log density of many values, in JAX.

    Examples
    --------
    >>> import pymc as pm
    >>> prior = scalar("x", pm.HalfNormal.dist(1.0))
    >>> prior.support, prior.sample(3, np.random.default_rng(1)).shape
    ((0.0, inf), (3,))
    """

    variable: Any
    support: tuple[float, float]
    function: Callable[..., Any]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray, shape (n,)
            In the unit of the parameter.
        """
        return _drawn([self.variable], n, rng)[:, 0]

    def log_prob(self, value: Any) -> Any:
        """Evaluate the log density in JAX.

        Parameters
        ----------
        value : ndarray or jax.Array, shape (...)
            In the unit of the parameter.

        Returns
        -------
        jax.Array, shape (...)
            Nats; -inf off the support.
        """
        import jax.numpy as jnp

        value = jnp.asarray(value)
        return self.function(value.ravel()).reshape(value.shape)


def scalar(name: str, variable: Any) -> PyMCPrior:
    """Take a PyMC distribution of one parameter.

    Parameters
    ----------
    name : str
        Of the parameter.
    variable : TensorVariable
        What ``.dist(...)`` returned.

    Returns
    -------
    PyMCPrior
        With ``sample`` and ``log_prob``.

    Raises
    ------
    ModelError
        If it is no distribution, of more than one number, or discrete.

    Examples
    --------
    >>> import pymc as pm
    >>> import jax
    >>> normal = scalar("x", pm.Normal.dist(0, 1))
    >>> with jax.enable_x64():
    ...     round(float(normal.log_prob(0.0)), 3)
    -0.919
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.tensor.random.op import RNGConsumerOp

    if variable.owner is None or not isinstance(variable.owner.op, RNGConsumerOp):
        raise ModelError(
            f"the prior of {name} must be a distribution, such as pm.Normal.dist(0, 1); got {variable!r}, which is "
            "computed. Give the distribution itself."
        )
    if variable.ndim or not str(variable.dtype).startswith("float"):
        raise ModelError(
            f"the prior of {name} must be continuous and of one number; got {variable.dtype} with {variable.ndim} "
            "axes. A joint prior of several parameters is given to the Model: Model(prior=...)."
        )
    values = pt.vector("values", dtype="float64")
    return PyMCPrior(variable, _support(variable), _in_jax([values], pm.logp(variable, values)))


def joint(model: Any, names: tuple[str, ...]) -> Dependent:
    """Take a PyMC model whose free variables are the parameters.

    Parameters
    ----------
    model : pymc.Model
        Without data and potentials.
    names : tuple of str
        Of the parameters.

    Returns
    -------
    Dependent
        The joint prior.

    Raises
    ------
    ModelError
        If its variables are not the parameters, one number each.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model() as prior:
    ...     x = pm.Normal("x", 0, 1)
    ...     y = pm.Normal("y", x, 1)
    >>> joint(prior, ("x", "y")).log_density({"x": np.zeros(1), "y": np.zeros(1)}).round(3)
    array([-1.838])
    """
    from pymc.model.transform.conditioning import remove_value_transforms

    _check(model, names)
    plain = remove_value_transforms(model)  # values are then the parameters themselves
    values = [plain.rvs_to_values[plain[name]] for name in names]
    function = _in_jax(values, plain.logp(jacobian=False))
    variables = [model[name] for name in names]
    return Dependent(
        names=names, log_prob=lambda theta: function(*[theta[i] for i in range(len(names))]),
        draw=lambda n, rng: _drawn(variables, n, rng),
    )  # fmt: skip


def _check(model: Any, names: tuple[str, ...]) -> None:
    """Refuse a model that is not just a prior of the parameters."""
    free = [variable.name for variable in model.free_RVs]
    if set(free) != set(names) or model.observed_RVs or model.potentials:
        beside = [variable.name for variable in (*model.observed_RVs, *model.potentials)]
        more = f", and {', '.join(beside)} observed or potential" if beside else ""
        raise ModelError(
            f"a pm.Model as prior must have the free variables {', '.join(names)} and nothing else but Deterministics; "
            f"got {', '.join(free) or 'none'}{more}. Name its variables as the parameters."
        )
    for variable in model.free_RVs:
        if variable.ndim or not str(variable.dtype).startswith("float"):
            raise ModelError(
                f"the variable {variable.name} of a prior must be continuous and one number; got {variable.dtype} with "
                f"{variable.ndim} axes. Write one variable for each parameter."
            )


@contextmanager
def in_float64() -> Iterator[Any]:
    """Give PyMC's bridge to JAX, in float64; its import changes a switch and an environment variable: put them back."""
    import jax

    switch, flags = jax.config.jax_enable_x64, os.environ.get(_FLAGS)
    try:
        import pymc.sampling.jax as bridge
    finally:
        jax.config.update("jax_enable_x64", switch)
        os.environ.pop(_FLAGS, None)
        os.environ.update({} if flags is None else {_FLAGS: flags})
    with jax.enable_x64():
        yield bridge


def _in_jax(inputs: Sequence[Any], output: Any) -> Any:
    """Turn a graph into a JAX function that returns its output; constants are in float64."""
    with in_float64() as bridge:
        function = bridge.get_jaxified_graph(inputs=list(inputs), outputs=[output])
    return lambda *values: function(*values)[0]


def _drawn(variables: Sequence[Any], n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw variables together: (n, variable)."""
    import pymc as pm

    drawn = pm.draw(list(variables), draws=n, random_seed=int(rng.integers(2**31)))
    return np.stack([np.reshape(one, n) for one in drawn], axis=1).astype(np.float64)


def _support(variable: Any) -> tuple[float, float]:
    """Find the ends of a distribution's support from PyMC's own map of the real line onto it."""
    from pymc.distributions.transforms import _default_transform

    transform = _default_transform(variable.owner.op, variable)
    if transform is None:
        return -np.inf, np.inf
    with np.errstate(over="ignore"):
        ends = [float(transform.backward(np.float64(end), *variable.owner.inputs).eval()) for end in (-1e9, 1e9)]
    return min(ends), max(ends)
