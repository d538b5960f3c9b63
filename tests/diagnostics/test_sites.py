"""Foraging data are taken apart as they are, and simulated anew with as many sites and the same distribution."""

from __future__ import annotations

import numpy as np
import pytest

import firstpassage as fp
from firstpassage import _sampling, _weights
from firstpassage.diagnostics import _estimates, _sites, misspecification, ppc
from firstpassage.errors import DataError
from firstpassage.models import patches
from firstpassage.pipeline import _foraging_recipes

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")

MODEL = fp.foraging(sites=40)
EXACT = MODEL.exact
THETA = {"drift_rate": 0.25, "reward_bump": -0.3, "failure_bump": 0.4, "noise_std": 0.15}
WINDOW = np.array([[0.9, 1, 1], [1.8, 0, 1], [3.0, 0, 0], [0.8, 0, 0], [1.1, 0, 1]])


def windows(number, seed=1):
    theta = {name: np.full(number, value) for name, value in THETA.items()}
    return MODEL.likelihood(theta, seed=seed)["window"][:, 0]


def test_visits_and_decisions_of_a_window_are_those_that_one_counts():
    for x, columns in ((patches.read(WINDOW), patches.COLUMNS), (WINDOW.reshape(1, -1), ("window",))):
        found = _sites.sites([x, x], columns)
        visits, owner = _sites.visits(found)
        assert visits[:3].tolist() == [[3.0, 2, 1, 1], [0.8, 0, 0, 1], [1.1, 1, 0, 0]]
        assert owner.tolist() == [0, 0, 0, 1, 1, 1]
        assert _sites.decisions(found)[:5].tolist() == [
            [0.9, 0, 0, 0.5, 0], [1.8, 1, 0, 1, 0], [3.0, 1, 1, 0, 1], [0.8, 0, 0, 0.5, 1], [1.1, 0, 0, 0.5, 0],
        ]  # fmt: skip


def test_replicates_of_visits_have_the_sites_and_the_distribution_of_windows():
    """Visits put one after another until a window is full are such windows as the simulator makes."""
    drawn = windows(300)
    theta = {name: np.full(300, value) for name, value in THETA.items()}
    like = EXACT.read(drawn[:2])
    again = _sites.replicate(EXACT, theta, like=like, rng=np.random.default_rng(1))
    both = [
        _sites.visits(_sites.sites(again, patches.COLUMNS))[0],
        _sites.visits(_sites.sites([one.reshape(1, -1) for one in drawn], ("window",)))[0],
    ]
    assert all(patches.unpack(one)[..., 3].sum() == 80 for one in again)
    assert EXACT.read(again[0]).shape == again[0].shape  # what a reader takes
    means, errors = (np.array([f(one) for one in both]) for f in (lambda x: x.mean(0), lambda x: x.std(0)))
    assert means[0] == pytest.approx(means[1], abs=4 * (errors[1] / np.sqrt(len(both[1]))).max())


def test_windows_end_where_a_visit_is_cut_off():
    stack = np.stack([WINDOW, WINDOW])
    assert _sites.segments(EXACT.read(stack)) == [5, 5]
    ends = WINDOW[:4]
    assert _sites.segments(EXACT.read(np.stack([ends, ends]))) == [8]  # both windows end with a leave


def test_the_predictive_check_counts_visits_of_windows_and_of_visits_alike():
    import arviz_base

    draws = arviz_base.from_dict({"posterior": {name: np.full((1, 50), value) for name, value in THETA.items()}})
    found = ppc(EXACT, draws, windows(1)[0], seed=1, replicates=100)
    assert found.ok
    assert {"mean residence", "leaves after 1 reward", "share of visits cut off"} <= set(found.names)
    seen = dict(zip(found.names, found.observed, strict=True))
    assert seen["number of visits"] == len(EXACT.read(windows(1)[0]))
    hasty = {name: np.full((1, 50), value) for name, value in (THETA | {"drift_rate": 1.2}).items()}
    other = ppc(EXACT, arviz_base.from_dict({"posterior": hasty}), windows(1)[0], seed=1, replicates=100)
    assert not other.ok and "mean residence" in other.unusual


def test_a_test_of_the_model_takes_decisions():
    found = misspecification(EXACT, windows(1)[0], seed=1, replicates=50)
    assert set(found.estimate) == set(THETA)
    assert len(found.replicated["shape"]) == 50
    with pytest.raises(DataError):
        misspecification(EXACT, windows(1)[0][:, :2], seed=1)


def test_estimates_do_not_wait_for_nuts_where_weights_cannot_be_trusted(monkeypatch):
    monkeypatch.setattr(_weights, "TRUSTED", -1.0)
    monkeypatch.setattr(_sampling, "_by_nuts", None)
    found = _estimates.estimates(EXACT, None).of([EXACT.read(windows(1)[0])], seed=1)[0]
    low, high = np.array(list(EXACT.box.values())).T
    assert ((found > low) & (found < high)).all()


@pytest.mark.slow
def test_visits_that_end_at_random_are_noticed_and_others_are_not():
    """Of 20 each: 1 false alarm is expected, and most of the others; windows of one site per visit hide them."""
    model = fp.foraging()
    clean = [one[0][None] for one in model.likelihood(model.prior(20, seed=3), seed=3)["window"]]
    odd = _foraging_recipes.disengaged(model, clean, seed=4)
    found = [misspecification(model.exact, data, seed=1) for data in (clean, odd)]
    assert sum(not one.ok for one in found[0]) <= 4
    assert sum(not one.ok for one in found[1]) >= 8
