"""Draw the figures of the teaching models.

    python scripts/figures_teaching.py [landscape] [cookies]

The landscape is that of the shipped log ratio, summed over the 50 draws of benchmarks/teaching.py. The cookies are
drawn from benchmarks/results/teaching.json. Without names both are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drawn
import numpy as np

import firstpassage as fp
from firstpassage import plots

RESULTS = drawn.ROOT / "benchmarks" / "results" / "teaching.json"
SEED, TRIALS, TRUTH = 20_261_129, 50, {"mu": 2.0, "sigma": 1.5}  # as the benchmark's
NODES = 81
LIMIT = 0.3  # nats
INK, FAINT = "#0072B2", "#595959"


def main() -> None:
    """Draw what is asked for."""
    drawn.run({"landscape": landscape, "cookies": cookies}, about=__doc__)


def landscape() -> Iterator[Path]:
    """Draw log ratio and log likelihood of 50 draws, and their difference over the exact posterior."""
    model, x = fp.gaussian(), np.random.default_rng(SEED).normal(*TRUTH.values(), TRIALS)
    methods = {"nre": fp.pretrained("gaussian", "nre"), "exact": model.exact}
    mu, sigma = np.linspace(x.mean() - 1.0, x.mean() + 1.0, NODES), np.linspace(1.0, 2.4, NODES)
    grid = dict(zip(model.parameter_names, (v.ravel() for v in np.meshgrid(mu, sigma, indexing="ij")), strict=True))
    draws = model.exact.sample(x, draws=500, tune=500, chains=4, seed=SEED)["posterior"]
    theta = {name: np.asarray(draws[name]).ravel() for name in model.parameter_names}
    heights, at = {}, {}
    for method, likelihood in methods.items():
        columns = likelihood.read(x)
        heights[method] = likelihood.summed(columns, grid).reshape(NODES, NODES)
        at[method] = likelihood.summed(columns, theta)
    error = at["nre"] - at["exact"]
    panels = plots.canvas(rows=1, columns=2, width=4.1, height=3.1)[0]
    plots.landscape(heights, places=(mu, sigma), parameters=model.parameters, truth=TRUTH, ax=panels[0])
    with plots.style():
        _difference(panels[1], theta["mu"], error - error.mean())
    numbers = {
        "sd_of_the_difference_nats": float(error.std()), "limit_nats": LIMIT, "draws": len(error),
        "seed": SEED, "top": {m: [float(v) for v in _top(h, mu, sigma)] for m, h in heights.items()},
    }  # fmt: skip
    caption = (
        f"Left: log likelihood and learned log ratio of n = {TRIALS} draws, contours .5, 2 and 4.5 nats below the top. "
        f"Right: their difference at {len(error):,} draws of the exact posterior, less its mean; sd "
        f"{error.std():.3f} nat, limit {LIMIT}; seed {SEED}."
    )
    yield from drawn.written(panels, "teaching-landscape", numbers, caption)


def _difference(panel: Any, mu: np.ndarray, error: np.ndarray) -> None:
    """Draw the difference of log ratio and log likelihood against mu, and the limit of its standard deviation."""
    panel.axhspan(-LIMIT, LIMIT, color="#EDEDED", linewidth=0, label=f"$\\pm${LIMIT:g} nat")
    panel.axhline(0, color=FAINT, linewidth=0.8)
    panel.plot(mu, error, ".", color=INK, markersize=2.5, alpha=0.5, label=f"sd {error.std():.3f} nat")
    panel.set(xlabel=r"$\mu$", ylabel="log ratio $-$ log likelihood (nat)", ylim=(-0.75, 0.75))
    panel.legend(loc="upper right", markerscale=3, handlelength=1.4)


def _top(height: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> tuple[float, float]:
    """Find the highest node."""
    i, j = np.unravel_index(np.argmax(height), height.shape)
    return mu[i], sigma[j]


def cookies() -> Iterator[Path]:
    """Draw the rates of the factories alone and in a hierarchy, by the learned and by the true likelihood."""
    record = json.loads(RESULTS.read_text())
    found = record["cookies"]
    known = found["chips_per_cookie"]
    names = {"nre": "nre", "exact": "pymc"}  # PyMC's own Poisson is the truth
    models = ("unpooled", "hierarchical")
    estimates = {m: {name: _estimates(found[m][source]) for name, source in names.items()} for m in models}
    panel = plots.canvas(rows=1, columns=1, width=8.2, height=3.3)[0, 0]
    labels = [f"{place}\nn = {n}" for place, n in zip("ABCDE", known["cookies"], strict=True)]
    common = found["shrinkage"]["pymc"]["common"]
    plots.shrinkage(
        estimates["unpooled"], estimates["hierarchical"], groups=labels, parameter=fp.poisson().parameters[0],
        common=common, truth=known["rate"], ax=panel,
    )  # fmt: skip
    with plots.style():
        panel.set_xlabel("factory, and how many cookies were counted")
    caption = (
        "Rates of five factories, alone and in a hierarchy: posterior means and central 90 % by the learned ratio of "
        f"one cookie and by PyMC's Poisson; n = {', '.join(map(str, known['cookies']))} cookies; black bars: truth; "
        f"dotted: common mean; seed of the cookies {record['seed_of_the_cookies']}, of NUTS {record['seed']}."
    )
    numbers = {"shrinkage": found["shrinkage"], "chips_per_cookie": known} | {
        m: {s: {k: found[m][s][k] for k in ("mean", "central_90")} for s in names.values()} for m in models
    }
    yield from drawn.written(panel, "cookies", numbers, caption)


def _estimates(record: dict[str, dict[str, float]]) -> plots.Estimates:
    """Take the rates out of a record."""
    rates = [name for name in record["mean"] if name.startswith("lam[")]
    return plots.Estimates(
        mean=np.array([record["mean"][name] for name in rates]),
        interval=np.array([record["central_90"][name] for name in rates]),
    )


if __name__ == "__main__":
    main()
