"""A run leaves one folder, goes on where it was stopped, is not repeated, and gives the same numbers again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import arviz_base
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage import seeds
from firstpassage.cli import app
from firstpassage.models import plain
from firstpassage.pipeline import RunConfig, _prepare, _run_figures, run, simulate

MODEL = """
import warnings
import firstpassage as fp

def draw(theta, *, trials, rng):
    if trials == 40:
        print("hello from the simulator")
        warnings.warn("take care", fp.DataWarning)
    return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}

model = fp.Model(name="shift", parameters=[fp.Parameter("mu", bounds=(-3, 3))], likelihood=draw)
"""
SMALL = {
    "budget": 2048, "sampler": {"draws": 50, "tune": 20, "chains": 2}, "observed": {"trials": 40},
    "validation": {"recovery": 20, "sbc": 30, "draws": 19, "trials": 10, "ppc": 100},
}  # fmt: skip
FILES = {
    *("config.json", "run.yml", "run.log", "environment.txt", "history.csv", "observed.npz", "draws.nc"),
    *("metrics.json", "stages/train.json", "stages/infer.json", "stages/validate.json", "bundle/made"),
    *(f"figures/{n}.{e}" for n in ("loss", "posterior", "pairplot", "ppc", "recovery", "sbc") for e in ("png", "json")),
}


class Known(fp.NRE):
    """Stand in for NRE: two epochs, of which the first one is kept, and then the posterior that is known."""

    def fit(self, *, budget, seed, into, progress, simulations=None):
        epochs = [{"epoch": e, "epochs": 2, "pairs": budget // 2 * e, "budget": budget} for e in (1, 2)]
        rows = [row | {"loss": 1 / row["epoch"], "validation_loss": 2 / row["epoch"]} for row in epochs]
        if not (into / "bundle").exists():
            for row in rows[(into / "checkpoint.npz").exists() :]:
                (into / "checkpoint.npz").touch()
                progress(row)
            pd.DataFrame(rows).to_csv(into / "history.csv", index=False)
            (into / "checkpoint.npz").unlink()
            (into / "bundle").mkdir()
            (into / "bundle" / "made").touch()
        schema, parameters = plain.schema(self.model), self.model.parameters
        return SimpleNamespace(
            kind="nre", model="shift", parameters=parameters, parameter_names=("mu",), box={"mu": (-3, 3)}, joint=None,
            columns=schema.columns, read=schema.read, card={"pairs": budget}, sample=sample,
            simulate=lambda theta, rng: rng.normal(theta["mu"][:, None], 1.0),
        )  # fmt: skip


def sample(data, *, draws, seed, correct=None):
    """Draw from the normal posterior of the mean, which the box hardly cuts."""
    several = data if isinstance(data, list) else [data]
    x = [np.asarray(one["x"]) for one in several]
    rng = seeds.generator(seed, "known")
    mu = np.stack([np.clip(rng.normal(one.mean(), len(one) ** -0.5, draws), -3, 3) for one in x], axis=-1)[None]
    kept, dims = (mu, ["dataset"]) if isinstance(data, list) else (mu[..., 0], [])
    groups = {"posterior": {"mu": kept}, "sample_stats": {"log_q": np.zeros_like(kept)}}
    return arviz_base.from_dict(groups, dims={"mu": dims, "log_q": dims})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "shift.py"
    path.write_text(MODEL)
    return {"model": {"name": f"{path}:model"}, **SMALL}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(_prepare._ESTIMATORS, "nre", Known)


@pytest.fixture
def undrawn(monkeypatch):
    """Let figures be drawn by one test alone."""
    for name in ("posterior", "pairplot", "ppc", "recovery", "sbc"):
        monkeypatch.setattr(_run_figures, name, lambda *_, **__: None)


def contents(path):
    return {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


def numbers(path):
    found = json.loads((path / "metrics.json").read_text())
    assert found.pop("seconds").keys() == {"train", "infer", "validate"}
    return found


def test_a_run_leaves_everything_and_is_not_repeated(settings, tmp_path):
    events: list[dict] = []
    made = run(RunConfig(**settings), into=tmp_path / "run", progress=events.append)
    assert contents(made.path) == FILES
    assert made.repeated and [e["stage"] for e in events] == ["train", "train", "train", "infer", "validate"]
    found = numbers(made.path)
    mu = found["posterior"]["parameters"]["mu"]
    observed = np.load(made.path / "observed.npz")
    assert mu["truth"] == pytest.approx(observed["truth_mu"], rel=1e-5)
    assert mu["mean"] == pytest.approx(observed["x"].mean(), abs=5 * 0.16 / 10)
    assert found["ppc"]["ok"] and found["recovery"]["ok"] and found["sbc"]["ok"], "the posterior is the right one"
    assert found["recovery"]["design"]["datasets"] == 20 and found["sbc"]["design"]["datasets"] == 30
    log = (made.path / "run.log").read_text()
    assert "INFO hello from the simulator" in log and "WARNING take care" in log, "all of the console"
    assert found["sbc"]["verdict"] in log and made.name in log
    before = {name: (made.path / name).stat().st_mtime_ns for name in FILES}
    again = run(RunConfig(file=made.path / "run.yml"), into=made.path, progress=events.append)
    assert len(events) == 5 and not again.repeated and again.metrics == made.metrics
    assert {name: (made.path / name).stat().st_mtime_ns for name in FILES} == before


@pytest.mark.usefixtures("undrawn")
def test_force_does_it_again_with_the_same_numbers(settings, tmp_path):
    made = run(RunConfig(**settings), into=tmp_path)
    before, stamp = numbers(made.path), (made.path / "bundle" / "made").stat().st_mtime_ns
    again = run(RunConfig(**settings), into=tmp_path, force=True)
    assert again.repeated and numbers(made.path) == before
    assert (made.path / "bundle" / "made").stat().st_mtime_ns > stamp, "trained again"


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_numbers(settings, tmp_path):
    whole = run(RunConfig(**settings), into=tmp_path / "whole")
    seen: set[str] = set()

    def stop(event):
        if event["text"] not in seen:
            seen.add(event["text"])
            raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run(RunConfig(**settings), into=tmp_path / "cut", progress=stop)
        assert not (tmp_path / "cut" / "metrics.json").exists()
        (tmp_path / "cut" / "history.csv.tmp-1-ab").touch()  # as kill -9 leaves them
    run(RunConfig(**settings), into=tmp_path / "cut")
    assert numbers(tmp_path / "cut") == numbers(whole.path)
    assert not list(tmp_path.rglob("*.tmp-*"))
    assert (tmp_path / "cut" / "run.log").read_text().count("ended early") == 5


@pytest.mark.usefixtures("undrawn")
def test_other_settings_or_other_files_are_another_run(settings, tmp_path):
    table = simulate(_prepare.prepare(RunConfig(**settings)).model, n=50, seed=1, into=tmp_path / "table.npz")
    config = RunConfig(**settings, simulations=str(table))
    made = run(config, into=tmp_path / "run")
    assert "taken from table.npz" in made.verdicts[0]
    with pytest.raises(fp.ArtefactError, match=r"another run \(with other seed\)"):
        run(RunConfig(**settings, simulations=str(table), seed=2), into=tmp_path / "run")
    simulate(_prepare.prepare(config).model, n=50, seed=1, into=table, append=True)
    with pytest.raises(fp.ArtefactError, match=r"another run \(with other sha256\)"):
        run(config, into=tmp_path / "run")


@pytest.mark.usefixtures("undrawn")
def test_given_data_are_used_and_sizes_of_zero_leave_checks_out(settings, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.full(100, 0.7))
    few = {"validation": {"recovery": 0, "sbc": 0, "ppc": 0}, "observed": {"data": str(tmp_path / "data.npz")}}
    made = run(RunConfig(**settings | few), into=tmp_path / "run")
    assert made.metrics["posterior"]["parameters"]["mu"]["mean"] == pytest.approx(0.7, abs=0.05)
    assert "truth" not in made.metrics["posterior"]["parameters"]["mu"]
    assert {"ppc", "recovery", "sbc"}.isdisjoint(made.metrics)
    (tmp_path / "data.npz").unlink()
    with pytest.raises(fp.DataError, match="there is no file"):
        run(RunConfig(**settings | few), into=tmp_path / "run")


@pytest.mark.usefixtures("undrawn")
def test_the_command_prints_verdicts_and_last_the_folder(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yml").write_text(RunConfig(**settings).text())
    monkeypatch.setenv("FIRSTPASSAGE_OBSERVED__TRIALS", "41")
    first, second = (CliRunner().invoke(app, ["run", "run.yml", "--seed", "5"]) for _ in range(2))
    lines = first.stdout.rstrip().splitlines()
    assert lines[-1].startswith("runs/nre_shift_2048_lr0.002_b1024_s5-")
    assert contents(tmp_path / lines[-1]) >= {"metrics.json", "bundle/made"}
    assert "sbc: calibrated as far as 30 data sets" in first.stdout
    assert second.stdout.splitlines() == ["finished before, not repeated (--force)", *lines]
    assert first.exit_code == second.exit_code == (0 if json.loads(
        (tmp_path / lines[-1] / "metrics.json").read_text()
    )["ok"] else 1)  # fmt: skip


@pytest.mark.slow
def test_a_real_run_killed_by_the_system_ends_with_the_numbers_of_one_that_was_not(tmp_path):
    (tmp_path / "run.yml").write_text(
        "model: {name: gaussian}\nbudget: 25600\noptimiser: {epoch_pairs: 1280, validation: 256}\n"
        "sampler: {draws: 100, tune: 100, chains: 2}\nobserved: {trials: 30}\n"
        "validation: {recovery: 20, sbc: 20, draws: 19, trials: 20, ppc: 100}\n"
    )
    command = [sys.executable, "-m", "firstpassage", "run", str(tmp_path / "run.yml"), "--into"]
    subprocess.run([*command, str(tmp_path / "whole")], check=False, capture_output=True)
    for seconds in (6, 9, 12, 15, 18):
        process = subprocess.Popen([*command, str(tmp_path / "cut")], stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([*command, str(tmp_path / "cut")], check=False, capture_output=True)
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
