"""Model: parameters, a prior, a simulator of data given parameters, and the exact likelihood where there is one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from firstpassage import _priors, seeds
from firstpassage._priors import Dependent
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import _simulate
from firstpassage.models.joint import Joint
from firstpassage.models.parameter import Parameter
from firstpassage.models.records import Decisions, Mixed, Schema, Statistics, Symmetry

if TYPE_CHECKING:
    import bayesflow as bf

Style = Literal["batch", "single", "jax"]
Theta = Mapping[str, np.ndarray]


class Model:
    """Put a prior and a simulator of data together, for amortized inference.

    Parameters
    ----------
    name : str
        A short name, such as ``"ddm"``.
    parameters : sequence of Parameter
        In the order that everything will have.
    likelihood : callable
        The simulator of data given parameters. Style "batch": ``f(theta, *, trials, rng)`` with a dict of (n,) arrays,
        returning a dict of (n, trials, ...) arrays; "single": the same for one parameter set, with floats and
        (trials, ...); "jax": as "single", traceable, with a JAX key as `rng`; it is vmapped and compiled.
    prior : object, optional
        A joint prior, of parameters that may depend on each other: a NumPyro distribution of as many numbers as there
        are parameters, in their order; a NumPyro model (a function without arguments) or a ``pm.Model`` that samples
        each parameter by its name; a Joint; or ``f(n, *, rng)`` returning a dict of (n,) arrays, which has no density,
        so that only NPE can use the model. None draws each parameter from its own prior.
    exact : Likelihood, optional
        The exact likelihood, if it can be computed.
    schema : Schema, optional
        What one subject's data are. None takes a dict of arrays with trials first.
    symmetry : Symmetry, optional
        Symmetries of the simulator that networks may use.
    mixed : Mixed, optional
        How a trial splits into a category and a continuous value.
    decisions : Decisions, optional
        How a trial is a sequence of decisions.
    statistics : Statistics, optional
        Statistics of a trial that a likelihood can be learned of, where that of the trial itself cannot.
    summary : callable, optional
        Summary statistics of the data.
    guess : callable, optional
        ``guess(statistics) -> (centre, spread)``, each (n, coordinate): where about the posterior lies in the
        coordinates of a joint prior, from those statistics; a network learns how it differs.
    style : {"batch", "single", "jax"}
        How `likelihood` wants to be called.
    settings : mapping, optional
        Constants of the simulator, stored with what is trained.

    Raises
    ------
    ModelError
        If a part is missing or does not fit the others.

    Examples
    --------
    >>> def simulate(theta, *, trials, rng):
    ...     return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}
    >>> model = Model(name="shift", parameters=[Parameter("mu", bounds=(-1, 1))], likelihood=simulate)
    >>> model.likelihood(model.prior(3, seed=1), trials=2, seed=1)["x"].shape
    (3, 2)
    """

    def __init__(
        self,
        *,
        name: str,
        parameters: Sequence[Parameter],
        likelihood: Callable[..., Any],
        prior: Any = None,
        exact: Likelihood | None = None,
        schema: Schema | None = None,
        symmetry: Symmetry | None = None,
        mixed: Mixed | None = None,
        decisions: Decisions | None = None,
        statistics: Statistics | None = None,
        summary: Callable[..., Any] | None = None,
        guess: Callable[..., Any] | None = None,
        style: Style = "batch",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if style not in get_args(Style):
            raise ModelError(f"style must be one of {', '.join(get_args(Style))}; got {style!r}.")
        if not isinstance(name, str) or not name.isidentifier():
            raise ModelError(f"a model's name must be a Python identifier; got {name!r}. Use one such as 'moons'.")
        if not callable(likelihood):
            raise ModelError(f"likelihood must be a function that simulates data; got {likelihood!r}.")
        checked = _parameters(parameters)
        made = _checked_prior(prior, checked)
        if exact is not None and made is not None and not isinstance(made, Joint):
            exact = replace(exact, dependent=made)
        self._freeze(
            name=name, parameters=checked, exact=exact, schema=schema, symmetry=symmetry,
            mixed=mixed, decisions=decisions, statistics=statistics, summary=summary, guess=guess, style=style,
            settings=dict(settings or {}), _simulator=likelihood, _prior=made,
        )  # fmt: skip

    name: str
    parameters: tuple[Parameter, ...]
    exact: Likelihood | None
    schema: Schema | None
    symmetry: Symmetry | None
    mixed: Mixed | None
    decisions: Decisions | None
    statistics: Statistics | None
    summary: Callable[..., Any] | None
    guess: Callable[..., Any] | None
    style: Style
    settings: Mapping[str, Any]
    _simulator: Callable[..., Any]
    _prior: Callable[..., Any] | Joint | Dependent | None

    def _freeze(self, **fields: Any) -> None:
        """Set the fields once."""
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def __setattr__(self, field: str, value: Any) -> None:
        """Refuse changes: a model is a value."""
        raise ModelError(f"a Model is frozen; make a new one instead of setting {field}.")

    def __repr__(self) -> str:
        """Show name and box."""
        box = ", ".join(f"{p.name} in [{p.bounds[0]:g}, {p.bounds[1]:g}]" for p in self.parameters)
        return f"Model({self.name}: {box})"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters: the order of everything."""
        return tuple(p.name for p in self.parameters)

    @property
    def joint(self) -> Joint | None:
        """The joint prior in its coordinates, if the parameters depend on each other."""
        return self._prior if isinstance(self._prior, Joint) else None

    @property
    def dependent(self) -> Dependent | Callable[..., Any] | None:
        """The joint prior that a user brought; a function has no density."""
        return None if isinstance(self._prior, Joint) else self._prior

    @property
    def approximate(self) -> Likelihood | None:
        """The quick approximation of the exact likelihood, if there is one."""
        return None if self.exact is None else self.exact.approximation

    def prior(self, n: int, *, seed: int) -> dict[str, np.ndarray]:
        """Draw parameter sets.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            From 0 to 2**63 - 1.

        Returns
        -------
        dict of str to ndarray, shape (n,)
            In the order and units of the parameters.

        Raises
        ------
        ModelError
            If `n` or the seed is wrong, or the prior leaves the box.
        """
        return self._draw_prior(_count("n", n), seeds.generator(seed, "prior"))

    def _draw_prior(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw from the joint prior, or from each parameter's own."""
        if isinstance(self._prior, Joint):
            drawn = self._prior.parameters(self._prior.sample(n, rng))
        elif isinstance(self._prior, Dependent):
            drawn = self._prior.sample(n, rng)
        elif self._prior is not None:
            drawn = dict(self._prior(n, rng=rng))
        else:
            drawn = {p.name: _draw(p, n, rng) for p in self.parameters}
        return self._check_theta(drawn, n=n)

    def log_prior(self, theta: Theta) -> np.ndarray:
        """Evaluate the log density of the prior.

        Parameters
        ----------
        theta : dict of str to ndarray, shape (n,)
            Parameter sets.

        Returns
        -------
        ndarray, shape (n,)
            -inf outside the box.

        Raises
        ------
        ModelError
            If the prior was given as a function that can only be sampled.
        """
        if isinstance(self._prior, Joint):
            return np.asarray(self._prior.log_density(theta))
        if self._prior is not None and not isinstance(self._prior, Dependent):
            raise ModelError(
                f"the prior of {self.name} can only be sampled. Give each Parameter a prior instead, or the Model a "
                "joint one with a density."
            )
        joint, total = self._prior, np.zeros(np.shape(theta[self.parameter_names[0]]))
        if joint is not None:
            total = joint.log_density(theta)
        for p in self.parameters:
            value = np.asarray(theta[p.name], dtype=np.float64)
            low, high = p.bounds
            density: Any = 0.0
            if joint is None:
                density = -np.log(high - low) if p.prior is None else _priors.log_density(p.prior, value) - p.log_mass
            total = total + np.where((value >= low) & (value <= high), density, -np.inf)
        return total

    def likelihood(self, theta: Theta, *, trials: int = 1, seed: int) -> dict[str, np.ndarray]:
        """Simulate data given parameters.

        Parameters
        ----------
        theta : dict of str to ndarray, shape (n,)
            Parameter sets inside the box.
        trials : int
            Trials for each parameter set.
        seed : int
            From 0 to 2**63 - 1.

        Returns
        -------
        dict of str to ndarray, shape (n, trials, ...)
            The observed variables.

        Raises
        ------
        ModelError
            If the parameters do not fit, or the simulator's output has a wrong form.
        DataError
            If the simulator returns NaN or infinite values.
        """
        checked = self._check_theta(theta)
        n = len(checked[self.parameter_names[0]])
        return _simulate.run(
            self, checked, trials=_count("trials", trials), n=n, rng=seeds.generator(seed, "likelihood")
        )

    def simulator(self, *, trials: int = 1, seed: int | None = None) -> bf.simulators.Simulator:
        """Make a batched BayesFlow simulator from prior and likelihood.

        Parameters
        ----------
        trials : int
            Trials for each parameter set.
        seed : int, optional
            Of the whole stream of batches; None is 0.

        Returns
        -------
        bayesflow.simulators.Simulator
            ``.sample(batch)`` gives parameters of shape (batch, 1) and data of shape (batch, trials, ...).
        """
        from firstpassage.estimators.simulator import make

        return make(self, trials=_count("trials", trials), seed=0 if seed is None else seed)

    def _check_theta(self, theta: Theta, n: int | None = None) -> dict[str, np.ndarray]:
        """Check names, shapes and the box of parameter sets."""
        if not isinstance(theta, Mapping) or set(theta) != set(self.parameter_names):
            given = sorted(theta) if isinstance(theta, Mapping) else type(theta).__name__
            raise ModelError(f"theta must be a dict of {', '.join(self.parameter_names)}; got {given}.")
        checked = {p.name: np.atleast_1d(np.asarray(theta[p.name], dtype=np.float64)) for p in self.parameters}
        shapes = {value.shape for value in checked.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or (n is not None and shapes != {(n,)}):
            raise ModelError(
                f"every parameter must have shape {(n or 'n',)}; got { {k: v.shape for k, v in checked.items()} }."
            )
        for p in self.parameters:
            bad = ~((checked[p.name] >= p.bounds[0]) & (checked[p.name] <= p.bounds[1]))
            if bad.any():
                raise ModelError(
                    f"{p.name} must lie in {p.bounds}; {int(bad.sum())} of {bad.size} do not (first: "
                    f"{checked[p.name][bad][0]!r}). Widen the bounds of the parameter, or change the prior; "
                    "Parameter(..., truncate=True) cuts its own one."
                )
        return checked


def _parameters(given: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Check that there are parameters, each with its own name."""
    parameters = tuple(given)
    if not parameters or not all(isinstance(p, Parameter) for p in parameters):
        raise ModelError(f"parameters must be one or more firstpassage.Parameter; got {given!r}.")
    names = [p.name for p in parameters]
    if len(set(names)) != len(names):
        raise ModelError(f"every parameter needs a name of its own; got {', '.join(names)}.")
    return parameters


def _checked_prior(prior: Any, parameters: tuple[Parameter, ...]) -> Any:
    """Take a joint prior; one in coordinates must be of these parameters and lie in their box."""
    names = tuple(p.name for p in parameters)
    if prior is None:
        return None
    if not isinstance(prior, Joint):
        made, own = _priors.joint(prior, names), [p.name for p in parameters if p.prior is not None]
        if own and isinstance(made, Dependent):
            raise ModelError(
                f"the Model has a joint prior, and {', '.join(own)} one of their own. Leave out one or the other."
            )
        return made
    if prior.names != names:
        raise ModelError(
            f"a joint prior must have the parameters of the model, {', '.join(names)}; got {', '.join(prior.names)}."
        )
    for p in parameters:
        low, high = prior.bounds[p.name]
        if low < p.bounds[0] or high > p.bounds[1]:
            raise ModelError(f"the prior of {p.name} lives on [{low:g}, {high:g}], beyond its bounds {p.bounds}.")
    return prior


def _count(name: str, value: Any) -> int:
    """Check a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{name} must be a positive integer; got {value!r}.")
    return int(value)


def _draw(parameter: Parameter, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one parameter from its own prior; where that is cut to the bounds, until enough lie in them."""
    if parameter.prior is None:
        return rng.uniform(*parameter.bounds, size=n)
    if not parameter.truncate:
        return _drawn(parameter.prior, n, rng)
    (low, high), found = parameter.bounds, np.empty(0)
    while len(found) < n:
        more = _drawn(parameter.prior, n, rng)
        found = np.concatenate([found, more[(more >= low) & (more <= high)]])
    return found[:n]


def _drawn(prior: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from a distribution of NumPyro, or anything like it."""
    if "key" in inspect.signature(prior.sample).parameters:
        import jax

        with jax.enable_x64():
            return np.asarray(prior.sample(jax.random.key(rng.integers(2**31)), (n,)), dtype=np.float64)
    return np.asarray(prior.sample(n, rng), dtype=np.float64)
