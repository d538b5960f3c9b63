"""The audit of an estimator of one's own model, without an exact likelihood, by the command line."""

import json

import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app

FILE = """
import firstpassage as fp
from numpyro.distributions import Normal


def simulate(theta, *, trials, rng):
    n = len(theta["mu"])
    mean = [theta["mu"], theta["mu"] + theta["nu"], theta["nu"]]
    return {"x": rng.normal(size=(n, trials, 3)) * 0.5 + __import__("numpy").stack(mean, axis=1)[:, None]}


model = fp.Model(
    name="lines", parameters=[fp.Parameter(name, bounds=(-4, 4), prior=Normal(0.0, 0.6)) for name in ("mu", "nu")],
    likelihood=simulate,
)
"""


@pytest.fixture
def trained(tmp_path):
    """Train briefly, and return the model's name and the bundle."""
    path = tmp_path / "lines.py"
    path.write_text(FILE)
    name = f"{path}:model"
    model = fp.pipeline.model(name)
    learned = fp.NPE(model).fit(budget=2048, seed=1)
    fp.save(learned, tmp_path / "bundle")
    return name, tmp_path / "bundle"


@pytest.mark.slow
def test_an_own_model_is_audited_by_its_file(trained):
    name, bundle = trained
    model = fp.pipeline.model(name)
    learned = fp.NPE(model).fit(budget=200_000, seed=1)
    fp.save(learned, bundle, overwrite=True)
    done = CliRunner().invoke(app, ["check", str(bundle), "--model", name, "--fast", "--json"])
    assert done.exit_code == 0, done.output
    card = json.loads((bundle.parent / "audit.json").read_text())
    states = {name: item["state"] for name, item in card["items"].items()}
    assert states["recovery"] != "failed"
    assert {states[name] for name in ("sbc", "coverage", "tarp", "ppc")} == {"passed"}
    assert fp.load(bundle, model=model).card["audit"]


def test_without_the_file_the_audit_says_what_it_needs(trained):
    name, bundle = trained
    done = CliRunner().invoke(app, ["check", str(bundle), "--fast"])
    assert done.exit_code == 2 and "model" in done.output
    done = CliRunner().invoke(app, ["check", str(bundle), "--model", name + "s"])
    assert done.exit_code == 2 and "must define models; its models are model" in done.output.replace("\n", " ")
