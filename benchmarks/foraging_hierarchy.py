"""Eight mice with 40 patches each in one hierarchical PyMC model: exact and learned, against the truth.

    python benchmarks/foraging_hierarchy.py [--bundle runs/foraging-nle] [--cores 2]

drift_rate and reward_bump of each mouse are drawn on the logit scale of the box from a group's mean and sd;
failure_bump and noise_std are shared. The exact posterior is sampled twice: by weighing draws under the moment-matched
likelihood, many, as one weight pays for all visits of all mice at once; and by weighing the draws of the learned
likelihood, which lies nearer. Columns as in foraging_session.py. Eight mice are not their group: X_mean and X_sd are
compared with the group's values, X_mice_mean and X_mice_sd, which are of these mice, with the mice drawn.

Each mouse has its own value, not an offset from its group: 40 patches say more of a mouse than the group does. The sd
over mice has a prior that avoids zero, where mice would have no room to move in.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
from foraging_session import MODEL, arguments, corrected, distances, largest, learned, write

import firstpassage as fp

MICE, EACH = 8, 40
GROUP = {"drift_rate": (-0.5, 0.4), "reward_bump": (-0.3, 0.3)}  # mean and sd over mice, on the logit scale
SHARED = {"failure_bump": 0.3, "noise_std": 0.15}
OUT = Path(__file__).parent / "results" / "foraging_hierarchy.json"
_MORE = 15  # times the draws, under moments
_USUAL, _SPREAD = 0.3, 0.6  # median of an sd over mice, and sd of its logarithm
_FITS = ("corrected", "learned", "learned_corrected")


def main() -> None:
    """Fit the mice, print and write."""
    options = arguments(__doc__, out=OUT)
    rng = np.random.default_rng(options.seed)
    mouse = np.repeat(np.arange(MICE), EACH)
    places = {name: mean + sd * rng.normal(size=MICE) for name, (mean, sd) in GROUP.items()}
    own = {name: inside(name, place, np) for name, place in places.items()}
    rows = {name: values[mouse] for name, values in own.items()}
    rows |= {name: np.full(len(mouse), value) for name, value in SHARED.items()}
    x = MODEL.exact.read(MODEL.exact.simulate(rows, rng))
    truth = group() | mice(places) | own | SHARED
    report = fits(x, mouse, truth, options)
    sizes = {"mice": MICE, "patches_each": EACH, "sites": int(x.reshape(len(x), -1, 4)[..., 3].sum()), "more": _MORE}
    report["design"] = sizes | {"group": GROUP, "mice_drawn": rounded(mice(places)), "shared": SHARED}
    write(report, options)


def fits(x: np.ndarray, mouse: np.ndarray, truth: dict[str, Any], options: Any) -> dict[str, Any]:
    """Fit by moments and by the learned likelihood, both corrected, and compare."""
    report = corrected(hierarchy(MODEL.approximate, x, mouse), truth, options=options, more=_MORE)
    names = ("learned", "learned_corrected")
    report |= corrected(hierarchy(learned(options), x, mouse), truth, options=options, more=1, names=names)
    report["distance"] = {name: distances(report["corrected"], report[name]) for name in names}
    report["largest"] = {f"distance_{name}": largest(report["distance"][name]) for name in names}
    for name in _FITS:
        z = report[name]["z"]
        report["largest"][f"z_{name}"] = largest({one: z[one] for one in z if one not in group()})
        report["largest"][f"z_of_group_{name}"] = largest({one: z[one] for one in group()})
    return report


def group() -> dict[str, float]:
    """Name the group's means and sd."""
    truth = {f"{name}_mean": mean for name, (mean, _) in GROUP.items()}
    return truth | {f"{name}_sd": sd for name, (_, sd) in GROUP.items()}


def mice(places: dict[str, np.ndarray]) -> dict[str, float]:
    """Compute mean and sd over the mice drawn."""
    truth = {f"{name}_mice_mean": float(place.mean()) for name, place in places.items()}
    return truth | {f"{name}_mice_sd": float(place.std(ddof=1)) for name, place in places.items()}


def hierarchy(likelihood: fp.Likelihood, x: np.ndarray, mouse: np.ndarray) -> pm.Model:
    """Draw two parameters of each mouse from a group, and share the others."""
    with pm.Model() as model:
        theta = {}
        for name in GROUP:
            mean, sd = pm.Normal(f"{name}_mean", 0, 1), pm.LogNormal(f"{name}_sd", math.log(_USUAL), _SPREAD)
            place = pm.Normal(f"{name}_place", mean, sd, shape=int(mouse.max()) + 1)
            pm.Deterministic(f"{name}_mice_mean", place.mean())
            pm.Deterministic(f"{name}_mice_sd", place.std(ddof=1))
            theta[name] = pm.Deterministic(name, inside(name, place, pm.math))[mouse]
        shared = dict(zip(SHARED, fp.priors(likelihood, *SHARED), strict=True))
        fp.observe("obs", likelihood, observed=x, **theta, **shared)
    return model


def inside(name: str, value: Any, xp: Any) -> Any:
    """Map the real line into the box."""
    low, high = MODEL.exact.box[name]
    return low + (high - low) / (1 + xp.exp(-value))


def rounded(numbers: dict[str, float]) -> dict[str, float]:
    """Keep three decimals."""
    return {name: round(value, 3) for name, value in numbers.items()}


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Numba will use object mode")
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
