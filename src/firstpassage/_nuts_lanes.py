"""NUTS as a machine with one leapfrog step per tick, so that no chain waits for the deeper tree of another.

A vectorised NUTS transition lasts as long as its deepest tree. Here every lane (one chain of one data set) carries its
unfinished tree from tick to tick, and starts its next transition while other lanes are still at theirs. Momenta are
standard normal in coordinates whitened by the Cholesky factor of the adapted covariance. The first ticks try points
over the box and take the best as its start: the program then holds the target once, and compiles in half the time.

References
----------
Hoffman and Gelman (2014), JMLR 15, algorithms 3 and 6: the tree, dual averaging.
Betancourt (2017), arXiv:1701.02434, appendix A: multinomial and biased progressive sampling.
Phan, Pradhan and Jankowiak (2019), arXiv:1912.11554: the tree without recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DEPTH = 10  # doublings of a tree at most
_CANDIDATES = 32  # points tried
_LONGEST = 2048  # steps of warm-up in one program
_SLOWEST = 5  # transitions for a draw at most
_TARGET_ACCEPTANCE = 0.85
_DIVERGENT = 1000.0  # nats of energy lost
_SHRINK, _PULL, _DELAY, _FORGET = 1e-3, 0.05, 10.0, 0.75  # of Stan: covariance; gamma, t0, kappa of dual averaging


class Point(NamedTuple):
    """A place with its log density, gradient and energy."""

    z: Any
    lp: Any
    gradient: Any
    energy: Any


class End(NamedTuple):
    """One end of a trajectory."""

    z: Any
    momentum: Any
    gradient: Any


class Half(NamedTuple):
    """The half of a tree that is being added: its leaves, weight, momenta, and what its U-turn checks need."""

    forward: Any
    leaves: Any
    weight: Any
    momentum: Any
    proposal: Point
    kept_first: Any
    kept_sum: Any


class Tree(NamedTuple):
    """The trajectory of the transition in progress."""

    energy: Any
    left: End
    right: End
    weight: Any
    momentum: Any
    proposal: Point
    depth: Any
    leaves: Any
    accepted: Any


class Tuning(NamedTuple):
    """Step size by dual averaging, covariance by Welford's sums, and from the autocorrelation the pace.

    The pace is the number of transitions for each kept draw.
    """

    log_step: Any
    log_average: Any
    error: Any
    centre: Any
    updates: Any
    count: Any
    mean: Any
    squares: Any
    previous: Any
    products: Any
    factor: Any
    pace: Any


class Lane(NamedTuple):
    """One chain of one data set: transitions finished, ticks, the tree in progress, the tuning."""

    step: Any
    tick: Any
    tree: Tree
    half: Half
    tuning: Tuning


def start(size: int) -> Lane:
    """Put a lane of `size` parameters before the search of its start."""
    z, eye, zero, none = jnp.zeros(size), jnp.eye(size), jnp.zeros(()), jnp.zeros((), jnp.int32)
    tuning = Tuning(
        log_step=zero, log_average=zero, error=zero, centre=jnp.log(10.0), updates=zero, count=zero, mean=z,
        squares=0 * eye, previous=z, products=z, factor=eye, pace=none + 1,
    )  # fmt: skip
    tree, half = _plant(Point(z, zero - jnp.inf, z, zero), Chance(z, z, jnp.zeros((), bool), z))
    return Lane(none, none, tree, half, tuning)


class Chance(NamedTuple):
    """What is random about a tick: three decisions, a starting point to try, the next direction and momentum."""

    decisions: Any
    candidate: Any
    forward: Any
    momentum: Any


def chances(key: jax.Array, tick: jax.Array, size: int) -> Chance:
    """Draw for one tick of a chain of `size` parameters."""
    grow_key, plant_key = jax.random.split(jax.random.fold_in(key, tick))
    drawn = jax.random.uniform(grow_key, (4 + size,))
    candidate = jnp.where(tick < _CANDIDATES, jax.scipy.special.logit(drawn[4:]), jnp.nan)
    return Chance(drawn[:3], candidate, drawn[3] < 0.5, jax.random.normal(plant_key, (size,)))


def advance(
    lane: Lane, target: Callable[[jax.Array], Any], *, chance: Chance, schedule: jax.Array, tune: jax.Array
) -> tuple[Lane, jax.Array, Any]:
    """Take one leapfrog step, or try a starting point.

    Return the lane, whether its covariance is due, and what a finished transition leaves.
    """
    searching = lane.tick < _CANDIDATES
    end, point = _leap(lane, target, chance.candidate)
    tree, half, divergent, closed = _grow(lane, end, point, chance.decisions)
    found = lane.tree.proposal
    found = choose(jnp.isfinite(point.lp) & (point.lp > found.lp), point, found)
    tree = choose(searching, lane.tree._replace(proposal=found), tree)
    done = ~searching & (closed | (tree.depth >= DEPTH))
    tuning, due = _tune(lane.tuning, tree.proposal.z, tree.accepted / tree.leaves, schedule[lane.step])
    tuning, due = choose(done & (lane.step < tune), (tuning, due), (lane.tuning, False))
    label, record = _record(lane, tree, divergent, done=done, tune=tune)
    fresh = done | (lane.tick == _CANDIDATES - 1)
    tree, half = choose(fresh, _plant(tree.proposal, chance), (tree, half))
    return Lane(lane.step + done, lane.tick + 1, tree, half, tuning), due, (label, record)


def _record(
    lane: Lane, tree: Tree, divergent: jax.Array, *, done: jax.Array, tune: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Label a finished transition with the number of its draw, or -1, and write down what is kept of it."""
    point, rate, size = tree.proposal, tree.accepted / tree.leaves, jnp.exp(lane.tuning.log_step)
    kept = (point.lp, point.energy, divergent, tree.leaves, 32 - jax.lax.clz(tree.leaves), rate, size)
    record = jnp.concatenate([point.z, jnp.stack([jnp.asarray(k, point.z.dtype) for k in kept])])
    draw, rest = jnp.divmod(lane.step - tune, lane.tuning.pace)
    return jnp.where(done & (rest == lane.tuning.pace - 1), draw, -1), record


def learn(lane: Lane, due: jax.Array, *, tune: jax.Array) -> Lane:
    """Where a window of the warm-up ends, take its covariance and start the search of the step size again."""
    t = lane.tuning
    n = jnp.maximum(t.count, 2.0)
    p = len(t.mean)
    covariance = (n * t.squares / (n - 1) + 5 * _SHRINK * jnp.eye(p)) / (n + 5)
    zero = jnp.zeros_like(t.error)
    learnt = Tuning(
        log_step=t.log_average, log_average=zero, error=zero, centre=jnp.log(10.0) + t.log_average, updates=zero,
        count=zero, mean=0 * t.mean, squares=0 * t.squares, previous=t.previous, products=0 * t.products,
        factor=jnp.linalg.cholesky(covariance), pace=_pace(t),
    )  # fmt: skip
    closed = t._replace(log_step=t.log_average)
    return lane._replace(tuning=choose(due, choose(lane.step >= tune, closed, learnt), t))


def choose(condition: Any, first: Any, second: Any) -> Any:
    """Choose between two trees of arrays."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _plant(point: Point, chance: Chance) -> tuple[Tree, Half]:
    """Begin a tree of one leaf with the momentum and the direction that were drawn."""
    r = chance.momentum
    end = End(point.z, r, point.gradient)
    energy = 0.5 * r @ r - point.lp
    zero, none = jnp.zeros(()), jnp.zeros((), jnp.int32)
    proposal = point._replace(energy=energy)
    tree = Tree(energy, end, end, zero, r, proposal, none, none, zero)
    kept = jnp.zeros((DEPTH, len(r)))
    return tree, Half(chance.forward, none, -jnp.inf + zero, 0 * r, proposal, kept, kept)


def _grow(lane: Lane, end: End, point: Point, chance: jax.Array) -> tuple[Tree, Half, jax.Array, jax.Array]:
    """Add one leaf to the half, and the half to the tree when it is complete."""
    tree, half = lane.tree, lane.half
    gain = tree.energy - point.energy
    gain = jnp.where(jnp.isnan(gain), -jnp.inf, gain)
    half, turned = _add_leaf(half, end, point, gain, jnp.log(chance[0]))
    divergent = gain < -_DIVERGENT
    whole = (half.leaves == 1 << tree.depth) & ~turned & ~divergent
    left, right = choose(half.forward, (tree.left, end), (end, tree.right))
    momentum = tree.momentum + half.momentum
    grown = Tree(
        energy=tree.energy, left=left, right=right,
        weight=jnp.where(whole, jnp.logaddexp(tree.weight, half.weight), tree.weight),
        momentum=jnp.where(whole, momentum, tree.momentum),
        proposal=choose(whole & (jnp.log(chance[1]) < half.weight - tree.weight), half.proposal, tree.proposal),
        depth=tree.depth + whole, leaves=tree.leaves + 1,
        accepted=tree.accepted + jnp.exp(jnp.minimum(gain, 0.0)),
    )  # fmt: skip
    turned |= whole & _turning(left.momentum, right.momentum, momentum)
    forward = jnp.where(whole, chance[2] < 0.5, half.forward)
    half = half._replace(leaves=jnp.where(whole, 0, half.leaves), forward=forward)
    return grown, half, divergent, turned | divergent


def _leap(lane: Lane, target: Callable[[jax.Array], Any], candidate: jax.Array) -> tuple[End, Point]:
    """Take one leapfrog step from an end of the tree; to the candidate, where it is not NaN."""
    tree, forward, factor = lane.tree, lane.half.forward, lane.tuning.factor
    end = choose(forward, tree.right, tree.left)
    size = jnp.where(forward, 1.0, -1.0) * jnp.exp(lane.tuning.log_step)
    r = end.momentum + 0.5 * size * (end.gradient @ factor)
    z = jnp.where(jnp.isnan(candidate), end.z + size * (factor @ r), candidate)
    lp, gradient = target(z)
    r = r + 0.5 * size * (gradient @ factor)
    return End(z, r, gradient), Point(z, lp, gradient, 0.5 * r @ r - lp)


def _add_leaf(half: Half, end: End, point: Point, gain: jax.Array, chance: jax.Array) -> tuple[Half, jax.Array]:
    """Add a leaf to the half: its weight, its chance to be the proposal, and the U-turns within the half."""
    number, r = half.leaves, end.momentum
    first = number == 0
    weight = jnp.where(first, gain, jnp.logaddexp(half.weight, gain))
    momentum = jnp.where(first, r, half.momentum + r)
    # Leaf `number` closes the subtrees whose first leaves are kept at [lowest, highest].
    highest = jax.lax.population_count(number >> 1)
    lowest = highest - jax.lax.population_count((~number & (number + 1)) - 1) + 1
    place = jnp.arange(DEPTH)
    closing = (place >= lowest) & (place <= highest)
    between = momentum - half.kept_sum + half.kept_first
    turned = (closing & jax.vmap(_turning, (0, None, 0))(half.kept_first, r, between)).any()
    keep = ((number % 2 == 0) & (place == highest))[:, None]
    proposal = choose(first | (chance < gain - weight), point, half.proposal)
    kept_first, kept_sum = jnp.where(keep, r, half.kept_first), jnp.where(keep, momentum, half.kept_sum)
    return Half(half.forward, number + 1, weight, momentum, proposal, kept_first, kept_sum), turned


def _turning(first: jax.Array, last: jax.Array, total: jax.Array) -> jax.Array:
    """Tell whether a trajectory begins to return, from the momenta at its ends and their sum."""
    inner = total - 0.5 * (first + last)
    return (first @ inner <= 0) | (last @ inner <= 0)


def _tune(t: Tuning, z: jax.Array, rate: jax.Array, stage: jax.Array) -> tuple[Tuning, jax.Array]:
    """Update step size and covariance by one transition of the warm-up; tell whether its window ends."""
    slow, due = stage[0] == 1, stage[1] == 1
    n = t.updates + 1
    error = t.error + (_TARGET_ACCEPTANCE - rate - t.error) / (n + _DELAY)
    log_step = t.centre - jnp.sqrt(n) / _PULL * error
    share = n**-_FORGET
    average = share * log_step + (1 - share) * t.log_average
    count = t.count + slow
    apart = z - t.mean
    mean = t.mean + jnp.where(slow, apart / jnp.maximum(count, 1), 0)
    squares = t.squares + jnp.where(slow, apart[:, None] * (z - mean), 0)
    products = t.products + jnp.where(slow, apart * (t.previous - mean), 0)
    return Tuning(log_step, average, error, t.centre, n, count, mean, squares, z, products, t.factor, t.pace), due


def _pace(t: Tuning) -> jax.Array:
    """Choose how many transitions make a draw: a third of the slowest parameter's autocorrelation time."""
    lag = jnp.clip(t.products / jnp.maximum(jnp.diagonal(t.squares), jnp.finfo(t.mean.dtype).tiny), 0.0, 0.99)
    return jnp.clip(jnp.round(((1 + lag) / (1 - lag)).max() / 3), 1, _SLOWEST).astype(jnp.int32)


def schedule(tune: int) -> np.ndarray:
    """List, for each step of the warm-up, whether it counts for the covariance, and whether the tuning is due.

    Rows of zeros fill it up to one of a few lengths, so that numbers of steps share a program.
    """
    from blackjax.adaptation.window_adaptation import build_schedule

    stages = np.array(build_schedule(tune))
    stages[-1, 1] = 1
    return np.pad(stages, ((0, -tune % _LONGEST), (0, 0))).astype(np.int32)
