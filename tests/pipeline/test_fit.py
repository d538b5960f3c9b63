"""A fit leaves a folder of artefacts that agree with each other, and with the posterior that is known.

The likelihood here is conjugate, so that it compiles quickly and its posterior is known: log rt is normal with
mean v and sd 1 (other parameters do not matter); the "nre" one is the same for shifted data, so it is wrong by
.3 in v. The "npe" one draws v from a normal of another width, which is known too.
"""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import firstpassage as fp
from firstpassage.diagnostics import Independent
from firstpassage.errors import DataError, ModelError
from firstpassage.models import registry
from firstpassage.pipeline import FitSettings, _catalogue, fit_table

SHIFT = 0.3
WIDE = 1.3  # sd of the network's draws, in sd of the posterior
SETTINGS = FitSettings(methods=("nre", "exact"), draws=300, tune=200, chains=4, seed=5)


def _normal(kind: str, shift: float) -> fp.Likelihood:
    def density(x, theta):
        import jax.numpy as jnp

        return -0.5 * (jnp.log(x[..., 0]) + shift - theta["v"]) ** 2

    return dataclasses.replace(fp.ddm().exact, kind=kind, density=density)


LIKELIHOODS = {"exact": _normal("exact", 0.0), "nre": _normal("nre", SHIFT)}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Wide(fp.Posterior):
    """Draw v from a normal around the mean of log rt, and all other parameters evenly between their bounds."""

    width: float  # in sd of the posterior
    shift: float

    def propose(self, x, *, draws, seed):
        logs = np.log(x[0][:, 0])
        sd = self.width / np.sqrt(len(logs))
        rng = np.random.default_rng(seed)
        limits = np.array([*self.box.values()])
        limits[3, 1] = min(x[0][:, 0].min(), limits[3, 1])  # t is below all response times
        theta = rng.uniform(*limits.T, size=(1, draws, 4))
        theta[..., 0] = rng.normal(logs.mean() + self.shift, sd, draws)
        log_q = stats.norm.logpdf(theta[..., 0], logs.mean() + self.shift, sd)
        return theta, log_q - np.log(np.diff(limits[1:])).sum()

    def weigh(self, x, *, draws, seed):
        theta, log_q = self.propose(x, draws=draws, seed=seed)
        named = {name: theta[0, :, i] for i, name in enumerate(self.parameter_names)}
        return theta, log_q, self.log_prior(named)[None]


def posterior(*, width=WIDE, shift=0.0, trials=(20, 200)):
    exact = LIKELIHOODS["exact"]
    return Wide(
        model="ddm", trial="choice", parameters=exact.parameters, columns=exact.columns, trials=trials,
        read=exact.read, limits=exact.limits, simulate=exact.simulate, log_prior=fp.ddm().log_prior, exact=exact,
        encode=None, card={}, arrays={}, width=width, shift=shift,
    )  # fmt: skip


ESTIMATORS = {**LIKELIHOODS, "npe": posterior()}


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_catalogue, "find", lambda model, methods, *, estimator: {m: ESTIMATORS[m] for m in methods})
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(1)
    rt = np.exp(np.concatenate([rng.normal(-0.5, 1, 64), rng.normal(0.5, 1, 64)]))
    columns = {"rt": rt, "response": rng.choice([-1, 1], 128), "group": np.repeat(["<b>", "fast & easy"], 64)}
    path = tmp_path_factory.mktemp("data") / "trials.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    return fit_table(table, SETTINGS, into=tmp_path_factory.mktemp("runs") / "run", by=("group",))


def test_the_folder_holds_what_is_promised(run):
    slugs = ("b", "fast_easy")
    figures = {f"figures/{s}-{k}.{e}" for s in slugs for k in ("marginals", "predictive") for e in ("png", "json")}
    draws = {f"draws/{s}-{m}.nc" for s in slugs for m in SETTINGS.methods}
    files = {"config.json", "environment.txt", "run.log", "summary.csv", "metrics.json", "report.html"}
    found = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert found == figures | draws | files


def test_the_posterior_is_the_conjugate_one(run, table):
    trials = pd.read_csv(table)
    means = np.log(trials["rt"]).groupby(trials["group"]).mean()
    summary = pd.read_csv(run.path / "summary.csv")
    assert len(summary) == 2 * 2 * 4
    for row in summary[summary["parameter"] == "v"].itertuples():
        expected = means[row.group.removeprefix("group=")] + (SHIFT if row.method == "nre" else 0)
        assert row.mean == pytest.approx(expected, abs=5 * row.sd / np.sqrt(row.ess_bulk))
        assert row.sd == pytest.approx(1 / np.sqrt(64), rel=0.1)


def test_metrics_show_how_far_the_learned_posterior_is_off(run):
    metrics = json.loads((run.path / "metrics.json").read_text())
    for group in metrics["groups"].values():
        assert group["trials"] == 64
        found = group["agreement"]["nre"]["v"]
        assert found["shift"] == pytest.approx(SHIFT * np.sqrt(64), abs=5 * found["shift_se"] + 0.3)
        assert set(group["methods"]) == {"nre", "exact"}
        assert group["agreement_verdict"]["nre"].startswith("DIFFERS from the exact posterior: largest shift +2.")
        for fit in group["methods"].values():
            assert fit["ok"] == fit["verdict"].startswith("converged")


def test_saved_draws_are_those_of_the_summary_and_know_their_seed(run):
    with xr.open_datatree(run.path / "draws" / "b-exact.nc", engine="h5netcdf") as tree:
        assert tree["posterior"]["v"].shape == (4, 300)
        summary = run.summary[(run.summary["group"] == "group=<b>") & (run.summary["method"] == "exact")]
        assert float(tree["posterior"]["v"].mean()) == pytest.approx(
            summary.set_index("parameter").loc["v", "mean"], abs=1e-9
        )
        again = LIKELIHOODS["exact"].sample(
            np.column_stack([tree["observed_data"][c] for c in ("rt", "response")]),
            draws=300, tune=200, chains=4, seed=int(tree.attrs["seed"]),
        )  # fmt: skip
        assert np.array_equal(again["posterior"]["v"], tree["posterior"]["v"])


def test_the_report_is_one_file_and_shows_every_verdict(run):
    page = (run.path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "group=&lt;b&gt;" in page
    assert "<b>, " not in page
    assert "HALF the boundary separation" in page
    assert page.count("onverged") >= len(run.fits)


def test_captions_state_n_and_seed(run):
    for path in (run.path / "figures").glob("*.json"):
        caption = json.loads(path.read_text())["caption"]
        assert "n = 64 trials" in caption
        assert "seed 5" in caption


@pytest.mark.slow
def test_the_same_settings_give_the_same_numbers(run, table, tmp_path):
    fit_table(table, SETTINGS, into=tmp_path / "again", by=("group",))
    for name in ("summary.csv", "figures/b-predictive.json", "figures/b-marginals.png"):
        assert (tmp_path / "again" / name).read_bytes() == (run.path / name).read_bytes()


def test_a_group_that_fails_does_not_stop_the_others(table, tmp_path, monkeypatch):
    sample = fp.Likelihood.sample

    def fails_once(self, data, **settings):
        if self.kind == "nre" and data["rt"].mean() < 1.5:
            raise DataError("no start was found")
        return sample(self, data, **settings)

    monkeypatch.setattr(fp.Likelihood, "sample", fails_once)
    run = fit_table(table, SETTINGS, into=tmp_path / "run", by=("group",))
    assert len(run.fits) == 3
    assert not run.ok
    assert "no start was found" in json.loads((run.path / "metrics.json").read_text())["failures"][0]
    assert "no start was found" in (run.path / "report.html").read_text()


def test_bad_trials_are_refused_by_group_before_anything_is_written(tmp_path):
    (tmp_path / "t.csv").write_text("rt,response,id\n.5,1,1\n.6,-1,1\n.7,0,2\n.8,1,2\n")
    with pytest.raises(DataError, match=r"in id=2: response must be"):
        fit_table(tmp_path / "t.csv", SETTINGS, into=tmp_path / "run", by=("id",))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_weak_group_is_fitted_with_a_warning_in_the_log(tmp_path):
    (tmp_path / "t.csv").write_text("rt,response\n.5,1\n.6,1\n.7,1\n")
    settings = dataclasses.replace(SETTINGS, methods=("exact",))
    run = fit_table(tmp_path / "t.csv", settings, into=tmp_path / "run")
    assert "WARNING all: all 3 responses are +1" in (run.path / "run.log").read_text()


NPE = dataclasses.replace(SETTINGS, methods=("npe",))


def test_an_amortized_posterior_is_drawn_from_independently(table, tmp_path):
    run = fit_table(table, NPE, into=tmp_path / "run")
    v = run.fits[0].draws["posterior"]["v"]
    sd = WIDE / np.sqrt(128)
    assert v.shape == (4, 300)
    assert np.unique(v).size == 1200
    assert float(v.mean()) == pytest.approx(np.log(pd.read_csv(table)["rt"]).mean(), abs=5 * sd / np.sqrt(1200))
    assert float(v.std()) == pytest.approx(sd, rel=0.1)
    assert run.ok
    assert run.fits[0].convergence.verdict.startswith("1200 independent draws from the network; draws at an edge")
    assert run.summary["r_hat"].between(0.99, 1.02).all(), "they are independent, however they are cut into chains"
    assert "npe: 1200 independent draws from the network; seed 5" in (run.path / "report.html").read_text()


@pytest.mark.slow
def test_corrected_draws_are_those_of_the_exact_posterior_for_any_number_of_trials(table, tmp_path, monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "npe", posterior(trials=(500, 1000)))
    settings = dataclasses.replace(NPE, methods=("npe", "exact"), correct=True)
    run = fit_table(table, settings, into=tmp_path / "run")
    v = run.agreement.set_index("parameter").loc["v"]
    assert abs(v["shift"]) < 5 * v["shift_se"]
    assert v["sd_ratio"] == pytest.approx(1, abs=0.1), "the network's is 1.3"
    metrics = json.loads((run.path / "metrics.json").read_text())["groups"]["all"]["methods"]["npe"]
    assert metrics["ok"]
    assert metrics["pareto_k"] < 0.7
    expected = np.sqrt(2 - 1 / WIDE**2) / WIDE  # 1 / E[weight squared], a normal against a wider one
    assert metrics["efficiency"] == pytest.approx(expected, abs=0.05)
    assert "corrected by the exact likelihood: Pareto k" in metrics["verdict"]
    assert metrics["verdict"] in (run.path / "report.html").read_text()
    captions = [json.loads(path.read_text())["caption"] for path in (run.path / "figures").glob("*.json")]
    assert all("npe corrected by the exact likelihood" in caption for caption in captions)


def test_a_correction_that_fails_is_not_ok(table, tmp_path, monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "npe", posterior(width=0.3, shift=0.4))
    run = fit_table(table, dataclasses.replace(NPE, correct=True), into=tmp_path / "run")
    found = run.fits[0].convergence
    assert found.pareto_k > 0.7
    assert not run.ok
    assert found.verdict.startswith("NOT to be trusted: Pareto k")
    assert (run.summary["ess_bulk"] <= found.effective).all(), "a draw that is repeated counts once"


def test_numbers_of_trials_not_trained_for_are_refused_without_a_correction(table, tmp_path, monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "npe", posterior(trials=(70, 100)))
    said = r"trained for 70 to 100 trials; 2 of 2 data sets .* \(first: group=<b>, 64\)\. Pass --correct"
    with pytest.raises(DataError, match=said):
        fit_table(table, NPE, into=tmp_path / "run", by=("group",))
    assert not (tmp_path / "run").exists()


def test_without_an_exact_likelihood_nothing_can_be_corrected(table, tmp_path, monkeypatch):
    model = fp.ddm()
    object.__setattr__(model, "exact", None)
    monkeypatch.setattr(registry, "make", lambda name: model)
    with pytest.raises(ModelError, match="no exact likelihood to correct by"):
        fit_table(table, dataclasses.replace(NPE, correct=True), into=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_few_independent_draws_are_told():
    few = Independent(draws=100, effective=100.0, pareto_k=None, efficiency=None, edge={"v": 0.2})
    assert not few.ok
    assert few.verdict == (
        "NOT to be trusted: 100 effective draws, needs 400: more draws (100 independent draws from the network); "
        "draws at an edge of the box, which may cut the posterior: v 20%."
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"draws": 0}, {"draws": -5}, {"tune": 1}, {"chains": 0}, {"seed": -1}, {"seed": 2**63},
        {"methods": ()}, {"methods": ("nle", "foo")}, {"methods": ("exact",), "estimator": "runs/x"},
        {"methods": ("nle", "exact"), "correct": True}, {"methods": ("npe", "nre"), "prior": "reference"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_run_are_refused_at_once(wrong):
    with pytest.raises(ModelError):
        FitSettings(**wrong)


def test_reference_priors_are_normals_cut_to_the_box():
    model = fp.ddm()
    priors = _catalogue.priors(model, "reference")
    for name, (location, scale) in {"v": (0, 1.5), "a": (1, 0.5), "z": (0.5, 0.2), "t": (0.3, 0.3)}.items():
        low, high = {p.name: p.bounds for p in model.parameters}[name]
        exact = stats.truncnorm((low - location) / scale, (high - location) / scale, location, scale)
        points = np.linspace(low + 0.01, high - 0.01, 7)
        assert np.asarray(priors[name].log_prob(points)) == pytest.approx(exact.logpdf(points), abs=1e-4)
    assert _catalogue.priors(model, "box") is None
    with pytest.raises(ModelError, match="no prior 'flat'"):
        _catalogue.priors(model, "flat")
