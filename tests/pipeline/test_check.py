"""The audit card: verdicts in words, one page, kept in the bundle; broken estimators fail."""

import dataclasses
import json
import time

import numpy as np
import pytest

import firstpassage as fp
from firstpassage import diagnostics, pipeline
from firstpassage.diagnostics._json import as_json
from firstpassage.pipeline import _check, _items, _recipes
from firstpassage.pipeline._audit import Audit, Item

TINY = _items.Effort(
    calibrated=24, amortized=200, trials=40, by_mcmc=20, compared={40: 2}, predicted=10, corrected=8, lapsed=4,
    densities=5, steps=200,
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(_items, "effort", lambda model, fast: TINY)


def _items_of(result, *names, seed=5):
    subject = _items.Subject(result=result, model=fp.ddm(), effort=TINY, seed=seed)
    asked = _items.questions(subject)
    return {item.name: item for name in names for item in asked[name]()}


def test_a_card_says_everything_in_words(tmp_path):
    items = (
        Item(name="sbc", question="Uniform?", ok=True, words="p .4 <fine>", numbers={"p": np.array([0.4])}),
        Item(name="tarp", question="Joint?", ok=False, words="distance .3", numbers={}),
        Item(name="ppc", question="Alike?", ok=None, words="no simulator", numbers={}),
    )
    found = Audit(model="ddm", kind="nre", items=items, seed=1, fast=True, seconds=3.0, card={"pairs": 10})
    assert not found.ok
    assert found.headline == "ddm nre: short audit passed 1 of 3 items, FAILED tarp, 1 not tested."
    _check.write(found, tmp_path)
    page, numbers = (tmp_path / "audit.html").read_text(), json.loads((tmp_path / "audit.json").read_text())
    assert "p .4 &lt;fine&gt;" in page and "http" not in page.replace("</html>", "")
    assert [i["state"] for i in numbers["items"].values()] == ["passed", "failed", "not tested"]
    assert found.summary()["items"]["ppc"] == {"state": "not tested", "words": "no simulator"}


def test_a_good_posterior_passes_and_a_broken_one_fails():
    """The shipped posterior, and the same with sd x .6 about its mean on the real line."""
    good = fp.pretrained("ddm", "npe")
    names = ("coverage", "sbc")
    assert all(item.ok for item in _items_of(good, *names).values())

    class Narrow:
        """Squeeze the draws towards their mean."""

        kind, parameters, parameter_names, trials = good.kind, good.parameters, good.parameter_names, good.trials

        def sample(self, data, *, draws, seed):
            tree = good.sample(data, draws=draws, seed=seed)
            for name in self.parameter_names:
                values = tree["posterior"][name]
                tree["posterior"][name] = values.mean("draw") + 0.6 * (values - values.mean("draw"))
            return tree

    found = _items_of(Narrow(), *names)
    assert not any(item.ok for item in found.values())
    assert all(item.picture.startswith(b"\x89PNG") for item in found.values())


def test_the_mass_of_a_likelihood_is_measured():
    """The exact likelihood has mass 1; one that is scaled by .9 has not."""
    exact = fp.ddm().exact
    theta = fp.ddm().prior(5, seed=1)
    mass, wrong = _recipes.mass(exact, theta)
    assert np.abs(mass - 1).max() < 1e-3 and np.abs(wrong).max() < 1e-3
    short = dataclasses.replace(exact, density=lambda x, theta: exact.density(x, theta) + np.log(0.9))
    assert np.allclose(_recipes.mass(short, theta)[0], 0.9, atol=1e-3)


def test_lapses_are_15_percent_of_the_trials():
    x = np.tile([[0.7, 1.0]], (20_000, 1))
    spoiled = _recipes.lapsed(x, seed=1)
    changed = (spoiled != x).any(axis=1)
    assert changed.mean() == pytest.approx(0.15, abs=0.01)
    assert spoiled[changed, 0].max() <= 5 and abs(spoiled[changed, 1].mean()) < 0.1


@pytest.mark.slow
def test_correction_and_comparison_of_the_shipped_posterior():
    found = _items_of(fp.pretrained("ddm", "npe"), "correction", "exact n=40")
    assert found["correction"].ok and "Pareto k" in found["correction"].words
    assert found["exact n=40"].numbers["learned"]["shift_mean"] < 0.4


def test_check_writes_card_and_keeps_the_verdict(tiny, tmp_path, monkeypatch):
    """On a copy of a shipped bundle, with few questions; the second card replaces the first."""
    fp.save(fp.pretrained("ddm", "nle"), tmp_path / "run" / "bundle")
    monkeypatch.setattr(_items, "questions", lambda subject: {"exact": lambda: _small(subject)})
    found, folder = pipeline.check(tmp_path / "run", fast=True, seed=3)
    assert folder == tmp_path / "run" and found.ok
    assert sorted(p.name for p in folder.iterdir()) == ["audit.html", "audit.json", "bundle"]
    assert fp.load(folder).card["audit"]["headline"] == found.headline == "ddm nle: short audit passed 1 of 1 items."
    again, _ = pipeline.check(tmp_path / "run" / "bundle", fast=True, seed=3, into=tmp_path / "elsewhere")
    assert as_json(again.numbers()["items"]) == as_json(found.numbers()["items"])
    assert (tmp_path / "elsewhere" / "audit.html").exists()


def _small(subject):
    theta = subject.model.prior(3, seed=subject.derived("small"))
    mass, _ = _recipes.mass(subject.result, theta)
    return [
        Item(name="mass", question="One?", ok=bool(np.allclose(mass, 1, atol=0.01)), words="m", numbers={"m": mass})
    ]


def test_what_cannot_be_run_is_a_failed_item():
    def broken():
        raise fp.DataError("no such data. Mend them.")

    item = _check._answers("ppc", broken)[0]
    assert item.ok is False and "no such data" in item.words


def test_the_time_of_a_question_is_shared_by_its_items():
    def slow():
        time.sleep(0.2)
        return [Item(name=name, question="", ok=True, words="", numbers={}) for name in ("a", "b")]

    items = tuple(_check._answers("slow", slow))
    found = Audit(model="ddm", kind="nre", items=items, seed=1, fast=True, seconds=1.0, card={}).numbers()
    assert all(found["cost"][name]["seconds"] == pytest.approx(0.1, abs=0.05) for name in ("a", "b"))
    assert all("seconds" not in item for item in found["items"].values())


def test_what_is_compared_with_the_exact_likelihood_shares_its_runs(monkeypatch):
    monkeypatch.setattr(diagnostics, "exact_runs", lambda *args, **settings: object())
    subject = _items.Subject(result=fp.pretrained("ddm", "npe"), model=fp.ddm(), effort=TINY, seed=5)
    assert subject.usual() in TINY.compared
    assert subject.compared(40) is subject.compared(40)


def test_the_short_audit_asks_all_questions_with_enough_data_sets_for_a_verdict():
    fast, full = _items.FAST, _items.FULL
    assert fast.calibrated >= 20 and fast.amortized == full.amortized == 1000
    assert fast.trials in fast.compared and full.trials in full.compared
    for kind in ("npe", "nle", "nre"):
        asked = [
            list(_items.questions(_items.Subject(result=fp.pretrained("ddm", kind), model=fp.ddm(), effort=e, seed=1)))
            for e in (fast, full)
        ]
        assert asked[0] == asked[1]


def test_wrong_paths_and_models_are_refused(tmp_path):
    with pytest.raises(fp.ArtefactError, match="no bundle"):
        pipeline.check(tmp_path / "nothing")
    mine = fp.Model(name="mine", parameters=fp.ddm().parameters, likelihood=lambda theta, *, trials, rng: {})
    learned = dataclasses.replace(fp.pretrained("ddm", "nle"), model="mine")
    with pytest.raises(fp.ModelError, match="your own model"):
        pipeline.audit(learned)
    assert mine.name == "mine"
    with pytest.raises(fp.ModelError, match="seed"):
        pipeline.audit(fp.pretrained("ddm", "nle"), seed=-1)


def test_limits_of_the_audit_are_those_that_were_asked():
    assert _recipes.limits("nre", 200) == diagnostics.Limits(
        shift_mean=0.10, shift_worst=0.35, sd_ratio_mean=(0.95, 1.05), c2st_mean=0.55
    )
    assert _recipes.limits("nle", 200).shift_mean == 0.15 and _recipes.limits("npe", 990).shift_mean == 0.25
