"""ONNX files give what the likelihoods give, edges and impossible data included, without JAX."""

import json

import jax
import numpy as np
import onnx
import onnxruntime
import pytest

import firstpassage as fp


@pytest.fixture(scope="module")
def likelihoods():
    return {"exact": fp.ddm().exact, "nle": fp.pretrained("ddm", "nle"), "nre": fp.pretrained("ddm", "nre")}


FLOOR = -66.0  # below it only the relative error matters


def rows(likelihood, n):
    """Parameters in the box and on its edges, times from .1 ms to 100 s after the non-decision time, and before it."""
    rng = np.random.default_rng(3)
    theta = np.stack([rng.uniform(*p.bounds, n) for p in likelihood.parameters], axis=1)
    for i, p in enumerate(likelihood.parameters):
        theta[i::20, i] = p.bounds[i % 2]
    theta[7::50, 0] = 3.5  # outside
    rt = theta[:, 3] + 10 ** rng.uniform(-4, 2, n)
    rt[11::50] = np.maximum(theta[11::50, 3] / 2, 0.01)
    return np.column_stack([theta, rt, rng.choice([-1.0, 1.0], n)]).astype(np.float32)


def ours(likelihood, table):
    theta = {name: table[:, i] for i, name in enumerate(likelihood.parameter_names)}
    with jax.enable_x64(False):
        return np.asarray(likelihood.compiled(table[:, len(theta) :], theta))


def agree(found, expected):
    finite = np.isfinite(expected)
    assert np.array_equal(np.isneginf(found), np.isneginf(expected))
    error = np.abs(found[finite] - expected[finite])
    allowed = np.where(expected[finite] > FLOOR, 1e-4, 1e-5 * np.abs(expected[finite]))
    assert (error <= allowed).all(), error.max()


@pytest.mark.parametrize("name", ["exact", "nle", "nre"])
def test_batches_of_any_size_give_what_the_likelihood_gives(likelihoods, tmp_path, name):
    likelihood = likelihoods[name]
    session = onnxruntime.InferenceSession(fp.to_onnx(likelihood, tmp_path / "batch.onnx", batch=True))
    table = rows(likelihood, 4000)
    expected = ours(likelihood, table)
    assert 0.02 < np.isneginf(expected).mean() < 0.2
    for n in (1, 7, 4000):
        (found,) = session.run(None, {"input": table[:n]})
        assert found.shape == (n, 1)
        agree(found[:, 0], expected[:n])


def test_a_single_trial_gives_what_the_likelihood_gives(likelihoods, tmp_path):
    likelihood = likelihoods["nle"]
    session = onnxruntime.InferenceSession(fp.to_onnx(likelihood, tmp_path / "trial.onnx"))
    table = rows(likelihood, 200)
    found = np.concatenate([session.run(None, {"input": row})[0] for row in table])
    agree(found, ours(likelihood, table))


def test_a_file_says_what_it_holds(likelihoods, tmp_path):
    likelihood = likelihoods["nre"]
    model = onnx.load(fp.to_onnx(likelihood, tmp_path / "ddm.onnx"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["firstpassage.inputs"]) == ["v", "a", "z", "t", "rt", "response"]
    assert json.loads(metadata["firstpassage.box"])["a"] == list(likelihood.box["a"])
    assert metadata["firstpassage.kind"] == "nre" and "unknown constant" in model.doc_string
    assert {opset.domain for opset in model.opset_import} == {""}, "a file needs standard operations only"


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(fp.ModelError, match="does not know"):
        fp.to_onnx(fp.foraging().exact, tmp_path / "foraging.onnx")
    with pytest.raises(fp.ModelError, match="takes a likelihood"):
        fp.to_onnx(fp.ddm(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(fp.ArtefactError, match="cannot write"):
        fp.to_onnx(fp.ddm().exact, tmp_path / "no" / "such" / "folder.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        fp.NLE(fp.ddm(), flow="spline", widths=(16,), activation="tanh"),
        fp.NLE(fp.ddm(), flow="affine", widths=(16,), activation="relu"),
        fp.NRE(fp.ddm(), widths=(16, 16), network="resnet", activation="mish"),
        fp.NLE(fp.gaussian(), flow="maf", widths=(16,)),
    ],
    ids=["spline", "affine", "resnet", "maf"],
)
def test_other_networks_are_exported_too(tmp_path, settings):
    """The reference implementation is compared with the likelihood before a file is written."""
    learned = settings.fit(budget=20_000, seed=1)
    for batch in (True, False):
        assert fp.to_onnx(learned, tmp_path / f"{batch}.onnx", batch=batch).exists()
