"""NPE: a known posterior is found; draws stay in the box; any order of trials; the correction; settings."""

import dataclasses

import jax
import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import _deepset, _flows, _latent, _sets

SMALL = {"layers": 1, "flow_widths": (16,), "widths": (32, 32), "summaries": 8, "bins": 4}
QUICK = {"epoch_pairs": 8192, "validation": 1024, "batch": 256}


@pytest.fixture(scope="module")
def posterior():
    return fp.NPE(fp.ddm(), trials=(20, 200), **SMALL, **QUICK).fit(budget=32_768, seed=1)


@pytest.fixture(scope="module")
def data_sets():
    model = fp.ddm()
    data = model.likelihood(model.prior(4, seed=5), trials=150, seed=5)
    sizes = (150, 20, 90, 150)
    return [np.stack([data["rt"][i, :n], data["response"][i, :n]], axis=1) for i, n in enumerate(sizes)]


def _shift(spread=2.0):
    """Normal trials with unknown mean, uniform prior wide enough not to matter: the posterior is normal."""

    def simulate(theta, *, trials, rng):
        return {"x": rng.normal(theta["mu"][:, None], spread, (len(theta["mu"]), trials))}

    return fp.Model(name="shift", parameters=[fp.Parameter("mu", bounds=(-3, 3))], likelihood=simulate)


@pytest.fixture(scope="module")
def known():
    return fp.NPE(_shift(), trials=(10, 40), **SMALL, **QUICK).fit(budget=262_144, seed=2)


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_draws_stay_in_the_box_and_below_the_fastest_response(posterior, data_sets):
    tree = posterior.sample(data_sets, draws=500, seed=1)
    assert dict(tree["posterior"].sizes) == {"chain": 1, "draw": 500, "dataset": 4}
    for name, (low, high) in posterior.box.items():
        values = tree["posterior"][name].values
        assert np.all((values > low) & (values < high))
    fastest = [x[:, 0].min() for x in data_sets]
    assert np.all(tree["posterior"]["t"].values < np.array(fastest))
    assert np.isnan(tree["observed_data"]["rt"].values[1, 20:]).all()


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_draws_depend_on_the_seed_and_the_data_set_only(posterior, data_sets):
    many = posterior.sample(data_sets, draws=50, seed=3)["posterior"]["v"].values
    again = posterior.sample(data_sets[:2], draws=50, seed=3)["posterior"]["v"].values
    one = posterior.sample(data_sets[0], draws=50, seed=3)["posterior"]["v"].values
    np.testing.assert_allclose(many[..., :2], again, rtol=1e-5)
    np.testing.assert_allclose(many[..., 0], one, rtol=1e-5)
    assert not np.allclose(many, posterior.sample(data_sets, draws=50, seed=4)["posterior"]["v"].values)


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_the_order_of_trials_does_not_matter(posterior, data_sets):
    shuffled = [np.random.default_rng(1).permutation(x) for x in data_sets]
    np.testing.assert_allclose(posterior.summaries(shuffled), posterior.summaries(data_sets), atol=1e-4)


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_log_prob_is_that_of_the_draws(posterior, data_sets):
    tree = posterior.sample(data_sets[0], draws=200, seed=1)
    theta = {name: tree["posterior"][name].values[0] for name in posterior.parameter_names}
    np.testing.assert_allclose(posterior.log_prob(theta, data_sets[0]), tree["sample_stats"]["log_q"][0], atol=2e-3)
    outside = {**theta, "t": np.full(200, data_sets[0][:, 0].min() + 0.01)}
    assert np.all(posterior.log_prob(outside, data_sets[0]) == -np.inf)


def test_a_known_posterior_is_found(known):
    """T6: normal mean with known spread; mean and sd within a few percent of an sd of the truth."""
    data = [np.random.default_rng(i).normal(0.1 * i - 1, 2.0, 40) for i in range(20)]
    draws = known.sample([{"x": x} for x in data], draws=1000, seed=1)["posterior"]["mu"].values[0]
    sd = 2.0 / np.sqrt(40)
    truth = np.array([x.mean() for x in data])
    assert np.abs((draws.mean(0) - truth) / sd).mean() < 0.15
    assert 0.9 < np.median(draws.std(0) / sd) < 1.1


def test_the_density_integrates_to_one(known):
    data = {"x": np.random.default_rng(3).normal(0.5, 2.0, 30)}
    grid = np.linspace(-3, 3, 2001)
    density = np.exp(known.log_prob({"mu": grid}, data))
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)
    mode = known.map(data)["mu"]
    assert mode == pytest.approx(grid[np.argmax(density)], abs=0.02)


def test_a_uniform_prior_is_standard_normal_on_the_line():
    limits = np.array([[[-3.0, 3.0]]])
    theta = np.random.default_rng(1).uniform(-3, 3, (1, 4000, 1))
    u = _latent.to_line(theta, limits[:, None])
    assert abs(u.mean()) < 0.06 and abs(u.std() - 1) < 0.05
    np.testing.assert_allclose(_latent.from_line(u, limits[:, None]), theta, atol=1e-9)
    step = 1e-6
    slope = (_latent.to_line(theta + step, limits[:, None]) - _latent.to_line(theta - step, limits[:, None])) / 2 / step
    np.testing.assert_allclose(_latent.log_jacobian(u, limits[:, None]), np.log(slope[..., 0]), atol=1e-3)


@pytest.mark.parametrize(
    "flow", [name if name == "maf-spline" else pytest.param(name, marks=pytest.mark.slow) for name in _flows.NAMES]
)
def test_every_flow_draws_what_it_evaluates(flow):
    settings = fp.NPE(
        _shift(), trials=20, flow=flow, components=2, **SMALL, batch=256, epoch_pairs=2048, validation=512
    )
    learned = settings.fit(budget=4096, seed=1)
    data = {"x": np.random.default_rng(3).normal(0.5, 2.0, 20)}
    tree = learned.sample(data, draws=100, seed=1)
    density = learned.log_prob({"mu": tree["posterior"]["mu"].values[0]}, data)
    np.testing.assert_allclose(density, tree["sample_stats"]["log_q"].values[0], atol=2e-3)


def test_the_correction_finds_the_exact_posterior(known):
    """Normal mean, known posterior: the corrected draws have its mean and sd within Monte Carlo error."""
    exact = fp.Likelihood(
        model="shift", kind="exact", trial="trial", parameters=known.parameters, columns=known.columns,
        read=known.read, density=lambda x, theta: -0.5 * ((x[:, 0] - theta["mu"]) / 2.0) ** 2,
    )  # fmt: skip
    x = np.random.default_rng(8).normal(0.7, 2.0, 30)
    tree = dataclasses.replace(known, exact=exact).sample({"x": x}, draws=2000, seed=1, correct="exact")
    sd, draws = 2.0 / np.sqrt(30), tree["posterior"]["mu"].values
    assert tree.attrs["correct"] == "exact" and tree.attrs["pareto_k"] < 0.7 and tree.attrs["effective"] >= 2000
    assert abs(draws.mean() - x.mean()) < 0.08 * sd
    assert 0.94 < draws.std() / sd < 1.06


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_a_network_that_is_far_off_is_found_out(posterior, data_sets):
    """Draws from a network that was shown other data have hopeless weights, and the verdict says so."""
    blind = dataclasses.replace(posterior, encode=lambda x: posterior.encode(np.stack([data_sets[0][:100]] * len(x))))
    with pytest.warns(fp.SamplingWarning, match="NOT to be trusted") as told:
        tree = blind.sample(data_sets[3], draws=200, seed=1, correct="exact")
    assert any(one.filename == __file__ for one in told), "the warning points at the caller"
    assert tree.attrs["pareto_k"] > 0.7
    assert "NOT to be trusted" in tree.attrs["verdict"]


@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_numbers_of_trials_that_were_not_trained_for_are_refused(posterior):
    few = fp.ddm().likelihood({"v": [1.0], "a": [1.0], "z": [0.5], "t": [0.3]}, trials=10, seed=1)
    data = {name: value[0] for name, value in few.items()}
    with pytest.raises(fp.DataError, match="trained for 20 to 200 trials; got 10"):
        posterior.sample(data, seed=1)
    assert posterior.sample(data, draws=20, seed=1, correct="exact")["posterior"].sizes["draw"] == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * [1, 0] + [0, 1] * (x > 0), "must be \\+1"),
        (lambda x: x * [1000, 1], "seconds"),
        (lambda x: x[:, ::-1], "swapped|response must be"),
    ],
)
@pytest.mark.filterwarnings("ignore::firstpassage.DataWarning")
def test_bad_data_are_refused(posterior, data_sets, change, message):
    with pytest.raises(fp.DataError, match=message):
        posterior.sample(change(data_sets[0]), seed=1)


def test_saved_and_loaded(known, tmp_path):
    fp.save(known, tmp_path / "shift")
    loaded = fp.load(tmp_path / "shift", model=_shift())
    data = {"x": np.random.default_rng(3).normal(0.5, 2.0, 30)}
    mine, theirs = (p.sample(data, draws=20, seed=1)["posterior"]["mu"].values for p in (known, loaded))
    np.testing.assert_array_equal(mine, theirs)
    assert loaded.card["pairs"] == 262_144 and loaded.trials == (10, 40)


@pytest.fixture(scope="module")
def deep():
    """A deep set: sets of 10 to 20 trials are padded to 16 or 20."""
    settings = fp.NPE(
        _shift(), trials=(10, 20), summary="deepset", trial_widths=(16, 16), **SMALL, batch=128, epoch_pairs=2048,
        validation=256,
    )  # fmt: skip
    return settings.fit(budget=32_768, seed=3)


@pytest.mark.slow
def test_a_deep_set_finds_the_mean_of_a_normal(deep):
    """From raw trials, without being told any statistic."""
    data = [np.random.default_rng(i).normal(0.2 * i - 1, 2.0, 10 + i) for i in range(10)]
    draws = deep.sample([{"x": x} for x in data], draws=500, seed=1)["posterior"]["mu"].values[0]
    sd = 2.0 / np.sqrt([len(x) for x in data])
    assert np.abs((draws.mean(0) - [x.mean() for x in data]) / sd).mean() < 0.3


def test_a_deep_set_knows_neither_order_nor_padding_nor_company(deep):
    rng = np.random.default_rng(1)
    sets = [rng.normal(0, 2, (n, 1)) for n in (12, 20, 16, 10)]
    summaries = deep.summaries(sets)
    np.testing.assert_allclose(deep.summaries([rng.permutation(x) for x in sets]), summaries, atol=1e-5)
    np.testing.assert_allclose(deep.summaries(sets[:1]), summaries[:1], atol=1e-6)
    together = _deepset.ragged(sets, longest=20, scaling=deep.arrays["features/set"])
    narrow, wide = (
        np.asarray(
            _deepset.summaries(deep.arrays, together[:1] if n == 16 else together.padded(n)[:1], activation="silu")
        )
        for n in (16, 40)
    )
    np.testing.assert_allclose(narrow, wide, atol=1e-5)


def test_a_deep_set_is_saved_and_loaded(deep, tmp_path):
    fp.save(deep, tmp_path / "deep")
    loaded = fp.load(tmp_path / "deep", model=_shift())
    data = [{"x": np.arange(10.0)}, {"x": np.arange(20.0)}]
    mine, theirs = (p.sample(data, draws=20, seed=1)["posterior"]["mu"].values for p in (deep, loaded))
    np.testing.assert_array_equal(mine, theirs)
    assert loaded.card["settings"]["summary"] == "deepset"


@pytest.mark.slow
def test_the_deep_set_of_bayesflow_is_trained_from_its_seed_and_loaded(tmp_path):
    settings = fp.NPE(_shift(), trials=6, summary="bayesflow", **SMALL, batch=64, epoch_pairs=256, validation=64)
    learned, again = (settings.fit(budget=256, seed=1) for _ in range(2))
    assert all(np.array_equal(learned.arrays[name], again.arrays[name]) for name in learned.arrays)
    sets = [np.random.default_rng(i).normal(size=(6, 1)) for i in range(3)]
    summaries = learned.summaries(sets)
    np.testing.assert_allclose(learned.summaries([x[::-1] for x in sets]), summaries, atol=1e-4)
    fp.save(learned, tmp_path / "deep")
    np.testing.assert_array_equal(fp.load(tmp_path / "deep", model=_shift()).summaries(sets), summaries)


def test_batches_hold_sets_of_one_padded_width():
    rng = np.random.default_rng(1)
    sizes = np.repeat([_sets._size((20, 1000), rng) for _ in range(64)], 64)
    order = _deepset.alike(rng.permutation(len(sizes)), sizes, batch=128, rng=rng)
    assert sorted(order) == list(range(len(sizes)))
    widths = np.array([_deepset.width(int(n), 1000) for n in sizes[order]]).reshape(-1, 128)
    mixed = (widths != widths[:, :1]).any(axis=1)
    assert mixed.sum() <= 5 and set(np.unique(widths)) <= {32, 64, 128, 256, 512, 1000}


def test_settings_of_the_moments_are_those_of_older_bundles():
    assert not {"summary", "trial_widths"} & set(fp.NPE(fp.ddm()).settings())
    assert fp.NPE(fp.ddm(), summary="deepset").settings()["trial_widths"] == (64, 64)


class CutError(Exception):
    """Stands for a kill."""


def test_same_seed_same_weights_also_after_an_interruption(tmp_path):
    settings = fp.NPE(_shift(), trials=10, **SMALL, batch=256, epoch_pairs=1024, validation=512, passes=2)
    whole, other = (settings.fit(budget=3072, seed=s).arrays for s in (4, 5))

    def cut(record):
        if record["epoch"] == 3:
            raise CutError

    with pytest.raises(CutError):
        settings.fit(budget=3072, seed=4, into=tmp_path / "run", progress=cut)
    resumed = settings.fit(budget=3072, seed=4, into=tmp_path / "run").arrays
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert not np.array_equal(whole["summary/0/kernel"], other["summary/0/kernel"])
    again = settings.fit(budget=3072, seed=4, into=tmp_path / "run", progress=lambda r: pytest.fail("trained again"))
    assert again.kind == "npe"


def test_training_from_a_table(tmp_path):
    model = _shift()
    theta = model.prior(600, seed=1)
    table = {**theta, **model.likelihood(theta, trials=15, seed=1)}
    settings = fp.NPE(model, trials=15, **SMALL, batch=64, epoch_pairs=256, validation=64)
    assert settings.fit(budget=512, seed=1, simulations=table).card["pairs"] == 512
    with pytest.raises(fp.ModelError, match="simulations must map"):
        settings.fit(budget=512, seed=1, simulations=theta)


def test_sets_have_all_sizes_of_the_range():
    rng = np.random.default_rng(1)
    sizes = np.array([_sets._size((20, 1000), rng) for _ in range(4000)])
    assert sizes.min() >= 20 and sizes.max() <= 1000
    assert np.mean(sizes < np.sqrt(20 * 1000)) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "trials must be a positive"),
        ({"trials": (100, 20)}, "smaller to the larger"),
        ({"trials": (1, 2, 3)}, "two ends"),
        ({"flow": "glow"}, "flow must be one of"),
        ({"layers": 0}, "layers must be"),
        ({"passes": 1.5}, "passes must be"),
        ({"widths": (0,)}, "widths must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"summary": "transformer"}, "summary must be one of"),
        ({"summary": "bayesflow"}, "takes one number of trials"),
        ({"trial_widths": (0,)}, "trial_widths must be"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(fp.ModelError, match=message):
        fp.NPE(fp.ddm(), **change)


def test_bad_requests_are_refused(known):
    data = {"x": np.zeros(20) + np.arange(20)}
    for change, message in (
        ({"draws": 0}, "draws must be"),
        ({"seed": -1}, "seed must"),
        ({"correct": "almost"}, "correct must be"),
        ({"correct": "exact"}, "no exact likelihood"),
    ):
        with pytest.raises(fp.ModelError, match=message):
            known.sample(data, **({"seed": 1} | change))
    with pytest.raises(fp.ModelError, match="theta must map"):
        known.log_prob({"sigma": [1.0]}, data)


def test_a_prior_that_can_only_be_sampled_will_do():
    def simulate(theta, *, trials, rng):
        return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}

    def prior(n, *, rng):
        return {"mu": rng.triangular(-1, 0, 1, n)}

    model = fp.Model(name="odd", parameters=[fp.Parameter("mu", bounds=(-1, 1))], likelihood=simulate, prior=prior)
    learned = fp.NPE(model, trials=5, **SMALL, batch=64, epoch_pairs=256, validation=64).fit(budget=256, seed=1)
    assert np.isfinite(learned.sample({"x": np.arange(5.0)}, draws=5, seed=1)["posterior"]["mu"].values).all()


def test_using_a_posterior_leaves_x64_off(known):
    known.sample({"x": np.arange(20.0)}, draws=5, seed=1)
    assert not jax.config.jax_enable_x64
