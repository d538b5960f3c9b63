"""A likelihood is found by the name of its method, and never one of another model or kind."""

from __future__ import annotations

import dataclasses

import pytest

import firstpassage as fp
from firstpassage.errors import ArtefactError, ModelError
from firstpassage.estimators import bundle
from firstpassage.models import registry
from firstpassage.pipeline import _catalogue


def test_exact_is_the_models_own():
    model = fp.ddm()
    assert _catalogue.likelihood(model, "exact") is model.exact


def test_an_estimator_of_another_model_is_refused(monkeypatch):
    other = dataclasses.replace(fp.ddm().exact, model="lif", kind="nre")
    monkeypatch.setattr(bundle, "load", lambda path: other)
    with pytest.raises(ArtefactError, match="the nre estimator of lif"):
        _catalogue.likelihood(fp.ddm(), "nre", estimator="runs/lif")


def test_a_missing_estimator_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="no bundle"):
        _catalogue.likelihood(fp.ddm(), "nre", estimator=tmp_path / "nothing")


def test_an_unknown_method_is_refused():
    with pytest.raises(ModelError, match="the methods are nre, exact"):
        _catalogue.likelihood(fp.ddm(), "abc")


def test_every_parameter_of_every_model_has_a_meaning():
    for name in registry.NAMES:
        assert set(_catalogue.MEANINGS[name]) == set(registry.make(name).parameter_names)
    assert "HALF" in _catalogue.MEANINGS["ddm"]["a"]
