"""Data with lapses are flagged, data of the model are not; the parts of the test do what they say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.diagnostics import _discrepancy, _estimates, misspecification
from firstpassage.diagnostics._json import as_json
from firstpassage.diagnostics._simulated import simulate
from firstpassage.errors import DataError, ModelError

MODEL = fp.ddm()
EXACT = MODEL.exact


def sets(number: int, *, lapses: float = 0.0, seed: int = 1, trials: int = 200) -> list[np.ndarray]:
    """Simulate data sets from the prior, some trials replaced by lapses."""
    data = np.stack(simulate(MODEL, MODEL.prior(number, seed=seed), sizes=np.full(number, trials), seed=seed))
    rng = np.random.default_rng(seed)
    hit = rng.random(data.shape[:2]) < lapses
    data[..., 0] = np.where(hit, rng.uniform(0, 5, hit.shape), data[..., 0])
    data[..., 1] = np.where(hit, rng.choice([-1.0, 1.0], hit.shape), data[..., 1])
    return list(data)


@pytest.fixture(scope="module")
def clean():
    return misspecification(EXACT, sets(6), seed=1, replicates=100)


@pytest.fixture(scope="module")
def lapsed():
    return misspecification(EXACT, sets(6, lapses=0.15), seed=1, replicates=100)


def test_lapses_are_flagged_and_clean_data_are_not(clean, lapsed):
    """Expected are fewer than 1 of 15, and 14 of 15."""
    assert sum(not one.ok for one in clean) <= 1
    assert sum(not one.ok for one in lapsed) >= 4
    assert np.mean([one.p for one in clean]) > 0.25


def test_a_result_says_what_was_found(lapsed):
    one = min(lapsed, key=lambda found: found.p)
    assert one.p == pytest.approx(1 / 101)
    assert one.verdict.startswith("these data are UNLIKE the model")
    assert set(one.replicated) == set(one.observed) == set(one.by_statistic)
    assert all(values.shape == (100,) for values in one.replicated.values())
    assert '"ok": false' in as_json(one.numbers())


def test_one_data_set_gives_what_it_gives_first_in_a_list(clean):
    alone = misspecification(EXACT, sets(6)[0], seed=1, replicates=100)
    assert alone.p == clean[0].p
    assert alone.estimate == clean[0].estimate


@pytest.mark.slow
def test_other_sizes_and_a_learned_ratio_work():
    ratio = fp.pretrained("ddm", "nre")
    data = [sets(1, seed=4, trials=200)[0], sets(1, lapses=0.3, seed=4, trials=200)[0]]
    found = misspecification(ratio, data, seed=1, replicates=100)
    assert [one.ok for one in found] == [True, False]
    assert misspecification(EXACT, sets(1, trials=1)[0], seed=1, replicates=60).trials == 1


def test_the_mode_is_where_the_score_vanishes():
    x = sets(1, seed=2)[0]
    how = _estimates.estimates(EXACT, None)
    mode = dict(zip(EXACT.parameter_names, how.of([x], seed=1)[0], strict=True))
    again = np.stack(sets(4, seed=3))
    scores = how.deviations(x, again, mode, seed=1)
    assert scores.shape == (5, 4)
    assert scores[0] == pytest.approx(np.zeros(4), abs=0.2)
    assert np.abs(scores[1:]).max() > 10


def test_an_informative_prior_moves_the_mode():
    from numpyro.distributions import Normal

    x = sets(1, seed=2)[0]
    free = _estimates.estimates(EXACT, None).of([x], seed=1)[0]
    held = _estimates.estimates(EXACT, {"v": Normal(-1.0, 0.01)}).of([x], seed=1)[0]
    assert held[0] == pytest.approx(-1.0, abs=0.05)
    assert abs(free[0] + 1.0) > 0.2


class Means:
    """Draw from the posterior of a normal mean with sd 1 and a flat prior: a learned posterior without learning."""

    kind, model, columns, parameter_names = "npe", "shift", ("x",), ("m",)
    parameters = (fp.Parameter("m", bounds=(-3.0, 3.0)),)
    joint = None

    def read(self, data):
        return np.asarray(data, dtype=float).reshape(-1, 1)

    def simulate(self, theta, rng):
        return rng.normal(theta["m"])[:, None]

    def sample(self, data, *, draws, seed):
        import arviz_base

        rng = np.random.default_rng(seed)
        mean, sd = (np.array([f(one) for one in data]) for f in (np.mean, lambda one: len(one) ** -0.5))
        return arviz_base.from_dict(
            {"posterior": {"m": rng.normal(mean, sd, (1, draws, len(data)))}}, dims={"m": ["dataset"]}
        )


def test_an_amortized_posterior_estimates_its_replicates():
    rng = np.random.default_rng(3)
    good = [rng.normal(m, 1.0, (150, 1)) for m in rng.uniform(-2, 2, 40)]
    wide = [one.mean() + 1.4 * (one - one.mean()) for one in good[:15]]
    found = misspecification(Means(), good + wide, seed=1, replicates=100)
    assert sum(not one.ok for one in found[:40]) <= 6  # 2 expected
    assert sum(not one.ok for one in found[40:]) >= 13
    assert found[0].estimate["m"] == pytest.approx(good[0].mean(), abs=0.03)


def test_what_the_estimate_explains_is_taken_out():
    """The sum of x is known from the mean of x: nothing is left, though the data are far out."""
    rng = np.random.default_rng(1)
    deviations = rng.uniform(-1, 1, size=(201, 1))
    deviations[0] = 1.5
    left = _discrepancy._residuals(np.column_stack([3 * deviations, rng.normal(size=201)]), deviations)
    assert left[:, 0] == pytest.approx(np.zeros(201), abs=1e-9)
    assert left[1:, 1].std() == pytest.approx(1.0, abs=0.15)


def test_the_rank_of_the_smallest_rank_is_uniform_under_the_model():
    rng = np.random.default_rng(1)
    p = np.array([_discrepancy.combine({k: rng.normal(size=100) for k in "abcd"})[0] for _ in range(400)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.035)
    assert _discrepancy.combine({"a": np.r_[9.0, rng.normal(size=99)], "b": rng.normal(size=100)})[0] <= 0.02


def test_bad_inputs_are_refused():
    x = sets(1)[0]
    with pytest.raises(ModelError, match="needs its simulator"):
        misspecification(dataclasses.replace(EXACT, simulate=None), x, seed=1)
    with pytest.raises(ModelError, match="at least 50"):
        misspecification(EXACT, x, seed=1, replicates=10)
    with pytest.raises(ModelError, match="alpha"):
        misspecification(EXACT, x, seed=1, alpha=0.001)
    with pytest.raises(ModelError, match="prior may name v, a, z, t"):
        misspecification(EXACT, x, seed=1, prior={"w": None})
    with pytest.raises(DataError, match="0/1"):
        misspecification(EXACT, np.column_stack([x[:, 0], np.arange(200) % 2]), seed=1)
    with pytest.raises(DataError, match="data set 1: rt must be in seconds"):
        misspecification(EXACT, [x, x * [1000, 1]], seed=1)
