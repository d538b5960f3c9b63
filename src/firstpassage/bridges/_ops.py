"""PyTensor operations: the log density of every trial, computed by JAX in float64, and its pullback.

They derive from PyTensor's own `JAXOp`, for two reasons. Its JAX linker (NumPyro, BlackJAX, nutpie's JAX
backend) then knows them, without our importing its dispatch module, which flips jax_enable_x64 for the
process. And only what is ours is written here: float64 by a context, checks at evaluation, one call for value
and gradient.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor import config
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.graph.traversal import apply_ancestors
from pytensor.link.jax.ops import JAXOp
from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify
from pytensor.tensor.rewriting.basic import register_specialize
from pytensor.tensor.type import TensorType

from firstpassage.bridges import _lengths
from firstpassage.bridges._program import (
    Kept,
    pack,
    packed_pullback,
    packed_value,
    unpack_arrays,
    value,
    value_and_pullback,
)
from firstpassage.bridges._ratios import AbstractRatios
from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.likelihood import Likelihood

_PROCESS = os.getpid()  # JAX's threads do not survive a fork


class _TrialOp(JAXOp):
    """Take the trials x, and for each parameter a scalar, or a vector with one value for each trial."""

    __props__ = ("likelihood",)

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood = likelihood
        self.name = f"{likelihood.kind}_{likelihood.model}"
        self._read: np.ndarray | None = None  # the trials that were checked last
        self._trials, self._cotangent = Kept(partial(_lengths.split, likelihood)), Kept()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the compiled functions behind: a spawned worker makes its own."""
        return type(self), (self.likelihood,)

    def __str__(self) -> str:
        """Keep PyTensor's printed graphs short."""
        return f"{type(self).__name__}{{{self.name}}}"

    def infer_shape(self, node: Apply, shapes: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Give PyTensor all shapes without evaluating anything."""
        del node
        return [(shapes[0][0],), *shapes[1 : len(self.likelihood.parameters) + 1]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Tell that the trials are data: nothing is differentiated with respect to them."""
        return [[i > 0] * len(node.outputs) for i in range(len(node.inputs))]

    def _check(self, x: Any, theta: Sequence[Any]) -> None:
        """Check at evaluation what could not be known when the model was built."""
        for name, one in zip(self.likelihood.parameter_names, theta, strict=True):
            if np.shape(one) not in ((), (len(x),)):
                raise DataError(wrong_length(name, got=np.shape(one), trials=len(x)))
        if isinstance(x, np.ndarray):
            self.check_trials(x)

    def check_trials(self, x: np.ndarray) -> None:
        """Read the trials, if they are not those that were read last."""
        if self._read is None or not np.array_equal(x, self._read):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # `observe` has given it
                self._read = accept(self.likelihood, x)

    def _traced(self, x: Any, theta: Sequence[Any]) -> _lengths.Groups:
        """Check what JAX knows while it traces: the shapes, and the trials unless they are inputs; and group them."""
        from jax import dtypes
        from jax.core import Tracer

        if config.floatX == "float64" and dtypes.canonicalize_dtype("float64") != "float64":
            raise ModelError(
                "this sampler runs in JAX, which is set to float32, and PyTensor to float64: the result "
                'would be neither. Sample inside `with jax.enable_x64():`, or leave out backend="jax".'
            )
        known = not isinstance(x, Tracer)
        self._check(np.asarray(x) if known else x, theta)
        return _lengths.split(self.likelihood, np.asarray(x)) if known else _lengths.whole(x)

    def _check_numbers(self, x: Any, theta: Sequence[Any]) -> None:
        """Check before JAX is called: the process, the shapes and the trials."""
        if os.getpid() != _PROCESS:
            raise ModelError(
                "the likelihood runs in JAX, which does not survive a fork, and PyMC has forked this "
                'process. Sample with cores=1, or mp_ctx="forkserver", or nuts_sampler="nutpie".'
            )
        self._check(x, theta)


class LogDensity(_TrialOp):
    """Evaluate the log density (or log ratio) of every trial: shape (trial,)."""

    def make_node(self, x: Variable, *theta: Variable) -> Apply:
        """Declare one number for each trial."""
        return Apply(self, [x, *theta], [TensorType("float64", shape=x.type.shape[:1])()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Evaluate, from NumPy to NumPy, in float64 whatever the process is set to."""
        import jax

        del node
        x, *theta = inputs
        self._check_numbers(x, theta)
        scalar, scalars, vectors = pack(theta)
        with jax.enable_x64():
            density = packed_value(self.likelihood, scalar)(self._trials.on_device(x), scalars, *vectors)
            outputs[0][0] = np.array(density, dtype=np.float64)

    def perform_jax(self, *inputs: Any) -> Any:
        """Evaluate inside another JAX program."""
        return value(self.likelihood, self._traced(inputs[0], inputs[1:]), inputs[1:])

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], output_gradients: Sequence[Variable]
    ) -> list[Variable]:
        """Write the gradient with respect to the parameters."""
        del outputs
        results = LogDensityWithPullback(self.likelihood)(*inputs, output_gradients[0], return_list=True)
        return [DisconnectedType()(), *results[1:]]


class LogDensityWithPullback(_TrialOp):
    """Evaluate the log density of every trial, and pull a cotangent of it back to every parameter."""

    def make_node(self, x: Variable, *inputs: Variable) -> Apply:
        """Declare the density, and a gradient of the type of each parameter."""
        *theta, cotangent = (pt.as_tensor_variable(one) for one in inputs)
        types = [
            TensorType("float64", shape=x.type.shape[:1]),
            *(TensorType("float64", v.type.shape) for v in theta),
        ]
        return Apply(self, [x, *theta, cotangent], [made() for made in types])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Evaluate, from NumPy to NumPy, in float64 whatever the process is set to."""
        import jax

        del node
        x, *theta, cotangent = inputs
        self._check_numbers(x, theta)
        scalar, scalars, vectors = pack(theta)
        with jax.enable_x64():
            run = packed_pullback(self.likelihood, scalar)
            kept = self._trials.on_device(x), self._cotangent.on_device(cotangent)
            results = [np.array(one, dtype=np.float64) for one in run(*kept, scalars, *vectors)]
        density, of_scalars, *of_vectors = results
        for storage, one in zip(outputs, [density, *unpack_arrays(scalar, of_scalars, of_vectors)], strict=True):
            storage[0] = one

    def perform_jax(self, *inputs: Any) -> Any:
        """Evaluate inside another JAX program."""
        x, *theta, cotangent = inputs
        return value_and_pullback(self.likelihood, self._traced(x, theta), theta, cotangent)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], output_gradients: Sequence[Variable]
    ) -> list[Variable]:
        """Refuse second derivatives."""
        raise ModelError(
            f"second derivatives of the {self.likelihood.kind} likelihood of {self.likelihood.model} are "
            "not available in PyMC. Use a method that needs gradients only, such as NUTS, or jax.hessian "
            "of likelihood.function."
        )


class OnlySummed(AbstractRatios):
    """Refuse single log ratios: compiling anything but their sum is an error."""

    __props__ = ()

    def __init__(self) -> None:
        self.name = "only_summed"

    def make_thunk(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to be compiled by PyTensor's C and Python linkers."""
        raise ModelError(_NOT_POINTWISE)

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Refuse to be evaluated."""
        raise ModelError(_NOT_POINTWISE)

    def perform_jax(self, *inputs: Any) -> Any:
        """Refuse to be traced by JAX."""
        raise ModelError(_NOT_POINTWISE)


_NOT_POINTWISE = (
    "a ratio estimator (kind 'nre') has no log likelihood of single trials: each log ratio holds an "
    "unknown constant of its trial, so LOO, WAIC and Bayes factors made of them mean nothing. Use a "
    "normalised likelihood (model.exact, or kind 'nle') to compare models."
)


@numba_funcify.register(_TrialOp)
def _numba_trials(op: _TrialOp, node: Apply | None = None, **kwargs: Any) -> Callable[..., Any]:
    """Run the operation from Numba's object mode, without a warning for every model.

    The trials are checked here already, as nutpie hides errors that are raised at evaluation.
    """
    trials = node.inputs[0] if node is not None else None
    if isinstance(trials, (SharedVariable, Constant)):
        op.check_trials(trials.data if isinstance(trials, Constant) else trials.get_value(borrow=True))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numba will use object mode")
        return generate_fallback_impl(op, node=node, **kwargs)


@numba_funcify.register(OnlySummed)
def _numba_only_summed(op: OnlySummed, **kwargs: Any) -> Callable[..., Any]:
    """Refuse to be compiled by Numba."""
    raise ModelError(_NOT_POINTWISE)


@register_specialize("fast_compile")
@node_rewriter([LogDensity])
def _value_from_pullback(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Take the value from the operation that computes the gradient too, so that JAX runs once for both."""
    for client, _ in fgraph.clients[node.inputs[-1]]:
        same = isinstance(client.op, LogDensityWithPullback) and client.op.likelihood is node.op.likelihood
        if same and client.inputs[:-1] == node.inputs and node not in set(apply_ancestors([client.inputs[-1]])):
            return [client.outputs[0]]
    return None


def accept(likelihood: Likelihood, trials: np.ndarray) -> np.ndarray:
    """Check trials that are already an array as `read` returns it.

    Parameters
    ----------
    likelihood : Likelihood
        Whose `read` checks.
    trials : ndarray, shape (trial, ...)
        The value of a ``pm.Data`` container.

    Returns
    -------
    ndarray, shape (trial, ...), float64
        A copy.

    Raises
    ------
    DataError
        If the data are not usable, or `read` would change them.
    """
    x = likelihood.read(trials)
    if not np.array_equal(x, trials):
        raise DataError(
            f"a pm.Data container must hold the trials as {likelihood.model} reads them, shape {x.shape}; "
            f"got shape {np.shape(trials)}. Put in the result of likelihood.read(data)."
        )
    return np.array(x, dtype=np.float64)


def wrong_length(name: str, *, got: Sequence[int | None], trials: int) -> str:
    """Say that a parameter has not one value for each trial.

    Parameters
    ----------
    name : str
        The parameter.
    got : sequence of int or None
        Its shape.
    trials : int
        Number of trials.

    Returns
    -------
    str
        Expected, got, remedy.
    """
    shape = "(" + ", ".join("?" if n is None else str(n) for n in got) + ("," if len(got) == 1 else "") + ")"
    return (
        f"{name} must be one number or {trials} of them, one for each trial; got shape {shape}. "
        f"Index it by trial, for example {name}_of_subject[subject_of_trial]."
    )
