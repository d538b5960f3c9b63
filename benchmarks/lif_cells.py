"""Four cells with three voltage traces each in one hierarchical PyMC model: exact and learned, against the truth.

    python benchmarks/lif_cells.py --draws 300 [--bundle runs/lif-nre] [--cores 2]

V_th of each cell is drawn on the logit scale of the box from a group's mean and sd; each cell has the other parameters
of its own, under the model's joint prior. Sampled by `fp.sample` are the moment-matched likelihood, whose draws
`fp.correct` weighs by the exact filter, and the learned ratio of the statistics of a trace. Both start near the top of
the likelihoods of the traces; start says how far below the truth that lies, and the middle of the priors. Seconds
include compilation; the corrected fit is kept in runs/lif-cells, for an interrupted run to go on. z: (mean - truth) /
sd. distance: between the two means, in posterior sd.

Four cells are not their group: V_th_mean and V_th_sd are compared with the group's values, and the sd over cells has a
prior that avoids zero, where cells would have no room to move in.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
from foraging_session import added, arguments, between, largest, summary, timed, write

import firstpassage as fp

CELLS, EACH = 4, 3
GROUP = (0.0, 0.35)  # mean and sd over cells, on the logit scale: about .9 mV
MODEL = fp.lif()
OWN = ("tau_m", "g_L", "V_reset", "V_init", "E_L")
OUT, KEPT = Path(__file__).parent / "results" / "lif_cells.json", Path(__file__).parents[1] / "runs" / "lif-cells"
_USUAL, _SPREAD = 0.4, 0.6  # median of the sd over cells, and sd of its logarithm
_MORE = 1  # times the draws, where weights will take some away
_ACCEPT = 0.9


def main() -> None:
    """Fit the cells twice, print and write."""
    options = arguments(__doc__, out=OUT)
    x, cell, truth = cells(options.seed)
    learned = fp.load(options.bundle) if options.bundle else fp.pretrained("lif", "nre")
    quick = hierarchy(MODEL.approximate, x, cell)
    report: dict[str, Any] = {"start": starts(quick, truth)}
    report |= kept(options, truth) or corrected(quick, truth, options)
    report["learned"] = fitted(hierarchy(learned, x, cell), truth, options)
    report |= between(report, "corrected", "learned")
    report["largest"]["distance_approximate"] = largest(between(report, "corrected", "approximate")["distance"])
    report["design"] = {"cells": CELLS, "traces_each": EACH, "spikes": spikes(x, cell), "more": _MORE}
    write(report, options)


def cells(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Simulate the traces (trace, column) of all cells; say which cell each is of, and the truth."""
    rng = np.random.default_rng(seed)
    theta = MODEL.prior(CELLS, seed=seed)
    theta["V_th"] = inside(GROUP[0] + GROUP[1] * rng.normal(size=CELLS), np)
    data = MODEL.likelihood(theta, trials=EACH, seed=seed)
    rows = {name: value.reshape(CELLS * EACH, -1) for name, value in data.items()}
    truth = {"V_th_mean": GROUP[0], "V_th_sd": GROUP[1], **{name: theta[name] for name in MODEL.parameter_names}}
    return MODEL.exact.read(rows), np.repeat(np.arange(CELLS), EACH), truth


def hierarchy(likelihood: fp.Likelihood, x: np.ndarray, cell: np.ndarray) -> pm.Model:
    """Draw the threshold of each cell from a group; each cell has the other parameters of its own."""
    number = int(cell.max()) + 1
    with pm.Model() as model:
        mean, sd = pm.Normal("V_th_mean", 0, 1), pm.LogNormal("V_th_sd", math.log(_USUAL), _SPREAD)
        place = pm.Normal("V_th_place", mean, sd, shape=number)
        theta = {"V_th": pm.Deterministic("V_th", inside(place, pm.math))[cell]}
        own = []
        for i in range(number):
            with pm.Model(name=f"cell{i}"):
                own.append(fp.priors(likelihood, *OWN))
        for name, values in zip(OWN, zip(*own, strict=True), strict=True):
            theta[name] = pm.Deterministic(name, pm.math.stack(values))[cell]
        fp.observe("obs", likelihood, observed=x, **theta)
    return model


def inside(place: Any, xp: Any) -> Any:
    """Map the real line into the box of the threshold."""
    low, high = MODEL.exact.box["V_th"]
    return low + (high - low) / (1 + xp.exp(-place))


def starts(model: pm.Model, truth: dict[str, Any]) -> dict[str, float]:
    """Say how many nats the start lies below the truth, and how many the middle of the prior."""
    likelihood = model.compile_logp(vars=[model["obs"]], mode="FAST_COMPILE")
    (rv,) = model.observed_RVs
    x, cell = np.asarray(model.rvs_to_values[rv].data), np.repeat(np.arange(CELLS), EACH)
    at = {name: truth[name][cell] for name in MODEL.parameter_names}
    joint = MODEL.joint
    middle = {name: float(value) for name, value in joint.parameters(np.zeros(len(joint.names))).items()}
    right = MODEL.approximate.log_prob(x, **at).sum()
    return {
        "below_the_truth": round(float(right - likelihood(model.initial_point(random_seed=0))), 1),
        "middle_below_the_truth": round(float(right - MODEL.approximate.log_prob(x, **middle).sum()), 1),
    }  # fmt: skip


def kept(options: Any, truth: dict[str, Any]) -> dict[str, Any]:
    """Take the fits without a network from a run of the same design that was ended, if there is one."""
    path = KEPT / f"{design_of(options, truth)}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def design_of(options: Any, truth: dict[str, Any]) -> str:
    """Name a design by all that the fits without a network depend on."""
    content = [
        options.tune,
        options.draws,
        options.chains,
        options.seed,
        _MORE,
        _ACCEPT,
        sorted(truth),
        CELLS,
        EACH,
        GROUP,
    ]
    return hashlib.sha256(json.dumps([*content, MODEL.settings], default=str).encode()).hexdigest()[:16]


def sample(model: pm.Model, options: Any, *, draws: int | None = None) -> Any:
    """Sample a model from its own starts."""
    return fp.sample(
        model, draws=draws or options.draws, tune=options.tune, chains=options.chains, cores=options.cores,
        seed=options.seed, target_accept=_ACCEPT,
    )  # fmt: skip


def corrected(model: pm.Model, truth: dict[str, Any], options: Any) -> dict[str, Any]:
    """Fit by the moment-matched likelihood, and weigh its draws by the filter."""
    draws, sampling = timed(lambda: sample(model, options, draws=_MORE * options.draws))
    weighed, correcting = timed(lambda: fp.correct(draws, model, exact=MODEL.exact, seed=options.seed))
    weights = {name: weighed.attrs[name] for name in ("pareto_k", "efficiency", "effective", "verdict")}
    report = {
        "approximate": summary(draws, truth) | {"seconds": sampling},
        "corrected": summary(weighed, truth) | weights | {"seconds": added(sampling, correcting)},
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{design_of(options, truth)}.json").write_text(json.dumps(report))
    print(json.dumps(report), flush=True)
    return report


def fitted(model: pm.Model, truth: dict[str, Any], options: Any) -> dict[str, Any]:
    """Sample a model as it is."""
    draws, seconds = timed(lambda: sample(model, options))
    report = summary(draws, truth) | {"seconds": seconds}
    print(json.dumps(report), flush=True)
    return report


def spikes(x: np.ndarray, cell: np.ndarray) -> list[int]:
    """Count the spikes of each cell."""
    number = x[:, x.shape[1] // 2 :].sum(axis=1)
    return np.bincount(cell, number).astype(int).tolist()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Numba will use object mode")
    warnings.simplefilter("ignore", fp.DataWarning)
    warnings.simplefilter("ignore", fp.SamplingWarning)
    main()
