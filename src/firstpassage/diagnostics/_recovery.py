"""Recovery: how well a posterior finds the parameters that made the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.diagnostics import _ranks
from firstpassage.diagnostics._design import Design
from firstpassage.diagnostics._simulated import Sampler, Simulated, Trials, resolve
from firstpassage.errors import DataError

if TYPE_CHECKING:
    from firstpassage.models.model import Model

TOLERANCE = 0.1  # of mean and sd of the z-scores, beyond sampling error
UNIDENTIFIED = 0.1  # contraction below which the data say next to nothing
_ALPHA = 0.05  # of the sampling error, over all parameters


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Hold the numbers of one parameter.

    Parameters
    ----------
    correlation : float
        Of posterior mean and truth; NaN where one of them is constant.
    rmse : float
        Of the posterior mean, in the parameter's unit.
    relative_rmse : float
        Over the sd of the prior: 1 is what the prior mean reaches.
    contraction : float
        Median over the data sets of 1 - posterior variance / prior variance.
    z_mean, z_sd : float
        Mean and sd of (posterior mean - truth) / posterior sd: 0 and 1 if calibrated.
    z_mean_se, z_sd_se : float
        Their standard errors.
    """

    correlation: float
    rmse: float
    relative_rmse: float
    contraction: float
    z_mean: float
    z_mean_se: float
    z_sd: float
    z_sd_se: float

    @property
    def identified(self) -> bool:
        """Tell whether the data narrow the prior noticeably."""
        return self.contraction >= UNIDENTIFIED


@dataclass(frozen=True, eq=False, kw_only=True)
class Recovery:
    """Hold truths, posterior means and sds, and how they agree.

    Parameters
    ----------
    design : Design
        What was simulated.
    parameters : dict of str to Recovered
        Numbers by parameter.
    truth, mean, sd : dict of str to ndarray, shape (dataset,)
        Truth, posterior mean and posterior sd, in the parameter's unit.
    """

    design: Design
    parameters: dict[str, Recovered]
    truth: dict[str, np.ndarray]
    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]

    @property
    def unidentified(self) -> tuple[str, ...]:
        """Parameters whose contraction is below .1."""
        return tuple(name for name, found in self.parameters.items() if not found.identified)

    @property
    def failed(self) -> tuple[str, ...]:
        """Parameters whose z-scores have a mean or an sd off by more than .1 and their sampling error."""
        from scipy.stats import norm

        wide = float(norm.isf(_ALPHA / (4 * len(self.parameters))))
        return tuple(
            name
            for name, z in self.parameters.items()
            if not (abs(z.z_sd - 1) <= TOLERANCE + wide * z.z_sd_se and abs(z.z_mean) <= TOLERANCE + wide * z.z_mean_se)
        )

    @property
    def ok(self) -> bool | None:
        """Tell whether all z-scores are about standard; None with fewer than 20 data sets."""
        return None if self.design.datasets < _ranks.FEWEST else not self.failed

    @property
    def verdict(self) -> str:
        """Say in one sentence how well the parameters are recovered, with the numbers that decide."""
        numbers = ", ".join(
            f"{name} r {found.correlation:.2f}, z {found.z_mean:+.2f} +- {found.z_sd:.2f}"
            for name, found in self.parameters.items()
        )
        flat = f"; the data say little about {', '.join(self.unidentified)} (contraction < {UNIDENTIFIED})"
        text = f"{numbers}{flat if self.unidentified else ''}, {self.design.words}."
        if self.ok is None:
            return f"too few data sets for a verdict, {_ranks.FEWEST} are needed: {text}"
        if self.ok:
            return f"errors are as large as the posterior says: {text}"
        return f"errors are NOT as large as the posterior says ({', '.join(self.failed)}): {text}"

    def numbers(self) -> dict[str, Any]:
        """List what decides, for a JSON file.

        Returns
        -------
        dict
            ok, verdict, the design, and the statistics of every parameter.
        """
        parameters = {name: asdict(found) for name, found in self.parameters.items()}
        head = {"ok": self.ok, "verdict": self.verdict, "unidentified": list(self.unidentified)}
        return head | {"design": self.design.numbers(), "parameters": parameters}


def recovery(
    source: Simulated | Sampler,
    model: Model | None = None,
    *,
    datasets: int = 300,
    trials: Trials = 200,
    draws: int = 99,
    seed: int | None = None,
    prior: Mapping[str, Any] | None = None,
) -> Recovery:
    """Compare posterior means with the true parameters.

    The sd of the z-scores is corrected for the finite number L of draws: with a normal posterior, its expected square
    is (1 + 1 / L) (L - 1) / (L - 3) and not 1.

    Parameters
    ----------
    source : Simulated, or Likelihood or Posterior
        Simulated data sets with draws, or the sampler to make them with.
    model : Model, optional
        With a sampler.
    datasets, trials, draws, seed, prior
        Of a new simulation, as in `simulated`.

    Returns
    -------
    Recovery
        Numbers and arrays by parameter, ``ok`` and ``verdict``: z-scores with mean 0 and sd 1, each within .1 and its
        sampling error. Correlations have no threshold: how high they can be depends on model and prior, and is what
        the exact likelihood reaches.

    Raises
    ------
    DataError
        If there are fewer than 2 data sets or 5 draws.
    ModelError
        If an argument is missing or wrong.

    References
    ----------
    Betancourt (2018), arXiv:1803.08393, section 4.1: contraction and z-scores.

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
    >>> recovery(lazy, model, datasets=50, trials=20, seed=1).unidentified
    ('v', 'a', 'z', 't')
    """
    found = resolve(source, model, datasets=datasets, trials=trials, draws=draws, seed=seed, prior=prior)
    if found.size[0] < 2 or found.size[1] < 5:
        raise DataError(f"recovery needs at least 2 data sets with 5 draws each; got {found.size}. Simulate more.")
    mean = {name: values.mean(axis=1) for name, values in found.draws.items()}
    sd = {name: values.std(axis=1, ddof=1) for name, values in found.draws.items()}
    parameters = {
        name: _compare(found.truth[name], mean[name], sd[name], prior_sd=found.prior_sd[name], draws=found.size[1])
        for name in mean
    }
    return Recovery(design=found.design, parameters=parameters, truth=dict(found.truth), mean=mean, sd=sd)


def _compare(truth: np.ndarray, mean: np.ndarray, sd: np.ndarray, *, prior_sd: float, draws: int) -> Recovered:
    """Compute the numbers of one parameter."""
    n, error = len(truth), mean - truth
    with np.errstate(divide="ignore", invalid="ignore"):
        z = error / sd / math.sqrt((1 + 1 / draws) * (draws - 1) / (draws - 3))
        z_sd = float(z.std(ddof=1))
        varies = min(truth.std(), mean.std()) > 0
        return Recovered(
            correlation=float(np.corrcoef(mean, truth)[0, 1]) if varies else math.nan,
            rmse=float(np.sqrt((error**2).mean())),
            relative_rmse=float(np.sqrt((error**2).mean()) / prior_sd),
            contraction=float(np.median(1 - sd**2 / prior_sd**2)),
            z_mean=float(z.mean()),
            z_mean_se=z_sd / math.sqrt(n),
            z_sd=z_sd,
            z_sd_se=float(((z - z.mean()) ** 2).std(ddof=1)) / (2 * z_sd * math.sqrt(n)) if z_sd > 0 else 0.0,
        )
