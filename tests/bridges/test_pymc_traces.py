"""Traces in PyMC: the joint prior in dependent bounds, several traces of a cell, cells with their own thresholds."""

import warnings

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.traversal import ancestors
from scipy import stats

import firstpassage as fp
from firstpassage.bridges import _climb, _near
from firstpassage.bridges._below import Below
from oracle import ordered

OWN = ("tau_m", "g_L", "V_reset", "V_init", "E_L")
pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:Numba will use object mode")


@pytest.fixture(scope="module")
def cell():
    model = fp.lif(T=20.0, I_mean=250.0)
    theta = model.prior(1, seed=8)
    data = model.likelihood(theta, trials=3, seed=8)
    return model, {name: value[0] for name, value in theta.items()}, {name: value[0] for name, value in data.items()}


def test_the_joint_prior_is_that_of_the_model():
    with pm.Model() as model:
        made = fp.priors(ordered.EXACT)
    assert [v.name for v in made] == ["spread", "low", "high"]
    point = {"z_spread": -0.4, "low": -0.3, "high": 0.1}
    found = model.compile_logp(jacobian=False, vars=model.free_RVs, mode="FAST_COMPILE")
    values = {model.rvs_to_values[rv].name: _unconstrained(model, rv, point) for rv in model.free_RVs}
    theta = {"spread": np.array([np.exp(0.4 * -0.4)]), "low": np.array([-0.3]), "high": np.array([0.1])}
    of_spread = stats.norm.logpdf(-0.4) - stats.norm.logpdf(np.log(theta["spread"][0]), 0, 0.4)
    wanted = ordered.JOINT.log_density(theta)[0] + of_spread + np.log(theta["spread"][0])
    assert float(found(values)) == pytest.approx(wanted, abs=1e-7)
    drawn = dict(zip(("spread", "low", "high"), pm.draw(made, 4000, random_seed=1), strict=True))
    assert np.isfinite(ordered.JOINT.log_density(drawn)).all()
    prior = ordered.model().prior(4000, seed=1)
    for name, value in drawn.items():
        assert stats.ks_2samp(value, prior[name]).pvalue > 1e-4
    assert (drawn["spread"] == 1.4).mean() == pytest.approx((prior["spread"] == 1.4).mean(), abs=0.03)


def _unconstrained(model, rv, point):
    """Map the value of a free variable to the line that PyMC samples on."""
    transform = model.rvs_to_transforms[rv]
    if transform is None:
        return np.asarray(point[rv.name])
    forward = transform.forward(point[rv.name], *rv.owner.inputs)
    given = {v: v.type.filter(np.asarray(point[v.name], v.dtype)) for v in model.free_RVs if v is not rv}
    used = set(ancestors([forward]))
    return forward.eval({v: x for v, x in given.items() if v in used})


def test_the_line_of_what_stays_below_is_a_map_onto_the_interval_that_feels_a_near_end_only():
    ends = [pt.constant(one) for one in (-80.0, -66.0)]
    line = np.linspace(-30, 30, 20_001)
    value = Below().backward(pt.constant(line), *ends)
    there = value.eval()
    assert there.min() >= -80 and there.max() <= -66 and (np.diff(there) >= 0).all()
    inner = (there > -80 + 1e-5) & (there < -66 - 1e-5)
    np.testing.assert_allclose(Below().forward(value, *ends).eval()[inner], line[inner], atol=1e-4)
    slope = np.gradient(there, line)
    np.testing.assert_allclose(
        np.exp(Below().log_jac_det(pt.constant(line), *ends).eval())[1:-1], slope[1:-1], rtol=0.01, atol=1e-3
    )
    moved = Below().forward(pt.constant(-74.0), ends[0], pt.constant([-68.0, -66.0, -62.0])).eval()
    assert np.ptp(moved) < 0.001


def test_some_of_the_joint_prior_are_refused():
    with pm.Model(), pytest.raises(fp.ModelError, match=r"joint one: bounds depend on other .*\(low\) have none"):
        fp.priors(ordered.EXACT, "low")
    with pm.Model():
        pm.Normal("z_spread")
        with pytest.raises(fp.ModelError, match="already has a variable 'z_spread'"):
            fp.priors(ordered.EXACT)


@pytest.mark.parametrize("kind", [pytest.param("exact", marks=pytest.mark.slow), "approximate"])
def test_traces_of_a_cell_add_up(cell, kind):
    model, theta, data = cell
    likelihood = model.exact if kind == "exact" else model.approximate
    with pm.Model() as fit:
        fp.observe("obs", likelihood, observed=data, **{**theta, "V_reset": pm.Uniform("V_reset", -80, -66)})
    density = fit.compile_logp(vars=[fit["obs"]], mode="FAST_COMPILE")
    place = {"V_reset_interval__": 0.3}
    value = -80 + 14 / (1 + np.exp(-0.3))
    single = [
        likelihood.log_prob({name: v[i] for name, v in data.items()}, **{**theta, "V_reset": value})[0]
        for i in range(3)
    ]
    assert float(density(place)) == pytest.approx(sum(single), abs=1e-6)
    numbers = {name: np.full(1, v) for name, v in {**theta, "V_reset": value}.items()}
    assert likelihood.summed(likelihood.read(data), numbers)[0] == pytest.approx(sum(single), abs=1e-5)


def test_cells_may_have_thresholds_of_their_own(cell):
    model, theta, data = cell
    of_trace = np.array([0, 1, 0])
    others = {name: value for name, value in theta.items() if name != "V_th"}
    with pm.Model() as cells:
        threshold = pm.Normal("threshold", -55, 2, shape=2)
        fp.observe("obs", model.approximate, observed=data, V_th=threshold[of_trace], **others)
    density = cells.compile_logp(vars=[cells["obs"]], mode="FAST_COMPILE")
    slope = cells.compile_dlogp(vars=[threshold], mode="FAST_COMPILE")
    at = np.array([-54.0, -56.0])

    def direct(values):
        return model.approximate.log_prob(data, V_th=values[of_trace], **others).sum()

    assert float(density({"threshold": at})) == pytest.approx(direct(at), abs=1e-6)
    step = np.array([1e-4, 0.0])
    found = slope({"threshold": at})[0] + (at[0] + 55) / 4  # without the prior's
    assert found == pytest.approx((direct(at + step) - direct(at - step)) / 2e-4, rel=1e-4)


def _free(cell):
    """Make a PyMC model of a cell, all parameters free."""
    model, _, data = cell
    with pm.Model() as fit:
        free = dict(zip(model.parameter_names, fp.priors(model.approximate), strict=True))
        fp.observe("obs", model.approximate, observed=data, **free)
    return fit


def test_jitter_leaves_the_start_possible(cell):
    fit = _free(cell)
    total, start = fit.compile_logp(mode="FAST_COMPILE"), fit.initial_point(random_seed=1)
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert np.isfinite(total({name: value + rng.uniform(-1, 1) for name, value in start.items()}))


@pytest.fixture(scope="module")
def hierarchy(cell):
    """Two cells with a trace or two; thresholds from a group on the logit scale, the rest of each cell's own."""
    model, _, data = cell
    of_trace = np.array([0, 1, 0])
    with pm.Model() as cells:
        place = pm.Normal("place", pm.Normal("mean", 0, 1), pm.HalfNormal("sd", 1), shape=2)
        theta = {"V_th": (-60 + 10 * pm.math.sigmoid(place))[of_trace]}
        own = []
        for i in range(2):
            with pm.Model(name=f"cell{i}"):
                own.append(fp.priors(model.approximate, *OWN))
        theta |= {name: pm.math.stack(v)[of_trace] for name, v in zip(OWN, zip(*own, strict=True), strict=True)}
        fp.observe("obs", model.approximate, observed=data, **theta)
    return cells, theta, of_trace


def test_a_hierarchy_adds_up_over_cells(cell, hierarchy):
    model, _, data = cell
    cells, theta, of_trace = hierarchy
    point = cells.initial_point(random_seed=1)
    given = [cells.rvs_to_values[rv] for rv in cells.free_RVs]
    graphs = cells.replace_rvs_by_values(list(theta.values()))
    found = pytensor.function(given, graphs, mode="FAST_COMPILE", on_unused_input="ignore")(
        *(point[v.name] for v in given)
    )
    at = dict(zip(theta, found, strict=True))
    total = 0.0
    for i in range(2):
        rows = of_trace == i
        one = {name: value[rows] for name, value in data.items()}
        total += model.approximate.log_prob(one, **{name: value[rows][0] for name, value in at.items()}).sum()
    assert float(cells.compile_logp(vars=[cells["obs"]], mode="FAST_COMPILE")(point)) == pytest.approx(total, abs=1e-6)


def test_it_starts_near_the_data(cell, hierarchy):
    """The middle of the priors lies hundreds of nats below the truth, the start a few at most."""
    model, theta, data = cell
    cells = hierarchy[0]
    right = model.approximate.log_prob(data, **theta).sum()
    middle = model.joint.parameters(np.zeros(6))
    far = right - model.approximate.log_prob(data, **{name: float(value) for name, value in middle.items()}).sum()
    assert far > 100
    for fit in (cells, _free(cell)):
        density = fit.compile_logp(vars=[fit["obs"]], mode="FAST_COMPILE")
        assert right - float(density(fit.initial_point(random_seed=1))) < 10
        assert {rv.name for rv in _near.placed(fit)} <= {rv.name for rv in fit.free_RVs}
        assert _near.placed(fit)


def test_a_guess_is_climbed_to_the_top_and_its_sharpness_is_known(cell):
    """No step of a tenth of an sd along a sharp axis goes up, and one sd costs half a nat."""
    model, theta, data = cell
    x = model.exact.read(data)
    best, root = _climb.climb(model.exact, x, model.exact.start(x))

    def density(at):
        return model.approximate.log_prob(data, **dict(zip(theta, at.T, strict=True)))

    top, axes = density(best), np.linalg.inv(root)
    assert (top > density(np.tile(list(theta.values()), (3, 1)))).all()
    for axis in np.moveaxis(axes, 2, 0)[-3:]:  # the sharpest
        loss = np.array([top - density(best + step * axis) for step in (-1, -0.1, 0.1, 1)])
        inside = np.isfinite(loss).all(axis=0)
        assert inside.any() and loss[:, inside].min() > -0.05
        assert np.all(loss[[0, 3]].mean(axis=0)[inside] == pytest.approx(0.5, abs=0.2))


def test_a_start_of_the_user_stays(cell):
    model, theta, data = cell
    with pm.Model() as fit:
        free = {**theta, "V_reset": pm.Uniform("V_reset", -80.0, -66.0, initval=-67.0)}
        fp.observe("obs", model.approximate, observed=data, **{**free, "V_th": pm.Normal("V_th", -55.0, 2.0)})
    start = fit.initial_point(random_seed=1)
    assert start["V_reset_interval__"] == pytest.approx(np.log(13 / 1))
    assert start["V_th"] == pytest.approx(theta["V_th"], abs=0.5)


def test_no_noise_is_added_to_starts_that_are_known_from_traces(cell, monkeypatch):
    class AskedError(Exception):
        pass

    def asked(*args, **how):
        raise AskedError(how)

    monkeypatch.setattr(pm, "sample", asked)
    fit = _free(cell)
    with pytest.raises(AskedError) as given:
        fp.sample(fit, draws=100, tune=100, chains=1, seed=1)
    assert given.value.args[0]["compile_kwargs"]["jitter_rvs"] == set(fit.free_RVs) - _near.placed(fit) == set()
    with pm.Model() as other:
        pm.Normal("x")
    with pytest.raises(AskedError) as given:
        fp.sample(other, draws=100, tune=100, chains=1, seed=1)
    assert "compile_kwargs" not in given.value.args[0]


@pytest.mark.slow
def test_nuts_finds_the_cell(cell):
    model, theta, _ = cell
    with _free(cell), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = pm.sample(
            200, tune=300, chains=2, cores=1, random_seed=1, nuts_sampler="nutpie", progressbar=False, quiet=True
        )
    values = {name: drawn["posterior"][name].values for name in theta}
    assert np.isfinite(model.joint.log_density(values)).all()
    for name in ("V_th", "V_reset"):
        spread = values[name].std()
        assert abs(values[name].mean() - theta[name]) < 5 * spread
        assert spread < 1.0
