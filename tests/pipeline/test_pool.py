"""Writing pools: neither processes nor kills change a byte, others' pools are kept, and every command takes one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml
from filelock import FileLock
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app
from firstpassage.pipeline import _pool, pool, simulations

MODEL = fp.gaussian()
OWN = """
from neighbour import SPREAD
import firstpassage as fp

def simulate(theta, *, trials, rng):
    return {"x": rng.normal(theta["mu"][:, None], SPREAD, (len(theta["mu"]), trials))}

model = fp.Model(name="mine", parameters=[fp.Parameter("mu", bounds=(-1, 1))], likelihood=simulate)
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _files(folder):
    """All that a pool consists of, without the locks."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def _whole(folder, **changes):
    return pool(MODEL, **{"n": 500, "trials": 2, "seed": 1, "shard": 100, "into": folder, **changes})


def test_one_and_three_processes_write_the_same_bytes(tmp_path):
    """A model of one's own, whose file imports its neighbour, gets to the other processes, too."""
    (tmp_path / "neighbour.py").write_text("SPREAD = 0.5\n")
    (tmp_path / "own.py").write_text(OWN)
    model = fp.pipeline.model(f"{tmp_path / 'own.py'}:model")
    told = []
    one = pool(model, n=500, seed=3, shard=90, into=tmp_path / "one")
    three = pool(model, n=500, seed=3, shard=90, workers=3, into=tmp_path / "three", progress=told.append)
    assert _files(one.path) == _files(three.path)
    assert [shard.rows for shard in one.shards] == [90, 90, 90, 90, 90, 50]
    assert told[0]["done"] == 0 and told[-1] == {"done": 500, "total": 500}
    assert not [path for path in (tmp_path / "three" / ".claims").iterdir()]
    x, mu = (np.concatenate([one.table(k)[name] for k in range(6)]) for name in ("x", "mu"))
    assert len(np.unique(mu)) == 500, "every shard has rows of its own"
    assert abs(np.std(x[:, 0] - mu) - 0.5) < 5 * 0.5 / np.sqrt(1000)


def test_an_interrupted_pool_goes_on_and_what_is_whole_stays(tmp_path):
    whole = _whole(tmp_path / "whole")

    def stop(event):
        if event["done"] == 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _whole(tmp_path / "cut", progress=stop)
    with pytest.raises(fp.ArtefactError, match="2 of 5 shards are not yet simulated"):
        simulations(tmp_path / "cut")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut").glob("*.npz")}
    assert len(times) == 3
    (tmp_path / "cut" / "000003-100.npz.tmp-123-abcd").write_bytes(b"of a killed process")
    assert _files(_whole(tmp_path / "cut").path) == _files(whole.path)
    assert all((tmp_path / "cut" / name).stat().st_mtime_ns == time for name, time in times.items())


def test_a_shard_that_was_deleted_is_made_again(tmp_path):
    found = _whole(tmp_path / "pool")
    before = _files(found.path)
    (found.path / found.shards[2].file).unlink()
    assert _files(_whole(tmp_path / "pool").path) == before


def test_a_pool_grows_and_its_first_rows_stay(tmp_path):
    small = _whole(tmp_path / "pool", n=250)
    rows = np.concatenate([small.table(k)["x"] for k in range(3)])
    grown = _whole(tmp_path / "pool", shard=None)
    np.testing.assert_array_equal(np.concatenate([grown.table(k)["x"] for k in range(5)])[:250], rows)
    assert _files(grown.path) == _files(_whole(tmp_path / "other").path)
    assert _whole(tmp_path / "pool", n=250).rows == 500, "what is there is kept"


def test_a_claimed_shard_is_left_to_its_process_and_a_claim_of_the_dead_is_not(tmp_path):
    _whole(tmp_path / "pool", n=100)
    (tmp_path / "pool" / ".claims" / "000002").touch()  # which a killed process leaves
    claim = FileLock(tmp_path / "pool" / ".claims" / "000001")
    claim.acquire()
    told = []
    thread = threading.Thread(target=_whole, args=(tmp_path / "pool",), kwargs={"progress": told.append})
    thread.start()
    while not told or told[-1]["done"] < 400:
        assert thread.is_alive()
        time.sleep(0.01)
    assert not list((tmp_path / "pool").glob("000001-*")) and (tmp_path / "pool" / "000002-100.npz").exists()
    claim.release()
    thread.join(timeout=20)
    assert told[-1]["done"] == 500
    assert _files(tmp_path / "pool") == _files(_whole(tmp_path / "whole").path)


REFUSED = {
    "another seed": {"seed": 2},
    "another trials": {"trials": 3},
    "another shard": {"shard": 50},
    "another origin": {"model": fp.gaussian(bounds={"mu": (-1, 1)})},
    "another results of its simulator": {
        "model": fp.Model(
            name="gaussian",
            parameters=MODEL.parameters,
            likelihood=lambda theta, *, trials, rng: {"x": 1 + MODEL._simulator(theta, trials=trials, rng=rng)["x"]},
        )
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_settings_in_the_same_folder_are_refused(tmp_path, name):
    before = _files(_whole(tmp_path / "pool").path)
    given = {"n": 600, "trials": 2, "seed": 1, "shard": 100, "into": tmp_path / "pool", "model": MODEL, **REFUSED[name]}
    with pytest.raises(fp.ArtefactError, match=f"holds another pool, with other {name.partition(' ')[2]}"):
        pool(given.pop("model"), **given)
    assert _files(tmp_path / "pool") == before


def test_paths_and_numbers_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for changes, error, words in (
        ({"into": tmp_path / "file"}, fp.ArtefactError, "is a file; a pool is a folder"),
        ({"into": tmp_path}, fp.ArtefactError, "is not empty and holds no pool"),
        ({"n": 0}, fp.ModelError, "n must be a positive integer; got 0"),
        ({"shard": 1.5}, fp.ModelError, "shard must be a positive integer"),
        ({"workers": 0}, fp.ModelError, "workers must be a positive integer"),
        ({"seed": -1}, fp.ModelError, "seed must lie"),
    ):
        with pytest.raises(error, match=words):
            _whole(tmp_path / "new", **changes) if "into" not in changes else _whole(changes["into"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_simulator_that_fails_says_in_which_shard(tmp_path):
    def simulate(theta, *, trials, rng):
        return {"x": np.full((len(theta["mu"]), trials), np.nan if len(theta["mu"]) == 500 else 0.0)}

    model = fp.Model(name="broken", parameters=[fp.Parameter("mu", bounds=(-1, 1))], likelihood=simulate)
    with pytest.raises(fp.DataError, match=r"in shard 0 of .*returned NaN or infinite 'x'"):
        pool(model, n=1000, seed=1, shard=500, into=tmp_path / "pool")


def test_long_rows_make_smaller_files(tmp_path):
    job = _pool._Job(folder=tmp_path, model=MODEL, trials=100_000, seed=1)
    assert _pool._row_bytes(job) == 8 * (2 + 100_000)
    found = pool(MODEL, n=30, trials=100_000, seed=1, into=tmp_path / "pool")
    assert [shard.rows for shard in found.shards] == [19, 11]
    assert (found.path / found.shards[0].file).stat().st_size < 16e6


def test_the_command_line_writes_a_pool_and_trains_from_it(tmp_path, monkeypatch):
    into = tmp_path / "runs" / "pool"
    done = call("simulate", "gaussian", "--n", 3000, "--seed", 3, "--into", into, "--shard-size", 1000, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout) == {"path": str(into), "rows": 3000, "shards": 3}
    done = call("simulate", "gaussian", "--n", 4000, "--seed", 3, "--into", into)
    assert done.stdout.splitlines() == ["4,000 simulations of gaussian, 1 trial each", str(into)]
    for arguments, words in (
        (("gaussian", "--append"), "a larger --n makes a pool grow"),
        (("gaussian", "--seed", 4), "holds another pool, with other seed"),
        (("poisson", "--seed", 3), "holds another pool, with other origin"),
    ):
        done = call("simulate", *arguments, "--n", 5000, "--into", into)
        assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") < 3
    given = {}

    def fit(self, **order):
        given.update(order)
        raise KeyboardInterrupt

    monkeypatch.setattr(fp.NRE, "fit", fit)
    train = ("train", "gaussian", "--budget", 1000, "--seed", 1, "--into", tmp_path / "run", "--simulations", into)
    assert call(*train).exit_code == 130
    assert given["simulations"].rows == 4000
    config = tmp_path / "run.yml"
    config.write_text(yaml.safe_dump({"model": {"name": "gaussian"}, "simulations": str(into)}))
    prepared = fp.pipeline.prepare(fp.pipeline.RunConfig(file=config))
    assert prepared.simulations.rows == 4000
    assert prepared.checksums["simulations"] == prepared.simulations.digest
    (into / "index.json").write_text((into / "index.json").read_text()[:50])
    done = call(*train)
    assert done.exit_code == 2 and "index.json cannot be read" in done.stderr


WRITE = """
import sys
import firstpassage as fp
fp.pipeline.pool(fp.ddm(), n=60_000, shard=1000, seed=5, into=sys.argv[1], workers=int(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_again_and_again_with_several_started_by_hand_it_ends_with_the_same_bytes(tmp_path):
    """Two commands on one folder, one of them with two processes; one is killed at random moments, ten times."""
    whole = pool(fp.ddm(), n=60_000, shard=1000, seed=5, into=tmp_path / "whole")
    rng = np.random.default_rng(1)

    def start(workers):
        return subprocess.Popen(
            [sys.executable, "-c", WRITE, str(tmp_path / "cut"), str(workers)], start_new_session=True
        )

    processes = [start(1), start(2)]
    for _ in range(10):
        before = len(list((tmp_path / "cut").glob("*.npz")))
        while len(list((tmp_path / "cut").glob("*.npz"))) < min(60, before + rng.integers(1, 5)):
            time.sleep(0.005)
        i = int(rng.integers(2))
        if rng.random() < 0.5:
            os.killpg(processes[i].pid, signal.SIGKILL)
        else:
            processes[i].kill()  # whose own processes may live on for a while
        processes[i].wait()
        processes[i] = start(i + 1)
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert _files(tmp_path / "cut") == _files(whole.path)
