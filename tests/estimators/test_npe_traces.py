"""NPE of voltage traces: the time series network has the sizes asked for, trains on tables, and is saved whole."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import ModelError

SIZES = {"hidden": 24, "summaries": 6, "flow": "affine", "layers": 2, "flow_widths": (16,)}
TRAINING = {"batch": 64, "epoch_pairs": 192, "validation": 64, "passes": 1}


@pytest.fixture(scope="module")
def model():
    return fp.lif(T=10.0)


@pytest.fixture(scope="module")
def settings(model):
    return fp.NPE(model, summary="timeseries", **SIZES, **TRAINING)


@pytest.fixture(scope="module")
def table(model):
    theta = model.prior(640, seed=1)
    return theta | model.likelihood(theta, seed=2)


@pytest.fixture(scope="module")
def posterior(settings, table, tmp_path_factory):
    return settings.fit(budget=768, seed=1, simulations=table, into=tmp_path_factory.mktemp("run") / "reference")


def test_one_trace_is_a_data_set(model, settings):
    assert fp.NPE(model).trials == settings.trials == (1, 1)
    assert fp.NPE(model).summary == "moments"
    assert "hidden" not in fp.NPE(model).settings()
    assert fp.NPE(model, summary="timeseries").settings()["hidden"] == 64


@pytest.mark.slow
def test_layers_have_the_sizes_asked_for(settings):
    """BayesFlow 2.1 ignores a ``hidden_dim`` without a word."""
    network, again = (settings.prepare(3, None)[0].summary_network for _ in range(2))
    cells = [v for v in network.trainable_variables if "recurrent_kernel" in v.path]
    assert [tuple(v.shape) for v in cells] == [(24, 3 * 24)] * 4
    assert tuple(network.trainable_variables[-2].shape) == (24, 6)
    assert tuple(network.trainable_variables[0].shape) == (3, 2, 32)
    for ours, theirs in zip(network.variables, again.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_table_is_trained_on_for_several_epochs(posterior):
    assert posterior.card["epochs"] == 4
    assert np.isfinite(posterior.card["validation_loss"])


@pytest.mark.slow
def test_it_sees_the_order_of_the_samples(model, posterior):
    x = model.schema.read({name: value[0] for name, value in model.likelihood(model.prior(1, seed=4), seed=4).items()})
    backwards = np.concatenate([x[:, :50][:, ::-1], x[:, 50:]], axis=1)
    ours, theirs = posterior.summaries([x, backwards])
    assert np.abs(ours - theirs).max() > 1e-3


@pytest.mark.slow
def test_a_saved_one_draws_the_same_inside_the_prior(model, posterior, tmp_path):
    again = fp.load(fp.save(posterior, tmp_path / "bundle"), model=model)
    data = {name: value[0] for name, value in model.likelihood(model.prior(1, seed=3), seed=3).items()}
    ours, theirs = (one.sample(data, draws=500, seed=1)["posterior"] for one in (posterior, again))
    values = {name: ours[name].values for name in model.parameter_names}
    assert np.isfinite(model.joint.log_density(values)).all()
    for name in values:
        np.testing.assert_array_equal(values[name], theirs[name].values)


def test_what_holds_no_series_is_refused(model):
    with pytest.raises(ModelError, match="one trial that holds long series; got the model ddm"):
        fp.NPE(fp.ddm(), summary="timeseries", trials=1)
    with pytest.raises(ModelError, match="one trial that holds long series"):
        fp.NPE(model, summary="timeseries", trials=(1, 3))
