"""Point estimates, quick enough to be repeated on hundreds of replicates: modes of likelihoods, means of posteriors.

Where a likelihood is sampled more quickly than climbed, because its programs are compiled for each length of the
trials, its posterior mean is taken, and scores are differences of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firstpassage import _nuts, _spaces, seeds
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    import jax

    from firstpassage._spaces import Space

_CANDIDATES, _STARTS = 256, 3  # points tried, of which the best are climbed from
_STEPS = 25  # of each climb
_FARTHEST = 8.0  # on the real line, from the middle of the box
_CHUNK = 8192  # trials whose scores are computed at once: one size, one compilation
_DRAWS = 400  # of which a posterior mean is made
_APART = 0.002  # of the box, on both sides, for differences
_QUICK = 40  # the same for replicates; Monte Carlo error adds 1/40 of the posterior's variance


@dataclass(frozen=True, eq=False, kw_only=True)
class ModeEstimates:
    """Estimate by the posterior mode; a replicate's estimate is a scoring step away, which its summed score gives."""

    likelihood: Likelihood
    prior: Mapping[str, Any]

    def of(self, x: Sequence[np.ndarray], *, seed: int) -> np.ndarray:
        """Find the posterior mode of every data set: (dataset, parameter)."""
        import jax

        space = _spaces.choose(self.likelihood, self.prior)
        found = []
        with jax.enable_x64():
            climb = _climb(self.likelihood, space)
            for i, one in enumerate(x):
                box = space.ends(self.likelihood, one)
                key = jax.random.fold_in(seeds.key(seed, "starts"), i)
                found.append(np.asarray(climb(*_nuts.pad(one), box[:, 0], box[:, 1], key)))
        return np.stack(found)

    def deviations(
        self, x: np.ndarray, replicates: Sequence[np.ndarray], estimate: Mapping[str, float], *, seed: int
    ) -> np.ndarray:
        """Sum the scores at the estimate over the trials of the data and of each replicate: (1 + replicate, d)."""
        import jax

        del seed
        trials = np.concatenate([x[None], np.asarray(replicates)]).reshape(-1, *x.shape[1:])
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
        self, x: np.ndarray, replicates: Sequence[np.ndarray], estimate: Mapping[str, float], *, seed: int
    ) -> np.ndarray:
        """Estimate the data and each replicate alike: (1 + replicate, parameter)."""
        del estimate
        return self._means([x, *replicates], draws=_QUICK, seed=seed)


@dataclass(frozen=True, eq=False, kw_only=True)
class DrawnEstimates:
    """Estimate by the mean of draws of a likelihood; a replicate's estimate is a scoring step away.

    The draws are weighed ones whatever their weights are like: where few are effective the estimate is a rough one, as
    good a place for replicates as any near it, and NUTS would take minutes. The scores are those of the quick
    approximation that the likelihood has: they only say what the estimate explains.
    """

    likelihood: Likelihood
    prior: Mapping[str, Any]

    def of(self, x: Sequence[np.ndarray], *, seed: int) -> np.ndarray:
        """Compute the posterior mean of every data set: (dataset, parameter)."""
        quick: dict[str, Any] = {"draws": _DRAWS, "chains": 1, "method": "importance"}
        tree = self.likelihood.sample(list(x), seed=seed, prior=self.prior, **quick)
        drawn = tree["posterior"].dataset
        return np.stack([np.asarray(drawn[n].mean(("chain", "draw"))) for n in self.likelihood.parameter_names], axis=1)

    def deviations(
        self, x: np.ndarray, replicates: Sequence[np.ndarray], estimate: Mapping[str, float], *, seed: int
    ) -> np.ndarray:
        """Difference the summed log density of the data and of each replicate at the estimate: (1 + replicate, d)."""
        del seed
        rough = self.likelihood.approximation or self.likelihood
        low, high = np.array([rough.box[name] for name in estimate]).T
        centre, steps = np.array(list(estimate.values())), np.diag(_APART * (high - low))
        ends = np.clip(np.stack([centre + steps, centre - steps]), low, high)
        width = np.diagonal(ends[0] - ends[1])
        theta = dict(zip(estimate, ends.reshape(-1, len(centre)).T, strict=True))
        heights = np.array([rough.summed(one, theta) for one in (x, *replicates)]).reshape(-1, 2, len(centre))
        return np.nan_to_num((heights[:, 0] - heights[:, 1]) / width, posinf=0.0, neginf=0.0)


Estimates = ModeEstimates | MeanEstimates | DrawnEstimates


def estimates(sampler: Any, prior: Mapping[str, Any] | None) -> Estimates:
    """Choose how to estimate: the mode of a likelihood, else the mean of what the sampler draws."""
    if isinstance(sampler, Likelihood) and sampler.approximation is not None:
        return DrawnEstimates(likelihood=sampler, prior=prior or {})
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
def _climb(likelihood: Likelihood, space: Space) -> Callable[..., jax.Array]:
    """Compile the search of the mode."""
    import jax

    return jax.jit(_Hill(likelihood=likelihood, space=space).top)


class _Climber(NamedTuple):
    """The best place so far with its height, slope and information; where to look next; and the damping of steps."""

    z: Any
    height: Any
    slope: Any
    information: Any
    next: Any
    damping: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class _Hill:
    """Climb the posterior by damped scoring steps, with the outer product of the scores as information.

    Data are trials, their weights, and the lower and upper ends of the box.
    """

    likelihood: Likelihood
    space: Space

    def top(self, x: Any, weight: Any, low: Any, high: Any, key: jax.Array) -> jax.Array:
        """Climb from the best of some points spread over the box, and return the highest place in the box."""
        import jax
        import jax.numpy as jnp

        data, d = (x, weight, low, high), len(self.space.names)
        tried = jax.random.logistic(key, (_CANDIDATES, d), dtype=jnp.float64)
        height = jax.vmap(lambda z: self._trials(z, data).sum() + self._log_prior(z, data))(tried)
        best = tried[jnp.argsort(-jnp.where(jnp.isfinite(height), height, -jnp.inf))[:_STARTS]]

        def climb(z: jax.Array) -> _Climber:
            first = _Climber(z, -jnp.inf, 0 * z, jnp.eye(d), z, jnp.asarray(5.0))
            return jax.lax.scan(lambda c, _: (self._step(c, data), None), first, length=_STEPS + 1)[0]

        ends = jax.vmap(climb)(best)
        return self._place(ends.z[jnp.argmax(ends.height)], data)

    def _step(self, c: _Climber, data: tuple[Any, ...]) -> _Climber:
        """Go to the next place if it is higher, and look for one further on, or nearer."""
        import jax
        import jax.numpy as jnp

        def trials(z: Any) -> tuple[Any, Any]:
            found = self._trials(z, data)
            return found, found

        scores, found = jax.jacfwd(trials, has_aux=True)(c.next)
        prior, pull = jax.value_and_grad(self._log_prior)(c.next, data)
        height, scores = found.sum() + prior, jnp.nan_to_num(scores)
        up = jnp.isfinite(height) & (height > c.height)
        here = (c.next, height, scores.sum(axis=0) + pull, scores.T @ scores)
        z, height, slope, information = (jnp.where(up, new, old) for new, old in zip(here, c[:4], strict=True))
        damping = c.damping * jnp.where(up, 0.2, 5.0)
        damped = information + damping * jnp.diag(jnp.diag(information) + 1e-3)
        step = jnp.clip(jnp.linalg.solve(damped, slope), -2.0, 2.0)
        return _Climber(z, height, slope, information, jnp.clip(z + step, -_FARTHEST, _FARTHEST), damping)

    def _place(self, z: Any, data: tuple[Any, ...]) -> jax.Array:
        """Give the parameters of a point of the real line."""
        *_, low, high = data
        return self.space.parameters(z, low, high)

    def _trials(self, z: Any, data: tuple[Any, ...]) -> jax.Array:
        """Evaluate the weighted log density of every trial."""
        import jax.numpy as jnp

        x, weight, *_ = data
        theta = dict(zip(self.likelihood.parameter_names, self._place(z, data), strict=True))
        return jnp.where(weight > 0, self.likelihood.function(x, theta), 0.0)

    def _log_prior(self, z: Any, data: tuple[Any, ...]) -> jax.Array:
        """Evaluate the log prior, without the map's Jacobian."""
        *_, low, high = data
        return self.space.log_height(z, low, high)
