"""Calibration under a joint prior: ranks of a truth at an atom, where draws tie with it, are spread at random."""

import numpy as np
import pytest

from firstpassage import diagnostics
from oracle import ordered


@pytest.fixture(scope="module")
def simulated():
    return diagnostics.simulated(ordered.EXACT, ordered.model(), datasets=60, trials=4, draws=49, seed=1)


def test_the_exact_posterior_is_calibrated_with_its_atoms(simulated):
    ties = (simulated.draws["spread"] == simulated.truth["spread"][:, None]).sum(axis=1)
    assert (ties > 10).mean() > 0.2
    assert diagnostics.sbc(simulated).ok
    assert diagnostics.coverage(simulated).ok
    assert diagnostics.tarp(simulated).ok


def test_ties_that_are_not_broken_would_fail(simulated):
    below = (simulated.draws["spread"] < simulated.truth["spread"][:, None]).sum(axis=1)
    at_random = diagnostics.sbc(simulated).ranks["spread"]
    assert (below == 0).mean() > 2 * (at_random == 0).mean()
    assert np.all(at_random >= below)
