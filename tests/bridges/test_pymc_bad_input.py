"""What PyMC and BayesFlow would swallow, imputed or die of, and `observe` refuses when the model is built."""

# ruff: noqa: E501 (tables)

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import firstpassage as fp
from firstpassage.bridges import _ops

LIKELIHOOD = fp.ddm().exact
THETA = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.1}
RT = np.array([0.5, 0.7, 0.9, 1.1, 0.6])
RESPONSE = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
TRIALS = np.column_stack([RT, RESPONSE])


@pytest.fixture(autouse=True)
def nothing_is_sampled_or_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a bad input gets as far as a sampler or a compiler."""

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a bad input went too far")

    monkeypatch.setattr(pm, "sample", never)
    monkeypatch.setattr(_ops, "packed_value", never)
    monkeypatch.setattr(_ops, "packed_pullback", never)


def with_rt(first: float) -> np.ndarray:
    changed = TRIALS.copy()
    changed[0, 0] = first
    return changed


def with_response(*codes: Any) -> pd.DataFrame:
    return pd.DataFrame({"rt": RT, "response": codes})


DATA: dict[str, tuple[Callable[[], Any], str]] = {
    "none": (lambda: None, r"observed must be.*observed=data"),
    "NaN rt": (lambda: with_rt(np.nan), r"rt must be not missing.*Drop"),
    "inf": (lambda: with_rt(np.inf), r"rt must be finite.*Drop"),
    "-inf": (lambda: with_rt(-np.inf), r"rt must be finite.*Drop"),
    "zero": (lambda: with_rt(0.0), r"rt must be positive.*Drop"),
    "negative": (lambda: with_rt(-0.4), r"rt must be positive.*Drop"),
    "sentinel -999": (lambda: with_rt(-999.0), r"rt must be not missing.*Drop"),
    "sentinel 999": (lambda: with_rt(999.0), r"rt must be not missing.*Drop"),
    "milliseconds": (lambda: np.column_stack([RT * 1000, RESPONSE]), r"rt must be in seconds.*1000"),
    "all the same": (lambda: np.column_stack([np.full(5, 0.5), RESPONSE]), r"rt must vary.*Check"),
    "codes 0/1": (lambda: np.column_stack([RT, RESPONSE > 0]), r"response must be \+1.*2 \* response - 1"),
    "codes 1/2": (lambda: np.column_stack([RT, 1.5 + RESPONSE / 2]), r"response must be \+1.*2 \* response - 3"),
    "code .9999": (lambda: with_response(0.9999, 1, 1, -1, 1), r"response must be \+1.*Recode"),
    "code NaN": (lambda: with_response(np.nan, 1, 1, -1, 1), r"response must be \+1.*Recode"),
    "booleans": (lambda: with_response(True, False, True, True, False), r"response must be numbers.*Recode"),
    "strings": (lambda: with_response(*"ulluu"), r"response must be numbers.*Recode"),
    "categories": (lambda: with_response(*"ulluu").astype({"response": "category"}), r"response must be numbers.*Recode"),
    "swapped columns": (lambda: np.column_stack([[1, 1, 1, -1, 1], RT]), r"response must be \+1|swapped"),
    "(n,)": (lambda: RT, r"shape \(n, 2\).*column_stack"),
    "(n, 1)": (lambda: RT[:, None], r"shape \(n, 2\).*column_stack"),
    "(n, 3)": (lambda: np.ones((5, 3)), r"shape \(n, 2\).*column_stack"),
    "(2, n)": (lambda: TRIALS.T, r"shape \(n, 2\).*column_stack"),
    "(1, n, 2)": (lambda: TRIALS[None], r"shape \(n, 2\).*column_stack"),
    "ragged": (lambda: [[0.5, 1], [0.7]], r"data must be numbers.*Recode"),
    "no trials": (lambda: np.empty((0, 2)), r"at least one trial.*filter"),
    "complex": (lambda: TRIALS + 1j, r"data must be numbers"),
    "masked": (lambda: np.ma.masked_array(TRIALS, mask=TRIALS > 1), r"no masked values.*Drop"),
    "missing column": (lambda: pd.DataFrame({"rt": RT, "choice": RESPONSE}), r"one column 'response'.*Rename"),
    "two columns rt": (
        lambda: pd.DataFrame(np.column_stack([RT, RT, RESPONSE]), columns=["rt", "rt", "response"]),
        r"one column 'rt'.*Rename",
    ),
    "nullable missing": (lambda: pd.DataFrame({"rt": [0.5, None, 0.7], "response": [1, 1, -1]}), r"rt must be not missing"),
    "expression": (lambda: pt.constant(TRIALS) * 1.0, r"observed must be data or a pm\.Data.*Compute"),
}  # fmt: skip

THETAS: dict[str, tuple[Callable[[], dict[str, Any]], type[Exception], str]] = {
    "unknown": (lambda: THETA | {"drift": 1.0}, fp.ModelError, r"unknown \['drift'\].*by its name"),
    "missing": (lambda: {k: v for k, v in THETA.items() if k != "z"}, fp.ModelError, r"missing \['z'\].*by its name"),
    "none": (dict, fp.ModelError, r"missing"),
    "one short": (lambda: THETA | {"v": np.zeros(4)}, fp.DataError, r"v must be one number or 5.*\(4,\).*Index"),
    "one short, symbolic": (
        lambda: THETA | {"v": pm.Normal("v", shape=4)}, fp.DataError, r"v must be one number or 5.*\(4,\).*Index",
    ),
    "one short, by regressor": (
        lambda: THETA | {"v": pm.Normal("b") * pm.Data("w", np.zeros(4))}, fp.DataError, r"v must be.*\(4,\).*Index",
    ),
    "(n, 1)": (lambda: THETA | {"v": np.zeros((5, 1))}, fp.DataError, r"v must be.*\(5, 1\).*Index"),
    "(n, 1), symbolic": (lambda: THETA | {"v": pm.Normal("v", shape=(5, 1))}, fp.DataError, r"v must be.*\(5, 1\)"),
    "(n, 2)": (lambda: THETA | {"v": np.zeros((5, 2))}, fp.DataError, r"v must be.*\(5, 2\).*Index"),
    "(n, 2), symbolic": (lambda: THETA | {"v": pm.Normal("v", shape=(5, 2))}, fp.DataError, r"v must be.*\(5, 2\)"),
    "number of columns": (lambda: THETA | {"v": pm.Normal("v", shape=2)}, fp.DataError, r"v must be.*\(2,\)"),
    "NaN": (lambda: THETA | {"a": np.nan}, fp.DataError, r"a must be a number.*NaN"),
    "text": (lambda: THETA | {"a": "wide"}, fp.DataError, r"a must be a number.*wide"),
    "boolean variable": (lambda: THETA | {"a": pt.eq(pm.Normal("u"), 0)}, fp.DataError, r"a must be a real number"),
    "constant outside the box": (lambda: THETA | {"a": -1.0}, fp.ModelError, r"a must lie between 0\.3 and 2\.5.*Change"),
    "constant t above the fastest rt": (lambda: THETA | {"t": 0.55}, fp.ModelError, r"t must lie between 0 and 0\.5"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_bad_data(case: str) -> None:
    make, message = DATA[case]
    with pm.Model() as model, pytest.raises(fp.DataError, match=message):
        fp.observe("obs", LIKELIHOOD, **THETA, observed=make())
    assert not model.named_vars


@pytest.mark.parametrize("case", THETAS)
def test_bad_parameters(case: str) -> None:
    make, error, message = THETAS[case]
    with pm.Model() as model:
        theta = make()
        with pytest.raises(error, match=message):
            fp.observe("obs", LIKELIHOOD, **theta, observed=TRIALS)
    assert "obs" not in model.named_vars


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (lambda: fp.ddm(), r"got a firstpassage\.models\.model\.Model.*model\.exact"),
        (lambda: type("NRE", (), {})(), r"not trained yet.*\.fit"),
        (lambda: type("Posterior", (), {})(), r"estimates a posterior.*fp\.NRE"),
        (
            lambda: type("RatioEstimator", (), {"__module__": "bayesflow.estimators"})(),
            r"got a bayesflow.*fp\.NRE",
        ),
        (lambda: "ddm", r"Likelihood; got a builtins\.str"),
        (lambda: None, r"Likelihood; got a builtins\.NoneType"),
    ],
)
def test_what_is_no_likelihood(likelihood: Callable[[], Any], message: str) -> None:
    with pm.Model(), pytest.raises(fp.ModelError, match=message):
        fp.observe("obs", likelihood(), **THETA, observed=TRIALS)
    with pm.Model(), pytest.raises(fp.ModelError, match=message):
        fp.priors(likelihood())


def test_untrained_estimator() -> None:
    nre = pytest.importorskip("firstpassage.estimators.nre")
    with pm.Model(), pytest.raises(fp.ModelError, match=r"not trained yet.*\.fit"):
        fp.observe("obs", nre.NRE(fp.ddm()), **THETA, observed=TRIALS)


def test_outside_a_model() -> None:
    with pytest.raises(fp.ModelError, match=r"no PyMC model around.*with pm\.Model"):
        fp.observe("obs", LIKELIHOOD, **THETA, observed=TRIALS)
    with pytest.raises(fp.ModelError, match=r"no PyMC model around.*with pm\.Model"):
        fp.priors(LIKELIHOOD)


def test_by_position() -> None:
    with pm.Model(), pytest.raises(fp.ModelError, match=r"by keyword; got 5 more.*v=\.\.\., a="):
        fp.observe("obs", LIKELIHOOD, 0.5, 1.5, 0.5, 0.1, TRIALS)


@pytest.mark.parametrize("name", [None, "", 3, LIKELIHOOD])
def test_names_that_are_none(name: Any) -> None:
    with pm.Model(), pytest.raises(fp.ModelError, match=r"variable's name, such as 'obs'"):
        fp.observe(name, LIKELIHOOD, **THETA, observed=TRIALS)


def test_names_that_are_taken() -> None:
    with pm.Model(), pytest.raises(fp.ModelError, match=r"already has a variable 'obs'.*another"):
        pm.Normal("obs")
        fp.observe("obs", LIKELIHOOD, **THETA, observed=TRIALS)
    with pm.Model(), pytest.raises(fp.ModelError, match=r"already has a variable 'v'.*another"):
        fp.priors(LIKELIHOOD, "v")
        fp.priors(LIKELIHOOD, "v")


@pytest.mark.parametrize("names", [("w",), ("v", "v"), ("v", "w"), (3,)])
def test_prior_names(names: tuple) -> None:
    with pm.Model(), pytest.raises(fp.ModelError, match=r"names among v, a, z, t, each once.*Leave"):
        fp.priors(LIKELIHOOD, *names)


def test_slow_trials_beyond_the_box() -> None:
    likelihood = fp.ddm(bounds={"t": (1.0, 2.0)}).exact
    with pm.Model(), pytest.raises(fp.DataError, match=r"need t between.*outside its box.*wider box"):
        fp.observe("obs", likelihood, **(THETA | {"t": pm.Uniform("t", 1, 2)}), observed=TRIALS)


def test_data_that_reading_would_change_cannot_be_in_a_container() -> None:
    likelihood = dataclasses.replace(LIKELIHOOD, read=lambda data: np.asarray(data)[:2])
    with pm.Model(), pytest.raises(fp.DataError, match=r"pm\.Data.*shape \(2, 2\).*likelihood\.read"):
        fp.observe("obs", likelihood, **THETA, observed=pm.Data("data", TRIALS))


@pytest.mark.parametrize("case", ["negative", "codes 0/1", "no trials", "(n, 3)"])
def test_bad_data_in_a_container(case: str) -> None:
    make, message = DATA[case]
    with pm.Model(), pytest.raises(fp.DataError, match=rf"{message}|masked"):
        fp.observe("obs", LIKELIHOOD, **THETA, observed=pm.Data("data", make()))


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("case", ["NaN rt", "negative", "codes 0/1", "no trials"])
def test_bad_data_set_later(case: str, mode: str) -> None:
    """They are found at evaluation, before the likelihood is compiled (and by Numba before anything is)."""
    make, message = DATA[case]
    with pm.Model() as model:
        data = pm.Data("data", TRIALS)
        fp.observe("obs", LIKELIHOOD, **(THETA | {"v": pm.Flat("v")}), observed=data)
    pm.set_data({"data": make()}, model=model)
    with pytest.raises(fp.DataError, match=rf"{message}|no masked values.*Drop"):
        model.compile_logp(mode=mode)({"v": 0.0})


def test_regressors_that_do_not_fit_later() -> None:
    with pm.Model() as model:
        w = pm.Data("w", np.zeros(5))
        fp.observe("obs", LIKELIHOOD, **(THETA | {"v": pm.Flat("b") * w}), observed=TRIALS)
    pm.set_data({"w": np.zeros(3)}, model=model)
    with pytest.raises(fp.DataError, match=r"v must be one number or 5.*\(3,\).*Index"):
        model.compile_logp(mode="FAST_COMPILE")({"b": 0.0})


def test_one_choice_only_is_warned_of() -> None:
    with pm.Model(), pytest.warns(fp.DataWarning, match="weakly identified"):
        fp.observe("obs", LIKELIHOOD, **THETA, observed=np.column_stack([RT, np.ones(5)]))


GOOD: dict[str, Callable[[], Any]] = {
    "list": lambda: TRIALS.tolist(),
    "Fortran order": lambda: np.asfortranarray(TRIALS),
    "read-only": lambda: np.broadcast_to(TRIALS, (5, 2)),
    "float32": lambda: TRIALS.astype(np.float32),
    "table": lambda: pd.DataFrame({"response": RESPONSE, "rt": RT, "subject": "s1"}, index=[3, 1, 7, 9, 2]),
    "mapping": lambda: {"rt": RT, "response": RESPONSE},
    "not masked": lambda: np.ma.masked_array(TRIALS),
    "constant": lambda: pt.constant(TRIALS),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_data_become_one_clean_array(case: str) -> None:
    with pm.Model() as model:
        fp.observe("obs", LIKELIHOOD, **THETA, observed=GOOD[case]())
    data = model.rvs_to_values[model["obs"]].data
    assert isinstance(data, np.ndarray) and not isinstance(data, np.ma.MaskedArray)
    np.testing.assert_allclose(data, TRIALS, rtol=1e-7)
    assert len(model.free_RVs) == 0, "PyMC imputed something"
    assert pytensor.config.floatX == "float64"
