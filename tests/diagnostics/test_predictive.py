"""Posterior predictive data come from the simulator at the posterior draws."""

from __future__ import annotations

import dataclasses

import arviz_base
import numpy as np
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.diagnostics import predictive, response_times
from firstpassage.errors import DataError, ModelError

THETA = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
EXACT = fp.ddm().exact
DATA = np.column_stack([np.linspace(0.5, 2, 50), np.tile([1.0, -1.0], 25)])
DRAWS = arviz_base.from_dict({"posterior": {k: np.full((2, 40), x) for k, x in THETA.items()}})


def test_replicates_have_the_distribution_of_the_model():
    replicates = predictive(EXACT, DRAWS, DATA, seed=1, replicates=60)
    assert replicates.shape == (60, 50, 2)
    fresh = fp.ddm().likelihood({k: np.array([x]) for k, x in THETA.items()}, trials=3000, seed=2)
    ours = replicates.reshape(-1, 2)
    assert stats.ks_2samp(ours[:, 0] * ours[:, 1], fresh["rt"][0] * fresh["response"][0]).pvalue > 1e-3


def test_seed_decides():
    once, again, other = (predictive(EXACT, DRAWS, DATA, seed=s, replicates=3) for s in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(ModelError, match="no simulator"):
        predictive(dataclasses.replace(EXACT, simulate=None), DRAWS, DATA, seed=1)
    with pytest.raises(ModelError, match="replicates"):
        predictive(EXACT, DRAWS, DATA, seed=1, replicates=0)
    with pytest.raises(DataError, match="one scalar each"):
        predictive(EXACT, arviz_base.from_dict({"posterior": {"v": np.ones((2, 40))}}), DATA, seed=1)


def test_densities_integrate_to_the_share_of_each_response():
    replicates = predictive(EXACT, DRAWS, DATA, seed=1, replicates=50)
    found = response_times(DATA, replicates)
    width = np.diff(found.edges)
    assert (found.observed["upper"] * width).sum() == pytest.approx(0.5)
    assert (found.observed["lower"] * width).sum() == pytest.approx(0.5)
    for side in ("upper", "lower"):
        assert (found.low[side] <= found.median[side]).all()
        assert (found.median[side] <= found.high[side]).all()


def test_band_covers_data_of_the_same_model_nine_times_in_ten():
    simulated = predictive(EXACT, DRAWS, np.tile(DATA, (8, 1)), seed=3, replicates=240)
    found = [response_times(data, simulated[40:]) for data in simulated[:40]]
    inside = [
        ((f.observed[s] >= f.low[s]) & (f.observed[s] <= f.high[s]))[f.median[s] > 0.05]
        for f in found
        for s in ("upper", "lower")
    ]
    # Counts are discrete, so a little more than nine in ten.
    assert 0.88 < np.concatenate(inside).mean() < 0.97


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="replicates"):
        response_times(DATA, np.zeros((3, 7, 2)))
