"""How fast NUTS samples the drift-diffusion model in PyMC.

Compared are our likelihoods, HSSM's analytic one, and BayesFlow's bare NeuralDistribution around its own ratio
estimator. One reference set-up: 200 trials from v = .5, a = 1.5, z = .5, t = .3; priors v ~ N(0, 1.5),
a ~ N(1, .5), z ~ N(.5, .2), t ~ N(.3, .3), each truncated to the box; 4 chains of 1000 tuning steps and 1000
draws. Every case runs in a process of its own, one after the other, so that neither settings nor caches leak.
Compilation is timed apart, by a first short run; the effective draws per second are the smallest bulk ESS of the
four parameters over the time of tuning and sampling. Run

    python benchmarks/pymc_sampling.py --out results.json [--tune 300 --draws 300] [--cases exact:pymc ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TRUTH = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
PRIORS = {
    "v": (0.0, 1.5, -3.0, 3.0),
    "a": (1.0, 0.5, 0.3, 2.5),
    "z": (0.5, 0.2, 0.1, 0.9),
    "t": (0.3, 0.3, 0.0, 2.0),
}
CASES = ("exact:pymc", "exact:nutpie", "nre:pymc", "nre:nutpie", "hssm:pymc", "hssm:nutpie", "bare:pymc")
REQUIRED = 5.0  # times the bare wrapper's effective draws per second


def trials(n: int, seed: int) -> np.ndarray:
    """Draw the reference data."""
    import firstpassage as fp

    data = fp.ddm().likelihood({name: np.array([value]) for name, value in TRUTH.items()}, trials=n, seed=seed)
    return np.column_stack([data["rt"][0], data["response"][0]])


def priors(**starts: float) -> dict[str, Any]:
    """Make the reference priors inside the PyMC model around."""
    import pymc as pm

    return {
        name: pm.TruncatedNormal(name, mean, sd, lower=low, upper=high, initval=starts.get(name))
        for name, (mean, sd, low, high) in PRIORS.items()
    }


def observe_exact(x: np.ndarray, options: argparse.Namespace) -> None:
    """Use our exact likelihood."""
    import firstpassage as fp

    fp.observe("obs", fp.ddm().exact, **priors(), observed=x)


def observe_nre(x: np.ndarray, options: argparse.Namespace) -> None:
    """Use our shipped ratio estimator."""
    import firstpassage as fp

    fp.observe("obs", fp.pretrained("ddm", "nre"), **priors(), observed=x)


def observe_hssm(x: np.ndarray, options: argparse.Namespace) -> None:
    """Use HSSM's analytic density, without lapses, and start t where HSSM does: it gets stuck above the data."""
    import pymc as pm
    from hssm.likelihoods.analytical import logp_ddm

    signature = f"(),(),(),()->({x.shape[1]})"
    pm.CustomDist("obs", *priors(t=0.025).values(), logp=logp_ddm, signature=signature, observed=x)


def observe_bare(x: np.ndarray, options: argparse.Namespace) -> None:
    """Use BayesFlow's NeuralDistribution as it is, around its RatioEstimator."""
    from bayesflow.wrappers.pymc import NeuralDistribution

    distribution = NeuralDistribution(options.estimator, list(PRIORS))
    distribution("obs", **priors(), observed=x.astype("float32"))


OBSERVE: dict[str, Callable[[np.ndarray, argparse.Namespace], None]] = {
    "exact": observe_exact,
    "nre": observe_nre,
    "hssm": observe_hssm,
    "bare": observe_bare,
}


def train_bare(seconds: float, seed: int) -> Any:
    """Train BayesFlow's RatioEstimator, MLP 3 x 256, for some seconds on exact simulations."""
    os.environ["KERAS_BACKEND"] = "jax"
    import bayesflow as bf
    import keras

    import firstpassage as fp

    n, names = 100_000, list(PRIORS)
    model = fp.ddm()
    theta = model.prior(n, seed=seed)
    data = theta | {k: v[:, 0] for k, v in model.likelihood(theta, trials=1, seed=seed).items()}
    adapter = (
        bf.Adapter()
        .expand_dims(names + ["rt", "response"], axis=-1)
        .convert_dtype("float64", "float32")
        .concatenate(names, into="inference_variables")
        .concatenate(["rt", "response"], into="inference_conditions")
    )
    keras.utils.set_random_seed(seed)
    estimator = bf.RatioEstimator(
        inference_network=bf.networks.MLP(widths=(256, 256, 256), dropout=None),
        adapter=adapter,
        K=8,
        standardize="all",
    )
    estimator.compile(optimizer=keras.optimizers.Adam(1e-3))
    dataset = bf.datasets.OfflineDataset(data=data, batch_size=256, adapter=adapter, num_samples=n)

    class Stop(keras.callbacks.Callback):
        """End after the time given."""

        def on_train_begin(self, logs: Any = None) -> None:
            self.end, self.epochs = time.monotonic() + seconds, 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epochs += 1
            left = max(0.0, (self.end - time.monotonic()) / seconds)
            self.model.optimizer.learning_rate = 1e-3 * max(left, 0.02)
            self.model.stop_training = left == 0.0

    stop = Stop()
    estimator.fit(dataset=dataset, epochs=1000, callbacks=[stop], verbose=0)
    print(f"bare estimator: {stop.epochs} epochs of {n} trials in {seconds:g} s", file=sys.stderr)
    return estimator


def sample(model: Any, sampler: str, options: argparse.Namespace) -> dict[str, Any]:
    """Sample once shortly, for compilation, and once for the clock."""
    import pymc as pm

    if sampler == "nutpie":
        return sample_nutpie(model, options)
    marks: list[tuple[float, float]] = []

    def run(tune: int, draws: int, chains: int) -> Any:
        marks.clear()
        with model:
            return pm.sample(
                draws, tune=tune, chains=chains, cores=1, nuts_sampler="pymc", random_seed=options.seed,
                target_accept=options.target_accept,
                progressbar=False, quiet=True, compute_convergence_checks=False,
                callback=lambda **_: marks.append((time.perf_counter(), time.process_time())),
            )  # fmt: skip

    start = time.perf_counter(), time.process_time()
    run(2, 2, 1)
    compiled = marks[-1]
    idata = run(options.tune, options.draws, options.chains)
    return summary(idata, compile=_since(start, compiled), sampling=_since(marks[0], marks[-1]))


def sample_nutpie(model: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Do what pm.sample(nuts_sampler="nutpie") does, with its default backend, and the clock between."""
    import nutpie

    def run(tune: int, draws: int, chains: int) -> Any:
        return nutpie.sample(
            compiled,
            tune=tune,
            draws=draws,
            chains=chains,
            cores=options.cores,
            seed=options.seed,
            target_accept=options.target_accept,
            progress_bar=False,
        )

    start = time.perf_counter(), time.process_time()
    compiled = nutpie.compile_pymc_model(model)
    run(5, 5, 1)
    middle = time.perf_counter(), time.process_time()
    idata = run(options.tune, options.draws, options.chains)
    return summary(
        idata,
        compile=_since(start, middle),
        sampling=_since(middle, (time.perf_counter(), time.process_time())),
    )


def _since(start: tuple[float, float], end: tuple[float, float]) -> dict[str, float]:
    """Give wall and CPU seconds."""
    return {"wall_s": round(end[0] - start[0], 2), "cpu_s": round(end[1] - start[1], 2)}


def summary(idata: Any, **times: dict[str, float]) -> dict[str, Any]:
    """Put the figures together."""
    import arviz as az

    posterior, stats = idata.posterior, idata.sample_stats
    ess = min(float(az.ess(posterior[name], method="bulk")) for name in PRIORS)
    return times | {
        "min_bulk_ess": round(ess, 1),
        "ess_per_wall_s": round(ess / times["sampling"]["wall_s"], 2),
        "ess_per_cpu_s": round(ess / times["sampling"]["cpu_s"], 2),
        "max_rhat": round(max(float(az.rhat(posterior[name])) for name in PRIORS), 4),
        "divergent_share": float(np.mean(stats["diverging"].to_numpy())),
        "mean": {name: round(float(posterior[name].mean()), 4) for name in PRIORS},
        "sd": {name: round(float(posterior[name].std()), 4) for name in PRIORS},
    }


def run_case(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one case in this process."""
    warnings.simplefilter("ignore")
    likelihood, sampler = case.split(":")
    x = trials(options.trials, options.seed)
    if likelihood == "bare":
        options.estimator = train_bare(options.train_seconds, options.seed)
    import pymc as pm

    with pm.Model() as model:
        OBSERVE[likelihood](x, options)
    return sample(model, sampler, options)


def run_apart(case: str, arguments: list[str]) -> dict[str, Any]:
    """Run one case in a new process; one that cannot run is noted, not fatal."""
    done = subprocess.run([sys.executable, __file__, *arguments, "--child", case], capture_output=True, text=True)
    sys.stderr.write("".join(line + "\n" for line in done.stderr.splitlines() if line.startswith("bare estimator")))
    if done.returncode:
        return {"skipped": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Parse, run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--cores", type=int, default=1, help="threads of nutpie")
    parser.add_argument("--target-accept", type=float, default=0.8, help="PyMC's and nutpie's default is .8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train-seconds", type=float, default=90.0, help="for BayesFlow's estimator")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(run_case(options.child, options)))
        return
    results = {}
    for case in options.cases:
        results[case] = run_apart(case, sys.argv[1:])
        print(f"{case:14s} {json.dumps(results[case])}", flush=True)
    bare = results.get("bare:pymc", {}).get("ess_per_cpu_s")
    ratios = {c: round(r["ess_per_cpu_s"] / bare, 2) for c, r in results.items() if bare and "ess_per_cpu_s" in r}
    print(f"times the bare wrapper, per CPU second (required {REQUIRED:g}): {ratios}")
    if options.out:
        settings = {k: v for k, v in vars(options).items() if k not in ("out", "child", "cases")}
        machine = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
        record = {
            "settings": settings,
            "machine": machine,
            "results": results,
            "times_bare_per_cpu_s": ratios,
        }
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
