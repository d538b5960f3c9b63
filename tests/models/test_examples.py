"""The example data are what their maker makes, and say what made them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError
from firstpassage.models.lif_traces import detect_spikes

ROOT = Path(__file__).resolve().parents[2]


def maker(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["make_foraging_session", "make_lif_recording"])
def test_the_maker_makes_the_files_that_are_shipped(name):
    for file, content in maker(name).files().items():
        assert (ROOT / "src" / "firstpassage" / "data" / file).read_bytes() == content.encode()


def test_the_session_is_one_of_the_models_task():
    sites = fp.example("foraging")
    constants = sites.attrs["constants"]
    assert {name: fp.foraging().settings[name] for name in constants} == constants
    visits = fp.foraging().exact.trials(sites)
    assert 200 <= len(visits) <= 300
    assert visits["left"].mean() > 0.98
    assert sites.groupby(["session", "patch"])["odor"].nunique().max() == 1
    steps = sites.groupby(["session", "patch"])["patch_time"].diff().dropna()
    assert steps.min() > 70 / 88.73 - 1e-6


def test_the_odors_differ_in_two_parameters():
    truth = fp.example("foraging").attrs["truth"]
    assert {name for name in truth["A"] if truth["A"][name] != truth["B"][name]} == {"drift_rate", "reward_bump"}


def test_the_recording_is_one_that_the_model_can_make():
    recording = fp.example("lif")
    truth, constants = recording.attrs["truth"], recording.attrs["constants"]
    model = fp.lif()
    assert {name: model.settings[name] for name in constants} == constants
    assert np.isfinite(model.log_prior({name: np.array([value]) for name, value in truth.items()})).all()
    found = model.schema.table(recording)
    assert found["trace"].tolist() == [1, 2, 3]
    assert found["spikes"].tolist() == recording.groupby("trace")["spikes"].sum().tolist()
    assert found["spikes"].min() >= 5
    traces = recording["voltage"].to_numpy().reshape(3, -1)
    assert np.array_equal(detect_spikes(traces, model.settings), recording["spikes"].to_numpy().reshape(3, -1))
    start = recording.loc[recording["time"] == 0.0, "voltage"]
    assert (abs(start - truth["V_init"]) < 4 * constants["obs_noise_std"]).all()


def test_there_are_no_other_examples():
    with pytest.raises(DataError, match=r"no example 'moons'; the examples are: foraging"):
        fp.example("moons")
