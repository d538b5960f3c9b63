"""Walk through all models of ssm-simulators: which can be made, simulated and fed to every estimator.

Writes benchmarks/results/ssms_models.json: the models that work, with their choices, time step and seconds for 1000
trials; and those that are refused, with the reason. Nothing is trained: each estimator is built on a small table of
simulations, and gives a batch of finite numbers.

Usage: python benchmarks/ssms_models.py [NAME ...]
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ssms.config import model_config

import firstpassage as fp
from firstpassage import backend

backend.require_jax()

RESULTS = Path(__file__).parent / "results" / "ssms_models.json"
PAIRS, SETS, TRIALS = 64, 24, 20


def walk(name):
    """Make one model, simulate 50 trials twice from one seed, and build every estimator."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", fp.DataWarning)
        model = fp.from_ssms(name)
    theta = model.prior(1, seed=1)
    start = time.process_time()
    one, two = (model.likelihood(theta, trials=50, seed=2) for _ in range(2))
    seconds = (time.process_time() - start) * 10
    if not (np.array_equal(one["rt"], two["rt"]) and np.array_equal(one["response"], two["response"])):
        raise AssertionError(f"{name}: the same seed gave other data")
    for settings, n, trials in ((fp.NRE(model, widths=(8,), evidence_widths=(8,)), PAIRS, 1), (fp.NLE(model), PAIRS, 1),
                                (fp.NPE(model, trials=TRIALS, layers=1), SETS, TRIALS)):  # fmt: skip
        theta = model.prior(n, seed=3)
        _, feed = settings.prepare(1, theta | model.likelihood(theta, trials=trials, seed=4))
        if not all(np.isfinite(value).all() for value in feed(16, "epoch 0").values()):
            raise AssertionError(f"{name}: {type(settings).__name__} is fed what is not finite")
    words = " ".join(str(w.message) for w in given)
    late = words.split("% of the trials")[0].split()[-1] if "% of the trials" in words else "0"
    return {
        "parameters": len(model.parameters),
        "choices": list(model.mixed.categories),
        "steps": "in steps of" in words,
        "late_percent": float(late),
        "cpu_seconds_for_1000_trials": round(seconds, 3),
    }


def main():
    """Walk, print and write."""
    works, refused = {}, {}
    for name in sys.argv[1:] or model_config:
        try:
            works[name] = walk(name)
            print(name, works[name], flush=True)
        except fp.FirstPassageError as error:
            refused[name] = str(error)
            print("refused:", refused[name], flush=True)
        count = {"works": len(works), "refused": len(refused), "of": len(model_config)}
        if not sys.argv[1:]:
            result = {"version": f"ssm-simulators {version('ssm-simulators')}", "count": count}
            RESULTS.write_text(json.dumps(result | {"refused": refused, "works": works}, indent=1) + "\n")


if __name__ == "__main__":
    main()
