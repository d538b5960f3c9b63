"""Information: what an estimator's summary of the data loses: widths of its posteriors over those of exact ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage import seeds
from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.likelihood import Likelihood

if TYPE_CHECKING:
    from firstpassage.diagnostics._simulated import Sampler

QUANTILES = (0.1, 0.5, 0.9)  # over data sets


@dataclass(frozen=True, eq=False, kw_only=True)
class Information:
    """Hold the widths of posteriors, and those of the exact ones of the same data sets.

    Parameters
    ----------
    kind : str
        What the sampler is.
    sd, exact_sd : dict of str to ndarray, shape (dataset,)
        Posterior standard deviations by parameter, in its unit.
    seed : int
        Of the draws.
    """

    kind: str
    sd: dict[str, np.ndarray]
    exact_sd: dict[str, np.ndarray]
    seed: int

    @property
    def ratio(self) -> dict[str, np.ndarray]:
        """Posterior over exact standard deviation of each data set, by parameter: 1 where nothing is lost."""
        return {name: sd / self.exact_sd[name] for name, sd in self.sd.items()}

    @property
    def quantiles(self) -> dict[str, np.ndarray]:
        """Quantiles .1, .5 and .9 of the ratio over the data sets, by parameter."""
        return {name: np.quantile(values, QUANTILES) for name, values in self.ratio.items()}

    @property
    def datasets(self) -> int:
        """Number of data sets."""
        return len(next(iter(self.sd.values())))

    @property
    def verdict(self) -> str:
        """Say in one sentence how much wider the posteriors are than the exact ones."""
        found = (f"{name} {m:.2f} ({low:.2f} to {high:.2f})" for name, (low, m, high) in self.quantiles.items())
        return f"sd over exact sd, median (10 to 90 % of {self.datasets} data sets): {', '.join(found)}."

    def numbers(self) -> dict[str, Any]:
        """List everything for a JSON file.

        Returns
        -------
        dict
            verdict, sizes, and of each parameter: mean, geometric mean and quantiles of the ratio, and the ratios.
        """
        parameters = {
            name: {
                "mean": float(ratio.mean()), "geometric_mean": float(np.exp(np.log(ratio).mean())),
                "quantiles_10_50_90": self.quantiles[name], "ratio": ratio,
            }
            for name, ratio in self.ratio.items()
        }  # fmt: skip
        head = {"verdict": self.verdict, "kind": self.kind, "datasets": self.datasets, "seed": self.seed}
        return head | {"parameters": parameters}


def information(
    posterior: Sampler,
    exact: Likelihood,
    data: Sequence[Any],
    *,
    seed: int,
    draws: int = 1000,
    known: Information | None = None,
) -> Information:
    """Compare the widths of posteriors with those of the exact ones, data set by data set.

    A calibrated posterior given a summary of the data, such as some statistics of a window, is wider on average than
    that given the data, by what the summary loses. Only of calibrated posteriors is this information: one that is too
    narrow by mistake seems to have gained some. So look at `sbc` and `coverage` first.

    Parameters
    ----------
    posterior : Posterior or Likelihood
        Whatever has ``sample(data_sets, draws=, seed=)``.
    exact : Likelihood
        The truth.
    data : list
        Data sets.
    seed : int
        From 0 to 2**63 - 1.
    draws : int
        Of each posterior.
    known : Information, optional
        Of another posterior and the same data, whose exact standard deviations are taken.

    Returns
    -------
    Information
        Ratios of standard deviations by parameter, and their quantiles.

    Raises
    ------
    DataError
        If there are no data sets, or `known` is of another number of them.
    ModelError
        If the parameters differ.

    Examples
    --------
    >>> import firstpassage as fp
    >>> model = fp.foraging()
    >>> windows = list(model.likelihood(model.prior(2, seed=1), seed=2)["window"][:, 0])
    >>> found = information(model.exact, model.exact, windows, seed=3, draws=200)
    >>> found.ratio["drift_rate"].shape
    (2,)
    """
    names = tuple(p.name for p in posterior.parameters)
    if names != exact.parameter_names:
        raise ModelError(f"both must have the same parameters; got {names} and {exact.parameter_names}.")
    if not isinstance(data, (list, tuple)) or not data or (known is not None and known.datasets != len(data)):
        wanted = "" if known is None else f" {known.datasets}, as for known"
        raise DataError(f"expected a list of data sets,{wanted or ' one at least'}. Put one window into a list.")
    return Information(
        kind=posterior.kind, seed=seeds.check(seed),
        sd=_sds(posterior, data, names, draws=draws, seed=seeds.derive(seed, "learned")),
        exact_sd=known.exact_sd if known else _sds(exact, data, names, draws=draws, seed=seeds.derive(seed, "exact")),
    )  # fmt: skip


def _sds(sampler: Any, data: Sequence[Any], names: Sequence[str], *, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Sample all data sets, and give the standard deviation of each parameter: (dataset,)."""
    chains = {"chains": 1} if isinstance(sampler, Likelihood) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        drawn = sampler.sample(list(data), draws=draws, seed=seed, **chains)["posterior"].dataset
    return {name: np.asarray(drawn[name].std(("chain", "draw"), ddof=1)) for name in names}
