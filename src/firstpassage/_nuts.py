"""NUTS of BlackJAX on the real line of a space, all chains vectorised in one compiled program.

Trials are padded to a few sizes with weight zero, and bounds and data are arguments of the program, so that many data
sets share one compilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import DataError, ModelError

if TYPE_CHECKING:
    import jax
    import xarray as xr

    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood

_CANDIDATES = 32  # points tried per chain, of which the best one is its start
_TARGET_ACCEPTANCE = 0.85
_EDGE = 40.0  # farther out there is nothing: a logistic function is constant in float64 beyond
_COMPILER = {"xla_backend_optimization_level": 1}  # compiles in 3/4 of the time; runs as fast as level 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Numbers of draws, warm-up steps and chains; part of the compiled program."""

    draws: int
    tune: int
    chains: int

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name, value, least in (("draws", self.draws, 1), ("tune", self.tune, 20), ("chains", self.chains, 1)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ModelError(f"{name} must be an integer of at least {least}; got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Draws (chain, draw) by parameter name, statistics of the same shape, and others of each step to the posterior."""

    theta: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    steps: dict[str, np.ndarray] | None = None


def run(likelihood: Likelihood, x: np.ndarray, *, space: Space, settings: Settings, seed: int) -> Result:
    """Sample the posterior of the trials `x` in a space, which holds the prior."""
    import jax

    key = seeds.key(seed, "nuts")
    box = space.ends(likelihood, x)
    padded, weight = pad(x)
    with jax.enable_x64():
        program = _program(likelihood, space, settings)
        positions, statistics = program(padded, weight, box[:, 0], box[:, 1], key)
        theta = np.asarray(positions)
        stats = {name: np.asarray(value) for name, value in statistics.items()}
    if not np.isfinite(stats["lp"]).all():
        raise DataError(
            f"the {likelihood.kind} likelihood of {likelihood.model} is zero or not finite for all starting points. "
            "Look at the extreme trials."
        )
    names = likelihood.parameter_names
    return Result(theta={name: theta[..., i] for i, name in enumerate(names)}, statistics=stats)


def as_datatree(result: Result, *, observed: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> xr.DataTree:
    """Put draws, statistics and data (of one data set, or of many) into the tree that ArviZ reads."""
    import arviz_base

    shape = next(iter(observed.values())).shape
    across = ["dataset"][: len(shape) - 1]
    coords = {name: np.arange(n) for name, n in zip((*across, "trial"), shape, strict=True)}
    tree = arviz_base.from_dict(
        {"posterior": result.theta, "sample_stats": result.statistics, "observed_data": dict(observed)},
        coords=coords,
        dims={name: [*across, "trial"] for name in observed}
        | {name: across for name in (*result.theta, *result.statistics)},
    )
    if result.steps is not None:
        steps = {name: ([*across, "step"], values) for name, values in result.steps.items()}
        tree["sample_stats"] = tree["sample_stats"].dataset.assign(steps)
    tree.attrs.update(attributes)
    return tree


def pad(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeat the last trial with weight zero up to the next of 32, 48, 64, 96, 128, ... trials."""
    n = len(x)
    power = 2 ** max(5, math.ceil(math.log2(n)))
    size = power * 3 // 4 if n <= power * 3 // 4 and power > 32 else power
    padded = np.concatenate([x, np.repeat(x[-1:], size - n, axis=0)])
    return padded, (np.arange(size) < n).astype(np.float64)


@lru_cache(maxsize=16)
def _program(likelihood: Likelihood, space: Space, settings: Settings) -> Callable[..., Any]:
    """Compile warm-up and sampling of all chains for one likelihood, space and set of sizes."""
    import blackjax
    import jax

    log_posterior = write_posterior(likelihood, space)

    def chain(key: jax.Array, x: Any, weight: Any, low: Any, high: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        def target(z: jax.Array) -> jax.Array:
            return log_posterior(z, x, weight, low, high)

        start_key, tune_key, draw_key = jax.random.split(key, 3)
        warmup = blackjax.window_adaptation(
            blackjax.nuts, target, is_mass_matrix_diagonal=False, target_acceptance_rate=_TARGET_ACCEPTANCE
        )
        start = best_start(start_key, target, size=len(low))
        (state, tuned), _ = warmup.run(tune_key, start, num_steps=settings.tune)
        kernel = blackjax.nuts(target, **tuned)

        def step(state: Any, step_key: jax.Array) -> tuple[Any, Any]:
            state, info = kernel.step(step_key, state)
            return state, (state.position, state.logdensity, info)

        _, (z, lp, info) = jax.lax.scan(step, state, jax.random.split(draw_key, settings.draws))
        return space.parameters(z, low, high), statistics(lp, info, tuned["step_size"])

    def program(x: Any, weight: Any, low: Any, high: Any, key: jax.Array) -> Any:
        keys = jax.random.split(key, settings.chains)
        return jax.vmap(lambda k: chain(k, x, weight, low, high))(keys)

    return jax.jit(program, compiler_options=compiler_options())


def compiler_options() -> dict[str, Any] | None:
    """Give the compiler's options for the device in use."""
    import jax

    return _COMPILER if jax.default_backend() == "cpu" else None


def best_start(key: jax.Array, target: Callable[[jax.Array], jax.Array], *, size: int) -> jax.Array:
    """Take the best of a few points, spread over the box, as a chain's start."""
    import jax
    import jax.numpy as jnp

    candidates = jax.random.logistic(key, (_CANDIDATES, size), dtype=jnp.float64)
    height = jax.vmap(target)(candidates)
    return candidates[jnp.argmax(jnp.where(jnp.isfinite(height), height, -jnp.inf))]


def write_posterior(likelihood: Likelihood, space: Space) -> Callable[..., jax.Array]:
    """Write the log posterior on the real line: the space's prior and weighted trials."""
    import jax.numpy as jnp

    names = likelihood.parameter_names

    def log_posterior(z: jax.Array, x: Any, weight: Any, low: Any, high: Any) -> jax.Array:
        near = jnp.clip(z, -_EDGE, _EDGE)
        theta = dict(zip(names, space.parameters(near, low, high), strict=True))
        trials = jnp.where(weight > 0, likelihood.function(x, theta), 0.0)
        beyond = jnp.sum(jnp.abs(z - near))  # a flat end would keep chains for ever
        return jnp.sum(trials) + space.log_prior(near, low, high) - beyond

    return log_posterior


def statistics(lp: jax.Array, info: Any, step_size: jax.Array) -> dict[str, jax.Array]:
    """Name BlackJAX's statistics as ArviZ does."""
    import jax.numpy as jnp

    return {
        "lp": lp,
        "diverging": info.is_divergent,
        "energy": info.energy,
        "n_steps": info.num_integration_steps,
        "tree_depth": info.num_trajectory_expansions,
        "acceptance_rate": info.acceptance_rate,
        "step_size": jnp.broadcast_to(step_size, lp.shape),
    }
