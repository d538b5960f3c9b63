"""One call that samples a PyMC model by any sampler, safely, and says whether the draws may be used.

What is not safe otherwise: the JAX samplers need float64, which is a setting of the whole process unless it is set for
a block; importing PyMC's bridge to them changes that setting, and an environment variable; PyMC's way to call BlackJAX
does not fit its present version; and forked workers cannot use JAX.
"""

from __future__ import annotations

import logging
import multiprocessing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors

from firstpassage import _nuts, seeds
from firstpassage._convergence import Convergence, at_edge, attributes, convergence
from firstpassage.bridges import _jax_samplers, _near
from firstpassage.bridges._variable import TrialsRV
from firstpassage.errors import ModelError, SamplingWarning

if TYPE_CHECKING:
    import xarray as xr

Sampler = Literal["auto", "nutpie", "pymc", "numpyro", "blackjax"]

_MOST = 1000  # draws at which the parameters of every trial are computed, to see how near the edge they are


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What a sampler is told."""

    sizes: _nuts.Settings
    cores: int | None
    seed: int
    target_accept: float
    progress: bool


def sample(
    model: pm.Model | None = None,
    *,
    sampler: Sampler = "auto",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int,
    target_accept: float = 0.8,
    progress: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a PyMC model by NUTS, and judge the draws.

    Parameters
    ----------
    model : pymc.Model, optional
        Without it, the model around.
    sampler : {"auto", "nutpie", "pymc", "numpyro", "blackjax"}
        ``"auto"`` is nutpie, which runs chains in threads and changes nothing of the process; or
        pymc where the model has discrete free variables, which it alone can sample.
    draws, tune, chains : int
        Kept draws and warm-up steps of each chain, and the number of chains.
    cores : int, optional
        Chains at a time: nutpie runs them in threads, as many as there are processors unless told otherwise; pymc in
        fresh processes, one unless told otherwise (a script must then guard its main part by
        ``if __name__ == "__main__":``). The others run all chains in one program.
    seed : int
        From 0 to 2**63 - 1.
    target_accept : float
        Between 0 and 1; nearer to 1 means smaller steps and fewer divergences.
    progress : bool
        Whether to show a bar, where the sampler has one.

    Returns
    -------
    xarray.DataTree
        As ``pm.sample`` returns it. ``.attrs`` hold sampler, verdict (a sentence), ok (0 or 1), r_hat, ess_bulk,
        ess_tail, divergences, and edge: by parameter of the likelihoods, the share of the draws within 1 % of an edge
        of the box (JSON). The free variables are judged.

    Warns
    -----
    SamplingWarning
        If the draws should not be used, or crowd at an edge of the box.

    Raises
    ------
    ModelError
        If a setting is wrong, there is no model, or the sampler cannot sample it.

    Examples
    --------
    >>> import firstpassage as fp, pymc as pm
    >>> likelihood = fp.ddm().exact
    >>> with pm.Model():
    ...     (v,) = fp.priors(likelihood, "v")
    ...     obs = fp.observe("obs", likelihood, v=v, a=1.0, z=0.5, t=0.3, observed=[[0.8, 1.0], [0.6, -1.0]] * 5)
    ...     draws = sample(draws=300, tune=200, seed=1)
    >>> draws.attrs["sampler"]
    'nutpie'
    """
    model = _model(model)
    if sampler not in get_args(Sampler):
        raise ModelError(f'sampler must be one of {", ".join(get_args(Sampler))}; got {sampler!r}. Use "auto".')
    settings = _Settings(
        sizes=_nuts.Settings(draws=draws, tune=tune, chains=chains), cores=_cores(cores),
        seed=seeds.derive(seed, "pymc"), target_accept=_share(target_accept), progress=bool(progress),
    )  # fmt: skip
    chosen = _choose(model, sampler)
    tree = _RUN[chosen](model, settings)
    found = _judge(model, tree)
    tree.attrs.update(attributes(found), sampler=chosen)
    if not found.ok or "edge of the box" in found.verdict:
        warnings.warn(f"{chosen}: {found.verdict}", SamplingWarning, stacklevel=2)
    return tree


def _model(model: Any) -> pm.Model:
    """Take the model given, or the one around."""
    try:
        found = pm.modelcontext(model)
    except TypeError:
        found = None
    if not isinstance(found, pm.Model):
        raise ModelError(
            f"sample needs a PyMC model; got {model!r}. Call it inside `with pm.Model():`, or pass the model. One "
            "subject's data are sampled by likelihood.sample(data, seed=...)."
        )
    if not found.free_RVs:
        raise ModelError("the PyMC model has no free variable, so that there is nothing to sample. Give it priors.")
    return found


def _cores(cores: Any) -> int | None:
    """Check the number of chains at a time."""
    whole = isinstance(cores, (int, np.integer)) and not isinstance(cores, bool)
    if cores is not None and not (whole and cores >= 1):
        raise ModelError(f"cores must be an integer of at least 1, or None; got {cores!r}.")
    return None if cores is None else int(cores)


def _share(target: Any) -> float:
    """Check the acceptance rate aimed at."""
    if isinstance(target, bool) or not isinstance(target, (int, float, np.number)) or not 0 < target < 1:
        raise ModelError(f"target_accept must lie between 0 and 1; got {target!r}. Use .8, or .95 at divergences.")
    return float(target)


def _choose(model: pm.Model, sampler: Sampler) -> str:
    """Choose the quickest safe sampler, and refuse one that cannot sample the model."""
    discrete = [rv.name for rv in model.free_RVs if rv.type.numpy_dtype.kind != "f"]
    if sampler == "auto":
        return "pymc" if discrete else "nutpie"
    if discrete and sampler != "pymc":
        raise ModelError(f'{sampler} samples no discrete variables; the model has {", ".join(discrete)}. Use "pymc".')
    return sampler


def _by_pymc(model: pm.Model, settings: _Settings) -> xr.DataTree:
    """Sample by PyMC's own NUTS; several processes start afresh, as JAX does not survive a fork."""
    cores = settings.cores or 1
    start = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    try:
        return _pm_sample(model, settings, nuts_sampler="pymc", cores=cores, mp_ctx=start if cores > 1 else None)
    except (BrokenPipeError, ConnectionError, EOFError) as error:
        raise ModelError(
            "the processes of PyMC's sampler ended before they began. In a script, they run it again: put what it does "
            'under `if __name__ == "__main__":`; or sample with cores=1, or sampler="nutpie", whose chains are threads.'
        ) from error


def _by_nutpie(model: pm.Model, settings: _Settings) -> xr.DataTree:
    """Sample by nutpie, in threads; no noise is added to starts that are known better than that."""
    how: dict[str, Any] = {}
    placed = _near.placed(model)
    if placed:
        how["compile_kwargs"] = {"jitter_rvs": set(model.free_RVs) - placed}
        how["nuts"] = {"adaptation": "low_rank"}  # parameters that make up for each other are what makes starts hard
    return _pm_sample(model, settings, nuts_sampler="nutpie", cores=settings.cores, **how)


def _pm_sample(model: pm.Model, settings: _Settings, *, nuts_sampler: str, **how: Any) -> xr.DataTree:
    """Call PyMC's sample, without its own remarks on convergence."""
    logger = logging.getLogger("pymc")
    level = logger.level
    sizes = settings.sizes
    try:
        logger.setLevel(logging.ERROR)  # the verdict says what its log lines say
        return pm.sample(
            sizes.draws, tune=sizes.tune, chains=sizes.chains, random_seed=settings.seed, model=model,
            target_accept=settings.target_accept, progressbar=settings.progress, quiet=not settings.progress,
            compute_convergence_checks=False, nuts_sampler=nuts_sampler, **{k: v for k, v in how.items() if v},
        )  # fmt: skip
    finally:
        logger.setLevel(level)


def _by_numpyro(model: pm.Model, settings: _Settings) -> xr.DataTree:
    """Sample by NumPyro, in float64."""
    return _jax_samplers.numpyro(
        model, sizes=settings.sizes, seed=settings.seed, target_accept=settings.target_accept,
        progress=settings.progress,
    )  # fmt: skip


def _by_blackjax(model: pm.Model, settings: _Settings) -> xr.DataTree:
    """Sample by BlackJAX, in float64."""
    return _jax_samplers.blackjax(
        model, sizes=settings.sizes, seed=settings.seed, target_accept=settings.target_accept
    )  # fmt: skip


_RUN: dict[str, Callable[[pm.Model, _Settings], Any]] = {
    "pymc": _by_pymc, "nutpie": _by_nutpie, "numpyro": _by_numpyro, "blackjax": _by_blackjax,
}  # fmt: skip


def _judge(model: pm.Model, tree: xr.DataTree) -> Convergence:
    """Judge the free variables; and the edges of the box by the likelihoods' parameters, whatever they are made of."""
    import xarray as xr

    posterior = tree["posterior"].dataset
    free = {"posterior": posterior[[rv.name for rv in model.free_RVs]]}
    statistics = {"sample_stats": tree["sample_stats"].dataset} if "sample_stats" in tree.children else {}
    found = convergence(xr.DataTree.from_dict(free | statistics))
    return replace(found, edge=_edges(model, posterior))


def _edges(model: pm.Model, posterior: xr.Dataset) -> dict[str, float]:
    """Compute the share of the draws at an edge of the box: of the entry of a parameter that has most there."""
    stacked = posterior.stack(sample=("chain", "draw")).transpose("sample", ...)
    every = max(1, stacked.sizes["sample"] // _MOST)
    free = {rv: stacked[rv.name].to_numpy()[::every] for rv in model.free_RVs}
    found: dict[str, float] = {}
    for observed in (rv for rv in model.observed_RVs if isinstance(rv.owner.op, TrialsRV)):
        likelihood = observed.owner.op.likelihood
        parameters = dict(zip(likelihood.parameter_names, observed.owner.op.dist_params(observed.owner), strict=True))
        for name, draws in _evaluate(parameters, free).items():
            rows = draws.reshape(len(draws), -1).T
            share = max(at_edge(row, likelihood.box[name]) for row in rows)
            found[name] = max(share, found.get(name, 0.0))
    return found


def _evaluate(parameters: Mapping[str, Any], free: Mapping[Any, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute parameters at many draws of the free variables; those that are constant are left out."""
    varying = {name: one for name, one in parameters.items() if set(free) & set(ancestors([one]))}
    inputs = {rv: pytensor.tensor.tensor(dtype=rv.dtype, shape=(None,) * (rv.ndim + 1)) for rv in free}
    batched = vectorize_graph(list(varying.values()), replace=inputs)
    compute = pytensor.function(
        list(inputs.values()), batched, mode=Mode(linker="py", optimizer="fast_compile"), on_unused_input="ignore"
    )
    values = compute(*(draws.astype(rv.dtype) for rv, draws in free.items()))
    return dict(zip(varying, map(np.asarray, values), strict=True))
