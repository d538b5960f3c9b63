"""What the audit needs to know of a model: informed priors, limits, data that are not of it, how a likelihood sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from firstpassage import diagnostics, seeds
from firstpassage.diagnostics._design import unit
from firstpassage.likelihood import Likelihood
from firstpassage.models import registry
from firstpassage.models.model import Model
from firstpassage.pipeline import _catalogue, _foraging_recipes, _lif_recipes, _teaching_recipes

_LAPSE, _LONGEST = 0.15, 5.0  # share of trials, and s
_NODES, _LATEST = 4000, 400.0  # of the quadrature over the decision time, and s

# Largest mean and worst shift (exact posterior sd), mean sd ratio, and mean C2ST, by kind and number of trials.
# At 200 trials those of the published aims; errors of a learned likelihood add up over trials.
_CHOICES = {
    ("nre", 50): (0.15, 0.40, (0.93, 1.07), 0.56), ("nre", 200): (0.10, 0.35, (0.95, 1.05), 0.55),
    ("nre", 1000): (0.25, 0.80, (0.9, 1.1), 0.62), ("nle", 50): (0.15, 0.40, (0.93, 1.07), 0.57),
    ("nle", 200): (0.15, 0.35, (0.93, 1.07), 0.57), ("nle", 1000): (0.25, 0.80, (0.9, 1.1), 0.62),
    ("npe", 50): (0.25, 1.0, (0.9, 1.15), 0.65), ("npe", 200): (0.25, 1.0, (0.9, 1.15), 0.65),
    ("npe", 1000): (0.25, 1.0, (0.9, 1.15), 0.68),
}  # fmt: skip

# Of visits, by the number of windows of 100 sites: published aims for one.
_VISITS = {
    ("nle", 1): (0.15, 0.5, (0.93, 1.07), 0.58), ("nle", 5): (0.25, 1.0, (0.9, 1.1), 0.62),
    ("nre", 1): (0.15, 0.5, (0.93, 1.07), 0.58), ("nre", 5): (0.25, 1.0, (0.9, 1.1), 0.62),
}  # fmt: skip

# Of windows. A posterior from raw windows can be exact. A likelihood of statistics cannot: they hold less than the
# decisions, so that its posterior is another one however well it is learned. Its limits say that it is of the size of
# the prototype's (mean shift .49, sd ratio .99, C2ST .77), and no more.
_WINDOWS = {
    ("npe", 1): (0.15, 1.0, (0.95, 1.1), 0.60), ("nle", 1): (0.6, 3.0, (0.8, 1.25), 0.80),
}  # fmt: skip

# Of voltage traces: published aims for the posterior, which also bound the median sd ratio of each parameter of a
# posterior estimator. A ratio learned of statistics of a trace has the same limits: they hold nearly all that the trace
# tells. A density of them has those of statistics of windows.
_TRACES = {
    ("npe", 1): (0.15, 1.0, (0.95, 1.15), 0.57), ("nre", 1): (0.15, 1.0, (0.95, 1.15), 0.57),
    ("nle", 1): (0.6, 3.0, (0.8, 1.25), 0.80),
}  # fmt: skip
_EACH = {("trace", "npe"): (0.95, 1.15)}

CERTIFIED = {
    "lif": 0.9
}  # share of data sets of the model whose correction must be certified, where it is not the usual

_LIMITS = {
    "patch": _VISITS,
    "window": _WINDOWS,
    "trace": _TRACES,
}  # by what a trial is; choices and all others have the first


def reference(model: Model) -> dict[str, Any] | None:
    """Give the informed priors of a model on its usual box; None where there are none."""
    if model.name not in _catalogue.REFERENCE:
        return None
    usual = registry.make(model.name).parameters
    return _priors(model.name) if [p.bounds for p in model.parameters] == [p.bounds for p in usual] else None


@cache
def _priors(name: str) -> dict[str, Any]:
    """Make the priors once: programs of NUTS are compiled for these very objects."""
    return _catalogue.REFERENCE[name]()


def limits(kind: str, trials: int, *, trial: str = "choice") -> diagnostics.Limits:
    """Choose what a comparison with the exact posterior must keep."""
    table = _LIMITS.get(trial, _CHOICES)
    nearest = min((n for k, n in table if k == kind), key=lambda n: abs(np.log(n / trials)))
    shift_mean, shift_worst, sd_ratio, c2st = table[kind, nearest]
    return diagnostics.Limits(
        shift_mean=shift_mean, shift_worst=shift_worst, sd_ratio_mean=sd_ratio, c2st_mean=c2st,
        sd_ratio_each=_EACH.get((trial, kind)),
    )  # fmt: skip


def amount(model: Model, trials: int) -> str:
    """Say how many trials in words."""
    name = unit(model)
    return f"{trials} {name.removesuffix('s') if trials == 1 and name != 'trials' else name}"


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


def _lapsed(model: Model, clean: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Spoil data sets of choices."""
    del model
    return [lapsed(x, seed=seed + i) for i, x in enumerate(clean)]


def _mass(
    likelihood: Likelihood, model: Model, theta: Mapping[str, np.ndarray], *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate a likelihood of choices."""
    del model, seed
    return mass(likelihood, theta)


@dataclass(frozen=True, kw_only=True)
class Lapses:
    """Say what data are that are not of the model, in words, and make as many data sets as there are clean ones."""

    words: str
    spoil: Callable[..., list[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Mass:
    """Say what is summed, and sum it: the mass of a likelihood, and the error of probabilities, by parameter set.

    `limit` is the largest error.
    """

    trial: str
    outcome: str
    limit: float
    measure: Callable[..., tuple[np.ndarray, np.ndarray]]


LAPSES = {
    "ddm": Lapses(words="15 % lapses", spoil=_lapsed),
    "foraging": Lapses(words="15 % of the visits ended at random", spoil=_foraging_recipes.disengaged),
    "lif": Lapses(words=f"noise of the current that lasts for {_lif_recipes.LASTS:g} ms", spoil=_lif_recipes.coloured),
    "gaussian": Lapses(words="15 % of the draws four times as far out", spoil=_teaching_recipes.outlying),
    "poisson": Lapses(words="15 % of the cookies without chips", spoil=_teaching_recipes.chipless),
}
MASSES = {
    "ddm": Mass(trial="choice", outcome="P(response)", limit=0.01, measure=_mass),
    # The largest of 31 errors, most of them of products of the chances to stay at many sites.
    "foraging": Mass(trial="patch", outcome="P(leave at a site)", limit=0.05, measure=_foraging_recipes.outcomes),
}
