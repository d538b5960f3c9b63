"""A sweep ends in one row for each configuration, however it was stopped, and says what failed and why."""

from __future__ import annotations

import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage._lock import alone
from firstpassage.cli import app
from firstpassage.pipeline import (
    RunConfig,
    _sweep_cluster,
    _sweep_plan,
    _sweep_rows,
    _sweep_task,
    configurations,
    prepare,
    sweep,
)
from firstpassage.pipeline._folder import run_folder
from firstpassage.pipeline._sweep_task import Order, work

BASE = {"model": {"name": "gaussian"}, "budget": 512, "sampler": {"draws": 20, "tune": 20, "chains": 2}}
METRICS = {
    "ok": False, "training": {"pairs": 512, "epochs": 2, "loss": 2.7, "validation_loss": 2.6},
    "exact": {"parameters": {"mu": {"shift": 0.2, "shift_se": 0.1, "sd_ratio": 1.1}}},
    "recovery": {"ok": None, "parameters": {"mu": {"correlation": 0.9, "relative_rmse": 0.3}}},
    "sbc": {"ok": True, "quantities": {"mu": {"gamma_p": 0.4}, "log likelihood": {"gamma_p": 0.02}}},
    "seconds": {"train": 1.0, "infer": 0.5, "validate": 0.25},
}  # fmt: skip
TINY = {
    "model": {"name": "gaussian"}, "method": "npe", "budget": 512,
    "network": {
        "trials": [5, 20], "flow": "mdn", "layers": 1, "flow_widths": [8], "widths": [8], "trial_widths": [8],
    },
    "optimiser": {"batch": 64, "epoch_pairs": 256, "validation": 64},
    "sampler": {"draws": 20, "tune": 20, "chains": 2}, "observed": {"trials": 10},
    "validation": {"recovery": 0, "sbc": 0, "trials": 5, "ppc": 0, "exact": False},
}  # fmt: skip


@pytest.fixture
def runs(monkeypatch):
    """Stand in for runs: what is named a failure fails, all else is finished at once; list what was run."""
    begun: list[int] = []

    def run(config, *, into):
        with run_folder(into, command="run", settings=prepare(config).settings) as folder:
            begun.append(config.seed)
            print("hello from the simulator")
            if config.seed == 13:
                raise ValueError("first line\nthe simulator broke")
            folder.write_json("metrics.json", {**METRICS, "seed": config.seed})
        return SimpleNamespace(metrics=METRICS)

    monkeypatch.setattr(_sweep_task, "run", run)
    return begun


def messages(call, *args, **given):
    with pytest.raises(fp.FirstPassageError) as caught:
        call(*args, **given)
    return str(caught.value)


def test_a_grid_is_a_full_product_and_crosses_the_runs():
    runs = [{"method": "nre", "network.widths": [8]}, {"method": "npe", "network": {"layers": 2}}]
    made = configurations({"optimiser.batch": [64, 128], "seed": [1, 2]}, base=BASE, runs=runs)
    assert [(c.method, c.optimiser.batch, c.seed) for c in made] == [
        (method, batch, seed) for method in ("nre", "npe") for batch in (64, 128) for seed in (1, 2)
    ]
    assert made[0].network.widths == (8,) and made[-1].network.layers == 2
    assert {c.budget for c in made} == {512} and {c.sampler.draws for c in made} == {20}


def test_a_grid_goes_before_the_environment_and_this_before_the_base(monkeypatch):
    monkeypatch.setenv("FIRSTPASSAGE_BUDGET", "1024")
    monkeypatch.setenv("FIRSTPASSAGE_SEED", "9")
    assert [(c.budget, c.seed) for c in configurations({"seed": [1, 2]}, base=BASE)] == [(1024, 1), (1024, 2)]
    assert configurations({"seed": [1]}, base=RunConfig(budget=2048))[0].budget == 2048, "set by hand before"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a sweep needs a grid, runs or a base; got none"),
        ({"grid": {}}, "grid must hold lists of values"),
        ({"grid": {"seed": []}}, r"grid\.seed must have at least one value; got an empty list"),
        ({"grid": {"seed": 3}}, r"grid\.seed must be a list of values; got 3"),
        ({"grid": {"model.name": "ddm"}}, r"must be a list of values; got 'ddm'"),
        ({"grid": {f"a{i}": list(range(10)) for i in range(9)}}, "at most 10,000 configurations; got 1,000,000,000"),
        ({"grid": {"sed": [1, 2]}}, r"configuration 1 of 2 \(sed 1\): there is no setting sed; .* mean seed\?"),
        ({"grid": {"budget": [512, "many"]}}, r"configuration 2 of 2 \(budget many\): budget must be a valid integer"),
        ({"grid": {"model.bounds.mu": [[1, -1]]}}, "the bounds of mu must be .lower, upper."),
        ({"runs": []}, "runs must be a list of settings"),
        ({"runs": [{"seed": 1}, 2]}, "number 2 is 2"),
        ({"runs": [{"seed": 1}], "grid": {"seed": [2]}}, "seed must be set by grid or by runs"),
        ({"runs": [{"optimiser": {"batch": 2}}], "grid": {"optimiser": [{"batch": 3}]}}, "optimiser must be set by"),
        ({"base": [1]}, "base must hold settings"),
        ({"base": {"optimiser.batch": 64, "optimiser": {"batch": 32}}}, "base must set"),
    ],
)
def test_mistakes_are_told_in_one_sentence(given, said):
    with pytest.raises(fp.ModelError, match=said):
        configurations(given.pop("grid", None), **given)


def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"into": "sweep", "base": BASE}
    twice = messages(sweep, {"seed": [1, 2, 1]}, **given)
    assert twice.startswith("configurations must differ; 1 and 3 of 3 are both nre_gaussian_512_lr0.002_b128_s1-")
    assert "configuration 2 of 2 (budget 5): budget must be at least one batch" in messages(
        sweep, {"budget": [512, 5]}, **given
    )
    assert "there is no file none.npz" in messages(sweep, {"simulations": ["none.npz"]}, **given)
    assert "there is no file my.py" in messages(sweep, {"model": [{"name": "my.py:model"}]}, **given)
    assert "output must be left out" in messages(sweep, {"output": ["here"]}, **given)
    assert "at least one configuration" in messages(sweep, [], into="sweep")
    assert "expected a RunConfig, got dict" in messages(sweep, [BASE], into="sweep")
    assert "workers must be a positive integer" in messages(sweep, {"seed": [1]}, workers=0, **given)
    assert "with a scheduler" in messages(sweep, {"seed": [1]}, workers=2, scheduler="tcp://x:1", **given)
    assert not (tmp_path / "sweep").exists()
    (tmp_path / "sweep.yml").write_text("grids: {seed: [1]}\n")
    done = CliRunner().invoke(app, ["sweep", "sweep.yml", "--into", "sweep"])
    assert done.exit_code == 2 and "sweep.yml must hold base, grid, runs; got grids" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_files_are_named_so_that_other_machines_find_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": np.linspace(-1, 1, 20)}).to_csv(tmp_path / "data.csv", index=False)
    found = _sweep_plan.plan([RunConfig(**BASE, observed={"data": "data.csv"})])[0]
    assert found.config.observed.data == str(tmp_path / "data.csv")
    assert found.settings["observed"]["data"] == "data.csv", "wherever the file lies, the run is the same"


def test_every_run_is_a_row_and_a_failed_one_has_its_traceback(runs, tmp_path, capsys):
    events: list[dict] = []
    given = {"base": BASE, "into": tmp_path / "sweep", "threads": True, "workers": 2}
    found = sweep({"seed": [1, 13, 2]}, progress=events.append, **given)
    assert sorted(runs) == [1, 2, 13] and found.begun == 3 and not found.ok
    table = pd.read_csv(found.path / "sweep_summary.csv")
    assert list(table["status"]) == ["done", "failed", "done"] and list(table["seed"]) == [1, 13, 2]
    assert list(table.columns[:4]) == ["name", "status", "seed", "seconds"], "only what varies"
    assert table.loc[0, ["seconds", "simulations", "validation_loss"]].tolist() == [1.75, 512, 2.6]
    assert table.loc[2, ["recovery.mu.correlation", "sbc.log likelihood.gamma_p", "exact.mu.shift"]].tolist() == [
        0.9, 0.02, 0.2,
    ]  # fmt: skip
    assert table.loc[1, "error"] == "the simulator broke"
    trace = (found.path / table.loc[1, "name"] / "traceback.txt").read_text()
    assert trace.startswith("Traceback") and "ValueError: first line\nthe simulator broke" in trace
    rows = json.loads((found.path / "sweep_summary.json").read_text())["rows"]
    assert [row["settings"]["model"]["name"] for row in rows] == ["gaussian"] * 3, "all settings"
    assert (found.path / "figures" / "sweep.png").exists() and found.figure is not None
    assert events[-1] | {"text": ""} == {
        "text": "", "done": 2, "failed": 1, "running": 0, "total": 3, "left": None
    }  # fmt: skip
    assert capsys.readouterr().out == "", "what simulators print is in the logs"


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_more_can_be_added(runs, tmp_path):
    given = {"base": BASE, "into": tmp_path, "threads": True, "workers": 1}
    sweep({"seed": [1, 13]}, **given)
    assert sweep({"seed": [1, 13]}, **given).begun == 0, "a failed run is left"
    assert sweep({"seed": [1, 13, 3]}, **given).begun == 1
    assert runs == [1, 13, 3]
    assert sweep({"seed": [1, 13]}, retry_failed=True, **given).begun == 1
    (tmp_path / _sweep_plan.plan([RunConfig(**BASE)])[0].name / "metrics.json").unlink()
    found = sweep({"seed": [1, 3]}, **given)
    assert runs == [1, 13, 3, 13, 1] and found.ok, "a run that somebody removed is run again"
    assert sweep({"seed": [1, 3]}, force=True, **given).begun == 2 and sorted(runs[5:]) == [1, 3]


def test_a_folder_of_something_else_is_refused(runs, tmp_path):
    (tmp_path / "notes.txt").touch()
    assert "holds no run of firstpassage" in messages(sweep, {"seed": [1]}, base=BASE, into=tmp_path)
    (tmp_path / "file").touch()
    assert "is a file" in messages(sweep, {"seed": [1]}, base=BASE, into=tmp_path / "file")
    with run_folder(tmp_path / "run", command="run", settings={}):
        pass
    assert "holds another run (of the command run)" in messages(sweep, {"seed": [1]}, base=BASE, into=tmp_path / "run")
    assert not runs


def test_a_worker_waits_for_another_in_the_same_folder_and_does_not_repeat_it(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(_sweep_task, "_AGAIN", 0.01)
    order = Order(folder=tmp_path, name="one", config=RunConfig(**BASE))
    settings = prepare(order.config).settings
    with run_folder(tmp_path / "one", command="run", settings=settings) as folder, ThreadPoolExecutor() as pool:
        second = pool.submit(work, order)
        time.sleep(0.1)
        assert not second.done() and not runs, "no failure is recorded for a folder that is written"
        folder.write_json("metrics.json", METRICS)
        _sweep_rows.write_done(tmp_path, "one", metrics=METRICS)
    assert second.result() == "done" and not runs


def test_rows_are_whole_and_no_scheduler_is_an_error(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(_sweep_cluster, "_CONNECT", "1s")
    plan = _sweep_plan.plan([RunConfig(**BASE, seed=seed) for seed in (1, 2)])
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / f"{plan[0].name}.json").write_text('{"status": "do')
    table = _sweep_rows.summary(tmp_path, plan, running=[plan[1].name])
    assert list(table["status"]) == ["waiting", "running"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    found = messages(sweep, {"seed": [1]}, base=BASE, into=tmp_path / "sweep", scheduler=address)
    assert found.startswith(f"no Dask scheduler answers at {address}") and not runs


def test_one_process_has_the_folder_and_others_leave_at_once(tmp_path):
    command = [sys.executable, "-m", "firstpassage", "sweep", "none.yml", "--into", str(tmp_path)]
    with alone(tmp_path), alone(tmp_path):
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        assert done.returncode == 2 and seconds < 1.5, "of the processor: nothing heavy is loaded before the lock"
        assert done.stderr == f"error: another process is writing {tmp_path}. Wait for it, or choose another folder.\n"
    assert not list(tmp_path.iterdir()), "the lock is free again"


def sweep_file(folder):
    """Write a sweep of twelve small configurations."""
    path = folder / "sweep.yml"
    path.write_text(yaml.safe_dump({"base": TINY, "grid": {"budget": [512, 576], "seed": [1, 2, 3, 4, 5, 6]}}))
    return path


def begun_since(folder, moment):
    """Tell whether a run was at work after a moment."""
    return any(path.stat().st_mtime > moment for path in folder.glob("*/run.log"))


def finished(folder):
    """Give the time at which each run was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/metrics.json")}


def wait_until(condition, process):
    """Wait as long as a process lives."""
    while process.poll() is None and not condition():
        time.sleep(0.1)


def assert_twelve(folder, before):
    """Check that there is one row for each run, and that none was done again."""
    table = pd.read_csv(folder / "sweep_summary.csv")
    assert len(table) == 12 and table["name"].is_unique and set(table["status"]) == {"done"}
    assert sorted(path.stem for path in (folder / "rows").iterdir()) == sorted(table["name"])
    assert sorted(zip(table["budget"], table["seed"], strict=True)) == [(b, s) for b in (512, 576) for s in range(1, 7)]
    after = finished(folder)
    assert set(after) == set(table["name"]) and {name: after[name] for name in before} == before
    for name in after:
        assert (folder / name / "run.log").read_text().count(f"finished {name}") == 1
    for row in table.to_dict("records"):
        metrics = json.loads((folder / row["name"] / "metrics.json").read_text())
        assert row["validation_loss"] == pytest.approx(metrics["training"]["validation_loss"], rel=1e-5)


@pytest.mark.slow
def test_twelve_runs_killed_ten_times_end_as_twelve_rows(tmp_path):
    folder, rng = tmp_path / "sweep", random.Random(1)
    command = [sys.executable, "-m", "firstpassage", "sweep", str(sweep_file(tmp_path)), "--into", str(folder)]
    before, kills = {}, 0
    while kills < 10:
        moment = time.time()
        process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for victim in ("worker", "driver"):
            wait_until(lambda moment=moment: begun_since(folder, moment), process)
            time.sleep(rng.uniform(0, 8))
            assert process.poll() is None, f"the sweep was over after {kills} kills"
            children = psutil.Process(process.pid).children(recursive=True)
            workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            (rng.choice(workers) if victim == "worker" else process).send_signal(signal.SIGKILL)
            kills, moment = kills + 1, time.time()
            assert {name: finished(folder)[name] for name in before} == before
            before |= finished(folder)
        process.wait()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] and len(found["rows"]) == 12
    assert_twelve(folder, before)


@pytest.mark.slow
def test_the_same_sweep_by_a_scheduler_of_whose_two_workers_one_is_killed(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, folder = f"tcp://127.0.0.1:{port}", tmp_path / "sweep"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port)], **quiet)
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    workers = [subprocess.Popen(worker, **quiet) for _ in range(2)]
    command = [sys.executable, "-m", "firstpassage", "sweep", str(sweep_file(tmp_path)), "--into", str(folder)]
    try:
        process = subprocess.Popen(
            [*command, "--scheduler", address], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_until(lambda: len(finished(folder)) >= 2, process)
        time.sleep(random.Random(2).uniform(0, 4))
        workers[0].send_signal(signal.SIGKILL)
        before = finished(folder)
        stdout, stderr = process.communicate()
    finally:
        for one in (*workers, scheduler):
            one.kill()
            one.wait()
    assert process.returncode == 0, stderr
    assert "12 of 12 runs done; 12 of them now." in stdout
    assert_twelve(folder, before)


def test_a_job_of_slurm_is_one_worker_of_one_thread(capsys):
    pytest.importorskip("dask_jobqueue")
    path = Path(__file__).resolve().parents[2] / "scripts" / "sweep_slurm.py"
    runpy.run_path(str(path))["main"](["sweep.yml", "--into", "x", "--hours", "3", "--partition", "fast", "--print"])
    script = capsys.readouterr().out
    assert "#SBATCH -p fast" in script and "#SBATCH -t 03:00:00" in script and "#SBATCH --cpus-per-task=1" in script
    assert "export OMP_NUM_THREADS=1" in script and "--nthreads 1" in script and "--lifetime 175m" in script
