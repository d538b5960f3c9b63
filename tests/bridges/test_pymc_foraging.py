"""Visits to patches as an observed variable: a regressor for each visit, exact and approximate, and prediction."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import firstpassage as fp

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:Numba will use object mode")
THETA = {"reward_bump": -0.3, "failure_bump": 0.5, "noise_std": 0.2}


@pytest.fixture(scope="module")
def table():
    model = fp.foraging(sites=20)
    drift = np.array([0.2, 0.6])
    theta = {"drift_rate": drift, **{name: np.full(2, value) for name, value in THETA.items()}}
    windows = model.likelihood(theta, seed=3)["window"][:, 0]
    frames = [pd.DataFrame(w, columns=["patch_time", "reward", "stop"]).assign(odor=i, session=i)
              for i, w in enumerate(windows)]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_a_regression_over_visits_has_the_likelihood_s_density_and_slope(table, kind):
    model = fp.foraging(sites=20)
    likelihood = model.exact if kind == "exact" else model.approximate
    odor = likelihood.trials(table)["odor"].to_numpy()
    with pm.Model() as regression:
        slope = pm.Normal("slope", 0, 1)
        fp.observe("obs", likelihood, drift_rate=0.2 + slope * odor, observed=table, **THETA)
    density = regression.compile_logp(vars=[regression["obs"]])

    def direct(value):
        return likelihood.log_prob(table, drift_rate=0.2 + value * odor, **THETA).sum()

    assert float(density({"slope": 0.35})) == pytest.approx(direct(0.35), abs=1e-6)
    gradient = regression.compile_dlogp(vars=[slope])({"slope": 0.35})[0] + 0.35  # without the prior's
    assert gradient == pytest.approx((direct(0.351) - direct(0.349)) / 0.002, rel=1e-3)


def test_visits_are_predicted(table):
    likelihood = fp.foraging(sites=20).approximate
    with pm.Model():
        drift = pm.Uniform("drift", 0.1, 0.7)
        fp.observe("obs", likelihood, drift_rate=drift, observed=table, **THETA)
        drawn = pm.sample_prior_predictive(3, random_seed=1)
    visits = drawn["prior_predictive"]["obs"].values
    assert visits.shape[:3] == (1, 3, len(likelihood.trials(table)))
    assert np.array_equal(likelihood.read(visits[0, 0]), visits[0, 0])
