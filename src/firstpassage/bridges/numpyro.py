"""A likelihood, exact or learned, as a distribution of NumPyro.

NumPyro computes in float32 unless told otherwise, and so does the density then. Of the exact drift-diffusion model the
sum over 4000 trials is off by .0004 nat over a posterior, of the neuron one trace by .002 nat: NUTS does not see it.
For float64, run everything inside ``with jax.enable_x64():``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution, constraints

from firstpassage.bridges import _numpyro_priors, _predict
from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.likelihood import Likelihood

_ROUNDING = 1e-6  # of a box's width: what float32 may put a draw at the edge outside by
_PROBE = (1, 8)  # trials that are simulated to learn how wide one is


class Trials(Distribution):
    """Distribute one trial: the columns are the event, parameters and trials the batch.

    `make` makes the subclass of one likelihood, which is called with every parameter by its name.

    Parameters
    ----------
    *misplaced
        Refused: parameters have names.
    validate_args : bool, optional
        Whether to check that parameters whose values are known lie in the box.
    **theta : float or array_like
        Every parameter, in shapes that broadcast: a scalar, one value for each trial, or any plates before.

    Raises
    ------
    DataError
        If a parameter is not numeric, or the shapes do not broadcast.
    ModelError
        If a parameter is unknown, missing or given by position, or outside its box where that is to be checked.

    Examples
    --------
    >>> import firstpassage as fp
    >>> Obs = fp.ddm().exact.to_numpyro()
    >>> trial = Obs(v=[0.5, 1.0, 1.5], a=1.5, z=0.5, t=0.3)
    >>> trial.batch_shape, trial.event_shape
    ((3,), (2,))
    """

    likelihood: ClassVar[Likelihood]
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    _read: ClassVar[list[np.ndarray]] = []  # the trials that were checked last

    def __init__(self, *misplaced: Any, validate_args: bool | None = None, **theta: Any) -> None:
        likelihood = self.likelihood
        if misplaced:
            named = "=..., ".join(likelihood.parameter_names)
            raise ModelError(
                f"the distribution of {likelihood.model} takes its parameters by name; got {len(misplaced)} by "
                f"position. Write Obs({named}=...)."
            )
        likelihood.check_names(theta)
        values = {name: _number(name, theta[name]) for name in likelihood.parameter_names}
        for name, value in values.items():
            setattr(self, _field(name), value)
        super().__init__(_batch(values), (len(likelihood.columns),), validate_args=validate_args)

    @property
    def theta(self) -> dict[str, jax.Array]:
        """The parameters, in the order of the model."""
        return {name: vars(self)[_field(name)] for name in self.likelihood.parameter_names}

    @property
    def has_rsample(self) -> bool:
        """Tell that draws cannot be differentiated."""
        return False

    def validate_args(self, strict: bool = True) -> None:
        """Check that parameters lie in the box, as far as their values are known.

        Parameters
        ----------
        strict : bool
            Whether to refuse values that are being traced.

        Raises
        ------
        ModelError
            If one does not.
        """
        for name, (low, high) in self.likelihood.box.items():
            value = self.theta[name]
            if isinstance(value, jax.core.Tracer):
                if strict:
                    raise ModelError(f"{name} is being traced by JAX, so that it cannot be checked. Check it before.")
            elif not ((np.asarray(value) >= low) & (np.asarray(value) <= high)).all():
                raise ModelError(f"{name} must lie in its box ({low:g}, {high:g}); got {value}. Change it.")

    def log_prob(self, value: Any, intermediates: Any = None) -> jax.Array:
        """Evaluate the log density (for kind "nre" the log ratio) of every trial.

        Parameters
        ----------
        value : array_like, shape (..., column)
            Trials, as `read` returns them. Values that are not being traced are checked.
        intermediates : None
            For NumPyro.

        Returns
        -------
        jax.Array
            Nats, one for each trial: the shape of the batch. -inf with a zero gradient outside the box.

        Raises
        ------
        DataError
            If the trials cannot be used.
        """
        del intermediates
        x = self._checked(value)
        theta = self.theta
        try:
            shape = np.broadcast_shapes(x.shape[:-1], self.batch_shape)
        except ValueError:
            raise DataError(
                f"the trials have shape {x.shape}, which does not broadcast with parameters of shape "
                f"{self.batch_shape}. Index parameters by trial, for example effect[subject_of_trial]."
            ) from None
        rows = jnp.broadcast_to(x, (*shape, x.shape[-1])).reshape(-1, x.shape[-1])
        flat = {n: v.reshape(()) if v.size == 1 else jnp.broadcast_to(v, shape).ravel() for n, v in theta.items()}
        return self.likelihood.function(rows, flat).reshape(shape)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Simulate trials, on the host; inside a compiled program too, as `Predictive` needs it.

        Parameters
        ----------
        key : jax.Array
            Source of randomness.
        sample_shape : tuple of int
            Of independent draws.

        Returns
        -------
        jax.Array, shape (*sample_shape, *batch_shape, column)
            The trials.

        Raises
        ------
        ModelError
            If there is no simulator, or a parameter is outside its box.
        """
        shape = (*sample_shape, *self.batch_shape)
        bits = jax.random.bits(key, (4,), "uint32")
        theta = {name: jnp.broadcast_to(value, shape).ravel() for name, value in self.theta.items()}
        simulate = _Simulator(self.likelihood, np.dtype(jax.dtypes.canonicalize_dtype(float)))
        if not any(isinstance(one, jax.core.Tracer) for one in (bits, *theta.values())):
            return jnp.asarray(simulate(bits, theta)).reshape(*shape, -1)
        n = int(np.prod(shape))
        result = jax.ShapeDtypeStruct((n, _simulated_width(self.likelihood)), simulate.dtype)
        return jax.pure_callback(simulate, result, bits, theta, vmap_method="sequential").reshape(*shape, -1)

    @classmethod
    def read(cls, data: Any) -> np.ndarray:
        """Check one subject's trials, and give them as `obs` takes them.

        Parameters
        ----------
        data : DataFrame or array_like
            See the model.

        Returns
        -------
        ndarray, shape (trial, column)
            The trials.

        Raises
        ------
        DataError
            If they cannot be used.
        """
        return np.asarray(cls.likelihood.read(data), dtype=np.float64)

    @classmethod
    def priors(cls, *names: str, data: Any = None) -> tuple[jax.Array, ...]:
        """Sample the parameters' own priors, cut to the box, inside a NumPyro model.

        Parameters
        ----------
        *names : str
            Which parameters, in which order. None means all.
        data : DataFrame or array_like, optional
            One subject's trials: cuts the priors to where these are possible as well (t below the fastest rt). The
            posterior is the same, and NUTS can neither start nor step where there is nothing.

        Returns
        -------
        tuple of jax.Array
            One for each name.

        Raises
        ------
        DataError
            If the data cannot be used.
        ModelError
            If a name is unknown, or a prior misses the box.
        """
        bounds = cls.likelihood.box if data is None else cls.likelihood.support(cls.read(data))
        return _numpyro_priors.draw(cls.likelihood, names, bounds)

    @classmethod
    def start(cls, data: Any) -> Callable[..., Any]:
        """Make a strategy of starts for ``NUTS(model, init_strategy=...)`` where the data are possible.

        Sites that are called as parameters which the data bound (t), whatever their plates, start inside the bounds;
        all others as by `numpyro.infer.init_to_uniform`. Needed where many subjects have each such a parameter.

        Parameters
        ----------
        data : DataFrame or array_like
            The trials of all subjects.

        Returns
        -------
        callable
            A strategy.

        Raises
        ------
        DataError
            If the data cannot be used.
        """
        x = cls.read(data)
        bounded = cls.likelihood.limits(x) if cls.likelihood.limits else {}
        support = cls.likelihood.support(x)
        return _numpyro_priors.strategy({name: support[name] for name in bounded})

    @classmethod
    def _checked(cls, value: Any) -> jax.Array:
        """Check trials that are not being traced, unless they are those that were checked last."""
        width = np.shape(value)[-1:]
        if not isinstance(value, jax.core.Tracer):
            x = np.asarray(value)
            if not (cls._read and np.array_equal(cls._read[0], x)):
                _accept(cls.likelihood, x)
                cls._read[:] = [x.copy()]
        elif cls.likelihood.describe is None and width != (len(cls.likelihood.columns),):
            raise DataError(_not_read(cls.likelihood, np.shape(value)))
        return jnp.asarray(value)


@lru_cache(maxsize=64)
def make(likelihood: Likelihood) -> type[Trials]:
    """Make the distribution of one likelihood; the same class for the same likelihood.

    Parameters
    ----------
    likelihood : Likelihood
        Exact or learned. Of a ratio (kind "nre") the log densities hold an unknown constant of each trial, so that
        `numpyro.infer.log_likelihood` gives nothing that models could be compared by.

    Returns
    -------
    type
        A subclass of `Trials`.

    Examples
    --------
    >>> import firstpassage as fp, jax, numpyro
    >>> likelihood = fp.ddm().exact
    >>> Obs = make(likelihood)
    >>> x = Obs.read([[0.8, 1.0], [0.6, -1.0]])
    >>> def model(x=None, trials=2):
    ...     v, a, z, t = Obs.priors("v", "a", "z", "t", data=x)
    ...     with numpyro.plate("trial", trials):
    ...         numpyro.sample("obs", Obs(v=v, a=a, z=z, t=t), obs=x)
    >>> sampler = numpyro.infer.MCMC(numpyro.infer.NUTS(model), num_warmup=20, num_samples=10, progress_bar=False)
    >>> sampler.run(jax.random.key(1), x)
    >>> sampler.get_samples()["t"].shape
    (10,)
    """
    fields = tuple(_field(name) for name in likelihood.parameter_names)
    body = {"likelihood": likelihood, "pytree_data_fields": fields, "_read": [], "__doc__": Trials.__doc__}
    return type(f"Trials_{likelihood.kind}_{likelihood.model}", (Trials,), body)


class _Simulator:
    """Simulate trials from the parameters that JAX hands over."""

    def __init__(self, likelihood: Likelihood, dtype: np.dtype) -> None:
        self._likelihood = likelihood
        self.dtype = dtype

    def __call__(self, bits: Any, theta: dict[str, Any]) -> np.ndarray:
        """Draw one trial for each row."""
        rows = {}
        for name, (low, high) in self._likelihood.box.items():
            value, margin = np.asarray(theta[name], dtype=np.float64), _ROUNDING * (high - low)
            near = (value >= low - margin) & (value <= high + margin)
            rows[name] = np.where(near, np.clip(value, low, high), value)
        rng = np.random.default_rng(np.asarray(bits).tolist())
        return _predict.simulate(self._likelihood, rows, rng).astype(self.dtype)


def _field(name: str) -> str:
    """Name the attribute of a parameter, whose own name may be that of something else, such as mean."""
    return f"theta_{name}"


def _number(name: str, value: Any) -> jax.Array:
    """Take a parameter as a real JAX array."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be a number or an array of numbers; got {value!r}.") from None
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} must be real; got {array.dtype}. Pass floating point numbers.")
    return array.astype(jnp.result_type(array, jnp.float32))


def _batch(theta: dict[str, jax.Array]) -> tuple[int, ...]:
    """Broadcast the shapes of the parameters."""
    try:
        return np.broadcast_shapes(*(value.shape for value in theta.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in theta.items())
        raise DataError(f"the shapes of the parameters must broadcast; got {shapes}. Index them by trial.") from None


def _accept(likelihood: Likelihood, x: np.ndarray) -> None:
    """Check trials that are an array as `read` returns it, in any plates."""
    if x.ndim < 1 or (likelihood.describe is None and x.shape[-1] != len(likelihood.columns)):
        raise DataError(_not_read(likelihood, x.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # `read` has given it
        rows = x.reshape(-1, x.shape[-1])
        known = likelihood.read(rows)
    if not np.array_equal(known, rows):
        raise DataError(_not_read(likelihood, x.shape))


def _not_read(likelihood: Likelihood, shape: tuple[int, ...]) -> str:
    """Say how trials must come."""
    return (
        f"obs must be trials as {likelihood.model} reads them, with {', '.join(likelihood.columns)} along the last "
        f"axis; got shape {shape}. Pass obs=Obs.read(data)."
    )


@lru_cache(maxsize=64)
def _simulated_width(likelihood: Likelihood) -> int:
    """Find how wide a simulated trial is, which a compiled program must know."""
    if likelihood.describe is None:
        return len(likelihood.columns)
    rng = np.random.default_rng(0)
    middle = {name: (low + high) / 2 for name, (low, high) in likelihood.box.items()}
    widths = {
        _predict.simulate(likelihood, {name: np.full(n, value) for name, value in middle.items()}, rng).shape[-1]
        for n in _PROBE
    }
    if len(widths) > 1:
        raise ModelError(
            f"a simulated {likelihood.trial} of {likelihood.model} has no fixed length, as compiled programs need. "
            "Simulate outside of JAX: likelihood.simulate(theta, rng)."
        )
    return widths.pop()
