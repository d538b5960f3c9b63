"""The estimator that ships: small, audited, and as close to the exact posterior as its audit says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import firstpassage as fp

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shipped():
    return fp.pretrained("ddm", "nre")


def test_it_is_small_and_carries_its_audit(shipped):
    folder = ROOT / "src" / "firstpassage" / "estimators" / "pretrained" / "ddm-nre"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_500_000
    assert shipped.card["seed"] == 20_261_121 and shipped.card["audit"]["seed"] != shipped.card["seed"]


def test_its_audit_meets_what_was_asked(shipped):
    learned, floor = shipped.card["audit"]["learned"], shipped.card["audit"]["floor"]
    assert shipped.card["audit"]["datasets"] >= 20 and shipped.card["audit"]["trials"] == 200
    assert learned["shift_mean"] <= 0.10 and learned["shift_worst"] <= 0.35
    assert 0.95 <= learned["sd_ratio_mean"] <= 1.05
    assert learned["c2st_mean"] <= 0.55
    assert floor["c2st_mean"] <= 0.53


def test_differences_in_theta_are_those_of_the_exact_likelihood(shipped):
    """On fresh data of one typical parameter set, near it: the error that is left after the constant of each trial."""
    theta = {"v": 0.8, "a": 1.2, "z": 0.45, "t": 0.3}
    data = fp.ddm().likelihood({k: np.array([v]) for k, v in theta.items()}, trials=2000, seed=99)
    x = np.stack([data["rt"][0], data["response"][0]], axis=1)
    exact = fp.ddm().exact
    near = {"v": 0.9, "a": 1.25, "z": 0.47, "t": 0.31}
    ours = shipped.log_prob(x, **near) - shipped.log_prob(x, **theta)
    truth = exact.log_prob(x, **near) - exact.log_prob(x, **theta)
    possible = np.isfinite(truth)
    error = (ours - truth)[possible]
    assert np.median(np.abs(error)) < 0.01
    assert abs(error.mean()) < 0.004


@pytest.mark.slow
def test_the_audit_can_be_repeated(shipped):
    """T5 on five data sets of the audit."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit_ddm_nre.py")
    audit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(audit)
    summary = audit.audit(shipped, datasets=5, trials=200)["summary"]
    assert summary["learned"]["shift_mean"] <= 0.10 and summary["learned"]["shift_worst"] <= 0.35
    assert 0.95 <= summary["learned"]["sd_ratio_mean"] <= 1.05
    assert summary["learned"]["c2st_mean"] <= 0.55
    assert summary["floor"]["c2st_mean"] <= 0.53
    assert summary["divergences"] <= 5 * 8 and summary["r_hat_worst"] < 1.01
