"""The classifier two-sample test: about a half for equal posteriors, more the further they are apart."""

import arviz_base
import numpy as np
import pytest

from firstpassage import DataError
from firstpassage.diagnostics import two_sample


def _normal(mean, n, seed, names="va"):
    rng = np.random.default_rng(seed)
    return arviz_base.from_dict({"posterior": {name: rng.normal(mean, 1, (4, n // 4)) for name in names}})


@pytest.mark.parametrize("n", [200, 2000])
def test_equal_posteriors_cannot_be_told_apart(n):
    assert abs(two_sample(_normal(0, n, 1), _normal(0, n, 2), seed=1) - 0.5) < 4 * 0.5 / np.sqrt(2 * n) + 0.01


@pytest.mark.parametrize("n", [200, 2000])
def test_shifted_posteriors_reach_the_best_possible_accuracy(n):
    """Two normals with identity covariance at a distance d: the best classifier is right with Phi(d / 2)."""
    found = two_sample(_normal(0, n, 1), _normal(np.sqrt(2), n, 2), seed=1)
    assert abs(found - 0.8413) < 0.05


@pytest.mark.parametrize(("shift", "best"), [(0.0, 0.5), (0.25, 0.5497)])
def test_small_shifts_of_one_of_four_parameters(shift, best):
    """Phi(.25 / 2) = .5497 is what the best classifier reaches; one that was learned loses about .01.

    Each run tests 4,000 held-out draws, so that the mean of three has a standard error of .005.
    """
    found = []
    for seed in range(3):
        moved, exact = _normal(0, 2000, 2 * seed, names="vazt"), _normal(0, 2000, 2 * seed + 1, names="vazt")
        moved["posterior"]["v"] = moved["posterior"]["v"] + shift
        found.append(two_sample(moved, exact, seed=seed))
    assert best - 0.025 < np.mean(found) < best + 0.015, found


def test_seeded():
    a, b = _normal(0, 400, 1), _normal(0.3, 400, 2)
    assert two_sample(a, b, seed=1) == two_sample(a, b, seed=1)


def test_different_parameters_and_too_few_draws_are_refused():
    with pytest.raises(DataError, match="same parameters"):
        two_sample(_normal(0, 200, 1), _normal(0, 200, 1, names="vz"), seed=1)
    with pytest.raises(DataError, match="at least 50"):
        two_sample(_normal(0, 40, 1), _normal(0, 40, 1), seed=1)
