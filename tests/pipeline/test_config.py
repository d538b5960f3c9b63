"""Settings come from arguments, environment, file and defaults in this order; what cannot be is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import firstpassage as fp
from firstpassage.cli import app
from firstpassage.pipeline import RunConfig, TrainSettings, model, prepare, simulate, simulations

OWN = """
import firstpassage as fp

def draw(theta, *, trials, rng):
    return {"x": rng.normal(theta["mu"][:, None], 1.0, (len(theta["mu"]), trials))}

def shift(bounds=None, scale=1.0):
    box = (bounds or {}).get("mu", (-3 * scale, 3 * scale))
    return fp.Model(name="shift", parameters=[fp.Parameter("mu", bounds=box)], likelihood=draw)

model = shift()
number = 3
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def write(folder, text):
    path = folder / "run.yml"
    path.write_text(text)
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_arguments_go_before_environment_before_file_before_defaults(tmp_path, monkeypatch):
    path = write(tmp_path, "budget: 1000\nseed: 2\nsampler: {draws: 10, tune: 20, chains: 3}\n")
    monkeypatch.setenv("FIRSTPASSAGE_SEED", "3")
    monkeypatch.setenv("FIRSTPASSAGE_SAMPLER__TUNE", "30")
    monkeypatch.setenv("FIRSTPASSAGE_SAMPLER__DRAWS", "30")
    monkeypatch.setenv("FIRSTPASSAGE_NETWORK__WIDTHS", "[7, 8]")
    found = RunConfig(file=path, sampler={"draws": 40})
    assert (found.sampler.draws, found.sampler.tune, found.sampler.chains) == (40, 30, 3)
    assert (found.seed, found.budget, found.method, found.network.widths) == (3, 1000, "nre", (7, 8))


def test_a_budget_may_be_written_with_an_exponent(tmp_path):
    assert RunConfig(file=write(tmp_path, "budget: 1e6\n")).budget == 1_000_000


WRONG = {
    "unknown key": ("budgte: 3", "there is no setting budgte.* Did you mean budget?"),
    "unknown key in a section": ("sampler: {drws: 3}", "no setting sampler.drws.* Did you mean draws?"),
    "setting of another method": ("network: {flow: mdn}", "no setting network.flow.* there are unit, candidates"),
    "wrong type": ("budget: many", "budget must be a valid integer; got 'many'"),
    "section that is a number": ("sampler: 3", "sampler must be .*; got 3"),
    "below the range": ("budget: 0", "budget must be greater than or equal to 1; got 0"),
    "above the range": ("optimiser: {decay: [1.5, 10]}", "optimiser.decay.0 must be less than or equal to 1; got 1.5"),
    "bounds reversed": ("model: {bounds: {v: [3, -3]}}", r"v must be .* lower < upper; got \[3, -3\]. Exchange them"),
    "no such method": ("method: abc", "method must be 'npe', 'nle' or 'nre'; got 'abc'"),
    "no YAML": ("budget: [", "must be YAML; got .* line"),
    "the same key twice": ("budget: 1\nbudget: 2", "the key budget twice in line 2"),
    "no mapping": ("- budget", "must hold settings"),
    "file and truth": ("observed: {data: x.csv, trials: 3}", "observed must be a file, or trials and truth"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_one_line_and_exit_code_2(name, tmp_path):
    text, words = WRONG[name]
    path = write(tmp_path, text + "\n")
    with pytest.raises(fp.ModelError, match=words):
        RunConfig(file=path)
    done = call("run", path, "--into", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_variables_that_mean_nothing_and_files_that_are_missing_are_refused(tmp_path, monkeypatch):
    assert "there is no configuration" in call("run", tmp_path / "none.yml").stderr
    monkeypatch.setenv("FIRSTPASSAGE_BUDGTE", "3")
    with pytest.raises(fp.ModelError, match="FIRSTPASSAGE_BUDGTE must name a setting.* Did you mean budget"):
        RunConfig()


@pytest.mark.parametrize("name, method", [("ddm", "npe"), ("foraging", "nle"), ("lif", "nre"), ("poisson", "nre")])
def test_the_printed_configuration_is_accepted_unchanged(name, method, tmp_path):
    done = call("config", name, "--method", method)
    assert done.exit_code == 0
    read = RunConfig(file=write(tmp_path, done.stdout))
    usual, again = prepare(RunConfig(model={"name": name}, method=method)), prepare(read)
    assert read == again.config == usual.config, "nothing is left open"
    assert again.name == usual.name
    assert repr(again.model) == repr(usual.model)
    keys = [line.split(":")[0].strip() for line in done.stdout.splitlines() if line.startswith("  ") and ":" in line]
    assert {"learning_rate", "decay", "widths", "draws", "sbc", "bounds"} <= set(keys)
    assert "Number from 0 below 1." in done.stdout and "Integer from 4 to 1000000." in done.stdout


def test_the_name_says_the_main_settings_and_its_hash_the_others():
    known = {"model": {"name": "ddm"}, "budget": 1_000_000}
    usual = prepare(RunConfig(**known))
    assert usual.name.rpartition("-")[0] == "nre_ddm_1M_lr0.002_b1024_s1"
    assert prepare(RunConfig(**known, output="elsewhere")).name == usual.name
    assert prepare(RunConfig(**known, network={"widths": [32, 32, 32]})).name == usual.name, "the usual ones"
    other = prepare(RunConfig(**known, network={"widths": [32, 32, 33]})).name
    assert other != usual.name and other.rpartition("-")[0] == usual.name.rpartition("-")[0]
    half = prepare(RunConfig(model={"name": "ddm"}, budget=1_234_567, seed=7))
    assert half.name.startswith("nre_ddm_1234567_lr0.002_b1024_s7-")


def test_settings_that_do_not_go_together_are_refused_before_training(own):
    name = f"{own}:model"
    for wrong, words in (
        ({"budget": 1000}, "budget must be at least one batch, 1024; got 1000"),
        ({"model": {"name": name, "bounds": {"mu": [0, 1]}}}, "is a Model, which has its bounds and settings"),
        ({"model": {"bounds": {"w": [0, 1]}}}, "w"),
        ({"observed": {"truth": {"v": 1}}}, "observed.truth cannot be used"),
        ({"model": {"name": "foraging"}, "simulations": "any.npz"}, "fresh simulations only"),
    ):
        with pytest.raises(fp.ModelError, match=words):
            prepare(RunConfig(**wrong))


def test_a_model_of_ones_own_is_taken_from_its_file(own):
    assert model(f"{own}:model").parameters[0].bounds == (-3.0, 3.0)
    assert model(f"{own}:shift", settings={"scale": 2.0}).parameters[0].bounds == (-6.0, 6.0)
    assert model(f"{own}:shift", bounds={"mu": (0.0, 1.0)}).parameters[0].bounds == (0.0, 1.0)
    assert TrainSettings(model=f"{own}:model", budget=2000).estimator().model.name == "shift"
    before = prepare(RunConfig(model={"name": f"{own}:model"})).name
    own.write_text(OWN.replace("1.0, (len", "2.0, (len"))
    assert prepare(RunConfig(model={"name": f"{own}:model"})).name != before, "another simulator is another run"
    moved = own.parent / "elsewhere" / own.name
    moved.parent.mkdir()
    moved.write_text(OWN)
    assert prepare(RunConfig(model={"name": f"{moved}:model"})).name == before, "the same file, wherever it lies"


@pytest.mark.parametrize(
    "name, words",
    [("none.py:model", "there is no file none.py"), ("{own}", "must be FILE.py:NAME"),
     ("{own}:moons", "must define moons; its models are model"), ("{own}:number", "function that returns one; got int"),
     ("moons", "there is no model 'moons'.* One of your own is FILE.py:NAME")],
)  # fmt: skip
def test_paths_to_no_model_are_refused(name, words, own):
    with pytest.raises(fp.ModelError, match=words):
        model(name.format(own=own))
    done = call("config", "--model", name.format(own=own))
    assert done.exit_code == 2 and done.stderr.count("\n") == 1


def test_a_file_that_fails_is_refused_with_the_line(own):
    own.write_text(OWN + "1 / 0\n")
    with pytest.raises(fp.ModelError, match=r"own.py, line 13 cannot be run: ZeroDivisionError"):
        model(f"{own}:model")


def test_simulations_are_written_extended_and_read(tmp_path):
    path = tmp_path / "deep" / "table.npz"
    assert call("simulate", "gaussian", "--n", 30, "--trials", 4, "--seed", 3, "--into", path).exit_code == 0
    first = simulations(path)
    assert {name: value.shape for name, value in first.items()} == {"mu": (30,), "sigma": (30,), "x": (30, 4)}
    done = call("simulate", "gaussian", "--n", 10, "--trials", 4, "--seed", 3, "--into", path, "--append", "--json")
    assert done.exit_code == 0 and '"rows": 40' in done.stdout
    whole = simulations(path)
    assert len(np.unique(whole["mu"])) == 40, "the same seed gives other rows"
    np.testing.assert_array_equal(whole["x"][:30], first["x"])
    made = fp.gaussian().likelihood({"mu": first["mu"], "sigma": first["sigma"]}, trials=4, seed=1)["x"]
    assert abs(np.mean((first["x"] - first["mu"][:, None]) / first["sigma"][:, None])) < 5 / np.sqrt(made.size)


def test_a_table_with_one_trial_a_row_can_be_parquet(tmp_path):
    path = simulate(fp.gaussian(), n=25, seed=1, into=tmp_path / "table.parquet")
    simulate(fp.gaussian(), n=5, seed=1, into=path, append=True)
    assert {name: value.shape for name, value in simulations(path).items()} == dict.fromkeys(
        ("mu", "sigma", "x"), (30,)
    )
    narrow = fp.gaussian(bounds={"mu": (-1, 1)})
    with pytest.raises(fp.DataError, match="simulated with other bounds"):
        simulations(path, model=narrow)
    config = RunConfig(model={"name": "gaussian"}, simulations=str(path))
    assert len(prepare(config).simulations["x"]) == 30
    assert prepare(config).name != prepare(RunConfig(model={"name": "gaussian"})).name


def test_files_of_simulations_that_cannot_be_written_are_refused_and_kept(tmp_path):
    path = simulate(fp.gaussian(), n=25, seed=1, into=tmp_path / "table.npz")
    before = path.read_bytes()
    for arguments, words in (
        ((path,), "exists. Choose another path, or append"),
        ((path, "--append", "--trials", 2), "with other trials"),
        ((tmp_path / "t.csv",), r"must go into a .npz or .parquet file"),
        ((tmp_path / "t.parquet", "--trials", 2), "one trial a row"),
    ):
        done = call("simulate", "gaussian", "--n", 5, "--into", *arguments)
        assert done.exit_code == 2 and words in done.stderr
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["table.npz"]


def test_a_training_from_a_table_is_that_of_its_content(tmp_path):
    path = simulate(fp.gaussian(), n=25, seed=1, into=tmp_path / "table.npz")
    known = {"model": "gaussian", "budget": 1000}
    settings = TrainSettings(**known, simulations=str(path))
    assert settings.options == f"gaussian --method nre --budget 1000 --seed 1 --simulations {path}"
    before = settings.identity()
    simulate(fp.gaussian(), n=5, seed=1, into=path, append=True)
    assert settings.identity()["sha256"] != before["sha256"]
    assert not {"simulations", "sha256"} & set(TrainSettings(**known).identity())
