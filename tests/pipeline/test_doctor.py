"""The doctor measures against a number that another method computed, and survives what it finds."""

from __future__ import annotations

import shutil

import pytest

from firstpassage.densities import wiener
from firstpassage.errors import ModelError
from firstpassage.estimators import bundle
from firstpassage.pipeline import _doctor, doctor
from oracle import wiener_mpmath


def test_the_reference_is_that_of_the_oracle():
    for (rt, response), reference in zip(_doctor._TRIALS, _doctor._REFERENCE, strict=True):
        assert float(wiener_mpmath.log_density(rt, response, **_doctor._THETA)) == pytest.approx(reference, abs=1e-14)


def test_a_density_that_is_off_is_found(monkeypatch):
    assert _doctor._density().ok
    density = wiener.log_density
    monkeypatch.setattr(wiener, "log_density", lambda *x: density(*x) + 1e-6)
    found = _doctor._density()
    assert not found.ok
    assert "1.0e-06" in found.found


def test_every_shipped_estimator_is_loaded_and_gives_the_numbers_that_it_was_saved_with():
    found = _doctor._estimators()
    assert found.ok
    assert found.found.split(", ") == [f"{model} {kind}" for model, kind in bundle.list_shipped()]


def test_an_estimator_that_is_damaged_is_found(monkeypatch, tmp_path):
    shutil.copytree(bundle.shelf() / "ddm-nre", tmp_path / "ddm-npe")
    (tmp_path / "ddm-npe" / "arrays.npz").write_bytes(b"damaged")
    monkeypatch.setattr(bundle, "shelf", lambda: tmp_path)
    found = {check.name: check for check in doctor(tmp_path)}["shipped estimators"]
    assert not found.ok
    assert "ddm-npe" in found.remedy


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch, tmp_path):
    def breaks():
        raise ModelError("Keras was loaded with 'torch'")

    monkeypatch.setattr(_doctor, "_backend", breaks)
    checks = {check.name: check for check in doctor(tmp_path)}
    assert "torch" in checks["backend"].remedy
    assert checks["exact density"].ok
    assert checks["output folder"].ok


def test_a_folder_that_cannot_be_written_is_found(tmp_path):
    assert not _doctor._writable(tmp_path / "missing").ok


def test_versions_outside_their_ranges_are_found(monkeypatch):
    monkeypatch.setattr(_doctor.metadata, "requires", lambda name: ["numpy>=99", "nothing-of-this-name>=1"])
    found = _doctor._packages()
    assert not found.ok
    assert "needs >=99" in found.found
    assert "nothing-of-this-name missing" in found.found
    monkeypatch.setattr(_doctor.metadata, "requires", lambda name: ["numpy>=1", 'no-such>=1; extra == "hssm"'])
    assert _doctor._packages().ok
