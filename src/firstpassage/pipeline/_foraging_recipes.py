"""What the audit needs to know of the foraging model: how much it asks, what is not of the model, and what sums to one.

Data sets are windows of 100 sites; five of them, one after another, are the long ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import _sites
from firstpassage.likelihood import Likelihood
from firstpassage.models import patches
from firstpassage.models.model import Model

DISENGAGED = 0.15  # share of visits in which the animal does not look at its evidence
_LEAVES = 0.1  # at each site of such a visit
_STAYS = {"drift_rate": -1.0, "reward_bump": -1.0, "failure_bump": -1.0, "noise_std": 0.0}  # as long as one may look
_OUTCOMES = 30  # sites of a visit at which to leave, or beyond which to stay


def disengaged(model: Model, clean: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Simulate windows (window, site, 3), as many as the clean ones, in which some visits end at random."""
    truth, (number, sites) = model.prior(len(clean), seed=seeds.derive(seed, "truth")), clean[0].shape[:2]
    made = []
    for i in range(len(clean)):
        theta = {name: value[i] for name, value in truth.items()}
        visits = _visits(model, theta, number * sites, rng=seeds.generator(seed, f"disengaged {i}"))
        made.append(_sites.windows(_sites.filled_up(visits, [sites] * number), sites))
    return made


def _visits(model: Model, theta: Mapping[str, float], number: int, *, rng: np.random.Generator) -> np.ndarray:
    """Simulate visits (visit, site, 4), some of which end at random."""
    exact: Any = model.exact
    hit = rng.random(number) < DISENGAGED
    rows = {name: np.where(hit, _STAYS[name], value) for name, value in theta.items()}
    made = patches.unpack(exact.simulate(rows, rng))
    kept = made[..., 3].sum(axis=1).astype(int)
    kept[hit] = np.minimum(rng.geometric(_LEAVES, size=int(hit.sum())), made.shape[1])
    ended = hit | (kept == made.shape[1])  # a visit of the longest length must end, too, since another one follows
    made[np.flatnonzero(ended), kept[ended] - 1, 1:3] = 0.0
    return _sites.cut(made, kept)


def outcomes(
    likelihood: Likelihood, model: Model, theta: Mapping[str, np.ndarray], *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the probabilities of all outcomes of a visit with given distances and rewards; give also the largest error.

    The outcomes are to leave at any one of the sites, or at none.
    """
    exact: Any = model.exact
    number, rng = len(theta["noise_std"]), seeds.generator(seed, "outcomes")
    stays = {name: np.full(number, value) for name, value in _STAYS.items()}
    walked = patches.unpack(np.asarray(exact.simulate(stays, rng)))[:, :_OUTCOMES]
    mass, wrong = [], []
    for i, visit in enumerate(walked):
        row = {name: value[i : i + 1] for name, value in theta.items()}
        ours, theirs = (_probabilities(one, visit, row) for one in (likelihood, exact))
        mass.append(ours.sum())
        wrong.append(np.abs(ours - theirs).max())
    return np.array(mass), np.array(wrong)


def _probabilities(likelihood: Likelihood, visit: np.ndarray, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """Give the probability to leave at each site of a visit (site, 4), and at last that to stay at all of them."""
    sites = len(visit)
    every = np.repeat(visit[None], sites + 1, axis=0)
    every[np.arange(sites), np.arange(sites), 1:3] = 0.0
    every = _sites.cut(every, np.minimum(np.arange(sites + 1) + 1, sites)).reshape(sites + 1, -1)
    return np.exp([likelihood.summed(one[None], theta)[0] for one in every])
