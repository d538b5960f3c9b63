"""The estimators that ship: small, audited, and as close to the exact posterior as their cards say."""

import dataclasses
import json

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import bundle
from firstpassage.pipeline import _recipes

KINDS = ("npe", "nle", "nre")
THETA = {"v": 0.8, "a": 1.2, "z": 0.45, "t": 0.3}


@pytest.fixture(scope="module", params=KINDS)
def shipped(request):
    return fp.pretrained("ddm", request.param)


def _card(kind):
    return json.loads((bundle.shelf() / f"ddm-{kind}-audit.json").read_text())


def _data(trials, seed):
    data = fp.ddm().likelihood({k: np.array([v]) for k, v in THETA.items()}, trials=trials, seed=seed)
    return np.stack([data["rt"][0], data["response"][0]], axis=1)


def test_it_is_small_and_carries_its_audit(shipped):
    folder = bundle.shelf() / f"ddm-{shipped.kind}"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_500_000
    assert (bundle.shelf() / f"ddm-{shipped.kind}-audit.html").read_text().startswith("<!doctype html>")
    audit = shipped.card["audit"]
    assert audit["headline"] == _card(shipped.kind)["headline"]
    assert audit["seed"] != shipped.card["seed"] == 20_261_121


def test_every_item_of_the_whole_audit_was_tested_and_passed(shipped):
    states = {name: item["state"] for name, item in shipped.card["audit"]["items"].items()}
    assert set(states.values()) == {"passed"} and len(states) >= 9
    assert not _card(shipped.kind)["fast"]


@pytest.mark.parametrize(("kind", "shift"), [("nre", 0.10), ("nle", 0.15), ("npe", 0.25)])
def test_posteriors_are_as_close_to_the_exact_ones_as_was_asked(kind, shift):
    for n in (50, 200, 1000):
        item = _card(kind)["items"][f"exact n={n}"]["numbers"]
        assert len(item["trials"]) >= 20
        assert item["learned"]["shift_mean"] <= (shift if n == 200 else 0.25)
        assert 0.9 <= item["learned"]["sd_ratio_mean"] <= 1.15
        assert item["floor"]["c2st_mean"] <= 0.53
        if kind != "npe" and n == 200:
            assert item["learned"]["c2st_mean"] <= 0.57 and item["learned"]["shift_worst"] <= 0.35


def test_coverage_of_the_amortized_posterior_is_that_of_its_intervals():
    found = {k: i for k, i in _card("npe")["items"].items() if k.startswith("coverage n=")}
    assert {"coverage n=50", "coverage n=200", "coverage n=1000"} <= set(found)
    for item in (i["numbers"] for i in found.values()):
        assert item["design"]["datasets"] >= 1000
        place = item["levels"].index(0.9)
        assert all(0.87 <= share[place] <= 0.93 for share in item["share"].values())


def test_the_learned_likelihood_is_normalised_and_knows_the_choice():
    """Mass 1 +- .01 and P(response) within .01 on 50 parameter draws of their own seed."""
    mass, wrong = _recipes.mass(fp.pretrained("ddm", "nle"), fp.ddm().prior(50, seed=4242))
    assert np.abs(mass - 1).max() < 0.01
    assert np.abs(wrong).max() < 0.01


@pytest.mark.parametrize("kind", ["nle", "nre"])
def test_differences_in_theta_are_those_of_the_exact_likelihood(kind):
    """On fresh data of one typical parameter set, near it: the error that is left after the constant of each trial."""
    learned, exact, x = fp.pretrained("ddm", kind), fp.ddm().exact, _data(2000, seed=99)
    near = {"v": 0.9, "a": 1.25, "z": 0.47, "t": 0.31}
    ours = learned.log_prob(x, **near) - learned.log_prob(x, **THETA)
    truth = exact.log_prob(x, **near) - exact.log_prob(x, **THETA)
    possible = np.isfinite(truth)
    error = (ours - truth)[possible]
    assert np.median(np.abs(error)) < 0.01
    assert abs(error.mean()) < 0.004


def test_the_amortized_posterior_is_certified_and_lapses_are_not():
    """Data of the model: a small Pareto k. Data far from the model: the correction says so."""
    posterior, x = fp.pretrained("ddm", "npe"), _data(200, seed=7)
    corrected = posterior.sample(x, draws=500, seed=1, correct="exact")
    assert corrected.attrs["pareto_k"] < 0.5 and corrected.attrs["efficiency"] > 0.3
    plain = posterior.sample(x, draws=2000, seed=1)
    for name in posterior.parameter_names:
        shift = float(plain["posterior"][name].mean() - corrected["posterior"][name].mean())
        assert abs(shift) < 0.4 * float(corrected["posterior"][name].std())
    odd = np.concatenate(
        [x, np.full((40, 2), [x[:, 0].min() * 0.2, -1.0]) + np.linspace(0, 1e-3, 40)[:, None] * [1, 0]]
    )
    with pytest.warns(fp.SamplingWarning, match="NOT to be trusted: Pareto k"):
        tree = posterior.sample(odd, draws=200, seed=1, correct="exact")
    assert tree.attrs["pareto_k"] > 0.7


def test_the_headline_is_printed_once(capsys):
    bundle._say.cache_clear()
    fp.pretrained("ddm", "nle")
    fp.pretrained("ddm", "nle")
    assert capsys.readouterr().err.count("ddm nle: audit passed") == 1


def test_an_estimator_whose_card_failed_warns(tmp_path):
    learned = fp.pretrained("ddm", "nle")
    audit = json.loads(json.dumps(learned.card["audit"]))
    audit.update(ok=False, headline="ddm nle: audit passed 9 of 10 items, FAILED sbc.")
    audit["items"]["sbc"].update(state="failed", words="NOT calibrated.")
    fp.save(dataclasses.replace(learned, card={**learned.card, "audit": audit}), tmp_path / "bad")
    with pytest.warns(fp.AuditWarning, match="FAILED sbc"):
        fp.load(tmp_path / "bad")


MICE = ("npe", "nle", "nle-window", "nre")


def _of_mice(method):
    return json.loads((bundle.shelf() / f"foraging-{method}-audit.json").read_text())


@pytest.mark.filterwarnings("ignore:foraging")
@pytest.mark.parametrize("method", MICE)
def test_those_of_foraging_are_small_and_carry_whole_audits(method):
    learned = fp.pretrained("foraging", method)
    folder = bundle.shelf() / f"foraging-{method}"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_500_000
    audit = _of_mice(method)
    assert learned.card["audit"]["headline"] == audit["headline"]
    assert not audit["fast"]
    assert {item["state"] for item in audit["items"].values()} <= {"passed", "failed"}
    assert bundle.method(learned) == method


@pytest.mark.parametrize(
    ("method", "shift", "ratio", "c2st"),
    [("npe", 0.15, (0.95, 1.1), 0.60), ("nle", 0.15, (0.93, 1.07), 0.58), ("nre", 0.15, (0.93, 1.07), 0.58)],
)
def test_those_of_foraging_are_as_close_to_the_exact_posterior_as_was_asked(method, shift, ratio, c2st):
    item = _of_mice(method)["items"]["exact n=1"]["numbers"]
    assert len(item["trials"]) == 40
    assert item["learned"]["shift_mean"] <= shift
    assert ratio[0] <= item["learned"]["sd_ratio_mean"] <= ratio[1]
    assert item["learned"]["c2st_mean"] <= c2st


@pytest.mark.filterwarnings("ignore:lif")
def test_the_ratio_of_traces_is_small_and_carries_its_audit():
    learned = fp.pretrained("lif", "nre")
    folder = bundle.shelf() / "lif-nre"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_500_000
    audit = json.loads((bundle.shelf() / "lif-nre-audit.json").read_text())
    assert learned.card["audit"]["headline"] == audit["headline"]
    assert audit["seed"] != learned.card["seed"] == 20_261_121
    assert audit["items"]["sbc"]["state"] == "passed"


@pytest.mark.filterwarnings("ignore:lif")
def test_the_ratio_of_traces_is_close_to_the_exact_posterior_though_not_as_close_as_was_asked():
    numbers = json.loads((bundle.shelf() / "lif-nre-audit.json").read_text())["items"]["exact n=1"]["numbers"]
    assert numbers["limits"]["shift_mean"] == 0.15
    assert numbers["learned"]["shift_mean"] < 0.25
    assert all(0.95 <= ratio <= 1.15 for ratio in numbers["sd_ratio_medians"].values())


def test_the_posterior_of_traces_is_small_audited_and_nearly_exact():
    learned, audit = fp.pretrained("lif", "npe"), json.loads((bundle.shelf() / "lif-npe-audit.json").read_text())
    assert sum(p.stat().st_size for p in (bundle.shelf() / "lif-npe").iterdir()) < 1_500_000
    assert learned.card["audit"]["headline"] == audit["headline"] and not audit["fast"]
    assert audit["seed"] != learned.card["seed"] == 20_261_121
    assert [name for name, item in audit["items"].items() if item["state"] != "passed"] == []
    numbers = audit["items"]["exact n=1"]["numbers"]
    assert numbers["learned"]["shift_mean"] <= 0.15 and numbers["learned"]["c2st_mean"] <= 0.57
    assert all(0.95 <= ratio <= 1.15 for ratio in numbers["sd_ratio_medians"].values())
    assert learned.card["cpu_seconds"] <= 900


@pytest.mark.slow
def test_the_posterior_of_traces_is_certified_and_obeys_its_prior():
    learned, cell = fp.pretrained("lif", "npe"), fp.example("lif")
    trace = cell[cell["trace"] == 1]
    draws = learned.sample(trace, draws=400, seed=1, correct="exact")
    assert draws.attrs["pareto_k"] < 0.7 and draws.attrs["efficiency"] > 0.5
    theta = learned.sample(trace, draws=20_000, seed=2)["posterior"]
    assert (theta["V_reset"] + 0.5 <= theta["V_init"]).all() and (theta["V_init"] + 0.5 <= theta["E_L"]).all()


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_those_of_the_teaching_models_carry_their_short_audits(name):
    learned = fp.pretrained(name, "nre")
    audit = json.loads((bundle.shelf() / f"{name}-nre-audit.json").read_text())
    assert learned.card["audit"]["headline"] == audit["headline"]
    assert [key for key, item in audit["items"].items() if item["state"] != "passed"] == []
    assert audit["items"]["exact n=200"]["numbers"]["learned"]["shift_mean"] < 0.1
    assert audit["seed"] != learned.card["seed"] == 20_261_121


def test_what_is_printed_of_an_estimator_fits_a_screen():
    for method in ("npe", "nre"):
        shown = repr(bundle.pretrained("ddm", method))
        assert "ddm" in shown and len(shown) < 900
