"""Simulation-based calibration: the truth must have a uniform rank among the posterior draws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.diagnostics import _ranks
from firstpassage.diagnostics._design import Design
from firstpassage.diagnostics._simulated import Sampler, Simulated, Trials, resolve, tables
from firstpassage.errors import DataWarning, ModelError

if TYPE_CHECKING:
    import jax

    from firstpassage.likelihood import Likelihood
    from firstpassage.models.model import Model

LOG_LIKELIHOOD = "log likelihood"
_BAND = 0.05  # level of the bands for one quantity, and of log gamma's critical value
_MOST_BINS = 20
_EXPECTED = 10  # least expected count of a bin
_CLEAR = 3.0  # standard errors at which a mean or a spread of ranks is put into words


@dataclass(frozen=True, eq=False, kw_only=True)
class Sbc:
    """Hold the ranks of truths among posterior draws, and what they say about calibration.

    Parameters
    ----------
    design : Design
        What was simulated.
    ranks : dict of str to ndarray of int, shape (dataset,)
        From 0 to ``design.draws``, by quantity: the parameters, ``"log likelihood"`` of the data set at the
        parameters, and a quantity in which data and parameters interact.
    z : ndarray, shape (draw,)
        Shares at which the ranks are counted.
    difference : dict of str to ndarray, shape (draw,)
        Empirical distribution function of the ranks minus `z`.
    low, high : ndarray, shape (draw,)
        Band that holds the whole difference of one quantity of a calibrated sampler with 95 % probability.
    joint_low, joint_high : ndarray, shape (draw,)
        Wider band that the verdict uses: it holds all quantities with probability 1 - `alpha`.
    edges : ndarray, shape (bin + 1,)
        Of the histogram of ranks, in ranks.
    counts : dict of str to ndarray, shape (bin,)
        Ranks in each bin.
    expected : ndarray, shape (bin,)
        Expected counts.
    gamma_p, chi_square_p : dict of str to float
        P-values of the gamma test, which is the test of the band, and of the chi-square test of the histogram.
    log_gamma : dict of str to float
        Log of gamma over its 5 % critical value: below zero, the difference leaves the 95 % band.
    alpha : float
        Chance that a calibrated sampler fails.
    left_out : str
        Why a quantity is missing; empty if none is.
    """

    design: Design
    ranks: dict[str, np.ndarray]
    z: np.ndarray
    difference: dict[str, np.ndarray]
    low: np.ndarray
    high: np.ndarray
    joint_low: np.ndarray
    joint_high: np.ndarray
    edges: np.ndarray
    counts: dict[str, np.ndarray]
    expected: np.ndarray
    gamma_p: dict[str, float]
    chi_square_p: dict[str, float]
    log_gamma: dict[str, float]
    alpha: float
    left_out: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """Quantities whose gamma test rejects at `alpha` over their number, the worst one first."""
        limit = self.alpha / len(self.gamma_p)
        return tuple(name for name in sorted(self.gamma_p, key=self.gamma_p.__getitem__) if self.gamma_p[name] <= limit)

    @property
    def ok(self) -> bool | None:
        """Tell whether no quantity fails; None with fewer than 20 data sets."""
        return None if self.design.datasets < _ranks.FEWEST else not self.failed

    @property
    def verdict(self) -> str:
        """Say in one sentence whether the sampler is calibrated, with the numbers that decide."""
        missing = f"; {self.left_out}" if self.left_out else ""
        if self.ok is None:
            return f"too few data sets for a verdict: {self.design.words}, {_ranks.FEWEST} are needed{missing}."
        limit = f"{self.alpha:g} / {len(self.gamma_p)} quantities"
        if self.ok:
            worst = min(self.gamma_p, key=self.gamma_p.__getitem__)
            found = f"smallest gamma-test p {self.gamma_p[worst]:.3g} ({worst}), above {limit}"
            return f"calibrated as far as {self.design.words} can tell: {found}{missing}."
        reasons = "; ".join(f"{name} p {self.gamma_p[name]:.2g}{self._shape(name)}" for name in self.failed)
        return f"NOT calibrated: {reasons}; gamma test at {limit}, {self.design.words}{missing}."

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, alpha, the design, and the statistics of every quantity.
        """
        quantities = {
            name: {
                "gamma_p": self.gamma_p[name],
                "log_gamma": self.log_gamma[name],
                "chi_square_p": self.chi_square_p[name],
                "mean_position": float((ranked.mean() + 0.5) / (self.design.draws + 1)),
                "largest_difference": float(np.abs(self.difference[name]).max()),
            }
            for name, ranked in self.ranks.items()
        }
        head = {"ok": self.ok, "verdict": self.verdict, "alpha": self.alpha, "left_out": self.left_out}
        return head | {"design": self.design.numbers(), "quantities": quantities}

    def _shape(self, name: str) -> str:
        """Put the form of a parameter's ranks into words: where the posterior lies, and how wide it is."""
        if name == LOG_LIKELIHOOD:
            return ""
        u = (self.ranks[name] + 0.5) / (self.design.draws + 1) - 0.5
        location = u.mean() * math.sqrt(12 * u.size)
        width = (12 * (u**2).mean() - 1) * math.sqrt(u.size * 5 / 4)  # sd of 12 u**2 is sqrt(4/5)
        words = [("posterior too low" if location > 0 else "posterior too high")] if abs(location) > _CLEAR else []
        words += [("too narrow" if width > 0 else "too wide")] if not words and abs(width) > _CLEAR else []
        return f" ({words[0]})" if words else ""


def sbc(
    source: Simulated | Sampler,
    model: Model | None = None,
    *,
    datasets: int = 300,
    trials: Trials = 200,
    draws: int = 99,
    seed: int | None = None,
    prior: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
) -> Sbc:
    """Check by ranks whether a sampler's posteriors are right on average over its prior.

    Quantities are every parameter; the joint log likelihood of the data set, which alone notices a posterior that
    ignores the data; and the first parameter times the centred mean of the first column of the data (not centred, it
    would have the ranks of the parameter itself wherever that mean is positive, as it is for response times).

    Parameters
    ----------
    source : Simulated, or Likelihood or Posterior
        Simulated data sets with draws, or the sampler to make them with.
    model : Model, optional
        With a sampler.
    datasets, trials, draws, prior
        Of a new simulation, as in `simulated`.
    seed : int, optional
        Of a new simulation, and of the order of ties; by default that of `source`.
    alpha : float
        Chance that a calibrated sampler fails, over all quantities (Bonferroni).

    Returns
    -------
    Sbc
        Ranks, bands, tests, ``ok`` and ``verdict``.

    Raises
    ------
    ModelError
        If an argument is missing or wrong.

    Notes
    -----
    The band and the gamma test are the same test, with exact probabilities: counts of uniform ranks below each point
    are a Poisson process given its total. ArviZ's ``ecdf_pit`` simulates its band for continuous positions at
    multiples of 1 / N, which ranks among L < N draws are not, and turns shares back into counts by truncation, which
    loses one where a product such as .29 * 100 falls just below an integer. BayesFlow's ``calibration_log_gamma`` has
    the right gamma; its critical value comes from 1,000 unseeded simulations, and it does not break ties.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788; Saeilynoja, Buerkner and Vehtari (2022),
    Statistics and Computing 32: simultaneous bands; Modrak et al. (2025), Bayesian Analysis 20: gamma (eq. 7) and the
    joint log likelihood.

    Examples
    --------
    >>> import arviz_base, firstpassage as fp
    >>> from types import SimpleNamespace
    >>> model = fp.ddm()
    >>> def sample(data, *, draws, seed):  # of the prior: this sampler ignores the data
    ...     prior = model.prior(draws * len(data), seed=seed)
    ...     posterior = {name: values.reshape(1, draws, -1) for name, values in prior.items()}
    ...     return arviz_base.from_dict({"posterior": posterior}, dims=dict.fromkeys(prior, ["dataset"]))
    >>> lazy = SimpleNamespace(kind="npe", parameters=model.parameters, sample=sample)
    >>> sbc(lazy, model, datasets=50, trials=20, seed=1).failed
    ('log likelihood',)
    """
    found = resolve(source, model, datasets=datasets, trials=trials, draws=draws, seed=seed, prior=prior)
    if not 0 < alpha < 1:
        raise ModelError(f"alpha must lie between 0 and 1; got {alpha!r}. The usual one is .05.")
    rng = seeds.generator(found.seed if seed is None else seed, "ties of ranks")
    quantities = {name: (found.truth[name], values) for name, values in found.draws.items()}
    quantities |= _log_likelihood(found) | _interaction(found)
    ranked = {name: _ranks.ranks(*pair, rng=rng) for name, pair in quantities.items()}
    left_out = "" if LOG_LIKELIHOOD in ranked else "the log likelihood is not known, so a posterior = prior may pass"
    return judge(ranked, design=found.design, alpha=alpha, left_out=left_out)


def judge(ranked: dict[str, np.ndarray], *, design: Design, alpha: float, left_out: str = "") -> Sbc:
    """Test ranks for uniformity."""
    n, draws = design.datasets, design.draws
    z = _ranks.grid(draws)
    gammas = {name: _ranks.gamma(values, draws=draws) for name, values in ranked.items()}
    critical = _ranks.gamma_critical(n=n, draws=draws, alpha=_BAND)
    low, high = _ranks.band(n=n, draws=draws, alpha=_BAND)
    joint_low, joint_high = _ranks.band(n=n, draws=draws, alpha=alpha / len(ranked))
    edges = _edges(n, draws)
    expected = n * np.diff(edges) / (draws + 1)
    counts = {name: np.histogram(values, bins=edges - 0.5)[0] for name, values in ranked.items()}
    return Sbc(
        design=design, ranks=ranked, z=z, low=low - z, high=high - z, joint_low=joint_low - z,
        joint_high=joint_high - z, edges=edges, counts=counts, expected=expected, alpha=alpha, left_out=left_out,
        difference={name: _ranks.counts(values, draws=draws) / n - z for name, values in ranked.items()},
        gamma_p={name: _ranks.gamma_p(value, n=n, draws=draws) for name, value in gammas.items()},
        log_gamma={name: math.log(max(value, 1e-300) / critical) for name, value in gammas.items()},
        chi_square_p={name: _chi_square(found, expected) for name, found in counts.items()},
    )  # fmt: skip


def _edges(n: int, draws: int) -> np.ndarray:
    """Choose at most 20 bins of ranks, about equally wide, with expected counts of at least 10 where n allows."""
    number = max(1, min(_MOST_BINS, n // _EXPECTED, draws + 1))
    while number > 1 and (draws + 1) // number * n < _EXPECTED * (draws + 1):
        number -= 1
    return np.linspace(0, draws + 1, number + 1).round().astype(int)


def _chi_square(found: np.ndarray, expected: np.ndarray) -> float:
    """Compute the p-value of a histogram; NaN for a single bin."""
    from scipy.stats import chi2

    if len(found) < 2:
        return math.nan
    return float(chi2.sf(((found - expected) ** 2 / expected).sum(), len(found) - 1))


def _interaction(found: Simulated) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Multiply the first parameter by the mean of the first column, centred over the data sets."""
    from firstpassage.models import plain

    schema, read = plain.schema(found.model), tables(found.model, found.data)
    name, column = found.parameters[0].name, schema.columns[0]
    means = np.array([table[:, 0].mean() for table in read])
    if schema.describe is not None:  # of trials whose columns are not what they are known by
        column, _ = next(iter(schema.describe(read[0]).items()))
        means = np.array([schema.describe(table)[column].mean() for table in read])
    centred = means - np.median(means)
    return {f"{name} * mean {column}": (found.truth[name] * centred, found.draws[name] * centred[:, None])}


def _log_likelihood(found: Simulated) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Evaluate the joint log likelihood at truth and draws, by the exact likelihood or else the sampler's own."""
    import jax

    likelihood = found.model.exact or found.likelihood
    if likelihood is None:
        return {}
    names = [p.name for p in found.parameters]
    theta = {name: np.column_stack([found.truth[name], found.draws[name]]) for name in names}
    if likelihood.sums is not None:
        read = _read(likelihood, found)
        rows = [likelihood.summed(x, {name: theta[name][i] for name in names}) for i, x in enumerate(read)]
        return {LOG_LIKELIHOOD: (np.array(rows)[:, 0], np.array(rows)[:, 1:])}
    with jax.enable_x64():
        x, weight = _padded(likelihood, found)
        values = np.asarray(_program(likelihood)(x, weight, theta), dtype=np.float64)
    return {LOG_LIKELIHOOD: (values[:, 0], values[:, 1:])}


def _padded(likelihood: Likelihood, found: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """Repeat the last trial of each data set, with weight zero, up to the longest one."""
    read = _read(likelihood, found)
    longest = max(map(len, read))
    x = np.stack([np.concatenate([one, np.repeat(one[-1:], longest - len(one), axis=0)]) for one in read])
    return x, np.stack([np.arange(longest) < len(one) for one in read])


def _read(likelihood: Likelihood, found: Simulated) -> list[np.ndarray]:
    """Read every data set as the likelihood does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return [likelihood.read(one) for one in found.data]


@lru_cache(maxsize=16)
def _program(likelihood: Likelihood) -> Callable[..., jax.Array]:
    """Compile the sum over trials for (dataset, draw): data sets in turn, draws at once, to bound the memory."""
    import jax
    import jax.numpy as jnp

    def one(row: tuple[Any, Any, Any]) -> jax.Array:
        x, weight, theta = row
        return jax.vmap(lambda t: jnp.sum(jnp.where(weight, likelihood.function(x, t), 0.0)))(theta)

    return jax.jit(lambda x, weight, theta: jax.lax.map(one, (x, weight, theta)))
