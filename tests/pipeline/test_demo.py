"""The demo finds its data without loading HSSM, and does without HSSM politely."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pandas as pd
import pytest

from firstpassage.errors import DataError
from firstpassage.estimators import bundle
from firstpassage.pipeline import _demo

needs_hssm = pytest.mark.skipif(find_spec("hssm") is None, reason="the extra hssm brings the data")


@needs_hssm
def test_the_table_is_that_of_cavanagh():
    trials = pd.read_csv(_demo.table())
    assert len(trials) == 3988
    assert set(trials["stim"]) == {"LL", "WL", "WW"}
    assert set(trials["response"]) == {-1, 1}


@needs_hssm
def test_hssm_is_not_loaded_to_find_it():
    code = "import sys; from firstpassage.pipeline import _demo; _demo.table(); assert 'hssm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_hssm_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(_demo, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install "firstpassage\[hssm\]"'):
        _demo.table()


@pytest.mark.parametrize(
    ("kinds", "methods", "correct"),
    [(("nre",), ("nre", "exact"), False), (("nle", "npe", "nre"), ("npe", "nle", "nre", "exact"), True)],
    ids=str,
)
def test_all_shipped_estimators_are_shown(monkeypatch, kinds, methods, correct):
    monkeypatch.setattr(bundle, "list_shipped", lambda: [("lif", "npe"), *(("ddm", kind) for kind in kinds)])
    found = _demo.settings()
    assert (found.methods, found.correct) == (methods, correct)


@needs_hssm
@pytest.mark.slow
def test_the_learned_posteriors_agree_with_the_exact_ones(tmp_path):
    run, drawn = _demo.demo(into=tmp_path / "demo")
    assert run.ok, [fit.convergence.verdict for fit in run.fits]
    assert all(path.exists() for path in drawn)
    assert run.agreement["shift"].abs().max() < 0.5
    assert run.agreement["sd_ratio"].between(0.8, 1.25).all()
