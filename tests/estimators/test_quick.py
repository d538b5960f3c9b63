"""Learned likelihoods of visits are summed by pairs and sampled by importance, and the draws are of the learned one."""

from dataclasses import replace

import numpy as np
import pytest

import firstpassage as fp
from firstpassage import _pairs
from firstpassage.estimators import _quick
from firstpassage.models import patches

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")

MODEL = fp.foraging(sites=30)
CENTRE, SPREAD = 0.5, 0.4
THETA = MODEL.prior(7, seed=1)


def hazard(x, theta):
    """A chance to leave that grows with the distance."""
    import jax
    import jax.numpy as jnp

    time, _, stop, present = jnp.moveaxis(patches.unpack(x), -1, 0)
    logit = (theta["drift_rate"] * time.T - 1 - theta["noise_std"]).T
    return jnp.sum(present * jax.nn.log_sigmoid(jnp.where(stop > 0, -logit, logit)), axis=1)


def normal(x, theta):
    """Each trial says that drift_rate is about a half, and nothing of the others."""
    return -0.5 * ((theta["drift_rate"] - CENTRE) / SPREAD) ** 2 + 0.0 * x[:, 0]


PLAIN = replace(MODEL.exact, kind="nle", density=hazard, sums=None, approximation=None)
QUICK = _quick.quick(PLAIN, MODEL, MODEL.decisions.schema)


@pytest.fixture(scope="module")
def visits():
    return MODEL.exact.read(MODEL.likelihood(MODEL.prior(3, seed=2), seed=2)["window"][:, 0])


def test_visits_are_split_by_their_length_and_none_is_lost(visits):
    rows, groups = zip(*patches.split(visits), strict=True)
    widths = [group.shape[1] // 4 for group in groups]
    assert len(groups) > 1 and sorted(set(widths)) == widths
    assert sorted(np.concatenate(rows)) == list(range(len(visits)))
    assert sum(patches.unpack(group)[..., 3].sum() for group in groups) == 90


def test_sums_by_pairs_are_those_of_the_trials(visits):
    whole = np.array([PLAIN.log_prob(visits, **{k: v[i] for k, v in THETA.items()}).sum() for i in range(7)])
    assert QUICK.summed(visits, THETA) == pytest.approx(whole, rel=1e-9)
    assert _pairs.sums(visits, THETA, likelihood=PLAIN) == pytest.approx(whole, rel=1e-9)
    many = {name: np.resize(value, 500) for name, value in THETA.items()}
    assert QUICK.summed(visits, many) == pytest.approx(np.resize(whole, 500), rel=1e-9)


def test_sums_by_pairs_take_one_value_for_each_visit(visits):
    each = {**THETA, "drift_rate": np.random.default_rng(3).uniform(0, 1, (7, len(visits)))}
    whole = [PLAIN.log_prob(visits, **{k: v[i] for k, v in each.items()}).sum() for i in range(7)]
    assert QUICK.summed(visits, each) == pytest.approx(whole, rel=1e-9)


def test_visits_are_proposed_by_the_approximation_and_windows_by_the_density_itself():
    assert QUICK.approximation is MODEL.exact.approximation
    windows = _quick.quick(replace(PLAIN, trial="window", columns=("window",)), MODEL, MODEL.decisions.schema)
    assert windows.approximation.density is PLAIN.density


def test_draws_are_of_the_learned_density(visits):
    learned = _quick.quick(replace(PLAIN, trial="window", density=normal), MODEL, MODEL.decisions.schema)
    tree = learned.sample(visits, draws=2000, chains=1, seed=1)
    drift, bump = (tree["posterior"][name].values for name in ("drift_rate", "reward_bump"))
    sd = SPREAD / np.sqrt(len(visits))
    assert tree.attrs["sampler"] == "importance" and tree.attrs["effective"] > 1000
    assert drift.mean() == pytest.approx(CENTRE, abs=0.15 * sd) and drift.std() == pytest.approx(sd, rel=0.1)
    assert bump.std() == pytest.approx(2.6 / np.sqrt(12), rel=0.1)  # uniform on its box


def test_likelihoods_of_choices_are_left_alone():
    learned = fp.pretrained("ddm", "nle")
    assert learned.sums is None and learned.approximation is None
