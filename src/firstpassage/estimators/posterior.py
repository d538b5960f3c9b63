"""Posterior: an amortized posterior of the parameters, for any data set of its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstpassage import _mode, _sampling, _subjects, seeds
from firstpassage.errors import DataError, ModelError
from firstpassage.estimators import _correction, _latent
from firstpassage.estimators._correction import Corrected
from firstpassage.likelihood import Likelihood
from firstpassage.models import plain
from firstpassage.models.joint import Joint
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.estimators._conditional import Conditional


@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """Give the posterior of the parameters for any data set, at the cost of evaluating a network.

    Made by ``NPE(model).fit(...)``, ``load`` and ``pretrained``; seldom by hand.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"ddm"``.
    trial : str
        What one trial is, such as ``"choice"``.
    parameters : tuple of Parameter
        In the order of the model. Their bounds are the box, which no draw leaves.
    columns : tuple of str
        Names of the observed variables of a trial.
    trials : (int, int)
        Smallest and largest number of trials that it was trained for.
    read : callable
        Turns one subject's data into an array with one trial per row, or raises `DataError`.
    limits : callable, optional
        ``limits(x) -> {name: (lower, upper)}``: bounds that the data imply; no draw leaves these either.
    simulate : callable
        ``simulate(theta, rng) -> (n, column)`` array: one simulated trial for each row of `theta`.
    encode : callable
        ``encode(x)``: what the summary network takes of sets x (dataset, trial, column): fixed statistics
        (dataset, feature), or the trials as they are.
    log_prior : callable
        ``log_prior(theta) -> (n,)``: the prior that it was trained with.
    exact : Likelihood, optional
        The exact likelihood, by which draws can be corrected.
    card : mapping
        What is known of it: training, versions, audit.
    arrays : mapping of str to ndarray
        Weights, as its bundle holds them.
    describe : callable, optional
        ``describe(x) -> {name: (trial,)}``: what to list of every trial, where `columns` do not name the columns of x.
    given : callable, optional
        ``given(x)`` undoes `read`, where the exact likelihood reads the same data in another way.
    joint : Joint, optional
        The prior of parameters that depend on each other, which every draw obeys.
    guess : callable, optional
        ``guess(encode(x)) -> (centre, spread)`` of the coordinates of a joint prior, from which the flow starts.

    Examples
    --------
    >>> import firstpassage as fp
    >>> posterior = fp.pretrained("ddm", "npe")
    >>> data = fp.ddm().likelihood({"v": [1.0], "a": [1.0], "z": [0.5], "t": [0.3]}, trials=100, seed=1)
    >>> posterior.sample({name: value[0] for name, value in data.items()}, draws=100, seed=1)["posterior"]["v"].shape
    (1, 100)
    """

    model: str
    trial: str
    parameters: tuple[Parameter, ...]
    columns: tuple[str, ...]
    trials: tuple[int, int]
    read: Callable[[Any], np.ndarray] = field(repr=False)
    limits: Callable[[np.ndarray], dict[str, tuple[float, float]]] | None = field(repr=False)
    simulate: Callable[[Mapping[str, np.ndarray], np.random.Generator], np.ndarray] = field(repr=False)
    encode: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    log_prior: Callable[[Mapping[str, np.ndarray]], np.ndarray] = field(repr=False)
    exact: Likelihood | None = field(repr=False)
    card: Mapping[str, Any] = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    describe: Callable[[np.ndarray], dict[str, np.ndarray]] | None = field(default=None, repr=False)
    given: Callable[[np.ndarray], Any] | None = field(default=None, repr=False)
    joint: Joint | None = field(default=None, repr=False)
    guess: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = field(default=None, repr=False)

    @property
    def kind(self) -> Literal["npe"]:
        """Always "npe"."""
        return "npe"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the model."""
        return tuple(p.name for p in self.parameters)

    @property
    def box(self) -> dict[str, tuple[float, float]]:
        """Lower and upper bound of every parameter, in the parameter's unit."""
        return {p.name: p.bounds for p in self.parameters}

    @cached_property
    def _space(self) -> _latent.Space:
        """Hold how parameters lie on the flow's line."""
        return _latent.trained(
            self.arrays, joint=self.joint, box=self.parameters, limits=self.limits, prior=self.log_prior,
            guess=None if self.guess is None else _latent.Guess(self.guess, self.encode),
        )  # fmt: skip

    @cached_property
    def _network(self) -> Conditional:
        """Hold the compiled networks for the life of this object."""
        from firstpassage.estimators._conditional import Conditional

        return Conditional(self.arrays, settings=self.card["settings"], size=len(self.parameters))

    def sample(
        self, data: Any, *, draws: int = 1000, seed: int, correct: Literal["exact"] | None = None
    ) -> xr.DataTree:
        """Draw from the posterior of one subject, or of each of many.

        Parameters
        ----------
        data : DataFrame, array_like, or list of these
            One subject's trials; a list is many subjects, with a ``dataset`` dimension in the result.
        draws : int
            For each subject.
        seed : int
            From 0 to 2**63 - 1.
        correct : {"exact"}, optional
            Reweight the network's draws by prior times exact likelihood over the network's density, smooth the weights
            (PSIS), and resample. What was found is in ``.attrs``: pareto_k, efficiency, verdict. A k above .7
            is warned of (SamplingWarning).

        Returns
        -------
        xarray.DataTree
            Groups posterior (chain of length 1, draw, [dataset]), sample_stats (log_q, nats) and observed_data.

        Raises
        ------
        DataError
            If the data are not usable, or have a number of trials that it was not trained for.
        ModelError
            If a setting is wrong, or there is no exact likelihood.

        References
        ----------
        Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25.
        """
        seeds.check(seed)
        if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
            raise ModelError(f"draws must be a positive integer; got {draws!r}.")
        if correct not in (None, "exact"):
            raise ModelError(f'correct must be None or "exact"; got {correct!r}.')
        several = _subjects.many(data)
        x = self._read(data if several is None else several, several is not None, corrected=correct is not None)
        if correct is None:
            theta, log_q = self.propose(x, draws=int(draws), seed=seed)
            return self._tree(theta, {"log_q": log_q}, x=x, many=several is not None)
        found = [
            _correction.correct(self, one, draws=int(draws), seed=seeds.derive(seed, f"correction {i}"))
            for i, one in enumerate(x)
        ]
        return self._corrected(found, x=x, many=several is not None)

    def propose(self, x: Sequence[np.ndarray], *, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw from the network for sets that were read already.

        Parameters
        ----------
        x : sequence of ndarray, shape (trial, column)
            As `read` returns them.
        draws, seed : int
            For each set; the draws of a set depend on its place in the sequence only.

        Returns
        -------
        (ndarray, ndarray), shapes (dataset, draw, parameter) and (dataset, draw)
            Parameters, and the log density of the network there; with a joint prior that of its coordinates.
        """
        u, log_q = self._network.draw(self.summaries(x), _keys(seed, len(x), draws))
        return self._space.parameters(u, x), log_q + self._space.log_change(u, x)

    def weigh(self, x: Sequence[np.ndarray], *, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw as `propose` does, and evaluate the prior in the same measure, for importance weights.

        Parameters
        ----------
        x, draws, seed
            As for `propose`.

        Returns
        -------
        (ndarray, ndarray, ndarray), shapes (dataset, draw, parameter) and twice (dataset, draw)
            Parameters, log density of the network, and log density of the prior.
        """
        u, log_q = self._network.draw(self.summaries(x), _keys(seed, len(x), draws))
        log_prior = self._space.log_prior(u, x)
        return self._space.parameters(u, x), log_q + self._space.log_change(u, x), log_prior

    def summaries(self, x: Sequence[np.ndarray]) -> np.ndarray:
        """Give the learned summaries of sets that were read already.

        Parameters
        ----------
        x : sequence of ndarray, shape (trial, column)
            As `read` returns them.

        Returns
        -------
        ndarray, shape (dataset, summary)
            What the flow is given.
        """
        features: dict[int, np.ndarray] = {}
        for n in {len(one) for one in x}:
            rows = [i for i, one in enumerate(x) if len(one) == n]
            features |= dict(zip(rows, self.encode(np.stack([x[i] for i in rows])), strict=True))
        return self._network.summarise([features[i] for i in range(len(x))])

    def log_prob(self, theta: Mapping[str, Any], data: Any) -> np.ndarray:
        """Evaluate the log density of the posterior of one subject.

        Parameters
        ----------
        theta : mapping of str to array_like, shape (n,)
            Every parameter by its name.
        data : DataFrame or array_like
            One subject's trials.

        Returns
        -------
        ndarray, shape (n,), float64
            Nats; -inf outside the box and where the data are impossible. Of a parameter at an atom of a joint prior
            the log of its mass.

        Raises
        ------
        DataError
            If the data are not usable.
        ModelError
            If a parameter is unknown or missing.
        """
        if not isinstance(theta, Mapping) or set(theta) != set(self.parameter_names):
            given = sorted(theta) if isinstance(theta, Mapping) else type(theta).__name__
            raise ModelError(f"theta must map {', '.join(self.parameter_names)} to numbers; got {given}.")
        x = self._read(data, False, corrected=False)
        values = np.atleast_2d(_latent.stacked(theta, self.parameter_names))
        return self._log_q(values[None], x)[0]

    def log_densities(self, theta: Mapping[str, Any], x: Sequence[np.ndarray]) -> np.ndarray:
        """Evaluate the log density of one parameter set for each of many sets that were read already.

        Parameters
        ----------
        theta : mapping of str to array_like, shape (dataset,)
            Every parameter by its name.
        x : sequence of ndarray, shape (trial, column)
            As `read` returns them.

        Returns
        -------
        ndarray, shape (dataset,), float64
            Nats.
        """
        return self._log_q(_latent.stacked(theta, self.parameter_names)[:, None], x)[:, 0]

    def map(self, data: Any, *, seed: int = 0) -> dict[str, float]:
        """Find the parameters of highest posterior density for one subject; of several modes, the highest.

        Parameters
        ----------
        data : DataFrame or array_like
            One subject's trials.
        seed : int
            Of the starting points.

        Returns
        -------
        dict of str to float
            The mode of the network's density; with a joint prior that of its coordinates.

        Raises
        ------
        DataError
            If the data are not usable.
        """
        from scipy.optimize import minimize

        summaries = self.summaries(x := self._read(data, False, corrected=False))
        u, log_q = self._network.draw(summaries, _keys(seed, 1, 1000))
        starts = _mode.apart(u[0], log_q[0] + self._space.log_change(u, x)[0])

        def height(at: np.ndarray) -> float:
            v = at[None, None]
            return -float((self._network.log_prob(v, summaries) + self._space.log_change(v, x))[0, 0])

        options = {"xatol": 1e-4, "fatol": 1e-5, "maxiter": 400 * u.shape[-1], "adaptive": u.shape[-1] > 2}
        ends = (minimize(height, start, method="Nelder-Mead", options=options) for start in starts)
        best = min(ends, key=lambda end: end.fun)
        mode = self._space.parameters(best.x[None, None], x)[0, 0]
        return {name: float(value) for name, value in zip(self.parameter_names, mode, strict=True)}

    def _read(self, data: Any, many: bool, *, corrected: bool) -> list[np.ndarray]:
        """Read the data, and refuse numbers of trials that the network was not trained for."""
        x = _subjects.read_all(self.read, data) if many else [self.read(data)]
        low, high = self.trials
        wrong = [i for i, one in enumerate(x) if not low <= len(one) <= high]
        if wrong and not corrected:
            place = f" (data set {wrong[0]}; {len(wrong)} of {len(x)} in all)" if many else ""
            raise DataError(
                f"this posterior was trained for {low} to {high} trials; got {len(x[wrong[0]])}{place}. Train one with "
                'trials=(..., ...) that holds it, pass correct="exact", which certifies each fit, or use a likelihood.'
            )
        return x

    def _log_q(self, theta: np.ndarray, x: Sequence[np.ndarray]) -> np.ndarray:
        """Evaluate the log density at theta (dataset, n, parameter): (dataset, n)."""
        u, gain = self._space.place(theta, x)
        return self._network.log_prob(u, self.summaries(x)) + gain

    def _tree(
        self, theta: np.ndarray, statistics: dict[str, np.ndarray], *, x: Sequence[np.ndarray], many: bool
    ) -> xr.DataTree:
        """Put draws (dataset, draw, parameter) and statistics (dataset, draw) into the tree that ArviZ reads."""
        import arviz_base

        def shaped(values: np.ndarray) -> np.ndarray:
            return values.T[None] if many else values

        draws = {name: shaped(theta[..., i]) for i, name in enumerate(self.parameter_names)}
        stats = {name: shaped(value) for name, value in statistics.items()}
        data = _sampling.observed(self, x, many=many)
        each = ["dataset"] if many else []
        tree = arviz_base.from_dict(
            {"posterior": draws, "sample_stats": stats, "observed_data": data},
            coords={"trial": np.arange(max(map(len, x))), "dataset": np.arange(len(x))},
            dims=dict.fromkeys([*draws, *stats], each) | dict.fromkeys(data, [*each, "trial"]),
        )
        tree.attrs.update({"model": self.model, "kind": self.kind})
        return tree

    def _corrected(self, found: Sequence[Corrected], *, x: Sequence[np.ndarray], many: bool) -> xr.DataTree:
        """Put corrected draws into a tree, with what was found about the network."""
        theta = np.stack([one.theta for one in found])
        tree = self._tree(theta, {"log_q": np.stack([one.log_q for one in found])}, x=x, many=many)
        numbers = {name: [float(vars(one)[name]) for one in found] for name in ("pareto_k", "efficiency", "effective")}
        tree.attrs.update({k: v if many else v[0] for k, v in numbers.items()})
        tree.attrs["correct"], tree.attrs["verdict"] = "exact", _correction.judged(found)
        return tree


def _keys(seed: int, sets: int, draws: int) -> Any:
    """Make a key for each draw (dataset, draw) that depends on the seed and its two numbers only."""
    import jax

    key = seeds.key(seed, "posterior")
    rows = jax.vmap(lambda i: jax.random.fold_in(key, i))(np.arange(sets))
    return jax.vmap(lambda row: jax.vmap(lambda j: jax.random.fold_in(row, j))(np.arange(draws)))(rows)


def assemble(model: Model, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Posterior:
    """Make the posterior of a model from weights and a card.

    Parameters
    ----------
    model : Model
        The model that the weights were trained for.
    arrays : mapping of str to ndarray
        Weights.
    card : mapping
        With the settings of training.

    Returns
    -------
    Posterior
        Ready to sample.
    """
    from firstpassage.estimators import _assemble, _sets

    schema, (low, high) = plain.schema(model), card["settings"]["trials"]
    return Posterior(
        model=model.name, trial=schema.trial, parameters=model.parameters, columns=schema.columns, trials=(low, high),
        read=schema.read, limits=schema.limits, simulate=partial(_assemble.simulate_rows, model),
        encode=_sets.encoder(model, trials=(low, high), summary=card["settings"].get("summary", "moments")),
        log_prior=model.log_prior, exact=model.exact, describe=schema.describe, given=schema.given,
        card=dict(card), arrays=dict(arrays), joint=model.joint, guess=model.guess,
    )  # fmt: skip
