"""Misspecification: whether a data set is like anything that the simulator makes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _subjects, seeds
from firstpassage.diagnostics import _discrepancy, _estimates, _pieces
from firstpassage.errors import DataWarning, ModelError
from firstpassage.models.model import Model

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood

_MEANING = {
    "surprise": "trials lie where simulated trials are denser or sparser than they should",
    "outliers 1%": "few trials are of another kind",
    "outliers 10%": "some trials are of another kind",
    "shape": "the distribution of trials has another shape",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Misspecification:
    """Hold what tells one data set from the replicates of its own fit.

    Parameters
    ----------
    p : float
        Share of data sets of the model that are at least as unusual, given their estimate.
    alpha : float
        Below or at which `p` is flagged: the share of false alarms.
    by_statistic : dict of str to float
        The same share for each statistic alone; the smallest one decides, which `p` pays for.
    observed : dict of str to float
        Each statistic of the data.
    replicated : dict of str to ndarray, shape (replicate,)
        Each statistic of the replicates.
    estimate : dict of str to float
        Parameters at which the replicates were simulated, in their units.
    trials, replicates, seed : int
        Sizes, and the seed of everything.
    kind : str
        What the sampler is.
    """

    p: float
    alpha: float
    by_statistic: dict[str, float]
    observed: dict[str, float]
    replicated: dict[str, np.ndarray]
    estimate: dict[str, float]
    trials: int
    replicates: int
    seed: int
    kind: str

    @property
    def ok(self) -> bool:
        """Tell whether the data set is not flagged."""
        return self.p > self.alpha

    @property
    def verdict(self) -> str:
        """Say in one sentence whether the data set is like simulated ones, with the number that decides."""
        most = min(self.by_statistic, key=lambda name: self.by_statistic[name])
        size = "1 trial" if self.trials == 1 else f"{self.trials} trials"
        numbers = f"p {self.p:.3f} among {self.replicates} replicates of {size}, flagged at {self.alpha:g}"
        if self.ok:
            return f"nothing unlike the model was found: {numbers}."
        return f"these data are UNLIKE the model at its best: {_MEANING[most]} ({most}); {numbers}."

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, p, alpha, p by statistic, the estimate and the sizes.
        """
        head = {"ok": self.ok, "verdict": self.verdict, "p": self.p, "alpha": self.alpha, "kind": self.kind}
        sizes = {"trials": self.trials, "replicates": self.replicates, "seed": self.seed}
        return head | {"by_statistic": dict(self.by_statistic), "estimate": dict(self.estimate)} | sizes


def misspecification(
    sampler: Likelihood | Posterior,
    data: Any,
    *,
    seed: int,
    replicates: int = 200,
    alpha: float = 0.05,
    prior: Mapping[str, Any] | None = None,
) -> Misspecification | list[Misspecification]:
    """Test whether a data set is like what the simulator makes at the parameters that suit the data best.

    Parameters are estimated (posterior mode of a likelihood, posterior mean of a learned posterior), data sets of the
    same size are simulated there, and data and replicates are compared by statistics that need nothing but simulated
    trials, so that they are the same for every method and any columns:

    - surprise: the mean log distance of a trial to its neighbours among simulated trials, of either sign;
    - outliers: the log likelihood ratio for 1 % or 10 % of trials from the prior predictive distribution;
    - shape: the numbers of trials in about 20 cells, by Mahalanobis distance. Cells and ratios are the leaves of a
      classification tree that separates trials of the fit from trials of the prior predictive.

    For foraging data, visits or windows, what is said of trials here holds of the decisions at the sites: to leave or
    not, given distance, rewards and failures so far, and the last outcome. For voltage traces it holds of stretches of
    five samples: their mean, slope and roughness, the step to the next one, and the time since the last spike.

    The data had a say in the estimate, the replicates had none, which makes naive p values too large and the test
    weak. So replicates are estimated anew (by one scoring step for a likelihood, by one call of a learned posterior),
    and what is linear in the estimates is regressed out of all statistics. The smallest rank over the statistics is
    itself ranked among those of the replicates, which keeps the share of false alarms near `alpha`.

    Not seen is what leaves the distribution of single trials unchanged: their order and their dependence. With few
    trials, or where the fit can imitate them, contaminations stay hidden. A test of the marginal distribution of
    learned summaries (such as an MMD between a data set and the prior predictive) sees only data sets that no
    parameter makes likely in that summary; it cannot see one that is unusual given its parameters.

    Parameters
    ----------
    sampler : Likelihood or Posterior
        Of any kind, with a simulator.
    data : DataFrame, array_like, or list of them
        One subject's trials, or those of many.
    seed : int
        From 0 to 2**63 - 1. The result of data set number i depends on the seed and i alone.
    replicates : int
        Simulated data sets for each data set, 50 at least; p is a multiple of 1 / (replicates + 1).
    alpha : float
        Share of false alarms.
    prior : mapping of str to distribution, optional
        Replaces the parameters' own priors; for likelihoods.

    Returns
    -------
    Misspecification, or list of them
        One for each data set: p, ``ok`` and ``verdict``.

    Raises
    ------
    DataError
        If the data are not usable.
    ModelError
        If the sampler has no simulator, or an argument is wrong.

    References
    ----------
    Pierce (1982), Annals of Statistics 10: statistics at estimated parameters. Neyman (1959): tests that are
    orthogonal to the score. Schmitt, Buerkner, Koethe and Radev (2023), GCPR: summaries of data that were never
    simulated.

    Examples
    --------
    >>> import firstpassage as fp
    >>> theta = {"v": [1.0], "a": [1.0], "z": [0.5], "t": [0.3]}
    >>> drawn = fp.ddm().likelihood(theta, trials=100, seed=1)
    >>> misspecification(fp.ddm().exact, {k: x[0] for k, x in drawn.items()}, seed=1).ok
    True
    """
    _check(sampler, replicates, alpha, prior)
    several = _subjects.many(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        read = [sampler.read(data)] if several is None else _subjects.read_all(sampler.read, several)
        x = [one.reshape(len(one), -1) for one in read]
        pieces = _pieces.of(sampler)
        everything = _prior_predictive(sampler, pieces, prior, seed)
        how = _estimates.estimates(sampler, prior)
        centre = how.of(x, seed=seeds.derive(seed, "estimates"))
        test = _Test(
            sampler=sampler, pieces=pieces, how=how, everything=everything, replicates=int(replicates),
            alpha=float(alpha),
        )  # fmt: skip
        found = [test.run(one, at, seed=seed, number=i) for i, (one, at) in enumerate(zip(x, centre, strict=True))]
    return found[0] if several is None else found


@dataclass(frozen=True, eq=False, kw_only=True)
class _Test:
    """Run the test on data sets that were read and estimated."""

    sampler: Any
    pieces: _pieces.Pieces
    how: _estimates.Estimates
    everything: np.ndarray
    replicates: int
    alpha: float

    def run(self, x: np.ndarray, centre: np.ndarray, *, seed: int, number: int) -> Misspecification:
        """Simulate at the estimate, and compare."""
        own = seeds.derive(seed, f"misspecification {number}")
        estimate = dict(zip(self.sampler.parameter_names, centre.tolist(), strict=True))
        total, size = self.replicates, len(x)
        again = self.pieces.replicates(estimate, like=x, number=total, rng=seeds.generator(own, "replicates"))
        tell = _discrepancy.learn(again.fitted, self.everything, seed=own)
        sums = self.pieces.sums(tell, [x, *again.data])
        deviations = self.how.deviations(x, again.data, estimate, seed=own)
        statistics = _discrepancy.statistics(sums, deviations)
        p, by_statistic = _discrepancy.combine(statistics)
        return Misspecification(
            p=p, alpha=self.alpha, by_statistic=by_statistic, estimate=estimate, trials=size, replicates=total,
            observed={k: float(v[0]) for k, v in statistics.items()}, seed=seed, kind=self.sampler.kind,
            replicated={k: v[1:] for k, v in statistics.items()},
        )  # fmt: skip


def _check(sampler: Any, replicates: Any, alpha: Any, prior: Mapping[str, Any] | None) -> None:
    """Refuse what cannot be tested."""
    if sampler.simulate is None:
        raise ModelError(
            f"a test of the model needs its simulator; the {sampler.kind} likelihood of {sampler.model} has none. "
            "Make it with simulate=..."
        )
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 50:
        raise ModelError(f"replicates must be an integer of at least 50; got {replicates!r}. The usual number is 200.")
    if not 1 / (replicates + 1) <= alpha < 1:
        raise ModelError(
            f"alpha must lie between 1 / (replicates + 1) and 1; got {alpha!r} with {replicates} replicates. "
            "The usual one is .05."
        )
    unknown = sorted(set(prior or {}) - set(sampler.parameter_names))
    if unknown or (prior and sampler.kind == "npe"):
        raise ModelError(
            f"prior may name {', '.join(sampler.parameter_names)} of a likelihood; got {', '.join(prior or {})} for "
            f"kind {sampler.kind!r}. A learned posterior has the prior it was trained with."
        )


def _prior_predictive(sampler: Any, pieces: _pieces.Pieces, prior: Mapping[str, Any] | None, seed: int) -> np.ndarray:
    """Simulate single pieces at parameters from the prior: (n, column)."""
    given = dict(prior or {})
    parameters = [replace(p, prior=given.get(p.name, p.prior)) for p in sampler.parameters]
    source = Model(name="prior", parameters=parameters, likelihood=pieces.everything, prior=sampler.joint)
    theta = source.prior(_pieces.SIMULATED, seed=seeds.derive(seed, "prior predictive"))
    return pieces.everything(theta, seeds.generator(seed, "prior predictive"))
