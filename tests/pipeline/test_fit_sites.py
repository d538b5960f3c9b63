"""A table of sites is fitted from the command line, odor by odor; what is no such table leaves nothing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app
from firstpassage.estimators import bundle
from firstpassage.pipeline import FitSettings, _catalogue, fit_table


def call(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def session():
    sites = fp.example("foraging")
    return sites[sites["session"] == 2]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A session of the example, in centimetres and under other names, by the method that is chosen for it."""
    sites = session().assign(patch_time=lambda table: 88.73 * table["patch_time"])
    path, into = tmp_path_factory.mktemp("data") / "session.parquet", tmp_path_factory.mktemp("runs") / "run"
    sites.rename(columns={"patch_time": "distance"}).to_parquet(path)
    options = ("--by", "odor", "--columns", "patch_time=distance", "--unit", "cm", "--draws", "200")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "list_shipped", lambda: [])
        done = call("fit", "foraging", path, "--into", into, *options)
    return into, done


def test_a_fit_recovers_the_truth_of_both_odors(fitted):
    into, done = fitted
    assert done.exit_code == 0, done.stderr
    summary = pd.read_csv(into / "summary.csv").set_index(["odor", "parameter"])
    assert set(summary["method"]) == {"exact"}
    for odor, truth in fp.example("foraging").attrs["truth"].items():
        for name, value in truth.items():
            row = summary.loc[odor, name]
            assert abs(row["mean"] - value) < 3.5 * row["sd"]


def test_trials_are_visits_everywhere(fitted):
    into, done = fitted
    visits = session().groupby("patch")["odor"].first().value_counts()
    found = json.loads((into / "metrics.json").read_text())["groups"]
    assert {name: group["trials"] for name, group in found.items()} == {f"odor={k}": n for k, n in visits.items()}
    assert "visits" in done.stdout.splitlines()[1]
    assert "<th>visits</th>" in (into / "report.html").read_text()
    for path in (into / "figures").glob("*.json"):
        assert f"n = {visits[path.name[0]]} visits" in json.loads(path.read_text())["caption"]


def test_the_verdict_is_one_on_weights_not_on_chains(fitted):
    into, done = fitted
    assert "800 independent draws from an approximation, corrected by the exact likelihood: Pareto k" in done.stdout
    fit = json.loads((into / "metrics.json").read_text())["groups"]["odor=A"]["methods"]["exact"]
    assert fit["pareto_k"] < 0.7
    assert pd.read_csv(into / "summary.csv")["ess_bulk"].max() <= 800
    assert "exact: 800 draws by importance sampling" in (into / "report.html").read_text()


def test_every_group_has_its_figures_and_the_posterior_predicts_its_visits(fitted):
    into, _ = fitted
    names = {f"{odor}-{kind}.png" for odor in "AB" for kind in ("marginals", "pairs", "visits")}
    assert {path.name for path in (into / "figures").glob("*.png")} == names
    inside = []
    for odor in "AB":
        drawn = json.loads((into / "figures" / f"{odor}-visits.json").read_text())[f"odor={odor}"]["exact"]
        for curve in (drawn[name] for name in ("residence", "stops", "hazard")):
            inside += [
                low <= x <= high for x, low, high in zip(*map(curve.get, ("observed", "low", "high")), strict=True)
            ]
    assert len(inside) > 30
    assert np.mean(inside) > 0.8


def window(**changes):
    theta = {"drift_rate": 0.3, "reward_bump": -0.2, "failure_bump": 0.3, "noise_std": 0.1}
    made = fp.foraging().likelihood({k: np.array([v]) for k, v in theta.items()}, seed=1)["window"][0, 0]
    table = pd.DataFrame(made, columns=["patch_time", "reward", "stop"])
    for name, (row, value) in changes.items():
        table.loc[row, name] = value
    return table


LEAVE = int(window()["stop"].argmin())
BAD = {
    "a stop of 2": (window(stop=(3, 2)), (), "stop must be 0 or 1"),
    "reward on a leave": (window(reward=(LEAVE, 1)), (), "a leave (stop = 0) has no reward"),
    "distance falls": (window(patch_time=(1, 0.1)), (), "must grow from site to site"),
    "negative distance": (window(patch_time=(0, -1.0)), (), "must be a positive distance"),
    "missing": (window(patch_time=(2, np.nan)), (), "must be finite"),
    "missing column": (window().drop(columns="reward"), (), "has no column reward"),
    "centimetres": (window().assign(patch_time=lambda t: t["patch_time"] * 88.73), (), "pass --unit cm"),
    "no centimetres": (window(), ("--unit", "cm"), "Leave out --unit"),
    "another unit": (window(), ("--unit", "inch"), "unit must be cm; got 'inch'"),
    "no pairs": (window(), ("--columns", "stop"), "--columns must be pairs"),
    "another column": (window(), ("--columns", "rt=patch_time"), "got a name for rt"),
    "column of another model": (window(), ("--rt", "patch_time"), "got a name for rt"),
    "npe of a table": (window(), ("--method", "npe"), "must be windows of 100 sites"),
    "an odor that changes": (window().assign(odor=[*"AB" * 50]), ("--by", "odor"), "must be the same throughout"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "options", "said"), BAD.values(), ids=BAD)
def test_bad_sites_end_in_one_line_and_leave_nothing(tmp_path, monkeypatch, table, options, said):
    read = fp.models.patches.read_windows
    model = fp.foraging()
    windows = {"npe": _Reader(lambda data: read(data, sites=100)), "exact": model.exact}
    monkeypatch.setattr(_catalogue, "find", lambda model, methods, *, estimator: {m: windows[m] for m in methods})
    table.to_csv(tmp_path / "t.csv", index=False)
    chosen = () if "--method" in options else ("--method", "exact")
    done = call("fit", "foraging", tmp_path / "t.csv", "--into", tmp_path / "run", *chosen, *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


class _Reader:
    """What an amortized posterior does before anything else."""

    trial, trials = "window", (1, 1)

    def __init__(self, read):
        self.read = read


def test_an_npe_that_reads_one_window_is_not_given_two(tmp_path, monkeypatch):
    read = _Reader(lambda data: fp.models.patches.read_windows(data, sites=100))
    monkeypatch.setattr(_catalogue, "find", lambda model, methods, *, estimator: {"npe": read})
    np.save(tmp_path / "two.npy", np.stack([window().to_numpy()] * 2))
    done = call("fit", "foraging", tmp_path / "two.npy", "--into", tmp_path / "run", "--method", "npe")
    assert done.exit_code == 2
    assert "npe was trained for 1 to 1 windows; 1 of 1 data sets have other numbers (first: all, 2)" in done.stderr


def test_a_session_without_a_leave_is_fitted_with_a_warning(tmp_path):
    np.save(tmp_path / "stays.npy", np.stack([np.arange(1, 13) * 0.9, np.zeros(12), np.ones(12)], axis=1))
    settings = FitSettings(model="foraging", methods=("exact",), draws=100, chains=4)
    run = fit_table(tmp_path / "stays.npy", settings, into=tmp_path / "run")
    assert "WARNING all: there is no leave among 12 sites" in (tmp_path / "run" / "run.log").read_text()
    assert run.fits[0].group.trials == 1
    assert "WARNING all: no figure of visits: no visit ended with a leave" in (tmp_path / "run" / "run.log").read_text()
    assert {path.name for path in (tmp_path / "run" / "figures").glob("*.png")} == {
        "all-marginals.png",
        "all-pairs.png",
    }
