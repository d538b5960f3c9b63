"""Estimators are found by the names of their methods, and never one of another model or kind."""

from __future__ import annotations

import dataclasses

import pytest

import firstpassage as fp
from firstpassage.errors import ArtefactError, ModelError
from firstpassage.estimators import bundle
from firstpassage.models import registry
from firstpassage.pipeline import _catalogue


def learned(kind, *, model="ddm"):
    return dataclasses.replace(fp.ddm().exact, model=model, kind=kind)


@pytest.fixture
def shelf(monkeypatch):
    """Estimators that are shipped, by kind."""
    shipped = {kind: learned(kind) for kind in ("npe", "nle", "nre")}
    monkeypatch.setattr(bundle, "pretrained", lambda model, kind: shipped[kind])
    return shipped


def test_exact_is_the_models_own():
    model = fp.ddm()
    assert _catalogue.find(model, ("exact",)) == {"exact": model.exact}


def test_an_estimator_serves_the_method_of_its_kind_and_the_shipped_ones_the_others(shelf, monkeypatch):
    mine = learned("nle")
    monkeypatch.setattr(bundle, "load", lambda path: mine)
    found = _catalogue.find(fp.ddm(), ("nre", "nle", "npe"), estimator="runs/mine")
    assert list(found) == ["nre", "nle", "npe"]
    assert found["nle"] is mine
    assert found["nre"] is shelf["nre"]
    assert found["npe"] is shelf["npe"]


@pytest.mark.parametrize("methods", [("nre", "npe"), ("nre", "exact")], ids=str)
def test_an_estimator_of_a_kind_that_is_not_asked_for_is_refused(shelf, monkeypatch, methods):
    monkeypatch.setattr(bundle, "load", lambda path: learned("nle"))
    with pytest.raises(ArtefactError, match="is the nle estimator of ddm; needed is one of ddm for nre"):
        _catalogue.find(fp.ddm(), methods, estimator="runs/mine")


def test_an_estimator_of_another_model_is_refused(monkeypatch):
    monkeypatch.setattr(bundle, "load", lambda path: learned("nre", model="lif"))
    with pytest.raises(ArtefactError, match="the nre estimator of lif"):
        _catalogue.find(fp.ddm(), ("nre",), estimator="runs/lif")


def test_a_missing_estimator_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="no bundle"):
        _catalogue.find(fp.ddm(), ("nre",), estimator=tmp_path / "nothing")


def test_a_model_without_exact_likelihood_is_refused():
    model = fp.ddm()
    object.__setattr__(model, "exact", None)
    with pytest.raises(ModelError, match="--method npe or nle or nre"):
        _catalogue.find(model, ("exact",))


def test_an_unknown_method_is_refused():
    with pytest.raises(ModelError, match="no method 'abc'; the methods are npe, nle, nre, exact"):
        _catalogue.find(fp.ddm(), ("nre", "abc"))


def test_every_parameter_of_every_model_has_a_meaning():
    for name in registry.NAMES:
        assert set(_catalogue.MEANINGS[name]) == set(registry.make(name).parameter_names)
    assert "HALF" in _catalogue.MEANINGS["ddm"]["a"]


@pytest.mark.parametrize(
    ("model", "shipped", "estimator", "method"),
    [
        ("ddm", ("nre",), None, "nre"), ("ddm", (), "runs/mine", "nre"), ("foraging", ("nle",), None, "exact"),
        ("foraging", ("npe", "nle-window"), None, "exact"), ("foraging", (), "runs/mine", "nle"),
        ("moons", (), None, "exact"),
    ],
)  # fmt: skip
def test_the_method_that_nobody_asked_for_is_one_that_can_be_used(monkeypatch, model, shipped, estimator, method):
    monkeypatch.setattr(bundle, "list_shipped", lambda: [(model, kind) for kind in shipped])
    assert _catalogue.default_method(model, estimator=estimator) == method
