"""Sequential Monte Carlo through tempered posteriors, for likelihoods whose posterior may have several modes.

Particles begin spread over the box (or drawn from a joint prior) and go to the posterior through powers of prior and
likelihood, each as far from the last as the weights allow; at each power they are resampled and moved. A move adds a
multiple of the difference of two other particles, which fits any scale and correlation, and leads from one mode to
another. Kernel, tempering and resampling are those of BlackJAX.

References
----------
Del Moral, Doucet and Jasra (2006), Sequential Monte Carlo samplers, JRSS B 68: tempering.
Ter Braak (2006), A Markov chain Monte Carlo version of the genetic algorithm differential evolution, Statistics and
Computing 16, eq. 2: moves by differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firstpassage import _nuts, seeds
from firstpassage.errors import DataError

if TYPE_CHECKING:
    import jax

    from firstpassage._spaces import Space
    from firstpassage.likelihood import Likelihood

MOST_TRIALS, MOST_PARAMETERS = 64, 16  # up to which method="auto" takes it for likelihoods of unknown shape

_FEWEST, _MOST = 1024, 8192  # particles
_TARGET = 0.6  # effective share of the particles that a step of the temperature leaves
_MOVES, _MOVES_EACH = 6, 1  # at every temperature, and more for each parameter
_LAST, _LAST_EACH = 20, 3  # the same at the end
_TEMPERATURES = 200  # at most
_ACCEPTED = 0.25  # share of the moves, towards which their length is adapted
_SHORTEST = 1e-3
_SPREAD = 1.0  # of the logarithm of the length of moves
_JUMPS = 0.1  # share of moves by a whole difference, from mode to mode
_ROWS = 65536  # particles x trials that are evaluated at once
_STUCK = 0.02  # share of accepted moves below which particles stay where they were resampled
_EDGE = 40.0  # farther out on the real line there is nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampled:
    """Hold the draws of one data set, and how the particles went.

    Parameters
    ----------
    theta : ndarray, shape (draw, parameter)
        Draws, in random order.
    z : ndarray, shape (draw, coordinate)
        The same on the real line.
    lp : ndarray, shape (draw,)
        Log posterior on the real line, up to a constant.
    temperatures, ess, acceptance : ndarray, shape (temperature,)
        Powers up to 1, the effective share of the particles at each step, and the share of accepted moves.
    effective : float
        Number of independent draws that these are worth.
    """

    theta: np.ndarray
    z: np.ndarray
    lp: np.ndarray
    temperatures: np.ndarray
    ess: np.ndarray
    acceptance: np.ndarray
    effective: float


class _Cloud(NamedTuple):
    """Particles (particle, coordinate), the logs of what is tempered there, and the power to which it is raised.

    The weights lead to that power from the one before; the length is that of moves.
    """

    z: Any
    rise: Any
    weight: Any
    power: Any
    length: Any


class _Moved(NamedTuple):
    """Particles after moves, with what is tempered, the share of accepted moves, and where and which they were."""

    z: Any
    rise: Any
    accepted: Any
    before: Any
    rows: Any


def sample(likelihood: Likelihood, x: np.ndarray, *, space: Space, draws: int, seed: int) -> Sampled:
    """Draw from the posterior of the trials `x`.

    Parameters
    ----------
    likelihood : Likelihood
        Any.
    x : ndarray, shape (trial, ...)
        As `read` returns it.
    space : Space
        The real line, with the prior.
    draws, seed : int
        How many, and from which seed.

    Returns
    -------
    Sampled
        Draws, and how the particles went.

    Raises
    ------
    DataError
        If the likelihood is zero everywhere.
    """
    import jax

    ends, key = space.ends(likelihood, x), seeds.key(seed, "smc")
    data, size = (*pad(x), ends[:, 0], ends[:, 1]), _particles(draws)
    with jax.enable_x64():
        programs = _compile(likelihood, space)
        z = jax.numpy.asarray(space.base(size, seeds.generator(seed, "particles")))
        cloud, share = _heated(z, programs.look(z, data), np.float64(0.0), np.float64(1.0))
        record = [(float(cloud.power), float(share), 1.0)]
        while not record[-1][0] >= 1:  # it may be NaN
            _check(likelihood, record)
            moves = _MOVES + _MOVES_EACH * len(space.names)
            moved = programs.move(cloud, data, jax.random.fold_in(key, len(record)), moves)
            length = _adapted(cloud.length, moved.accepted)
            cloud, share = _heated(moved.z, moved.rise, cloud.power, length)
            record.append((float(cloud.power), float(share), float(moved.accepted)))
        return _drawn(cloud, data, programs=programs, record=record, draws=draws, seed=seed)


def _particles(draws: int) -> int:
    """Take about as many particles as draws, of few sizes, so that few programs are compiled."""
    return int(np.clip(2 ** math.ceil(math.log2(draws)), _FEWEST, _MOST))


def _check(likelihood: Likelihood, record: Sequence[tuple[float, ...]]) -> None:
    """Refuse particles of which none is possible, and temperatures that do not come to an end."""
    if not math.isfinite(record[-1][0]) or len(record) == _TEMPERATURES:
        raise DataError(
            f"the {likelihood.kind} likelihood of {likelihood.model} must be finite and wide enough for particles to "
            f"find; after {len(record)} steps they came to the power {record[-1][0]:.2g} of it. Look at the extreme "
            "trials, or narrow the box."
        )


def _adapted(length: Any, accepted: Any) -> Any:
    """Make moves shorter where few are accepted."""
    return np.clip(length * np.exp(2 * (np.float64(accepted) - _ACCEPTED)), _SHORTEST, 1.0)


def _heated(z: Any, rise: Any, power: Any, length: Any) -> tuple[_Cloud, Any]:
    """Raise the power as far as the weights allow: the cloud, and the effective share of the particles."""
    step, weight = _step()(rise, power)
    raised = power + step
    share = 1 / (np.sum(np.square(weight)) * len(z))
    return _Cloud(z, rise, weight, np.float64(1.0 if raised > 1 - 1e-9 else raised), length), share


@lru_cache(maxsize=1)
def _step() -> Callable[..., Any]:
    """Compile the search of the next power: the step to it, and weights."""
    import jax
    import jax.numpy as jnp
    from blackjax.smc import ess, solver

    def step(rise: jax.Array, power: jax.Array) -> tuple[jax.Array, jax.Array]:
        height = jnp.where(jnp.isfinite(rise), rise, -1e30)
        height = height - height.max()
        found = ess.ess_solver(lambda _: height, rise, _TARGET, 1 - power, solver.dichotomy)
        found = jnp.where(jnp.isfinite(rise).any(), jnp.clip(found, 0.0, 1 - power), jnp.nan)
        weight = jnp.exp(found * height)
        return found, weight / jnp.sum(weight)

    return jax.jit(step)


def _drawn(
    cloud: _Cloud, data: tuple[Any, ...], *, programs: _Programs, record: Sequence[Any], draws: int, seed: int
) -> Sampled:
    """Resample and move at the power one, as often as needed for so many draws."""
    import jax

    key, d = seeds.key(seed, "draws of particles"), cloud.z.shape[1]
    rounds = -(-draws // len(cloud.z))
    found = [programs.move(cloud, data, jax.random.fold_in(key, i), _LAST + _LAST_EACH * d) for i in range(rounds)]
    whole = _Moved(*(np.concatenate([np.atleast_1d(part) for part in parts]) for parts in zip(*found, strict=True)))
    order = seeds.generator(seed, "order of draws").permutation(len(whole.z))[:draws]
    theta, log_base = programs.place(whole.z, *data[2:])
    temperatures, ess, acceptance = np.array([*record, (1.0, 1.0, whole.accepted.mean())]).T
    return Sampled(
        theta=np.asarray(theta)[order], z=whole.z[order], lp=np.asarray(log_base)[order] + whole.rise[order],
        temperatures=temperatures[:-1], ess=ess[:-1], acceptance=acceptance[1:],
        effective=_effective(whole) / len(whole.z) * draws,
    )  # fmt: skip


def _effective(moved: _Moved) -> float:
    """Count draws without what they share: the place from which moves began, as far as it still shows."""
    apart = [part - part.mean(axis=0) for part in (moved.z, moved.before)]
    scale = np.sqrt((apart[0] ** 2).sum(axis=0) * (apart[1] ** 2).sum(axis=0))
    kept = np.max(np.abs((apart[0] * apart[1]).sum(axis=0)) / np.maximum(scale, 1e-300))
    family = np.bincount(moved.rows).astype(float)
    return float(len(moved.z) ** 2 / np.sum(family + family * (family - 1) * kept**2))


class _Programs(NamedTuple):
    """Compiled: what is tempered at particles, moves, and parameters with the log density of the base."""

    look: Callable[..., Any]
    move: Callable[..., _Moved]
    place: Callable[..., Any]


@lru_cache(maxsize=16)
def _compile(likelihood: Likelihood, space: Space) -> _Programs:
    """Write the programs of a likelihood and a space."""
    import jax

    chain, options = _Chain(likelihood=likelihood, space=space), _nuts.compiler_options()
    return _Programs(*(jax.jit(step, compiler_options=options) for step in (chain.look, chain.move, chain.place)))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Chain:
    """Write the steps of the particles in JAX. Data are trials, their weights, and the ends of the box."""

    likelihood: Likelihood
    space: Space

    def look(self, z: Any, data: tuple[Any, ...]) -> Any:
        """Evaluate what is tempered for all particles."""
        return self._each(lambda one: self._rise(one, data), data)(z)

    def place(self, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Give the parameters of all draws, and the log density by which particles were drawn."""
        import jax

        return jax.vmap(lambda one: (self.space.parameters(one, low, high), self._log_base(one, low, high)))(z)

    def move(self, cloud: _Cloud, data: tuple[Any, ...], key: jax.Array, moves: Any) -> _Moved:
        """Resample, and move by the moves of BlackJAX."""
        import jax
        import jax.numpy as jnp
        from blackjax.mcmc import random_walk
        from blackjax.smc import resampling

        choose, others, walk = jax.random.split(key, 3)
        n, ends = len(cloud.z), data[2:]
        rows = resampling.systematic(choose, cloud.weight, n)
        pairs = cloud.z[resampling.systematic(others, cloud.weight, n)]
        kernel, propose = random_walk.build_rmh(), _by_difference(pairs, cloud.length)

        def target(z: Any) -> Any:
            return self._log_base(z, *ends) + cloud.power * self._rise(z, data)

        def one(key: jax.Array, state: Any) -> tuple[Any, Any]:
            state, info = kernel(key, state, target, propose)
            return state, info.is_accepted

        def body(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            keys = jax.random.split(jax.random.fold_in(walk, i), n)
            states, accepted = self._each(one, data)(keys, carry[0])
            return states, carry[1] + accepted.mean()

        def base(z: Any) -> Any:
            return jax.vmap(lambda at: self._log_base(at, *ends))(z)

        before = cloud.z[rows]
        start = random_walk.RWState(before, base(before) + cloud.power * cloud.rise[rows])
        states, accepted = jax.lax.fori_loop(0, moves, body, (start, jnp.zeros(())))
        rise = (states.logdensity - base(states.position)) / cloud.power
        return _Moved(states.position, rise, accepted / moves, before, rows)

    def _each(self, function: Callable[..., Any], data: tuple[Any, ...]) -> Callable[..., Any]:
        """Vectorise over particles, a part of them at a time where there are many trials."""
        import jax

        size = max(_ROWS // len(data[0]), 1)

        def mapped(*rows: Any) -> Any:
            if len(rows[0]) <= size:
                return jax.vmap(function)(*rows)
            return jax.lax.map(lambda row: function(*row), rows, batch_size=size)

        return mapped

    def _rise(self, z: Any, data: tuple[Any, ...]) -> Any:
        """Evaluate what is tempered: the likelihood, and the part of the prior by which particles were not drawn."""
        import jax.numpy as jnp

        x, weight, low, high = data
        near = jnp.clip(z, -_EDGE, _EDGE)
        theta = dict(zip(self.likelihood.parameter_names, self.space.parameters(near, low, high), strict=True))
        trials = jnp.where(weight > 0, self.likelihood.function(x, theta), 0.0)
        total = jnp.sum(trials) + self.space.log_rest(near, low, high)
        return jnp.where(jnp.isnan(total), -jnp.inf, total)

    def _log_base(self, z: Any, low: Any, high: Any) -> Any:
        """Evaluate the density by which particles were drawn."""
        import jax.numpy as jnp

        near = jnp.clip(z, -_EDGE, _EDGE)
        return self.space.log_base(near, low, high) - jnp.sum(jnp.abs(z - near))


def _by_difference(others: Any, length: Any) -> Callable[[jax.Array, Any], Any]:
    """Propose a place that is a multiple of the difference of two other particles away."""
    import jax
    import jax.numpy as jnp

    n, d = others.shape

    def propose(key: jax.Array, z: Any) -> Any:
        pair, size, jump, noise = jax.random.split(key, 4)
        a, b = jax.random.randint(pair, (2,), 0, n)
        multiple = length * 2.38 / math.sqrt(2 * d) * jnp.exp(_SPREAD * jax.random.normal(size))
        multiple = jnp.where(jax.random.uniform(jump) < _JUMPS, 1.0, multiple)
        return z + multiple * (others[a] - others[b]) + 1e-6 * jax.random.normal(noise, (d,))

    return propose


def pad(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeat the last trial with weight zero up to a power of two, so that few programs are compiled."""
    n = len(x)
    size = 2 ** math.ceil(math.log2(n))
    padded = np.concatenate([x, np.repeat(x[-1:], size - n, axis=0)])
    return padded, (np.arange(size) < n).astype(np.float64)


def verdict(found: Sampled) -> Mapping[str, Any]:
    """Write what is known of the draws of one data set as attributes that a file can hold."""
    from firstpassage._convergence import ESS

    text = (
        f"{len(found.theta)} draws by sequential Monte Carlo through {len(found.temperatures)} temperatures, "
        f"{found.effective:.0f} of them effective, {found.acceptance[-1]:.0%} of the last moves accepted"
    )
    failures = []
    if found.effective < min(ESS, len(found.theta)) - 0.5:
        failures.append(f"{found.effective:.0f} effective draws, needs {ESS:.0f}: more draws")
    if found.acceptance[-1] < _STUCK:
        failures.append(f"{found.acceptance[-1]:.1%} of the last moves accepted, needs {_STUCK:.0%}: a narrower box")
    text = f"NOT to be trusted: {'; '.join(failures)} ({text})" if failures else text
    return {"verdict": f"{text}.", "ok": int(not failures), "effective": found.effective}


def steps(found: Sequence[Sampled]) -> dict[str, np.ndarray]:
    """Name what is known of each step to the posterior: (dataset, step), NaN beyond the last of a data set."""
    longest = max(len(one.temperatures) for one in found)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.full(longest - len(values), np.nan)])

    numbers = {"power": "temperatures", "ess": "ess", "accepted": "acceptance"}
    return {name: np.stack([padded(vars(one)[field]) for one in found]) for name, field in numbers.items()}
