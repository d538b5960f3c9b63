"""Effective draws per CPU second of one way to sample the drift-diffusion model: what a row of the table calls.

    python benchmarks/nuts.py --case hssm:numpyro --trials 200

Data and priors are those of pymc_sampling.py, with 4 chains of 150 + 150. Counted is the whole call that samples,
compilation included, and effective draws are the smallest bulk ESS of the four parameters. The bare wrapper is around
BayesFlow's own RatioEstimator (MLP 3 x 256), trained beforehand for some seconds, which are not counted. The process
ends by SIGXCPU when the call takes more CPU seconds than its limit.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import clock

SEED, TUNE, DRAWS, CHAINS = 1, 150, 150, 4
LIMIT, LONG, MANY = 40, 300, 5_000  # CPU seconds of a call that samples; and with so many trials or more
PREPARING = 120  # more, for imports, data and the training of the bare estimator
TRAINING = 8.0  # seconds
NAMES = {
    "likelihood.sample": "likelihood.sample", "fp.sample": "fp.sample", "bare:pymc": "BayesFlow's NeuralDistribution",
    "hssm:pymc": "HSSM analytic, pymc", "hssm:nutpie": "HSSM analytic, nutpie",
    "hssm:numpyro": "HSSM analytic, numpyro",
}  # fmt: skip


def limit(trials: int) -> int:
    """Give the CPU seconds after which a call is stopped."""
    return LONG if trials >= MANY else LIMIT


def run(case: str, trials: int) -> dict[str, Any]:
    """Run a case in this process."""
    import pymc_sampling

    warnings.simplefilter("ignore")
    x = pymc_sampling.trials(trials, SEED)
    call = prepared(case, x)
    print(json.dumps({"prepared": case}), flush=True)  # from here on the limit is that of sampling
    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + limit(trials) + 1, spent + limit(trials) + 5))
    start = clock.cpu()
    tree = call()
    cpu = clock.cpu() - start
    return summary(tree, cpu)


def prepared(case: str, x: Any) -> Callable[[], Any]:
    """Make the function that samples, compilation left to it."""
    import pymc as pm
    import pymc_sampling
    import samplers

    import firstpassage as fp

    if case == "likelihood.sample":
        sizes = {"draws": DRAWS, "tune": TUNE, "chains": CHAINS}
        return lambda: fp.ddm().exact.sample(x, prior=samplers.numpyro_priors(), seed=SEED, **sizes)
    likelihood, _, sampler = case.partition(":")
    options = argparse.Namespace()
    if likelihood == "bare":
        options.estimator = pymc_sampling.train_bare(TRAINING, SEED)
    with pm.Model() as model:
        pymc_sampling.OBSERVE["exact" if likelihood == "fp.sample" else likelihood](x, options)
    if likelihood == "fp.sample":
        return lambda: fp.sample(model, draws=DRAWS, tune=TUNE, chains=CHAINS, cores=1, seed=SEED)
    if sampler == "numpyro":
        import jax

        jax.config.update("jax_enable_x64", True)
    more = {"chain_method": "sequential"} if sampler == "numpyro" else {}
    return lambda: pm.sample(
        DRAWS, tune=TUNE, chains=CHAINS, cores=1, model=model, nuts_sampler=sampler, random_seed=SEED,
        progressbar=False, quiet=True, compute_convergence_checks=False, nuts_sampler_kwargs=more,
    )  # fmt: skip


def summary(tree: Any, cpu: float) -> dict[str, Any]:
    """Put the figures of a call together."""
    import arviz as az
    import pymc_sampling

    posterior = tree["posterior"]
    ess = min(float(az.ess(posterior[name], method="bulk")) for name in pymc_sampling.PRIORS)
    return {
        "cpu_s": round(cpu, 2), "min_bulk_ess": round(ess, 1), "ess_per_cpu_s": ess / cpu,
        "max_rhat": round(max(float(az.rhat(posterior[name])) for name in pymc_sampling.PRIORS), 4),
    }  # fmt: skip


def main() -> None:
    """Run one case and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(NAMES), required=True)
    parser.add_argument("--trials", type=int, required=True)
    options = parser.parse_args()
    most = limit(options.trials) + PREPARING
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 300))
    print(json.dumps(run(options.case, options.trials)))


if __name__ == "__main__":
    main()
