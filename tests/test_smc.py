"""Sequential Monte Carlo: several modes in the right shares, known posteriors, many data sets, and what is refused."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage import _smc
from firstpassage.likelihood import Likelihood
from firstpassage.models.joint import Conditional, Joint

PARAMETERS = (fp.Parameter("a", bounds=(-3, 3)), fp.Parameter("b", bounds=(0, 1)))
LEFT, SDS, SHARE = (-1.5, 1.5), (0.05, 0.15), 0.8
FEW = {"draws": 250, "chains": 4}  # in all as many as particles
DATA = np.zeros((1, 1))


def density(x, theta):
    """Peak at two places of a, of which the left one is the more probable; b is as its prior."""
    import jax.numpy as jnp

    both = [
        jnp.log(share) - 0.5 * ((theta["a"] - centre) / sd) ** 2 - jnp.log(sd)
        for share, centre, sd in zip((SHARE, 1 - SHARE), LEFT, SDS, strict=True)
    ]
    return jnp.logaddexp(*both) - x[:, 0] * theta["b"]


@cache
def likelihood():
    def read(data):
        return np.asarray(data, dtype=float)

    return Likelihood(
        model="peaks", kind="nle", trial="trial", parameters=PARAMETERS, columns=("x",), read=read, density=density,
        several_modes=True,
    )  # fmt: skip


@cache
def sampled():
    return likelihood().sample(DATA, **FEW, seed=1)


def test_both_modes_are_found_in_their_shares():
    a = np.concatenate([likelihood().sample(DATA, **FEW, seed=s)["posterior"]["a"].to_numpy().ravel() for s in (1, 2)])
    assert abs((a < 0).mean() - SHARE) < 0.05  # four standard errors
    for side, centre, sd in zip((a[a < 0], a[a > 0]), LEFT, SDS, strict=True):
        assert abs(side.mean() - centre) < 0.15 * sd
        assert abs(side.std() / sd - 1) < 0.12
    assert stats.kstest(sampled()["posterior"]["b"].to_numpy().ravel(), "uniform").pvalue > 1e-3


def test_it_says_how_the_particles_went():
    steps = sampled()["sample_stats"]
    assert steps["lp"].shape == (4, 250)
    power = steps["power"].to_numpy()
    assert (np.diff(power) > 0).all() and power[-1] == 1
    assert steps["ess"].shape == steps["accepted"].shape == power.shape
    assert (steps["ess"] > 0.55).all() and (steps["accepted"] > 0.05).all()
    attributes = sampled().attrs
    assert attributes["sampler"] == "smc" and attributes["ok"] == 1
    assert 400 <= attributes["effective"] <= 1000 and "effective" in attributes["verdict"]


def test_data_sets_are_sampled_by_their_numbers_and_the_seed_alone():
    many = likelihood().sample([DATA, DATA + 5], **FEW, seed=1)
    assert many["posterior"]["a"].shape == (4, 250, 2)
    assert many["sample_stats"]["power"].dims == ("dataset", "step")
    first = many["posterior"]["b"].to_numpy()
    np.testing.assert_array_equal(first[..., 0], sampled()["posterior"]["b"].to_numpy())
    truth = stats.truncexpon(5, scale=0.2)  # b falls off by exp(-5 b)
    assert stats.kstest(first[..., 1].ravel(), truth.cdf).pvalue > 1e-4
    assert likelihood().sample(DATA, **FEW, seed=3)["posterior"]["b"][0, 0] != first[0, 0, 0]


def test_auto_takes_it_for_unknown_shapes_and_small_data_only():
    from firstpassage import _sampling

    def takes(trials, **changes):
        return _sampling._several_modes(replace(likelihood(), **changes), [np.zeros((trials, 1))])

    assert takes(1) and takes(_smc.MOST_TRIALS)
    assert not takes(_smc.MOST_TRIALS + 1)
    assert not takes(1, several_modes=False)
    assert not takes(1, parameters=tuple(fp.Parameter(f"p{i}", bounds=(0, 1)) for i in range(17)))


def test_the_highest_mode_is_found():
    found = likelihood().map(DATA + 1.0)
    assert abs(found["a"] - LEFT[0]) < 1e-3  # the lower peak is as wide as three of it
    assert found["b"] < 1e-3  # at the edge


def test_draws_of_a_joint_prior_that_the_data_do_not_change_are_those_of_the_prior():
    high = Conditional(name="a", family="TruncatedNormal", location=0.0, scale=1.0, lower=-1.0, upper=2.0)
    low = Conditional(
        name="b", family="TruncatedNormal", location=0.0, scale=1.0, lower=-3.0, upper=2.0, below="a", gap=0.5
    )
    joint = Joint(conditionals=(high, low), names=("a", "b"))
    parameters = (fp.Parameter("a", bounds=(-1, 2)), fp.Parameter("b", bounds=(-3, 2)))
    flat = replace(likelihood(), parameters=parameters, joint=joint, density=lambda x, theta: 0 * x[:, 0])
    drawn = flat.sample(DATA, **FEW, seed=1)["posterior"]
    truth = joint.parameters(joint.sample(4000, np.random.default_rng(1)))
    for name in ("a", "b"):
        assert stats.ks_2samp(drawn[name].to_numpy().ravel(), truth[name]).pvalue > 1e-3
    assert float((drawn["a"] - drawn["b"]).min()) >= 0.5 - 1e-6


def test_an_impossible_likelihood_is_refused():
    import jax.numpy as jnp

    impossible = replace(likelihood(), density=lambda x, theta: jnp.full(len(x), -jnp.inf) + 0 * theta["a"])
    with pytest.raises(fp.DataError, match="must be finite and wide enough"):
        impossible.sample(DATA, **FEW, seed=1)
    with pytest.raises(fp.ModelError, match="method must be one of auto, nuts, importance, smc"):
        likelihood().sample(DATA, **FEW, seed=1, method="particles")
