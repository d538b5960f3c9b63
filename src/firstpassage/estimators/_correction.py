"""Correct the draws of an amortized posterior by the exact likelihood, and say whether that can be trusted.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25: weights, k and its limits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firstpassage import _weights, seeds
from firstpassage._weights import TRUSTED
from firstpassage.errors import ModelError, SamplingWarning
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

_MORE = 4  # proposals for each draw asked for, at first
_MOST = 64  # and at most
_FEWEST = 4000  # proposals, so that k is known well


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
        theta, log_q, log_prior = (one[0] for one in posterior.weigh([x], draws=proposals, seed=seed))
        log_weight = _log_likelihood(posterior, exact, theta, x) + log_prior - log_q
        weight, k = _weights.smoothed(log_weight)
        effective = _weights.effective(weight) if np.isfinite(k) else 0.0
        if effective >= draws or proposals >= _MOST * draws or k > TRUSTED:
            break
        proposals *= 4
    rng = seeds.generator(seed, "resampling")
    rows = _weights.systematic(weight, draws, rng)
    return Corrected(
        theta=theta[rows], log_q=log_q[rows], pareto_k=k, efficiency=effective / proposals, effective=effective
    )


def judged(found: Sequence[Corrected]) -> str:
    """Give the verdict, and warn the caller of `Posterior.sample` where it is bad."""
    told = verdict(found)
    if any(not one.pareto_k <= TRUSTED for one in found):
        warnings.warn(told, SamplingWarning, stacklevel=4)
    return told


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


def _log_likelihood(posterior: Posterior, exact: Likelihood, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Evaluate the exact log likelihood for each draw."""
    values = {name: theta[:, i] for i, name in enumerate(posterior.parameter_names)}
    return exact.summed(x if posterior.given is None else exact.read(posterior.given(x)), values)
