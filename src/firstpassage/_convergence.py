"""Convergence: whether draws may be used at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import _draws
from firstpassage._weights import TRUSTED
from firstpassage.errors import ModelError

if TYPE_CHECKING:
    import xarray as xr

R_HAT = 1.01  # must lie below
ESS = 400.0  # must be reached, bulk and tail
DIVERGENT = 0.001  # share of the draws that may diverge
EDGE = 0.01  # share of the box's width that counts as its edge, and share of the draws that may lie there


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """Hold the worst convergence statistics over the parameters of one posterior.

    Parameters
    ----------
    r_hat : float
        Largest rank-normalised split R-hat; NaN for a single chain.
    ess_bulk, ess_tail : float
        Smallest effective sample sizes.
    divergences, draws : int
        Divergent transitions, and draws over all chains.
    edge : mapping of str to float
        Share of the draws within 1 % of an edge of the box, by parameter; empty without a box.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16: R-hat < 1.01, ESS >= 400.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    draws: int
    edge: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Tell whether R-hat < 1.01, both ESS >= 400 and at most .1 % of the draws diverge."""
        return not self._failures()

    @property
    def verdict(self) -> str:
        """Say in one sentence whether the chains converged, and whether the box cuts the posterior."""
        failures = self._failures()
        numbers = f"R-hat {self.r_hat:.3f}, ESS {_whole(self.ess_bulk)} bulk and {_whole(self.ess_tail)} tail"
        text = f"converged: {numbers}, {self._divergent()}"
        if failures:
            text = f"not converged: {'; '.join(failures)}"
        return f"{text}{_crowded(self.edge)}."

    def _failures(self) -> list[str]:
        """List what is not met, each with its remedy."""
        failures = []
        if not self.r_hat < R_HAT:
            unknown = "cannot be computed (one chain, or constant draws)"
            known = unknown if math.isnan(self.r_hat) else f"{self.r_hat:.4f}"
            failures.append(f"R-hat {known}, needs < {R_HAT}")
        smallest = min(self.ess_bulk, self.ess_tail, key=lambda n: -math.inf if math.isnan(n) else n)
        if not smallest >= ESS:
            failures.append(f"ESS {_whole(smallest)}, needs {ESS:.0f}: more draws")
        if self.divergences > DIVERGENT * self.draws:
            failures.append(f"{self._divergent()}, at most {DIVERGENT:.1%} may: more tuning steps")
        return failures

    def _divergent(self) -> str:
        """Count the divergences in words."""
        return f"{self.divergences} of {self.draws} draws diverged" if self.divergences else "no divergences"


@dataclass(frozen=True, kw_only=True)
class Independent:
    """Hold what is known of draws without chains: of an amortized posterior, or of importance sampling.

    Parameters
    ----------
    draws : int
        Their number.
    effective : float
        How many unweighted draws they are worth: fewer than `draws` if correction left little.
    pareto_k : float or None
        Of the weights of the correction by the exact likelihood; None if the draws were not corrected.
    efficiency : float or None
        Share of the proposals that the correction left, in effect; None if not corrected.
    edge : mapping of str to float
        Share of the draws within 1 % of an edge of the box, by parameter; empty without a box.
    source : str
        What proposed them.
    target : str
        By which likelihood they were weighed.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25: k <= 0.7.

    Examples
    --------
    >>> Independent(draws=4000, effective=4000.0, pareto_k=0.9, efficiency=0.1, edge={}).ok
    False
    """

    draws: int
    effective: float
    pareto_k: float | None
    efficiency: float | None
    edge: Mapping[str, float]
    source: str = "the network"
    target: str = "exact"

    @property
    def ok(self) -> bool:
        """Tell whether at least 400 draws are effective and, if they were corrected, Pareto k <= 0.7."""
        return not self._failures()

    @property
    def verdict(self) -> str:
        """Say in one sentence what the draws are, and whether a correction can be trusted."""
        text = f"{self.draws} independent draws from {self.source}"
        if self.pareto_k is not None:
            text += f", corrected by the {self.target} likelihood: Pareto k {self.pareto_k:.2f}"
            text += f", efficiency {self.efficiency:.0%}"
        failures = self._failures()
        if failures:
            text = f"NOT to be trusted: {'; '.join(failures)} ({text})"
        return f"{text}{_crowded(self.edge)}."

    def _failures(self) -> list[str]:
        """List what is not met, each with its remedy."""
        failures = []
        if self.pareto_k is not None and not self.pareto_k <= TRUSTED:
            failures.append(f"Pareto k {self.pareto_k:.2f}, needs <= {TRUSTED}: sample the exact likelihood by NUTS")
        if not self.effective >= ESS - 0.5:  # as it is written
            failures.append(f"{self.effective:.0f} effective draws, needs {ESS:.0f}: more draws")
        return failures


def independent(draws: xr.DataTree, *, box: Mapping[str, tuple[float, float]] | None = None) -> Independent:
    """Judge independent draws of one data set.

    Parameters
    ----------
    draws : DataTree
        As ``posterior.sample``, or ``likelihood.sample`` by importance sampling, returns them for one data set, in
        however many chains.
    box : mapping of str to (float, float), optional
        Bounds by parameter, such as ``posterior.box``: adds the share of the draws at its edges.

    Returns
    -------
    Independent
        Numbers, ``ok`` and a one-sentence ``verdict``.

    Raises
    ------
    DataError
        If `draws` hold no posterior.
    ModelError
        If `box` names a parameter that `draws` do not have.

    Examples
    --------
    >>> import arviz_base, numpy as np
    >>> rng = np.random.default_rng(1)
    >>> independent(arviz_base.from_dict({"posterior": {"v": rng.normal(size=(4, 500))}})).verdict
    '2000 independent draws from the network.'
    """
    values = _draws.scalars(draws)
    number = next(iter(values.values())).size
    sampler = draws.attrs.get("sampler")
    known = {name: float(draws.attrs[name]) for name in ("pareto_k", "efficiency") if name in draws.attrs}
    return Independent(
        draws=number,
        effective=min(float(number), float(draws.attrs.get("effective", number))),
        pareto_k=known.get("pareto_k"),
        efficiency=known.get("efficiency"),
        edge=_edges(values, box),
        source={"importance": "an approximation", "smc": "sequential Monte Carlo"}.get(str(sampler), "the network"),
        target="learned" if sampler == "importance" and draws.attrs.get("kind") in ("nle", "nre") else "exact",
    )


def convergence(draws: xr.DataTree, *, box: Mapping[str, tuple[float, float]] | None = None) -> Convergence:
    """Judge whether chains of posterior draws agree with each other and are long enough.

    Parameters
    ----------
    draws : DataTree
        Groups posterior and, for divergences, sample_stats, as ``likelihood.sample``, ``firstpassage.sample`` or
        ``pm.sample`` return them. Entries of a vector that never move while others do, such as the diagonal of a
        correlation matrix, are constants of the model and are not judged.
    box : mapping of str to (float, float), optional
        Bounds by parameter, such as ``likelihood.box``: adds the share of the draws at its edges; of a vector, that
        of the entry with the largest share.

    Returns
    -------
    Convergence
        Worst values over the parameters, ``ok`` and a one-sentence ``verdict``.

    Raises
    ------
    DataError
        If `draws` hold no posterior.
    ModelError
        If `box` names a parameter that `draws` do not have.

    Examples
    --------
    >>> import arviz_base, numpy as np
    >>> rng = np.random.default_rng(1)
    >>> convergence(arviz_base.from_dict({"posterior": {"v": rng.normal(size=(4, 500))}})).ok
    True
    """
    values = _draws.scalars(draws)
    edge = _edges(values, box)
    values = _draws.moving(values)
    diverging = _draws.flags(draws, "diverging")
    return Convergence(
        r_hat=_worst(max, [_draws.r_hat(v) for v in values.values()]),
        ess_bulk=_worst(min, [_draws.ess(v, method="bulk") for v in values.values()]),
        ess_tail=_worst(min, [_draws.ess(v, method="tail") for v in values.values()]),
        divergences=0 if diverging is None else int(diverging.sum()),
        draws=next(iter(values.values())).size,
        edge=edge,
    )


def attributes(found: Convergence) -> dict[str, Any]:
    """Write a verdict as attributes that a file can hold.

    Parameters
    ----------
    found : Convergence
        The verdict.

    Returns
    -------
    dict
        verdict (a sentence), ok (0 or 1), r_hat, ess_bulk, ess_tail, divergences, and edge, in JSON.
    """
    return {
        "verdict": found.verdict, "ok": int(found.ok), "r_hat": found.r_hat, "ess_bulk": found.ess_bulk,
        "ess_tail": found.ess_tail, "divergences": found.divergences, "edge": json.dumps(dict(found.edge)),
    }  # fmt: skip


def _edges(values: Mapping[str, np.ndarray], box: Mapping[str, tuple[float, float]] | None) -> dict[str, float]:
    """Compute the share of the draws at the edges of the box, by parameter."""
    entries: dict[str, list[np.ndarray]] = {}
    for name, value in values.items():
        entries.setdefault(_draws.variable(name), []).append(value)
    unknown = sorted(set(box or {}) - set(entries))
    if unknown:
        raise ModelError(
            f"box names {unknown}; the draws have {', '.join(entries)}. Leave these out of the box, or make each an "
            "own variable of the model, such as pm.Deterministic."
        )
    return {name: max(at_edge(one, bounds) for one in entries[name]) for name, bounds in (box or {}).items()}


def _crowded(edge: Mapping[str, float]) -> str:
    """Say which parameters crowd at an edge of the box, after a semicolon."""
    crowded = [f"{name} {share:.0%}" for name, share in edge.items() if share > EDGE]
    return f"; draws at an edge of the box, which may cut the posterior: {', '.join(crowded)}" if crowded else ""


def _worst(choose: Callable[[list[float]], float], numbers: list[float]) -> float:
    """Choose the worst number; one that does not exist is worse than all."""
    return math.nan if any(math.isnan(n) for n in numbers) else choose(numbers)


def at_edge(values: np.ndarray, bounds: tuple[float, float]) -> float:
    """Compute the share of draws within 1 % of the box's width from one of its edges.

    Parameters
    ----------
    values : ndarray
        Draws of one parameter.
    bounds : (float, float)
        Its box.

    Returns
    -------
    float
        From 0 to 1.
    """
    low, high = bounds
    margin = EDGE * (high - low)
    return float(np.mean((values < low + margin) | (values > high - margin)))


def _whole(number: float) -> str:
    """Write an effective sample size."""
    return "unknown" if math.isnan(number) else f"{number:.0f}"
