"""Voltage traces are fitted from files, cell by cell, on the model's time grid; what is no trace leaves nothing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app
from firstpassage.errors import DataError
from firstpassage.pipeline import FitSettings, _figures, _layouts, _recordings, _tables, fit_table

MODEL = fp.lif()
CELLS = {
    "a": {"V_th": -55.0, "tau_m": 9.0, "g_L": 9.0, "V_reset": -72.0, "V_init": -70.0, "E_L": -68.0},
    "b": {"V_th": -57.0, "tau_m": 12.0, "g_L": 11.0, "V_reset": -74.0, "V_init": -71.0, "E_L": -69.0},
}


def call(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def cell(name="a", *, trials=1, seed=1):
    theta = {k: np.array([v]) for k, v in CELLS[name].items()}
    return {k: v[0] for k, v in MODEL.likelihood(theta, trials=trials, seed=seed).items()}


def table(data, **columns):
    traces, samples = data["voltage"].shape
    rows = {"time": np.tile(np.arange(samples) * 0.2, traces), "voltage": data["voltage"].ravel().astype(float)}
    return pd.DataFrame({**rows, "spikes": data["spikes"].ravel().astype(int), **columns})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Two cells under other names of columns, without spikes, one of them with two traces."""
    one = table(cell(), cell="a", trace="x")
    two = table(cell("b", trials=2), cell="b", trace=np.repeat(["x", "y"], 1000))
    path, into = tmp_path_factory.mktemp("data") / "cells.parquet", tmp_path_factory.mktemp("runs") / "run"
    pd.concat([one, two]).drop(columns="spikes").rename(columns={"voltage": "mV", "trace": "sweep"}).to_parquet(path)
    options = ("--by", "cell", "--columns", "voltage=mV,trace=sweep", "--draws", "250")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figures, "pairs", pairs)  # drawn by the tests of sites
        done = call("fit", "lif", path, "--into", into, *options)
    return into, done


def pairs(rows, path, **rest):
    path.write_bytes(b"")
    path.with_suffix(".json").write_text('{"caption": ""}')
    return path


def test_a_fit_recovers_the_truth_of_both_cells(fitted):
    into, done = fitted
    assert done.exit_code == 0, done.stderr
    summary = pd.read_csv(into / "summary.csv").set_index(["cell", "parameter"])
    assert set(summary["method"]) == {"exact"}
    for name, truth in CELLS.items():
        for parameter, value in truth.items():
            row = summary.loc[name, parameter]
            assert abs(row["mean"] - value) < 4 * row["sd"]


def test_detected_spikes_are_told_with_their_rule(fitted):
    into, done = fitted
    number = int(cell()["spikes"].sum())
    said = f"cell=a: there are no spikes, so that {number} were detected: a spike is the first sample of a fall"
    assert f"WARNING {said}" in (into / "run.log").read_text()
    assert f"warning: {said}" in done.stderr
    assert said in (into / "report.html").read_text()
    notes = json.loads((into / "metrics.json").read_text())["groups"]["cell=a"]["notes"]
    assert len(notes) == 1 and f"cell=a: {notes[0]}".startswith(said)


def test_what_posterior_and_prior_predict_is_in_numbers_words_and_figures(fitted):
    into, done = fitted
    groups = json.loads((into / "metrics.json").read_text())["groups"]
    page = (into / "report.html").read_text()
    for name, trials in (("a", 1), ("b", 2)):
        found = groups[f"cell={name}"]["methods"]["exact"]["predicted"]
        assert groups[f"cell={name}"]["trials"] == trials == found["traces"]
        assert found["ok"], found["verdict"]
        assert found["verdict"] in done.stdout and found["verdict"] in page and "(prior " in found["verdict"]
        assert found["posterior"]["subthreshold_error"] < found["prior"]["subthreshold_error"]
        drawn = json.loads((into / "figures" / f"{name}-traces.json").read_text())
        assert ("n = 1 trace;", "n = 2 traces;")[trials - 1] in drawn["caption"]
        assert np.shape(drawn[f"cell={name}"]["exact"]["median"]) == (trials, 1000)
        assert (into / "figures" / f"{name}-spikes.png").stat().st_size < 150_000
    assert "<th>traces</th>" in page and "prior of the model, joint" in page


def groups(path):
    return _tables.read_groups(path, _layouts.of(MODEL))


def test_archives_are_read_like_tables(tmp_path):
    data = cell(trials=2)
    np.savez(tmp_path / "a.npz", voltage=data["voltage"], spikes=data["spikes"], time=np.arange(1000) * 0.2)
    np.savez(tmp_path / "one.npz", voltage=data["voltage"][0], spikes=data["spikes"][0])
    table(data, trace=np.repeat([2, 1], 1000)).to_csv(tmp_path / "a.csv", index=False)
    read = {name: groups(tmp_path / name)[0] for name in ("a.npz", "one.npz", "a.csv")}
    assert read["a.npz"].trials == read["a.csv"].trials == 2 and read["one.npz"].trials == 1
    for name in ("voltage", "spikes"):
        assert read["a.npz"].data[name] == pytest.approx(data[name], abs=1e-4)
        assert read["a.csv"].data[name] == pytest.approx(data[name], abs=1e-4)
    assert not any(one.notes for one in read.values())


@pytest.mark.parametrize("step", [0.05, 0.1, 0.15, 0.4])
def test_another_time_step_is_resampled_and_told(step):
    rng, samples = np.random.default_rng(1), round(200 / step)
    time = 7.0 + np.arange(samples) * step
    rows = pd.DataFrame({"time": time, "voltage": rng.normal(-60, 3, samples), "spikes": np.zeros(samples)})
    places = [1, 40, 333]
    rows.loc[places, "spikes"] = 1
    data, notes = _recordings.prepare(rows, model=MODEL)
    assert f"the time step is {step:g} ms, not the model's 0.2 ms" in notes[0]
    assert ("smaller than the model expects" in notes[0]) == (step > 0.2)
    assert data["voltage"].shape == data["spikes"].shape == (1, 1000)
    assert np.flatnonzero(data["spikes"][0]).tolist() == [int(np.ceil(p * step / 0.2 - 1e-9)) for p in places]
    known = time - 7.0
    assert data["voltage"][0] == pytest.approx(np.interp(np.arange(1000) * 0.2, known, rows["voltage"]))
    if step == 0.1:
        assert data["voltage"][0] == pytest.approx(rows["voltage"][::2])


def test_the_end_of_a_closed_interval_is_left_out():
    rows = pd.DataFrame({"time": np.linspace(0, 200, 1001), "voltage": -65.0, "spikes": 0})
    data, notes = _recordings.prepare(rows, model=MODEL)
    assert data["voltage"].shape == (1, 1000)
    assert notes == ("the end point at 200 ms was left out",)


def changed(**changes):
    rows = table(cell())
    for name, (row, value) in changes.items():
        rows[name] = rows[name].astype(object if isinstance(value, str) else float)
        rows.loc[row, name] = value
    return rows


FIRST = int(cell()["spikes"][0].argmax())
BAD = {
    "no voltage": (changed().drop(columns="voltage"), (), "has no column voltage"),
    "no time": (changed().drop(columns="time"), (), "has no column time"),
    "NaN": (changed(voltage=(5, np.nan)), (), "voltage must be finite; 1 of 1000 samples are not"),
    "words": (changed(voltage=(5, "low")), (), "voltage must be numbers"),
    "volts": (changed().assign(voltage=lambda t: t["voltage"] / 1000), (), "looks like volts. Multiply by 1000"),
    "volts without spikes": (
        changed().assign(voltage=lambda t: t["voltage"] / 1000).drop(columns="spikes"), (), "looks like volts"
    ),
    "seconds": (changed().assign(time=lambda t: t["time"] / 1000), (), "as if in seconds. Multiply it by 1000"),
    "too short": (changed().iloc[:900], (), "lasts 180 ms; needed are 200 ms (1000 samples of 0.2 ms). Record longer"),
    "too long": (changed().assign(time=lambda t: 0.25 * np.arange(1000)), (), "lasts 250 ms; needed are 200 ms"),
    "too coarse": (changed().iloc[:180].assign(time=lambda t: 1.1 * np.arange(180)), (), "more than 5 times"),
    "uneven": (changed(time=(7, 1.25)), (), "sample 7 is"),
    "falling": (changed(time=(7, 0.0)), (), "must grow from sample to sample"),
    "traces untold": (pd.concat([changed(), changed()]), (), "name a column trace that tells traces apart"),
    "one sample": (changed().iloc[:1], (), "needs more than one sample; got 1"),
    "a spike of 2": (changed(spikes=(FIRST, 2)), (), "spikes must be 0 or 1"),
    "refractory": (changed(spikes=(FIRST + 3, 1)), (), f"a spike at sample {FIRST + 3} of trace 0 lies 0.6 ms after"),
    "another unit": (changed(), ("--unit", "cm"), "lif has no lengths"),
    "another column": (changed(), ("--columns", "rt=time"), "got a name for rt"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "options", "said"), BAD.values(), ids=BAD)
def test_bad_traces_end_in_one_line_and_leave_nothing(tmp_path, rows, options, said):
    rows.to_csv(tmp_path / "t.csv", index=False)
    refused(tmp_path, call("fit", "lif", tmp_path / "t.csv", "--into", tmp_path / "run", *options), said)


def refused(folder, done, said):
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not (folder / "run").exists()


VOLTAGE = np.full((2, 1000), -65.0)
ARCHIVES = {
    "no voltage": ({"v": VOLTAGE}, "must hold voltage (mV)"),
    "another shape": ({"voltage": VOLTAGE, "spikes": VOLTAGE[:1]}, "must have the same shape"),
    "another time": ({"voltage": VOLTAGE, "time": np.arange(5)}, "time must have 1000 samples"),
    "objects": ({"voltage": np.array([None, {}])}, "it holds Python objects"),
    "numbers without names": (VOLTAGE, "is an array without names"),
    "nothing": (b"", "is not a .npz file"),
    "an empty table": (None, "is empty"),
}


@pytest.mark.parametrize(("content", "said"), ARCHIVES.values(), ids=ARCHIVES)
def test_what_is_no_archive_of_traces_is_refused(tmp_path, content, said):
    path = tmp_path / "a.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is None:
        path = tmp_path / "a.csv"
        path.write_text("")
    else:
        path = tmp_path / "a.npy"
        np.save(path, content)
    refused(tmp_path, call("fit", "lif", path, "--into", tmp_path / "run"), said)


def test_columns_mean_nothing_in_an_archive_and_an_archive_nothing_to_another_model(tmp_path):
    np.savez(tmp_path / "a.npz", voltage=VOLTAGE)
    done = call("fit", "lif", tmp_path / "a.npz", "--into", tmp_path / "run", "--by", "cell")
    refused(tmp_path, done, "an archive of arrays, so that --columns and --by mean nothing")
    done = call("fit", "ddm", tmp_path / "a.npz", "--into", tmp_path / "run", "--method", "exact")
    refused(tmp_path, done, "is an archive of arrays")


def test_a_posterior_of_one_trace_is_not_given_two(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from firstpassage.pipeline import _catalogue

    read = SimpleNamespace(trial="trace", trials=(1, 1), read=MODEL.exact.read)
    monkeypatch.setattr(_catalogue, "find", lambda model, methods, *, estimator: {"npe": read})
    np.savez(tmp_path / "two.npz", **cell(trials=2))
    with pytest.raises(DataError, match="npe was trained for 1 to 1 traces; 1 of 1 data sets have other numbers"):
        fit_table(tmp_path / "two.npz", FitSettings(model="lif", methods=("npe",)), into=tmp_path / "run")
