"""Cavanagh et al. (2011): drift by condition within 14 subjects, 3,988 trials, by learned and exact likelihoods.

    python benchmarks/hierarchical_ddm.py [--likelihoods exact nre nle] [--sampler nutpie] [--cores 2]

    v ~ 1 + stim + (1 + stim | participant_id)      a, t ~ 1 + (1 | participant_id)      z ~ 1

Three hundred trials say more of a subject than the group does, so all groups are centred. Seconds include compilation.
Convergence is the worst over all variables, those of subjects and derived ones too. distance: between the posterior
means of a learned likelihood and of the exact one, in sd of the exact one; `group` are coefficients, and `group_v`
means over the subjects of their drifts; corrected: the same after weighing the draws by the exact likelihood. Draws are
kept in --runs, and used again if settings and weights are the same.

Data: Cavanagh, Wiecki, Cohen, Figueroa, Samanta, Sherman and Frank (2011), Nature Neuroscience 14, 1462-1467, as HSSM
brings them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from foraging_session import timed

import firstpassage as fp
from firstpassage.pipeline import _demo

FORMULAS = {
    "v": "1 + stim + (1 + stim | participant_id)",
    "a": "1 + (1 | participant_id)",
    "z": "1",
    "t": "1 + (1 | participant_id)",
}
LIKELIHOODS = ("exact", "nre", "nle")
SAMPLERS = ("nutpie", "pymc", "numpyro", "blackjax")
LIMITS = {"r_hat": 1.01, "divergent_share": 0.001, "ess": 400, "seconds": 1200, "distance": 0.15}
ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "hierarchical_ddm.json"
RUNS = ROOT / "runs" / "hierarchical-ddm"
SEED = 20_261_129
_PROBES = 200  # gradients that are timed


def main() -> None:
    """Fit, compare, print and write."""
    options = arguments()
    table = pd.read_csv(_demo.table())
    report: dict[str, Any] = {"design": design(options, table)}
    for kind in options.likelihoods:
        report[kind] = fit(likelihood(kind, options), table, options)
        print(kind, json.dumps({key: report[kind][key] for key in ("seconds", "convergence")}), flush=True)
    learned = [kind for kind in options.likelihoods if kind != "exact" and "exact" in report]
    for kind in learned:
        report[kind]["distance"] = distance(report[kind], report["exact"])
        report[kind]["corrected"] = corrected(likelihood(kind, options), table, options, report["exact"])
    report["limits"] = LIMITS
    report["within"] = {kind: within(report[kind]) for kind in options.likelihoods}
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({"within": report["within"], **{k: report[k]["distance"] for k in learned}}, indent=1))


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--likelihoods", nargs="*", default=list(LIKELIHOODS), choices=LIKELIHOODS)
    parser.add_argument("--sampler", default=SAMPLERS[0], choices=SAMPLERS)
    parser.add_argument("--nre", type=Path, help="a bundle, instead of the shipped one")
    parser.add_argument("--nle", type=Path, help="a bundle, instead of the shipped one")
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


def likelihood(kind: str, options: argparse.Namespace) -> fp.Likelihood:
    """Take the exact likelihood, or load a learned one."""
    if kind == "exact":
        return fp.ddm().exact
    path = vars(options)[kind]
    return fp.load(path) if path else fp.pretrained("ddm", kind)


def design(options: argparse.Namespace, table: pd.DataFrame) -> dict[str, Any]:
    """Say what was fitted, how and where."""
    keys = ("sampler", "tune", "draws", "chains", "cores", "seed")
    return {
        "data": "Cavanagh et al. (2011)", "trials": len(table), "subjects": int(table["participant_id"].nunique()),
        "formulas": FORMULAS, "centered": True, **{key: vars(options)[key] for key in keys},
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "pymc": pm.__version__},
    }  # fmt: skip


def fit(chosen: fp.Likelihood, table: pd.DataFrame, options: argparse.Namespace) -> dict[str, Any]:
    """Sample one likelihood, or take its draws from the runs, and summarise."""
    keys = ("sampler", "tune", "draws", "chains", "cores", "seed")
    weights = hashlib.sha256(b"".join(one.tobytes() for one in (chosen.arrays or {}).values())).hexdigest()
    settings = {key: vars(options)[key] for key in keys} | {"formulas": FORMULAS, "weights": weights}
    stored = options.runs / f"{chosen.kind}.json"
    known = json.loads(stored.read_text()) if stored.exists() else {}
    if known.get("settings") != settings:
        options.runs.mkdir(parents=True, exist_ok=True)
        stored.unlink(missing_ok=True)
        known = sampled(chosen, table, options) | {"settings": settings}
        stored.write_text(json.dumps(known))
    with xr.open_datatree(options.runs / f"{chosen.kind}.nc") as tree:
        return summary(tree.load(), box=chosen.box) | known


def sampled(chosen: fp.Likelihood, table: pd.DataFrame, options: argparse.Namespace) -> dict[str, Any]:
    """Build and sample the model, store the draws, and time a gradient."""
    wall, cpu = time.perf_counter(), time.process_time()
    model = fp.hierarchical(chosen, table, formulas=FORMULAS, centered=True)
    with model:
        draws = pm.sample(
            options.draws, tune=options.tune, chains=options.chains, random_seed=options.seed, progressbar=False,
            cores=1 if options.sampler == "pymc" else options.cores, nuts_sampler=options.sampler, quiet=True,
            compute_convergence_checks=False,
        )  # fmt: skip
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    groups = {name: draws[name].to_dataset().drop_attrs() for name in ("posterior", "sample_stats")}
    xr.DataTree.from_dict(groups).to_netcdf(options.runs / f"{chosen.kind}.nc", engine="h5netcdf")
    return {"seconds": {key: round(one, 1) for key, one in seconds.items()}, "ms_per_gradient": gradient(model)}


def gradient(model: pm.Model) -> float:
    """Time the gradient of the log posterior."""
    function = model.logp_dlogp_function(ravel_inputs=True)
    function.set_extra_values({})
    point = np.concatenate([np.ravel(one) for one in model.initial_point(random_seed=0).values()])
    function(point)
    start = time.process_time()
    for _ in range(_PROBES):
        function(point)
    return round(1000 * (time.process_time() - start) / _PROBES, 2)


def summary(draws: xr.DataTree, *, box: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """Put convergence, coefficients and drifts of subjects together."""
    posterior, stats = draws["posterior"].dataset, draws["sample_stats"].dataset
    found = fp.diagnostics.convergence(draws, box=box)
    report: dict[str, Any] = {
        "convergence": {
            "r_hat": round(found.r_hat, 4), "ess_bulk": round(found.ess_bulk), "ess_tail": round(found.ess_tail),
            "divergent_share": found.divergences / found.draws, "edge": dict(found.edge), "verdict": found.verdict,
        }
    }  # fmt: skip
    steps = "n_steps" if "n_steps" in stats else "tree_size"
    report["gradients_per_draw"] = round(float(stats[steps].mean()), 1) if steps in stats else None
    report |= coefficients(posterior)
    ends = posterior["v"].quantile([0.05, 0.95], ("chain", "draw"))
    report["subject_v"] = {
        "participant_id": posterior["participant_id"].to_numpy().tolist(),
        "stim": posterior["stim"].to_numpy().tolist(),
        "mean": rounded(posterior["v"].mean(("chain", "draw"))), "low": rounded(ends[0]), "high": rounded(ends[1]),
    }  # fmt: skip
    return report


def corrected(
    chosen: fp.Likelihood, table: pd.DataFrame, options: argparse.Namespace, exact: Mapping[str, Any]
) -> dict[str, Any]:
    """Weigh the draws of a learned likelihood by the exact one, and compare again."""
    model = fp.hierarchical(chosen, table, formulas=FORMULAS, centered=True)
    with xr.open_datatree(options.runs / f"{chosen.kind}.nc") as tree:
        draws = tree.load()
    try:
        weighed, seconds = timed(lambda: fp.correct(draws, model, exact=fp.ddm().exact, seed=options.seed))
    except fp.DataError as error:  # too few draws
        return {"skipped": str(error)}
    report = {name: weighed.attrs[name] for name in ("pareto_k", "efficiency", "effective", "verdict")}
    return report | {"seconds": seconds, "distance": distance(coefficients(weighed["posterior"].dataset), exact)}


def coefficients(posterior: xr.Dataset) -> dict[str, Any]:
    """Give mean and sd of what is of the group: common coefficients, spreads, and means of the subjects' drifts."""
    common = [name for name in posterior if "|" not in str(name) and name not in FORMULAS]
    return {
        "group": moments(posterior[common]),
        "group_sd": moments(posterior[[name for name in posterior if str(name).endswith("_sigma")]]),
        "group_v": moments(posterior[["v"]].mean("participant_id")),
    }


def moments(some: xr.Dataset) -> dict[str, dict[str, float]]:
    """Give posterior mean and sd of every scalar, by name."""
    found = {}
    for name, variable in some.items():
        values = variable.stack(sample=("chain", "draw")).transpose(..., "sample")
        for at in np.ndindex(values.shape[:-1]):
            labels = [str(values[dim].to_numpy()[i]) for dim, i in zip(values.dims, at, strict=False)]
            one = values.to_numpy()[at]
            key = f"{name}[{', '.join(labels)}]" if labels else str(name)
            found[key] = {"mean": round(float(one.mean()), 4), "sd": round(float(one.std(ddof=1)), 4)}
    return found


def distance(one: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, float]:
    """Compare posterior means with the exact ones, in sd of the exact ones."""
    return {
        name: round(abs(one[kind][name]["mean"] - true["mean"]) / true["sd"], 3)
        for kind in ("group", "group_v", "group_sd")
        for name, true in exact[kind].items()
    }


def within(report: Mapping[str, Any]) -> dict[str, bool]:
    """Tell which limits are kept; the spreads of groups are compared, but have no limit."""
    found = report["convergence"]
    kept = {
        "r_hat": found["r_hat"] < LIMITS["r_hat"],
        "divergent_share": found["divergent_share"] <= LIMITS["divergent_share"],
        "ess": min(found["ess_bulk"], found["ess_tail"]) >= LIMITS["ess"],
        "seconds": report["seconds"]["wall"] <= LIMITS["seconds"],
    }
    if "distance" in report:
        means = [one for name, one in report["distance"].items() if name not in report["group_sd"]]
        kept["distance"] = max(means) <= LIMITS["distance"]
    return kept


def rounded(values: xr.DataArray) -> list[Any]:
    """Keep four decimals."""
    return np.round(values.transpose("participant_id", "stim").to_numpy(), 4).tolist()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Numba will use object mode")
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
