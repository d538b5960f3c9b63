"""Correct the draws of an amortized posterior by the exact likelihood, and say whether that can be trusted.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25: weights, k and its limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _nuts, seeds
from firstpassage.errors import DataError, ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

TRUSTED = 0.7  # largest Pareto k with which the weighted draws may be used
_MORE = 4  # proposals for each draw asked for, at first
_MOST = 64  # and at most
_FEWEST = 4000  # proposals, so that k is known well
_ROWS = 4096  # of which the likelihood is evaluated at once: one compilation for each padded size of the data


@dataclass(frozen=True, eq=False, kw_only=True)
class Corrected:
    """Hold resampled draws of one data set (draw, parameter), and what the weights say."""

    theta: np.ndarray
    log_q: np.ndarray
    pareto_k: float
    efficiency: float
    effective: float


def correct(posterior: Posterior, x: np.ndarray, *, draws: int, seed: int) -> Corrected:
    """Propose, weigh by prior x exact likelihood / network, smooth, and resample; more proposals if few are left."""
    exact = _exact(posterior)
    proposals = max(_MORE * draws, _FEWEST)
    while True:
        theta, log_q = (one[0] for one in posterior.propose([x], draws=proposals, seed=seed))
        log_weight = _log_target(posterior, exact, theta, x) - log_q
        weight, k = _smoothed(log_weight)
        effective = 1 / float(np.sum(weight**2))
        if effective >= draws or proposals >= _MOST * draws or k > TRUSTED:
            break
        proposals *= 4
    rng = seeds.generator(seed, "resampling")
    rows = _systematic(weight, draws, rng)
    return Corrected(
        theta=theta[rows], log_q=log_q[rows], pareto_k=k, efficiency=effective / proposals, effective=effective
    )


def verdict(found: Sequence[Corrected]) -> str:
    """Say in one sentence whether the corrected draws may be used."""
    k, efficiency = np.array([one.pareto_k for one in found]), np.array([one.efficiency for one in found])
    bad = np.flatnonzero(~(k <= TRUSTED))
    if len(found) == 1 and not len(bad):
        return f"corrected by the exact likelihood: Pareto k {k[0]:.2f}, efficiency {efficiency[0]:.0%}."
    if len(found) == 1:
        return f"NOT to be trusted: Pareto k {k[0]:.2f}, needs <= {TRUSTED}; sample the exact likelihood by NUTS."
    text = f"largest Pareto k {k.max():.2f}, median efficiency {np.median(efficiency):.0%}"
    if not len(bad):
        return f"corrected by the exact likelihood: {text} over {len(found)} data sets."
    return (
        f"NOT to be trusted for {len(bad)} of {len(found)} data sets (first: {bad[0]}): {text}; sample the exact "
        "likelihood by NUTS for these."
    )


def _exact(posterior: Posterior) -> Likelihood:
    """Return the exact likelihood, or say that there is none."""
    if posterior.exact is None:
        raise ModelError(f"{posterior.model} has no exact likelihood to correct by. Sample without correct.")
    return posterior.exact


def _log_target(posterior: Posterior, exact: Likelihood, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Evaluate log prior + exact log likelihood for each draw."""
    import jax

    names = posterior.parameter_names
    padded, weight = _nuts.pad(x)
    rows = np.concatenate([theta, np.repeat(theta[-1:], -len(theta) % _ROWS, axis=0)]).reshape(-1, _ROWS, len(names))
    with jax.enable_x64():
        call = _summed(exact)
        parts = [np.asarray(call(padded, weight, dict(zip(names, some.T, strict=True)))) for some in rows]
    summed = np.concatenate(parts)[: len(theta)]
    if not np.isfinite(summed).any():
        raise DataError("the exact likelihood is zero for all draws of the network. Look at the extreme trials.")
    return summed + posterior.log_prior(dict(zip(names, theta.T, strict=True)))


@lru_cache(maxsize=8)
def _summed(exact: Likelihood) -> Any:
    """Compile the summed log likelihood of weighted trials, for many parameter sets."""
    import jax
    import jax.numpy as jnp

    def one(x: Any, weight: Any, theta: Any) -> Any:
        return jnp.sum(jnp.where(weight > 0, exact.function(x, theta), 0.0))

    return jax.jit(lambda x, weight, theta: jax.lax.map(lambda row: one(x, weight, row), theta, batch_size=256))


def _smoothed(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Smooth the largest weights, and normalise: weights that sum to one, and Pareto k (infinite if hopeless)."""
    from arviz_stats.base import array_stats

    finite = np.where(np.isfinite(log_weight), log_weight, -1e300)
    shifted = finite - finite.max()
    smooth, k = array_stats.psislw(-np.maximum(shifted, -700.0), r_eff=1.0)  # it takes log likelihoods: minus weights
    weight = np.exp(np.asarray(smooth) - np.max(smooth))
    weight[~np.isfinite(log_weight)] = 0.0
    known = float(k) if np.isfinite(k) else np.inf
    return weight / weight.sum(), known


def _systematic(weight: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resample rows with probability proportional to weight, in random order."""
    places = (np.arange(draws) + rng.uniform()) / draws
    rows = np.minimum(np.searchsorted(np.cumsum(weight), places), len(weight) - 1)
    return rng.permutation(rows)
