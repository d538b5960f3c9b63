"""Observed choices: everything on the list of bad inputs gives one clear error, before anything runs."""

import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.models.choices import read

GOOD = np.array([[0.5, 1.0], [0.7, -1.0], [0.9, 1.0]])


def _with(column, value, row=1, dtype=float):
    x = GOOD.astype(dtype)
    x[row, column] = value
    return x


def _frame(**columns):
    return pd.DataFrame({"rt": GOOD[:, 0], "response": GOOD[:, 1]} | columns)


BAD = {
    "nan rt": (_with(0, np.nan), r"rt must be not missing .*trial 1.*Drop"),
    "inf rt": (_with(0, np.inf), r"rt must be finite"),
    "minus inf rt": (_with(0, -np.inf), r"rt must be finite"),
    "zero rt": (_with(0, 0.0), r"rt must be positive seconds; 1 of 3"),
    "negative rt": (_with(0, -0.4), r"rt must be positive seconds"),
    "sentinel -999": (_with(0, -999.0), r"rt must be not missing"),
    "sentinel 999": (_with(0, 999.0), r"rt must be not missing"),
    "milliseconds": (GOOD * [1000, 1], r"looks like milliseconds.*Divide by 1000"),
    "constant rt": (np.array([[0.5, 1.0], [0.5, -1.0], [0.5, 1.0]]), r"rt must vary"),
    "coded 0 and 1": (np.array([[0.5, 0.0], [0.7, 1.0]]), r"response must be \+1.*2 \* response - 1"),
    "coded 1 and 2": (np.array([[0.5, 2.0], [0.7, 1.0]]), r"response must be \+1"),
    "nearly one": (_with(1, 0.9999), r"response must be \+1"),
    "nan response": (_with(1, np.nan), r"response must be \+1"),
    "swapped": (GOOD[:, [1, 0]], r"look swapped"),
    "one dimension": (GOOD[:, 0], r"shape \(n, 2\); got shape \(3,\)"),
    "one column": (GOOD[:, :1], r"shape \(n, 2\)"),
    "three columns": (np.ones((3, 3)), r"shape \(n, 2\)"),
    "transposed": (GOOD.T, r"shape \(n, 2\)"),
    "extra axis": (GOOD[None], r"shape \(n, 2\)"),
    "no trials": (np.zeros((0, 2)), r"at least one trial"),
    "empty table": (_frame().iloc[:0], r"at least one trial"),
    "complex": (GOOD.astype(complex), r"must be numbers"),
    "strings": (np.array([["0.5", "left"]]), r"must be numbers"),
    "objects": (np.array([[0.5, None]], dtype=object), r"must be numbers"),
    "masked": (np.ma.masked_invalid(_with(0, np.nan)), r"no masked values"),
    "boolean response": (_frame(response=[True, False, True]), r"response must be numbers.*2 \* correct - 1"),
    "string response": (_frame(response=["left", "right", "left"]), r"response must be numbers"),
    "categorical response": (_frame(response=pd.Categorical(["a", "b", "a"])), r"response must be numbers"),
    "missing column": (_frame().drop(columns="rt"), r"one column 'rt'; got 0"),
    "duplicate column": (pd.concat([_frame(), _frame()[["rt"]]], axis=1), r"one column 'rt'; got 2"),
    "ragged": ({"rt": [0.5, 0.6], "response": [1.0]}, r"equally long"),
    "none": (None, r"must be numbers"),
    "a path": ("trials.csv", r"must be numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_give_one_clear_error(name):
    data, message = BAD[name]
    with pytest.raises(fp.DataError, match=message):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        GOOD.tolist(),
        np.asfortranarray(GOOD),
        GOOD.astype(np.float32),
        GOOD.astype(object),
        np.ma.masked_array(GOOD),
        _frame(),
        _frame(extra=["x", "y", "z"], response=[1, -1, 1]).set_index(pd.Index([5, 9, 11])),
        {"rt": GOOD[:, 0], "response": GOOD[:, 1]},
    ],
    ids=["array", "list", "fortran", "float32", "object", "nothing masked", "table", "gaps", "mapping"],
)
def test_good_data_are_read_alike(data):
    x = read(data)
    assert x.shape == (3, 2) and x.dtype == np.float64
    np.testing.assert_allclose(x, GOOD, rtol=1e-6)


def test_read_only_and_jax_arrays_are_read():
    import jax.numpy as jnp

    frozen = GOOD.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(read(frozen), GOOD)
    np.testing.assert_allclose(read(jnp.asarray(GOOD)), GOOD, rtol=1e-6)


def test_two_trials_of_two_columns_are_rows():
    np.testing.assert_array_equal(read(GOOD[:2]), GOOD[:2])


def test_one_trial_is_allowed():
    assert read(GOOD[:1]).shape == (1, 2)


def test_one_choice_only_warns():
    with pytest.warns(fp.DataWarning, match="only weakly identified"):
        read(np.array([[0.5, 1.0], [0.6, 1.0]]))


def test_the_data_given_are_not_changed():
    x = GOOD.copy()
    read(x)[0, 0] = 99.0
    np.testing.assert_array_equal(x, GOOD)
