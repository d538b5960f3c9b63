"""What the likelihood of neural traces costs: the exact filter, moment matching, and whole posteriors.

    python benchmarks/lif_likelihood.py [--traces 20]

Milliseconds for one trace of 1,000 samples and one parameter set. In numba, 64 parameter sets one after the other:
those of the trace's own posterior, where a sampler spends its time, and those of the prior. In JAX, value and gradient
for one set (as one chain asks for it) and for four at once (as four chains do), at parameters of the prior. Then the
exact posterior by importance sampling, after compilation. CPU seconds of one process; traces are drawn from the prior
predictive distribution. Ratios are within this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import firstpassage as fp

SEED, DRAWS, BATCH, ROUNDS, EVALUATED = 650_000, 1000, 64, 5, 8
OUT = Path(__file__).parent / "results" / "lif_likelihood.json"
MODEL = fp.lif()


def main() -> None:
    """Time everything, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    simulated = MODEL.likelihood(MODEL.prior(options.traces, seed=SEED), seed=SEED)
    traces = [{name: values[k, 0] for name, values in simulated.items()} for k in range(options.traces)]
    found, draws = posteriors(traces)
    compiled = gradients()
    evaluation = [evaluations(trace, own, compiled) for trace, own in zip(traces[:EVALUATED], draws, strict=False)]
    cost = {k: float(np.median([one[k] for one in evaluation])) for k in evaluation[0]}
    report: dict[str, Any] = {
        "design": {"traces": options.traces, "timed": EVALUATED, "draws": DRAWS, "batch": BATCH, "seed": SEED},
        "milliseconds_each": cost,
        "exact_over_moments": {
            k: cost[f"exact {k}"] / cost[f"moments {k}"]
            for k in ("value in numba at the posterior", "value in numba at the prior", "gradient", "gradient of four")
        },
        "posterior": found,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__},
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def gradients() -> dict[str, Callable[..., Any]]:
    """Compile values and gradients once for all traces."""
    functions = {}
    for name, likelihood in (("exact", MODEL.exact), ("moments", MODEL.approximate)):

        def one(theta: dict[str, Any], x: Any, of: Any = likelihood) -> Any:
            return of.function(x, theta).sum()

        functions[f"{name} value"] = jax.jit(one)
        functions[f"{name} gradient"] = jax.jit(jax.value_and_grad(one))
        functions[f"{name} gradient of four"] = jax.jit(jax.vmap(jax.value_and_grad(one), in_axes=(0, None)))
    return functions


def evaluations(
    trace: dict[str, np.ndarray], own: dict[str, np.ndarray], compiled: dict[str, Callable[..., Any]]
) -> dict[str, float]:
    """Time one evaluation of a trace's log likelihood, in milliseconds."""
    x, many, found = MODEL.exact.read(trace), MODEL.prior(BATCH, seed=SEED + 1), {}
    for name, likelihood in (("exact", MODEL.exact), ("moments", MODEL.approximate)):
        for where, theta in (("posterior", own), ("prior", many)):
            call = lambda theta=theta, of=likelihood: of.summed(x, theta)  # noqa: E731
            found[f"{name} value in numba at the {where}"] = timed(call) / BATCH
    with jax.enable_x64():
        for name, function in compiled.items():
            sets = 4 if name.endswith("four") else 1
            theta = {key: values[:sets] if sets > 1 else values[0] for key, values in many.items()}
            found[name] = timed(lambda theta=theta, function=function: function(theta, x)) / sets
    return found


def timed(function: Callable[[], Any]) -> float:
    """Find the least CPU milliseconds of some calls, after one that compiles."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        jax.block_until_ready(function())
        times.append(1000 * (time.process_time() - started))
    return min(times[1:])


def posteriors(traces: list[dict[str, np.ndarray]]) -> tuple[dict[str, float], list[dict[str, np.ndarray]]]:
    """Time exact posteriors, one trace after the other; give the first draws of each."""
    MODEL.exact.sample(traces[0], draws=DRAWS, chains=1, seed=1)
    seconds, effective, k, first = [], [], [], []
    for trace in traces:
        started = time.process_time()
        draws = MODEL.exact.sample(trace, draws=DRAWS, chains=1, seed=1)
        seconds.append(time.process_time() - started)
        effective.append(draws.attrs["effective"])
        k.append(draws.attrs["pareto_k"])
        first.append({name: draws.posterior[name].to_numpy()[0, :BATCH] for name in MODEL.parameter_names})
    return {
        "cpu_seconds_median": float(np.median(seconds)), "cpu_seconds_largest": max(seconds),
        "effective_median": float(np.median(effective)), "effective_tenth": float(np.quantile(effective, 0.1)),
        "effective_least": min(effective), "pareto_k_largest": max(k),
    }, first  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
