"""The drift-diffusion model: prior, simulators, exact likelihood."""

import numpy as np
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.models.ddm import half_separation, reference_priors

CENTRE = {"v": 0.0, "a": 1.0, "z": 0.5, "t": 0.0}


def _theta(**values):
    return {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in (CENTRE | values).items()}


def test_prior_is_uniform_on_the_box():
    model = fp.ddm()
    drawn = model.prior(20_000, seed=1)
    assert tuple(drawn) == ("v", "a", "z", "t") == model.parameter_names
    for p in model.parameters:
        low, high = p.bounds
        assert stats.kstest(drawn[p.name], stats.uniform(low, high - low).cdf).pvalue > 1e-3
    volume = np.prod([high - low for low, high in model.exact.box.values()])
    np.testing.assert_allclose(model.log_prior(drawn), -np.log(volume))


def test_a_is_half_the_separation():
    """From the centre without drift the mean exit time is a**2; with a full separation it would be a**2 / 4."""
    data = fp.ddm().likelihood(_theta(a=0.7), trials=200_000, seed=2)
    assert abs(data["rt"].mean() - 0.49) < 4 * data["rt"].std() / np.sqrt(200_000)
    assert half_separation(1.4) == 0.7


def test_simulation_is_batched_and_reproducible():
    model = fp.ddm()
    theta = model.prior(5, seed=1)
    one, two, other = (model.likelihood(theta, trials=3, seed=s) for s in (4, 4, 5))
    assert one["rt"].shape == one["response"].shape == (5, 3)
    assert np.array_equal(one["rt"], two["rt"]) and not np.array_equal(one["rt"], other["rt"])
    assert set(np.unique(one["response"])) <= {-1.0, 1.0}


def test_simulation_matches_the_exact_likelihood():
    """The mean log density of simulated trials is the negative entropy, found by quadrature."""
    theta = _theta(v=1.0, a=0.8, z=0.4, t=0.2)
    data = fp.ddm().likelihood(theta, trials=40_000, seed=6)
    x = np.stack([data["rt"][0], data["response"][0]], axis=1)
    exact = fp.ddm().exact
    log_p = exact.log_prob(x, **{k: float(v[0]) for k, v in theta.items()})
    grid = np.linspace(0.2, 12, 100_001)[1:]
    entropy = 0.0
    for response in (-1.0, 1.0):
        column = np.column_stack([grid, np.full(len(grid), response)])
        with pytest.warns(fp.DataWarning):
            height = exact.log_prob(column, **{k: float(v[0]) for k, v in theta.items()})
        entropy += np.trapezoid(np.exp(height) * np.where(np.isfinite(height), height, 0), grid)
    assert abs(log_p.mean() - entropy) < 4 * log_p.std() / 200


def test_ssm_simulators_can_be_selected_and_are_biased_upwards():
    pytest.importorskip("ssms")
    theta = _theta(a=0.5)
    euler = fp.ddm(simulator="ssms").likelihood(theta, trials=20_000, seed=1)
    assert euler["rt"].shape == (1, 20_000)
    bias = euler["rt"].mean() / 0.25 - 1
    assert 0.01 < bias < 0.2
    assert abs(euler["response"].mean()) < 0.05


def test_ssm_simulators_keep_parameter_sets_apart():
    pytest.importorskip("ssms")
    theta = _theta(v=[-3.0, 0.0, 3.0], a=[1.0, 1.0, 1.0], z=[0.5] * 3, t=[0.0, 1.0, 2.0])
    euler = fp.ddm(simulator="ssms").likelihood(theta, trials=2000, seed=1)
    assert euler["response"].mean(axis=1)[0] < -0.9 and euler["response"].mean(axis=1)[2] > 0.9
    assert (euler["rt"].min(axis=1) >= [0, 1, 2]).all()


def test_bayesflow_simulator_is_batched_and_seeded():
    first = fp.ddm().simulator(trials=7, seed=3).sample(4)
    assert first["v"].shape == (4, 1) and first["rt"].shape == (4, 7)
    again = fp.ddm().simulator(trials=7, seed=3).sample(4)
    assert np.array_equal(first["rt"], again["rt"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bounds": {"a": (0.0, 2.0)}}, "a > 0"),
        ({"bounds": {"z": (0.0, 0.9)}}, "0 < z < 1"),
        ({"bounds": {"t": (-0.1, 2.0)}}, "t >= 0"),
        ({"bounds": {"w": (0.0, 1.0)}}, "unknown|bounds name"),
        ({"bounds": {"v": (3.0, -3.0)}}, "lower < upper"),
        ({"bounds": {"v": (1.0, 1.0)}}, "lower < upper"),
        ({"bounds": {"v": (np.nan, 1.0)}}, "finite"),
        ({"bounds": {"v": 3.0}}, "two numbers"),
        ({"simulator": "euler"}, "simulator must be one of"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(fp.ModelError, match=message):
        fp.ddm(**settings)


def test_reference_priors_lie_in_the_box():
    box = fp.ddm().exact.box
    for name, prior in reference_priors().items():
        assert (float(prior.support.lower_bound), float(prior.support.upper_bound)) == pytest.approx(box[name])
