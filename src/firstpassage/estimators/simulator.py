"""Make a BayesFlow simulator from a Model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from firstpassage import backend, seeds

if TYPE_CHECKING:
    import bayesflow as bf

    from firstpassage.models.model import Model


def make(model: Model, *, trials: int, seed: int) -> bf.simulators.Simulator:
    """Make a batched BayesFlow simulator from the model's prior and likelihood.

    Parameters
    ----------
    model : Model
        The generative model.
    trials : int
        Trials for each parameter set.
    seed : int
        Of the whole stream: the i-th call with the same sizes gives the same batch in every run.

    Returns
    -------
    bayesflow.simulators.Simulator
        Made by ``make_simulator([prior, likelihood])``. Where a trial is a series, data have shape (batch, sample, 1),
        or (batch, trials, sample, 1) with more than one trial.
    """
    backend.require_jax()
    import bayesflow as bf

    series = model.schema is not None and model.schema.series > 0
    prior_seeds, likelihood_seeds = _stream(seed, "prior stream"), _stream(seed, "likelihood stream")

    def prior(batch_shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        return model.prior(int(np.prod(batch_shape)), seed=next(prior_seeds))

    def likelihood(batch_shape: tuple[int, ...], **theta: np.ndarray) -> dict[str, np.ndarray]:
        n = int(np.prod(batch_shape))
        rows = {name: np.broadcast_to(np.ravel(theta[name]), (n,)) for name in model.parameter_names}
        made = model.likelihood(rows, trials=trials, seed=next(likelihood_seeds))
        return {name: _series(value) for name, value in made.items()} if series else made

    batched = {"prior": {"is_batched": True}, "likelihood": {"is_batched": True}}
    return bf.make_simulator([prior, likelihood], obj_kwargs=batched)


def _series(value: np.ndarray) -> np.ndarray:
    """Give series a channel, as BayesFlow's networks want them; a single trial of them is the data set itself."""
    return value[:, 0, :, None] if value.shape[1] == 1 else value[..., None]


def _stream(seed: int, purpose: str) -> Iterator[int]:
    """Yield the seeds of successive batches."""
    return (seeds.derive(seed, f"{purpose} {i}") for i in itertools.count())
