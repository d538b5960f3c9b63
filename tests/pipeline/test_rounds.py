"""Rounds towards one observation, by settings and files."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage import pipeline
from firstpassage.errors import ModelError
from firstpassage.pipeline import RunConfig, TrainSettings, prepare

OWN = """
import numpy as np
import firstpassage as fp

def simulate(theta, *, trials, rng):
    return {"x": rng.normal(theta["mu"][:, None], 0.5, (len(theta["mu"]), trials))}

model = fp.Model(name="shift", parameters=[fp.Parameter("mu", bounds=(-3, 3))], likelihood=simulate)
"""


def test_rounds_and_the_observed_data_go_together():
    for given in ({"rounds": 2}, {"observed": "data.csv"}, {"rounds": 0}, {"rounds": True}):
        with pytest.raises(ModelError, match="rounds"):
            TrainSettings(budget=10_000, **given)


def test_the_command_line_that_goes_on_has_the_rounds():
    settings = TrainSettings(budget=10_000, rounds=2, observed="data.csv")
    assert settings.options.endswith("--observed data.csv --rounds 2")


def test_a_training_in_one_round_stays_the_same_training():
    assert not {"rounds", "observed"} & set(TrainSettings(budget=10_000).identity())


def test_rounds_make_another_run():
    gaussian = {"model": {"name": "gaussian"}, "budget": 50_000}
    one, two = (prepare(RunConfig(**gaussian, rounds=rounds)).name for rounds in (1, 2))
    assert one != two
    with pytest.raises(ModelError, match="rounds"):
        RunConfig(**gaussian, rounds=0)


@pytest.mark.slow
def test_a_file_of_one_subject_is_what_the_rounds_are_for(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    np.savez(tmp_path / "data.npz", x=np.array([0.7]))
    settings = TrainSettings(
        model=f"{tmp_path}/own.py:model", method="npe", budget=2000, rounds=2, observed=str(tmp_path / "data.npz")
    )
    run = pipeline.train(settings, into=tmp_path / "run")
    assert run.simulations == 2000
    draws = run.learned.sample({"x": np.array([0.7])}, draws=2000, seed=1)["posterior"]["mu"]
    assert float(draws.mean()) == pytest.approx(0.7, abs=0.1)
    assert float(draws.std()) == pytest.approx(0.5, rel=0.15)
    assert fp.load(tmp_path / "run", model=settings.estimator().model).card["rounds"]["number"] == 2
