"""Eight mice with 40 patches each in one hierarchical PyMC model: corrected and learned, against the truth.

    python benchmarks/foraging_hierarchy.py [--bundle runs/foraging-nle] [--cores 2]

drift_rate and reward_bump of each mouse are drawn on the logit scale of the box from a group's mean and sd,
non-centred; failure_bump and noise_std are shared. Columns as in foraging_session.py. Weights leave
few of the draws, as they pay for all visits of all mice at once.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pymc as pm
from foraging_session import MODEL, arguments, compared, write

import firstpassage as fp

MICE, EACH = 8, 40
GROUP = {"drift_rate": (-0.5, 0.4), "reward_bump": (-0.3, 0.3)}  # mean and sd over mice, on the logit scale
SHARED = {"failure_bump": 0.3, "noise_std": 0.15}
OUT = Path(__file__).parent / "results" / "foraging_hierarchy.json"


def main() -> None:
    """Fit the mice twice, print and write."""
    options = arguments(__doc__, out=OUT)
    rng = np.random.default_rng(options.seed)
    mouse = np.repeat(np.arange(MICE), EACH)
    own = {name: inside(name, mean + sd * rng.normal(size=MICE), np) for name, (mean, sd) in GROUP.items()}
    rows = {name: values[mouse] for name, values in own.items()}
    rows |= {name: np.full(len(mouse), value) for name, value in SHARED.items()}
    x = MODEL.exact.read(MODEL.exact.simulate(rows, rng))
    truth = {f"{name}_mean": mean for name, (mean, _) in GROUP.items()}
    truth |= {f"{name}_sd": sd for name, (_, sd) in GROUP.items()}
    report = compared(lambda likelihood: hierarchy(likelihood, x, mouse), truth | own | SHARED, options=options)
    report["design"] = {"mice": MICE, "patches_each": EACH, "group": GROUP, "shared": SHARED}
    write(report, options)


def hierarchy(likelihood: fp.Likelihood, x: np.ndarray, mouse: np.ndarray) -> pm.Model:
    """Draw two parameters of each mouse from a group, and share the others."""
    with pm.Model() as model:
        theta = {}
        for name in GROUP:
            mean, sd = pm.Normal(f"{name}_mean", 0, 1), pm.HalfNormal(f"{name}_sd", 0.5)
            offset = pm.Normal(f"{name}_offset", 0, 1, shape=int(mouse.max()) + 1)
            theta[name] = pm.Deterministic(name, inside(name, mean + sd * offset, pm.math))[mouse]
        shared = dict(zip(SHARED, fp.priors(likelihood, *SHARED), strict=True))
        fp.observe("obs", likelihood, observed=x, **theta, **shared)
    return model


def inside(name: str, value, xp):
    """Map the real line into the box."""
    low, high = MODEL.exact.box[name]
    return low + (high - low) / (1 + xp.exp(-value))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Numba will use object mode")
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
