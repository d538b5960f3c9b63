"""A BayesFlow estimator of the density of continuous data, standardised as users' data will be."""

from __future__ import annotations

import numpy as np

from firstpassage import backend

backend.require_jax()

import bayesflow as bf  # noqa: E402

from firstpassage.estimators import _features, _flows, _scale  # noqa: E402
from firstpassage.estimators._stream import Feed  # noqa: E402


class DensityEstimator(bf.BasicEstimator):
    """BayesFlow's estimator around a flow, with centre and scale of parameters and data that are measured once."""

    def scale_by(self, theta: np.ndarray, x: np.ndarray, *, bend: bool = False) -> None:
        """Keep centre and scale of parameters (n, parameter) and data (n, column); heavy tails are bent where asked."""
        measure = _scale.measure if bend else _features.moments
        self.scaling = {"features/theta": _features.moments(theta), "features/x": measure(x)}

    def standardised(self, feed: Feed) -> Feed:
        """Standardise what a feed gives."""
        roles = {"inference_conditions": "features/theta", "inference_variables": "features/x"}

        def scaled(n: int, purpose: str) -> dict[str, np.ndarray]:
            pairs = feed(n, purpose)
            return {role: _scale.place(pairs[role], self.scaling[name]) for role, name in roles.items()}

        return scaled

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all that is needed to evaluate the density."""
        return _flows.exported(self.inference_network) | self.scaling
