"""Simulated data sets with known truth, and the posterior draws that a sampler gives for each: input of calibration."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics._design import Design, unit
from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import plain
from firstpassage.models.model import Model

if TYPE_CHECKING:
    import xarray as xr

    from firstpassage.models.parameter import Parameter

_CHAINS, _TUNE, _KEPT = 2, 400, 500  # of NUTS, for each data set
_THINNING = 5  # at least, where more draws are asked for
_OWN = "the model's own prior"
_PRIOR_DRAWS = 10_000  # for the sd of the prior

Trials = int | tuple[int, int]


class Sampler(Protocol):
    """Draw from the posteriors of many data sets in one call: what can be checked for calibration."""

    @property
    def kind(self) -> str:
        """What it is, such as ``"npe"``."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """In the order of the model."""

    def sample(self, data: Any, *, draws: int, seed: int) -> xr.DataTree:
        """Return a posterior group with the dimensions chain, draw and dataset.

        Parameters
        ----------
        data : list
            One entry for each data set.
        draws : int
            Draws of each chain.
        seed : int
            From 0 to 2**63 - 1.

        Returns
        -------
        DataTree
            With the group posterior.
        """


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulated:
    """Hold data sets simulated from the prior, their true parameters and posterior draws of them.

    Parameters
    ----------
    model : Model
        That simulated.
    kind : str
        What the sampler is: ``"exact"``, ``"nle"``, ``"nre"`` or ``"npe"``.
    parameters : tuple of Parameter
        In the order of the model.
    truth : dict of str to ndarray, shape (dataset,)
        Parameters that made the data.
    draws : dict of str to ndarray, shape (dataset, draw)
        Nearly independent posterior draws.
    prior_sd : dict of str to float
        Standard deviation of the prior, by parameter.
    data : tuple
        Each data set as the sampler reads it.
    trials : ndarray, shape (dataset,)
        Their sizes.
    seed : int
        Of everything.
    ess, r_hat : ndarray, shape (dataset,)
        Smallest bulk effective sample size and largest R-hat over the parameters, before thinning; for independent
        draws their number and NaN, for draws by importance sampling their effective number and NaN.
    seconds : float
        Wall time of the sampling.
    prior : str
        Which prior truths and posterior have.
    likelihood : Likelihood, optional
        The sampler itself, if it is one.
    """

    model: Model
    kind: str
    parameters: tuple[Parameter, ...]
    truth: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    prior_sd: dict[str, float]
    data: tuple[Any, ...]
    trials: np.ndarray
    seed: int
    ess: np.ndarray
    r_hat: np.ndarray
    seconds: float
    prior: str = _OWN
    likelihood: Likelihood | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of data sets and of draws for each."""
        datasets, draws = next(iter(self.draws.values())).shape
        return datasets, draws

    @property
    def short(self) -> int:
        """Number of data sets with an effective sample size below the number of draws kept, or without one."""
        return int((~(self.ess >= self.size[1])).sum())

    @property
    def design(self) -> Design:
        """What was done, in numbers."""
        datasets, draws = self.size
        return Design(
            model=self.model.name, kind=self.kind, datasets=datasets, draws=draws, seed=self.seed, prior=self.prior,
            trials=(int(self.trials.min()), int(self.trials.max())), short=self.short, seconds=self.seconds,
            unit=unit(self.model),
            ess=float(self.ess.min()), r_hat=math.nan if np.isnan(self.r_hat).all() else float(np.nanmax(self.r_hat)),
        )  # fmt: skip


def simulated(
    sampler: Sampler,
    model: Model,
    *,
    datasets: int = 300,
    trials: Trials = 200,
    draws: int = 99,
    seed: int,
    prior: Mapping[str, Any] | None = None,
) -> Simulated:
    """Simulate data sets from the prior and sample the posterior of each, all in one call of the sampler.

    A likelihood is sampled by NUTS: two chains of 400 warm-up and 500 kept steps (more for more than 200 draws),
    thinned evenly over both; or, if it has a quick approximation, by as many draws from importance sampling; or, if
    its posteriors may have several modes and are small, by as many from sequential Monte Carlo.

    Parameters
    ----------
    sampler : Likelihood or Posterior
        Whatever has ``sample(data_sets, draws=, seed=)``.
    model : Model
        Gives truths and data.
    datasets, draws : int
        Numbers of data sets, and of draws kept for each.
    trials : int or (int, int)
        Of each data set; two numbers are the ends of a log-uniform distribution.
    seed : int
        From 0 to 2**63 - 1.
    prior : mapping of str to distribution, optional
        NumPyro distributions that replace the model's own priors, of the truths and of the sampler; for likelihoods.

    Returns
    -------
    Simulated
        Truths, data and draws: the argument of `recovery`, `sbc`, `coverage` and `tarp`.

    Raises
    ------
    ModelError
        If sampler, model and prior do not fit each other, or a number is wrong.
    DataError
        If the sampler returns something else than finite draws of every parameter.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> from types import SimpleNamespace
    >>> model = fp.ddm()
    >>> def sample(data, *, draws, seed):  # of the prior: this sampler ignores the data
    ...     prior = model.prior(draws * len(data), seed=seed)
    ...     posterior = {name: values.reshape(1, draws, -1) for name, values in prior.items()}
    ...     return arviz_base.from_dict({"posterior": posterior}, dims=dict.fromkeys(prior, ["dataset"]))
    >>> lazy = SimpleNamespace(kind="npe", parameters=model.parameters, sample=sample)
    >>> simulated(lazy, model, datasets=3, trials=20, draws=9, seed=1).draws["v"].shape
    (3, 9)
    """
    _check_fit(sampler, model, prior)
    for name, value in (("datasets", datasets), ("draws", draws)):
        _check_count(name, value)
    sizes = _sizes(trials, datasets, seed)
    source = _source(model, prior)
    truth = source.prior(datasets, seed=seeds.derive(seed, "truth"))
    wide = source.prior(_PRIOR_DRAWS, seed=seeds.derive(seed, "prior sd"))
    data = simulate(model, truth, sizes=sizes, seed=seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # nobody chose these data
        tree = _sample(sampler, data, draws=draws, seed=seed, prior=prior)
    seconds = time.perf_counter() - start
    chains = _chains(tree, [p.name for p in model.parameters], datasets)
    ess, r_hat = _statistics(chains, tree.attrs)
    return Simulated(
        model=model, kind=sampler.kind, parameters=model.parameters, truth=truth, data=data, trials=sizes, seed=seed,
        draws={name: _thin(values, draws) for name, values in chains.items()}, ess=ess, r_hat=r_hat, seconds=seconds,
        prior_sd={name: float(values.std()) for name, values in wide.items()},
        prior=f"given for {', '.join(sorted(prior))}" if prior else _OWN,
        likelihood=sampler if isinstance(sampler, Likelihood) else None,
    )  # fmt: skip


def data_sets(
    model: Model, *, number: int, trials: Trials, seed: int, prior: Mapping[str, Any] | None = None
) -> list[Any]:
    """Simulate data sets from the prior, in the form that `sample` takes.

    Parameters
    ----------
    model : Model
        Gives parameters and data.
    number : int
        Of data sets.
    trials : int or (int, int)
        Of each; two numbers are the ends of a log-uniform distribution.
    seed : int
        From 0 to 2**63 - 1.
    prior : mapping of str to distribution, optional
        NumPyro distributions instead of the model's own priors.

    Returns
    -------
    list
        One entry for each data set.
    """
    truth = _source(model, prior).prior(number, seed=seeds.derive(seed, "truth"))
    return list(simulate(model, truth, sizes=_sizes(trials, number, seed), seed=seed))


def resolve(
    source: Simulated | Sampler,
    model: Model | None,
    *,
    datasets: int,
    trials: Trials,
    draws: int,
    seed: int | None,
    prior: Mapping[str, Any] | None,
) -> Simulated:
    """Return `source` if it is simulated already; else simulate with it."""
    if isinstance(source, Simulated):
        if model is not None:
            raise ModelError("a Simulated brings its own model; got another one beside it. Pass the Simulated alone.")
        return source
    if not isinstance(model, Model) or seed is None:
        raise ModelError(
            f"expected a Simulated, or a sampler, its model and a seed; got {type(source).__name__}, "
            f"model={model!r}, seed={seed!r}. Call it as sbc(simulated) or sbc(sampler, model, seed=1)."
        )
    return simulated(source, model, datasets=datasets, trials=trials, draws=draws, seed=seed, prior=prior)


def simulate(model: Model, truth: Mapping[str, np.ndarray], *, sizes: np.ndarray, seed: int) -> tuple[Any, ...]:
    """Simulate one data set for each truth, in the form that the model's `read` takes."""
    drawn = model.likelihood(truth, trials=int(sizes.max()), seed=seeds.derive(seed, "simulated data"))
    if model.schema is None:
        return tuple({name: value[i, :n] for name, value in drawn.items()} for i, n in enumerate(sizes))
    if len(drawn) == 1:
        whole = next(iter(drawn.values()))
        whole = whole[..., None] if whole.ndim == 2 else whole  # else a list of subjects reads as one
        return tuple(whole[i, :n] for i, n in enumerate(sizes))
    if set(drawn) == set(model.schema.columns):
        drawn = {name: drawn[name] for name in model.schema.columns}
    n_max = int(sizes.max())
    table = np.concatenate([value.reshape(len(sizes), n_max, -1) for value in drawn.values()], axis=2)
    return tuple(table[i, :n] for i, n in enumerate(sizes))


def tables(model: Model, data: Sequence[Any]) -> list[np.ndarray]:
    """Read every data set as an array (trial, column)."""
    read = plain.schema(model).read
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return [read(one).reshape(len(read(one)), -1) for one in data]


def _check_fit(sampler: Sampler, model: Model, prior: Mapping[str, Any] | None) -> None:
    """Refuse a sampler whose posterior is not that of the truths."""
    ours, theirs = ({p.name: p.bounds for p in source.parameters} for source in (model, sampler))
    if list(ours) != list(theirs) or (ours != theirs and not prior):
        raise ModelError(f"the sampler must have the parameters and the box of {model!r}; got {theirs}.")
    unknown = sorted(set(prior or {}) - set(ours))
    if unknown:
        raise ModelError(f"prior names {unknown}; the parameters are {', '.join(ours)}.")
    if isinstance(sampler, Likelihood):
        if not prior:
            model.log_prior({p.name: np.array([sum(p.bounds) / 2]) for p in model.parameters})
    elif prior:
        raise ModelError(
            f"a posterior of kind {sampler.kind!r} has the prior it was trained with; got a prior for "
            f"{', '.join(sorted(prior))}. Leave it out, or train with it."
        )


def _check_count(name: str, value: Any) -> None:
    """Refuse what is not a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{name} must be a positive integer; got {value!r}.")


def _sizes(trials: Trials, datasets: int, seed: int) -> np.ndarray:
    """Choose the number of trials of each data set."""
    low, high = trials if isinstance(trials, (tuple, list)) and len(trials) == 2 else (trials, trials)
    for value in (low, high):
        _check_count("trials", value)
    if low > high:
        raise ModelError(f"trials must be a number or (fewest, most); got {trials!r}.")
    drawn = np.exp(seeds.generator(seed, "sizes").uniform(np.log(low), np.log(high + 1), size=datasets))
    return np.clip(drawn.astype(np.int64), low, high)


def _source(model: Model, prior: Mapping[str, Any] | None) -> Model:
    """Make a model whose parameters have the given priors."""
    if not prior:
        return model
    parameters = [replace(p, prior=prior.get(p.name, p.prior)) for p in model.parameters]
    return Model(name=model.name, parameters=parameters, likelihood=model.likelihood)


def _sample(
    sampler: Sampler, data: tuple[Any, ...], *, draws: int, seed: int, prior: Mapping[str, Any] | None
) -> xr.DataTree:
    """Sample all data sets: chains by NUTS for a likelihood, independent draws otherwise."""
    seed = seeds.derive(seed, "posterior draws")
    if isinstance(sampler, Likelihood):
        kept = max(_KEPT, math.ceil(draws * _THINNING / _CHAINS))
        return sampler.sample(list(data), draws=kept, tune=_TUNE, chains=_CHAINS, seed=seed, prior=prior)
    return sampler.sample(list(data), draws=draws, seed=seed)


def _chains(tree: xr.DataTree, names: Sequence[str], datasets: int) -> dict[str, np.ndarray]:
    """Take the draws (dataset, chain, draw) of every parameter out of a posterior group."""
    posterior = tree["posterior"].dataset
    wanted, found = ("dataset", "chain", "draw"), {}
    for name in names:
        if name not in posterior or set(posterior[name].dims) != set(wanted):
            raise DataError(
                f"the sampler must return draws of {name} with the dimensions {', '.join(wanted)}; got "
                f"{dict(posterior.sizes)} with {', '.join(map(str, posterior.data_vars))}."
            )
        values = np.asarray(posterior[name].transpose(*wanted), dtype=np.float64)
        if len(values) != datasets or not np.isfinite(values).all():
            raise DataError(
                f"the sampler must return finite draws of {name} for {datasets} data sets; got {len(values)} data "
                f"sets and {int((~np.isfinite(values)).sum())} values that are not finite. Look at their draws."
            )
        found[name] = values
    return found


def _statistics(chains: Mapping[str, np.ndarray], found: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Find the worst bulk effective sample size and R-hat over the parameters; one chain is independent draws."""
    datasets, number, draws = next(iter(chains.values())).shape
    if number == 1:
        return np.full(datasets, float(draws)), np.full(datasets, np.nan)
    ess, r_hat = _of_chains(chains)
    if "effective" in found:
        weighed = np.isin(np.array(found["sampler"]), ("importance", "smc"))
        effective = np.minimum(found["effective"], number * draws)  # proposals were more
        ess, r_hat = np.where(weighed, effective, ess), np.where(weighed, np.nan, r_hat)
    return ess, r_hat


def _of_chains(chains: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute both from the draws (dataset, chain, draw)."""
    from arviz_stats.base import array_stats

    datasets = len(next(iter(chains.values())))
    ess, r_hat = np.full(datasets, np.inf), np.full(datasets, -np.inf)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # NaN says it all
        for values in chains.values():
            ess = np.minimum(ess, array_stats.ess(values, chain_axis=1, draw_axis=2, method="bulk"))
            r_hat = np.maximum(r_hat, array_stats.rhat(values, chain_axis=1, draw_axis=2, method="rank"))
    return ess, r_hat


def _thin(values: np.ndarray, draws: int) -> np.ndarray:
    """Keep draws evenly over all chains: (dataset, draw)."""
    flat = values.reshape(len(values), -1)
    if flat.shape[1] < draws:
        raise DataError(f"the sampler must return at least {draws} draws of each data set; got {flat.shape[1]}.")
    return flat[:, np.linspace(0, flat.shape[1] - 1, draws).round().astype(int)]
