"""NPE under a joint prior: no draw leaves it, atoms have their mass, and the correction weighs the coordinates."""

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.errors import DataError
from firstpassage.estimators import _latent
from oracle import ordered

SETTINGS = {
    "trials": 5,
    "flow": "mdn",
    "components": 4,
    "layers": 1,
    "flow_widths": (32,),
    "widths": (32, 32),
    "summaries": 8,
    "bins": 6,
}
TRAINING = {"epoch_pairs": 8192, "validation": 1024, "batch": 256, "passes": 1}
X = np.random.default_rng(1).normal([0.2, 0.6], 1.1, (5, 2))


@pytest.fixture(scope="module")
def posterior():
    return fp.NPE(ordered.model(), **SETTINGS, **TRAINING).fit(budget=65_536, seed=1)


@pytest.fixture(scope="module")
def truth():
    return ordered.posterior(X)


def test_no_draw_leaves_the_prior(posterior):
    theta = posterior.sample(X, draws=20_000, seed=1)["posterior"]
    values = {name: theta[name].values.ravel() for name in posterior.parameter_names}
    assert np.isfinite(ordered.JOINT.log_density(values)).all()
    for bound in (0.7, 1.4):
        assert (values["spread"] == bound).mean() > 0.01


def test_the_correction_finds_the_posterior_and_the_mass_of_its_atoms(posterior, truth):
    drawn = posterior.sample(X, draws=4000, seed=2, correct="exact")
    theta, weight = truth
    error = 5 / np.sqrt(min(drawn.attrs["effective"], 1 / (weight**2).sum()))
    assert drawn.attrs["pareto_k"] < 0.7
    for name, wanted in theta.items():
        mean = weight @ wanted
        sd = np.sqrt(weight @ (wanted - mean) ** 2)
        values = drawn["posterior"][name].values.ravel()
        assert values.mean() == pytest.approx(mean, abs=error * sd)
        assert values.std() == pytest.approx(sd, rel=error)
    for bound in (0.7, 1.4):
        mass = weight @ (theta["spread"] == bound)
        found = (drawn["posterior"]["spread"].values == bound).mean()
        assert found == pytest.approx(mass, abs=error * np.sqrt(mass * (1 - mass)))


def test_the_density_integrates_to_one_with_its_atoms(posterior):
    """Means over draws of the prior, weighed by q / p, are those over draws of q."""
    theta = ordered.JOINT.parameters(ordered.JOINT.sample(20_000, np.random.default_rng(3)))
    ratio = np.exp(posterior.log_prob(theta, X) - ordered.JOINT.log_density(theta))
    drawn = posterior.sample(X, draws=5000, seed=3)["posterior"]["spread"].values
    within = ratio * ((theta["spread"] > 0.7) & (theta["spread"] < 1.4))
    share = ((drawn > 0.7) & (drawn < 1.4)).mean()
    assert within.mean() == pytest.approx(share, abs=5 * within.std() / np.sqrt(len(ratio)) + 5 / 2 / np.sqrt(5000))
    for bound in (0.7, 1.4):  # where the network's density over that of the prior is constant, but for its error
        assert (ratio * (theta["spread"] == bound)).mean() == pytest.approx((drawn == bound).mean(), abs=0.05)
    impossible = {name: np.array([value]) for name, value in {"spread": 1.0, "low": 0.5, "high": 0.6}.items()}
    assert posterior.log_prob(impossible, X)[0] == -np.inf


def test_the_mode_is_where_draws_are_dense(posterior):
    mode = posterior.map(X)
    assert np.isfinite(ordered.JOINT.log_density({name: np.array([v]) for name, v in mode.items()})).all()
    drawn = posterior.sample(X, draws=2000, seed=1)["posterior"]
    for name in ("low", "high"):
        assert abs(mode[name] - float(drawn[name].mean())) < 2 * float(drawn[name].std())


def test_a_saved_posterior_draws_the_same(posterior, tmp_path):
    again = fp.load(fp.save(posterior, tmp_path / "bundle"), model=ordered.model())
    ours, theirs = (one.sample(X, draws=50, seed=1)["posterior"]["low"].values for one in (posterior, again))
    np.testing.assert_array_equal(ours, theirs)


def test_tables_place_atoms_in_the_tails():
    model = ordered.model()
    theta = model.prior(5000, seed=1)
    z = _latent.points(model, theta, seed=1)
    back = ordered.JOINT.parameters(z)
    for name, value in theta.items():
        np.testing.assert_allclose(back[name], value, atol=1e-9)
    spread = z[:, ordered.JOINT.names.index("spread")]
    assert np.histogram(spread, [-np.inf, -1, 0, 1, np.inf])[0] / len(z) == pytest.approx(
        [0.1587, 0.3413, 0.3413, 0.1587], abs=0.03
    )
    data = model.likelihood(theta, trials=5, seed=1)
    quick = fp.NPE(model, **SETTINGS, epoch_pairs=2048, validation=1024, batch=256)
    table = {name: value[:2000] for name, value in (theta | data).items()}
    assert quick.fit(budget=2048, seed=1, simulations=table).trials == (5, 5)
    swapped = table | {"low": table["high"], "high": table["low"]}
    with pytest.raises(DataError, match=r"2000 of 2000 rows do not \(first: row 0\)"):
        quick.fit(budget=2048, seed=1, simulations=swapped)
