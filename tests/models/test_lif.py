"""The integrate-and-fire neuron: its simulator does what the plain loop does, and its parts fit together."""

import json

import numpy as np
import pytest
from scipy import stats

import firstpassage as fp
from firstpassage.errors import DataError, ModelError
from firstpassage.models import _counters, lif_simulator, registry
from firstpassage.models.lif_recording import Recording
from oracle import lif_traces as oracle

ALPHA = 1e-4  # of each test of a distribution, with a fixed seed
THETA = {"V_th": -54.0, "tau_m": 9.0, "g_L": 9.5, "V_reset": -73.0, "V_init": -71.0, "E_L": -69.0}
STIMULUS = np.stack([np.full(1000, 200.0), np.linspace(0.0, 500.0, 1000)])


@pytest.fixture(scope="module")
def model():
    return fp.lif()


@pytest.fixture(scope="module")
def driven():
    """A cell under two stimuli."""
    return fp.lif(stimulus=STIMULUS)


@pytest.fixture(scope="module")
def traces(model):
    """500 traces from the prior: parameters (n, 6), voltage and spikes (n, 1000)."""
    rows = oracle.draw_parameters(500, seed=1)
    made = model.likelihood(named(rows), seed=2)
    return rows, made["voltage"][:, 0], made["spikes"][:, 0]


def named(rows):
    return dict(zip(lif_simulator.PARAMETERS, rows.T, strict=True))


def one(made):
    """Take the first cell."""
    return {name: value[0] for name, value in made.items()}


def cell(**changes):
    return {name: np.array([changes.get(name, value)]) for name, value in THETA.items()}


@pytest.mark.parametrize("settings", [{}, {"tref": 0.0, "v_clip": (-70.0, 100.0)}])
def test_traces_of_the_same_current_and_noise_are_those_of_the_loop(settings):
    recording = Recording(**settings)
    rows, rng = oracle.draw_parameters(60, seed=3), np.random.default_rng(4)
    current, noise = 210 + 60 * rng.standard_normal((60, 1000)), rng.standard_normal((60, 1000))
    voltage, spikes = lif_simulator.trace(named(rows), current, noise, recording=recording)
    low, high = recording.v_clip
    looped = [
        oracle.simulate(*given, refractory=recording.refractory, v_low=low, v_high=high)
        for given in zip(rows, current, noise, strict=True)
    ]
    assert np.array_equal(spikes, np.stack([s for _, s in looped]))
    assert np.abs(voltage - np.stack([v for v, _ in looped])).max() < 1e-10
    assert spikes.sum() > 300


def test_drawn_traces_are_distributed_as_those_of_the_loop(traces):
    rows, voltage, spikes = traces
    rng = np.random.default_rng(5)
    looped = [oracle.draw_trace(rng, row) for row in rows]
    theirs, their_spikes = (np.stack(part) for part in zip(*looped, strict=True))
    for ours, other in (
        (spikes.sum(axis=1), their_spikes.sum(axis=1)),
        (voltage.mean(axis=1), theirs.mean(axis=1)),
        (voltage.std(axis=1), theirs.std(axis=1)),
        (np.diff(voltage, axis=1).std(axis=1), np.diff(theirs, axis=1).std(axis=1)),
        (voltage[:, -1], theirs[:, -1]),
        ((voltage * np.roll(voltage, 7, axis=1)).mean(axis=1), (theirs * np.roll(theirs, 7, axis=1)).mean(axis=1)),
    ):
        assert stats.ttest_rel(ours, other).pvalue > ALPHA  # the same parameters, row by row
        assert stats.ks_2samp(ours, other).pvalue > ALPHA


def test_spikes_reset_hold_and_begin_below_the_threshold(traces):
    rows, voltage, spikes = traces
    assert not spikes[:, [0, -1]].any()
    for row, v, s in zip(rows, voltage, spikes, strict=True):
        places = np.flatnonzero(s)
        assert (np.diff(places) > 10).all()
        held = [v[k : min(k + 11, 999)] for k in places]
        if held:
            assert abs(np.concatenate(held).mean() - row[3]) < 5 / np.sqrt(11 * len(held))
    assert 0.02 < (spikes.sum(axis=1) == 0).mean() < 0.2


def test_a_trace_is_the_same_in_whatever_batch(model):
    theta = model.prior(300, seed=6)
    many = model.likelihood(theta, trials=2, seed=7)
    few = model.likelihood({name: value[:5] for name, value in theta.items()}, trials=2, seed=7)
    for name in ("voltage", "spikes"):
        assert many[name].shape == (300, 2, 1000)
        assert np.array_equal(many[name][:5], few[name])
    other = model.likelihood(theta, trials=2, seed=8)["voltage"]
    assert (
        abs(np.corrcoef((many["voltage"] - other)[:, 0].ravel(), (many["voltage"] - other)[:, 1].ravel())[0, 1]) < 0.05
    )


def test_normal_numbers_from_counters_are_normal_and_independent():
    import jax
    import jax.numpy as jnp

    counters = jnp.arange(100_000, dtype=jnp.uint32)

    def draw(key):
        return _counters.two_normals(*_counters.threefry(key, counters, jnp.full_like(counters, 3)))

    first, second = (np.asarray(x) for x in jax.jit(draw)(jnp.array([1, 2], dtype=jnp.uint32)))
    for numbers in (first, second, (first + second) / np.sqrt(2)):
        assert stats.kstest(numbers, "norm").pvalue > ALPHA
    assert stats.kstest(np.arctan2(first, second) / (2 * np.pi) + 0.5, "uniform").pvalue > ALPHA
    for a, b in ((first, second), (np.abs(first), second), (first**2, second**2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(100_000)
    edges = jnp.array([0, 2**32 - 1], dtype=jnp.uint32)
    extreme = np.array([_counters.two_normals(a, b) for a in edges for b in edges])
    assert np.isfinite(extreme).all()
    assert 5.8 < np.abs(extreme).max() < 6.0


def test_the_simulator_for_bayesflow_gives_series_with_a_channel(model):
    drawn = model.simulator(seed=1).sample((4,))
    assert {name: drawn[name].shape for name in ("voltage", "spikes")} == {
        "voltage": (4, 1000, 1),
        "spikes": (4, 1000, 1),
    }
    assert drawn["V_th"].shape == (4, 1)
    again = model.likelihood({name: drawn[name][:, 0] for name in model.parameter_names}, seed=0)["voltage"]
    assert abs((drawn["voltage"][:, :20, 0] - again[:, 0, :20]).mean()) < 1.0  # near V_init, whatever the noise
    assert model.simulator(trials=3).sample((2,))["voltage"].shape == (2, 3, 1000, 1)
    assert fp.ddm().simulator(trials=3).sample((2,))["rt"].shape == (2, 3)


def test_traces_take_the_stimuli_in_turn(driven):
    made = driven.likelihood(cell(), trials=5, seed=1)
    assert made["stimulus"].shape == made["voltage"].shape == (1, 5, 1000)
    assert np.array_equal(made["stimulus"][0], STIMULUS[[0, 1, 0, 1, 0]])
    counts = made["spikes"].sum(axis=2)[0]
    assert counts[[0, 2, 4]].max() < counts[[1, 3]].min()
    x = driven.schema.read(one(made))
    assert x.shape == (5, 3000)
    assert np.array_equal(x[:, 2000:], STIMULUS[[0, 1, 0, 1, 0]])
    swapped = {**one(made), "condition": [1, 0, 1, 0, 1]}
    del swapped["stimulus"]
    assert np.array_equal(driven.schema.read(swapped)[:, 2000:], STIMULUS[[1, 0, 1, 0, 1]])
    wrong, right = (driven.approximate.log_prob(data, **THETA) for data in (swapped, one(made)))
    assert (wrong < right - 100).all()
    rows = driven.exact.simulate(
        {name: np.repeat(value, 4) for name, value in cell().items()}, np.random.default_rng(1)
    )
    assert np.array_equal(rows[:, 2000:], STIMULUS[[0, 1, 0, 1]])


def test_without_noise_in_the_current_the_likelihood_is_that_of_the_path():
    still = fp.lif(I_std=0.0)
    made = one(still.likelihood(cell(), trials=2, seed=1))
    path, spikes = lif_simulator.trace(
        cell(), np.full((1, 1000), 200.0), np.zeros((1, 1000)), recording=Recording(I_std=0.0)
    )
    assert np.array_equal(made["spikes"], np.repeat(spikes, 2, axis=0))
    expected = stats.norm.logpdf(made["voltage"], path).sum(axis=1)
    assert np.allclose(still.exact.log_prob(made, **THETA), expected, atol=1e-3)  # float32 voltages
    assert (still.exact.log_prob(made, **{**THETA, "V_th": -56.0}) == -np.inf).all()


def test_what_a_constant_current_drives_is_possible_under_its_own_parameters():
    """One rounding moves a spike by a sample, which without noise of the current cannot be."""
    still = fp.lif(I_std=0.0)
    theta = still.prior(200, seed=3)
    data = still.likelihood(theta, seed=4)
    for i in range(200):
        x = still.exact.read({name: values[i] for name, values in data.items()})
        assert np.isfinite(still.exact.summed(x, {name: values[i : i + 1] for name, values in theta.items()})).all()


def test_likelihoods_have_one_entry_for_each_trace(model):
    made = one(model.likelihood(cell(), trials=3, seed=3))
    tau = np.array([8.0, 9.0, 10.0])
    for likelihood in (model.exact, model.approximate):
        each = likelihood.log_prob(made, **{**THETA, "tau_m": np.full(3, 9.0)})
        apart = likelihood.log_prob(made, **{**THETA, "tau_m": tau})
        turned = likelihood.log_prob({k: v[::-1] for k, v in made.items()}, **{**THETA, "tau_m": tau[::-1].copy()})
        assert apart[1] == pytest.approx(each[1], abs=1e-8)
        assert np.allclose(turned[::-1], apart, rtol=0, atol=1e-8)
        assert (abs(apart - each)[[0, 2]] > 1e-3).all()
        x, theta = likelihood.read(made), {name: np.repeat(value, 2) for name, value in cell().items()}
        each_draw = {**theta, "tau_m": np.stack([tau, np.full(3, 9.0)])}
        summed = likelihood.summed(x, {k: v if v.ndim > 1 else v[:, None] for k, v in each_draw.items()})
        assert np.allclose(summed, [apart.sum(), each.sum()], atol=1e-5)
        assert np.allclose(likelihood.summed(x, theta), each.sum(), atol=1e-5)
    assert (model.exact.kind, model.approximate.kind) == ("exact", "approximate")
    assert model.exact.joint == model.approximate.joint == model.joint
    assert list(model.exact.trials(made)["spikes"]) == made["spikes"].sum(axis=1).tolist()


def test_the_truth_is_more_likely_than_draws_of_the_prior(model, traces):
    rows, voltage, spikes = traces
    x = model.exact.read({"voltage": voltage[:5], "spikes": spikes[:5]})
    drawn = model.prior(100, seed=9)
    for i in range(5):
        assert (
            model.exact.summed(x[i : i + 1], named(rows[i : i + 1])) > model.exact.summed(x[i : i + 1], drawn).max() - 3
        )


def test_summaries_are_the_mean_over_traces(model, driven):
    for some in (model, driven):
        made = one(some.likelihood(cell(), trials=2, seed=4))
        x = some.schema.read(made)
        each = some.statistics.of_trials(x)
        assert each.shape == (2, len(some.statistics.names))
        assert np.allclose(some.summary(x[None])[0], each.mean(axis=0))
        assert np.allclose(some.summary(x[:, None]), each)


def test_settings_rebuild_the_model():
    made = fp.lif(
        T=40.0, tref=1.0, stimulus=np.full(200, 150.0), v_clip=(-90.0, 50.0), bounds={"V_th": (-58.0, -52.0)},
        prior={"E_L": (-68.0, 3.0, -74.0, -61.0), "g_L": {"location": 2.2, "scale": 0.3}},
    )  # fmt: skip
    settings = json.loads(json.dumps(dict(made.settings)))
    again = registry.make("lif", bounds={p.name: p.bounds for p in made.parameters}, **settings)
    assert again.settings == made.settings
    assert again.joint == made.joint
    assert [p.bounds for p in again.parameters] == [p.bounds for p in made.parameters]
    assert made.exact.box["V_th"] == (-58.0, -52.0)
    drawn = made.prior(2000, seed=1)
    assert drawn["E_L"].min() > -74.0
    assert 2.1 < np.log(drawn["g_L"]).mean() < 2.3
    assert np.array_equal(made.likelihood(made.prior(2, seed=1), seed=1)["voltage"],
                          again.likelihood(again.prior(2, seed=1), seed=1)["voltage"])  # fmt: skip


def test_a_family_is_a_setting():
    model = fp.lif(prior={"tau_m": {"family": "TruncatedNormal", "location": 10.0, "scale": 2.0}})
    assert stats.kstest(model.prior(2000, seed=1)["tau_m"], stats.truncnorm(-2.5, 5, 10, 2).cdf).pvalue > ALPHA


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"T": 200.1}, "T must be a multiple of dt=0.2 ms; got 200.1"),
        ({"T": 0.4}, "at least three time steps"),
        ({"T": -1.0}, "T must be a positive time"),
        ({"dt": 0.0}, "dt must be a positive time"),
        ({"dt": np.nan}, "dt must be a finite number"),
        ({"dt": "fast"}, "dt must be a finite number; got 'fast'"),
        ({"dt": 5.0, "tref": 5.0}, "tau_m must stay above dt=5 ms"),
        ({"tref": -1.0}, "tref must be a time in ms, at least 0"),
        ({"tref": 0.3}, "tref must be a multiple of dt"),
        ({"tref": 300.0}, "tref must be shorter than T"),
        ({"I_std": -5.0}, "I_std must be a current in pA, at least 0"),
        ({"obs_noise_std": 0.0}, "obs_noise_std must be a positive voltage"),
        ({"v_clip": (100.0, -100.0)}, "the upper end of v_clip must be above its lower end"),
        ({"v_clip": 100.0}, "v_clip must be two voltages"),
        ({"v_clip": (-80.0, 100.0)}, "v_clip must enclose all voltages"),
        ({"stimulus": np.zeros(500)}, r"stimulus must have shape \(1000,\) or \(condition, 1000\).*got \(500,\)"),
        ({"stimulus": np.full(1000, np.nan)}, "stimulus must be finite; 1000 of 1000"),
        ({"stimulus": "step"}, "stimulus must be currents in pA"),
        ({"noise": 1.0}, "lif takes bounds, prior and the settings T, dt"),
        ({"bounds": {"tau": (5, 20)}}, "bounds and prior name"),
        ({"bounds": {"tau_m": (0.0, 20.0)}}, "lower bound must be positive"),
        ({"bounds": {"tau_m": (0.1, 20.0)}}, "tau_m must stay above dt=0.2 ms"),
        ({"bounds": {"g_L": (-1.0, 15.0)}}, "lower bound must be positive"),
        ({"bounds": {"V_th": (-70.0, -50.0)}}, "V_th must lie above V_reset and V_init"),
        ({"bounds": {"V_init": (-85.2, -65.0)}}, "the prior cannot be satisfied: with V_init at its lower bound"),
        ({"prior": {"V_th": (-55.0, 2.0)}}, r"the prior of V_th must be \(location, scale, lower, upper\)"),
        ({"prior": {"V_th": {"mean": -55.0}}}, "the prior of V_th has family, location"),
        ({"prior": {"V_th": {"scale": -1.0}}}, "scale > 0"),
        ({"prior": {"V_th": {"family": "Uniform"}}}, "TruncatedNormal or ClippedLogNormal"),
        ({"prior": {"V_init": (-70.0, 2.0, -64.0, -66.0)}}, "lower < upper"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ModelError, match=words):
        fp.lif(**settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tau_m": 0.0}, "tau_m > 0"),
        ({"g_L": -1.0}, "g_L > 0"),
        ({"V_th": -80.0}, "V_th > V_reset"),
        ({"E_L": np.nan}, r"1 of 1 rows are not so \(first: row 0"),
    ],
)
def test_parameters_that_make_no_neuron_are_refused(model, change, words):
    with pytest.raises(ModelError, match=words):
        lif_simulator.trace(cell(**change), np.zeros((1, 1000)), np.zeros((1, 1000)), recording=Recording())
    with pytest.raises(ModelError, match="must lie in"):
        model.likelihood(cell(**change), seed=1)


def test_shapes_of_given_currents_must_fit():
    with pytest.raises(ModelError, match=r"current and noise must have shape \(1, 1000\)"):
        lif_simulator.trace(cell(), np.zeros(1000), np.zeros((1, 1000)), recording=Recording())
    with pytest.raises(DataError, match="must have 1000 samples"):
        fp.lif().exact.log_prob({"voltage": np.full(10, -70.0), "spikes": np.zeros(10)}, **THETA)


@pytest.mark.slow
def test_the_exact_posterior_is_calibrated(model):
    """SBC with 100 traces through importance sampling; parameters, log likelihood and a data-dependent quantity."""
    found = fp.diagnostics.sbc(model.exact, model, datasets=100, trials=1, seed=11)
    assert found.ok, found.verdict
