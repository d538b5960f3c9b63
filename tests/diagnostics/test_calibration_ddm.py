"""The exact drift-diffusion likelihood is calibrated through NUTS, and what is broken in its draws is found."""

import numpy as np
import pytest

import firstpassage as fp
from diagnostics import calibration
from firstpassage.diagnostics import coverage, recovery, sbc, simulated, tarp
from firstpassage.models.ddm import reference_priors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exact():
    """300 data sets of 200 trials with the prior uniform on the box: minutes."""
    model = fp.ddm()
    return simulated(model.exact, model, datasets=300, trials=200, draws=99, seed=1)


@pytest.mark.parametrize("diagnostic", [recovery, sbc, coverage, tarp])
def test_the_exact_likelihood_passes(exact, diagnostic):
    found = diagnostic(exact)
    assert found.ok, found.verdict


def test_the_chains_are_long_enough(exact):
    """Short ones are mostly data sets with one choice only, where the posterior is long and curved."""
    assert exact.short < 0.15 * 300, np.sort(exact.ess)[:50]
    assert (exact.r_hat < 1.05).mean() > 0.95


def test_narrow_posteriors_fail(exact):
    broken = calibration.scaled(exact, 0.8)
    assert {"v", "a", "z", "t", "log likelihood"} <= set(sbc(broken).failed)
    assert set(coverage(broken).direction.values()) == {"overconfident"}


def test_the_prior_fails_by_its_log_likelihood(exact):
    broken = calibration.ignorant(exact, seed=2)
    found = sbc(broken)
    assert found.failed[0] == "log likelihood"
    assert not {"v", "a", "z", "t"} & set(found.failed)
    assert coverage(broken).ok
    assert tarp(broken).ok is False


@pytest.mark.parametrize("diagnostic", [recovery, sbc, coverage, tarp])
def test_swapped_parameters_fail(exact, diagnostic):
    assert diagnostic(calibration.swapped(exact, "v", "a")).ok is False


@pytest.mark.parametrize("shift", [0.02, -0.02, 0.002])
def test_a_shifted_non_decision_time_fails(exact, shift):
    """Even by 2 ms, as some data sets have a narrow posterior of t; late draws also have a likelihood of zero."""
    broken = calibration.shifted(exact, "t", shift)
    assert set(sbc(broken).failed) == {"t", "log likelihood"}
    assert abs(shift) < 0.01 or coverage(broken).direction["t"] == "overconfident"


def test_a_given_prior_is_that_of_truths_and_posterior():
    model, prior = fp.ddm(), reference_priors()
    found = simulated(model.exact, model, datasets=100, trials=(20, 60), draws=49, seed=2, prior=prior)
    assert found.prior == "given for a, t, v, z"
    assert abs(found.truth["a"].mean() - 1.05) < 0.15  # of the box, 1.4
    assert sbc(found).ok, sbc(found).verdict
