"""HSSM with this package's likelihoods: what it is given, and that its models have the right density."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.bridges import hssm as bridge


def test_bounds_names_and_codes_are_carried_over():
    likelihood = fp.ddm(bounds={"v": (-5, 5)}).exact
    given = likelihood.to_hssm()
    config = given["model_config"]
    assert config["list_params"] == ["v", "a", "z", "t"] and config["choices"] == (-1, 1)
    assert config["bounds"] == likelihood.box and config["bounds"]["v"] == (-5.0, 5.0)
    assert given["loglik_kind"] == "analytical" and given["p_outlier"] == 0.0


def test_a_learned_likelihood_is_approximate_and_never_mixed_with_lapses_if_a_ratio():
    ratio = fp.pretrained("ddm", "nre")
    given = ratio.to_hssm()
    assert given["loglik_kind"] == "approx_differentiable" and given["p_outlier"] == 0.0
    with pytest.raises(fp.ModelError, match="not a density.*p_outlier must be 0"):
        ratio.to_hssm(p_outlier=0.05)


def test_lapses_are_those_of_the_package():
    exact = fp.ddm().exact
    for given in (exact.to_hssm(p_outlier={"name": "Beta", "alpha": 1, "beta": 9}), fp.lapses(exact).to_hssm()):
        assert given["model_config"]["list_params"] == ["v", "a", "z", "t"], "HSSM adds p_outlier itself"
        assert given["loglik"].rv_op.likelihood.parameter_names[-1] == "p_outlier"
        assert given["p_outlier"]["name"] == "Beta"


def test_the_random_variable_draws_from_the_likelihood_with_an_explicit_generator():
    variable = fp.ddm().exact.to_hssm()["loglik"].rv_op
    one, two = (
        variable.rng_fn(np.random.default_rng(1), *[np.full(50, v) for v in (1, 1, 0.5, 0.3)], None) for _ in "ab"
    )
    assert np.array_equal(one, two) and one.shape == (50, 2) and (one[:, 0] > 0.3).all()


def test_other_data_than_choices_are_refused():
    with pytest.raises(fp.ModelError, match="choices with response times"):
        fp.lif().exact.to_hssm()


def test_without_hssm_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(bridge, "find_spec", lambda name: None)
    with pytest.raises(fp.ModelError, match=r"firstpassage\[hssm\]"):
        fp.ddm().exact.to_hssm()


@pytest.fixture(scope="module")
def session():
    program = Path(__file__).with_name("hssm_session.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_exact_log_densities_are_hssms_analytic_ones(session):
    assert session["analytic_gap"] < 1e-6


@pytest.mark.slow
def test_models_have_the_same_log_likelihood_and_gradient(session):
    models = session["models"]
    assert abs(models["exact"]["logp"] - models["analytic"]["logp"]) < 1e-6
    assert abs(models["onnx"]["logp"] - models["nle"]["logp"]) < 1e-3, "a file gives what its network gives"
    assert abs(models["nle"]["logp"] - models["exact"]["logp"]) < 2.0
    assert np.allclose(models["onnx"]["gradient"], models["nle"]["gradient"], rtol=1e-3, atol=1e-2)


@pytest.mark.slow
def test_a_ratio_is_sampled_and_predicts_but_has_no_log_likelihood(session):
    found = session["sampled"]
    assert found["t"] < found["fastest"] and found["log_likelihood_is_nan"]
    assert found["predicted_shape"][-2:] == [80, 2] and found["responses"] == [-1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "nre"])
def test_the_posterior_of_a_formula_with_group_effects_is_that_of_hssms_own_likelihood(session, name):
    for parameter, row in session["posteriors"][name].items():
        assert abs(row["in_mcse"]) < 4.5 and abs(row["in_sd"]) < 0.5, parameter
        assert 0.75 < row["ratio_of_sd"] < 1.33, parameter


@pytest.mark.slow
def test_bad_data_are_refused_when_the_model_is_built(session):
    refusals = session["refusals"]
    assert "looks like milliseconds" in refusals["milliseconds"]
    assert "not missing" in refusals["missing"], "HSSM itself takes -999 as its absolute value"
    assert "to_hssm(p_outlier=...)" in refusals["p_outlier"]


@pytest.mark.slow
def test_a_lapse_is_a_density_over_both_responses_and_20_seconds(session):
    assert session["robust"] == pytest.approx(np.log(0.05 / 2 / 20), abs=1e-6)


@pytest.mark.slow
def test_single_precision_gives_the_same(session):
    assert session["single"] == pytest.approx(session["models"]["nle"]["logp"], abs=0.05)
