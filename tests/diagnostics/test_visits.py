"""Replicated visits are those of the model, and as short of long visits as the data."""

from __future__ import annotations

import arviz_base
import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.diagnostics import _visits, visits
from firstpassage.errors import DataError, ModelError
from firstpassage.models import patches

MODEL = fp.foraging()
THETA = {"drift_rate": 0.25, "reward_bump": -0.3, "failure_bump": 0.25, "noise_std": 0.15}
DRAWS = arviz_base.from_dict({"posterior": {k: np.full((2, 40), x) for k, x in THETA.items()}})


def windows(number, *, sites=100, seed=1):
    theta = {k: np.full(number, x) for k, x in THETA.items()}
    return fp.foraging(sites=sites).likelihood(theta, seed=seed)["window"][:, 0]


def test_counts_are_those_of_a_loop():
    data = windows(3)
    found = visits(MODEL.exact, DRAWS, data, seed=1, replicates=3)
    residence, stops, leaves, arrivals = [], [], {}, {}
    for window in data:
        rewards = stopped = 0
        for time, reward, stop in window:
            arrivals[rewards] = arrivals.get(rewards, 0) + 1
            if stop:
                rewards, stopped = rewards + int(reward), stopped + 1
                continue
            leaves[rewards] = leaves.get(rewards, 0) + 1
            residence, stops = [*residence, time], [*stops, stopped]
            rewards = stopped = 0
    assert found.whole == len(residence)
    assert found.cut == sum(int(window[-1, 2]) for window in data)
    for r, share, n in zip(found.hazard.at, found.hazard.observed, found.arrivals, strict=True):
        assert n == arrivals[r] >= 10
        assert share == pytest.approx(leaves.get(r, 0) / n)
    assert found.stops.observed @ np.arange(len(found.stops.observed)) == pytest.approx(np.mean(stops))
    width = np.diff(found.residence.at)
    expected, _ = np.histogram(residence, bins=found.residence.at)
    assert found.residence.observed * width * len(residence) == pytest.approx(expected)


@pytest.mark.parametrize("sites", [8, 100])
def test_the_data_are_as_one_of_the_replicates_even_where_windows_are_short(sites):
    """Windows of 8 sites cut off every other visit: visits that were not cut off are the shorter ones."""
    data = windows(3200 // sites, sites=sites)
    found = visits(MODEL.exact, DRAWS, data, seed=2, replicates=100)
    for curve in (found.residence, found.stops, found.hazard):
        inside = (curve.observed >= curve.low) & (curve.observed <= curve.high)
        assert inside.mean() > 0.65
        spread = np.maximum(curve.high - curve.low, 1e-9)
        likely = curve.median > 0.1 * np.nanmax(curve.median)
        assert np.abs((curve.observed - curve.median) / spread)[likely].max() < 1.3


def test_windows_and_sessions_that_were_cut_off_keep_their_sites_and_others_their_visits():
    data = windows(4, sites=12, seed=3)
    x = MODEL.exact.read(data)
    runs = _visits._runs(MODEL.exact, data, x)
    assert [sites for _, sites in runs] == [12] * 4
    assert sum(number for number, _ in runs) == len(x)
    table = {"patch_time": [0.9, 1, 2, 1, 1, 2], "reward": 6 * [0], "stop": [0, 1, 0, 0, 1, 1]}
    sessions = pd.DataFrame(table).assign(session=[1, 1, 1, 2, 2, 2])
    x = MODEL.exact.read(sessions)
    assert _visits._runs(MODEL.exact, sessions, x) == [(2, None), (2, 3)]
    assert _visits._runs(MODEL.exact, x, x) == [(4, 6)]


def test_replicates_have_the_sites_and_visits_of_the_runs():
    made = _visits._fill(MODEL.exact, THETA, [(3, 12), (2, None), (1, 5)], rng=np.random.default_rng(1))
    lengths = patches.describe(made)["sites"].astype(int)
    first = int(np.searchsorted(np.cumsum(lengths), 12)) + 1
    assert lengths[:first].sum() == 12
    assert lengths[first + 2 :].sum() == 5
    assert (patches.describe(made)["left"][first : first + 2] == 1).all()
    assert np.array_equal(MODEL.exact.read(made), made)


def test_seed_decides():
    once, again, other = (visits(MODEL.exact, DRAWS, windows(1), seed=s, replicates=5) for s in (1, 1, 2))
    assert np.array_equal(once.stops.high, again.stops.high)
    assert not np.array_equal(once.stops.median, other.stops.median)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ModelError, match=r"a choice\. Pass model.exact"):
        visits(fp.ddm().exact, DRAWS, windows(1), seed=1)
    with pytest.raises(ModelError, match="replicates"):
        visits(MODEL.exact, DRAWS, windows(1), seed=1, replicates=0)
    with pytest.warns(fp.DataWarning, match="no leave"), pytest.raises(DataError, match="no visit ended"):
        visits(MODEL.exact, DRAWS, [[1.0, 0, 1], [2.0, 0, 1]], seed=1)
