"""How fast every sampler draws from the posterior of the drift-diffusion model, per second of wall and CPU time.

One data set and one prior, those of `pymc_sampling.py`: 200 trials, truncated normal priors, 4 chains. Every case, a
likelihood and a way to sample it, runs in a process of its own; with the exact likelihood twice: the first call
compiles, the second one, with another seed, shows what is kept. Effective draws are the smallest bulk ESS of the four
parameters; both rates are of whole calls, compilation included where it happens. A case that fails is a row that says
how. Rows that are in the output already, with the same settings, are kept: a run that was stopped goes on. Run

    python benchmarks/samplers.py [--tune 400 --draws 400] [--likelihoods exact nle nre] [--samplers ...] [--again]
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
from pymc_sampling import PRIORS, observe_exact, observe_nre, trials
from pymc_sampling import priors as pymc_priors

OUT = Path(__file__).parent / "results" / "samplers.json"
LIKELIHOODS = ("exact", "nle", "nre")
TIMEOUT = 300  # seconds, for one case


def likelihood_of(name: str) -> Any:
    """Take the exact likelihood or a shipped one."""
    import firstpassage as fp

    return fp.ddm().exact if name == "exact" else fp.pretrained("ddm", name)


def pymc_model(name: str, x: np.ndarray) -> Any:
    """Make the PyMC model."""
    import pymc as pm

    import firstpassage as fp

    with pm.Model() as model:
        if name == "nle":
            fp.observe("obs", fp.pretrained("ddm", "nle"), **pymc_priors(), observed=x)
        else:
            {"exact": observe_exact, "nre": observe_nre}[name](x, argparse.Namespace())
    return model


def numpyro_priors() -> dict[str, Any]:
    """Make the same priors in NumPyro."""
    from numpyro.distributions import TruncatedNormal

    return {name: TruncatedNormal(mean, sd, low=low, high=high) for name, (mean, sd, low, high) in PRIORS.items()}


def own(name: str, x: np.ndarray, options: argparse.Namespace) -> Callable[[int], Any]:
    """Sample with likelihood.sample."""
    likelihood, prior = likelihood_of(name), numpyro_priors()
    sizes = {"draws": options.draws, "tune": options.tune, "chains": options.chains}
    return lambda seed: likelihood.sample(x, prior=prior, seed=seed, **sizes)


def through(sampler: str) -> Callable[..., Callable[[int], Any]]:
    """Sample with firstpassage.sample."""

    def make(name: str, x: np.ndarray, options: argparse.Namespace) -> Callable[[int], Any]:
        import firstpassage as fp

        model = pymc_model(name, x)
        sizes = {"draws": options.draws, "tune": options.tune, "chains": options.chains}
        return lambda seed: fp.sample(model, sampler=sampler, seed=seed, **sizes)

    return make


def bare(**settings: Any) -> Callable[..., Callable[[int], Any]]:
    """Sample with pm.sample."""

    def make(name: str, x: np.ndarray, options: argparse.Namespace) -> Callable[[int], Any]:
        import pymc as pm

        if "backend" in settings:  # nutpie's threads see no context, only the switch of the process
            import jax

            jax.config.update("jax_enable_x64", True)
        model = pymc_model(name, x)
        return lambda seed: pm.sample(
            options.draws, tune=options.tune, chains=options.chains, model=model, random_seed=seed,
            progressbar=False, quiet=True, compute_convergence_checks=False, **settings,
        )  # fmt: skip

    return make


def bridge(double: bool) -> Callable[..., Callable[[int], Any]]:
    """Sample a model written in NumPyro with NumPyro's NUTS."""

    def make(name: str, x: np.ndarray, options: argparse.Namespace) -> Callable[[int], Any]:
        import arviz_base
        import jax
        import numpyro
        from numpyro.infer import MCMC, NUTS

        Obs = likelihood_of(name).to_numpyro()
        given = numpyro_priors()

        def model(x: np.ndarray) -> None:
            theta = {name: numpyro.sample(name, prior) for name, prior in given.items()}
            with numpyro.plate("trial", len(x)):
                numpyro.sample("obs", Obs(**theta), obs=x)

        def run(seed: int) -> Any:
            with jax.enable_x64(double):
                sampler = MCMC(
                    NUTS(model, init_strategy=Obs.start(x)), num_warmup=options.tune, num_samples=options.draws,
                    num_chains=options.chains, chain_method="vectorized", progress_bar=False,
                )  # fmt: skip
                sampler.run(jax.random.key(seed), x)
                return arviz_base.from_numpyro(sampler, log_likelihood=False)

        return run

    return make


SAMPLERS: dict[str, Callable[..., Callable[[int], Any]]] = {
    "likelihood.sample": own,
    "fp.sample": through("auto"),
    "fp.sample numpyro": through("numpyro"),
    "fp.sample blackjax": through("blackjax"),
    "pm.sample pymc": bare(nuts_sampler="pymc", cores=1),
    "pm.sample nutpie": bare(nuts_sampler="nutpie"),
    "pm.sample nutpie jax": bare(nuts_sampler="nutpie", backend="jax", compile_kwargs={"gradient_backend": "jax"}),
    "pm.sample numpyro": bare(nuts_sampler="numpyro"),
    "pm.sample blackjax": bare(nuts_sampler="blackjax"),
    "NumPyro model float64": bridge(True),
    "NumPyro model float32": bridge(False),
}


def row(tree: Any, wall: float, cpu: float) -> dict[str, Any]:
    """Put the figures of one call together."""
    import arviz as az

    posterior, names = tree["posterior"].dataset, list(PRIORS)
    ess = min(float(az.ess(posterior[name], method="bulk")) for name in names)
    return {
        "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "min_bulk_ess": round(ess, 1),
        "ess_per_wall_s": round(ess / wall, 1), "ess_per_cpu_s": round(ess / cpu, 1),
        "max_rhat": round(max(float(az.rhat(posterior[name])) for name in names), 4),
        "divergences": int(np.sum(tree["sample_stats"].dataset["diverging"].to_numpy())),
        "mean": {name: round(float(posterior[name].mean()), 4) for name in names},
        "sd": {name: round(float(posterior[name].std()), 4) for name in names},
        "mcse": {name: round(float(az.mcse(posterior[name])), 5) for name in names},
    }  # fmt: skip


def run_case(likelihood: str, sampler: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one case in this process, that of the exact likelihood twice."""
    warnings.simplefilter("ignore")
    run = SAMPLERS[sampler](likelihood, trials(options.trials, options.seed), options)
    found = {}
    for call, seed in (("first", options.seed), ("again", options.seed + 1))[: 1 + (likelihood == "exact")]:
        start = time.perf_counter(), time.process_time()
        tree = run(seed)
        found[call] = row(tree, time.perf_counter() - start[0], time.process_time() - start[1])
    return found


def run_apart(likelihood: str, sampler: str, arguments: list[str]) -> dict[str, Any]:
    """Run one case in a new process; one that cannot run is noted, not fatal."""
    command = [sys.executable, __file__, *arguments, "--child", likelihood, sampler]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {TIMEOUT} s"}
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "Error" in line and not line.startswith(" ")]
        return {"failed": said[-1] if said else "no message"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(results: dict[str, dict[str, Any]]) -> str:
    """Write one line for each case."""
    lines = [
        f"{'case':32s} {'first: wall':>12s} {'CPU s':>7s} {'ESS/wall s':>11s} {'ESS/CPU s':>10s}   again: ESS/CPU s"
    ]
    for case, found in results.items():
        if "failed" in found:
            lines.append(f"{case:32s} failed: {found['failed'][:100]}")
            continue
        first, again = found["first"], found.get("again")
        numbers = f"{first['wall_s']:12.1f} {first['cpu_s']:7.1f} {first['ess_per_wall_s']:11.0f}"
        kept = f"{again['ess_per_cpu_s']:18.0f}" if again else ""
        lines.append(f"{case:32s} {numbers} {first['ess_per_cpu_s']:10.0f} {kept}")
    return "\n".join(lines)


def stored(path: Path, settings: dict[str, Any], *, again: bool) -> dict[str, Any]:
    """Read the rows made before with the same settings."""
    if again or not path.exists():
        return {}
    record = json.loads(path.read_text())
    return record["results"] if record["settings"] == settings else {}


def main() -> None:
    """Parse, run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("trials", 200), ("tune", 400), ("draws", 400), ("chains", 4), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--likelihoods", nargs="*", default=list(LIKELIHOODS), choices=LIKELIHOODS)
    parser.add_argument("--samplers", nargs="*", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--again", action="store_true", help="run the cases that are there already, too")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(run_case(*options.child, options)))
        return
    settings = {name: vars(options)[name] for name in ("trials", "tune", "draws", "chains", "seed")}
    results = stored(options.out, settings, again=options.again)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    for likelihood in options.likelihoods:
        for sampler in options.samplers:
            case = f"{likelihood}: {sampler}"
            if case not in results or "failed" in results[case]:
                results[case] = run_apart(likelihood, sampler, arguments)
                print(case, json.dumps(results[case]), flush=True)
            record = {"settings": settings, "machine": machine, "results": results}
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=2) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
