"""NumPyro and BlackJAX on a PyMC model, in float64, without changing a setting of the process.

NumPyro runs through PyMC. PyMC's own way to BlackJAX does not fit BlackJAX 1.7 (its warm-up has no `progress_bar`, and
there is no `gen_scan_fn`), so that here are the few lines which do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.backends.arviz import coords_and_dims_for_inferencedata, find_constants, find_observations
from pymc.initial_point import make_initial_point_fns_per_chain
from pymc.util import get_default_varnames

from firstpassage._nuts import Settings, compiler_options, statistics
from firstpassage._pymc_priors import in_float64
from firstpassage.errors import ModelError

if TYPE_CHECKING:
    import xarray as xr

_TRIES = 20  # starts that are tried for every chain


def numpyro(model: pm.Model, *, sizes: Settings, seed: int, target_accept: float, progress: bool) -> xr.DataTree:
    """Sample by NumPyro's NUTS, all chains in one program.

    Parameters
    ----------
    model : pymc.Model
        With continuous free variables.
    sizes : Settings
        Draws, warm-up steps, chains.
    seed : int
        Of 32 bits.
    target_accept : float
        Acceptance rate aimed at.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    xarray.DataTree
        As ``pm.sample`` returns it.
    """
    with in_float64() as bridge:
        tree = bridge.sample_numpyro_nuts(
            sizes.draws, tune=sizes.tune, chains=sizes.chains, target_accept=target_accept, random_seed=seed,
            model=model, progressbar=progress, chain_method="vectorized", compute_convergence_checks=False,
            quiet=not progress,
        )  # fmt: skip
        # JAX arrays in float64 cannot be computed with outside of this block.
        return tree.map_over_datasets(lambda group: group.as_numpy())


def blackjax(model: pm.Model, *, sizes: Settings, seed: int, target_accept: float) -> xr.DataTree:
    """Sample by BlackJAX's NUTS, all chains in one program.

    Parameters
    ----------
    model, sizes, seed, target_accept
        As for `numpyro`.

    Returns
    -------
    xarray.DataTree
        As ``pm.sample`` returns it.

    Raises
    ------
    ModelError
        If no start is found at which the model has a density.
    """
    import jax

    with in_float64() as bridge:
        log_density = bridge.get_jaxified_logp(model)
        starts = _starts(model, log_density, chains=sizes.chains, seed=seed)
        program = jax.jit(_chain(log_density, sizes, target_accept), compiler_options=compiler_options())
        points, stats = jax.block_until_ready(program(jax.random.split(jax.random.key(seed), sizes.chains), starts))
        variables = list(get_default_varnames(model.unobserved_value_vars, include_transformed=False))
        outputs = bridge.get_jaxified_graph(inputs=model.value_vars, outputs=variables)
        values = jax.jit(jax.vmap(jax.vmap(lambda point: outputs(*point))))(points)
        posterior = {v.name: np.asarray(one) for v, one in zip(variables, values, strict=True)}
        return _tree(model, posterior, {name: np.asarray(one) for name, one in stats.items()}, tune=sizes.tune)


def _starts(model: pm.Model, log_density: Callable[..., Any], *, chains: int, seed: int) -> list[Any]:
    """Make PyMC's usual starts, and take for every chain the first that is possible."""
    import jax
    import jax.numpy as jnp

    (start,) = make_initial_point_fns_per_chain(model=model, overrides=None, jitter_rvs=set(model.free_RVs), chains=1)
    height = jax.jit(log_density)
    found: list[list[np.ndarray]] = []
    for attempt in range(chains * _TRIES):
        point = list(start(seed + attempt).values())
        if np.isfinite(height([jnp.asarray(one) for one in point])):
            found.append(point)
        if len(found) == chains:
            return [jnp.stack(values) for values in zip(*found, strict=True)]
    raise ModelError(
        f"no start was found at which the model has a density, in {chains * _TRIES} tries. Confine the priors to the "
        "box (firstpassage.priors), or give initval= to the variables that the data bound."
    )


def _chain(log_density: Callable[..., Any], sizes: Settings, target_accept: float) -> Callable[..., Any]:
    """Write warm-up and sampling of all chains."""
    import blackjax
    import jax

    def one(key: jax.Array, start: Any) -> Any:
        tune_key, draw_key = jax.random.split(key)
        warmup = blackjax.window_adaptation(blackjax.nuts, log_density, target_acceptance_rate=target_accept)
        (state, tuned), _ = warmup.run(tune_key, start, num_steps=sizes.tune)
        kernel = blackjax.nuts(log_density, **tuned)

        def step(state: Any, step_key: jax.Array) -> tuple[Any, Any]:
            state, info = kernel.step(step_key, state)
            return state, (state.position, state.logdensity, info)

        _, (points, lp, info) = jax.lax.scan(step, state, jax.random.split(draw_key, sizes.draws))
        return points, statistics(lp, info, tuned["step_size"])

    return jax.vmap(one)


def _tree(
    model: pm.Model, posterior: Mapping[str, np.ndarray], stats: Mapping[str, np.ndarray], *, tune: int
) -> xr.DataTree:
    """Arrange draws as PyMC does."""
    import arviz_base
    import blackjax

    coords, dims = coords_and_dims_for_inferencedata(model)
    groups: dict[str, Any] = {"posterior": dict(posterior), "sample_stats": dict(stats)}
    for name, found in (("observed_data", find_observations(model)), ("constant_data", find_constants(model))):
        groups |= {name: found} if found else {}
    attributes = arviz_base.make_attrs({"tuning_steps": tune}, inference_library=blackjax)
    return arviz_base.from_dict(groups, coords=coords, dims=dims, attrs={"posterior": attributes})
