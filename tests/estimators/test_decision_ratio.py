"""Ratios of sequences of decisions: laid end to end for training, one by one in use, saved, and learned."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import ModelError
from firstpassage.estimators import _decision_ratio
from firstpassage.models import patches

pytestmark = pytest.mark.filterwarnings("ignore:there is no")

SMALL = {"widths": (24, 24), "evidence_widths": (8, 8), "products": 16, "batch": 16, "epoch_pairs": 512,
         "validation": 128}  # fmt: skip
THETA = {"drift_rate": 0.3, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.2}


@pytest.fixture(scope="module")
def model():
    return fp.foraging(sites=30)


@pytest.fixture(scope="module")
def learned(model):
    return fp.NRE(model, unit="patch", **SMALL).fit(budget=8192, seed=1)


@pytest.fixture(scope="module")
def window(model):
    theta = {name: np.array([value]) for name, value in THETA.items()}
    return model.likelihood(theta, seed=4)["window"][0, 0]


@pytest.mark.slow
def test_a_trial_is_a_visit_to_a_patch(learned, model, window):
    assert (learned.kind, learned.trial) == ("nre", "patch")
    assert learned.log_prob(window, **THETA).shape == model.exact.log_prob(window, **THETA).shape


@pytest.mark.slow
def test_padding_and_parameters_by_visit_do_not_matter(learned, window):
    whole = learned.log_prob(window, **THETA)
    x = patches.unpack(patches.read(window))
    longer = np.concatenate([x, np.zeros((len(x), 4, 4))], axis=1)
    assert np.allclose(learned.log_prob(patches.filled(longer).reshape(len(x), -1), **THETA), whole, atol=1e-5)
    by_visit = {name: np.full(len(x), value) for name, value in THETA.items()}
    assert np.allclose(learned.log_prob(window, **by_visit), whole, atol=1e-5)


@pytest.mark.slow
def test_noise_is_told_by_the_ratio(learned, model):
    """The ratio of the truth to parameters from elsewhere in the box is positive on average: something was learned."""
    theta = model.prior(40, seed=8)
    windows = model.likelihood(theta, seed=9)["window"][:, 0]
    other = model.prior(40, seed=10)
    own = np.repeat(np.arange(40), [len(learned.read(w)) for w in windows])
    true, wrong = (learned.log_prob(windows, **{k: v[own] for k, v in some.items()}) for some in (theta, other))
    gains = np.bincount(own, weights=true - wrong)
    assert np.mean(gains > 0) > 0.75


@pytest.mark.slow
def test_saved_and_loaded_it_is_the_same(learned, window, tmp_path):
    again = fp.load(fp.save(learned, tmp_path / "bundle"))
    assert again.trial == "patch"
    assert np.array_equal(again.log_prob(window, **THETA), learned.log_prob(window, **THETA))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(learned, model):
    again = fp.NRE(model, unit="patch", **SMALL).fit(budget=8192, seed=1)
    assert all(np.array_equal(again.arrays[name], value) for name, value in learned.arrays.items())


def test_a_step_sees_the_two_before_it_in_its_own_sequence():
    steps = np.arange(1.0, 6.0)[:, None]
    begins = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    found = np.asarray(_decision_ratio.seen(steps, begins))
    assert found.tolist() == [[1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 0, 0], [5, 4, 0]]


def test_sequences_are_packed_whole():
    from firstpassage.estimators import _decision_ratio_network as network

    lengths = np.array([3, 3, 2, 4, 1, 4])
    values = np.arange(lengths.sum(), dtype=float)[:, None] + 1
    conditions = np.arange(6.0)[:, None, None]
    made = network.packed(conditions, lengths, values, size=5, n=3)
    packs = made["inference_variables"]
    assert packs[..., 0].tolist() == [[1, 2, 3, 0, 0], [4, 5, 6, 7, 8], [9, 10, 11, 12, 13]]
    assert packs[..., 1].tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]]
    assert packs[..., 2].sum() == lengths[:5].sum()
    assert made["inference_conditions"][1, :, 0, 0].tolist() == [1, 1, 1, 2, 2]


def test_all_sequences_of_training_have_one_law(model):
    """Beginning early enough, each is followed for 24 of 30 sites: their lengths are those of visits cut off there."""
    from firstpassage.estimators import _decision_ratio_network as network

    fixed = {"drift_rate": 0.1, "reward_bump": -0.1, "failure_bump": 0.1, "noise_std": 0.2}
    one = fp.Model(
        name="fixed", parameters=model.parameters, schema=model.schema, decisions=model.decisions,
        prior=lambda n, *, rng: {k: np.full(n, v) for k, v in fixed.items()},
        likelihood=lambda theta, *, trials, rng: model.likelihood(theta, trials=trials, seed=int(rng.integers(2**31))),
    )  # fmt: skip
    _, lengths, _ = network.Sequences(decisions=model.decisions, model=one, seed=1).draw(60_000, purpose="test")
    theta = {name: np.full(4000, value) for name, value in fixed.items()}
    stops = model.likelihood(theta, seed=3)["window"][:, 0, :24, 2]
    direct = np.where((stops == 0).any(1), np.argmin(stops, axis=1) + 1, 24)
    error = np.hypot(lengths.std() / len(lengths) ** 0.5, direct.std() / len(direct) ** 0.5)
    assert abs(lengths.mean() - direct.mean()) < 4 * error
    assert lengths.max() == 24


def test_what_it_cannot_learn_is_refused(model):
    with pytest.raises(ModelError, match="unit must be None for ddm; got 'patch'"):
        fp.NRE(fp.ddm(), unit="patch")
    with pytest.raises(ModelError, match="products must be a positive integer"):
        fp.NRE(model, unit="patch", products=0)
    with pytest.raises(ModelError, match="fresh simulations only"):
        fp.NRE(model, unit="patch", **SMALL).fit(budget=512, seed=1, simulations={})
