"""Killed at any moment: the old bundle or the new one, and training that goes on to the same weights."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import _members

TRAIN = """
import sys
import firstpassage as fp
settings = fp.NRE(fp.ddm(), widths=(8,), evidence_widths=(4,), epoch_pairs=65536, validation=1024)
settings.fit(budget=30 * 65536, seed=4, into=sys.argv[1])
"""
SAVE = """
import sys
import firstpassage as fp
learned = fp.load(sys.argv[1])
print("ready", flush=True)
while True:
    fp.save(learned, sys.argv[2], overwrite=True)
"""


@pytest.mark.slow
def test_training_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    """T15: the run folder of a killed process is continued, and nothing of it is lost or doubled."""
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "whole")], check=True)
    rng = np.random.default_rng(1)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path / "cut")])
        time.sleep(rng.uniform(8, 20))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "cut")], check=True)
    whole, cut = fp.load(tmp_path / "whole").arrays, fp.load(tmp_path / "cut").arrays
    assert all(np.array_equal(whole[name], cut[name]) for name in whole)
    history = np.genfromtxt(tmp_path / "cut" / "history.csv", delimiter=",", names=True)
    assert history["epoch"].tolist() == list(range(1, 31))


@pytest.mark.slow
def test_saving_killed_at_any_moment_leaves_a_bundle_that_loads(learned, tmp_path):
    """T15: 20 kills while bundles are being replaced without pause."""
    fp.save(learned, tmp_path / "source")
    fp.save(learned, tmp_path / "target")
    rng = np.random.default_rng(2)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE, str(tmp_path / "source"), str(tmp_path / "target")], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert fp.load(tmp_path / "target").card["seed"] == learned.card["seed"]


@pytest.mark.slow
def test_every_truncation_and_flip_is_refused(learned, tmp_path):
    """T19: 200 offsets and 200 bytes, over all members."""
    folder = fp.save(learned, tmp_path / "bundle")
    members = [*_members.MEMBERS, "SHA256SUMS"]
    content = {name: (folder / name).read_bytes() for name in members}
    rng = np.random.default_rng(3)
    for i in range(400):
        name = members[i % len(members)]
        damaged = bytearray(content[name])
        if i < 200:
            damaged = damaged[: rng.integers(len(damaged))]
        else:
            damaged[rng.integers(len(damaged))] ^= int(rng.integers(1, 256))
        (folder / name).write_bytes(bytes(damaged))
        with pytest.raises(fp.ArtefactError):
            fp.load(folder)
        (folder / name).write_bytes(content[name])
    assert fp.load(folder).kind == "nre"
