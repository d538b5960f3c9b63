"""What the audit needs to know of a model by its name: informed priors, lapses, and how a likelihood integrates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from firstpassage import diagnostics, seeds
from firstpassage.likelihood import Likelihood
from firstpassage.models.ddm import PARAMETERS
from firstpassage.models.model import Model
from firstpassage.pipeline import _catalogue

_LAPSE, _LONGEST = 0.15, 5.0  # share of trials, and s
_NODES, _LATEST = 4000, 400.0  # of the quadrature over the decision time, and s

# Largest mean and worst shift (exact posterior sd), mean sd ratio, and mean C2ST, by kind and number of trials.
# At 200 trials those of the published aims; errors of a learned likelihood add up over trials.
_LIMITS = {
    ("nre", 50): (0.15, 0.40, (0.93, 1.07), 0.56), ("nre", 200): (0.10, 0.35, (0.95, 1.05), 0.55),
    ("nre", 1000): (0.25, 0.80, (0.9, 1.1), 0.62), ("nle", 50): (0.15, 0.40, (0.93, 1.07), 0.57),
    ("nle", 200): (0.15, 0.35, (0.93, 1.07), 0.57), ("nle", 1000): (0.25, 0.80, (0.9, 1.1), 0.62),
    ("npe", 50): (0.25, 1.0, (0.9, 1.15), 0.65), ("npe", 200): (0.25, 1.0, (0.9, 1.15), 0.65),
    ("npe", 1000): (0.25, 1.0, (0.9, 1.15), 0.68),
}  # fmt: skip


def reference(model: Model) -> dict[str, Any] | None:
    """Give the informed priors of a model on its usual box; None where there are none."""
    usual = tuple(p.bounds for p in model.parameters) == tuple(p.bounds for p in PARAMETERS)
    return _priors(model.name) if model.name in _catalogue.REFERENCE and usual else None


@cache
def _priors(name: str) -> dict[str, Any]:
    """Make the priors once: programs of NUTS are compiled for these very objects."""
    return _catalogue.REFERENCE[name]()


def limits(kind: str, trials: int) -> diagnostics.Limits:
    """Choose what a comparison with the exact posterior must keep."""
    known = [n for k, n in _LIMITS if k == kind]
    nearest = min(known, key=lambda n: abs(np.log(n / trials)))
    shift_mean, shift_worst, sd_ratio, c2st = _LIMITS[kind, nearest]
    return diagnostics.Limits(shift_mean=shift_mean, shift_worst=shift_worst, sd_ratio_mean=sd_ratio, c2st_mean=c2st)


def lapsed(x: np.ndarray, *, seed: int) -> np.ndarray:
    """Replace 15 % of the trials (n, 2) by responses at random, uniform on 0 to 5 s."""
    rng = seeds.generator(seed, "lapses")
    hit = rng.uniform(size=len(x)) < _LAPSE
    guesses = np.stack([rng.uniform(0, _LONGEST, len(x)), rng.choice((-1.0, 1.0), len(x))], axis=1)
    return np.where(hit[:, None], guesses, x)


def mass(likelihood: Likelihood, theta: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Integrate a likelihood of choices over rt: its mass, and the error of P(upper), for each parameter set."""
    import jax

    from firstpassage.densities import wiener

    nodes = np.linspace(np.log(1e-5), np.log(_LATEST), _NODES)
    time = np.exp(nodes)
    found = []
    with jax.enable_x64():
        density = jax.jit(likelihood.function)
        for i in range(len(theta["t"])):
            row = {name: value[i] for name, value in theta.items()}
            parts = [np.trapezoid(np.exp(density(_trials(time + row["t"], c), row)) * time, nodes) for c in (1.0, -1.0)]
            upper = float(wiener.response_probability(1.0, row["v"], row["a"], row["z"]))
            found.append((sum(parts), parts[0] - upper))
    return tuple(np.array(found, dtype=np.float64).T)


def _trials(rt: np.ndarray, response: float) -> np.ndarray:
    """Put times and one response side by side."""
    return np.stack([rt, np.full(len(rt), response)], axis=1)


LAPSES: dict[str, Callable[..., np.ndarray]] = {"ddm": lapsed}
MASSES: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {"ddm": mass}
