"""Models of one's own: networks chosen by the shape of the data, and training on a table as long as that helps."""

from __future__ import annotations

import numpy as np
import pytest
from numpyro.distributions import Normal

import firstpassage as fp
from firstpassage.estimators import _effort, _ensemble, _scale, _shape, _strided

SD = 0.5  # of prior and of noise: the posterior has mean x / 2 and spread SD / sqrt 2
SMALL = {"widths": (16,), "members": 2}


def _named(*shape):
    """Make a model whose simulator returns an array of this shape for each trial, about its two parameters."""

    def simulate(theta, *, trials, rng):
        mean = np.stack([theta["a"], theta["b"]], axis=1)
        noise = rng.normal(0.0, SD, (len(mean), trials, *shape))
        if shape and shape[0] == 2:
            return {"x": mean[:, None] + noise}
        return {"x": noise + mean[:, 0].reshape(-1, *[1] * (1 + len(shape)))}

    parameters = [fp.Parameter(name, bounds=(-3, 3), prior=Normal(0.0, SD)) for name in ("a", "b")]
    return fp.Model(name="own", parameters=parameters, likelihood=simulate)


MODEL = _named(2)


def _table(n, model=MODEL):
    theta = model.prior(n, seed=1)
    return theta | model.likelihood(theta, trials=1, seed=2)


@pytest.fixture(scope="module")
def trained():
    """Train two mixtures of normals on 2,000 simulations with the default effort."""
    history = []
    settings = fp.NPE(MODEL, flow="mdn", flow_widths=(16,), components=2, summaries=8, **SMALL)
    return settings.fit(simulations=_table(2000), seed=3, progress=history.append), history


FORMS = {
    "numbers": ((), "moments", (20, 1000), "mdn", "mlp"),
    "vector": ((8,), "vector", (1, 1), "maf-spline", "resnet"),
    "series": ((100,), "series", (1, 1), "maf-spline", "resnet"),
    "series of two channels": ((100, 2), "series", (1, 1), "maf-spline", "resnet"),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_shape_of_a_trial_chooses_the_networks(name):
    shape, summary, trials, flow, network = FORMS[name]
    model = _named(*shape)
    assert _shape.of(model).form == name.split(" ")[0]
    settings = fp.NPE(model)
    assert (settings.summary, settings.trials) == (summary, trials)
    assert (fp.NLE(model).flow, fp.NRE(model).network) == (flow, network)
    assert fp.NPE(model, trials=(2, 5)).summary == "moments", "many trials are a set, whatever each is"


def test_networks_of_models_that_say_what_their_data_are_do_not_change():
    assert (fp.NPE(fp.ddm()).summary, fp.NPE(fp.ddm()).widths) == ("moments", (256, 256, 256))
    assert (fp.NLE(fp.gaussian()).flow, fp.NRE(fp.ddm()).network) == ("mdn", "mlp")


def test_columns_with_heavy_tails_are_bent_and_others_are_not():
    rng = np.random.default_rng(1)
    values = np.stack([rng.normal(3, 2, 20_000), rng.standard_cauchy(20_000), rng.uniform(size=20_000)], axis=1)
    scaling = _scale.measure(values)
    np.testing.assert_array_equal(scaling[2], [0, 1, 0])
    placed = _scale.place(values, scaling)
    assert np.abs(placed).max() < 12, "a Cauchy column reaches thousands"
    np.testing.assert_allclose(placed[:, 0].std(), 1.0, atol=1e-5)


def test_the_log_slope_of_a_scaling_is_that_of_finite_differences():
    values = np.random.default_rng(1).standard_cauchy((5000, 2))
    scaling, step = _scale.measure(values), 1e-4
    x = values[:50]
    slopes = (_scale.place(x + step, scaling) - _scale.place(x - step, scaling)) / (2 * step)
    np.testing.assert_allclose(_scale.log_slope(x, scaling), np.log(slopes).sum(1), atol=1e-3)


def test_a_table_without_a_budget_gives_the_conjugate_posterior(trained):
    """Normal prior and normal vector: mean x / 2, within .1 of the posterior's spread on average, spread within 5 %."""
    posterior, _ = trained
    theta = MODEL.prior(40, seed=5)
    data = MODEL.likelihood(theta, trials=1, seed=6)["x"]
    draws = posterior.sample([{"x": x} for x in data], draws=1000, seed=7)["posterior"]
    spread = SD / np.sqrt(2)
    for i, name in enumerate(("a", "b")):
        error = draws[name].values[0].mean(0) - data[:, 0, i] / 2
        assert np.abs(error).mean() < 0.1 * spread
        assert draws[name].values[0].std(0).mean() == pytest.approx(spread, rel=0.05)


def test_training_on_a_table_stops_and_keeps_what_was_best(trained):
    posterior, history = trained
    losses = [record["validation_loss"] for record in history]
    assert len(history) < history[-1]["epochs"], "stopped before all epochs were spent"
    assert not any(record["better"] for record in history[-20:])
    assert posterior.card["validation_loss"] == min(losses)
    assert posterior.card["members"] == 2


def test_the_posterior_of_two_networks_is_the_average_of_theirs(trained, tmp_path):
    posterior, _ = trained
    draws = posterior.sample({"x": [[0.3, -0.2]]}, draws=200, seed=1)
    at = {name: draws["posterior"][name].values[0] for name in ("a", "b")}
    both = posterior.log_prob(at, {"x": [[0.3, -0.2]]})
    np.testing.assert_allclose(both, draws["sample_stats"]["log_q"].values[0], atol=1e-3)
    saved = fp.load(fp.save(posterior, tmp_path / "two"), model=MODEL)
    np.testing.assert_allclose(saved.log_prob(at, {"x": [[0.3, -0.2]]}), both, atol=1e-5)
    grid = np.linspace(-2.9, 2.9, 60)
    places = dict(zip(("a", "b"), (g.ravel() for g in np.meshgrid(grid, grid)), strict=True))
    mass = np.exp(posterior.log_prob(places, {"x": [[0.3, -0.2]]})).sum() * (grid[1] - grid[0]) ** 2
    assert mass == pytest.approx(1.0, abs=0.01)


@pytest.mark.slow
def test_a_small_table_is_not_learned_by_heart():
    """Of 60 simulations a wide network can tell every one; what it learns must still hold for others."""
    settings = fp.NLE(MODEL, flow="mdn", components=4, widths=(64, 64), members=1)
    learned = settings.fit(simulations=_table(60), seed=3)
    theta = MODEL.prior(2000, seed=8)
    x = MODEL.likelihood(theta, trials=1, seed=9)["x"][:, 0]
    truth = Normal(np.stack([theta["a"], theta["b"]], axis=1), SD).log_prob(x).sum(1).mean()
    nothing = Normal(0.0, np.sqrt(2) * SD).log_prob(x).sum(1).mean()
    found = np.mean(learned.log_prob({"x": x}, **theta))
    assert nothing - 0.1 < found < truth, "knows as much as one who does not look at the parameters, or more"


@pytest.mark.parametrize("method", [fp.NLE, pytest.param(fp.NRE, marks=pytest.mark.slow)])
def test_densities_of_members_are_averaged(method):
    kind = {"flow": "mdn"} if method is fp.NLE else {"evidence_widths": (8,), "candidates": 3}
    learned = method(MODEL, patience=1, **SMALL, **kind).fit(simulations=_table(300), seed=3)
    shared, stacked = _ensemble.split(learned.arrays)
    assert _ensemble.count(stacked) == 2
    x, theta = {"x": np.array([[0.3, -0.2], [1.0, 0.4]])}, {"a": 0.2, "b": -0.1}
    from firstpassage.estimators import _assemble

    each = [
        _assemble.assemble(MODEL, {**shared, **{k: v[i] for k, v in stacked.items()}}, learned.card).log_prob(
            x, **theta
        )
        for i in range(2)
    ]
    assert np.abs(each[0] - each[1]).max() > 1e-3, "they started from other weights"
    np.testing.assert_allclose(learned.log_prob(x, **theta), np.logaddexp(*each) - np.log(2), atol=1e-5)


class _StopError(Exception):
    """Stands for an interruption."""


@pytest.mark.slow
def test_an_interrupted_training_on_a_table_goes_on_to_the_same_weights(tmp_path):
    settings, table = fp.NLE(MODEL, flow="mdn", patience=2, **SMALL), _table(200)
    whole = settings.fit(simulations=table, seed=3)

    def stop(record):
        if record["epoch"] == 2:
            raise _StopError

    with pytest.raises(_StopError):
        settings.fit(simulations=table, seed=3, into=tmp_path, progress=stop)
    resumed = settings.fit(simulations=table, seed=3, into=tmp_path)
    for name, value in whole.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], value, err_msg=name)
    again = settings.fit(simulations=table, seed=3, into=tmp_path)
    assert again.card["epochs"] == whole.card["epochs"], "a finished run is loaded"
    with pytest.raises(fp.ArtefactError, match="budget"):
        settings.fit(simulations=table, seed=3, into=tmp_path, budget=2048)


def test_summaries_of_a_series_know_when_something_happened():
    """Both orders of the same values: an average over time could not tell them from each other."""
    from firstpassage.estimators import _amortized

    network = _amortized.StridedNetwork(8, (16,), 4, seed=1)
    x = np.zeros((2, 100, 1), np.float32)
    x[0, 20], x[1, 70] = 1.0, 1.0
    network.build(x.shape)
    found = np.asarray(network(x))
    assert found.shape == (2, 4)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    arrays = {name: np.asarray(value) for name, value in network.named.items()} | network.fixed
    np.testing.assert_allclose(_strided.summaries(arrays, x, activation="silu"), found, atol=1e-6)
    assert _strided.left(100_000) <= 12


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(fp.ModelError, match="Pass budget="):
        fp.NPE(MODEL).fit(seed=1)
    with pytest.raises(fp.ModelError, match="members=2 needs"):
        fp.NLE(MODEL, flow="spline", members=2)
    with pytest.raises(fp.ModelError, match="takes one trial"):
        fp.NPE(MODEL, summary="vector", trials=3)
    with pytest.raises(fp.ModelError, match="64 times"):
        fp.NPE(MODEL, summary="series")


def test_a_member_that_gets_no_better_keeps_its_weights():
    state = _effort._State(
        variables=([], [], [], []), average=[np.array([[5.0], [6.0]])], best=[np.array([[1.0], [2.0]])],
        losses=np.array([0.5, 0.7]),
    )  # fmt: skip
    assert _effort._keep(state, np.array([0.6, 0.2]))
    np.testing.assert_array_equal(state.best[0], [[1.0], [6.0]])
    np.testing.assert_array_equal(state.losses, [0.5, 0.2])
