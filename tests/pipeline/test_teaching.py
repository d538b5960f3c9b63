"""The teaching models on the command line's own road: a file of one column, fitted as any other."""

import numpy as np
import pandas as pd
import pytest

from firstpassage.models import registry
from firstpassage.pipeline import _catalogue, _recipes, _teaching_recipes


def test_their_informed_priors_are_those_of_their_usual_box():
    assert sorted(_recipes.reference(registry.make("gaussian"))) == ["mu", "sigma"]
    assert _recipes.reference(registry.make("gaussian", bounds={"mu": (-1.0, 1.0)})) is None
    assert _recipes.reference(registry.make("poisson")) is None
    assert _catalogue.default_method("poisson") == "exact"


@pytest.mark.parametrize(
    ("spoil", "name"), [(_teaching_recipes.outlying, "gaussian"), (_teaching_recipes.chipless, "poisson")]
)
def test_spoiled_data_differ_in_about_15_percent_of_the_trials(spoil, name):
    clean = [np.random.default_rng(i).poisson(9.0, (2000, 1)).astype(float) for i in range(2)]
    for before, after in zip(clean, spoil(registry.make(name), clean, seed=1), strict=True):
        moved = before != np.median(before) if name == "gaussian" else before > 0
        assert 0.12 < np.mean(before[moved] != after[moved]) < 0.18
        assert name == "gaussian" or (after[before != after] == 0).all()


@pytest.mark.slow
def test_a_file_of_counts_is_fitted_by_the_exact_and_the_learned_likelihood(tmp_path):
    from firstpassage.pipeline import FitSettings, fit_table

    chips = np.random.default_rng(1).poisson(8.0, 30)
    pd.DataFrame({"chips": chips}).to_csv(tmp_path / "cookies.csv", index=False)
    settings = FitSettings(model="poisson", methods=("exact", "nre"), draws=300, tune=300, chains=2, seed=1)
    run = fit_table(tmp_path / "cookies.csv", settings, into=tmp_path / "run")
    means = [float(one.draws["posterior"]["rate"].mean()) for one in run.fits]
    assert abs(means[0] - means[1]) < 0.2 * (8.0 / 30) ** 0.5
