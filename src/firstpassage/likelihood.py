"""Likelihood: one log density (or log ratio) per trial, exact or learned, behind one type.

Batching, names, shapes, the box and the precision are checked here, once, for every model and method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from firstpassage import _mode, _nuts, _sampling, _spaces, _subjects, _sums, _values
from firstpassage._conversions import AbstractConvertible
from firstpassage.errors import DataError, ModelError

if TYPE_CHECKING:
    import jax
    import pandas as pd
    import xarray as xr

    from firstpassage._priors import Dependent
    from firstpassage.models.joint import Joint
    from firstpassage.models.parameter import Parameter

Method = Literal["auto", "nuts", "importance", "smc"]
Kind = Literal["exact", "approximate", "nle", "nre"]
Precision = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Likelihood(AbstractConvertible):
    """Give the log density of every trial as a function of the parameters.

    Made by ``model.exact``, by ``NRE(model).fit(...)``, ``load`` and ``pretrained``; seldom by hand.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"ddm"``.
    kind : {"exact", "approximate", "nle", "nre"}
        What the numbers are. For ``"nre"`` they are log ratios: each trial has an unknown constant.
    trial : str
        What one trial is, such as ``"choice"``.
    parameters : tuple of Parameter
        In the order of the model. Their bounds are the box outside of which the density is zero.
    columns : tuple of str
        Names of the observed variables of a trial, in the order of the last axis of what `read` returns.
    read : callable
        Turns one subject's data into an array with one trial per row, or raises `DataError`.
    density : callable
        Pure JAX, ``density(x, theta) -> (trial,)``: `x` as `read` returns it, `theta` a dict of scalars or
        (trial,) arrays, already inside the box.
    limits : callable, optional
        ``limits(x) -> {name: (lower, upper)}``: bounds that the data imply, such as t below the fastest rt.
    simulate : callable, optional
        ``simulate(theta, rng) -> (n, column)`` array: one simulated trial for each row of `theta`, a dict of
        (n,) arrays; for predictive sampling.
    describe : callable, optional
        ``describe(x) -> {name: (trial,)}``: what to list of every trial, where `columns` do not name the columns of x.
    table : callable, optional
        ``table(data) -> DataFrame``, for `trials`, where a trial is more than a row of the data.
    approximation : Likelihood, optional
        A quick approximation of the same density, from whose posterior draws are weighed by this one.
    sums : callable, optional
        ``sums(x, theta) -> (draw,)``: a quicker way to sum the log density over the trials for many parameter sets,
        a dict of (draw,) or (draw, trial) arrays inside the box.
    joint : Joint, optional
        The prior of parameters that depend on each other; `sample` then works in its coordinates.
    dependent : Dependent or callable, optional
        The joint prior that a user brought. A function has no density: `sample` must then be given all priors.
    several_modes : bool
        Whether posteriors may have several modes, which NUTS would not find the shares of.
    start : callable, optional
        ``start(x) -> {name: (value, width)}``, (trial,) each: about where the parameters of each trial lie.
    precision : {"float64", "float32"}
        In which the density is computed. Sums over trials are always made in the caller's precision.
    card : mapping, optional
        What is known of a learned likelihood: training, versions, audit.
    arrays : mapping of str to ndarray, optional
        Weights of a learned likelihood, as its bundle holds them.

    Examples
    --------
    >>> import firstpassage as fp
    >>> exact = fp.ddm().exact
    >>> exact.log_prob([[0.8, 1.0], [0.6, -1.0]], v=0.5, a=1.5, z=0.5, t=0.3).round(3)
    array([-1.036, -3.245])
    """

    model: str
    kind: Kind
    trial: str
    parameters: tuple[Parameter, ...]
    columns: tuple[str, ...]
    read: Callable[[Any], np.ndarray] = field(repr=False)
    density: Callable[[jax.Array, Mapping[str, jax.Array]], jax.Array] = field(repr=False)
    limits: Callable[[np.ndarray], dict[str, tuple[float, float]]] | None = field(default=None, repr=False)
    simulate: Callable[[Mapping[str, np.ndarray], np.random.Generator], np.ndarray] | None = field(
        default=None, repr=False
    )
    describe: Callable[[np.ndarray], dict[str, np.ndarray]] | None = field(default=None, repr=False)
    table: Callable[[Any], pd.DataFrame] | None = field(default=None, repr=False)
    approximation: Likelihood | None = field(default=None, repr=False)
    sums: Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray] | None = field(default=None, repr=False)
    joint: Joint | None = field(default=None, repr=False)
    dependent: Dependent | Callable[..., Any] | None = field(default=None, repr=False)
    several_modes: bool = False
    start: Callable[[np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]] | None = field(default=None, repr=False)
    precision: Precision = "float64"
    card: Mapping[str, Any] | None = field(default=None, repr=False)
    arrays: Mapping[str, np.ndarray] | None = field(default=None, repr=False)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the model."""
        return tuple(p.name for p in self.parameters)

    @property
    def box(self) -> dict[str, tuple[float, float]]:
        """Lower and upper bound of every parameter, in the parameter's unit."""
        return {p.name: p.bounds for p in self.parameters}

    def function(self, x: jax.Array, theta: Mapping[str, jax.Array]) -> jax.Array:
        """Evaluate the log density of every trial in JAX: traceable, differentiable, without checks.

        Parameters
        ----------
        x : jax.Array, shape (trial, ...)
            What `read` returns.
        theta : mapping of str to jax.Array
            Scalars, or one value for each trial.

        Returns
        -------
        jax.Array, shape (trial,)
            Nats; -inf with a zero gradient outside the box.
        """
        import jax.numpy as jnp
        from jax import dtypes

        dtype = dtypes.canonicalize_dtype(self.precision)
        inside, safe = jnp.ones((), dtype=bool), {}
        for name, (low, high) in self.box.items():
            value = jnp.asarray(theta[name])
            inside &= (value >= low) & (value <= high)
            known = jnp.where(jnp.isnan(value), (low + high) / 2, value)
            safe[name] = jnp.clip(known, low, high).astype(dtype)
        density = self.density(jnp.asarray(x, dtype), safe).astype(_values.widest(x, theta))
        return jnp.where(inside, density, -jnp.inf)

    @cached_property
    def compiled(self) -> Callable[..., jax.Array]:
        """Hold the compiled `function` for the life of this object."""
        import jax

        return jax.jit(self.function)

    def log_prob(self, data: Any, **theta: Any) -> np.ndarray:
        """Evaluate the log density (for ``kind="nre"`` the log ratio) of every trial.

        Parameters
        ----------
        data : DataFrame or array_like
            One subject's trials; see the model.
        **theta : float or array_like, shape (trial,)
            Every parameter by its name: one value, or one for each trial.

        Returns
        -------
        ndarray, shape (trial,), float64
            Nats. -inf outside the box and where the data are impossible.

        Raises
        ------
        DataError
            If the data are not usable, or a parameter has not one value per trial.
        ModelError
            If a parameter is unknown or missing.
        """
        import jax

        x = self.read(data)
        values = self.values(theta, trials=len(x))
        with jax.enable_x64():
            return np.asarray(self.compiled(x, values), dtype=np.float64)

    def summed(self, x: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """Sum the log density over all trials, for many parameter sets.

        Parameters
        ----------
        x : ndarray, shape (trial, ...)
            What `read` returns.
        theta : mapping of str to ndarray, shape (draw,) or (draw, trial)
            Every parameter by its name, inside the box.

        Returns
        -------
        ndarray, shape (draw,), float64
            Nats.
        """
        return self.sums(x, theta) if self.sums is not None else _sums.run(self, x, theta)

    def values(self, theta: Mapping[str, Any], *, trials: int) -> dict[str, np.ndarray]:
        """Check parameter values: every name once, each a scalar or one value per trial.

        Parameters
        ----------
        theta : mapping of str to array_like
            The values by name.
        trials : int
            Number of trials.

        Returns
        -------
        dict of str to ndarray, shape () or (trial,), float64
            In the order of the model.

        Raises
        ------
        DataError
            If a value is not numeric or has another shape.
        ModelError
            If a name is unknown or missing.
        """
        self.check_names(theta)
        return {name: _values.value(name, theta[name], trials=trials) for name in self.parameter_names}

    def check_names(self, names: Any) -> None:
        """Raise unless `names` are exactly the names of the parameters, in any order.

        Parameters
        ----------
        names : iterable of str
            The names given.

        Raises
        ------
        ModelError
            If one is unknown or missing.
        """
        _values.check_names(self.model, self.parameter_names, names)

    def trials(self, data: Any) -> pd.DataFrame:
        """List the trials in the order of `log_prob`, so that regressors can be matched to them.

        Parameters
        ----------
        data : DataFrame or array_like
            One subject's trials.

        Returns
        -------
        DataFrame
            One row for each trial, with the observed variables and the index of `data` if it has one.

        Raises
        ------
        DataError
            If the data are not usable.
        """
        import pandas as pd

        if self.table is not None:
            return self.table(data)
        x = self.read(data)
        index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(x), name="trial")
        return pd.DataFrame(x.reshape(len(x), -1), columns=list(self.columns), index=index)

    def support(self, x: np.ndarray) -> dict[str, tuple[float, float]]:
        """Give the part of the box in which the data are possible at all.

        Parameters
        ----------
        x : ndarray, shape (trial, ...)
            What `read` returns.

        Returns
        -------
        dict of str to (float, float)
            Lower and upper bound of every parameter.

        Raises
        ------
        DataError
            If no value of a parameter allows these data.
        """
        support = dict(self.box)
        for name, (low, high) in (self.limits(x) if self.limits else {}).items():
            support[name] = (max(low, support[name][0]), min(high, support[name][1]))
            if support[name][0] >= support[name][1]:
                raise DataError(
                    f"these data need {name} between {low:.4g} and {high:.4g}, which lies outside its box "
                    f"{self.box[name]}. Look at the extreme trials, or train with a wider box."
                )
        return support

    def sample(
        self,
        data: Any,
        *,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        seed: int,
        prior: Mapping[str, Any] | None = None,
        method: Method = "auto",
    ) -> xr.DataTree:
        """Draw from the posterior of one subject, or of each of many, in compiled JAX programs.

        Parameters
        ----------
        data : DataFrame, array_like, or list of them
            One subject's trials; or a list of subjects, who may differ in their numbers of trials. Subjects are
            sampled independently of each other, and the draws of number i depend on the seed and i alone.
        draws, tune, chains : int
            Kept draws and warm-up steps of each chain, and the number of chains.
        seed : int
            From 0 to 2**63 - 1.
        prior : mapping of str to distribution, optional
            NumPyro distributions, or objects with a JAX ``log_prob``, which replace the model's own priors for
            the parameters named. All priors are cut to the box. Not where the model has a joint prior.
        method : {"auto", "nuts", "importance", "smc"}
            NUTS; or, for likelihoods with a quick approximation, draws of the approximate posterior weighed by this
            likelihood; or sequential Monte Carlo, which finds several modes and their shares. ``"auto"`` is the last
            for what was learned of a model without an exact likelihood, such as your own, if there are up to 16
            parameters and 64 trials; else the second where it can be trusted (Pareto k up to .7), and NUTS otherwise.

        Returns
        -------
        xarray.DataTree
            Groups posterior, sample_stats (for NUTS diverging, lp, energy, n_steps, tree_depth, acceptance_rate,
            step_size; for importance sampling lp; for sequential Monte Carlo lp, and for each of its steps power, ess
            and accepted) and observed_data, as ArviZ reads it. ``.attrs`` hold pareto_k, efficiency, effective (number
            of draws) after importance sampling, effective and a verdict after sequential Monte Carlo, and after NUTS of
            one subject the verdict on its chains, as `firstpassage.sample` writes it. With a list, draws have the
            dimensions (chain, draw, dataset), and data (dataset, trial), NaN beyond a subject's last trial.

        Raises
        ------
        DataError
            If the data are not usable; in a list, the message names the data set.
        ModelError
            If a setting, a prior or the seed is wrong.

        References
        ----------
        Hoffman and Gelman (2014), The No-U-Turn Sampler. For one subject, sampler and adaptation are those of
        BlackJAX; for many, the same algorithm with one leapfrog step of every chain at a time, and where the warm-up
        finds the draws of a chain correlated, only each second to fifth is kept. Vehtari, Simpson, Gelman, Yao and
        Gabry (2024), Pareto smoothed importance sampling. Del Moral, Doucet and Jasra (2006), Sequential Monte Carlo
        samplers.

        Examples
        --------
        >>> import firstpassage as fp
        >>> likelihood = fp.ddm().exact
        >>> subjects = [[[0.8, 1.0], [0.6, -1.0], [0.9, 1.0]], [[0.7, 1.0], [1.1, -1.0]]]
        >>> draws = likelihood.sample(subjects, draws=20, tune=20, chains=2, seed=1)
        >>> draws["posterior"]["v"].shape
        (2, 20, 2)
        """
        if method not in get_args(Method):
            raise ModelError(f'method must be one of {", ".join(get_args(Method))}; got {method!r}. Use "auto".')
        subjects = _subjects.many(data)
        settings = _nuts.Settings(draws=draws, tune=tune, chains=chains)
        x = [self.read(data)] if subjects is None else _subjects.read_all(self.read, subjects)
        space, many = _spaces.choose(self, prior or {}), subjects is not None
        result, attributes = _sampling.run(self, x, space=space, settings=settings, seed=seed, method=method, many=many)
        return _sampling.tree(self, x, result=result, attributes=attributes, many=many)

    def map(self, data: Any, *, seed: int = 0, prior: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Find the parameters of highest posterior density for one subject; of several modes, the highest.

        Parameters
        ----------
        data : DataFrame or array_like
            One subject's trials.
        seed : int
            Of the starting points.
        prior : mapping of str to distribution, optional
            As for `sample`.

        Returns
        -------
        dict of str to float
            The mode of the density of the parameters; with a joint prior in coordinates, of these.

        Raises
        ------
        DataError
            If the data are not usable, or impossible everywhere.
        """
        return _mode.find(self, self.read(data), space=_spaces.choose(self, prior or {}), seed=seed)
