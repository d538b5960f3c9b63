"""The predictive check reproduces data of the model and says what it cannot reproduce."""

from __future__ import annotations

import dataclasses
import types

import arviz_base
import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.diagnostics import Ppc, ppc
from firstpassage.diagnostics._json import as_json
from firstpassage.errors import DataError, ModelError

THETA = {"v": 0.8, "a": 1.0, "z": 0.5, "t": 0.3}
EXACT = fp.ddm().exact


def posterior(**changes):
    """Make draws around one parameter set."""
    rng = np.random.default_rng(1)
    return arviz_base.from_dict(
        {"posterior": {k: x + rng.normal(0, 0.02, (2, 50)) for k, x in (THETA | changes).items()}}
    )


def trials(n=200, seed=1, **changes):
    drawn = fp.ddm().likelihood({k: np.array([x]) for k, x in (THETA | changes).items()}, trials=n, seed=seed)
    return np.column_stack([drawn["rt"][0], drawn["response"][0]])


DRAWS = posterior()


def test_data_of_the_model_are_reproduced():
    found = [ppc(EXACT, DRAWS, trials(seed=s), seed=s) for s in range(12)]
    assert all(one.ok for one in found)
    p = np.concatenate([one.p for one in found])
    assert np.mean((p < 0.01) | (p > 0.99)) < 0.04
    assert 0.4 < p.mean() < 0.6
    assert "statistics against 200 replicates" in found[0].verdict


def test_statistics_of_choices_and_response_times_are_the_usual_ones():
    found = ppc(EXACT, DRAWS, trials(), seed=1)
    x, seen = trials(), dict(zip(found.names, found.observed, strict=True))
    upper = x[x[:, 1] > 0, 0]
    assert seen["share of upper responses"] == np.mean(x[:, 1] > 0)
    assert seen["sd of rt"] == x[:, 0].std()
    assert seen["q90 of rt, upper"] == np.quantile(upper, 0.9)
    assert found.replicated.shape == (200, len(found.names))
    few = np.column_stack([x[:, 0], np.where(np.arange(200) < 9, -1.0, 1.0)])
    names = ppc(EXACT, DRAWS, few, seed=1, replicates=5).names
    assert not any("lower" in name for name in names)  # nine trials are too few
    assert any("q10 of rt, upper" in name for name in names)


def test_what_differs_is_named():
    found = ppc(EXACT, DRAWS, trials() + [0.4, 0.0], seed=1)
    assert not found.ok
    assert "min of rt" in found.unusual
    assert dict(zip(found.names, found.p, strict=True))["min of rt"] == 1.0  # no replicate is as slow
    assert "share of upper responses" not in found.unusual
    assert found.verdict.startswith("the posterior does NOT reproduce the data: mean of rt is")
    assert '"ok": false' in as_json(found.numbers())


def test_ties_count_half():
    known = np.array([[0.0], [1.0], [1.0], [2.0]])
    found = Ppc(names=("n",), observed=np.array([1.0]), replicated=known, kind="exact", seed=1)
    assert found.p.tolist() == [0.5]
    assert found.ok is None
    constant = Ppc(names=("n",), observed=np.array([3.0]), replicated=np.full((200, 1), 3.0), kind="exact", seed=1)
    assert constant.p.tolist() == [0.5]
    assert constant.ok


def test_conditions_are_checked_apart():
    """Data that agree on the whole, with two drifts where one was fitted, fail in both conditions."""
    easy, hard = trials(v=2.2, seed=3), trials(v=-0.5, seed=4)
    data = pd.DataFrame(np.concatenate([easy, hard]), columns=["rt", "response"])
    data["level"] = np.repeat(["easy", "hard"], 200)
    one = ppc(EXACT, DRAWS, data, seed=1, by="level")
    assert {"easy: share of upper responses", "hard: share of upper responses"} <= set(one.unusual)
    own = {"easy": posterior(v=2.2), "hard": posterior(v=-0.5)}
    each = ppc(EXACT, own, data, seed=1, by=data["level"].to_numpy())
    assert each.ok
    assert len(each.names) == len(one.names)


def test_statistics_can_be_given():
    x = trials()
    found = ppc(EXACT, DRAWS, x, seed=1, statistics={"slow": lambda x: np.mean(x[:, 0] > 1)}, replicates=150)
    assert found.names == ("slow",)
    assert found.observed[0] == np.mean(x[:, 0] > 1)
    assert found.replicated.shape == (150, 1)


def test_a_learned_posterior_is_checked_by_its_simulator():
    """What is needed of a sampler is a simulator, `read`, and names."""
    fields = ("model", "simulate", "read", "columns", "parameter_names")
    stranger = types.SimpleNamespace(kind="npe", **{name: getattr(EXACT, name) for name in fields})
    ours, theirs = (ppc(s, DRAWS, trials(), seed=1) for s in (stranger, EXACT))
    assert np.array_equal(ours.replicated, theirs.replicated)
    assert ours.kind == "npe"


def test_columns_of_any_model_have_statistics():
    def simulate(theta, rng):
        return np.column_stack(
            [rng.normal(theta["m"]), rng.poisson(3, len(theta["m"])), rng.random(len(theta["m"])) < 0.5]
        )

    fields = {"model": "x", "kind": "npe", "read": np.asarray, "columns": ("x", "n", "coin"), "parameter_names": ("m",)}
    draws = arviz_base.from_dict({"posterior": {"m": np.full((1, 20), 1.0)}})
    data = simulate({"m": np.ones(100)}, np.random.default_rng(2))
    found = ppc(types.SimpleNamespace(simulate=simulate, **fields), draws, data, seed=1)
    assert found.ok
    assert len(found.names) == 7 + 7 + 1


def test_bad_inputs_are_refused():
    x = trials(20)
    with pytest.raises(ModelError, match="replicates"):
        ppc(EXACT, DRAWS, x, seed=1, replicates=0)
    with pytest.raises(ModelError, match="no simulator"):
        ppc(dataclasses.replace(EXACT, simulate=None), DRAWS, x, seed=1)
    with pytest.raises(DataError, match="one condition for each of 20 trials"):
        ppc(EXACT, DRAWS, x, seed=1, by=["a"] * 19)
    with pytest.raises(DataError, match="must name a column"):
        ppc(EXACT, DRAWS, x, seed=1, by="level")
    with pytest.raises(DataError, match="every condition; 'b'"):
        ppc(EXACT, {"a": DRAWS}, x, seed=1, by=["a", "b"] * 10)
    with pytest.raises(ModelError, match="condition of each trial"):
        ppc(EXACT, {"a": DRAWS}, x, seed=1)
    with pytest.raises(ModelError, match="must return one number"):
        ppc(EXACT, DRAWS, x, seed=1, statistics={"all": lambda x: x[:, 0]})
    with pytest.raises(DataError, match="must be finite"):
        ppc(EXACT, DRAWS, x, seed=1, statistics={"gap": lambda x: np.nan})
    with pytest.raises(ModelError, match="at least one statistic"):
        ppc(EXACT, DRAWS, x, seed=1, statistics={})
