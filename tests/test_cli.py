"""The command line: what it prints where, how it ends, and what it leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app
from firstpassage.estimators import bundle
from firstpassage.pipeline import _catalogue, _train

TRUTH = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
QUICK = ("--draws", "100", "--tune", "150", "--chains", "2")


def call(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    simulated = fp.ddm().likelihood({k: np.array([x]) for k, x in TRUTH.items()}, trials=48, seed=1)
    path = tmp_path_factory.mktemp("data") / "trials.csv"
    table = pd.DataFrame({"RT": simulated["rt"][0], "choice": simulated["response"][0].astype(int), "stim": "LL"})
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def fitted(trials, tmp_path_factory):
    """One fit by the exact likelihood, and by the same under the name of the learned one."""
    exact = fp.ddm().exact
    known = {"exact": exact, "nre": dataclasses.replace(exact, kind="nre")}
    into = tmp_path_factory.mktemp("runs") / "run"
    columns = ("--rt", "RT", "--response", "choice", "--by", "stim")
    command = ("fit", "ddm", trials, "--method", "nre", "--method", "exact", "--into", into, *columns, *QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_catalogue, "find", lambda model, methods, *, estimator: {m: known[m] for m in methods})
        printed, as_json = call(*command), call(*command, "--json")
    return into, printed, as_json


def test_a_fit_prints_table_verdicts_and_last_its_folder(fitted):
    into, printed, _ = fitted
    lines = printed.stdout.rstrip().splitlines()
    assert lines[-1] == str(into)
    assert "stim=LL, nre: " in printed.stdout
    assert "stim=LL, exact: " in printed.stdout
    assert "half the boundary separation" in printed.stdout
    assert "the exact posterior: largest shift" in printed.stdout
    assert "sampling stim=LL, exact (2 of 2)" in printed.stderr
    assert "Traceback" not in printed.stderr


def test_a_fit_recovers_the_truth(fitted):
    summary = pd.read_csv(fitted[0] / "summary.csv", index_col="parameter")
    for name, value in TRUTH.items():
        row = summary[summary["method"] == "exact"].loc[name]
        assert abs(row["mean"] - value) < 3.5 * row["sd"]


@pytest.mark.slow
def test_corrected_draws_of_the_shipped_posterior_are_those_of_the_exact_likelihood(fitted, trials, tmp_path):
    columns = ("--rt", "RT", "--response", "choice", "--draws", "500", "--chains", "2")
    command = ("fit", "ddm", trials, "--into", tmp_path / "run", *columns, "--method", "npe", "--correct")
    done = call(*command)
    assert done.exit_code == 0
    assert "1000 independent draws from the network, corrected by the exact likelihood: Pareto k" in done.stdout
    summary = pd.read_csv(tmp_path / "run" / "summary.csv", index_col="parameter")
    exact = pd.read_csv(fitted[0] / "summary.csv", index_col="parameter").query("method == 'exact'")
    for name in TRUTH:
        error = exact.loc[name, "sd"] * np.sqrt(1 / exact.loc[name, "ess_bulk"] + 1 / summary.loc[name, "ess_bulk"])
        assert summary.loc[name, "mean"] == pytest.approx(exact.loc[name, "mean"], abs=5 * error)


def test_numbers_of_trials_that_the_shipped_posterior_was_not_trained_for_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text(GOOD)
    done = call("fit", "ddm", tmp_path / "t.csv", "--into", tmp_path / "run", "--method", "npe")
    assert done.exit_code == 2
    assert "npe was trained for 20 to 1000 trials; 1 of 1 data sets" in done.stderr
    assert "--correct" in done.stderr
    assert not (tmp_path / "run").exists()


def test_json_is_one_object_and_nothing_else(fitted):
    into, _, as_json = fitted
    found = json.loads(as_json.stdout)
    assert as_json.stdout.count("\n") == 1
    assert found["path"] == str(into)
    assert set(found["groups"]["stim=LL"]["methods"]) == {"nre", "exact"}
    for numbers in found["groups"]["stim=LL"]["agreement"]["nre"].values():
        assert abs(numbers["shift"]) < 6 * numbers["shift_se"], "both are the exact likelihood"


def test_the_exit_code_tells_whether_the_draws_may_be_used(fitted):
    _, printed, as_json = fitted
    assert printed.exit_code == as_json.exit_code == (0 if json.loads(as_json.stdout)["ok"] else 1)


def test_other_settings_in_the_same_folder_are_refused(fitted, trials):
    into = fitted[0]
    before = (into / "summary.csv").read_bytes()
    done = call("fit", "ddm", trials, "--into", into, "--method", "exact", "--rt", "RT", "--response", "choice")
    assert done.exit_code == 2
    assert "holds another run" in done.stderr
    assert (into / "summary.csv").read_bytes() == before


GOOD = "rt,response\n.5,1\n.7,-1\n.9,1\n"
BAD = {
    "missing file": (None, (), "there is no file"),
    "empty file": ("", (), "is empty"),
    "no trials": ("rt,response\n", (), "no trials"),
    "wrong columns": ("time,key\n.5,1\n", (), "has no column rt, response"),
    "wrong --rt": (GOOD, ("--rt", "RT"), "has no column RT"),
    "wrong --by": (GOOD, ("--by", "id"), "has no column id"),
    "semicolons": ("rt;response\n.5;1\n", (), "semicolons"),
    "0/1": ("rt,response\n.5,1\n.7,0\n.9,1\n", (), "0/1 by 2 * response - 1"),
    "milliseconds": ("rt,response\n500,1\n700,-1\n900,1\n", (), "Divide by 1000"),
    "negative rt": ("rt,response\n.5,1\n-.7,-1\n.9,1\n", (), "positive seconds"),
    "missing rt": ("rt,response\n.5,1\n,-1\n.9,1\n", (), "not missing"),
    "sentinel": ("rt,response\n.5,1\n-999,-1\n.9,1\n", (), "-999"),
    "words": ("rt,response\n.5,left\n.7,right\n", (), "must be numbers"),
    "slow rt": ("rt,response\n.5,1\ninf,-1\n.9,1\n", (), "must be finite"),
    "unknown method": (GOOD, ("--method", "abc"), "there is no method 'abc'"),
    "unknown prior": (GOOD, ("--prior", "flat"), "there is no prior 'flat'"),
    "no draws": (GOOD, ("--draws", "0"), "draws must be"),
    "negative draws": (GOOD, ("--draws", "-5"), "draws must be"),
    "short tuning": (GOOD, ("--tune", "1"), "tune must be"),
    "no chains": (GOOD, ("--chains", "0"), "chains must be"),
    "negative seed": (GOOD, ("--seed", "-1"), "seed must lie"),
    "huge seed": (GOOD, ("--seed", str(2**64)), "seed must lie"),
    "no bundle": (GOOD, ("--method", "nre", "--estimator", "nowhere"), "no bundle at nowhere"),
    "estimator of another kind": (
        GOOD, ("--method", "nle", "--estimator", str(bundle.shelf() / "ddm-nre")), "is the nre estimator of ddm",
    ),
    "correction without npe": (GOOD, ("--correct",), "only draws of npe can be corrected"),
    "another prior for npe": (GOOD, ("--method", "npe", "--prior", "reference"), "npe has the prior"),
    "idle estimator": (GOOD, ("--estimator", "nowhere"), "only the exact likelihood"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "options", "said"), BAD.values(), ids=BAD)
def test_bad_input_ends_in_one_line_and_leaves_nothing(tmp_path, text, options, said):
    table, into = tmp_path / "t.csv", tmp_path / "run"
    if text is not None:
        table.write_text(text)
    done = call("fit", "ddm", table, "--into", into, "--method", "exact", *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not into.exists()


def test_an_unknown_model_is_refused(tmp_path):
    done = call("fit", "moons", "t.csv", "--into", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: there is no model 'moons'")


def test_an_output_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text(GOOD)
    (tmp_path / "run").write_text("mine")
    done = call("fit", "ddm", tmp_path / "t.csv", "--into", tmp_path / "run", "--method", "exact")
    assert done.exit_code == 2
    assert "is a file" in done.stderr
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("options", [("--bogus",), ("--draws", "many"), ()], ids=str)
def test_what_cannot_be_parsed_is_refused(options):
    done = call("fit", "ddm", "t.csv", *options)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("kind", "options"), [("nre", ()), ("nle", ()), ("npe", ("--trials", "20,50"))], ids=["nre", "nle", "npe"]
)
def test_a_stopped_training_says_how_to_go_on(tmp_path, monkeypatch, kind, options):
    class Halting({"nre": fp.NRE, "nle": fp.NLE, "npe": fp.NPE}[kind]):
        """Checkpoint one epoch, then be stopped."""

        def fit(self, *, budget, seed, into, progress):
            (into / "checkpoint.npz").write_bytes(b"epoch 1")
            raise KeyboardInterrupt

    monkeypatch.setitem(_train._ESTIMATORS, kind, Halting)
    chosen = ("--method", kind, "--budget", "5000", "--seed", "7", *options)
    command = ("train", "ddm", *chosen, "--into", tmp_path / "run")
    done = call(*command)
    assert done.exit_code == 130
    assert "go on" in done.stderr
    assert "firstpassage " + " ".join(map(str, command)) in done.stderr
    assert (tmp_path / "run" / "checkpoint.npz").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget", "5"), "budget must be an integer of at least 1024 trials"),
        (("--budget", "5", "--method", "npe"), "budget must be an integer of at least 512 data sets"),
        (("--budget", "5000", "--method", "abc"), "cannot be trained"),
        (("--budget", "5000", "--method", "nle", "--trials", "20,50"), "belongs to npe"),
        (("--budget", "5000", "--method", "npe", "--trials", "few"), "--trials must be one number or two"),
        (("--budget", "5000", "--method", "npe", "--trials", "1,2,3"), "--trials must be one number or two"),
        (("--budget", "5000", "--method", "npe", "--trials", "50,20"), "from the smaller to the larger"),
    ],
)
def test_bad_training_settings_are_refused(tmp_path, options, said):
    done = call("train", "ddm", "--into", tmp_path / "run", *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_models_lists_every_parameter_with_its_box():
    text = call("models").stdout
    assert "HALF the boundary separation" in text
    found = json.loads(call("models", "--json").stdout)["models"]["ddm"]["parameters"]
    assert {name: tuple(p["box"]) for name, p in found.items()} == fp.ddm().exact.box


def test_models_lists_what_is_shipped():
    shipped = [kind for model, kind in bundle.list_shipped() if model == "ddm"]
    assert json.loads(call("models", "--json").stdout)["models"]["ddm"]["shipped"] == shipped
    assert f"ddm: fit by {', '.join(['exact', *shipped])}" in call("models").stdout


@pytest.mark.slow
def test_doctor_ends_with_one_if_there_is_a_problem():
    done = call("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == (0 if found["ok"] else 1)
    assert {check["name"]: check["ok"] for check in found["checks"]}["exact density"]


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def test_help_takes_less_than_half_a_second_of_processor_time():
    before = os.times()
    done = python("-m", "firstpassage", "--help")
    after = os.times()
    assert "doctor" in done.stdout
    assert (after.children_user - before.children_user) + (after.children_system - before.children_system) < 0.5


def test_the_module_ends_expected_errors_with_code_two_and_no_traceback():
    done = python("-m", "firstpassage.cli", "fit", "ddm", "missing.csv", "--into", "never-made")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: there is no file missing.csv. Check the path.\n"
