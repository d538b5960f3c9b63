"""The example data are what their maker makes, and say what made them."""

import importlib.util
from pathlib import Path

import pytest

import firstpassage as fp
from firstpassage.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def maker():
    spec = importlib.util.spec_from_file_location(
        "make_foraging_session", ROOT / "scripts" / "make_foraging_session.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_maker_makes_the_files_that_are_shipped():
    for name, content in maker().files().items():
        assert (ROOT / "src" / "firstpassage" / "data" / name).read_bytes() == content.encode()


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


def test_there_are_no_other_examples():
    with pytest.raises(DataError, match=r"no example 'moons'; the examples are: foraging"):
        fp.example("moons")
