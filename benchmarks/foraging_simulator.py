"""Windows of patch foraging per CPU second, without and with their 37 statistics, beside a plain vmapped simulator.

    python benchmarks/foraging_simulator.py [--rounds 7] [--seed 1] [--out benchmarks/results/foraging_simulator.json]

Parameters are uniform in the box, a window has 100 sites. The plain version is what one writes first in JAX: one
window as a scan over sites with a key split for each, 100 further sites of burn-in, the statistics in jax.numpy, all
vmapped over parameter sets and compiled. "Drawn at once" is the same with a window's random numbers drawn before the
scan, which is faster and takes more memory. The contenders take turns, `rounds` times, in one process without threads,
after one untimed call of each. Required are 150,000 windows with statistics per CPU second, and 4 times the plain rate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

# Before JAX is imported: CPU seconds of one thread.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np

from firstpassage.models.foraging_sessions import PARAMETERS, Task, simulate
from firstpassage.models.foraging_statistics import summary_statistics

BOX = {"drift_rate": (-0.3, 1.3), "reward_bump": (-1.3, 1.3), "failure_bump": (-0.3, 2.0), "noise_std": (0.0, 0.3)}
WINDOWS = 10_240  # of one call
REQUIRED_RATE = 150_000
REQUIRED_RATIO = 4


def draws(key: jax.Array, shape: tuple[int, ...] = ()) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw what sites need: exponential, normal and uniform numbers."""
    gap_key, noise_key, reward_key = jax.random.split(key, 3)
    return (
        jax.random.exponential(gap_key, shape),
        jax.random.normal(noise_key, shape),
        jax.random.uniform(reward_key, shape),
    )


def plain_window(theta: jax.Array, key: jax.Array, *, at_once: bool = False) -> jax.Array:
    """Simulate one window, the last 100 of 200 sites."""
    drift, reward_bump, failure_bump, noise = theta

    def site(state, inputs):
        evidence, patch_time, rewards = state
        k, source = inputs
        exponential, normal, uniform = source if at_once else draws(source)
        gap = jnp.minimum(20.0 + 19.0 * exponential, 1e6)
        distance = (jnp.where(k > 0, 50.0, 0.0) + gap) / 88.73
        patch_time += distance
        evidence += drift * distance + noise * jnp.sqrt(distance) * normal
        leave = evidence >= 1.0
        reward = ~leave & (uniform < 0.8 * jnp.exp(-0.1 * rewards))
        row = jnp.stack([patch_time, reward.astype(jnp.float32), 1.0 - leave])
        after = (evidence + jnp.where(reward, reward_bump, failure_bump), patch_time, rewards + reward)
        return jax.tree.map(lambda x: jnp.where(leave, 0.0, x), after), row

    sources = draws(key, (200,)) if at_once else jax.random.split(key, 200)
    _, rows = jax.lax.scan(site, (0.0, 0.0, 0.0), (jnp.arange(200), sources))
    return rows[100:]


def moments(x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Give count, mean and standard deviation of a group."""
    count = mask.sum()
    mean = jnp.where(mask, x, 0.0).sum() / jnp.maximum(count, 1)
    return count, mean, jnp.sqrt(jnp.where(mask, (x - mean) ** 2, 0.0).sum() / jnp.maximum(count, 1))


def correlation(x: jax.Array, y: jax.Array, mask: jax.Array) -> jax.Array:
    """Correlate within a group."""
    (count, x_mean, x_std), (_, y_mean, y_std) = moments(x, mask), moments(y, mask)
    products = jnp.where(mask, (x - x_mean) * (y - y_mean), 0.0).sum() / jnp.maximum(count, 1)
    scale = x_std * y_std
    enough = (count >= 3) & (scale > 1e-8)
    return jnp.where(enough, products / jnp.where(enough, scale, 1.0), 0.0)


def plain_statistics(window: jax.Array) -> jax.Array:
    """Compute the 37 statistics of one window."""
    time_, reward, stop = window.T
    n = len(time_)
    index, valid, step = jnp.arange(n), stop == 1, jnp.diff(time_)
    both = valid[1:] & valid[:-1]
    m, mean, std = moments(time_, valid)
    most = jnp.maximum(m, 1)
    _, after_reward, std_reward = moments(time_[1:], valid[1:] & (reward[:-1] > 0))
    _, after_failure, std_failure = moments(time_[1:], valid[1:] & (reward[:-1] == 0))
    early, late, middle = (
        moments(time_, valid & part)[1]
        for part in (index < n // 3, index >= 2 * (n // 3), (index >= n // 3) & (index < 2 * (n // 3)))
    )
    ordered = jnp.sort(jnp.where(valid, time_, jnp.inf))
    p25, p50, p75 = (jnp.where(m > 0, ordered[jnp.clip(q * m // 4, 0, m - 1)], 0.0) for q in (1, 2, 3))
    transition = (reward[:-1] > 0) & (reward[1:] == 0)
    rewarded = valid & (reward > 0)
    noise = jnp.maximum((std_reward**2 + std_failure**2) / 2, 1e-8)
    return jnp.stack([
        jnp.where(valid, time_, 0.0).max(), mean, std, stop.mean(), stop.std(), reward.mean(), reward.std(),
        after_reward, after_failure, std_reward, std_failure,
        early, late, correlation(index, time_, valid), late - early, middle, p25, p50, p75, p75 - p25,
        correlation(time_[:-1], time_[1:], both), moments(step, both)[2], moments(jnp.abs(step), both)[1],
        reward.sum() / most, moments(index, rewarded)[1], rewarded.sum() / most, m, n / most, m / n,
        std_reward / jnp.maximum(after_reward, 1e-8), std_failure / jnp.maximum(after_failure, 1e-8),
        moments(step, transition)[2], correlation(reward[:-1], time_[1:], both), step.std(),
        (after_failure - after_reward) ** 2 / noise, after_reward - mean, mean - after_failure,
    ])  # fmt: skip


plain = jax.jit(jax.vmap(plain_window))
plain_with_statistics = jax.jit(jax.vmap(lambda theta, key: plain_statistics(plain_window(theta, key))))
at_once_with_statistics = jax.jit(jax.vmap(lambda theta, key: plain_statistics(plain_window(theta, key, at_once=True))))


def keys_of(n: int, *, seed: int) -> jax.Array:
    """Split one key for each window."""
    return jax.random.split(jax.random.key(seed), n)


# What is timed: functions of the table of parameters (n, 4) and a seed.
CONTENDERS: dict[str, Callable[[np.ndarray, int], object]] = {
    "windows": lambda theta, seed: simulate(named(theta), task=Task(), seed=seed),
    "windows_with_statistics": lambda theta, seed: summary_statistics(simulate(named(theta), task=Task(), seed=seed)),
    "burn_in_with_statistics": lambda theta, seed: summary_statistics(
        simulate(named(theta), task=Task(start="burn_in"), seed=seed)
    ),
    "plain": lambda theta, seed: plain(theta, keys_of(len(theta), seed=seed)).block_until_ready(),
    "plain_with_statistics": lambda theta, seed: plain_with_statistics(
        theta, keys_of(len(theta), seed=seed)
    ).block_until_ready(),
    "plain_drawn_at_once_with_statistics": lambda theta, seed: at_once_with_statistics(
        theta, keys_of(len(theta), seed=seed)
    ).block_until_ready(),
}


def named(theta: np.ndarray) -> dict[str, np.ndarray]:
    """Name the columns."""
    return dict(zip(PARAMETERS, theta.T, strict=True))


def prior(n: int, *, seed: int) -> np.ndarray:
    """Draw parameters from the box: (n, 4) float32."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(*BOX[name], n) for name in PARAMETERS], axis=1).astype(np.float32)


def largest_differences(*, seed: int) -> dict[str, float]:
    """Compare both versions: statistics of the same windows, and the mean stops of windows with a burn-in."""
    theta = prior(WINDOWS, seed=seed)
    windows = np.asarray(plain(theta, keys_of(WINDOWS, seed=seed)))
    ours = summary_statistics(windows)
    theirs = np.asarray(jax.jit(jax.vmap(plain_statistics))(windows))
    close = np.isclose(ours, theirs, rtol=1e-2, atol=1e-3)  # float32 cancels in some standard deviations
    burnt_in = simulate(named(theta), task=Task(start="burn_in"), seed=seed)
    return {
        "share_of_statistics_that_agree": float(close.mean()),
        "difference_of_mean_stops": float(burnt_in[..., 2].mean() - windows[..., 2].mean()),
        "difference_of_mean_time": float(burnt_in[..., 0].mean() - windows[..., 0].mean()),
    }


def rate(contender: Callable[[np.ndarray, int], object], *, seed: int) -> float:
    """Measure windows per CPU second of the whole process."""
    theta = prior(WINDOWS, seed=seed)
    start = time.process_time()
    contender(theta, seed)
    return WINDOWS / (time.process_time() - start)


def measure(*, rounds: int, seed: int) -> dict[str, object]:
    """Time all contenders in turn, after one untimed call of each."""
    for contender in CONTENDERS.values():
        rate(contender, seed=seed)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name, contender in CONTENDERS.items():
            rates[name].append(rate(contender, seed=seed + turn))
    median = {name: statistics.median(values) for name, values in rates.items()}

    def ratio(name: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True))

    return {
        "windows_per_cpu_second": median,
        "all_rounds": rates,
        "required_rate_with_statistics": REQUIRED_RATE,
        "ratio_to_plain_with_statistics": ratio("windows_with_statistics", "plain_with_statistics"),
        "required_ratio": REQUIRED_RATIO,
        "ratio_to_plain_drawn_at_once": ratio("windows_with_statistics", "plain_drawn_at_once_with_statistics"),
        "ratio_to_plain_without_statistics": ratio("windows", "plain"),
        "ratio_to_plain_both_with_burn_in": ratio("burn_in_with_statistics", "plain_with_statistics"),
        "agreement": largest_differences(seed=seed),
        "windows_of_a_call": WINDOWS,
        "rounds": rounds,
        "seed": seed,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jax", "numba", "numpy")},
    }


def main() -> None:
    """Print the measurement as JSON, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(rounds=options.rounds, seed=options.seed), indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
