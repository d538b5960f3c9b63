"""A comparison measures what was put in, beside what the exact likelihood does against itself."""

from __future__ import annotations

import dataclasses

import arviz_base
import numpy as np
import pytest

import firstpassage as fp
from firstpassage.diagnostics import Limits, _compare, compare, exact_runs
from firstpassage.diagnostics._json import as_json
from firstpassage.errors import ModelError
from firstpassage.likelihood import Likelihood

PARAMETERS = (fp.Parameter("m", bounds=(-5.0, 5.0)),)
SIZES = {"draws": 500, "tune": 200, "chains": 2}


def normal(kind="exact", *, shift=0.0, sd=1.0, offset=0.0):
    """Make the likelihood of a normal mean; `offset` is an error that depends on the trial alone."""

    def density(x, theta):
        return -0.5 * ((x[:, 0] - theta["m"] - shift) / sd) ** 2 + offset * x[:, 0] - np.log(sd) - 0.919

    return Likelihood(
        model="normal", kind=kind, trial="x", parameters=PARAMETERS, columns=("x",), density=density,
        read=lambda data: np.asarray(data, dtype=float).reshape(-1, 1),
    )  # fmt: skip


EXACT = normal()
RNG = np.random.default_rng(2)
DATA = [RNG.normal(m, 1.0, (25, 1)) for m in (-0.5, 0.8)]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Draw from a normal posterior that is off by given numbers of exact sd, and wider by a factor."""

    shift: float
    ratio: float
    kind: str = "npe"
    parameter_names: tuple = ("m",)

    def sample(self, data, *, draws, seed):
        rng = np.random.default_rng(seed)
        mean, sd = (np.array([f(one) for one in data]) for f in (np.mean, lambda one: len(one) ** -0.5))
        values = rng.normal(mean + self.shift * sd, self.ratio * sd, (1, draws, len(data)))
        return arviz_base.from_dict({"posterior": {"m": values}}, dims={"m": ["dataset"]})


@pytest.fixture
def no_classifier(monkeypatch):
    """Leave out the two-sample test, whose training takes most of the time, where it is not what is tested."""
    monkeypatch.setattr(_compare, "two_sample", lambda *args, **settings: 0.5)


@pytest.mark.slow
def test_exact_against_itself_agrees():
    found = compare(EXACT, EXACT, DATA, seed=1, **SIZES)
    assert found.ok, found.verdict
    assert found.sum_error.tolist() == [0.0, 0.0]
    assert found.error.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert found.r_hat < 1.03
    assert found.learned.summary()["shift_mean"] < 0.15
    assert found.floor.summary()["c2st_mean"] == pytest.approx(0.5, abs=0.03)
    assert '"ok": true' in as_json(found.numbers())


def test_shift_and_width_that_were_put_in_are_found(no_classifier):
    found = compare(Drawn(shift=0.5, ratio=1.3), EXACT, DATA, seed=1, **SIZES)
    assert found.learned.shift["m"] == pytest.approx([0.5, 0.5], abs=0.15)
    assert found.learned.sd_ratio["m"] == pytest.approx([1.3, 1.3], abs=0.1)
    assert np.abs(found.floor.shift["m"]).max() < 0.15
    assert found.error is None
    assert found.sum_error is None
    assert not found.ok
    assert "shift mean <= 0.15" in found.verdict
    assert "mean sd ratio 0.9 to 1.1" in found.verdict


def test_runs_of_the_exact_likelihood_can_be_shared(no_classifier):
    runs = exact_runs(EXACT, DATA, seed=1, **SIZES)
    shared, own = (compare(Drawn(shift=0.5, ratio=1.3), EXACT, DATA, seed=1, runs=r, **SIZES) for r in (runs, None))
    assert as_json(shared.numbers()) == as_json(own.numbers())
    assert not np.array_equal(runs.first["m"], runs.second["m"])
    assert shared.floor is runs.floor


def test_limits_can_be_given(no_classifier):
    loose = Limits(shift_mean=1.0, shift_worst=1.0, sd_ratio_mean=(0.5, 2.0), c2st_mean=1.0)
    assert compare(Drawn(shift=0.5, ratio=1.3), EXACT, DATA[0], seed=1, limits=loose, **SIZES).ok


def test_the_error_of_a_ratio_leaves_out_what_depends_on_the_trial_alone(no_classifier):
    """A shift by s gives the error s (x - m) - s^2 / 2, whose sum has the sd n s sd(m) = sqrt(n) s."""
    ratio = compare(normal("nre", shift=0.1, offset=3.0), EXACT, DATA[0], seed=1, **SIZES)
    density = compare(normal("nle", shift=0.1, offset=3.0), EXACT, DATA[0], seed=1, **SIZES)
    assert ratio.sum_error == pytest.approx([0.5], rel=0.25)
    assert density.sum_error == pytest.approx(ratio.sum_error, rel=1e-6)
    assert ratio.error.max() < 0.1  # 2 x .1 / sqrt(25) = .04 at most points
    assert density.error[:, 1].min() > 1.0
    assert ratio.learned.shift["m"] == pytest.approx([-0.5], abs=0.15)  # -.1 in units of 1 / sqrt(25)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ModelError, match="same parameters"):
        compare(fp.ddm().exact, EXACT, DATA[0], seed=1)
    with pytest.raises(ModelError, match="prior"):
        compare(Drawn(shift=0.0, ratio=1.0), EXACT, DATA[0], seed=1, prior={"m": None})
