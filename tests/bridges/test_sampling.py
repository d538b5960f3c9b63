"""One call for every sampler: the same posterior, a verdict, no hanging; and what goes with a sampled model."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import arviz as az
import jax
import numpy as np
import pymc as pm
import pytest

import firstpassage as fp
from firstpassage.bridges import sampling

TRUTH = {"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}
PRIORS = {"v": (0, 1.5, -3, 3), "a": (1, 0.5, 0.3, 2.5), "z": (0.5, 0.2, 0.1, 0.9), "t": (0.3, 0.3, 0, 2)}
SAMPLERS = ("nutpie", "pymc", "numpyro", "blackjax")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numba will use object mode to run TrialsRV"),
    pytest.mark.filterwarnings("ignore::firstpassage.SamplingWarning"),
]


def trials(n: int, *, seed: int = 1, **theta: object) -> np.ndarray:
    """Draw trials of the drift-diffusion model."""
    rows = {name: np.broadcast_to(value, (n,)).astype(float) for name, value in (TRUTH | theta).items()}
    return fp.ddm().exact.simulate(rows, np.random.default_rng(seed))


def ddm(likelihood: fp.Likelihood, x: np.ndarray) -> pm.Model:
    """Make the drift-diffusion model of the reference set-up."""
    with pm.Model() as model:
        theta = {n: pm.TruncatedNormal(n, m, s, lower=low, upper=up) for n, (m, s, low, up) in PRIORS.items()}
        fp.observe("obs", likelihood, **theta, observed=x)
    return model


def gaussian(kind: str = "exact") -> fp.Likelihood:
    """Make a cheap likelihood, of the kind asked for."""
    return dataclasses.replace(fp.gaussian().exact, kind=kind)


def normal_data(n: int = 40, mu: float = 0.7) -> np.ndarray:
    return np.random.default_rng(4).normal(mu, 1.0, (n, 1))


def with_mean(x: object, kind: str = "exact") -> pm.Model:
    """Make the model of which the posterior is known: normal data of sd 1, mean ~ Normal(0, 1)."""
    with pm.Model() as model:
        data = pm.Data("data", x)
        fp.observe("obs", gaussian(kind), mu=pm.Normal("mu", 0, 1), sigma=1.0, observed=data)
    return model


class TestVerdict:
    """What is said of the draws."""

    @pytest.mark.slow
    def test_names_sampler_verdict_and_edges(self) -> None:
        """Of a regression, the edge that counts is that of the parameter, not of what it is made of."""
        x = np.concatenate([normal_data(20, -2), normal_data(20, 4.9)])
        group = np.repeat([0.0, 1.0], 20)
        with pm.Model(coords={"coefficient": ["base", "group"]}):
            b = pm.Normal("b", 0, 10, dims="coefficient")
            fp.observe("obs", gaussian(), mu=b[0] + b[1] * group, sigma=1.0, observed=x)
            pm.Deterministic("constant", b[0] * 0)
            with pytest.warns(fp.SamplingWarning, match=r"nutpie: .*edge of the box.*mu"):
                draws = fp.sample(draws=300, tune=300, seed=1)
        assert draws.attrs["sampler"] == "nutpie"
        assert draws.attrs["verdict"].startswith("not converged"), "NUTS meets a wall"
        assert (draws.attrs["ok"], draws.attrs["divergences"] > 1) == (0, True)
        edge = json.loads(draws.attrs["edge"])
        assert set(edge) == {"mu"}
        values = draws["posterior"]["b"].sum("coefficient").to_numpy()
        assert edge["mu"] == pytest.approx((values > 5 - 0.1).mean(), abs=0.02)
        assert (values < 5).all(), "no draw lies outside the box"

    @pytest.mark.slow
    def test_few_draws_are_warned_of(self) -> None:
        with pytest.warns(fp.SamplingWarning, match="not converged: .*ESS .*needs 400"):
            draws = fp.sample(with_mean(normal_data()), draws=30, tune=100, chains=2, seed=1)
        assert draws.attrs["ok"] == 0

    def test_diagnostics_judge_what_pymc_returns(self) -> None:
        """Vectors, constants of the model and variables that are no parameter."""
        rng = np.random.default_rng(1)
        corr = np.broadcast_to(np.eye(2), (4, 500, 2, 2)).copy()
        corr[..., 0, 1] = corr[..., 1, 0] = rng.uniform(-1, 1, (4, 500))
        v = rng.uniform(-3, 3, (4, 500, 3)) * np.array([0.5, 0.9, 1.0])
        tree = az.from_dict({"posterior": {"v": v, "corr": corr, "slope": rng.normal(size=(4, 500))}})
        found = fp.diagnostics.convergence(tree, box={"v": (-3, 3)})
        assert found.ok
        assert found.edge == {"v": pytest.approx((np.abs(v[..., 2]) > 2.94).mean())}
        with pytest.raises(fp.ModelError, match=r"box names \['a'\].*pm\.Deterministic"):
            fp.diagnostics.convergence(tree, box={"a": (0, 1)})


class TestSettings:
    """What is refused before anything is sampled."""

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"sampler": "stan"}, r"sampler must be one of auto, nutpie.*'stan'"),
            ({"draws": 0}, "draws must be"),
            ({"cores": 0}, "cores must be"),
            ({"target_accept": 1.2}, "target_accept must lie between 0 and 1"),
            ({"seed": -1}, "seed must lie"),
        ],
    )
    def test_that_cannot_be(self, settings: dict, message: str) -> None:
        with pytest.raises(fp.ModelError, match=message):
            fp.sample(with_mean(normal_data()), **({"seed": 1} | settings))

    def test_without_a_model(self) -> None:
        with pytest.raises(fp.ModelError, match=r"needs a PyMC model.*likelihood\.sample"):
            fp.sample(seed=1)
        with pm.Model() as empty, pytest.raises(fp.ModelError, match="no free variable"):
            fp.sample(empty, seed=1)

    def test_discrete_variables_are_left_to_pymc(self) -> None:
        with pm.Model() as model:
            pm.Bernoulli("side", 0.5)
        assert sampling._choose(model, "auto") == "pymc"
        assert sampling._choose(with_mean(normal_data()), "auto") == "nutpie"
        with pytest.raises(fp.ModelError, match=r"no discrete variables; the model has side"):
            fp.sample(model, sampler="nutpie", seed=1)


def test_own_sampler_gives_its_verdict_too() -> None:
    draws = fp.gaussian().exact.sample(normal_data(), draws=50, tune=50, chains=2, seed=1)
    found = fp.diagnostics.convergence(draws, box=fp.gaussian().exact.box)
    assert (draws.attrs["verdict"], draws.attrs["ok"]) == (found.verdict, 0)
    assert set(json.loads(draws.attrs["edge"])) == {"mu", "sigma"}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_finds_the_known_posterior_and_changes_no_setting(sampler: str) -> None:
    x = normal_data(60)
    before = jax.config.jax_enable_x64, os.environ.get("XLA_FLAGS")
    draws = fp.sample(with_mean(x), sampler=sampler, draws=500, tune=500, seed=1)
    assert (jax.config.jax_enable_x64, os.environ.get("XLA_FLAGS")) == before
    mu = draws["posterior"]["mu"]
    precision = 1 + x.size
    assert abs(float(mu.mean()) - x.sum() / precision) < 4 * float(az.mcse(mu))
    assert abs(float(mu.std()) * np.sqrt(precision) - 1) < 0.15
    assert mu.dtype == np.float64
    assert draws.attrs["sampler"] == sampler
    assert draws.attrs["ok"] == 1
    assert {"posterior", "sample_stats", "observed_data"} <= set(draws.children)


@pytest.mark.slow
def test_data_updates_change_the_posterior() -> None:
    """Also when the number of trials changes; and the one sampled next follows the data set last."""
    model = with_mean(normal_data())
    for n, mean in ((40, 0.7), (40, -1.0), (90, 2.0)):
        x = normal_data(n, mean)
        pm.set_data({"data": x}, model=model)
        draws = fp.sample(model, draws=300, tune=200, chains=2, seed=1)["posterior"]["mu"]
        assert abs(float(draws.mean()) - x.sum() / (1 + n)) < 0.35 / np.sqrt(n)
        assert float(draws.std()) == pytest.approx(1 / np.sqrt(1 + n), rel=0.2)


def known_draws(x: np.ndarray, n: int = 200) -> "az.DataTree":
    """Draw from the known posterior of the mean."""
    rng, precision = np.random.default_rng(1), 1 + x.size
    mu = rng.normal(x.sum() / precision, precision**-0.5, (2, n))
    return az.from_dict({"posterior": {"mu": mu}})


@pytest.mark.parametrize("kind", ["exact", "nle"])
def test_predictions_interventions_and_comparison(kind: str) -> None:
    """Prior and posterior predictive, `do`, pointwise densities and LOO, of a density known in closed form."""
    x = normal_data(60)
    model, draws = with_mean(x, kind), known_draws(x)
    with model:
        prior = pm.sample_prior_predictive(400, random_seed=1)
        posterior = pm.sample_posterior_predictive(draws, random_seed=1, progressbar=False)
        pm.compute_log_likelihood(draws, progressbar=False)
    assert prior["prior_predictive"]["obs"].shape == (1, 400, 60, 1)
    assert float(prior["prior_predictive"]["obs"].std()) == pytest.approx(np.sqrt(2), rel=0.15)
    assert float(posterior["posterior_predictive"]["obs"].mean()) == pytest.approx(x.mean(), abs=0.1)
    with pm.do(model, {"mu": 3.0}):
        moved = pm.sample_prior_predictive(50, random_seed=1)["prior_predictive"]["obs"]
    assert float(moved.mean()) == pytest.approx(3, abs=0.1)
    mu = draws["posterior"]["mu"].to_numpy()[..., None]
    expected = -0.5 * (x[:, 0] - mu) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(draws["log_likelihood"]["obs"], expected, atol=1e-6)
    loo = az.loo(draws)
    leave_out = [(x.sum() - one) / 60 for one in x[:, 0]]  # the posterior without one trial: mean, and precision 60
    known = -0.5 * (x[:, 0] - leave_out) ** 2 / (1 + 1 / 60) - 0.5 * np.log(2 * np.pi * (1 + 1 / 60))
    assert float(loo.elpd) == pytest.approx(known.sum(), abs=0.5)


def test_ratios_are_refused_where_they_mean_nothing() -> None:
    x = normal_data()
    with with_mean(x, "nre"), pytest.raises(fp.ModelError, match=r"unknown constant.*LOO.*model\.exact"):
        pm.compute_log_likelihood(known_draws(x), progressbar=False)


SCRIPT = """
import warnings
import numpy as np, pymc as pm, firstpassage as fp
likelihood = fp.gaussian().exact
def run():
    warnings.simplefilter("ignore")
    with pm.Model():
        fp.observe("obs", likelihood, mu=pm.Normal("mu"), sigma=1.0, observed=np.linspace(0, 1, 20))
        draws = fp.sample(sampler={sampler!r}, draws=20, tune=20, chains=2, cores=2, seed=1)
    print(draws["posterior"].sizes["chain"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "guarded"), [("pymc", True), ("pymc", False), ("nutpie", True), ("nutpie", False), ("numpyro", False)]
)
def test_two_cores_end_in_a_script(tmp_path: Path, sampler: str, guarded: bool) -> None:
    """Nothing hangs: chains run, or the remedy is said."""
    script = tmp_path / "script.py"
    call = 'if __name__ == "__main__":\n    run()\n' if guarded else "run()\n"
    script.write_text(textwrap.dedent(SCRIPT.format(sampler=sampler)) + call)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    if sampler == "pymc" and not guarded:
        assert done.returncode != 0
        assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-1]
    else:
        assert done.stdout.split()[-1:] == ["2"], done.stderr


@pytest.mark.slow
def test_samplers_agree_within_their_errors() -> None:
    """All through PyMC, and likelihood.sample, on one data set."""
    import numpyro.distributions as dist

    x, likelihood = trials(200), fp.ddm().exact
    prior = {n: dist.TruncatedNormal(m, s, low=low, high=up) for n, (m, s, low, up) in PRIORS.items()}
    model = ddm(likelihood, x)
    found = {sampler: fp.sample(model, sampler=sampler, draws=500, tune=500, seed=3) for sampler in SAMPLERS}
    found["own"] = likelihood.sample(x, draws=500, tune=500, seed=3, prior=prior)
    means, errors = {}, {}
    for sampler, draws in found.items():
        posterior = draws["posterior"]
        assert max(float(az.rhat(posterior[name])) for name in TRUTH) < 1.03, sampler
        means[sampler] = np.array([float(posterior[name].mean()) for name in TRUTH])
        errors[sampler] = np.array([float(az.mcse(posterior[name])) for name in TRUTH])
    for one in found:
        for other in found:
            assert (np.abs(means[one] - means[other]) <= 4 * np.hypot(errors[one], errors[other])).all(), (one, other)


@pytest.mark.slow
def test_no_draw_leaves_the_box_whatever_the_prior() -> None:
    """100 runs, of data whose drift lies beyond the box, with priors far wider than it."""
    likelihood, rng = fp.ddm().exact, np.random.default_rng(7)
    x = trials(40)
    with pm.Model() as model:
        data = pm.Data("data", x)
        theta = {
            "v": pm.Normal("v", 0, 10), "a": pm.HalfNormal("a", 10, initval=1.0),
            "z": pm.Normal("z", 0.5, 10, initval=0.5), "t": pm.HalfNormal("t", 10, initval=0.05),
        }  # fmt: skip
        fp.observe("obs", likelihood, **theta, observed=data)
    import nutpie

    outside, drawn, at_edge = 0, 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(model, jitter_rvs=set())
        for i in range(100):
            truth = {"v": rng.uniform(1, 3), "a": rng.uniform(0.4, 2.4), "z": rng.uniform(0.2, 0.8)}
            changed = compiled.with_data(data=trials(40, seed=i, t=rng.uniform(0.1, 1.9), **truth))
            draws = nutpie.sample(
                changed, draws=40, tune=60, chains=1, cores=1, seed=i, progress_bar=False, save_warmup=False
            )
            for name, (low, high) in likelihood.box.items():
                values = draws["posterior"][name].to_numpy()
                outside += int(((values < low) | (values > high)).sum())
                drawn += values.size
                at_edge += name == "v" and bool((values > high - 0.06).any())
    assert drawn == 100 * 4 * 40
    assert outside == 0
    assert at_edge > 0, "some posteriors reach the edge, or the test shows nothing"
