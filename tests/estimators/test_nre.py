"""NRE-C: the same numbers as BayesFlow's estimator, exact symmetries, determinism, resumption, settings."""

import dataclasses

import jax
import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import _run, _stream, _training
from firstpassage.estimators.nre import NRE


@pytest.fixture(scope="module")
def pairs():
    model = fp.ddm()
    theta = model.prior(400, seed=8)
    data = model.likelihood(theta, trials=1, seed=8)
    return theta, np.concatenate([data["rt"], data["response"]], axis=1)


def _values(likelihood, theta, x):
    with jax.enable_x64():
        return np.asarray(jax.jit(likelihood.function)(x, theta))


@pytest.mark.parametrize("network", ["mlp", "resnet"])
def test_our_numbers_are_those_of_bayesflow(network, pairs):
    """T1: the likelihood in plain JAX against RatioEstimator.log_ratio, trained a little, through the adapter."""
    theta, x = pairs
    settings = NRE(fp.ddm(), network=network, widths=(12, 16, 16), evidence_widths=(8,), validation=1024)
    order = _run.Order(kind="nre", budget=8192, seed=3, simulations=None, into=None, progress=None)
    plan = _run.plan(settings, budget=8192, seed=3)
    estimator, history = _run.trained(settings, plan, order)
    ours = _values(_run.assembled(settings, estimator, plan=plan, kind="nre", history=history), theta, x)
    theirs = estimator.log_ratio({**{k: v[:, None] for k, v in theta.items()}, "x": x})
    assert np.isfinite(ours).all()
    assert np.all(np.abs(ours - np.asarray(theirs)) <= 1e-4 + 1e-6 * np.abs(ours))


def test_training_learns(learned, pairs):
    """A few seconds of training already tell true from shuffled parameters about as the exact ratio does."""
    theta, x = pairs
    exact = fp.ddm().exact
    shuffled = {k: np.roll(v, 1) for k, v in theta.items()}
    possible = np.isfinite(_values(exact, shuffled, x))
    gain = (_values(learned, theta, x) - _values(learned, shuffled, x))[possible]
    truth = (_values(exact, theta, x) - _values(exact, shuffled, x))[possible]
    assert np.corrcoef(np.clip(gain, -6, 6), np.clip(truth, -6, 6))[0, 1] > 0.9


def test_swapping_the_boundaries_changes_nothing(learned, pairs):
    theta, x = pairs
    mirrored = {**theta, "v": -theta["v"], "z": 1 - theta["z"]}
    np.testing.assert_allclose(
        _values(learned, theta, x), _values(learned, mirrored, x * [1, -1]), atol=2e-4, rtol=1e-5
    )


def test_time_scales_with_the_separation_up_to_the_evidence(learned):
    """Twice the size, half the drift and four times the time: only the Jacobian, which is the same for all theta."""
    small = {"v": np.array([1.0, -0.5]), "a": np.array([0.8, 0.6]), "z": np.array([0.4, 0.6]), "t": np.zeros(2)}
    large = {"v": small["v"] / 2, "a": small["a"] * 2, "z": small["z"], "t": np.zeros(2)}
    x = np.array([[0.5, 1.0], [0.5, 1.0]])
    difference = _values(learned, small, x) - _values(learned, large, x * [4, 1])
    np.testing.assert_allclose(difference[0], difference[1], atol=2e-4)


def test_below_t_is_impossible(learned):
    assert learned.log_prob([[0.3, 1.0], [0.5, -1.0]], v=1.0, a=1.0, z=0.5, t=0.4).tolist()[0] == -np.inf


def test_gradient_is_that_of_finite_differences(learned, pairs):
    """T2, on a float64 copy of the network."""
    theta, x = pairs
    double = dataclasses.replace(learned, precision="float64")
    inside = x[:, 0] > theta["t"] + 0.01
    rows, x = {k: np.clip(v, *np.array(learned.box[k]) + [1e-3, -1e-3])[inside] for k, v in theta.items()}, x[inside]
    step = 1e-5
    with jax.enable_x64():
        slopes = jax.grad(lambda row: double.function(x, row).sum())(rows)
        for name in learned.parameter_names:
            up, down = ({**rows, name: rows[name] + s} for s in (step, -step))
            difference = (_values(double, up, x) - _values(double, down, x)) / (2 * step)
            slope = np.asarray(slopes[name])
            assert np.isfinite(slope).all()
            np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-5)


def test_same_seed_same_weights_and_other_seed_others():
    settings = NRE(fp.ddm(), widths=(4,), evidence_widths=(4,), validation=1024)
    one, two, other = (settings.fit(budget=4096, seed=s).arrays for s in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["pair/0/kernel"], other["pair/0/kernel"])


class CutError(Exception):
    """Stands for a kill."""


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path):
    settings = NRE(fp.ddm(), widths=(8,), evidence_widths=(4,), epoch_pairs=4096, validation=1024)
    whole = settings.fit(budget=5 * 4096, seed=4)

    def cut(record):
        if record["epoch"] in (2, 4):
            raise CutError

    for _ in range(2):
        with pytest.raises(CutError):
            settings.fit(budget=5 * 4096, seed=4, into=tmp_path / "run", progress=cut)
    seen = []
    resumed = settings.fit(budget=5 * 4096, seed=4, into=tmp_path / "run", progress=lambda r: seen.append(r["epoch"]))
    assert seen == [5]
    assert all(np.array_equal(whole.arrays[name], resumed.arrays[name]) for name in whole.arrays)
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


def test_a_finished_run_is_loaded_and_another_is_not_overwritten(settings, folder):
    history = (folder / "history.csv").read_text()
    again = settings.fit(budget=524_288, seed=1, into=folder, progress=lambda r: pytest.fail("trained again"))
    assert again.kind == "nre" and (folder / "history.csv").read_text() == history
    with pytest.raises(fp.ArtefactError, match="other seed"):
        settings.fit(budget=524_288, seed=2, into=folder)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    settings = NRE(fp.ddm(), widths=(4,), evidence_widths=(4,), epoch_pairs=2048, validation=1024)

    def cut(record):
        raise CutError

    with pytest.raises(CutError):
        settings.fit(budget=8192, seed=1, into=tmp_path, progress=cut)
    for change in ({"seed": 2}, {"budget": 16_384}):
        with pytest.raises(fp.ArtefactError, match="another run"):
            settings.fit(**{"budget": 8192, "seed": 1, "into": tmp_path} | change)
    (tmp_path / "checkpoint.npz").write_bytes((tmp_path / "checkpoint.npz").read_bytes()[:1000])
    with pytest.raises(fp.ArtefactError, match="cannot be read"):
        settings.fit(budget=8192, seed=1, into=tmp_path)


def test_training_stops_when_validation_no_longer_improves():
    history = [{"validation_loss": loss} for loss in (3.0, 2.0, 2.5, 2.4)]
    assert not _training._stale(history, 3)
    assert _training._stale(history, 2)
    assert not _training._stale(history, None)


def test_training_from_a_table_keeps_validation_apart(pairs):
    theta, x = pairs
    table = _stream.table(fp.ddm(), {**theta, "rt": x[:, 0], "response": x[:, 1]}, seed=1)
    train = {float(v) for v in table.draw(360, purpose="epoch 0")[1][:, 0]}
    held_out = {float(v) for v in table.draw(40, purpose="validation")[1][:, 0]}
    assert len(train) == 360 and len(held_out) == 40 and not train & held_out
    settings = NRE(fp.ddm(), widths=(4,), evidence_widths=(4,), batch=64, epoch_pairs=256, validation=64)
    learned = settings.fit(budget=512, seed=1, simulations={**theta, "rt": x[:, 0], "response": x[:, 1]})
    assert learned.card["pairs"] == 512


def test_a_model_of_ones_own_is_learned_and_saved(tmp_path):
    """Normal with unknown mean: the ratio must rise towards the data, and differ from the truth by a constant."""

    def simulate(theta, *, trials, rng):
        return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}

    model = fp.Model(name="shift", parameters=[fp.Parameter("mu", bounds=(-3, 3))], likelihood=simulate)
    settings = NRE(model, widths=(32, 32), epoch_pairs=65_536, validation=4096)
    learned = settings.fit(budget=524_288, seed=1)
    fp.save(learned, tmp_path / "shift")
    learned = fp.load(tmp_path / "shift", model=model)
    grid = np.linspace(-2, 2, 41)
    ratio = np.array([learned.log_prob([0.5], mu=m)[0] for m in grid])
    truth = -((0.5 - grid) ** 2) / 2
    assert np.std(ratio - truth) < 0.1
    with pytest.raises(fp.ArtefactError, match="your own model"):
        fp.load(tmp_path / "shift")
    with pytest.raises(fp.DataError, match="finite"):
        learned.log_prob([np.nan], mu=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": 0}, "candidates must be a positive integer"),
        ({"candidates": 1024}, "fewer than batch"),
        ({"candidates": 1.5}, "candidates must be"),
        ({"batch": "1e3"}, "batch must be"),
        ({"gamma": 0.0}, "gamma must be positive"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"average": 1.0}, "average in"),
        ({"network": "transformer"}, "network must be one of"),
        ({"widths": (0,)}, "widths must be"),
        ({"patience": 0}, "patience must be"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(fp.ModelError, match=message):
        NRE(fp.ddm(), **change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0, "seed": 1}, "budget must be a positive integer"),
        ({"budget": -5, "seed": 1}, "budget must be"),
        ({"budget": 1.5, "seed": 1}, "budget must be"),
        ({"budget": "1e5", "seed": 1}, "budget must be"),
        ({"budget": 10, "seed": 1}, "at least one batch"),
        ({"budget": 10_000, "seed": None}, "seed must be"),
        ({"budget": 10_000, "seed": 2**64}, "seed must"),
        ({"budget": 10_000, "seed": 1, "simulations": {"v": [1.0]}}, "simulations must map"),
    ],
)
def test_bad_budgets_are_refused_before_training(arguments, message):
    with pytest.raises(fp.ModelError, match=message):
        NRE(fp.ddm()).fit(**arguments)


def test_an_untrained_object_has_nothing_to_sample_with():
    with pytest.raises(AttributeError):
        NRE(fp.ddm()).sample  # noqa: B018
    with pytest.raises(fp.ModelError, match="takes a Model"):
        NRE("ddm")
