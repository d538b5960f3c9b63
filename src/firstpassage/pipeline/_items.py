"""The questions of the audit, one function each: what is asked, on which simulations, and what decides."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import diagnostics, seeds
from firstpassage.diagnostics import ExactRuns, Simulated
from firstpassage.diagnostics._design import unit
from firstpassage.errors import DataWarning
from firstpassage.estimators import _shape
from firstpassage.likelihood import Likelihood
from firstpassage.models.model import Model
from firstpassage.pipeline import _checks_of_density, _pictures, _recipes
from firstpassage.pipeline._audit import Item

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior

Ask = Callable[[], list[Item]]
UNUSUAL = 0.04  # share of statistics with p outside .01 to .99; 2 % are expected
_LONG = 500  # trials from which on the chains of a comparison are half as long
_ALPHA = 0.05  # chance that a calibrated estimator fails SBC at any number of trials; the same for TARP
RATIO = 1.1  # largest error of recovery, relative to that of the exact likelihood


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Numbers of data sets of an audit.

    Parameters
    ----------
    calibrated : int
        For recovery, SBC, coverage and TARP, by MCMC; an amortized posterior gets `amortized`.
    amortized : int
        The same for an amortized posterior.
    trials : int
        Of each data set that is tested for misspecification, and of all that an amortized posterior is asked once.
    by_mcmc : int
        Of each data set that is calibrated by MCMC.
    compared : mapping of int to int
        Data sets for each number of trials that are compared with the exact posterior.
    predicted : int
        For the posterior predictive check.
    corrected : int
        For the correction of an amortized posterior.
    lapsed : int
        Clean ones and ones with lapses, for misspecification; of those that are corrected, as many get lapses.
    densities : int
        Parameter draws for the mass of a likelihood.
    steps : int
        Of warm-up and of kept draws, for each of the four chains of a comparison; half of them for long data sets.
    """

    calibrated: int
    amortized: int
    trials: int
    by_mcmc: int
    compared: dict[int, int]
    predicted: int
    corrected: int
    lapsed: int
    densities: int
    steps: int


# Two chains of 32 data sets, or eight of 4, fill the 16 lanes of both threads; fewer would take as long.
FAST = Effort(
    calibrated=32, amortized=1000, trials=200, by_mcmc=50, compared={50: 4, 200: 4, 1000: 2}, predicted=12,
    corrected=100, lapsed=16, densities=20, steps=500,
)  # fmt: skip
FULL = Effort(
    calibrated=300, amortized=1000, trials=200, by_mcmc=100, compared={50: 20, 200: 20, 1000: 20}, predicted=200,
    corrected=200, lapsed=200, densities=50, steps=1000,
)  # fmt: skip


# Of windows of 100 sites, which are sampled one by one: an exact posterior takes half a second.
_WINDOWS = (
    Effort(
        calibrated=32, amortized=1000, trials=1, by_mcmc=1, compared={1: 8, 5: 3}, predicted=12,
        corrected=20, lapsed=10, densities=10, steps=250,
    ),
    Effort(
        calibrated=300, amortized=1000, trials=1, by_mcmc=1, compared={1: 40, 5: 20}, predicted=200,
        corrected=200, lapsed=100, densities=50, steps=500,
    ),
)  # fmt: skip


# Of voltage traces, one of which is a data set: an exact posterior takes some seconds.
_TRACES = (
    Effort(
        calibrated=30, amortized=1000, trials=1, by_mcmc=1, compared={1: 8}, predicted=12,
        corrected=20, lapsed=10, densities=10, steps=250,
    ),
    Effort(
        calibrated=150, amortized=1000, trials=1, by_mcmc=1, compared={1: 40}, predicted=200,
        corrected=200, lapsed=50, densities=50, steps=500,
    ),
)  # fmt: skip
# Of vectors and series of a model of one's own, one of which is a data set: a posterior takes about a second.
_VECTORS = (replace(_TRACES[0], calibrated=50), replace(_TRACES[1], calibrated=200))
_EFFORTS = {"windows": _WINDOWS, "traces": _TRACES}


def effort(model: Model, fast: bool) -> Effort:
    """Choose the numbers of the short or of the whole audit."""
    own = _shape.of_own(model)
    usual = (FAST, FULL) if own is None or own.form == "numbers" else _VECTORS
    short, whole = _EFFORTS.get(unit(model), usual)
    return short if fast else whole


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """What is audited, and how much."""

    result: Likelihood | Posterior
    model: Model
    effort: Effort
    seed: int

    @property
    def amortized(self) -> bool:
        """Tell whether draws cost no MCMC."""
        return self.result.kind == "npe"

    def derived(self, purpose: str) -> int:
        """Derive the seed of one item."""
        return seeds.derive(self.seed, f"audit {purpose}")

    def sizes(self) -> list[int]:
        """List the numbers of trials that can be asked about."""
        wanted = list(self.effort.compared)
        if isinstance(self.result, Likelihood):
            return wanted
        low, high = self.result.trials
        return [n for n in wanted if low <= n <= high] or [high]

    def usual(self) -> int:
        """Choose the number of trials of what is not asked at several."""
        if isinstance(self.result, Likelihood):
            return self.effort.by_mcmc
        low, high = self.result.trials
        return min(max(self.effort.trials, low), high)

    def data_sets(
        self, number: int, *, trials: int | tuple[int, int], purpose: str, prior: dict[str, Any] | None = None
    ) -> list[Any]:
        """Simulate data sets from the prior, or from another one."""
        return diagnostics.data_sets(
            self.model, number=number, trials=trials, seed=self.derived(f"data {purpose}"), prior=prior
        )

    @cached_property
    def runs(self) -> dict[int, Simulated]:
        """Simulate and sample: for an amortized posterior at every number of trials."""
        sizes = sorted({*self.sizes(), self.usual()}) if self.amortized else [self.usual()]
        number = self.effort.amortized if self.amortized else self.effort.calibrated
        return {
            n: diagnostics.simulated(self.result, self.model, datasets=number, trials=n, seed=self.derived(f"runs {n}"))
            for n in sizes
        }

    @cached_property
    def ceiling(self) -> tuple[Simulated, Simulated] | None:
        """Sample the same data sets by the estimator and by the exact likelihood."""
        n = self.usual()
        if self.model.exact is None:
            return None
        number = self.effort.calibrated // 3 if self.amortized else self.effort.calibrated
        same: dict[str, Any] = {"datasets": max(number, 20), "trials": n, "seed": self.derived(f"runs {n}")}
        ours = diagnostics.simulated(self.result, self.model, **same) if self.amortized else self.runs[n]
        return ours, diagnostics.simulated(self.model.exact, self.model, **same)

    @cached_property
    def exact(self) -> dict[int, Exact]:
        """Hold the data sets that were compared so far, and what the exact likelihood drew for them, by size."""
        return {}

    def compared(self, n: int) -> Exact:
        """Sample data sets of n trials by the exact likelihood, once for all that is compared with them."""
        if n not in self.exact:
            usual = _recipes.reference(self.model)
            data = self.data_sets(self.effort.compared.get(n, 6), trials=n, purpose=f"exact n={n}", prior=usual)
            steps = self.effort.steps if n < _LONG else self.effort.steps // 2
            nuts: dict[str, Any] = {"draws": steps, "tune": steps, "prior": None if self.amortized else usual}
            exact: Any = self.model.exact
            runs = diagnostics.exact_runs(exact, data, seed=self.derived(f"exact n={n}"), **nuts)
            self.exact[n] = Exact(data=data, nuts=nuts, runs=runs)
        return self.exact[n]

    def against_exact(self, result: Any, *, n: int) -> diagnostics.Comparison:
        """Compare what samples with the exact likelihood, on data sets of n trials."""
        exact: Any = self.model.exact
        known = self.compared(n)
        return diagnostics.compare(
            result, exact, known.data, seed=self.derived(f"exact n={n}"), runs=known.runs, **known.nuts,
            limits=_recipes.limits(self.result.kind, n, trial=self.result.trial),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Exact:
    """Hold data sets, the settings of NUTS, and its runs."""

    data: list[Any]
    nuts: dict[str, Any]
    runs: ExactRuns


def questions(subject: Subject) -> dict[str, Ask]:
    """List the questions that make sense for this kind of estimator, in the order of the card."""
    asked: dict[str, Callable[[Subject], list[Item]]] = {
        "recovery": _recovery, "sbc": _sbc, "coverage": _coverage, "tarp": _tarp, "ppc": _ppc,
    }  # fmt: skip
    for n in subject.sizes():
        asked[f"exact n={n}"] = partial(_against_exact, n=n)
    if subject.result.kind == "nle" and not _checks_of_density.normalised(subject):
        asked["normalisation"] = _checks_of_density.normalisation
    if subject.amortized:
        asked["correction"] = _checks_of_density.correction
    asked["misspecification"] = _checks_of_density.misspecification
    return {name: partial(ask, subject) for name, ask in asked.items()}


def _recovery(subject: Subject) -> list[Item]:
    """Ask how well the true parameters are found, beside the exact posterior."""
    runs = subject.runs[subject.usual()]
    found = diagnostics.recovery(runs)
    words, ok, numbers = found.verdict, found.ok, found.numbers()
    if subject.ceiling is not None:
        ours, exact = (diagnostics.recovery(one) for one in subject.ceiling)
        ratios = {name: ours.parameters[name].rmse / exact.parameters[name].rmse for name in ours.parameters}
        worst = max(ratios, key=ratios.__getitem__)
        numbers = {**numbers, "rmse_over_exact": ratios}
        words += f" Error over that of the exact posterior: at most {ratios[worst]:.3f} ({worst}), limit {RATIO}."
        ok = None if ok is None else ok and ratios[worst] <= RATIO
    return [
        Item(
            name="recovery", question="Are the true parameters found, as well as by the exact likelihood?", ok=ok,
            words=words, numbers=numbers, **_pictures.of(found, subject.model.parameters),
        )
    ]  # fmt: skip


def _sbc(subject: Subject) -> list[Item]:
    """Ask whether ranks of the truth among posterior draws are uniform."""
    asked = "Are the ranks of the truth among posterior draws uniform (simulation-based calibration)?"
    test = partial(diagnostics.sbc, alpha=_ALPHA / len(subject.runs))
    return [_calibration(subject, "sbc", test, n=n, asked=asked) for n in subject.runs]


def _coverage(subject: Subject) -> list[Item]:
    """Ask whether credible intervals hold the truth as often as they say."""
    asked = "Do 50, 80, 90 and 95 % intervals hold the truth as often as they say?"
    return [_calibration(subject, "coverage", diagnostics.coverage, n=n, asked=asked) for n in subject.runs]


def _tarp(subject: Subject) -> list[Item]:
    """Ask whether credible regions of all parameters together hold the truth as often as they say."""
    asked = "Do joint credible regions around random points hold the truth as often as they say (TARP)?"
    test = partial(diagnostics.tarp, alpha=_ALPHA / len(subject.runs))
    return [_calibration(subject, "tarp", test, n=n, asked=asked) for n in subject.runs]


def _calibration(subject: Subject, name: str, test: Callable[[Simulated], Any], *, n: int, asked: str) -> Item:
    """Make one item of a calibration test."""
    found = test(subject.runs[n])
    label = name if len(subject.runs) == 1 else f"{name} n={n}"
    return Item(
        name=label, question=asked, ok=found.ok, words=found.verdict, numbers=found.numbers(),
        **_pictures.of(found, subject.model.parameters),
    )  # fmt: skip


def _ppc(subject: Subject) -> list[Item]:
    """Ask whether data simulated from the posterior look like the data, for data of the model."""
    import arviz_base

    runs = subject.runs[subject.usual()]
    number = min(subject.effort.predicted, len(runs.data))
    found, p = None, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for i in range(number):
            draws = arviz_base.from_dict({"posterior": {k: v[i][None] for k, v in runs.draws.items()}})
            found = diagnostics.ppc(subject.result, draws, runs.data[i], seed=subject.derived(f"ppc {i}"))
            p += [one for one in found.p if np.isfinite(one)]
    outside = float(np.mean((np.array(p) < 0.01) | (np.array(p) > 0.99)))
    words = f"{len(p)} statistics of {number} data sets of the model: {outside:.1%} have p outside .01 to .99, limit "
    asked = "Do data simulated from the posterior look like the data (posterior predictive check)?"
    return [
        Item(
            name="ppc", question=asked, ok=None if number < 10 else outside <= UNUSUAL, words=f"{words}{UNUSUAL:.0%}.",
            numbers={"outside": outside, "p": np.array(p)}, **_pictures.of(found, subject.model.parameters),
        )
    ]  # fmt: skip


def _against_exact(subject: Subject, *, n: int) -> list[Item]:
    """Ask how far posteriors lie from the exact ones."""
    asked = f"How far does the posterior lie from the exact one, for {_recipes.amount(subject.model, n)}?"
    name = f"exact n={n}"
    if subject.model.exact is None:
        words = f"{subject.model.name} has no exact likelihood."
        return [Item(name=name, question=asked, ok=None, words=words, numbers={})]
    found = subject.against_exact(subject.result, n=n)
    return [
        Item(
            name=name, question=asked, ok=found.ok, words=found.verdict, numbers=found.numbers(),
            **_pictures.of(found, subject.model.parameters),
        )
    ]  # fmt: skip
