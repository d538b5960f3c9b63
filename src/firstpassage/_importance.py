"""Importance sampling by way of a quick approximation of the likelihood, for likelihoods that have one.

A Student t on the real line is fitted to the approximate posterior in rounds (adaptive importance sampling); its draws,
resampled to the approximate posterior, are weighed by exact over approximate likelihood, smoothed, and resampled. Where
these weights cannot be trusted or leave few draws, the Student t is fitted to the exact posterior itself.

References
----------
Cappe, Guillin, Marin and Robert (2004), Population Monte Carlo, JCGS 13: adaptation in rounds.
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firstpassage import _weights, seeds
from firstpassage.errors import DataError

if TYPE_CHECKING:
    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood

_ROUND = 1024  # draws of a round of adaptation
_ROUNDS = 12  # at most
_CLOSE = 0.35  # efficiency at which adaptation ends
_LEAST = 0.1  # share of a round that tempered weights leave effective
_FREEDOM = 5.0  # degrees of freedom of the Student t
_WIDER = 1.15  # of its covariance than that of the draws
_MORE = 6  # draws of the Student t for each draw of the approximate posterior
_FEW = 0.25  # share of the draws that must be effective
_BROAD = 4  # draws of the Student t for each draw, where it is fitted to the exact posterior
_REFINED = 4  # rounds of that, for enough effective draws
_STUBBORN = 12  # and where the weights cannot be trusted before; NUTS would take far longer
_MOST = 6  # times so many, where the Student t fits badly

Target = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Corrected:
    """Hold draws of one data set (draw, parameter), their log posterior, and what the weights say.

    Parameters
    ----------
    theta : ndarray, shape (draw, parameter)
        Resampled.
    lp : ndarray, shape (draw,)
        Log posterior on the real line, up to a constant.
    pareto_k : float
        Of the weights from the approximate to the exact posterior.
    efficiency : float
        Effective over all of these.
    effective : float
        Effective number of draws.
    """

    theta: np.ndarray
    lp: np.ndarray
    pareto_k: float
    efficiency: float
    effective: float

    @property
    def trusted(self) -> bool:
        """Tell whether the draws may be used."""
        return self.pareto_k <= _weights.TRUSTED


def verdict(found: Sequence[Corrected], *, by_nuts: Sequence[int]) -> str:
    """Say in one sentence whether the draws may be used; NUTS may have made those of some data sets."""
    left = [one for i, one in enumerate(found) if i not in by_nuts]
    if not left:
        return f"sampled by NUTS, as Pareto k was above {_weights.TRUSTED}."
    k, least = max(one.pareto_k for one in left), min(one.effective for one in left)
    text = f"importance sampling by way of the approximation: Pareto k {k:.2f}, {least:.0f} effective draws"
    if len(found) > 1:
        text += f" at worst over {len(left)} data sets"
    if by_nuts:
        text += f"; {len(by_nuts)} sampled by NUTS, as Pareto k was above {_weights.TRUSTED}"
    return f"{text}." if k <= _weights.TRUSTED else f"NOT to be trusted: {text}, needs k <= {_weights.TRUSTED}."


@dataclass(frozen=True, eq=False, kw_only=True)
class _Student:
    """A multivariate Student t distribution."""

    mean: np.ndarray
    factor: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw points (n, parameter)."""
        normal = rng.standard_normal((n, len(self.mean)))
        scale = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, size=n))
        return self.mean + scale[:, None] * (normal @ self.factor.T)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Evaluate the log density."""
        p = len(self.mean)
        white = np.linalg.solve(self.factor, (z - self.mean).T)
        constant = math.lgamma((_FREEDOM + p) / 2) - math.lgamma(_FREEDOM / 2) - p / 2 * math.log(_FREEDOM * math.pi)
        constant -= float(np.log(np.diagonal(self.factor)).sum())
        return constant - (_FREEDOM + p) / 2 * np.log1p((white**2).sum(axis=0) / _FREEDOM)


def sample(likelihood: Likelihood, x: np.ndarray, *, space: Space, draws: int, seed: int) -> Corrected:
    """Draw from the exact posterior of the trials `x`, by way of the approximate one.

    Parameters
    ----------
    likelihood : Likelihood
        With an approximation.
    x : ndarray, shape (trial, ...)
        As `read` returns it.
    space : Space
        The real line, with the prior.
    draws, seed : int
        How many, and from which seed.

    Returns
    -------
    Corrected
        Draws, and whether they can be trusted.

    Raises
    ------
    DataError
        If the likelihood is zero everywhere.
    """
    import jax

    rng, rough = seeds.generator(seed, "importance sampling"), approximation(likelihood)
    ends = space.ends(likelihood, x)
    with jax.enable_x64():
        near, target = (_target(one, x, space, ends) for one in (rough, likelihood))
        z, found = _approximate(near, draws=draws, size=len(space.names), rng=rng)
        exact = target(z)
        if not np.isfinite(exact).any():
            raise DataError(
                f"the {likelihood.kind} likelihood of {likelihood.model} is zero for all draws of its approximation. "
                "Look at the extreme trials."
            )
        weight, k = _weights.smoothed(exact - near(z))
        effective = _weights.effective(weight) / draws * min(found, draws)
        if k > _weights.TRUSTED or effective < _FEW * draws:
            z, exact, weight, k = _refined(target, z, weight, draws=draws, rng=rng)
            effective = _weights.effective(weight)
    rows = _weights.systematic(weight, draws, rng)
    return Corrected(
        theta=np.stack(list(space.many(z[rows], ends)[0].values()), axis=1), lp=exact[rows], pareto_k=k,
        efficiency=effective / len(z), effective=effective,
    )  # fmt: skip


def _refined(
    target: Target, z: np.ndarray, weight: np.ndarray, *, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Fit the Student t to the exact posterior itself, in rounds: points, log posterior, weights, Pareto k."""
    for done in range(1, _STUBBORN + 1):
        proposal = _fitted(z, weight)
        z = proposal.draw(_BROAD * draws, rng)
        exact = target(z)
        weight, k = _weights.smoothed(exact - proposal.log_density(z))
        if k <= _weights.TRUSTED and (_weights.effective(weight) >= draws or done >= _REFINED):
            break
    return z, exact, weight, k


def approximation(likelihood: Likelihood) -> Likelihood:
    """Return the quick approximation that a likelihood must have to be sampled in this way."""
    from firstpassage.errors import ModelError

    if likelihood.approximation is None:
        raise ModelError(
            f'method="importance" needs a quick approximation, which the {likelihood.kind} likelihood of '
            f'{likelihood.model} does not have. Use method="nuts".'
        )
    return likelihood.approximation


def _target(likelihood: Likelihood, x: np.ndarray, space: Space, ends: np.ndarray) -> Target:
    """Give the log posterior on the real line, for many points."""

    def target(z: np.ndarray) -> np.ndarray:
        theta, log_prior = space.many(z, ends)
        total = likelihood.summed(x, theta) + log_prior
        return np.where(np.isnan(total), -np.inf, total)

    return target


def _approximate(target: Target, *, draws: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draw points of the approximate posterior (draw, parameter), and say how many of them are effective."""
    proposal = _adapt(target, size=size, rng=rng)
    z, log_weight = np.empty((0, size)), np.empty(0)
    for _ in range(_MOST):
        more = proposal.draw(max(_MORE * draws, _ROUND), rng)
        z = np.concatenate([z, more])
        log_weight = np.concatenate([log_weight, target(more) - proposal.log_density(more)])
        weight, _ = _weights.smoothed(log_weight)
        found = _weights.effective(weight)
        if found >= 2 * draws:
            break
    return z[_weights.systematic(weight, draws, rng)], found


def _adapt(target: Target, *, size: int, rng: np.random.Generator) -> _Student:
    """Fit the Student t in rounds, to weights tempered as much as each round needs."""
    z = rng.logistic(size=(4 * _ROUND, size))
    log_density = (-z - 2 * np.log1p(np.exp(-z))).sum(axis=1)
    for _ in range(_ROUNDS):
        log_weight = target(z) - log_density
        if not np.isfinite(log_weight).any():
            raise DataError("the approximate likelihood is zero for all starting points. Look at the extreme trials.")
        weight, tempered = _tempered(log_weight)
        proposal = _fitted(z, weight)
        if not tempered and _weights.effective(weight) > _CLOSE * len(z):
            break
        z = proposal.draw(_ROUND, rng)
        log_density = proposal.log_density(z)
    return proposal


def _tempered(log_weight: np.ndarray) -> tuple[np.ndarray, bool]:
    """Raise weights to the largest power up to one that leaves enough of them effective."""
    shifted = log_weight - log_weight.max()
    enough = _LEAST * len(shifted)

    def raised(power: float) -> np.ndarray:
        return np.asarray(np.exp(power * np.maximum(shifted, -1e6)))

    if _weights.effective(raised(1.0)) >= enough:
        return raised(1.0), False
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _weights.effective(raised(middle)) >= enough else (low, middle)
    return raised(low), True


def _fitted(z: np.ndarray, weight: np.ndarray) -> _Student:
    """Match mean and covariance."""
    share = weight / weight.sum()
    mean = share @ z
    apart = z - mean
    covariance = _WIDER * (apart.T * share) @ apart + 1e-10 * np.eye(len(mean))
    scale = (_FREEDOM - 2) / _FREEDOM
    return _Student(mean=mean, factor=np.linalg.cholesky(scale * covariance))
