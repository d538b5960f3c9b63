"""Questions of the audit about densities: mass of a likelihood, correction of a posterior, data not of the model."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import diagnostics
from firstpassage.errors import DataWarning
from firstpassage.pipeline import _recipes
from firstpassage.pipeline._audit import Item

if TYPE_CHECKING:
    from firstpassage.pipeline._items import Subject

MASS = 0.01  # largest distance of a likelihood's mass from 1
CHOICE = 0.01  # largest error of a choice's probability
CERTIFIED = 0.95  # share of data sets of the model whose correction must be certified
FALSE_ALARMS = 0.07
_MANY = 100  # data sets from which shares are taken as they are
POWER = 0.9  # of that of the test with the exact likelihood


def normalisation(subject: Subject) -> list[Item]:
    """Ask whether a likelihood integrates to one, and gives each choice its probability."""
    asked = "Does the likelihood integrate to one, and give each choice its probability?"
    if subject.model.name not in _recipes.MASSES:
        words = f"the mass of {subject.model.name} is not known how to integrate."
        return [Item(name="normalisation", question=asked, ok=None, words=words, numbers={})]
    theta = subject.model.prior(subject.effort.densities, seed=subject.derived("normalisation"))
    mass, choice = _recipes.MASSES[subject.model.name](subject.result, theta)
    off, wrong = float(np.abs(mass - 1).max()), float(np.abs(choice).max())
    words = f"mass off by at most {off:.4f} (limit {MASS}), P(response) by at most {wrong:.4f} (limit {CHOICE}), over "
    words += f"{len(mass)} parameter sets of the prior."
    return [
        Item(
            name="normalisation", question=asked, ok=off <= MASS and wrong <= CHOICE, words=words,
            numbers={"mass": mass, "choice_error": choice},
        )
    ]  # fmt: skip


def correction(subject: Subject) -> list[Item]:
    """Ask how often the exact likelihood certifies the posterior, and what it corrects."""
    asked = "Does the correction by the exact likelihood certify the posterior of data sets of the model?"
    if subject.model.exact is None:
        words = f"{subject.model.name} has no exact likelihood."
        return [Item(name="correction", question=asked, ok=None, words=words, numbers={})]
    posterior: Any = subject.result
    low, high = posterior.trials
    runs = subject.data_sets(subject.effort.corrected, trials=(low, high), purpose="correction")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        tree = posterior.sample(runs, draws=1000, seed=subject.derived("corrected draws"), correct="exact")
    k, efficiency = np.array(tree.attrs["pareto_k"]), np.array(tree.attrs["efficiency"])
    share = float(np.mean(k < 0.7))
    words = f"Pareto k < .7 for {share:.1%} of {len(k)} data sets of {low} to {high} trials (limit {CERTIFIED:.0%}), "
    words += f"median efficiency {np.median(efficiency):.0%}."
    return [
        Item(
            name="correction", question=asked, ok=share >= CERTIFIED, words=words,
            numbers={"pareto_k": k, "efficiency": efficiency},
        )
    ]  # fmt: skip


def misspecification(subject: Subject) -> list[Item]:
    """Ask whether data that are not of the model are noticed."""
    asked = "Are data with 15 % lapses noticed, and data of the model left alone?"
    if subject.model.name not in _recipes.LAPSES:
        words = f"there is no recipe for data that are not of {subject.model.name}."
        return [Item(name="misspecification", question=asked, ok=None, words=words, numbers={})]
    return [_lapses(subject, asked)]


def _lapses(subject: Subject, asked: str) -> Item:
    """Test clean data sets, and the same ones with lapses, by the estimator and by the exact likelihood."""
    number, seed = subject.effort.lapsed, subject.derived("misspecification")
    clean = subject.data_sets(number, trials=subject.usual(), purpose="misspecification")
    spoil = _recipes.LAPSES[subject.model.name]
    lapsed = [spoil(x, seed=seed + i) for i, x in enumerate(clean)]
    testers = {"estimator": subject.result} | ({"exact": subject.model.exact} if subject.model.exact else {})
    rates = {name: [_flagged(t, data, seed=seed) for data in (clean, lapsed)] for name, t in testers.items()}
    alarms, power = rates["estimator"]
    words = f"{power:.0%} of {number} data sets with 15 % lapses noticed"
    if "exact" in rates:
        words += f" ({rates['exact'][1]:.0%} by the exact likelihood)"
    slack = 2 * (FALSE_ALARMS * (1 - FALSE_ALARMS) / number) ** 0.5 if number < _MANY else 0.0
    ok = alarms <= FALSE_ALARMS + slack and power >= POWER * rates.get("exact", [0.0, 0.9])[1] - slack
    return Item(
        name="misspecification", question=asked, ok=ok, numbers={"false_alarms_and_power": rates},
        words=f"{words}, false alarms {alarms:.1%} (limit {FALSE_ALARMS:.0%}), {subject.usual()} trials.",
    )  # fmt: skip


def _flagged(tester: Any, data: list[np.ndarray], *, seed: int) -> float:
    """Give the share of data sets that are flagged."""
    found: Any = diagnostics.misspecification(tester, data, seed=seed)
    return float(np.mean([one.ok is False for one in found]))
