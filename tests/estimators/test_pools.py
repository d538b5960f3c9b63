"""Pools: training takes every row once in a pass, holds a window of them, and refuses files of anything else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import _latent, _sets, _simulations, _stream, _windows, pools

MODEL = fp.gaussian()
ROWS, TRIALS, SHARD = 1000, 3, 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    into = tmp_path_factory.mktemp("pools") / "pool"
    fp.pipeline.pool(MODEL, n=ROWS, trials=TRIALS, seed=1, shard=SHARD, into=into)
    return into


@pytest.fixture
def own(folder, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(folder, tmp_path / "own")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return fp.pipeline.pool(MODEL, n=60_000, seed=2, shard=2000, into=tmp_path_factory.mktemp("pools") / "large")


def _table(pool):
    tables = [pool.table(k) for k in range(len(pool.shards))]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _source(pool, *, window, seed=1):
    return _stream.Pooled(_windows.rows(MODEL, pool, seed=seed, items=pool.trials, window=window))


@pytest.mark.parametrize("window", [1, 20_000, 1_000_000], ids=["a shard", "some shards", "the whole pool"])
def test_a_pass_gives_every_trial_once_with_its_parameters(folder, window):
    pool = pools.read(folder)
    table, source = _table(pool), _source(pool, window=window)
    train = (ROWS - ROWS // 10) * TRIALS
    for turn in range(2):
        parts = [source.draw(train // 4, purpose=f"epoch {4 * turn + i}") for i in range(4)]
        x = np.concatenate([part[1] for part in parts])[:, 0]
        mu = np.concatenate([part[0]["mu"] for part in parts])
        np.testing.assert_array_equal(np.sort(x), np.sort(table["x"][ROWS // 10 :].ravel()))
        of = dict(zip(table["x"].ravel(), np.repeat(table["mu"], TRIALS), strict=True))
        np.testing.assert_array_equal(mu, [of[value] for value in x])


def test_the_held_out_tenth_is_never_trained_on(folder):
    pool = pools.read(folder)
    source, first = _source(pool, window=20_000), _table(pool)["x"][: ROWS // 10].ravel()
    _, validation = source.draw(250, purpose="validation")
    assert np.isin(validation, first).all() and len(np.unique(validation)) == 250
    for purpose in ("features", "epoch 0", "epoch 5"):
        assert not np.isin(source.draw(1000, purpose=purpose)[1], first).any()


def test_the_order_follows_from_the_seed_whatever_was_drawn_before(folder):
    pool = pools.read(folder)
    source = _source(pool, window=20_000)
    for i in range(9):
        source.draw(700, purpose=f"epoch {i}")
    fresh = _source(pool, window=20_000)
    np.testing.assert_array_equal(source.draw(700, purpose="epoch 9")[1], fresh.draw(700, purpose="epoch 9")[1])
    other = _source(pool, window=20_000, seed=2).draw(700, purpose="epoch 9")[1]
    assert not np.array_equal(other, fresh.draw(700, purpose="epoch 9")[1])


def test_rows_of_several_shards_are_mixed(large):
    """In a window of all rows neighbours come from shards that have nothing to do with each other."""
    mu = _source(large, window=10_000_000).draw(20_000, purpose="epoch 0")[0]["mu"]
    shards = [large.table(k)["mu"] for k in range(len(large.shards))]
    of = np.concatenate([np.full(len(values), k) for k, values in enumerate(shards)])
    place = dict(zip(np.concatenate(shards), of, strict=True))
    found = np.array([place[value] for value in mu])
    share = np.mean(found[1:] == found[:-1])
    assert abs(share - 1 / 27) < 5 * np.sqrt(1 / 27 / 20_000), "of 30 shards the first 3 are for validation"


def test_no_more_than_a_window_is_in_memory(large):
    whole = 60_000 * 24
    source = _source(large, window=whole // 4)
    tracemalloc.start()
    for i in range(60):
        source.draw(1000, purpose=f"epoch {i}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * whole, "a window, its order, a shard that is being read, and what was drawn"


def test_sets_of_a_pool_are_those_of_its_table(folder):
    def mean(x):
        return np.stack([np.full(len(x), x.shape[1]), x[..., 0].mean(axis=1)], axis=1)

    pool, space = pools.read(folder), _latent.space(MODEL)
    given = {"space": space, "encode": mean, "seed": 1, "batch": 8}
    latent, features = _sets.source(MODEL, folder, trials=(1, 3), **given).draw(900, purpose="epoch 0")
    table = _table(pool)
    means = np.cumsum(table["x"], axis=1) / np.arange(1, 4)
    sizes = features[:, 0].astype(int)
    assert set(sizes) <= {1, 2, 3} and len(set(sizes)) > 1
    points = space.line(_latent.points(MODEL, {k: table[k] for k in MODEL.parameter_names}, seed=1), table["x"])
    row = {value: i for i, value in enumerate(points[:, 0])}
    rows = np.array([row[value] for value in latent[:, 0]])
    assert len(set(rows)) == 900, "each row once"
    np.testing.assert_allclose(features[:, 1], means[rows, sizes - 1], rtol=1e-12)
    with pytest.raises(fp.DataError, match="for a posterior of 2 to 5 trials; got 3"):
        _sets.source(MODEL, folder, trials=(2, 5), **given)


def _damage(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


DAMAGED = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a flipped bit": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_shards_are_refused_by_name(own, name):
    _damage(own, "000002-128.npz", DAMAGED[name])
    source = _source(pools.read(own), window=1_000_000)
    with pytest.raises(fp.ArtefactError, match=r"000002-128\.npz must have the SHA-256 .*Delete 000002-128\.npz, and "):
        source.draw(100, purpose="epoch 0")


def test_shards_that_are_gone_or_of_another_pool_are_refused(own, tmp_path):
    (own / "000001-128.npz").unlink()
    with pytest.raises(fp.ArtefactError, match=r"cannot read the shard .*000001-128\.npz: No such file.*simulate into"):
        pools.read(own).table(1)
    other = fp.pipeline.pool(MODEL, n=256, trials=TRIALS, seed=9, shard=SHARD, into=tmp_path / "other")
    shutil.copy(other.path / other.shards[1].file, own)
    with pytest.raises(fp.ArtefactError, match="is of another pool"):
        pools.read(own).table(1)


def test_shards_that_no_simulator_made_are_refused(own):
    """Even where the index has their checksum."""
    import hashlib

    index = json.loads((own / "index.json").read_text())
    for change, words in (
        ({"mu": np.full(128, 6.0)}, r"000003-128\.npz cannot be used: mu of the simulations must lie in its box"),
        ({"x": np.full((128, 3), np.nan)}, "x of the simulations must be finite"),
        ({"x": np.zeros((128, 2))}, "must hold 128 rows of 3 trials; got 128 of 2"),
        ({"y": np.zeros(128)}, "Leave out y"),
        ({"mu": np.array([None] * 128)}, "must be a .npz file of numbers"),
    ):
        table = pools.read(own).table(2) | change
        np.savez(own / "000003-128.npz", **table)
        index["shards"]["3"]["sha256"] = hashlib.sha256((own / "000003-128.npz").read_bytes()).hexdigest()
        (own / "index.json").write_text(json.dumps(index))
        with pytest.raises(fp.ArtefactError, match=words):
            _source(pools.read(own), window=1_000_000).draw(100, purpose="epoch 0")


def test_pools_of_other_models_and_unfinished_ones_are_refused_before_training(own, tmp_path):
    narrow = fp.NLE(fp.gaussian(bounds={"mu": (-1, 1)}))
    with pytest.raises(fp.DataError, match="simulated with other bounds"):
        narrow.fit(budget=10_000, seed=1, simulations=own)
    with pytest.raises(fp.ArtefactError, match=r"must be a pool.*got nothing there"):
        fp.NLE(MODEL).fit(budget=10_000, seed=1, simulations=tmp_path / "none")
    few = fp.pipeline.pool(MODEL, n=19, seed=1, into=tmp_path / "few")
    with pytest.raises(fp.DataError, match="at least 20 rows; got 19"):
        fp.NLE(MODEL).fit(budget=10_000, seed=1, simulations=few)
    index = json.loads((own / "index.json").read_text())
    del index["shards"]["4"]
    for content, words in (
        (json.dumps(index), "1 of 8 shards are not yet simulated. Start the same simulation again"),
        (json.dumps(index)[:-9], "cannot be read"),
        (json.dumps(index | {"schema": 2}), "an index of schema 1; got 2"),
        (json.dumps(index | {"rows": "many"}), "lacks what an index must say"),
        (json.dumps(index | {"shards": {"0": index["shards"]["0"] | {"file": "../x.npz"}}}), "or was changed"),
    ):
        (own / "index.json").write_text(content)
        with pytest.raises(fp.ArtefactError, match=words):
            pools.read(own)


def test_a_digest_is_that_of_all_rows(folder, own):
    pool = pools.read(folder)
    assert _simulations.digest(folder) == _simulations.digest(str(own)) == pool.digest
    grown = fp.pipeline.pool(MODEL, n=ROWS + 1, trials=TRIALS, seed=1, into=own)
    assert grown.digest != pool.digest


SETTINGS = fp.NLE(MODEL, widths=(8,), flow="affine", layers=1, batch=256, epoch_pairs=16_384, validation=4096)


@pytest.mark.slow
def test_training_from_a_pool_is_as_good_as_from_its_table_and_goes_on_after_an_end(large, tmp_path):
    budget = 12 * 16_384
    learned = SETTINGS.fit(budget=budget, seed=1, simulations=large, into=tmp_path / "whole")
    of_table = SETTINGS.fit(budget=budget, seed=1, simulations=_table(large))
    theta = MODEL.prior(4000, seed=7)
    x = MODEL.likelihood(theta, trials=1, seed=8)["x"]
    ours, theirs = (one.log_prob(x, **theta) for one in (learned, of_table))
    assert abs(np.mean(ours - theirs)) < 0.02, "nats a trial"
    assert learned.card["simulations"] == large.digest

    def end(event):
        if event["epoch"] == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SETTINGS.fit(budget=budget, seed=1, simulations=large.path, into=tmp_path / "cut", progress=end)
    again = SETTINGS.fit(budget=budget, seed=1, simulations=large.path, into=tmp_path / "cut")
    assert all(np.array_equal(again.arrays[name], value) for name, value in learned.arrays.items())


MEMORY = """
import resource, sys
import firstpassage as fp
settings = fp.NLE(fp.gaussian(), widths=(8,), flow="affine", layers=1, batch=1024, epoch_pairs=1_000_000)
settings.fit(budget=int(sys.argv[2]), seed=1, simulations=sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pool(tmp_path):
    """40 million trials, 1.6 GB as numbers of parameters and data, in at most 3 windows more than for 100,000."""
    largest = []
    for n, budget in ((200, 1_000_000), (80_000, 36_000_000)):
        pool = fp.pipeline.pool(MODEL, n=n, trials=500, seed=1, into=tmp_path / str(n))
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(pool.path), str(budget)], check=True, stdout=subprocess.PIPE, text=True
        )
        largest.append(int(done.stdout))
    assert largest[1] - largest[0] < 3 * _windows.WINDOW
    assert largest[1] < 3e9
