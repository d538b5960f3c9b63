"""Joint priors: draws follow the dependent distributions, and every point of the coordinates obeys them."""

import jax
import numpy as np
import pytest
from scipy import special, stats

import firstpassage as fp
from firstpassage.errors import ModelError
from firstpassage.models.joint import Conditional, Joint
from firstpassage.models.lif import reference_prior

ALPHA = 1e-4  # of each test of a distribution, with a fixed seed
DRAWS = 20_000


@pytest.fixture(scope="module")
def joint():
    return reference_prior()


@pytest.fixture(scope="module")
def z(joint):
    return joint.sample(DRAWS, np.random.default_rng(1))


@pytest.fixture(scope="module")
def theta(joint, z):
    return joint.parameters(z)


def rejected(n, *, seed):
    """Draw E_L, V_init, V_reset by rejection, in the order of the model: the slow and obvious way."""
    rng, rows = np.random.default_rng(seed), []

    def below(mean, low, high):
        while True:
            value = rng.normal(mean, 2.0)
            if low <= value <= high:
                return value

    for _ in range(n):
        rest = below(-70.0, -75.0, -60.0)
        start = below(-70.0, -80.0, min(rest - 0.5, -65.0))
        rows.append((rest, start, below(-72.0, -85.0, min(start - 0.5, -65.0))))
    return dict(zip(("E_L", "V_init", "V_reset"), np.array(rows).T, strict=True))


def anywhere(n, *, seed):
    """Choose points of the coordinates, from near 0 to far beyond what a float can tell apart."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6)) * 10.0 ** rng.uniform(-1, 8, (n, 1))


def test_draws_are_those_of_rejection(theta):
    slow = rejected(5000, seed=2)
    for name in slow:
        assert stats.ks_2samp(theta[name], slow[name]).pvalue > ALPHA
    for high, low in (("E_L", "V_init"), ("V_init", "V_reset"), ("E_L", "V_reset")):
        assert stats.ks_2samp(theta[high] - theta[low], slow[high] - slow[low]).pvalue > ALPHA
        ours, theirs = (np.corrcoef(draws[high], draws[low])[0, 1] for draws in (theta, slow))
        assert abs(ours - theirs) < 4 / np.sqrt(5000)


def test_independent_parameters_have_their_own_distributions(theta):
    ends = (-60 + 55) / 2, (-50 + 55) / 2
    assert stats.kstest(theta["V_th"], stats.truncnorm(*ends, loc=-55, scale=2).cdf).pvalue > ALPHA
    inside = theta["tau_m"][(theta["tau_m"] > 5) & (theta["tau_m"] < 20)]
    scores = (np.log(inside) - np.log(10)) / 0.2
    assert stats.kstest(scores, stats.truncnorm(np.log(0.5) / 0.2, np.log(2) / 0.2).cdf).pvalue > ALPHA


def test_clipping_puts_the_right_mass_on_the_bounds(joint, theta):
    mass = special.ndtr(-np.log(1.5) / 0.2)  # of g_L beyond 15 nS
    assert 0.02 < mass < 0.022
    share = (theta["g_L"] == 15.0).mean()
    assert abs(share - mass) < 4 * np.sqrt(mass / DRAWS)
    one = {name: values[:1] for name, values in theta.items()}
    atom, inside = (joint.log_density({**one, "g_L": np.array([g])}) for g in (15.0, 14.0))
    density = stats.lognorm(0.2, scale=10).logpdf(14.0)
    assert atom - inside == pytest.approx(np.log(mass) - density, rel=1e-9)


def test_place_is_the_inverse(joint, z, theta):
    placed = joint.place(theta)
    again = joint.parameters(placed)
    for name in joint.names:
        assert np.allclose(again[name], theta[name], rtol=0, atol=1e-9)
    for name in ("tau_m", "g_L"):
        at_bound = np.isin(theta[name], (5.0, 15.0, 20.0))
        assert np.array_equal(again[name][at_bound], theta[name][at_bound])
    clipped = [joint.names.index(name) for name in ("tau_m", "g_L")]
    rest = [i for i in range(6) if i not in clipped]
    assert np.allclose(placed[:, rest], z[:, rest], atol=1e-6)


def test_the_density_in_coordinates_is_that_of_the_draws(joint, z):
    """Importance sampling from a wider normal: the mass is one, and means and variances are those of the draws."""
    rng = np.random.default_rng(3)
    root = 1.3 * np.linalg.cholesky(np.cov(z.T))
    noise = rng.standard_normal((100_000, 6))
    points = z.mean(axis=0) + noise @ root.T
    log_proposal = stats.norm.logpdf(noise).sum(axis=1) - np.log(np.diag(root)).sum()
    weight = np.exp(joint.log_prob(points) - log_proposal)
    assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(len(weight))
    for power in (1, 2):
        found = weight[:, None] * points**power
        error = np.hypot(found.std(axis=0) / np.sqrt(len(points)), (z**power).std(axis=0) / np.sqrt(DRAWS))
        assert (abs(found.mean(axis=0) - (z**power).mean(axis=0)) < 5 * error).all()


def test_both_densities_agree(joint, z, theta):
    """The density of parameters times the derivative, from differences of `parameters`, is that of coordinates."""
    rows = np.flatnonzero(~np.isin(theta["g_L"], (5.0, 15.0)) & ~np.isin(theta["tau_m"], (5.0, 20.0)))[:50]
    step = 1e-5
    for row in rows:
        moved = [joint.parameters(z[row] + sign * step * np.eye(6)) for sign in (1, -1)]
        slope = np.stack([(moved[0][name] - moved[1][name]) / (2 * step) for name in joint.names])
        one = {name: values[row] for name, values in theta.items()}
        expected = joint.log_density(one) + np.linalg.slogdet(slope)[1]
        assert joint.log_prob(z[row]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_point_obeys_the_prior(joint, dtype):
    with jax.enable_x64(dtype == np.float64):
        found = jax.jit(joint.parameters)(jax.numpy.asarray(anywhere(5000, seed=4), dtype=dtype))
    found = {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}
    rounding = 1e-9 if dtype == np.float64 else 1e-5
    assert (found["V_init"] - found["V_reset"] >= 0.5 - rounding).all()
    assert (found["E_L"] - found["V_init"] >= 0.5 - rounding).all()
    for name, (low, high) in joint.bounds.items():
        assert low <= found[name].min() < found[name].max() <= high
    if dtype == np.float64:
        assert np.isfinite(joint.log_density(found)).all()


def test_gradients_are_finite_everywhere_and_right_where_it_matters(joint, z):
    def total(point):
        return joint.log_prob(point) + sum(joint.parameters(point).values())

    with jax.enable_x64():
        slope = jax.jit(jax.vmap(jax.grad(total)))
        assert np.isfinite(np.asarray(slope(anywhere(2000, seed=5)))).all()
        found = np.asarray(slope(z[:20]))
    step = 1e-5 * np.eye(6)
    differences = [(total(z[:20] + row) - total(z[:20] - row)) / 2e-5 for row in step]
    assert np.allclose(found, np.stack(differences, axis=1), rtol=1e-5, atol=1e-5)


def test_jax_and_numpy_agree(joint, z, theta):
    rows = z[:200]
    with jax.enable_x64():
        given = {name: jax.numpy.asarray(values[:200]) for name, values in theta.items()}
        found = jax.jit(lambda z, t: (joint.log_prob(z), joint.log_density(t), joint.place(t), joint.parameters(z)))(
            rows, given
        )
    own = {name: values[:200] for name, values in theta.items()}
    wanted = (joint.log_prob(rows), joint.log_density(own), joint.place(own), joint.parameters(rows))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-9)


def test_there_is_no_density_off_the_support(joint, theta):
    one = {name: values[:1] for name, values in theta.items()}
    for change in (
        {"V_init": one["E_L"] - 0.4},
        {"V_reset": one["V_init"] - 0.4},
        {"V_th": np.array([-49.0])},
        {"tau_m": np.array([-1.0])},
        {"g_L": np.array([np.nan])},
    ):
        assert joint.log_density({**one, **change}) == -np.inf
    assert np.isfinite(joint.log_density(one))


def test_a_model_draws_from_its_joint_prior(joint):
    model = fp.lif()
    assert model.joint.bounds == joint.bounds
    drawn = model.prior(50, seed=1)
    assert tuple(drawn) == model.parameter_names == joint.names
    assert np.allclose(model.log_prior(drawn), joint.log_density(drawn))
    assert fp.ddm().joint is None


HIGH = Conditional(name="high", family="TruncatedNormal", location=0.0, scale=1.0, lower=-1.0, upper=2.0)
LOW = Conditional(
    name="low", family="TruncatedNormal", location=0.0, scale=1.0, lower=-3.0, upper=2.0, below="high", gap=0.5
)


def changed(one, **changes):
    from dataclasses import replace

    return replace(one, **changes)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: changed(HIGH, scale=0.0), "scale > 0"),
        (lambda: changed(HIGH, lower=3.0), "lower < upper"),
        (lambda: changed(LOW, gap=-1.0), "gap >= 0"),
        (lambda: changed(HIGH, location=np.nan), "location of the prior of high must be a finite number"),
        (lambda: changed(HIGH, upper="2"), "must be a finite number"),
        (lambda: changed(HIGH, family="Cauchy"), "TruncatedNormal or ClippedLogNormal"),
        (lambda: changed(HIGH, family="ClippedLogNormal"), "must be positive"),
        (lambda: Joint(conditionals=(HIGH, LOW), names=("high",)), "one conditional for each"),
        (lambda: Joint(conditionals=(LOW, HIGH), names=("low", "high")), "drawn before it"),
        (
            lambda: Joint(conditionals=(HIGH, changed(LOW, lower=-1.4)), names=("low", "high")),
            "cannot be satisfied: with high at its lower bound -1, low must lie between -1.4 and -1.5",
        ),
    ],
)
def test_priors_that_cannot_be_are_refused(make, words):
    with pytest.raises(ModelError, match=words):
        make()


def test_a_joint_prior_must_fit_the_model():
    def simulate(theta, *, trials, rng):
        return {"x": np.zeros((len(theta["low"]), trials))}

    def model(*parameters):
        prior = Joint(conditionals=(HIGH, LOW), names=("low", "high"))
        return fp.Model(name="two", parameters=parameters, likelihood=simulate, prior=prior)

    low, high = fp.Parameter("low", bounds=(-3, 1.5)), fp.Parameter("high", bounds=(-1, 2))
    assert model(low, high).prior(5, seed=1)["low"].shape == (5,)
    with pytest.raises(ModelError, match="must have the parameters of the model, high, low"):
        model(high, low)
    with pytest.raises(ModelError, match=r"the prior of high lives on \[-1, 2\], beyond its bounds"):
        model(low, fp.Parameter("high", bounds=(-1, 1)))
