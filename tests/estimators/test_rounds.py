"""Training in rounds towards one observation: nothing is pulled towards the proposals, and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpyro.distributions import Normal
from scipy import stats

import firstpassage as fp
from firstpassage.errors import ArtefactError, DataError, DataWarning, ModelError
from firstpassage.estimators import _rounds_region, _rounds_table
from firstpassage.models import restricted

BOX = {"a": (-6.0, 6.0), "b": (-6.0, 6.0)}
NOISE = 1.0  # sd of the data about the parameters, as wide as the prior
OBSERVED = {"x": np.array([[1.0, -0.5]])}
MEAN, SD = np.array([0.5, -0.25]), np.sqrt(0.5)  # of the posterior


def simulate(theta, *, trials, rng):
    mean = np.stack([theta["a"], theta["b"]], axis=1)[:, None]
    return {"x": rng.normal(mean, NOISE, (len(mean), trials, 2))}


def shift(**given):
    """The mean of a normal distribution, with a standard normal prior."""
    own = None if "prior" in given else Normal(0.0, 1.0)
    parameters = [fp.Parameter(name, bounds=bounds, prior=own) for name, bounds in BOX.items()]
    return fp.Model(**{"name": "shift", "parameters": parameters, "likelihood": simulate, **given})


def small(method="npe", model=None):
    """Settings that train in seconds."""
    model, sizes = model or shift(), {"batch": 256, "members": 1}
    if method == "npe":
        return fp.NPE(
            model, trials=1, flow="mdn", components=2, layers=1, flow_widths=(16,), widths=(16,), summaries=4, **sizes
        )
    if method == "nle":
        return fp.NLE(model, flow="maf", layers=3, widths=(32, 32), **sizes)
    return fp.NRE(model, widths=(64, 64), candidates=7, **sizes)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A normal posterior, which needs no training."""

    mean: np.ndarray
    covariance: np.ndarray
    box: dict
    parameter_names: tuple = ("a", "b")

    def read(self, data):
        return data

    def propose(self, x, *, draws, seed):
        theta = np.random.default_rng(seed).multivariate_normal(self.mean, self.covariance, (len(x), draws))
        log_q = stats.multivariate_normal(self.mean, self.covariance).logpdf(theta)
        return theta, log_q.reshape(theta.shape[:2])

    def log_prob(self, theta, data):
        return stats.multivariate_normal(self.mean, self.covariance).logpdf(np.stack([theta["a"], theta["b"]], axis=1))

    def weigh(self, x, *, draws, seed):
        theta, log_q = self.propose(x, draws=draws, seed=seed)
        return theta, log_q, stats.norm.logpdf(theta).sum(axis=-1)


def known(mean, covariance, box=None):
    return Known(mean=np.asarray(mean), covariance=np.asarray(covariance), box=box or BOX)


def of(posterior, seed=1):
    return _rounds_region.region(posterior, np.zeros((1, 2)), seed=seed)


def cut_prior(regions, n):
    """Draws of the prior in regions, without any of the ways that make this quick."""
    theta = dict(zip(("a", "b"), np.random.default_rng(0).standard_normal((2, n)), strict=True))
    within = _rounds_region.inside(regions, theta)
    return {name: value[within] for name, value in theta.items()}


def test_a_region_holds_the_posterior_but_for_the_mass_left_out():
    posterior = known([0.5, -0.2], [[0.2, 0.1], [0.1, 0.3]])
    theta = posterior.propose([None], draws=200_000, seed=5)[0][0]
    missing = 1 - of(posterior).inside({"a": theta[:, 0], "b": theta[:, 1]}).mean()
    assert missing < 5 * _rounds_region.LEFT_OUT


def test_proposals_are_the_prior_cut_to_the_region():
    """With a prior that is not flat, in a region that is no box."""
    regions = [of(known([0.8, -0.5], [[0.04, 0.03], [0.03, 0.04]]))]
    drawn = _rounds_region.truncated(shift(), regions, 4000, seed=2)
    expected = cut_prior(regions, 500_000)
    assert drawn.by == "rejection"
    assert len(drawn.theta["a"]) == 4000
    for found, right in ((drawn.theta[n], expected[n]) for n in BOX):
        assert stats.ks_2samp(found, right).pvalue > 1e-3


def test_a_ridge_across_the_box_is_resampled():
    """Rejection would accept hardly any candidate."""
    regions = [of(known([0.0, 0.0], [[0.5, 0.4999999], [0.4999999, 0.5]]))]
    drawn = _rounds_region.truncated(shift(), regions, 3000, seed=2)
    along = (drawn.theta["a"] + drawn.theta["b"]) / 2
    assert drawn.by == "resampling"
    assert _rounds_region.inside(regions, drawn.theta).all()
    ends = max(abs(along))
    right = stats.truncnorm(-ends * np.sqrt(2), ends * np.sqrt(2), scale=np.sqrt(0.5))  # the prior along the ridge
    assert along.std() == pytest.approx(right.std(), rel=0.05)


def test_simulations_of_all_rounds_are_the_prior_only_inside_the_last_region():
    """What lies outside of it was proposed less often: kept, it would bend the prior."""
    wide = of(known([0.5, 0.0], 0.1 * np.eye(2)))
    narrow = replace(of(known([0.6, 0.1], 0.01 * np.eye(2))), box=wide.box)
    model, regions = shift(), [wide, narrow]
    made = [model.prior(4000, seed=1)]
    made += [_rounds_region.truncated(model, regions[: i + 1], 4000, seed=i).theta for i in range(2)]
    pooled = {name: np.concatenate([one[name] for one in made]) for name in BOX}
    last = {name: value[_rounds_region.inside(regions, pooled)] for name, value in pooled.items()}
    of_first = {name: value[wide.inside(pooled)] for name, value in pooled.items()}
    assert len(last["a"]) > 4000
    assert stats.ks_2samp(last["a"], cut_prior(regions, 600_000)["a"]).pvalue > 1e-3
    assert stats.ks_2samp(of_first["a"], cut_prior([wide], 600_000)["a"]).pvalue < 1e-10


def test_priors_that_depend_on_each_other_are_cut_together():
    def prior(n, *, rng):
        a = rng.uniform(-1, 1, n)
        return {"a": a, "b": a}

    drawn = restricted.draw(shift(prior=prior), 100, box={"a": (0.0, 1.0), "b": (-6.0, 0.5)}, seed=1)
    assert np.array_equal(drawn["a"], drawn["b"])
    assert 0 <= drawn["a"].min() and drawn["a"].max() <= 0.5


def test_a_table_and_a_pool_of_the_same_rows_begin_the_same_rounds(tmp_path):
    pool = fp.pipeline.pool(fp.gaussian(), n=50, trials=3, shard=20, seed=1, into=tmp_path / "pool")
    table = {name: np.concatenate([pool.table(k)[name] for k in range(3)]) for name in pool.table(0)}
    for trials, rows in ((2, 50), (None, 150)):
        found = [
            _rounds_table.of_user(fp.gaussian(), given, trials=trials) for given in (pool, tmp_path / "pool", table)
        ]
        assert [len(one) for one in found] == [rows] * 3
        assert all(np.array_equal(one.data["x"], found[0].data["x"]) for one in found)
    each = found[0]  # every trial is a simulation of its own
    assert np.array_equal(each.data["x"][:3].ravel(), table["x"][0].ravel())
    assert each.theta["mu"][:4].tolist() == [*[table["mu"][0]] * 3, table["mu"][1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    into = tmp_path_factory.mktemp("rounds") / "npe"
    small().fit(rounds=2, observed=OBSERVED, budget=3000, seed=3, into=into)
    return into


@pytest.fixture(scope="module")
def learned(folder):
    return fp.load(folder, model=shift())


def check_posterior(learned, *, mean, sd):
    draws = learned.sample(OBSERVED, draws=4000, seed=4)["posterior"]
    for name, centre in zip(BOX, MEAN, strict=True):
        assert float(draws[name].mean()) == pytest.approx(centre, abs=mean * SD)
        assert float(draws[name].std()) == pytest.approx(SD, rel=sd)


def test_a_second_round_does_not_pull_the_posterior_to_the_proposals(learned):
    """Trained on draws of the first posterior as if they were the prior's, the sd would be .82 of the right one."""
    check_posterior(learned, mean=0.12, sd=0.1)


def test_the_card_says_what_the_rounds_were(learned, folder):
    rounds = learned.card["rounds"]
    assert rounds["number"] == 2
    assert rounds["simulations"] == [1500, 1500] == [rounds["used"][0], rounds["used"][1] - kept_of_first(rounds)]
    assert learned.card["budget"] == 3000
    assert {name: list(ends) for name, ends in learned.box.items()} == rounds["box"]
    history = np.genfromtxt(folder / "history.csv", delimiter=",", names=True)
    assert sorted(set(history["round"])) == [1, 2]


def kept_of_first(rounds):
    return rounds["used"][1] - rounds["simulations"][1]


def test_other_data_than_the_observed_are_warned_of(learned):
    other = {"x": np.array([[1.0, -0.4]])}
    with pytest.warns(DataWarning, match="for one data set"):
        learned.sample(other, draws=10, seed=1)
    learned.sample({"x": np.array([[1.0, -0.5]])}, draws=10, seed=1)  # warnings are errors


def test_a_finished_run_is_loaded_and_another_one_refused(folder, learned):
    again = small().fit(rounds=2, observed=OBSERVED, budget=3000, seed=3, into=folder)
    assert all(np.array_equal(again.arrays[name], learned.arrays[name]) for name in learned.arrays)
    for change in ({"budget": 4100}, {"seed": 4}, {"rounds": 3}, {"observed": {"x": np.zeros((1, 2))}}):
        given = {"rounds": 2, "observed": OBSERVED, "budget": 3000, "seed": 3, **change}
        with pytest.raises(ArtefactError, match="holds another run"):
            small().fit(into=folder, **given)
    with pytest.raises(ArtefactError, match="rounds"):
        small().fit(budget=3000, seed=3, into=folder)


def test_nothing_outside_of_the_box_of_the_last_round_is_possible(learned):
    low = {name: np.array([ends[0] - 0.01]) for name, ends in learned.box.items()}
    assert learned.log_prob(low, OBSERVED)[0] == -np.inf


def never(theta, *, trials, rng):
    if len(theta["a"]) > 2:
        raise RuntimeError("simulated")
    return simulate(theta, trials=trials, rng=rng)


BAD = {
    "without observed": ("npe", {"observed": None}, ModelError, "observed"),
    "observed of one round": ("npe", {"rounds": 1}, ModelError, "rounds=1"),
    "no rounds": ("npe", {"rounds": 0}, ModelError, "positive integer"),
    "half a round": ("nle", {"rounds": 1.5}, ModelError, "positive integer"),
    "true rounds": ("nre", {"rounds": True, "observed": None}, ModelError, "positive integer"),
    "no budget": ("npe", {"budget": None}, ModelError, "budget"),
    "small budget": ("nle", {"budget": 39}, ModelError, "at least 20 simulations"),
    "several subjects": ("npe", {"observed": [OBSERVED, OBSERVED]}, DataError, "one subject"),
    "other variables": ("nre", {"observed": {"y": np.zeros((1, 2))}}, DataError, "x"),
    "too many trials": ("npe", {"observed": {"x": np.zeros((2, 2))}}, DataError, "trials=2"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_what_cannot_be_done_is_refused_before_anything_is_simulated(case):
    method, change, error, words = BAD[case]
    given = {"rounds": 2, "observed": OBSERVED, "budget": 1000, "seed": 1, **change}
    with pytest.raises(error, match=words):
        small(method, shift(likelihood=never)).fit(**given)


def test_a_prior_without_density_is_refused_for_likelihoods():
    model = shift(likelihood=never, prior=lambda n, *, rng: {name: rng.normal(size=n) for name in BOX})
    with pytest.raises(ModelError, match="density of the prior"):
        small("nle", model).fit(rounds=2, observed=OBSERVED, budget=1000, seed=1)


@pytest.mark.parametrize("method", [fp.NLE, fp.NRE])
def test_decisions_are_refused(method):
    with pytest.raises(ModelError, match="unit='patch'"):
        method(fp.foraging()).fit(rounds=2, observed=np.zeros((100, 3)), budget=1000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["npe", "nle", "nre"])
def test_three_rounds_find_the_posterior(method):
    check_posterior(
        small(method).fit(rounds=3, observed=OBSERVED, budget=9000, seed=5), mean=0.1, sd=0.08
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", ["npe", "nre"])
def test_a_table_is_the_first_round(method):
    model = shift()
    theta = model.prior(2000, seed=7)
    table = {**theta, **model.likelihood(theta, trials=1, seed=8)}
    learned = small(method).fit(rounds=2, observed=OBSERVED, simulations=table, seed=5)
    assert learned.card["rounds"]["simulations"] == [2000, 2000]
    check_posterior(learned, mean=0.15, sd=0.12)


TRAIN = """
import sys
sys.path.insert(0, sys.argv[2])
from test_rounds import OBSERVED, small
small().fit(rounds=3, observed=OBSERVED, budget=3000, seed=3, into=sys.argv[1])
"""


@pytest.mark.slow
def test_rounds_killed_again_and_again_end_with_the_same_weights(tmp_path):
    here = os.path.dirname(__file__)
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "whole"), here], check=True)
    rng = np.random.default_rng(1)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path / "cut"), here])
        time.sleep(rng.uniform(8, 25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "cut"), here], check=True)
    whole, cut = (fp.load(tmp_path / name, model=shift()) for name in ("whole", "cut"))
    assert all(np.array_equal(whole.arrays[name], cut.arrays[name]) for name in whole.arrays)
    assert whole.card["rounds"] == cut.card["rounds"]
