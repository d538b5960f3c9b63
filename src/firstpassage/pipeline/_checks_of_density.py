"""Questions of the audit about densities: mass of a likelihood, correction of a posterior, data not of the model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import diagnostics
from firstpassage.errors import DataWarning, SamplingWarning
from firstpassage.pipeline import _pictures, _recipes
from firstpassage.pipeline._audit import Item

if TYPE_CHECKING:
    from firstpassage.pipeline._items import Subject

MASS = 0.01  # largest distance of a likelihood's mass from 1
CERTIFIED = 0.95  # share of data sets of the model whose correction must be certified
FALSE_ALARMS = 0.07
BEYOND = 0.05  # sd of the posterior that corrected means may be farther off than exact ones from exact ones
_TRUSTED = 0.7  # Pareto k
_MANY = 100  # data sets from which shares are taken as they are
POWER = 0.9  # of that of the test with the exact likelihood


def normalised(subject: Subject) -> bool:
    """Tell whether there is no need to ask: a flow over statistics of a trial has mass 1 by construction."""
    known = _recipes.MASSES.get(subject.model.name)
    return subject.result.trial == "trace" or (known is not None and known.trial != subject.result.trial)


def normalisation(subject: Subject) -> list[Item]:
    """Ask whether a likelihood integrates to one, and gives each choice its probability."""
    asked = "Does the likelihood integrate to one, and give each choice its probability?"
    name, known = "normalisation", _recipes.MASSES.get(subject.model.name)
    if known is None:
        words = f"the mass of {subject.model.name} is not known how to integrate."
        return [Item(name=name, question=asked, ok=None, words=words, numbers={})]
    seed = subject.derived(name)
    theta = subject.model.prior(subject.effort.densities, seed=seed)
    mass, choice = known.measure(subject.result, subject.model, theta, seed=seed)
    off, wrong = float(np.abs(mass - 1).max()), float(np.abs(choice).max())
    words = (
        f"mass off by at most {off:.4f} (limit {MASS}), {known.outcome} by at most {wrong:.4f} (limit {known.limit}), "
    )
    words += f"over {len(mass)} parameter sets of the prior."
    return [
        Item(
            name=name, question=asked, ok=off <= MASS and wrong <= known.limit, words=words,
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
    k, efficiency = _weights(posterior, runs, seed=subject.derived("corrected draws"))
    share, certified = float(np.mean(k < _TRUSTED)), _recipes.CERTIFIED.get(subject.model.name, CERTIFIED)
    size = _recipes.amount(subject.model, high) if low == high else f"{low} to {high} trials"
    words = f"Pareto k < {_TRUSTED} for {share:.1%} of {len(k)} data sets of {size} (limit "
    words += f"{certified:.0%}), median efficiency {np.median(efficiency):.0%}"
    numbers: dict[str, Any] = {"pareto_k": k, "efficiency": efficiency}
    if subject.model.name in _recipes.LAPSES:
        lapses = _recipes.LAPSES[subject.model.name]
        spoiled = lapses.spoil(subject.model, runs[: subject.effort.lapsed], seed=0)
        odd, _ = _weights(posterior, spoiled, seed=subject.derived("odd"))
        words += f"; with {lapses.words} {np.mean(odd < _TRUSTED):.0%} of {len(odd)}"
        numbers["pareto_k_with_lapses"] = odd
    corrected = _Corrected(posterior, posterior.kind, posterior.parameter_names)
    against = subject.against_exact(corrected, n=subject.usual())
    ours, floor = against.learned.summary(), against.floor.summary()
    beyond = ours["shift_mean"] - floor["shift_mean"]
    words += f". Corrected draws against exact ones, {len(against.trials)} data sets of "
    words += f"{_recipes.amount(subject.model, subject.usual())}: mean shift {ours['shift_mean']:.3f} sd, floor "
    words += f"{floor['shift_mean']:.3f} (limit {BEYOND} beyond it), C2ST {ours['c2st_mean']:.3f}, floor "
    words += f"{floor['c2st_mean']:.3f}."
    return [
        Item(
            name="correction", question=asked, ok=share >= certified and beyond <= BEYOND, words=words,
            numbers={**numbers, "corrected": against.numbers()}, **_pictures.of(against, subject.model.parameters),
        )
    ]  # fmt: skip


def _weights(posterior: Any, data: list[Any], *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correct data sets, and give Pareto k and efficiency of each."""
    with warnings.catch_warnings():
        for told in (DataWarning, SamplingWarning):
            warnings.simplefilter("ignore", told)
        tree = posterior.sample(data, draws=1000, seed=seed, correct="exact")
    return np.array(tree.attrs["pareto_k"]), np.array(tree.attrs["efficiency"])


@dataclass(frozen=True, eq=False)
class _Corrected:
    """Sample a posterior with the correction, in the way of every other sampler."""

    posterior: Any
    kind: str
    parameter_names: tuple[str, ...]

    def sample(self, data: Any, *, draws: int, seed: int) -> Any:
        """Draw, corrected by the exact likelihood."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SamplingWarning)  # the share that is certified is a question of its own
            return self.posterior.sample(data, draws=draws, seed=seed, correct="exact")


def misspecification(subject: Subject) -> list[Item]:
    """Ask whether data that are not of the model are noticed."""
    if subject.model.name not in _recipes.LAPSES:
        words = f"there is no recipe for data that are not of {subject.model.name}."
        asked = "Are data that are not of the model noticed, and data of the model left alone?"
        return [Item(name="misspecification", question=asked, ok=None, words=words, numbers={})]
    return [_lapses(subject, _recipes.LAPSES[subject.model.name])]


def _lapses(subject: Subject, lapses: _recipes.Lapses) -> Item:
    """Test clean data sets, and ones with lapses, by the estimator and by the exact likelihood."""
    number, seed = subject.effort.lapsed, subject.derived("misspecification")
    trials = subject.usual() if subject.amortized else subject.effort.trials
    clean = subject.data_sets(number, trials=trials, purpose="misspecification")
    lapsed = lapses.spoil(subject.model, clean, seed=seed)
    testers = {"estimator": subject.result} | ({"exact": subject.model.exact} if subject.model.exact else {})
    rates = {name: [_flagged(t, data, seed=seed) for data in (clean, lapsed)] for name, t in testers.items()}
    alarms, power = rates["estimator"]
    words = f"{power:.0%} of {number} data sets with {lapses.words} noticed"
    if "exact" in rates:
        words += f" ({rates['exact'][1]:.0%} by the exact likelihood)"
    slack = 2 * (FALSE_ALARMS * (1 - FALSE_ALARMS) / number) ** 0.5 if number < _MANY else 0.0
    ok = alarms <= FALSE_ALARMS + slack and power >= POWER * rates.get("exact", [0.0, 0.9])[1] - slack
    words += f", false alarms {alarms:.1%} (limit {FALSE_ALARMS:.0%}), {_recipes.amount(subject.model, trials)}."
    return Item(
        name="misspecification", question=f"Are data with {lapses.words} noticed, and data of the model left alone?",
        ok=ok, words=words, numbers={"false_alarms_and_power": rates},
    )  # fmt: skip


def _flagged(tester: Any, data: list[np.ndarray], *, seed: int) -> float:
    """Give the share of data sets that are flagged."""
    found: Any = diagnostics.misspecification(tester, data, seed=seed)
    return float(np.mean([one.ok is False for one in found]))
