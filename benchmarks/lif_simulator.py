"""Traces of the integrate-and-fire neuron per CPU second, beside plain Python loops and a loop compiled by numba.

    python benchmarks/lif_simulator.py [--rounds 9] [--seed 1] [--out benchmarks/results/lif_simulator.json]

Parameters are drawn from the reference prior, a trace has 1000 samples. The plain loop goes through one trace step by
step, with voltages and spikes in NumPy arrays and np.clip, as one first writes it from the model's equations; current
and noise of a trace are drawn at once. "Floats" is the same loop on Python's own floats, the quickest without any
library in the loop; "numba" is that loop compiled, current and noise drawn within. The contenders take turns, `rounds`
times, in one process without threads, after one untimed call of each. Required is 100 times the plain loop. The same
traces are computed by all from the same current and noise, and the distributions of traces are compared.
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

import numba
import numpy as np
from scipy import stats

from firstpassage.models.lif import reference_prior
from firstpassage.models.lif_recording import Recording
from firstpassage.models.lif_simulator import PARAMETERS, draw, trace

RECORDING = Recording()
STEPS, HELD = RECORDING.samples, RECORDING.refractory
REQUIRED_RATIO = 100
TRACES = {"simulator": 4080, "plain": 40, "plain_floats": 200, "numba": 1000}  # of one call
COMPARED = 2000  # traces of the comparison of distributions


def plain_trace(theta: np.ndarray, current: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go through one trace, with arrays and np.clip."""
    V_th, tau_m, g_L, V_reset, V_init, E_L = theta
    v, spikes = np.zeros(STEPS), np.zeros(STEPS)
    v[0], refractory = V_init, 0
    for i in range(STEPS - 1):
        if refractory > 0:
            v[i] = V_reset
            refractory -= 1
        elif v[i] >= V_th:
            spikes[i] = 1
            v[i] = V_reset
            refractory = HELD
        dv = (-(v[i] - E_L) + current[i] / g_L) / tau_m * RECORDING.dt
        v[i + 1] = np.clip(v[i] + dv, *RECORDING.v_clip)
    return v + noise, spikes


def loop(theta, current, noise):
    """Go through one trace, with floats."""
    V_th, tau_m, g_L, V_reset, v, E_L = theta
    voltage, spikes, refractory = [0.0] * 1000, [0.0] * 1000, 0
    for i in range(999):
        if refractory > 0:
            v = V_reset
            refractory -= 1
        elif v >= V_th:
            spikes[i] = 1.0
            v = V_reset
            refractory = 10
        voltage[i] = v + noise[i]
        v = v + 0.2 / tau_m * (-(v - E_L) + current[i] / g_L)
        v = -100.0 if v < -100.0 else 100.0 if v > 100.0 else v
    voltage[999] = v + noise[999]
    return voltage, spikes


@numba.njit(nogil=True)
def compiled_loop(theta: np.ndarray, voltage: np.ndarray, spikes: np.ndarray, rng: np.random.Generator) -> None:
    """Go through traces one by one, compiled."""
    for k in range(len(theta)):
        V_th, tau_m, g_L, V_reset, v, E_L = theta[k]
        refractory = 0
        for i in range(999):
            if refractory > 0:
                v = V_reset
                refractory -= 1
            elif v >= V_th:
                spikes[k, i] = 1.0
                v = V_reset
                refractory = 10
            voltage[k, i] = v + rng.normal(0.0, 1.0)
            v = v + 0.2 / tau_m * (-(v - E_L) + rng.normal(200.0, 50.0) / g_L)
            v = min(max(v, -100.0), 100.0)
        voltage[k, 999] = v + rng.normal(0.0, 1.0)


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw current and noise of n traces."""
    current = rng.normal(RECORDING.I_mean, RECORDING.I_std, (n, STEPS))
    return current, rng.normal(0.0, RECORDING.obs_noise_std, (n, STEPS))


def plain(theta: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate by the plain loop."""
    rng = np.random.default_rng(seed)
    found = [plain_trace(row, *(x[0] for x in drawn(1, rng))) for row in theta]
    return np.stack([v for v, _ in found]), np.stack([s for _, s in found])


def plain_floats(theta: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate by the plain loop on floats."""
    rng = np.random.default_rng(seed)
    found = [loop(row.tolist(), *(x[0].tolist() for x in drawn(1, rng))) for row in theta]
    return np.array([v for v, _ in found]), np.array([s for _, s in found])


def by_numba(theta: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate by the compiled loop."""
    voltage, spikes = np.zeros((2, len(theta), STEPS), dtype=np.float32)
    compiled_loop(theta, voltage, spikes, np.random.default_rng(seed))
    return voltage, spikes


def simulator(theta: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate by the model's simulator."""
    made = draw(named(theta), trials=1, rng=np.random.default_rng(seed), recording=RECORDING)
    return made["voltage"][:, 0], made["spikes"][:, 0]


CONTENDERS: dict[str, Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]] = {
    "simulator": simulator, "plain": plain, "plain_floats": plain_floats, "numba": by_numba,
}  # fmt: skip


def named(theta: np.ndarray) -> dict[str, np.ndarray]:
    """Name the columns."""
    return dict(zip(PARAMETERS, theta.T, strict=True))


def prior(n: int, *, seed: int) -> np.ndarray:
    """Draw parameters (n, 6)."""
    joint = reference_prior()
    return np.stack(list(joint.parameters(joint.sample(n, np.random.default_rng(seed))).values()), axis=1)


def rate(name: str, *, seed: int) -> float:
    """Measure traces per CPU second of the whole process."""
    theta = prior(TRACES[name], seed=seed)
    start = time.process_time()
    CONTENDERS[name](theta, seed)
    return TRACES[name] / (time.process_time() - start)


def same_traces(*, seed: int) -> dict[str, float]:
    """Compute traces of the same current and noise, by the plain loop and as the simulator does."""
    theta = prior(100, seed=seed)
    current, noise = drawn(100, np.random.default_rng(seed))
    voltage, spikes = trace(named(theta), current, noise, recording=RECORDING)
    looped = [plain_trace(*given) for given in zip(theta, current, noise, strict=True)]
    return {
        "traces": len(theta),
        "spikes_that_differ": float(np.abs(spikes - np.stack([s for _, s in looped])).sum()),
        "largest_difference_mV": float(np.abs(voltage - np.stack([v for v, _ in looped])).max()),
    }


def distributions(*, seed: int) -> dict[str, dict[str, float]]:
    """Compare what traces of the same parameters look like: means, and p-values of paired and two-sample tests."""
    theta = prior(COMPARED, seed=seed)
    (ours, our_spikes), (theirs, their_spikes) = simulator(theta, seed), plain_floats(theta, seed + 1)
    features = {
        "spikes": (our_spikes.sum(axis=1), their_spikes.sum(axis=1)),
        "mean_voltage": (ours.mean(axis=1), theirs.mean(axis=1)),
        "sd_of_voltage": (ours.std(axis=1), theirs.std(axis=1)),
        "sd_of_steps": (np.diff(ours, axis=1).std(axis=1), np.diff(theirs, axis=1).std(axis=1)),
    }
    return {
        name: {
            "simulator": float(a.mean()), "plain": float(b.mean()),
            "p_of_paired_t": float(stats.ttest_rel(a, b).pvalue), "p_of_ks": float(stats.ks_2samp(a, b).pvalue),
        }
        for name, (a, b) in features.items()
    }  # fmt: skip


def measure(*, rounds: int, seed: int) -> dict[str, object]:
    """Time all contenders in turn, after one untimed call of each."""
    for name in CONTENDERS:
        rate(name, seed=seed)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name in CONTENDERS:
            rates[name].append(rate(name, seed=seed + turn))

    def ratio(other: str) -> float:
        return statistics.median(a / b for a, b in zip(rates["simulator"], rates[other], strict=True))

    return {
        "traces_per_cpu_second": {name: statistics.median(values) for name, values in rates.items()},
        "all_rounds": rates,
        "ratio_to_plain": ratio("plain"),
        "required_ratio": REQUIRED_RATIO,
        "ratio_to_plain_floats": ratio("plain_floats"),
        "ratio_to_numba": ratio("numba"),
        "same_current_and_noise": same_traces(seed=seed),
        "distributions": distributions(seed=seed),
        "traces_of_a_call": TRACES,
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
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(rounds=options.rounds, seed=options.seed), indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
