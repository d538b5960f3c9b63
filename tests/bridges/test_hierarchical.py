"""Hierarchies by formulas: the log posterior by hand, names and dims, the box, missing trials, and what is refused."""

import dataclasses
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats
from scipy.special import expit, logit

import firstpassage as fp

EXACT = fp.ddm().exact
FORMULAS = {
    "v": "1 + conf + (1 + conf | participant_id)",
    "a": "1 + (1 | participant_id)",
    "t": "1 + (1 | participant_id)",
}
BOX = EXACT.box


def table(subjects: int = 3, each: int = 8, *, seed: int = 1) -> pd.DataFrame:
    """Simulate subjects with two conditions and a continuous regressor."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), each)
    conf = np.tile(np.repeat([0, 1], each // 2), subjects)
    theta = {
        "v": 0.3 + 0.8 * conf + 0.2 * rng.normal(size=subjects)[subject],
        "a": 1.0 + 0.1 * rng.normal(size=subjects)[subject],
        "z": np.full(len(subject), 0.5),
        "t": 0.3 + 0.05 * rng.random(subjects)[subject],
    }
    x = EXACT.simulate(theta, rng)
    labels = np.array(["s01", "s02", "s03", *(f"s{i:02d}" for i in range(4, subjects + 1))])[:subjects]
    return pd.DataFrame(
        {
            "rt": x[:, 0], "response": x[:, 1], "participant_id": labels[subject],
            "conf": np.array(["HC", "LC"])[conf], "theta": rng.normal(size=len(subject)),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return table()


def random_point(model: pm.Model, seed: int, scale: float = 0.7) -> dict[str, np.ndarray]:
    """Draw a value for every free variable on its unconstrained line."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, scale, np.shape(value)) for name, value in model.initial_point().items()}


def evaluate(model: pm.Model, names: list[str], point: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Evaluate variables at a point of the unconstrained lines."""
    values = model.replace_rvs_by_values([model[name] for name in names])
    function = model.compile_fn(values, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    return dict(zip(names, function(point), strict=True))


def log_posterior(model: pm.Model, point: Mapping[str, np.ndarray]) -> float:
    return float(model.compile_logp(jacobian=False, mode="FAST_COMPILE")(point))


def inside(name: str, eta: np.ndarray, *, high: np.ndarray | None = None) -> np.ndarray:
    low, top = BOX[name]
    return low + ((top if high is None else high) - low) * expit(eta)


def by_hand(data: pd.DataFrame, q: Mapping[str, np.ndarray], *, centered: bool) -> float:
    """Sum priors and likelihood as the documentation states them."""
    subject = data["participant_id"].factorize(sort=True)[0]
    hard = (data["conf"] == "LC").to_numpy(dtype=float)
    fastest = data.groupby("participant_id")["rt"].min().to_numpy()
    total, effects = 0.0, {}
    centres = {
        "v_1": q["v_Intercept"], "v_conf": q["v_conf"], "a_1": q["a_Intercept"], "t_1": q["t_Intercept"],
    }  # fmt: skip
    for name, centre in centres.items():
        sigma = np.exp(q[f"{name}|participant_id_sigma_log__"])
        total += stats.lognorm(0.8, scale=0.4).logpdf(sigma).sum()
        if centered:
            value = q[f"{name}|participant_id_value"]
            total += stats.norm(centre, sigma).logpdf(value).sum()
            effects[name] = (value - centre).reshape(-1)
        else:
            offset = q[f"{name}|participant_id_offset"]
            total += stats.norm().logpdf(offset).sum()
            effects[name] = (offset * sigma).reshape(-1)
    total += sum(stats.logistic().logpdf(q[f"{name}_Intercept"]) for name in "vat")
    total += stats.norm().logpdf(q["v_conf"]).sum() - np.log(BOX["z"][1] - BOX["z"][0])
    v = q["v_Intercept"] + effects["v_1"][subject] + (q["v_conf"][0] + effects["v_conf"][subject]) * hard
    t = (q["t_Intercept"] + effects["t_1"])[subject]
    density = EXACT.log_prob(
        data[["rt", "response"]], v=inside("v", v), a=inside("a", (q["a_Intercept"] + effects["a_1"])[subject]),
        z=inside("z", q["z_interval__"]), t=inside("t", t, high=fastest[subject]),
    )  # fmt: skip
    return float(total + density.sum())


@pytest.mark.parametrize("centered", [False, True])
def test_the_log_posterior_is_the_sum_by_hand(data, centered):
    model = fp.hierarchical(EXACT, data, formulas=FORMULAS, centered=centered)
    point = random_point(model, seed=3)
    assert log_posterior(model, point) == pytest.approx(by_hand(data, point, centered=centered), abs=2e-3)


def test_a_ratio_takes_the_place_of_the_exact_likelihood(data):
    ratio = fp.pretrained("ddm", "nre")
    learned, exact = (fp.hierarchical(one, data, formulas=FORMULAS) for one in (ratio, EXACT))
    point = random_point(exact, seed=4)
    theta = {name: evaluate(exact, [name], point)[name] for name in ("v", "a", "z", "t")}
    subject, hard = data["participant_id"].factorize(sort=True)[0], (data["conf"] == "LC").to_numpy(dtype=int)
    rows = {"v": theta["v"][subject, hard], "a": theta["a"][subject], "z": theta["z"], "t": theta["t"][subject]}
    x = data[["rt", "response"]]
    expected = ratio.log_prob(x, **rows).sum() - EXACT.log_prob(x, **rows).sum()
    assert log_posterior(learned, point) - log_posterior(exact, point) == pytest.approx(expected, abs=1e-3)


def test_variables_have_the_usual_names_dims_and_coords(data):
    model = fp.hierarchical(EXACT, data, formulas=FORMULAS, centered={"a", "v_conf|participant_id"})
    assert model.coords["participant_id"] == ("s01", "s02", "s03")
    assert model.coords["conf"] == ("HC", "LC")
    assert model.coords["v_conf_dim"] == ("LC",)
    dims = model.named_vars_to_dims
    assert dims["v"] == ("participant_id", "conf")
    assert dims["a"] == dims["v_1|participant_id"] == dims["v_1|participant_id_offset"] == ("participant_id",)
    assert dims["v_conf|participant_id"] == ("participant_id", "v_conf_dim")
    free = {one.name for one in model.free_RVs}
    assert {"v_Intercept", "v_conf", "a_Intercept", "z", "t_1|participant_id_sigma"} <= free
    assert {"a_1|participant_id_value", "v_conf|participant_id_value", "v_1|participant_id_offset"} <= free
    assert not {"a_1|participant_id_offset", "v_conf|participant_id_offset", "v_1|participant_id_value"} & free


def test_no_value_of_the_free_variables_leaves_the_box(data):
    formulas = FORMULAS | {"z": "1 + theta"}
    model = fp.hierarchical(EXACT, data, formulas=formulas)
    fastest = data.groupby("participant_id")["rt"].min().to_numpy()
    values = model.replace_rvs_by_values([model[name] for name in BOX] + list(model["obs"].owner.inputs[2:6]))
    function = model.compile_fn(values, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    density = model.compile_logp(mode="FAST_COMPILE")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        point = {k: rng.choice([-30.0, 30.0], np.shape(v)) for k, v in model.initial_point().items()}
        found = function(point)
        for name, (low, high) in BOX.items():
            for one in (found[list(BOX).index(name)], found[4 + list(BOX).index(name)]):
                assert (low <= one).all() and (one <= high).all()
        assert (found[3] < fastest).all()
        assert (found[7] < data["rt"].to_numpy()).all()
        assert np.isfinite(density(point))


def test_an_impossible_subject_is_named(data):
    early = data.assign(rt=np.where(np.arange(len(data)) == 9, 0.05, data["rt"]))
    with pytest.raises(fp.DataError, match="participant_id 's02': these data need t between"):
        fp.hierarchical(fp.ddm(bounds={"t": (0.1, 2.0)}).exact, early, formulas=FORMULAS)


@pytest.mark.parametrize("formulas", [{"t": "1"}, {"v": "1"}])
def test_without_effects_of_subjects_t_stays_below_the_fastest_of_all(data, formulas):
    model = fp.hierarchical(EXACT, data, formulas=formulas)
    point = {name: np.full(np.shape(value), 20.0) for name, value in model.initial_point().items()}
    t = evaluate(model, ["t"], point)["t"]
    assert t == pytest.approx(data["rt"].min(), rel=1e-5) and t < data["rt"].min()


def test_a_continuous_regressor_is_reported_at_its_mean(data):
    model = fp.hierarchical(EXACT, data, formulas={"v": "1 + theta + (1 | participant_id)"})
    point = random_point(model, seed=5)
    found = evaluate(model, ["v", "v_1|participant_id"], point)
    slope = point["v_theta"] * data.groupby("participant_id")["theta"].mean().to_numpy()
    expected = inside("v", point["v_Intercept"] + slope + found["v_1|participant_id"])
    assert found["v"] == pytest.approx(expected, abs=1e-5)
    assert model["v_theta"].owner.inputs[-1].eval() == pytest.approx(1 / data["theta"].std(ddof=0))


def test_cells_that_do_not_all_occur_are_listed(data):
    some = data[(data["participant_id"] != "s02") | (data["conf"] == "HC")]
    model = fp.hierarchical(EXACT, some, formulas={"v": "0 + conf + (1 | participant_id)"})
    assert model.coords["v_cell"] == ("s01 HC", "s01 LC", "s02 HC", "s03 HC", "s03 LC")
    point = random_point(model, seed=6)
    found = evaluate(model, ["v", "v_1|participant_id"], point)
    effects = found["v_1|participant_id"][[0, 0, 1, 2, 2]]
    assert found["v"] == pytest.approx(inside("v", point["v_conf"][[0, 1, 0, 0, 1]] + effects), abs=1e-5)
    assert model["v_conf"].owner.op.name == "logistic"  # levels are places in the box, not differences


def test_nested_groups_bound_t_by_their_own_trials(data):
    nested = data.assign(session=np.where(np.arange(len(data)) % 2, "b", "a"))
    model = fp.hierarchical(EXACT, nested, formulas={"t": "1 + (1 | participant_id / session)"})
    point = {name: np.full(np.shape(value), 20.0) for name, value in model.initial_point().items()}
    fastest = nested.groupby(["participant_id", "session"])["rt"].min().unstack()
    assert evaluate(model, ["t"], point)["t"] == pytest.approx(fastest.to_numpy(), rel=1e-5)
    assert len(model.coords["participant_id:session"]) == 6


def test_priors_can_be_given_by_name(data):
    given = {
        "v_Intercept": pm.Normal.dist(0.5, 0.1), "v_conf": pm.StudentT.dist(4, mu=0, sigma=1),
        "v_1|participant_id_sigma": pm.HalfNormal.dist(0.5), "z": pm.Normal.dist(0.5, 0.05),
    }  # fmt: skip
    model = fp.hierarchical(EXACT, data, formulas=FORMULAS, priors=given)
    usual = fp.hierarchical(EXACT, data, formulas=FORMULAS)
    point = random_point(model, seed=7, scale=0.3)
    sigma, z = np.exp(point["v_1|participant_id_sigma_log__"]), inside("z", point["z_interval__"])
    cut = stats.truncnorm((0.1 - 0.5) / 0.05, (0.9 - 0.5) / 0.05, 0.5, 0.05)
    expected = (
        stats.norm(0.5, 0.1).logpdf(point["v_Intercept"]) - stats.logistic.logpdf(point["v_Intercept"])
        + stats.t(4).logpdf(point["v_conf"]).sum() - stats.norm.logpdf(point["v_conf"]).sum()
        + stats.halfnorm(scale=0.5).logpdf(sigma) - stats.lognorm(0.8, scale=0.4).logpdf(sigma)
        + cut.logpdf(z) + np.log(0.8)
    )  # fmt: skip
    assert log_posterior(model, point) - log_posterior(usual, point) == pytest.approx(expected, abs=1e-6)


def test_an_intercept_has_the_parameters_own_prior(data):
    from numpyro.distributions import LogNormal

    own = tuple(dataclasses.replace(p, prior=LogNormal(0.0, 0.1)) if p.name == "a" else p for p in EXACT.parameters)
    model = fp.hierarchical(dataclasses.replace(EXACT, parameters=own), data, formulas={"a": "1"})
    a = pm.draw(model["a"], 2000, random_seed=1)
    assert stats.kstest(a, stats.lognorm(0.1).cdf).pvalue > 1e-3
    flat = fp.hierarchical(EXACT, data, formulas={"a": "1"})
    drawn = pm.draw(flat["a"], 2000, random_seed=1)
    assert stats.kstest(drawn, stats.uniform(0.3, 2.2).cdf).pvalue > 1e-3


def test_missing_trials_are_refused_or_dropped_and_counted(data):
    holes = data.copy()
    holes.loc[[3, 17], "rt"] = [np.nan, -999.0]
    holes.loc[18, "conf"] = None
    with pytest.raises(fp.DataError, match=r"3 of 24 rows have one \(rt 2, conf 1; first: row 3\)"):
        fp.hierarchical(EXACT, holes, formulas=FORMULAS)
    with pytest.warns(fp.DataWarning, match="3 of 24 trials.*by participant_id s01: 1 of 8, s03: 2 of 8"):
        model = fp.hierarchical(EXACT, holes, formulas=FORMULAS, missing="drop")
    kept = fp.hierarchical(EXACT, data.drop(index=[3, 17, 18]), formulas=FORMULAS)
    point = random_point(model, seed=8)
    assert log_posterior(model, point) == log_posterior(kept, point)
    gone = holes.assign(rt=holes["rt"].where(holes["participant_id"] != "s02"))
    with pytest.raises(fp.DataError, match="every participant_id must have a trial.*'s02' has none left of 8"):
        fp.hierarchical(EXACT, gone, formulas=FORMULAS, missing="drop")
    with pytest.raises(fp.DataError, match="participant_id must be known for every trial"):
        fp.hierarchical(EXACT, data.assign(participant_id=data["participant_id"].where(data["conf"] == "HC")),
                        formulas=FORMULAS, missing="drop")  # fmt: skip


def test_lapses_free_t_from_the_fastest_trial(data):
    early = pd.concat([data, data.iloc[:1].assign(rt=0.01)], ignore_index=True)
    model = fp.hierarchical(EXACT, early, formulas=FORMULAS, lapses=10.0)
    assert "p_outlier" in {one.name for one in model.free_RVs}
    point = random_point(model, seed=9)
    assert np.isfinite(log_posterior(model, point))
    top = {name: np.full(np.shape(value), 10.0) for name, value in point.items()}
    assert (evaluate(model, ["t"], top)["t"] > 1.99).all()
    with pytest.raises(fp.ModelError, match="normalised density"):
        fp.hierarchical(fp.pretrained("ddm", "nre"), data, formulas=FORMULAS, lapses=True)


def test_unused_categories_are_no_groups(data):
    some = data.astype({"participant_id": "category"}).query("participant_id != 's02'")
    model = fp.hierarchical(EXACT, some, formulas=FORMULAS)
    assert model.coords["participant_id"] == ("s01", "s03")


WRONG = {
    "unknown column": ({"v": "1 + cond"}, fp.DataError, "one column 'cond'; got 0"),
    "unknown parameter": ({"w": "1"}, fp.ModelError, "parameters v, a, z, t; got one for 'w'"),
    "not parsed": ({"v": "1 + ("}, fp.ModelError, "one that formulae parses"),
    "not a text": ({"v": 1}, fp.ModelError, "must be a text"),
    "left-hand side": ({"v": "rt ~ 1 + conf"}, fp.ModelError, "no left-hand side.*Write '1 \\+ conf'"),
    "no term": ({"v": "0"}, fp.ModelError, "must have a term"),
    "unknown function": ({"v": "1 + twice(theta)"}, fp.ModelError, "must have a value for every trial"),
    "constant": ({"v": "1 + same"}, fp.ModelError, "a regressor must vary; same"),
    "collinear": ({"v": "1 + theta + double"}, fp.ModelError, "one of Intercept, double, theta is a combination"),
    "not within": ({"v": "1 + (1 + age | participant_id)"}, fp.ModelError, "age is the same in all trials of each"),
    "one group": ({"v": "1 + (1 | same)"}, fp.ModelError, "same must have two or more levels"),
    "no centre": ({"v": "1 | participant_id"}, fp.ModelError, r"Write '1 \+ \(1 \| participant_id\)'"),
    "offset": ({"v": "1 + offset(theta)"}, fp.ModelError, "offsets are not available"),
    "computed groups": ({"v": "1 + (1 | C(conf))"}, fp.ModelError, "groups must be columns"),
    "as a parameter": ({"v": "1 + a"}, fp.DataError, "must not be called as a parameter is; got a"),
    "no mapping": ("1 + conf", fp.ModelError, "formulas must map"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_formulas_are_refused(data, wrong):
    formulas, error, message = WRONG[wrong]
    age = data["participant_id"].map({"s01": 30, "s02": 40, "s03": 55})
    more = data.assign(same=1, double=2 * data["theta"], age=age, a=1.0)
    with pytest.raises(error, match=message):
        fp.hierarchical(EXACT, more, formulas=formulas)


SETTINGS = {
    "missing": ({"missing": "keep"}, fp.ModelError, "missing must be one of error, drop"),
    "centered": ({"centered": {"w"}}, fp.ModelError, "centered must be True, False or a set of names among a, a_1"),
    "prior's name": ({"priors": {"v_x": 1}}, fp.ModelError, r"priors must map names.*; got \['v_x'\]"),
    "prior": ({"priors": {"v_Intercept": 1.0}}, fp.ModelError, "must be a PyMC distribution without a name"),
    "prior's shape": (
        {"priors": {"v_conf": pm.Normal.dist(shape=3)}}, fp.ModelError, r"shape \(\) or \(1,\); got shape \(3,\)",
    ),
    "negative sd": (
        {"priors": {"a_1|participant_id_sigma": pm.Normal.dist()}}, fp.ModelError, "must be one of positive numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", SETTINGS)
def test_wrong_settings_are_refused(data, wrong):
    settings, error, message = SETTINGS[wrong]
    with pytest.raises(error, match=message):
        fp.hierarchical(EXACT, data, formulas=FORMULAS, **settings)


def test_what_is_no_table_of_rows_is_refused(data):
    with pytest.raises(fp.DataError, match="data must be a DataFrame"):
        fp.hierarchical(EXACT, data[["rt", "response"]].to_numpy(), formulas=FORMULAS)
    with pytest.raises(fp.ModelError, match="a trial of which is a patch"):
        fp.hierarchical(fp.foraging().exact, fp.example("foraging"), formulas={"drift_rate": "1"})
    with pytest.raises(fp.ModelError, match="hierarchical takes a Likelihood"):
        fp.hierarchical(fp.ddm(), data, formulas=FORMULAS)


def test_priors_of_a_dimension_are_independent_and_in_the_box():
    with pm.Model(coords={"participant_id": ["s01", "s02", "s03"]}) as model:
        v, t = fp.priors(EXACT, "v", "t", dims="participant_id")
        with pytest.raises(fp.ModelError, match="has participant_id; got 'subject'.*coords"):
            fp.priors(EXACT, "a", dims="subject")
        with pytest.raises(fp.ModelError, match="joint one"):
            fp.priors(fp.lif().exact, dims="participant_id")
    drawn = np.stack(pm.draw([v, t], 500, random_seed=1))
    assert drawn.shape == (2, 500, 3)
    assert abs(np.corrcoef(drawn[0].T)[0, 1]) < 0.2
    assert (-3 <= drawn[0]).all() and (drawn[0] <= 3).all() and (0 <= drawn[1]).all() and (drawn[1] <= 2).all()
    assert model.named_vars_to_dims == {"v": ("participant_id",), "t": ("participant_id",)}


@pytest.mark.slow
@pytest.mark.parametrize("centered", [False, True])
def test_groups_and_subjects_are_recovered(centered):
    subjects, each = 12, 120
    rng = np.random.default_rng(2)
    truth = {"v": 0.3 + 0.15 * rng.normal(size=subjects), "a": -0.6 + 0.3 * rng.normal(size=subjects)}
    truth["slope"] = 0.4 + 0.1 * rng.normal(size=subjects)
    subject, hard = np.repeat(np.arange(subjects), each), np.tile([0.0, 1.0], subjects * each // 2)
    theta = {
        "v": inside("v", truth["v"][subject] + truth["slope"][subject] * hard), "a": inside("a", truth["a"][subject]),
        "z": np.full(len(subject), 0.5), "t": np.full(len(subject), 0.3),
    }  # fmt: skip
    x = EXACT.simulate(theta, rng)
    data = pd.DataFrame({"rt": x[:, 0], "response": x[:, 1], "participant_id": subject, "conf": hard})
    model = fp.hierarchical(EXACT, data, formulas=FORMULAS, centered=centered)
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws = pm.sample(
            300, tune=400, chains=2, cores=1, random_seed=1, nuts_sampler="nutpie", progressbar=False, quiet=True,
            compute_convergence_checks=False,
        )  # fmt: skip
    posterior, stats_of = draws["posterior"], draws["sample_stats"]
    assert int(stats_of["diverging"].sum()) <= (2 if centered else 0), "of 600"
    for name, (low, high) in BOX.items():
        assert ((posterior[name] >= low) & (posterior[name] <= high)).all()
    for name, true in {"v_Intercept": truth["v"].mean(), "a_Intercept": truth["a"].mean()}.items():
        assert abs(float(posterior[name].mean()) - true) < 3.5 * float(posterior[name].std())
    for name, true in {"v": logit((theta["v"][hard == 0][:: each // 2] + 3) / 6), "a": truth["a"]}.items():
        mean = posterior[f"{name}_Intercept"] + posterior[f"{name}_1|participant_id"]
        z = (mean.mean(("chain", "draw")) - true) / mean.std(("chain", "draw"))
        assert float(np.sqrt((z**2).mean())) < 1.6
