"""Training fills a folder, goes on where it was stopped, and is refused before it writes."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.errors import ArtefactError, ModelError
from firstpassage.pipeline import TrainSettings, _catalogue, _train, simulate, train


class Halting:
    """Stand in for NRE: two epochs with a checkpoint after each, and a stop after the first call's first."""

    batch = 1000

    def __init__(self, model):
        self.model = model

    def fit(self, *, budget, seed, into, progress):
        checkpoint = into / "checkpoint.npz"
        done = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
        for epoch in range(len(done) + 1, 3):
            done.append(
                {
                    "epoch": epoch,
                    "pairs": budget // 2 * epoch,
                    "loss": 1 / epoch,
                    "validation_loss": 2 / epoch,
                }
            )
            checkpoint.write_text(json.dumps(done))
            if progress:
                progress({**done[-1], "epochs": 2, "budget": budget})
        pd.DataFrame(done).to_csv(into / "history.csv", index=False)
        checkpoint.unlink()
        return self.model.exact


class FromTable(Halting):
    """Stand in for NRE: an epoch over the simulations that it is given."""

    def fit(self, *, budget, seed, into, progress, simulations):
        size = len(simulations["mu"]) if budget is None else budget
        row = {"epoch": 1, "pairs": size, "loss": 0.5, "validation_loss": 0.5}
        pd.DataFrame([row]).to_csv(into / "history.csv", index=False)
        return self.model.exact


class Passing(fp.NPE):
    """Stand in for NPE: one epoch in which each data set is used as often as usual."""

    def fit(self, *, budget, seed, into, progress):
        row = {"epoch": 1, "pairs": budget * self.passes, "loss": -1.0, "validation_loss": -2.0}
        pd.DataFrame([row]).to_csv(into / "history.csv", index=False)
        return self


class Towards(fp.NPE):
    """Stand in for NPE in rounds: note for how many trials it is."""

    card = {"rounds": {"simulations": [2500, 2500]}}

    def fit(self, *, budget, seed, into, progress, observed, rounds):
        row = {"epoch": 1, "pairs": self.trials[1] * self.passes, "loss": rounds, "validation_loss": self.trials[0]}
        pd.DataFrame([row]).to_csv(into / "history.csv", index=False)
        return self


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(_train._ESTIMATORS, "nre", Halting)


def stop(event):
    raise KeyboardInterrupt


def test_a_run_leaves_history_loss_and_verdict(tmp_path):
    events = []
    run = train(TrainSettings(budget=10_000, seed=1), into=tmp_path / "run", progress=events.append)
    assert [event["epoch"] for event in events] == [1, 2]
    assert run.verdict == "trained: 2 epochs on 10,000 simulated trials, validation loss 1.0000 nats."
    found = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert found == {
        "config.json", "environment.txt", "run.log", "history.csv", "metrics.json", "figures/loss.png",
        "figures/loss.json",
    }  # fmt: skip
    assert "n = 10000 simulated trials; seed 1" in (run.path / "figures" / "loss.json").read_text()


def test_a_stopped_run_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(TrainSettings(budget=10_000), into=tmp_path, progress=stop)
    assert "KeyboardInterrupt" in (tmp_path / "run.log").read_text()
    events = []
    train(TrainSettings(budget=10_000), into=tmp_path, progress=events.append)
    assert [event["epoch"] for event in events] == [2]


def test_other_settings_do_not_go_on_in_the_same_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(TrainSettings(budget=10_000), into=tmp_path, progress=stop)
    with pytest.raises(ArtefactError, match="other budget"):
        train(TrainSettings(budget=20_000), into=tmp_path)
    events = []
    train(TrainSettings(budget=20_000), into=tmp_path, force=True, progress=events.append)
    assert [event["epoch"] for event in events] == [1, 2], "force starts anew"


def test_rounds_of_npe_are_for_the_number_of_trials_observed(tmp_path, monkeypatch):
    monkeypatch.setitem(_train._ESTIMATORS, "npe", Towards)
    pd.DataFrame({"rt": [0.6, 0.7, 0.9], "response": [1, -1, 1]}).to_csv(tmp_path / "data.csv", index=False)
    settings = TrainSettings(method="npe", budget=5000, rounds=2, observed=str(tmp_path / "data.csv"))
    last = train(settings, into=tmp_path / "run").history.iloc[-1]
    assert (last["loss"], last["validation_loss"]) == (2, 3)
    assert settings.trials is None and "--trials" not in settings.options


def test_without_a_budget_the_number_of_simulations_decides(tmp_path, monkeypatch):
    monkeypatch.setitem(_train._ESTIMATORS, "nre", FromTable)
    table = simulate(fp.gaussian(), n=25, seed=1, into=tmp_path / "table.npz")
    settings = TrainSettings(model="gaussian", simulations=str(table))
    assert "--budget" not in settings.options
    assert train(settings, into=tmp_path / "run").simulations == 25


@pytest.mark.parametrize(
    "wrong",
    [{}, {"budget": 999}, {"budget": -1}, {"budget": 1.5e6}, {"budget": 10_000, "method": "exact"},
     {"budget": 10_000, "seed": -1}, {"budget": 10_000, "model": "moons"}, {"budget": 10_000, "trials": (20, 100)},
     {"budget": 10_000, "method": "nle", "trials": (20, 100)}, {"budget": 511, "method": "npe"},
     {"budget": 10_000, "method": "npe", "unit": "patch"}, {"budget": 10_000, "method": "nle", "unit": "patch"},
     {"budget": 10_000, "model": "foraging", "method": "nle", "unit": "site"},
     {"budget": 10_000, "method": "npe", "trials": (100, 20)}, {"budget": 10_000, "method": "npe", "trials": (0, 20)}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_train_are_refused_at_once(wrong):
    with pytest.raises(ModelError):
        TrainSettings(**wrong)


def test_a_posterior_is_trained_on_data_sets_of_a_range_of_sizes(tmp_path, monkeypatch):
    monkeypatch.setitem(_train._ESTIMATORS, "npe", Passing)
    settings = TrainSettings(budget=5000, method="npe", trials=(30, 60))
    run = train(settings, into=tmp_path / "run")
    assert run.learned.trials == (30, 60)
    assert json.loads((run.path / "config.json").read_text())["settings"]["trials"] == [30, 60]
    assert run.simulations == json.loads((run.path / "metrics.json").read_text())["simulations"] == 5000
    assert run.verdict == "trained: 1 epochs on 5,000 simulated data sets, validation loss -2.0000 nats."
    assert "npe on ddm; n = 5000 simulated data sets" in (run.path / "figures" / "loss.json").read_text()
    with pytest.raises(ArtefactError, match="other trials"):
        train(TrainSettings(budget=5000, method="npe", trials=(30, 61)), into=tmp_path / "run")


def test_every_learned_method_can_be_trained():
    made = {kind: TrainSettings(budget=10_000, method=kind) for kind in _catalogue.LEARNED}
    assert isinstance(made["npe"].estimator(), fp.NPE)
    assert isinstance(made["nle"].estimator(), fp.NLE)
    assert made["npe"].trials == fp.NPE(fp.ddm()).trials == (20, 1000)
    assert made["nle"].trials is made["nre"].trials is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [{"method": "nre", "budget": 200_000}, {"method": "nle", "budget": 200_000},
     {"method": "npe", "budget": 5000, "trials": (20, 30)}],
    ids=str,
)  # fmt: skip
def test_a_real_training_can_be_loaded(tmp_path, monkeypatch, chosen):
    monkeypatch.setitem(_train._ESTIMATORS, "nre", fp.NRE)
    run = train(TrainSettings(seed=1, **chosen), into=tmp_path / "run")
    assert fp.load(run.path).kind == chosen["method"]
    assert run.simulations >= 0.98 * chosen["budget"], "up to a batch that is not full"


def test_of_foraging_decisions_are_learned_unless_statistics_are_asked_for():
    usual, window = (TrainSettings(model="foraging", method="nle", budget=5000, unit=u) for u in (None, "window"))
    assert (usual.estimator().unit, window.estimator().unit) == ("patch", "window")
    assert usual.counted == "windows"
    assert TrainSettings(model="foraging", method="npe", budget=5000).trials == (1, 1)
