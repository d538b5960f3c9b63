"""Hold the ratio estimator of the drift-diffusion model against the exact likelihood, and ship it with that audit.

    python scripts/audit_ddm_nre.py runs/ddm-nre --out runs/ddm-nre/audit.json [--ship]

On data sets simulated from the reference priors, with seeds of their own, NUTS runs on the learned likelihood, on the
exact one, and again on the exact one: the last comparison is the floor that Monte Carlo error sets.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

import firstpassage as fp
from firstpassage.diagnostics import agreement, convergence, two_sample
from firstpassage.models.ddm import reference_priors

SEED = 770_000  # of the audit alone; training has another
SHELF = Path(fp.__file__).parent / "estimators" / "pretrained"


def main() -> None:
    """Run the audit, print it, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a bundle, a training folder, or 'shipped'")
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--ship", action="store_true", help="put the bundle, with this audit, into the package")
    arguments = parser.parse_args()
    learned = fp.pretrained("ddm", "nre") if arguments.bundle == "shipped" else fp.load(arguments.bundle)
    report = audit(learned, datasets=arguments.datasets, trials=arguments.trials)
    print(json.dumps(report["summary"], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.ship:
        shipped = replace(learned, card={**(learned.card or {}), "audit": report["summary"]})
        print(fp.save(shipped, SHELF / "ddm-nre", overwrite=True))


def audit(learned: fp.Likelihood, *, datasets: int, trials: int) -> dict[str, Any]:
    """Compare posteriors on each data set, and summarise."""
    model = fp.ddm()
    theta = {
        name: np.array(prior.sample(jax.random.key(SEED + i), (datasets,)), dtype=float)
        for i, (name, prior) in enumerate(reference_priors().items())
    }
    data = model.likelihood(theta, trials=trials, seed=SEED)
    rows = []
    for i in range(datasets):
        x = np.stack([data["rt"][i], data["response"][i]], axis=1)
        rows.append({"theta": {k: float(v[i]) for k, v in theta.items()}, **_compare(learned, model.exact, x, i)})
        print(i, json.dumps({k: v for k, v in rows[-1].items() if k != "theta"}), flush=True)
    summary = _summarise(rows) | {"datasets": datasets, "trials": trials, "seed": SEED, "priors": "reference"}
    return {"summary": summary, "datasets": rows}


def _compare(learned: fp.Likelihood, exact: fp.Likelihood, x: np.ndarray, i: int) -> dict[str, Any]:
    """Compare learned with exact, and exact with itself, on one data set."""
    settings = {"prior": reference_priors(), "draws": 2000, "tune": 1000, "chains": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fp.DataWarning)
        started = time.process_time()
        ours = learned.sample(x, seed=SEED + 10 * i, **settings)
        cpu = time.process_time() - started
        truth, again = (exact.sample(x, seed=SEED + 10 * i + k, **settings) for k in (1, 2))
    return {
        "learned": _distance(ours, truth, i),
        "floor": _distance(again, truth, i),
        "sum_error_sd": _sum_error(learned, exact, x, truth),
        "cpu_seconds": round(cpu, 2),
        "divergences": int(ours["sample_stats"]["diverging"].sum()),
        "r_hat": round(convergence(ours).r_hat, 4),
        "one_choice": bool(np.ptp(x[:, 1]) == 0),
    }


def _distance(draws: Any, truth: Any, i: int) -> dict[str, Any]:
    """Measure shifts of the mean, ratios of the sd, and the classifier's accuracy."""
    table = agreement(draws, truth)
    return {
        "shift": table["shift"].abs().round(4).to_dict(),
        "sd_ratio": table["sd_ratio"].round(4).to_dict(),
        "c2st": round(two_sample(draws, truth, seed=SEED + i), 4),
    }


def _sum_error(learned: fp.Likelihood, exact: fp.Likelihood, x: np.ndarray, truth: Any) -> float:
    """Take the sd, over exact posterior draws, of the error of the summed log likelihood, in nats."""
    posterior = truth["posterior"].dataset
    draws = {name: posterior[name].values.reshape(-1)[::20] for name in exact.parameter_names}

    def total(likelihood: fp.Likelihood) -> np.ndarray:
        with jax.enable_x64():
            return np.asarray(jax.jit(jax.vmap(lambda row: likelihood.function(x, row).sum()))(draws))

    return round(float(np.std(total(learned) - total(exact))), 4)


def _summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Average over data sets and parameters, and keep the worst."""
    summary: dict[str, Any] = {}
    for name in ("learned", "floor"):
        shifts = np.array([list(row[name]["shift"].values()) for row in rows])
        ratios = np.array([list(row[name]["sd_ratio"].values()) for row in rows])
        accuracy = np.array([row[name]["c2st"] for row in rows])
        summary[name] = {
            "shift_mean": round(float(shifts.mean()), 4), "shift_worst": round(float(shifts.max()), 4),
            "sd_ratio_mean": round(float(ratios.mean()), 4), "sd_ratio_lowest": round(float(ratios.min()), 4),
            "sd_ratio_highest": round(float(ratios.max()), 4), "c2st_mean": round(float(accuracy.mean()), 4),
            "c2st_worst": round(float(accuracy.max()), 4),
        }  # fmt: skip
    errors = np.array([row["sum_error_sd"] for row in rows])
    summary["sum_error_sd"] = {"mean": round(float(errors.mean()), 4), "worst": round(float(errors.max()), 4)}
    summary["divergences"] = sum(row["divergences"] for row in rows)
    summary["r_hat_worst"] = max(row["r_hat"] for row in rows)
    return summary


if __name__ == "__main__":
    main()
