"""Compare four likelihoods of the drift-diffusion model inside HSSM, on a part of Cavanagh's data.

Writes benchmarks/results/hssm_bridge.json: for HSSM's analytic likelihood and this package's exact and learned ones,
posterior means and standard deviations under v ~ 1 + stim + (1|participant_id), their differences from the analytic
one in posterior standard deviations and in Monte Carlo errors, effective draws, and seconds.

Usage: python benchmarks/hssm_bridge.py [DRAWS]
"""

import json
import logging
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import arviz as az  # noqa: E402
import hssm  # noqa: E402
import numpy as np  # noqa: E402

import firstpassage as fp  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "hssm_bridge.json"
SUBJECTS, TRIALS, CHAINS, SEED = 4, 60, 2, 1
INCLUDE = [
    {
        "name": "v",
        "formula": "v ~ 1 + stim + (1|participant_id)",
        "prior": {
            "Intercept": {"name": "Normal", "mu": 0.5, "sigma": 1.0},
            "stim": {"name": "Normal", "mu": 0.0, "sigma": 1.0},
            "1|participant_id": {"name": "Normal", "mu": 0.0, "sigma": {"name": "HalfNormal", "sigma": 0.5}},
        },
    },
    {"name": "a", "prior": {"name": "Uniform", "lower": 0.3, "upper": 2.5}},
    {"name": "z", "prior": {"name": "Uniform", "lower": 0.1, "upper": 0.9}},
    {"name": "t", "prior": {"name": "Uniform", "lower": 0.0, "upper": 2.0}},
]


def trials():
    """Take the first trials of the first subjects."""
    data = hssm.load_data("cavanagh_theta")
    data = data[data["participant_id"].isin(data["participant_id"].unique()[:SUBJECTS])]
    return data.groupby("participant_id").head(TRIALS).reset_index(drop=True)


def likelihoods():
    """Give HSSM's arguments for each likelihood."""
    return {
        "analytic": {"model": "ddm", "loglik_kind": "analytical", "p_outlier": 0},
        "exact": fp.ddm().exact.to_hssm(),
        "nle": fp.pretrained("ddm", "nle").to_hssm(),
        "nre": fp.pretrained("ddm", "nre").to_hssm(),
    }


def run(data, settings, *, draws):
    """Sample, and summarise what is compared."""
    cpu, wall = resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    model = hssm.HSSM(data, **settings, include=INCLUDE)
    traces = model.sample(
        sampler="numpyro", draws=draws, tune=draws, chains=CHAINS, random_seed=SEED, progressbar=False,
        nuts_sampler_kwargs={"chain_method": "sequential"}, idata_kwargs={"log_likelihood": False},
    )  # fmt: skip
    seconds = time.perf_counter() - wall
    cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime - cpu
    posterior = traces["posterior"].to_dataset()
    summary = az.summary(posterior, kind="all", round_to="none")
    rows = {
        name: {
            "mean": float(row["mean"]), "sd": float(row["sd"]), "mcse": float(row["mcse_mean"]),
            "ess": float(row["ess_bulk"]), "r_hat": float(row["r_hat"]),
        }
        for name, row in summary.iterrows() if "offset" not in str(name)
    }  # fmt: skip
    return {
        "parameters": rows,
        "divergences": int(traces["sample_stats"]["diverging"].sum()),
        "cpu_seconds": round(cpu, 1),
        "seconds": round(seconds, 1),
        "least_ess": round(min(row["ess"] for row in rows.values()), 1),
        "largest_r_hat": round(max(row["r_hat"] for row in rows.values()), 4),
    }


def compare(found, reference):
    """Measure differences of means in posterior standard deviations, and in Monte Carlo errors of the difference."""
    rows = {}
    for name, row in found["parameters"].items():
        own = reference["parameters"][name]
        difference = row["mean"] - own["mean"]
        rows[name] = {
            "in_sd": round(difference / own["sd"], 3),
            "in_mcse": round(difference / np.hypot(row["mcse"], own["mcse"]), 2),
            "ratio_of_sd": round(row["sd"] / own["sd"], 3),
        }
    return rows


def main():
    """Run all four and write the results."""
    logging.getLogger("hssm").setLevel(logging.ERROR)
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    data = trials()
    found = {}
    for name, settings in likelihoods().items():
        found[name] = run(data, settings, draws=draws)
        print(name, found[name]["seconds"], found[name]["least_ess"], found[name]["divergences"], flush=True)
    result = {
        "data": f"cavanagh_theta, {SUBJECTS} subjects, {len(data)} trials",
        "formula": INCLUDE[0]["formula"],
        "settings": {"draws": draws, "tune": draws, "chains": CHAINS, "seed": SEED, "sampler": "numpyro"},
        "likelihoods": found,
        "against_analytic": {name: compare(found[name], found["analytic"]) for name in found if name != "analytic"},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
