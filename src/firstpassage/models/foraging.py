"""The patch-foraging drift-diffusion model: when an animal leaves a patch of sites that give less and less.

On the way through a patch the evidence for leaving grows with the distance, with diffusion noise, and jumps by a bump
after every stop. On arrival at a site the animal leaves if the evidence has reached the threshold, and stops
otherwise; a leave begins the next patch. Distances and rewards are observed and carry no information on the
parameters, so that the likelihood is that of the decisions alone, patch by patch; `densities.foraging` computes it.

References
----------
The model is that of published work on mice that forage along a virtual corridor; the likelihood is derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from firstpassage.densities import foraging as visits
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood
from firstpassage.models import patches
from firstpassage.models.foraging_sessions import Task, draw
from firstpassage.models.foraging_statistics import INDEPENDENT, SUMMARY_NAMES, summary_statistics
from firstpassage.models.model import Model
from firstpassage.models.parameter import Parameter, with_bounds
from firstpassage.models.records import Decisions, Schema, Statistics

__all__ = ["PARAMETERS", "SUMMARY_NAMES", "Task", "approximate", "exact", "foraging", "summary_statistics"]

PARAMETERS = (
    Parameter("drift_rate", bounds=(-0.3, 1.3), symbol=r"$\mu$", unit="1 / 88.73 cm"),  # evidence per distance
    Parameter("reward_bump", bounds=(-1.3, 1.3), symbol="$b_r$", unit="threshold"),
    Parameter("failure_bump", bounds=(-0.3, 2.0), symbol="$b_f$", unit="threshold"),
    Parameter("noise_std", bounds=(0.0, 0.3), symbol=r"$\sigma$", unit="1 / sqrt(88.73 cm)"),
)

_LONGEST = 100  # sites of a simulated visit, as many as a window has; few last longer
_SHARP, _SOFT = 0.005, 0.02  # added to the noise, for its logarithm and for its inverse


def foraging(*, bounds: Mapping[str, tuple[float, float]] | None = None, **task: Any) -> Model:
    """Make the patch-foraging drift-diffusion model.

    Parameters
    ----------
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the usual drift_rate [-.3, 1.3], reward_bump [-1.3, 1.3], failure_bump [-.3, 2],
        noise_std [0, .3].
    **task
        Constants of the task, by the names of `Task`: sites (of a window), start ("patch" or "burn_in"), gaps, site
        length, rewards, threshold.

    Returns
    -------
    Model
        Data are windows (site, 3) of patch_time (in units of 88.73 cm), reward and stop. `exact` and its
        `approximation` have one log probability for each visit to a patch.

    Raises
    ------
    ModelError
        If a bound names no parameter, or a constant cannot be.

    Examples
    --------
    >>> import firstpassage as fp
    >>> model = fp.foraging(sites=20)
    >>> model.likelihood(model.prior(2, seed=1), seed=2)["window"].shape
    (2, 1, 20, 3)
    """
    chosen, parameters = Task(**_known(task)), _with_bounds(bounds or {})
    return Model(
        name="foraging",
        parameters=parameters,
        likelihood=partial(draw, task=chosen),
        exact=exact(parameters, task=chosen),
        schema=_windows(chosen),
        decisions=Decisions(
            schema=_visits(chosen),
            of_simulation=_steps_of_windows,
            of_trial=_steps_of_visits,
            conditions=_conditions,
            emphasis=partial(_emphasis, bounds=parameters[-1].bounds),
        ),
        statistics=Statistics(names=INDEPENDENT, of_trials=partial(_independent, sites=chosen.sites)),
        summary=partial(_summary, sites=chosen.sites),
        settings=asdict(chosen),
    )


def exact(parameters: tuple[Parameter, ...] = PARAMETERS, *, task: Task | None = None) -> Likelihood:
    """Make the exact likelihood of visits to patches: a point-mass filter in float64.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.
    task : Task, optional
        Constants.

    Returns
    -------
    Likelihood
        kind ``"exact"``; one log probability for each visit. Its `approximation` is what `approximate` makes.

    References
    ----------
    Derived in `firstpassage.densities.foraging`.
    """
    chosen = task or Task()
    return _likelihood(
        "exact", parameters, chosen, _filtered(chosen), approximation=approximate(parameters, task=task),
        sums=partial(_sums, task=chosen, kind="exact"),
    )  # fmt: skip


def approximate(parameters: tuple[Parameter, ...] = PARAMETERS, *, task: Task | None = None) -> Likelihood:
    """Make the moment-matched likelihood of visits to patches: quick, close, and not exact.

    Parameters
    ----------
    parameters : tuple of Parameter
        Their bounds are the box.
    task : Task, optional
        Constants.

    Returns
    -------
    Likelihood
        kind ``"approximate"``.

    References
    ----------
    Maybeck (1979), Stochastic models, estimation, and control: assumed-density filtering.
    """
    chosen = task or Task()
    sums = partial(_sums, task=chosen, kind="approximate")
    return _likelihood("approximate", parameters, chosen, _matched(chosen), sums=sums)


def _likelihood(kind: Any, parameters: tuple[Parameter, ...], task: Task, density: Any, **more: Any) -> Likelihood:
    """Make a likelihood of visits."""
    data = _visits(task)
    return Likelihood(
        model="foraging", kind=kind, trial=data.trial, parameters=parameters, columns=data.columns, read=data.read,
        table=data.table, density=density, describe=data.describe, simulate=data.simulate, **more,
    )  # fmt: skip


def _visits(task: Task) -> Schema:
    """Say what visits to patches are."""
    first: patches.First = "whole" if task.start == "patch" else "drop"
    nearest = (task.site_length + task.gap_min) / task.unit_length
    return Schema(
        trial="patch", columns=patches.COLUMNS, read=partial(patches.read, first=first, nearest=nearest),
        describe=patches.describe, table=partial(patches.table, first=first, nearest=nearest),
        simulate=partial(_simulate_visits, task=task), split=patches.split,
    )  # fmt: skip


def _windows(task: Task) -> Schema:
    """Say what windows are."""
    return Schema(
        trial="window", columns=("window",), read=partial(patches.read_windows, sites=task.sites),
        describe=partial(_describe_windows, sites=task.sites), given=lambda x: x.reshape(-1, task.sites, 3),
    )  # fmt: skip


def _describe_windows(x: np.ndarray, *, sites: int) -> dict[str, np.ndarray]:
    """Count what happened in each window x (window, 3 * site)."""
    _, reward, stop = np.moveaxis(x.reshape(-1, sites, 3), -1, 0)
    return {"stops": stop.sum(axis=1), "rewards": reward.sum(axis=1), "leaves": (1 - stop).sum(axis=1)}


def _filtered(task: Task) -> Callable[..., Any]:
    """Write the exact log probability of visits x (patch, 4 * site)."""

    def density(x: Any, theta: Mapping[str, Any]) -> Any:
        sites = x.shape[1] // len(patches.COLUMNS)
        return _each(x, theta, task, partial(visits.log_probability, nodes=visits.node_count(sites)))

    return density


def _sums(x: np.ndarray, theta: Mapping[str, np.ndarray], *, task: Task, kind: str) -> np.ndarray:
    """Sum the log probability over visits x (patch, 4 * site), for parameters (draw,) or (draw, patch)."""
    from firstpassage.densities import foraging_filter, foraging_moments

    density = foraging_filter.log_probabilities if kind == "exact" else foraging_moments.log_probabilities
    sites = patches.unpack(x)
    there = sites[..., 3] > 0
    time, reward, stop, _ = np.moveaxis(sites[there], -1, 0)
    lengths = there.sum(axis=1)
    columns = [value if value.ndim > 1 else value[:, None] for value in (theta[p.name] for p in PARAMETERS)]
    rows = np.stack(np.broadcast_arrays(*columns), axis=-1)
    each = density(
        time, reward, stop, np.cumsum(lengths) - lengths, rows, threshold=task.threshold, start=task.start_evidence
    )
    return each.sum(axis=1)


def _matched(task: Task) -> Callable[..., Any]:
    """Write the moment-matched log probability of visits x (patch, 4 * site)."""

    def density(x: Any, theta: Mapping[str, Any]) -> Any:
        return _each(x, theta, task, visits.log_probability_moments)

    return density


def _each(x: Any, theta: Mapping[str, Any], task: Task, function: Callable[..., Any]) -> Any:
    """Evaluate a function of one visit for all of them."""
    import jax
    import jax.numpy as jnp

    values = {name: jnp.broadcast_to(theta[name], x.shape[:1]) for name in theta}

    def one(site: Any, row: Mapping[str, Any]) -> Any:
        columns = (site[:, i] for i in range(len(patches.COLUMNS)))
        return function(*columns, **row, threshold=task.threshold, start=task.start_evidence)

    return jax.vmap(one)(patches.unpack(x), values)


def _steps_of_windows(data: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take windows (n, 1, site, 3) apart, for networks: what is known before each decision, stay or leave, begins."""
    time, reward, stop = np.moveaxis(np.asarray(data["window"], np.float32)[:, 0], -1, 0)
    begins = np.concatenate([np.ones((len(stop), 1), bool), stop[:, :-1] == 0], axis=1)
    steps = _features(np, partial(np.maximum.accumulate, axis=1), time, reward, stop, begins)
    return steps, 1 - stop, begins.astype(np.float32)


def _steps_of_visits(x: Any) -> tuple[Any, Any, Any]:
    """Take visits (patch, 4 * site) apart, for networks."""
    import jax
    import jax.numpy as jnp

    time, reward, stop, present = jnp.moveaxis(patches.unpack(x), -1, 0)
    begins = jnp.broadcast_to(jnp.arange(time.shape[1]) == 0, time.shape)
    return _features(jnp, partial(jax.lax.cummax, axis=1), time, reward, stop, begins), 1 - stop, present


def _features(xp: Any, highest: Callable[..., Any], time: Any, reward: Any, stop: Any, begins: Any) -> Any:
    """Give distance in the patch, distance from the site before, rewarded and unrewarded stops so far, the last one.

    `xp` is NumPy or its like in JAX, and `highest` its running maximum along the sites.
    """

    def before(values: Any) -> Any:
        return xp.concatenate([xp.zeros_like(values[:, :1]), values[:, :-1]], axis=1)

    def since(values: Any) -> Any:
        total = xp.cumsum(before(values), axis=1)
        return total - highest(xp.where(begins, total, xp.zeros_like(total)))

    step = time - xp.where(begins, xp.zeros_like(time), before(time))
    rewards, failures = since(reward), since(stop * (1 - reward))
    last = xp.where(begins, xp.zeros_like(time), before(reward))
    return xp.stack([time, step, xp.sqrt(time), rewards, failures, last], axis=-1)


def _conditions(theta: Mapping[str, Any]) -> Any:
    """Give coordinates of the parameters: with the logarithm of the noise beside the others, and its inverse."""
    import jax.numpy as jnp

    noise = theta["noise_std"]
    own = [theta[p.name] for p in PARAMETERS]
    return jnp.stack([*own, jnp.log(noise + _SHARP), 1 / (noise + _SOFT)], axis=-1)


def _emphasis(theta: Mapping[str, np.ndarray], *, bounds: tuple[float, float]) -> dict[str, np.ndarray]:
    """Square the noise's place between its bounds: near none, decisions change within short distances."""
    low, high = bounds
    place = (np.asarray(theta["noise_std"]) - low) / (high - low)
    return {**theta, "noise_std": low + (high - low) * place**2}


def _summary(x: np.ndarray, *, sites: int) -> np.ndarray:
    """Summarise windows (dataset, 1, 3 * site) by the 37 statistics, those without a bound on a logarithmic scale."""
    found = summary_statistics(x.reshape(len(x), sites, 3))
    for name in ("after_reward_cv", "after_failure_cv", "signal_to_noise"):
        i = SUMMARY_NAMES.index(name)
        found[:, i] = np.log1p(found[:, i])
    return found


def _independent(x: np.ndarray, *, sites: int) -> np.ndarray:
    """Compute those of the 37 statistics of windows (n, 3 * site) that are no functions of the others."""
    places = [SUMMARY_NAMES.index(name) for name in INDEPENDENT]
    return summary_statistics(x.reshape(len(x), sites, 3))[:, places]


def _simulate_visits(theta: Mapping[str, np.ndarray], rng: np.random.Generator, *, task: Task) -> np.ndarray:
    """Draw one visit for each row of theta, cut off after `_LONGEST` sites: (n, 4 * site)."""
    from dataclasses import replace

    whole = replace(task, sites=_LONGEST, start="patch")
    windows = draw(theta, trials=1, rng=rng, task=whole)["window"][:, 0]
    left = np.cumsum(windows[..., 2] == 0, axis=1)
    present = (left == 0) | ((left == 1) & (windows[..., 2] == 0))
    made = np.concatenate([windows, present[..., None]], axis=-1, dtype=np.float64)
    made[~present] = 0.0
    return patches.filled(made).reshape(len(made), -1)


def _known(task: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse constants that there are not."""
    from dataclasses import fields

    names = [f.name for f in fields(Task)]
    unknown = sorted(set(task) - set(names))
    if unknown:
        raise ModelError(f"foraging takes bounds and the constants {', '.join(names)}; got {', '.join(unknown)}.")
    return dict(task)


def _with_bounds(bounds: Mapping[str, tuple[float, float]]) -> tuple[Parameter, ...]:
    """Replace bounds by name, and refuse negative noise."""
    made = with_bounds(PARAMETERS, bounds, model="foraging")
    if made[-1].bounds[0] < 0:
        raise ModelError(f"noise_std must not be negative; got the bounds {made[-1].bounds}.")
    return made
