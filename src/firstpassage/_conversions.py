"""What likelihoods become for other libraries."""

from __future__ import annotations

from typing import Any


class AbstractConvertible:
    """Give a likelihood the forms in which other libraries take one."""

    def distribution(self) -> Any:
        """Make the PyMC distribution: BayesFlow's `NeuralDistribution`, safe.

        Returns
        -------
        bayesflow.wrappers.pymc.NeuralDistribution
            Call it inside ``pm.Model()`` as ``dist("obs", v=..., a=..., observed=data)``. `observe` does the same
            without loading BayesFlow.
        """
        from firstpassage.bridges.pymc import distribution

        likelihood: Any = self
        return distribution(likelihood)

    def to_numpyro(self) -> Any:
        """Make the NumPyro distribution of a trial.

        Returns
        -------
        type
            A `numpyro.distributions.Distribution` with the parameters as keywords:
            ``numpyro.sample("obs", Obs(v=..., a=...), obs=Obs.read(data))``; see `bridges.numpyro`.
        """
        from firstpassage.bridges.numpyro import make

        likelihood: Any = self
        return make(likelihood)

    def to_hssm(self, *, p_outlier: Any = None) -> dict[str, Any]:
        """Give the arguments with which ``hssm.HSSM(data, **likelihood.to_hssm())`` uses this likelihood.

        Returns
        -------
        dict
            See `bridges.hssm`, also for `p_outlier`, the probability of a lapse or its prior; None is 0.
        """
        from firstpassage.bridges.hssm import settings

        likelihood: Any = self
        return settings(likelihood, p_outlier=p_outlier)
