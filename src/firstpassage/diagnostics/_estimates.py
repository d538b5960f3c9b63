"""Point estimates, quick enough to be repeated on hundreds of replicates: modes of likelihoods, means of posteriors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _nuts, _sampling, seeds
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    import jax

_CANDIDATES, _STARTS = 256, 3  # points tried, of which the best are climbed from
_STEPS = 25  # of each climb
_FARTHEST = 8.0  # on the real line, from the middle of the box
_CHUNK = 8192  # trials whose scores are computed at once: one size, one compilation
_DRAWS = 400  # of which a posterior mean is made
_QUICK = 40  # the same for replicates; Monte Carlo error adds 1/40 of the posterior's variance


@dataclass(frozen=True, eq=False, kw_only=True)
class ModeEstimates:
    """Estimate by the posterior mode; a replicate's estimate is a scoring step away, which its summed score gives."""

    likelihood: Likelihood
    prior: Mapping[str, Any]

    def of(self, x: Sequence[np.ndarray], *, seed: int) -> np.ndarray:
        """Find the posterior mode of every data set: (dataset, parameter)."""
        import jax

        priors = _sampling.priors(self.likelihood, self.prior)
        found = []
        with jax.enable_x64():
            climb = _climb(self.likelihood, priors)
            for i, one in enumerate(x):
                box = _nuts.bounds(self.likelihood, one, priors)
                key = jax.random.fold_in(seeds.key(seed, "starts"), i)
                found.append(np.asarray(climb(*_nuts.pad(one), box[:, 0], box[:, 1], key)))
        return np.stack(found)

    def deviations(
        self, x: np.ndarray, replicates: np.ndarray, estimate: Mapping[str, float], *, seed: int
    ) -> np.ndarray:
        """Sum the scores at the estimate over the trials of the data and of each replicate: (1 + replicate, d)."""
        import jax

        del seed
        trials = np.concatenate([x[None], replicates]).reshape(-1, *x.shape[1:])
        short = -len(trials) % _CHUNK
        chunks = np.concatenate([trials, np.repeat(trials[-1:], short, axis=0)]).reshape(-1, _CHUNK, *x.shape[1:])
        with jax.enable_x64():
            score = _score(self.likelihood)
            scores = np.concatenate([np.asarray(score(chunk, dict(estimate))) for chunk in chunks])[: len(trials)]
        return np.nan_to_num(scores, posinf=0.0, neginf=0.0).reshape(-1, len(x), len(estimate)).sum(axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class MeanEstimates:
    """Estimate by the posterior mean, anew for each replicate: one call of an amortized posterior."""

    posterior: Any

    def of(self, x: Sequence[np.ndarray], *, seed: int) -> np.ndarray:
        """Compute the posterior mean of every data set: (dataset, parameter)."""
        return self._means(x, draws=_DRAWS, seed=seed)

    def _means(self, x: Sequence[np.ndarray], *, draws: int, seed: int) -> np.ndarray:
        """Average some draws."""
        drawn = self.posterior.sample(list(x), draws=draws, seed=seed)["posterior"].dataset
        names = self.posterior.parameter_names
        return np.stack([np.asarray(drawn[name].mean(("chain", "draw"))) for name in names], axis=1)

    def deviations(
        self, x: np.ndarray, replicates: np.ndarray, estimate: Mapping[str, float], *, seed: int
    ) -> np.ndarray:
        """Estimate the data and each replicate alike: (1 + replicate, parameter)."""
        del estimate
        return self._means([x, *replicates], draws=_QUICK, seed=seed)


def estimates(sampler: Any, prior: Mapping[str, Any] | None) -> ModeEstimates | MeanEstimates:
    """Choose how to estimate: the mode of a likelihood, else the mean of what the sampler draws."""
    if isinstance(sampler, Likelihood):
        return ModeEstimates(likelihood=sampler, prior=prior or {})
    return MeanEstimates(posterior=sampler)


@lru_cache(maxsize=16)
def _score(likelihood: Likelihood) -> Callable[..., jax.Array]:
    """Compile the gradient of every trial's log density: (trial, parameter)."""
    import jax
    import jax.numpy as jnp

    def score(x: jax.Array, theta: Mapping[str, jax.Array]) -> jax.Array:
        gradient = jax.jacfwd(lambda at: likelihood.function(x, at))(theta)
        return jnp.stack([gradient[name] for name in likelihood.parameter_names], axis=1)

    return jax.jit(score)


@lru_cache(maxsize=16)
def _climb(likelihood: Likelihood, priors: tuple[Any, ...]) -> Callable[..., jax.Array]:
    """Compile the search of the mode: damped scoring steps, with the outer product of the scores as information."""
    import jax
    import jax.numpy as jnp

    names = likelihood.parameter_names

    def place(z: Any, low: Any, high: Any) -> jax.Array:
        return low + (high - low) * jax.nn.sigmoid(z)

    def per_trial(z: Any, x: Any, weight: Any, low: Any, high: Any) -> jax.Array:
        trials = likelihood.function(x, dict(zip(names, place(z, low, high), strict=True)))
        return jnp.where(weight > 0, trials, 0.0)

    def log_prior(z: Any, low: Any, high: Any) -> jax.Array:
        theta = place(z, low, high)
        return sum((p.log_prob(v) for v, p in zip(theta, priors, strict=True) if p is not None), start=jnp.zeros(()))

    def height(z: Any, *data: Any) -> jax.Array:
        total = per_trial(z, *data).sum() + log_prior(z, *data[2:])
        return jnp.where(jnp.isfinite(total), total, -jnp.inf)

    def step(state: tuple[Any, Any, Any], data: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        z, reached, damping = state
        scores = jnp.nan_to_num(jax.jacfwd(per_trial)(z, *data))
        slope = scores.sum(axis=0) + jax.grad(log_prior)(z, *data[2:])
        information = scores.T @ scores
        damped = information + damping * jnp.diag(jnp.diag(information) + 1e-3)
        tried = jnp.clip(z + jnp.clip(jnp.linalg.solve(damped, slope), -2.0, 2.0), -_FARTHEST, _FARTHEST)
        new = height(tried, *data)
        up = new > reached
        return jnp.where(up, tried, z), jnp.where(up, new, reached), damping * jnp.where(up, 0.2, 5.0)

    def mode(x: Any, weight: Any, low: Any, high: Any, key: jax.Array) -> jax.Array:
        data = (x, weight, low, high)
        tried = jax.random.logistic(key, (_CANDIDATES, len(names)), dtype=jnp.float64)
        best = tried[jnp.argsort(-jax.vmap(lambda z: height(z, *data))(tried))[:_STARTS]]

        def climb(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            start = (z, height(z, *data), jnp.ones(()))
            (z, reached, _), _ = jax.lax.scan(lambda s, _: (step(s, data), None), start, length=_STEPS)
            return z, reached

        ends, reached = jax.vmap(climb)(best)
        return place(ends[jnp.argmax(reached)], low, high)

    return jax.jit(mode)
