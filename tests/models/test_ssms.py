"""Models of ssm-simulators by name: their parameters, codes, seeds, times, and what is refused."""

import sys
import warnings

import numpy as np
import pytest

import firstpassage as fp

pytestmark = pytest.mark.filterwarnings("ignore:ssm-simulators draws:firstpassage.DataWarning")


@pytest.fixture(scope="module")
def angle():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fp.DataWarning)
        return fp.from_ssms("angle")


def test_parameters_and_box_are_the_simulators(angle):
    from ssms.config import model_config

    config = model_config["angle"]
    assert list(angle.parameter_names) == config["params"]
    assert [p.bounds for p in angle.parameters] == list(zip(*config["param_bounds"], strict=True))


def test_the_same_seed_gives_the_same_data_and_nothing_global_is_drawn_from(angle):
    theta = angle.prior(20, seed=1)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (angle.likelihood(theta, trials=30, seed=seed) for seed in (2, 2, 3))
    assert np.array_equal(one["rt"], two["rt"]) and np.array_equal(one["response"], two["response"])
    assert not np.array_equal(one["rt"], other["rt"])
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_every_row_has_its_own_parameters(angle):
    """The order of parameters and rows: t shifts the fastest, v decides the choice, a narrow boundary is quick."""
    theta = {"v": [3.0, -3.0, 0.0], "a": [1.5, 1.5, 0.4], "z": [0.5] * 3, "t": [0.2, 1.5, 0.2], "theta": [0.1] * 3}
    x = angle.likelihood(theta, trials=400, seed=1)
    assert (x["response"][0] == 1).mean() > 0.98 and (x["response"][1] == -1).mean() > 0.98
    assert 0.2 < x["rt"][0].min() < 0.5 and x["rt"][1].min() > 1.5
    assert x["rt"][2].mean() < 0.6 * x["rt"][0].mean()


def test_simulated_times_are_those_of_the_exact_sampler_but_for_the_time_step():
    model = fp.from_ssms("ddm", delta_t=0.0002)
    theta = {"v": [1.0], "a": [1.2], "z": [0.4], "t": [0.3]}
    ours = model.likelihood(theta, trials=1500, seed=1)
    exact = fp.ddm().likelihood(theta, trials=1500, seed=1)
    standard = exact["rt"].std() * (2 / 1500) ** 0.5
    assert abs(ours["rt"].mean() - exact["rt"].mean()) < 4 * standard + 0.01
    assert abs((ours["response"] > 0).mean() - (exact["response"] > 0).mean()) < 0.07


def test_the_time_step_is_warned_of_with_what_it_does():
    with pytest.warns(fp.DataWarning, match=r"steps of 0.001 s.*too long"):
        fp.from_ssms("ddm")


def test_trials_that_do_not_end_are_drawn_again_and_told():
    with pytest.warns(fp.DataWarning, match=r"have no response before max_t = 20 s and are drawn again"):
        model = fp.from_ssms("ornstein")
    x = model.likelihood(model.prior(200, seed=1), trials=1, seed=1)
    assert x["rt"].max() < 20.0 and set(np.unique(x["response"])) == {-1.0, 1.0}
    with pytest.raises(fp.DataError, match="below max_t = 20 s"):
        model.schema.read([[0.5, 1.0], [25.0, -1.0]])


def test_a_box_in_which_some_trials_never_end_is_refused():
    with pytest.raises(fp.ModelError, match="before max_t = 2.5 s.*they hardly ever do.*Narrow the bounds"):
        fp.from_ssms("ddm", max_t=2.5)


def test_other_codes_are_read_and_refused():
    model = fp.from_ssms("race_no_bias_3")
    assert model.mixed.categories == (0.0, 1.0, 2.0)
    assert model.schema.read([[0.5, 2], [0.7, 0]]).shape == (2, 2)
    with pytest.raises(fp.DataError, match="response must be one of 0, 1, 2"):
        model.schema.read([[0.5, -1], [0.7, 1]])


def test_a_spread_of_non_decision_times_moves_the_earliest_time():
    model = fp.from_ssms("full_ddm2")
    theta = model.prior(2000, seed=1)
    rt = model.likelihood(theta, trials=1, seed=2)["rt"][:, 0]
    assert (rt > theta["t"] - theta["st"]).all() and (rt < theta["t"]).any()
    assert model.schema.limits is None
    assert fp.from_ssms("ddm").schema.limits(np.array([[0.5, 1.0], [0.4, -1.0]]))["t"][1] == 0.4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fp.from_ssms("angel"), "no model 'angel'.*Did you mean 'angle'"),
        (lambda: fp.from_ssms("nothing like it"), "See list"),
        (lambda: fp.from_ssms("angle", delta_t=0.0), "delta_t and max_t"),
        (lambda: fp.from_ssms("angle", bounds={"b": (0, 1)}), r"bounds name \['b'\]"),
        (lambda: fp.from_ssms("angle", bounds={"a": (-1, 1)}), "a must lie within the simulator's"),
        (lambda: fp.from_ssms("ddm_truncnormt"), "other trials.*in each process"),
        (lambda: fp.from_ssms("inv_temp_softmax_3"), "100% of its trials have none"),
        (lambda: fp.from_ssms("lba_3_vs_constraint"), "need not depend on each other"),
    ],
)
def test_what_cannot_be_made_is_refused(call, words):
    with pytest.raises(fp.ModelError, match=words):
        call()


def test_parameters_outside_the_box_are_refused(angle):
    theta = angle.prior(2, seed=1) | {"a": np.array([-1.0, 1.0])}
    with pytest.raises(fp.ModelError, match="a must lie in"):
        angle.likelihood(theta, seed=1)


def test_bounds_make_a_model_of_dependent_parameters_possible():
    model = fp.from_ssms("lba2", bounds={"A": (0.0, 0.4), "b": (0.5, 1.0)})
    theta = model.prior(50, seed=1)
    one, two = (model.likelihood(theta, trials=5, seed=4) for _ in range(2))
    assert np.array_equal(one["rt"], two["rt"]) and (one["rt"] > 0).all()


def test_without_ssm_simulators_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ssms.config", None)
    with pytest.raises(fp.ModelError, match=r"firstpassage\[hssm\]"):
        fp.from_ssms("angle")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [fp.NRE, fp.NLE, fp.NPE])
def test_every_estimator_takes_three_choices(settings):
    """Not trained: the estimator is built, and its loss of a small table of simulations is a number."""
    model = fp.from_ssms("race_no_z_3", max_t=10.0)
    trials = 20 if settings is fp.NPE else 1
    theta = model.prior(200, seed=1)
    table = theta | model.likelihood(theta, trials=trials, seed=2)
    method = settings(model, trials=20) if settings is fp.NPE else settings(model)
    estimator, feed = method.prepare(1, table)
    batch = feed(100, "validation")
    assert all(np.isfinite(value).all() for value in batch.values())


def trained(kind, model, *, budget):
    """Train shortly."""
    settings = {"nre": fp.NRE, "nle": fp.NLE}[kind]
    return settings(model, epoch_pairs=65_536, validation=8192, average=0.99).fit(budget=budget, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nre", "nle"])
def test_angle_is_recovered_from_400_trials(angle, kind):
    likelihood = trained(kind, angle, budget=400_000)
    theta = {"v": 1.0, "a": 1.4, "z": 0.5, "t": 0.4, "theta": 0.4}
    x = angle.likelihood({name: [value] for name, value in theta.items()}, trials=400, seed=3)
    draws = likelihood.sample(np.stack([x["rt"][0], x["response"][0]], axis=1), draws=500, tune=500, seed=2)
    for name, value in theta.items():
        posterior = draws["posterior"][name]
        assert abs(float(posterior.mean()) - value) < 3.5 * float(posterior.std()) + 0.05, name


@pytest.mark.slow
def test_the_learned_ddm_is_close_to_the_exact_one():
    model, exact = fp.from_ssms("ddm"), fp.ddm().exact
    learned = trained("nle", model, budget=400_000)
    theta = model.prior(4000, seed=5)
    x = np.concatenate(list(model.likelihood(theta, trials=1, seed=6).values()), axis=1)
    difference = learned.log_prob(x, **theta) - exact.log_prob(x, **theta)
    assert -0.03 < difference.mean() < 0.03, "what the time step does, less what so short a training misses"
    assert np.abs(difference).mean() < 0.15
