"""Observed visits to patches: what is read, and one clear error for everything on the list of bad inputs."""

import warnings

import numpy as np
import pandas as pd
import pytest

from firstpassage.errors import DataError, DataWarning
from firstpassage.models import patches
from firstpassage.models.patches import read

# Two visits: stop (rewarded), stop, leave; then leave at once; then a visit that is cut off.
GOOD = np.array([[1.2, 1, 1], [2.1, 0, 1], [3.3, 0, 0], [0.9, 0, 0], [1.0, 1, 1]])
NEAREST = 70 / 88.73


def _with(column, value, row=1):
    x = GOOD.copy()
    x[row, column] = value
    return x


def _frame(**columns):
    return pd.DataFrame(GOOD, columns=["patch_time", "reward", "stop"]).assign(**columns)


BAD = {
    "nan": (_with(0, np.nan), r"finite; 1 of 15 .*Drop"),
    "inf": (_with(0, np.inf), r"finite"),
    "negative length": (_with(0, -1.0), r"positive distance; 1 of 5 .*site 1, -1"),
    "zero length": (_with(0, 0.0, row=3), r"positive distance"),
    "not increasing": (_with(0, 1.1), r"must grow .*site 1, 1.2 then 1.1"),
    "equal": (_with(0, 1.2), r"must grow"),
    "centimetres": (GOOD * [88.73, 1, 1], r"looks like centimetres. Divide by 88.73"),
    "stop coded 2": (_with(2, 2.0), r"stop must be 0 or 1; 1 of 5 .*site 1, 2"),
    "stop coded -1": (_with(2, -1.0), r"stop must be 0 or 1"),
    "reward of .5": (_with(1, 0.5), r"reward must be 0 or 1"),
    "reward on a leave": (_with(1, 1.0, row=2), r"a leave .* has no reward; 1 sites .*site 2"),
    "columns in another order": (GOOD[:, [2, 1, 0]], r"stop must be 0 or 1.*in this order"),
    "one dimension": (GOOD[:, 0], r"shape \(site, 3\).*got shape \(5,\)"),
    "two columns": (GOOD[:, :2], r"got shape \(5, 2\)"),
    "four columns": (np.ones((5, 4)), r"got shape \(5, 4\)"),
    "transposed": (GOOD.T, r"got shape \(3, 5\)"),
    "four axes": (GOOD[None, None], r"got shape \(1, 1, 5, 3\)"),
    "no sites": (np.zeros((0, 3)), r"at least one site"),
    "no windows": (np.zeros((0, 5, 3)), r"at least one site"),
    "empty table": (_frame().iloc[:0], r"at least one site"),
    "strings": (np.array([["1.2", "yes", "no"]]), r"must be numbers"),
    "complex": (GOOD.astype(complex), r"must be numbers"),
    "objects": (np.array([[1.2, None, 1]], dtype=object), r"must be|finite"),
    "masked": (np.ma.masked_greater(GOOD, 3), r"no masked values"),
    "none": (None, r"must be|got shape"),
    "a path": ("sites.csv", r"must be numbers"),
    "missing column": (_frame().drop(columns="stop"), r"one column 'stop'; got 0"),
    "duplicate column": (pd.concat([_frame(), _frame()[["stop"]]], axis=1), r"one column 'stop'; got 2"),
    "ragged": ({"patch_time": [1.0, 2.0], "reward": [0.0], "stop": [1.0]}, r"equally long"),
    "string stop": (_frame(stop=["yes", "yes", "no", "no", "yes"]), r"stop must be numbers"),
    "leave within a patch": (_frame(patch=[1, 1, 1, 1, 2]), r"must be the last site of its patch; 1 .*site 2"),
    "a patch unknown": (_frame(patch=[1, 1, 1, np.nan, 2]), r"patch must be known"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_sites_give_one_clear_error(name):
    data, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        read(data)
    assert str(caught.value).endswith((".", '"'))


@pytest.mark.parametrize(("missing", "words"), [(0, "there is no leave"), (1, "there is no stop")])
def test_sessions_without_leaves_or_stops_are_read_with_a_warning(missing, words):
    sites = GOOD[:2] if missing == 0 else np.array([[0.9, 0, 0], [1.1, 0, 0]])
    with pytest.warns(DataWarning, match=words):
        x = read(sites)
    assert len(x) == (1 if missing == 0 else 2)


def test_visits_end_with_a_leave_or_with_the_window():
    x = patches.unpack(read(GOOD))
    assert x.shape == (3, 4, 4)
    assert x[..., 3].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert np.array_equal(x[x[..., 3] == 1][:, :3], GOOD)
    assert (np.diff(x[..., 0], axis=1) > 0).all()  # also where no site is


def test_every_window_of_a_stack_begins_anew():
    once, twice = read(GOOD), read(np.stack([GOOD, GOOD]))
    assert np.array_equal(twice, np.concatenate([once, once]))


def test_what_was_read_is_read_again_unchanged():
    x = read(GOOD)
    assert np.array_equal(read(x), x)


def test_tables_split_by_patch_and_session():
    by_leave = read(_frame())
    assert np.array_equal(read(_frame(patch=[7, 7, 7, 8, 9], session=1)), by_leave)
    cut = patches.unpack(read(_frame(patch=[1, 2, 2, 3, 4]).assign(patch_time=[1.2, 2.1, 3.3, 0.9, 1.0])))
    assert cut[..., 3].sum(axis=1).tolist() == [1, 2, 1, 1]


def test_windows_that_begin_within_a_patch_lose_the_first_visit_unless_it_must_be_whole():
    far, near = GOOD.copy(), GOOD.copy()
    far[:3, 0] += 3.0
    assert len(read(far, first="drop", nearest=NEAREST)) == 2
    assert len(read(near, first="drop", nearest=NEAREST)) == 3  # 1.2 is less than two times the smallest distance
    with pytest.raises(DataError, match="no whole visit"):
        read(far[:3], first="drop", nearest=NEAREST)


def test_the_table_of_visits_carries_what_is_constant_in_each():
    listed = patches.table(_frame(odor=["a", "a", "a", "b", "a"], speed=[1, 2, 3, 4, 5]))
    assert listed["odor"].tolist() == ["a", "b", "a"]
    assert "speed" not in listed
    assert listed["sites"].tolist() == [3, 1, 1]
    assert listed["rewards"].tolist() == [1, 0, 1]
    assert listed["left"].tolist() == [1, 1, 0]
    assert listed["residence"].tolist() == [3.3, 0.9, 1.0]


def test_windows_for_posterior_estimators_have_a_fixed_number_of_sites():
    x = patches.read_windows(GOOD, sites=5)
    assert x.shape == (1, 15)
    assert np.array_equal(patches.read_windows(x, sites=5), x)
    with pytest.raises(DataError, match=r"windows of 100 sites.*got shape \(5, 3\)"):
        patches.read_windows(GOOD, sites=100)
    with pytest.raises(DataError, match=r"got a table"):
        patches.read_windows(_frame(), sites=5)


def test_long_visits_are_padded_to_usual_lengths():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        lengths = {n: read(np.stack([np.arange(1.0, n + 1), 0 * np.arange(n), 1 + 0 * np.arange(n)], 1)).shape[1] // 4
                   for n in (1, 4, 5, 29, 128, 129, 200)}  # fmt: skip
    assert lengths == {1: 4, 4: 4, 5: 8, 29: 40, 128: 128, 129: 192, 200: 256}
