"""How often data sets with lapses are flagged, and how often clean ones, by every method and by two yardsticks.

    python benchmarks/misspecification.py [--datasets 500] [--quick] [--methods exact nre nle npe yardsticks]

Data sets of 200 trials of the drift-diffusion model, parameters uniform in its box; half of the sets are clean, in the
others each trial is, with probability .15, replaced by a response time uniform on 0 to 5 s and a random response.
`fp.diagnostics.misspecification` is run with every estimator on the same data. The yardsticks know the exact density:

- density: the mean log density at the posterior mode, of either sign, against 99 data sets simulated there and fitted
  anew (parametric bootstrap). It needs no idea of what may be wrong.
- centred density: the same less its expectation at each set's own estimate, to first order (summed scores are regressed
  out), which removes what differs between estimates and not between right and wrong models.
- likelihood ratio: against the mixture with exactly these lapses, fitted with their share. It knows the answer, so
  that no general test can reach it; its critical value is the 95 % quantile over the clean sets.

Methods are added to the file of results if it has the same design.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import firstpassage as fp
from firstpassage.diagnostics import misspecification
from firstpassage.diagnostics._discrepancy import _residuals
from firstpassage.diagnostics._estimates import estimates

SEED, TRIALS, LAPSES, LONGEST = 880_000, 200, 0.15, 5.0
ALPHA, BOOTSTRAP = 0.05, 99
METHODS = ("exact", "nre", "nle", "npe", "yardsticks")
OUT = Path(__file__).parent / "results" / "misspecification.json"
MODEL = fp.ddm()
NAMES = MODEL.parameter_names
LOW, HIGH = (np.array([p.bounds[i] for p in MODEL.parameters]) for i in (0, 1))


def main() -> None:
    """Run the methods asked for, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=500, help="clean ones, and as many with lapses")
    parser.add_argument("--quick", action="store_true", help="60 data sets of each")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--bundle", help="folder of an estimator, for a single method, in place of the shipped one")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    number = 60 if options.quick else options.datasets
    clean, lapsed = data_sets(number, lapses=0.0), data_sets(number, lapses=LAPSES)
    design = {"datasets": number, "trials": TRIALS, "lapses": LAPSES, "alpha": ALPHA, "seed": SEED, "prior": "box"}
    report = earlier(options.out, design) or {"design": design, "methods": {}}
    for name in options.methods:
        started = time.process_time()
        try:
            flags = yardsticks(clean, lapsed) if name == "yardsticks" else method(name, options.bundle, clean, lapsed)
        except fp.ArtefactError as error:
            print(f"{name}: {error}")
            continue
        seconds = (time.process_time() - started) / (2 * number)
        for label, (wrong, right) in flags.items():
            report["methods"][label] = rates(wrong, right, seconds)
            print(label, json.dumps({k: v for k, v in report["methods"][label].items() if k != "flagged"}), flush=True)
        write(options.out, report)


def data_sets(number: int, *, lapses: float) -> list[np.ndarray]:
    """Simulate from the prior; clean and lapsed sets have seeds of their own."""
    seed = SEED + int(100 * lapses)
    drawn = MODEL.likelihood(MODEL.prior(number, seed=seed), trials=TRIALS, seed=seed)
    x = np.stack([drawn["rt"], drawn["response"]], axis=-1)
    rng = np.random.default_rng(seed)
    hit = rng.random(x.shape[:2]) < lapses
    x[..., 0] = np.where(hit, rng.uniform(0, LONGEST, hit.shape), x[..., 0])
    x[..., 1] = np.where(hit, rng.choice([-1.0, 1.0], hit.shape), x[..., 1])
    return list(x)


def method(name: str, bundle: str | None, *halves: list[np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """Flag data sets by the package's test."""
    sampler: Any = MODEL.exact if name == "exact" else fp.load(bundle) if bundle else fp.pretrained("ddm", name)
    found = []
    for i, half in enumerate(halves):
        results = misspecification(sampler, half, seed=SEED + i, alpha=ALPHA)
        found.append(np.array([not result.ok for result in results]))
    return {name: tuple(found)}


def yardsticks(*halves: list[np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """Flag data sets by tests that know the exact density."""
    flagged, centred, ratio = [], [], []
    with jax.enable_x64():
        for half in halves:
            modes = estimates(MODEL.exact, None).of(half, seed=SEED)
            found = [yardstick(x, at, i) for i, (x, at) in enumerate(zip(half, modes, strict=True))]
            flagged.append(np.array([p <= ALPHA for p, _, _ in found]))
            centred.append(np.array([p <= ALPHA for _, p, _ in found]))
            ratio.append(np.array([statistic for _, _, statistic in found]))
    critical = np.quantile(ratio[0], 1 - ALPHA)
    return {
        "density yardstick": tuple(flagged), "centred density yardstick": tuple(centred),
        "likelihood-ratio ceiling": tuple(r > critical for r in ratio),
    }  # fmt: skip


def yardstick(x: np.ndarray, mode: np.ndarray, number: int) -> tuple[float, float, float]:
    """Compute the p values of both bootstraps, and the log likelihood ratio of the lapse mixture."""
    theta = {name: np.full(BOOTSTRAP * TRIALS, value) for name, value in zip(NAMES, mode, strict=True)}
    again = MODEL.exact.simulate(theta, np.random.default_rng([SEED, number]))  # type: ignore[misc]
    every = np.concatenate([x[None], again.reshape(BOOTSTRAP, TRIALS, 2)])
    high = np.tile(HIGH, (len(every), 1))
    high[:, 3] = np.minimum(high[:, 3], every[..., 0].min(axis=1))
    start = np.clip((mode - LOW) / (high - LOW), 1e-3, 1 - 1e-3)
    reached = np.asarray(_REFIT(np.log(start / (1 - start)), every, high))
    sides = np.stack([reached, -reached])  # each side at half of alpha
    rank = (sides >= sides[:, :1]).mean(axis=1)
    key = jax.random.fold_in(jax.random.key(SEED), number)
    starts = np.array(jax.random.logistic(key, (8, 5), dtype=jnp.float64))
    inside = np.clip((mode - LOW) / (HIGH - LOW), 1e-3, 1 - 1e-3)
    starts[:2, :4] = np.log(inside / (1 - inside))
    starts[0, 4] = -4.0
    best = max(float(_MIXTURE(z, x, HIGH)) for z in starts)
    return float(2 * rank.min()), centred_p(every, mode), best - float(reached[0])


def centred_p(every: np.ndarray, mode: np.ndarray) -> float:
    """Rank the log density of the first data set at the mode, less what the summed scores of all sets explain."""
    theta = dict(zip(NAMES, mode.tolist(), strict=True))
    density = np.asarray(_DENSITY(every, theta)).sum(axis=1)
    scores = estimates(MODEL.exact, None).deviations(every[0], every[1:], theta, seed=SEED)
    left = np.abs(_residuals(density[:, None], scores)[:, 0])
    return float((left >= left[0]).mean())


def exact_trials(z: Any, x: Any, high: Any) -> Any:
    """Evaluate the exact log density of every trial at a point on the real line."""
    theta = LOW + (high - LOW) * jax.nn.sigmoid(z[:4])
    return MODEL.exact.function(x, dict(zip(NAMES, theta, strict=True)))


def mixture_trials(z: Any, x: Any, high: Any) -> Any:
    """Evaluate the log density of the mixture with lapses of the share sigmoid(z[4])."""
    lapse = jnp.where(x[:, 0] < LONGEST, -jnp.log(2 * LONGEST), -1e3)
    decided = jnp.maximum(exact_trials(z, x, high), -1e3)
    return jnp.logaddexp(jax.nn.log_sigmoid(z[4]) + lapse, jax.nn.log_sigmoid(-z[4]) + decided)


def climb(trials: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """Write a search of the maximum by damped scoring steps; it returns the height reached."""

    def search(z: Any, x: Any, high: Any) -> Any:
        def step(state: Any, _: None) -> tuple[Any, None]:
            z, reached, damping = state
            scores = jnp.nan_to_num(jax.jacfwd(trials)(z, x, high))
            information = scores.T @ scores
            damped = information + damping * jnp.diag(jnp.diag(information) + 1e-3)
            tried = jnp.clip(z + jnp.clip(jnp.linalg.solve(damped, scores.sum(axis=0)), -2, 2), -9, 9)
            new = trials(tried, x, high).sum()
            up = new > reached
            return (jnp.where(up, tried, z), jnp.where(up, new, reached), damping * jnp.where(up, 0.2, 5.0)), None

        start = (z, trials(z, x, high).sum(), jnp.ones(()))
        return jax.lax.scan(step, start, length=steps)[0][1]

    return search


_DENSITY = jax.jit(jax.vmap(MODEL.exact.function, in_axes=(0, None)))
_REFIT = jax.jit(jax.vmap(climb(exact_trials, 12)))
_MIXTURE = jax.jit(climb(mixture_trials, 40))


def rates(wrong: np.ndarray, right: np.ndarray, seconds: float) -> dict[str, Any]:
    """Count flags, with binomial standard errors."""
    counts = {}
    for label, flagged in (("false_alarms", wrong), ("power", right)):
        share = flagged.mean()
        counts |= {
            label: round(float(share), 4),
            f"{label}_se": round(float(np.sqrt(share * (1 - share) / len(flagged))), 4),
        }
    return counts | {"cpu_seconds_per_dataset": round(seconds, 3), "flagged": np.flatnonzero(right).tolist()}


def earlier(path: Path, design: dict[str, Any]) -> dict[str, Any] | None:
    """Read results of the same design, to which others can be added."""
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    return report if report["design"] == design else None


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the report, with the power of each method over that of tests with the exact likelihood."""
    methods = report["methods"]
    powers = {name: entry["power"] for name, entry in methods.items()}
    best = max(
        (powers[name] for name in ("exact", "density yardstick", "centred density yardstick") if name in powers),
        default=None,
    )
    report["power_over_best_exact_test"] = {k: round(p / best, 3) for k, p in powers.items()} if best else {}
    report["machine"] = {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    logging.getLogger("firstpassage").setLevel(logging.WARNING)
    warnings.simplefilter("ignore", fp.DataWarning)
    main()
