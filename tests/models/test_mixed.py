"""The drift-diffusion model's record of mixed data: consistent, and with the symmetries of the simulator."""

import jax
import numpy as np
import pytest

import firstpassage as fp


@pytest.fixture(scope="module")
def pairs():
    """Simulated trials and their parameters."""
    model = fp.ddm()
    theta = model.prior(500, seed=3)
    data = model.likelihood(theta, trials=1, seed=3)
    return theta, np.concatenate([data["rt"], data["response"]], axis=1)


def test_a_trial_is_a_category_and_a_value(pairs):
    theta, x = pairs
    mixed = fp.ddm().mixed
    with jax.enable_x64():
        category = mixed.category(x)
        u, log_jacobian = mixed.value(x, theta)
        np.testing.assert_allclose(mixed.inverse(u, category, theta), x, rtol=1e-9)
        up, down = (np.asarray(mixed.value(x + [step, 0.0], theta)[0]) for step in (1e-7, -1e-7))
    assert set(np.asarray(category)) == set(mixed.categories)
    assert np.asarray(mixed.possible(x, theta)).all()
    np.testing.assert_allclose(np.log((up - down) / 2e-7), log_jacobian, atol=1e-3)


def test_features_know_which_boundary_is_which_and_no_unit(pairs):
    theta, x = pairs
    mixed = fp.ddm().mixed
    mirrored = {**theta, "v": -theta["v"], "z": 1 - theta["z"]}
    slower = {**theta, "v": theta["v"] / 2, "a": theta["a"] * 2}
    with jax.enable_x64():
        features = mixed.features(theta, x[:, 1])
        np.testing.assert_allclose(mixed.features(mirrored, -x[:, 1]), features, atol=1e-12)
        np.testing.assert_allclose(mixed.features(slower, x[:, 1]), features, atol=1e-12)
        later = np.stack([theta["t"] + 4 * (x[:, 0] - theta["t"]), x[:, 1]], axis=1)
        np.testing.assert_allclose(mixed.value(later, slower)[0], mixed.value(x, theta)[0], atol=1e-9)


def test_impossible_times_have_finite_values():
    """So that gradients stay finite where the density is zero."""
    mixed = fp.ddm().mixed
    theta = {"v": 1.0, "a": 1.0, "z": 0.5, "t": 0.5}
    x = np.array([[0.2, 1.0], [0.5, -1.0]])
    assert not np.asarray(mixed.possible(x, theta)).any()
    assert np.isfinite(np.asarray(mixed.value(x, theta))).all()
