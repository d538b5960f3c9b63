"""Tables of simulations: any order of columns gives the same pairs, and what no simulator made is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.estimators import _latent, _sets, _simulations, _stream
from firstpassage.estimators._training import Plan, _schedule

MODEL = fp.gaussian()


def _simulate(theta, *, trials, rng):
    """Two variables of different shapes, so that their order matters."""
    shape = (len(theta["mu"]), trials)
    return {"x": rng.normal(theta["mu"][:, None], 1.0, shape), "pair": rng.normal(size=(*shape, 2))}


TWO = fp.Model(name="two", parameters=[fp.Parameter("mu", bounds=(-1, 1))], likelihood=_simulate)


def _table(model=MODEL, n=40, trials=3):
    theta = model.prior(n, seed=1)
    return theta | model.likelihood(theta, trials=trials, seed=2)


def test_the_order_of_the_columns_does_not_matter():
    table = _table(TWO)
    swapped = dict(reversed(table.items()))
    ours, theirs = _simulations.check(TWO, table), _simulations.check(TWO, swapped)
    np.testing.assert_array_equal(ours.x, theirs.x)
    np.testing.assert_array_equal(ours.x[..., 0], table["x"])
    np.testing.assert_array_equal(ours.x[..., 1:], table["pair"])
    assert _simulations.digest(table) == _simulations.digest(swapped)
    assert _simulations.digest(table) != _simulations.digest(table | {"x": table["x"] + 1e-9})


def test_every_trial_of_a_row_is_a_pair_with_its_parameters():
    table = _table()
    found = _stream.table(MODEL, table, seed=1)
    assert found.x.shape == (120, 1)
    np.testing.assert_array_equal(found.x[:, 0], table["x"].ravel())
    np.testing.assert_array_equal(found.theta["mu"], np.repeat(table["mu"], 3))
    frame = pd.DataFrame({name: value if name != "x" else value[:, 0] for name, value in table.items()})
    np.testing.assert_array_equal(_stream.table(MODEL, frame, seed=1).x[:, 0], table["x"][:, 0])


WRONG = {
    "a parameter is missing": ({"sigma": None}, fp.ModelError, "Add sigma"),
    "the variable is missing": ({"x": None}, fp.ModelError, r"variable \(x\).*Add x"),
    "an unknown name": ({"rt": np.zeros(40)}, fp.ModelError, "Leave out rt"),
    "other numbers of rows": ({"mu": np.zeros(39)}, fp.DataError, "equally many rows"),
    "a parameter of two columns": ({"mu": np.zeros((40, 2))}, fp.DataError, r"mu of the simulations .* shape \(n,\)"),
    "data of a wrong shape": ({"x": np.zeros((40, 3, 2))}, fp.DataError, r"got \(40, 3, 2\)"),
    "words": ({"mu": np.array(["a"] * 40)}, fp.DataError, "must be numbers"),
    "NaN": ({"x": np.r_[np.zeros(7), np.nan, np.zeros(32)]}, fp.DataError, r"1 of 40 rows are not \(first: row 7\)"),
    "out of the box": (
        {"mu": np.r_[np.zeros(39), 6.0]},
        fp.DataError,
        r"\[-5, 5\]; 1 of 40 .* row 39",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_tables_that_no_simulator_made_are_refused(name):
    change, error, words = WRONG[name]
    table = {key: value for key, value in (_table() | change).items() if value is not None}
    with pytest.raises(error, match=words):
        _simulations.check(MODEL, table)


def test_few_rows_are_refused():
    with pytest.raises(fp.DataError, match="at least 20 rows; got 19"):
        _simulations.check(MODEL, _table(n=19))


def _mean(x):
    """Number and mean of the trials of each set."""
    return np.stack([np.full(len(x), x.shape[1]), x[..., 0].mean(axis=1)], axis=1)


def _source(trials, table):
    space = _latent.space(MODEL)
    return _sets.source(MODEL, table, space=space, trials=trials, encode=_mean, seed=1, batch=8)


def test_sets_of_a_table_are_cut_to_the_range_of_trials():
    table = _table(n=2000, trials=12)
    _, features = _source((3, 9), table).draw(1800, purpose="epoch 0")
    sizes = np.unique(features[:, 0])
    assert sizes.min() >= 3 and sizes.max() <= 9 and len(sizes) > 1
    means = np.cumsum(table["x"], axis=1) / np.arange(1, 13)
    for size in sizes.astype(int):
        ours = features[features[:, 0] == size, 1]
        assert np.isin(np.round(ours, 9), np.round(means[:, size - 1], 9)).all(), "the first trials of some row"


def test_sets_shorter_than_the_posterior_is_for_are_refused():
    with pytest.raises(fp.DataError, match="for a posterior of 3 to 9 trials; got 5"):
        _source((3, 9), _table(trials=5))


def test_every_method_can_let_the_learning_rate_fall_in_steps():
    for method in (fp.NPE, fp.NRE):
        assert "decay" not in method(MODEL).settings()
        assert method(MODEL, decay=(0.5, 100)).settings()["decay"] == (0.5, 100)
        with pytest.raises(fp.ModelError, match="decay must be"):
            method(MODEL, decay=(2.0, 100))
    plan = Plan(
        budget=1000, batch=1, epoch_pairs=100, validation=10, learning_rate=1.0, average=0.9, patience=None, seed=1,
        decay=(0.5, 100),
    )  # fmt: skip
    rate = _schedule(plan, 1000)
    assert [float(rate(step)) for step in (0, 99, 100, 250)] == pytest.approx([1.0, 1.0, 0.5, 0.25])


@pytest.mark.slow
def test_a_likelihood_learned_from_a_table_of_several_trials_a_row_is_the_exact_one():
    table = _table(n=40_000, trials=5)
    shuffled = {name: table[name] for name in ("x", "sigma", "mu")}
    learned = fp.NLE(MODEL, epoch_pairs=32_768).fit(budget=655_360, seed=1, simulations=shuffled)
    theta = MODEL.prior(2000, seed=7)
    x = MODEL.likelihood(theta, trials=1, seed=8)["x"]
    ours, exact = (one.log_prob(x, **theta) for one in (learned, MODEL.exact))
    assert -0.01 < np.mean(exact - ours) < 0.02, "nats a trial: the divergence, which is below 0 by chance alone"
