"""What a learned likelihood costs in accuracy where everybody knows the answer: normal draws, and counts of chips.

    python benchmarks/teaching.py [--out FILE] [--gaussian FOLDER] [--poisson FOLDER]

Three methods sample the same PyMC models of the same data: the learned ratio of ONE trial, our exact likelihood of it,
and PyMC's own Normal or Poisson. Distances are in standard deviations of the posterior by PyMC's own.

landscape   50 draws from mu = 2, sigma = 1.5: the sum over the draws of log ratio minus log likelihood, its standard
            deviation over the exact posterior (it must be constant in theta), for 20 data sets; and NUTS for one
regression  100 draws from mu_i = 1 + 2 c_i, sigma = 1, c_i 0 or 1, by the same ratio, which never saw a regression
cookies     chips in 30 cookies of four factories and in 5 of a fifth: one rate for all, one for each, a hierarchy

The estimators are the shipped ones unless folders are given.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm

import firstpassage as fp

SEED = 20_261_129
DRAWS = {"draws": 1000, "tune": 500, "chains": 4}
OUT = Path(__file__).resolve().parent / "results" / "teaching.json"

MU, SIGMA, TRIALS = 2.0, 1.5, 50
LANDSCAPES = 20  # data sets
BETA, NOISE, REGRESSED = (1.0, 2.0), 1.0, 100
RATES = np.array([9.3, 6.0, 9.6, 8.9, 8.1])  # chips per cookie
COOKIES = np.array([30, 30, 30, 30, 5])
SMALL = 4  # the factory with five cookies
BAKED = 2  # the first seed from 1 whose five cookies are poor, with 6.2 chips: there is much to shrink

CONSTANT = 0.3  # nats
SHIFT = 0.1  # posterior sd
R_HAT = 1.01

Observe = Callable[..., Any]


def methods(learned: Any, exact: Any, own: Callable[..., Any]) -> dict[str, Observe]:
    """Give each method as a function that observes data inside a PyMC model."""

    def by(likelihood: Any) -> Observe:
        return lambda data, **theta: fp.observe("obs", likelihood, observed=data, **theta)

    return {"nre": by(learned), "exact": by(exact), "pymc": lambda data, **theta: own("obs", observed=data, **theta)}


def normal(name: str, *, mu: Any, sigma: Any, observed: np.ndarray) -> Any:
    """Observe by PyMC's own normal distribution."""
    return pm.Normal(name, mu, sigma, observed=observed)


def counts(name: str, *, rate: Any, observed: np.ndarray) -> Any:
    """Observe by PyMC's own Poisson distribution."""
    return pm.Poisson(name, rate, observed=observed)


def one_normal(observe: Observe, x: np.ndarray) -> None:
    """Write the model of draws from one normal distribution."""
    mu = pm.TruncatedNormal("mu", 0, 5, lower=-5, upper=5)
    observe(x, mu=mu, sigma=pm.TruncatedNormal("sigma", 1.5, 1.5, lower=0.5, upper=3))


def regression(observe: Observe, x: np.ndarray, c: np.ndarray) -> None:
    """Write the model of draws whose mean depends on a condition."""
    beta = [pm.TruncatedNormal(f"beta_{i}", 0, 3, lower=-4, upper=4) for i in (0, 1)]
    observe(x, mu=beta[0] + beta[1] * c, sigma=pm.TruncatedNormal("sigma", 1.5, 1.5, lower=0.5, upper=3))


def pooled(observe: Observe, chips: np.ndarray, place: np.ndarray) -> None:
    """Write the model of one rate for all factories."""
    del place
    observe(chips, rate=pm.Gamma("lam", 2, 0.2))


def unpooled(observe: Observe, chips: np.ndarray, place: np.ndarray) -> None:
    """Write the model of a rate for each factory, which know nothing of each other."""
    observe(chips, rate=pm.Gamma("lam", 2, 0.2, shape=len(RATES))[place])


def hierarchical(observe: Observe, chips: np.ndarray, place: np.ndarray) -> None:
    """Write the model of rates that vary about a common mean."""
    mu, sigma = pm.Gamma("mu", 2, 0.2), pm.Exponential("sigma", 1)
    lam = pm.Gamma("lam", mu**2 / sigma**2, mu / sigma**2, shape=len(RATES))
    observe(chips, rate=lam[place])


def sample(write: Callable[..., None], observe: Observe, *data: np.ndarray, seed: int) -> Any:
    """Sample one PyMC model."""
    with pm.Model():
        write(observe, *data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pm.sample(
                **DRAWS, cores=1, nuts_sampler="nutpie", backend="jax", compile_kwargs={"gradient_backend": "jax"},
                target_accept=0.9, random_seed=seed, progressbar=False, quiet=True, compute_convergence_checks=False,
            )  # fmt: skip


def scalars(tree: Any) -> dict[str, np.ndarray]:
    """Take the draws of every number apart: (chain, draw) by name."""
    found = {}
    for name, values in tree["posterior"].data_vars.items():
        table = np.asarray(values)
        parts = {name: table} if table.ndim == 2 else {f"{name}[{i}]": table[..., i] for i in range(table.shape[2])}
        found |= parts
    return found


def compared(write: Callable[..., None], by: Mapping[str, Observe], *data: np.ndarray, seed: int) -> dict[str, Any]:
    """Sample by all methods, and measure the distances from PyMC's own."""
    import arviz as az

    draws, record = {}, {}
    for method, observe in by.items():
        start = time.process_time()
        tree = sample(write, observe, *data, seed=seed)
        draws[method] = scalars(tree)
        record[method] = {
            "cpu_s": round(time.process_time() - start, 1),
            "divergences": int(np.asarray(tree["sample_stats"]["diverging"]).sum()),
            "r_hat": max(float(az.rhat(values)) for values in draws[method].values()),
            "mean": {name: float(values.mean()) for name, values in draws[method].items()},
            "sd": {name: float(values.std()) for name, values in draws[method].items()},
            "central_90": {name: np.quantile(values, (0.05, 0.95)).tolist() for name, values in draws[method].items()},
        }
    truth = record["pymc"]
    for method in ("nre", "exact"):
        shift = {n: abs(m - truth["mean"][n]) / truth["sd"][n] for n, m in record[method]["mean"].items()}
        ratio = {n: s / truth["sd"][n] for n, s in record[method]["sd"].items()}
        record[method] |= {"shift_sd": shift, "sd_ratio": ratio}
    return record


def kept(value: float, limit: float) -> dict[str, Any]:
    """Put a figure beside its limit."""
    return {"value": value, "limit": limit, "ok": bool(value <= limit)}


def verdict(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Say whether posteriors agree: of all numbers, or of those whose names begin so."""
    wanted = [n for n in record["nre"]["shift_sd"] if not names or n.startswith(names)]
    return {
        "largest_shift_sd": kept(max(record["nre"]["shift_sd"][n] for n in wanted), SHIFT),
        "largest_shift_sd_of_the_exact": kept(max(record["exact"]["shift_sd"][n] for n in wanted), SHIFT),
        "largest_r_hat": kept(max(record[m]["r_hat"] for m in record), R_HAT),
    }


def gaussian_draws(seed: int) -> np.ndarray:
    """Draw 50 numbers."""
    return np.random.default_rng(seed).normal(MU, SIGMA, TRIALS)


def landscape(learned: Any, exact: Any) -> dict[str, Any]:
    """Measure how constant the sum of log ratio minus log likelihood is over the exact posterior."""
    from firstpassage.models.gaussian import reference_priors

    errors = []
    for i in range(LANDSCAPES):
        x = gaussian_draws(SEED + i)
        draws = exact.sample(x, draws=500, tune=500, chains=2, seed=SEED + i, prior=reference_priors())
        theta = {name: np.asarray(draws["posterior"][name]).ravel() for name in exact.parameter_names}
        columns = exact.read(x)
        errors.append(float((learned.summed(columns, theta) - exact.summed(columns, theta)).std()))
    return {
        "sd_nats": errors, "mean_sd_nats": float(np.mean(errors)), "largest_sd_nats": kept(max(errors), CONSTANT),
    }  # fmt: skip


def gaussian(learned: Any) -> dict[str, Any]:
    """Run the landscape, one normal distribution, and the regression."""
    exact = fp.gaussian().exact
    by = methods(learned, exact, normal)
    alone = compared(one_normal, by, gaussian_draws(SEED), seed=SEED)
    rng = np.random.default_rng(SEED)
    c = np.arange(REGRESSED) % 2.0
    x = rng.normal(BETA[0] + BETA[1] * c, NOISE)
    regressed = compared(regression, by, x, c, seed=SEED)
    return {
        "landscape": landscape(learned, exact),
        "posterior": alone | {"verdict": verdict(alone)},
        "regression": regressed | {"verdict": verdict(regressed)},
    }


def factories(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bake: the chips of every cookie, and the number of its factory."""
    place = np.repeat(np.arange(len(RATES)), COOKIES)
    return np.random.default_rng(seed).poisson(RATES[place]), place


def cookies(learned: Any) -> dict[str, Any]:
    """Run the three models of the factories."""
    by = methods(learned, fp.poisson().exact, counts)
    chips, place = factories(BAKED)
    record: dict[str, Any] = {
        "chips_per_cookie": {
            "rate": RATES, "cookies": COOKIES, "mean": [float(chips[place == i].mean()) for i in range(len(RATES))]
        }
    }  # fmt: skip
    for write in (pooled, unpooled, hierarchical):
        found = compared(write, by, chips, place, seed=SEED)
        record[write.__name__] = found | {"verdict": verdict(found, "lam")}
    return record | {"shrinkage": shrinkage(record, by)}


def shrinkage(record: Mapping[str, Any], by: Mapping[str, Observe]) -> dict[str, Any]:
    """Say how far the hierarchy draws each factory towards the common mean, and how far as a share of its distance."""
    found: dict[str, Any] = {}
    for method in by:
        apart, drawn = (record[model][method]["mean"] for model in ("unpooled", "hierarchical"))
        moved = {f"lam[{i}]": drawn[f"lam[{i}]"] - apart[f"lam[{i}]"] for i in range(len(RATES))}
        share = moved[f"lam[{SMALL}]"] / (drawn["mu"] - apart[f"lam[{SMALL}]"])
        found[method] = {"moved": moved, "common": drawn["mu"], "share_of_the_small_factory": share}
    moved = np.abs(list(found["nre"]["moved"].values()))
    visible = 0 < found["nre"]["share_of_the_small_factory"] < 1 and np.argmax(moved) == SMALL
    return found | {"the_small_factory_moves_most": bool(visible)}


def main() -> None:
    """Run all, print the verdicts and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--gaussian", type=Path, help="a trained folder")
    parser.add_argument("--poisson", type=Path, help="a trained folder")
    given = parser.parse_args()
    ratios = {
        name: fp.load(path) if path else fp.pretrained(name, "nre")
        for name, path in (("gaussian", given.gaussian), ("poisson", given.poisson))
    }
    record = {
        "seed": SEED, "seed_of_the_cookies": BAKED, "nuts": DRAWS,
        "trained": {name: {k: one.card[k] for k in ("pairs", "cpu_seconds", "seed")} for name, one in ratios.items()},
        "gaussian": gaussian(ratios["gaussian"]), "cookies": cookies(ratios["poisson"]),
    }  # fmt: skip
    given.out.write_text(json.dumps(record, indent=1, default=np.ndarray.tolist) + "\n")
    for name in ("posterior", "regression"):
        print(name, json.dumps(record["gaussian"][name]["verdict"]))
    print("landscape", json.dumps(record["gaussian"]["landscape"]["largest_sd_nats"]))
    for name in ("pooled", "unpooled", "hierarchical"):
        print(name, json.dumps(record["cookies"][name]["verdict"]))
    print("shrinkage", json.dumps(record["cookies"]["shrinkage"]))


if __name__ == "__main__":
    main()
