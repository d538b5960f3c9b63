"""Convergence, summary and agreement say of known draws what is true of them."""

from __future__ import annotations

import math

import arviz_base
import numpy as np
import pytest
import xarray as xr

from firstpassage.diagnostics import agreement, agreement_verdict, convergence, summary
from firstpassage.errors import DataError, ModelError

BOX = {"v": (-3.0, 3.0)}


def tree(values: np.ndarray, *, divergences: int = 0) -> xr.DataTree:
    """Wrap draws (chain, draw) of one parameter as the sampler does."""
    diverging = np.zeros(values.shape, dtype=bool)
    diverging.ravel()[:divergences] = True
    return arviz_base.from_dict({"posterior": {"v": values}, "sample_stats": {"diverging": diverging}})


def normal(seed: int, shape: tuple[int, int] = (4, 500)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(rho: float) -> np.ndarray:
    noise, x = normal(3), np.zeros((4, 500))
    for i in range(1, 500):
        x[:, i] = rho * x[:, i - 1] + noise[:, i]
    return x


def test_independent_draws_converged():
    found = convergence(tree(normal(1)), box=BOX)
    assert found.ok
    assert found.verdict.startswith("converged: R-hat 1.00")
    assert found.draws == 2000


@pytest.mark.parametrize(
    ("draws", "reason"),
    [
        (tree(normal(1) + np.arange(4)[:, None]), "R-hat"),
        (tree(autoregressive(0.9)), "ESS"),
        (tree(normal(1), divergences=3), "3 of 2000 draws diverged"),
        (tree(normal(1, (1, 2000))), "R-hat cannot be computed"),
        (tree(np.ones((4, 500))), "ESS unknown"),
        (tree(np.where(normal(1) > 3, np.nan, normal(1))), "R-hat cannot be computed"),
    ],
    ids=["chains apart", "sluggish", "divergent", "one chain", "constant", "NaN"],
)
def test_bad_draws_did_not_converge(draws, reason):
    found = convergence(draws)
    assert not found.ok
    assert found.verdict.startswith("not converged")
    assert reason in found.verdict


def test_one_divergence_in_a_thousand_is_allowed():
    assert convergence(tree(normal(1), divergences=2)).ok


def test_two_percent_of_uniform_draws_lie_within_one_percent_of_an_edge():
    draws = tree(np.random.default_rng(1).uniform(-3, 3, (4, 5000)))
    found = convergence(draws, box=BOX)
    assert found.edge["v"] == pytest.approx(0.02, abs=4 * math.sqrt(0.02 * 0.98 / 20_000))
    assert "edge of the box" in found.verdict
    assert found.ok, "a cut posterior may have converged"


def test_effective_sample_size_of_an_autoregression_is_that_of_theory():
    rho = 0.5
    x = np.zeros((4, 4000))
    noise = normal(5, x.shape)
    for i in range(1, 4000):
        x[:, i] = rho * x[:, i - 1] + noise[:, i]
    expected = x.size * (1 - rho) / (1 + rho)
    assert convergence(tree(x)).ess_bulk == pytest.approx(expected, rel=0.15)


def test_what_is_not_a_posterior_is_refused():
    with pytest.raises(DataError, match="posterior"):
        convergence({"v": [1.0]})
    with pytest.raises(ModelError, match="'a'"):
        convergence(tree(normal(1)), box={"a": (0, 1)})


def test_summary_of_normal_draws_is_that_of_the_normal():
    row = summary(tree(2 + 3 * normal(1, (4, 5000)))).loc["v"]
    assert row["mean"] == pytest.approx(2, abs=0.1)
    assert row["sd"] == pytest.approx(3, rel=0.03)
    assert [row["q05"], row["q95"]] == pytest.approx([2 - 3 * 1.645, 2 + 3 * 1.645], abs=0.2)


def test_summary_keeps_the_numbers_that_exist():
    row = summary(tree(np.ones((2, 50)))).loc["v"]
    assert (row["mean"], row["sd"]) == (1.0, 0.0)
    assert row[["r_hat", "ess_bulk", "ess_tail"]].isna().all()


def test_vector_parameters_are_listed_entry_by_entry():
    draws = arviz_base.from_dict({"posterior": {"b": normal(1)[:, :, None] + np.array([0.0, 10.0])}})
    table = summary(draws)
    assert list(table.index) == ["b[0]", "b[1]"]
    assert table.loc["b[1]", "mean"] == pytest.approx(10, abs=0.1)


def test_agreement_measures_shift_in_exact_sds():
    exact = 1 + 0.1 * normal(1, (4, 5000))
    found = agreement(tree(1.05 + 0.2 * normal(2, (4, 5000))), tree(exact)).loc["v"]
    assert found["shift"] == pytest.approx(0.5, abs=5 * found["shift_se"])
    assert found["sd_ratio"] == pytest.approx(2, rel=0.03)


def test_shift_of_equal_posteriors_scatters_by_its_standard_error():
    tables = [agreement(tree(normal(2 * i)), tree(normal(2 * i + 1))).loc["v"] for i in range(150)]
    scatter = np.std([row["shift"] for row in tables])
    assert scatter == pytest.approx(np.mean([row["shift_se"] for row in tables]), rel=0.25)


@pytest.mark.parametrize(
    ("shift", "scale", "agrees"), [(0.1, 1.0, True), (-0.6, 1.0, False), (0.0, 1.5, False), (0.0, 0.5, False)]
)
def test_a_learned_posterior_that_is_off_is_named(shift, scale, agrees):
    exact = normal(1, (4, 5000))
    said = agreement_verdict(agreement(tree(shift + scale * exact), tree(exact)))
    assert said.startswith("agrees" if agrees else "DIFFERS")
    assert "(v)" in said


def test_agreement_refuses_other_parameters():
    other = arviz_base.from_dict({"posterior": {"a": normal(1)}})
    with pytest.raises(DataError, match="same parameters"):
        agreement(tree(normal(1)), other)
