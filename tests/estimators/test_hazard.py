"""Likelihoods of decisions: normalised by construction, the same for windows and visits, saved, and learned."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import ModelError
from firstpassage.estimators import _hazard
from firstpassage.models import patches

pytestmark = pytest.mark.filterwarnings("ignore:there is no")

SMALL = {"widths": (16, 16), "memory": 8, "batch": 64, "epoch_pairs": 2048, "validation": 512}
THETA = {"drift_rate": 0.3, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.2}


@pytest.fixture(scope="module")
def model():
    return fp.foraging(sites=30)


@pytest.fixture(scope="module")
def learned(model):
    return fp.NLE(model, unit="patch", **SMALL).fit(budget=8192, seed=1)


@pytest.fixture(scope="module")
def window(model):
    theta = {name: np.array([value]) for name, value in THETA.items()}
    return model.likelihood(theta, seed=4)["window"][0, 0]


def test_a_trial_is_a_visit_to_a_patch(learned, model, window):
    assert (learned.kind, learned.trial) == ("nle", "patch")
    assert learned.log_prob(window, **THETA).shape == model.exact.log_prob(window, **THETA).shape
    assert learned.trials(window).equals(model.exact.trials(window))


def test_all_that_may_happen_in_a_patch_has_probability_one(learned):
    time, reward = np.array([0.9, 1.8, 3.0, 4.1]), np.array([1.0, 0.0, 0.0, 1.0])
    total = 0.0
    for n in range(1, 6):
        k = min(n, 4)
        stop = np.ones(k)
        if n <= 4:
            stop[-1] = 0
        visit = np.stack([time[:k], reward[:k] * stop, stop], axis=1)
        total += np.exp(learned.log_prob({"patch_time": visit[:, 0], "reward": visit[:, 1], "stop": visit[:, 2]},
                                         **THETA))[0]  # fmt: skip
    assert total == pytest.approx(1, abs=1e-5)


def test_windows_in_training_and_visits_in_use_are_the_same_to_the_network(learned, model, window):
    decisions = model.decisions
    steps, decision, begins = decisions.of_simulation({"window": window[None, None]})
    again, choice, present = (np.asarray(one) for one in decisions.of_trial(model.exact.read(window)))
    assert np.allclose(again[present > 0], steps[0], atol=1e-5)
    assert np.array_equal(choice[present > 0], decision[0])
    assert begins[0].sum() == len(again)
    settings = learned.card["settings"]
    shape = _hazard.Shape(widths=settings["widths"], memory=settings["memory"], activation=settings["activation"])
    theta = np.asarray(decisions.conditions({k: np.array([v]) for k, v in THETA.items()}))
    inputs = _hazard.features(theta, steps, learned.arrays)
    each = _hazard.log_probability(_hazard.logits(learned.arrays, shape, inputs, begins), decision)
    assert float(each.sum()) == pytest.approx(float(learned.log_prob(window, **THETA).sum()), abs=1e-3)


def test_padding_and_parameters_by_visit_do_not_matter(learned, window):
    whole = learned.log_prob(window, **THETA)
    x = patches.unpack(patches.read(window))
    longer = np.concatenate([x, np.zeros((len(x), 4, 4))], axis=1)
    assert np.allclose(learned.log_prob(patches.filled(longer).reshape(len(x), -1), **THETA), whole, atol=1e-5)
    by_visit = {name: np.full(len(x), value) for name, value in THETA.items()}
    assert np.allclose(learned.log_prob(window, **by_visit), whole, atol=1e-5)


def test_saved_and_loaded_it_is_the_same(learned, window, tmp_path):
    again = fp.load(fp.save(learned, tmp_path / "bundle"))
    assert again.trial == "patch"
    assert np.array_equal(again.log_prob(window, **THETA), learned.log_prob(window, **THETA))


def test_the_same_seed_gives_the_same_weights(learned, model):
    again = fp.NLE(model, unit="patch", **SMALL).fit(budget=8192, seed=1)
    assert all(np.array_equal(again.arrays[name], value) for name, value in learned.arrays.items())


def test_units_that_a_model_does_not_have_are_refused(model):
    with pytest.raises(ModelError, match="unit must be None for ddm; got 'patch'"):
        fp.NLE(fp.ddm(), unit="patch")
    with pytest.raises(ModelError, match="unit must be None or 'patch' or 'window' for foraging; got 'site'"):
        fp.NLE(model, unit="site")
    with pytest.raises(ModelError, match="fresh simulations only"):
        fp.NLE(model, unit="patch", **SMALL).fit(budget=2048, seed=1, simulations={})


def test_layers_of_any_width_have_their_own_names():
    shape = _hazard.Shape(widths=(4, 2), memory=3, activation="silu")
    names = _hazard.initial(shape, inputs=5, rng=np.random.default_rng(1))
    for name in ("hazard/step/1", "hazard/decision/1", "hazard/decision/head"):
        assert names[f"{name}/kernel"].shape[1] == 2
    assert "hazard/step/head/kernel" not in names


def test_it_is_trained_more_where_noise_is_small_and_within_the_bounds():
    model = fp.foraging(bounds={"noise_std": (0.1, 0.5)})
    theta = model.prior(4000, seed=1)
    moved = model.decisions.emphasis(theta)
    assert (moved["noise_std"] <= theta["noise_std"]).all() and (moved["noise_std"] >= 0.1).all()
    assert abs(np.mean(moved["noise_std"] < 0.2) - 0.5) < 0.03  # a quarter of the width, squared from half of it
    assert all(moved[name] is theta[name] for name in ("drift_rate", "reward_bump", "failure_bump"))


@pytest.mark.slow
def test_it_learns_the_exact_log_probabilities():
    model = fp.foraging()
    learned = fp.NLE(model, unit="patch", epoch_pairs=8192, validation=1024).fit(budget=100_000, seed=1)
    theta = model.prior(40, seed=9)
    windows = model.likelihood(theta, seed=9)["window"][:, 0]
    errors = []
    for i, window in enumerate(windows):
        values = {name: v[i] for name, v in theta.items()}
        errors.append(model.exact.log_prob(window, **values).sum() - learned.log_prob(window, **values).sum())
    assert np.mean(errors) < 0.5  # nats for a window, at the parameters that made it
