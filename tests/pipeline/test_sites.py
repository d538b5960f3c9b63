"""Files of sites are read whole and split by visits, or refused by a sentence that says why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.errors import DataError
from firstpassage.models import registry
from firstpassage.pipeline import _layouts
from firstpassage.pipeline._tables import read_groups

MODEL = registry.make("foraging")
LAYOUT = _layouts.of(MODEL)
# Visits to A, B, A, B, cut off in A, and in a second session to B, A.
SITES = pd.DataFrame(
    [
        (1, 1, "A", 1.2, 1, 1), (1, 1, "A", 2.1, 0, 0), (1, 2, "B", 0.9, 0, 0), (1, 3, "A", 1.0, 0, 1),
        (1, 3, "A", 2.0, 0, 0), (1, 4, "B", 1.1, 1, 1), (1, 4, "B", 2.2, 0, 0), (1, 5, "A", 0.9, 1, 1),
        (1, 5, "A", 2.0, 1, 1), (2, 1, "B", 1.0, 0, 0), (2, 2, "A", 2.1, 1, 1), (2, 2, "A", 3.3, 0, 0),
    ],
    columns=["session", "patch", "odor", "patch_time", "reward", "stop"],
)  # fmt: skip


def saved(path, table):
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


def visits(group):
    """The visits of a group, as lists of patch_time."""
    x = fp.models.patches.unpack(MODEL.exact.read(group.data))
    return [row[row[:, 3] == 1, 0].tolist() for row in x]


BY_ODOR = {"odor=A": [[1.2, 2.1], [1.0, 2.0], [0.9, 2.0], [2.1, 3.3]], "odor=B": [[0.9], [1.1, 2.2], [1.0]]}


@pytest.mark.parametrize("dropped", [[], ["patch"], ["session"]], ids=str)
def test_a_split_glues_no_visit_to_another(tmp_path, dropped):
    groups = read_groups(saved(tmp_path / "t.csv", SITES.drop(columns=dropped)), LAYOUT, by=("odor",))
    assert {g.name: visits(g) for g in groups} == BY_ODOR
    assert {g.name: g.trials for g in groups} == {"odor=A": 4, "odor=B": 3}
    assert groups[0].noun == "visits"


def test_patches_numbered_by_odor_are_not_mistaken_for_each_other(tmp_path):
    same = SITES.assign(patch=SITES["odor"].map({"A": 7, "B": 8})).drop(columns="session")
    groups = read_groups(saved(tmp_path / "t.csv", same), LAYOUT, by=("odor",))
    assert {g.name: visits(g) for g in groups} == BY_ODOR


def test_parquet_centimetres_and_other_names_say_the_same(tmp_path):
    expected = read_groups(saved(tmp_path / "t.csv", SITES), LAYOUT)[0].data
    assert list(expected.columns) == ["patch_time", "reward", "stop", "session", "patch"]
    foreign = SITES.assign(patch_time=SITES["patch_time"] * 88.73).rename(
        columns={"patch_time": "cm", "stop": "stayed"}
    )
    path = saved(tmp_path / "t.parquet", foreign)
    (group,) = read_groups(path, LAYOUT, columns={"patch_time": "cm", "stop": "stayed"}, unit="cm")
    pd.testing.assert_frame_equal(group.data, expected)


def test_windows_are_read_one_or_several_in_either_unit(tmp_path):
    windows = MODEL.likelihood(MODEL.prior(3, seed=1), seed=1)["window"][:, 0]
    for name, array in {"one": windows[0], "several": windows}.items():
        np.save(tmp_path / f"{name}.npy", array)
        np.save(tmp_path / f"{name}-cm.npy", array * np.array([88.73, 1, 1]))
        (group,) = read_groups(tmp_path / f"{name}.npy", LAYOUT)
        (same,) = read_groups(tmp_path / f"{name}-cm.npy", LAYOUT, unit="cm")
        assert np.array_equal(group.data, array)
        np.testing.assert_allclose(same.data, array, rtol=1e-6)
        assert group.trials == len(MODEL.exact.read(array))


BAD = {
    "odor changes": (SITES.assign(odor=[*"AB", *SITES["odor"][2:]]), ("odor",), None, "changes within 1 of 7 visits"),
    "odor unknown": (SITES.assign(odor=[None, *SITES["odor"][1:]]), ("odor",), None, "1 of 12 are empty"),
    "no column": (SITES.drop(columns="stop"), (), None, "has no column stop"),
    "centimetres": (SITES.assign(patch_time=SITES["patch_time"] * 88.73), (), None, "pass --unit cm"),
    "no centimetres": (SITES, (), "cm", "too short for centimetres"),
    "unit": (SITES, (), "m", "unit must be cm; got 'm'"),
    "words": (SITES.assign(patch_time="far"), (), "cm", "patch_time must be numbers"),
    "session unknown": (SITES.assign(session=[None, *["s"] * 11]), (), None, "session must be known"),
    "in a group": (SITES.assign(stop=2), ("odor",), None, "stop must be 0 or 1"),
}


@pytest.mark.parametrize(("table", "by", "unit", "said"), BAD.values(), ids=BAD)
def test_what_are_no_sites_is_refused(tmp_path, table, by, unit, said):
    with pytest.raises(DataError, match=said):
        read_groups(saved(tmp_path / "t.csv", table), LAYOUT, by=by, unit=unit)


def test_columns_that_the_model_does_not_have_are_refused(tmp_path):
    path = saved(tmp_path / "t.csv", SITES)
    with pytest.raises(DataError, match=r"has the columns patch_time, .*; got a name for rt"):
        read_groups(path, LAYOUT, columns={"rt": "RT"})
    with pytest.raises(DataError, match="no column trial"):
        read_groups(path, LAYOUT, columns={"patch": "trial"})


FILES = {
    "objects.npy": (lambda path: np.save(path, np.array([{}, 1], dtype=object)), "Python objects"),
    "text.npy": (lambda path: path.write_text("patch_time,reward"), "not"),
    "empty.npy": (lambda path: path.write_bytes(b""), "is not a .npy"),
    "scalar.npy": (lambda path: np.save(path, 1.0), "a single value"),
    "flat.npy": (lambda path: np.save(path, np.ones(300)), r"must have the shape .*got \(300,\)"),
    "wide.npy": (lambda path: np.save(path, np.ones((2, 100, 4))), r"got \(2, 100, 4\)"),
    "nan.npy": (lambda path: np.save(path, np.full((100, 3), np.nan)), "finite"),
    "none.npy": (lambda path: np.save(path, np.ones((0, 100, 3))), "no trials"),
    "text.parquet": (lambda path: path.write_text("patch_time,reward"), "is not a readable parquet file"),
    "cut.parquet": (lambda path: path.write_bytes(b"PAR1\x15\x00PAR1"), "is not a readable parquet file"),
    "none.parquet": (lambda path: SITES.iloc[:0].to_parquet(path), "no trials"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_hold_no_sites_are_refused(tmp_path, name):
    write, said = FILES[name]
    write(tmp_path / name)
    with pytest.raises(DataError, match=said):
        read_groups(tmp_path / name, LAYOUT)


def test_archives_and_missing_files_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", windows=np.ones((100, 3)))
    (tmp_path / "two.npz").rename(tmp_path / "two.npy")
    with pytest.raises(DataError, match="archive"):
        read_groups(tmp_path / "two.npy", LAYOUT)
    for name in ("a.npy", "a.parquet"):
        with pytest.raises(DataError, match="there is no file"):
            read_groups(tmp_path / name, LAYOUT)


def test_windows_have_no_columns_and_choices_are_no_windows(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((100, 3)))
    with pytest.raises(DataError, match="--columns and --by mean nothing"):
        read_groups(tmp_path / "w.npy", LAYOUT, by=("odor",))
    choices = _layouts.of(registry.make("ddm"))
    with pytest.raises(DataError, match="array without names"):
        read_groups(tmp_path / "w.npy", choices)
    with pytest.raises(DataError, match="ddm has no lengths"):
        read_groups(tmp_path / "w.npy", choices, unit="cm")
