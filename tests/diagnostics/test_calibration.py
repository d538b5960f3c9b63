"""Calibration diagnostics pass the exact sampler of a conjugate model, and each breakage fails where it should."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import firstpassage as fp
from diagnostics import calibration as pair
from firstpassage.diagnostics import _coverage, _ranks, _sbc, coverage, recovery, sbc, simulated, tarp
from firstpassage.diagnostics._json import as_json

DIAGNOSTICS = (recovery, sbc, coverage, tarp)


@pytest.fixture(scope="module")
def exact():
    return simulated(pair.Conjugate(), pair.MODEL, datasets=500, trials=(5, 20), draws=99, seed=1)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_the_exact_sampler_passes(exact, diagnostic):
    found = diagnostic(exact)
    assert found.ok, found.verdict
    assert json.loads(as_json(found.numbers()))["ok"] is True
    assert "500 data sets of 5 to 20 trials, 99 draws each" in found.verdict


def test_narrow_posteriors_fail_in_sbc_and_are_overconfident(exact):
    broken = pair.scaled(exact, 0.8)
    assert {"p", "q", "log likelihood"} <= set(sbc(broken).failed)
    assert "too narrow" in sbc(broken).verdict
    assert coverage(broken).direction == {"p": "overconfident", "q": "overconfident"}
    assert recovery(broken).ok is False
    assert "NOT" in coverage(broken).verdict


def test_wide_posteriors_fail_in_sbc_and_are_conservative(exact):
    broken = pair.scaled(exact, 1.25)
    assert {"p", "q", "log likelihood"} <= set(sbc(broken).failed)
    assert "too wide" in sbc(broken).verdict
    assert coverage(broken).direction == {"p": "conservative", "q": "conservative"}


def test_the_prior_passes_by_parameter_and_fails_by_log_likelihood_and_by_balls(exact):
    broken = pair.ignorant(exact, seed=3)
    found = sbc(broken)
    assert found.failed[0] == "log likelihood"
    assert not {"p", "q"} & set(found.failed)
    assert coverage(broken).ok
    assert tarp(broken).ok is False
    assert recovery(broken).unidentified == ("p", "q")
    assert "say little about p, q" in recovery(broken).verdict


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_swapped_parameters_fail_everywhere(exact, diagnostic):
    assert diagnostic(pair.swapped(exact, "p", "q")).ok is False


def test_a_shift_fails_in_its_own_parameter(exact):
    shift = 0.3 * float(exact.draws["p"].std(axis=1).mean())
    broken = pair.shifted(exact, "p", shift)
    found = sbc(broken)
    assert "p" in found.failed and "q" not in found.failed
    assert "p p " in found.verdict and "too high" in found.verdict
    far = pair.shifted(exact, "p", 4 * shift)
    assert coverage(far).failed == ("p",) and recovery(far).failed == ("p",)
    assert tarp(far).ok is False


def test_without_a_likelihood_the_verdict_says_so(exact):
    model = fp.Model(name="pair", parameters=pair.PARAMETERS, likelihood=pair.simulate)
    found = sbc(replace(exact, model=model))
    assert "log likelihood" not in found.ranks
    assert "log likelihood is not known" in found.verdict
    assert "log likelihood" in sbc(replace(exact, model=model, likelihood=pair.EXACT)).ranks


def test_log_likelihood_is_that_of_the_likelihood_with_padding(exact):
    few = replace(exact, data=exact.data[:3], **{k: _first(getattr(exact, k)) for k in ("truth", "draws")})
    ((truth, drawn),) = _sbc._log_likelihood(few).values()
    for i, data in enumerate(few.data):
        theta = {name: few.draws[name][i, 7] for name in "pq"}
        assert drawn[i, 7] == pytest.approx(pair.EXACT.log_prob(data, **theta).sum(), abs=1e-9)
        theta = {name: few.truth[name][i] for name in "pq"}
        assert truth[i] == pytest.approx(pair.EXACT.log_prob(data, **theta).sum(), abs=1e-9)


def _first(values):
    return {name: x[:3] for name, x in values.items()}


def test_positive_posterior_z_scores_are_standard_with_few_draws():
    """The correction for the finite number of draws: without it, the sd of z would be 1.17 with nine."""
    found = recovery(pair.Conjugate(), pair.MODEL, datasets=4000, trials=5, draws=9, seed=2)
    for parameter in found.parameters.values():
        assert abs(parameter.z_sd - 1) < 4 * parameter.z_sd_se
        assert 0.008 < parameter.z_sd_se < 0.04


def test_recovery_is_that_of_the_posterior(exact):
    """With a known posterior variance the error of the mean, the correlation and the contraction are known too."""
    exact = simulated(pair.Conjugate(), pair.MODEL, datasets=2000, trials=10, draws=99, seed=4)
    found = recovery(exact).parameters["p"]
    variance = 1 / (10 / 4 + 1)
    assert found.rmse == pytest.approx(np.sqrt(variance * (1 + 1 / 99)), rel=0.06)
    assert found.contraction == pytest.approx(1 - variance, abs=0.02)
    assert found.correlation == pytest.approx(np.sqrt(1 - variance), abs=0.02)


def test_a_nuts_likelihood_is_a_sampler_too():
    class Chains:
        """Two chains that do not agree, for the statistics."""

        kind, parameters = "npe", pair.PARAMETERS

        def sample(self, data, *, draws, seed):
            one, two = (pair.Conjugate().sample(data, draws=draws, seed=seed + i) for i in range(2))
            import xarray as xr

            both = xr.concat([one["posterior"].dataset, two["posterior"].dataset + 9], dim="chain")
            return xr.DataTree.from_dict({"posterior": both})

    found = simulated(Chains(), pair.MODEL, datasets=4, trials=5, draws=99, seed=1)
    assert found.draws["p"].shape == (4, 99)
    assert (found.r_hat > 1.5).all() and (found.ess < 20).all() and found.short == 4
    assert "4 data sets have an ESS below 99" in sbc(found).verdict


def test_few_data_sets_get_numbers_and_no_verdict(exact):
    few = simulated(pair.Conjugate(), pair.MODEL, datasets=10, trials=5, draws=19, seed=1)
    for diagnostic in DIAGNOSTICS:
        found = diagnostic(few)
        assert found.ok is None and "too few" in found.verdict
        as_json(found.numbers())


def test_seeded():
    a, b, c = (simulated(pair.Conjugate(), pair.MODEL, datasets=30, trials=(5, 9), draws=19, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.draws["p"], b.draws["p"]) and not np.array_equal(a.draws["p"], c.draws["p"])
    assert sbc(a).numbers()["quantities"] == sbc(b).numbers()["quantities"]
    assert tarp(a).distance == tarp(b).distance


def test_sizes_are_log_uniform():
    sizes = simulated(pair.Conjugate(), pair.MODEL, datasets=2000, trials=(10, 1000), draws=1, seed=1).trials
    assert sizes.min() < 12 and sizes.max() > 950
    assert abs(np.median(sizes) - 100) < 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"datasets": 0}, "datasets must be"),
        ({"draws": 1.5}, "draws must be"),
        ({"trials": (20, 10)}, "fewest, most"),
        ({"trials": 0}, "trials must be"),
        ({"prior": {"p": pair.Normal(0, 1)}}, "the prior it was trained with"),
        ({"prior": {"r": pair.Normal(0, 1)}}, "prior names"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(fp.ModelError, match=message):
        simulated(pair.Conjugate(), pair.MODEL, **({"seed": 1} | settings))


def test_wrong_calls_are_refused(exact):
    with pytest.raises(fp.ModelError, match="seed"):
        sbc(pair.Conjugate(), pair.MODEL)
    with pytest.raises(fp.ModelError, match="its own model"):
        sbc(exact, pair.MODEL)
    with pytest.raises(fp.ModelError, match="the box"):
        simulated(pair.Conjugate(), fp.ddm(), seed=1)
    with pytest.raises(fp.ModelError, match="alpha"):
        sbc(exact, alpha=0.0)


def test_one_choice_data_sets_are_not_warned_about():
    import arviz_base

    class Reader:
        kind, parameters = "npe", fp.ddm().parameters

        def sample(self, data, *, draws, seed):
            for one in data:
                fp.ddm().exact.read(one)
            posterior = {p.name: np.full((1, draws, len(data)), np.mean(p.bounds)) for p in self.parameters}
            return arviz_base.from_dict({"posterior": posterior}, dims=dict.fromkeys(posterior, ["dataset"]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = simulated(Reader(), fp.ddm(), datasets=40, trials=3, draws=9, seed=1)
        assert not coverage(found).ok
        assert found.data[0].shape == (3, 2)


@pytest.mark.parametrize(("n", "draws"), [(20, 9), (100, 99), (300, 19)])
def test_probabilities_of_the_band_and_the_distance_are_exact(n, draws):
    """Against 4,000 simulated sets of uniform ranks, in the tail that decides and in the middle."""
    rng = np.random.default_rng(1)
    sets = [rng.integers(0, draws + 1, n) for _ in range(4000)]
    gammas = np.array([_ranks.gamma(ranked, draws=draws) for ranked in sets])
    off = np.array([np.abs(_ranks.counts(r, draws=draws) / n - _ranks.grid(draws)).max() for r in sets])
    for share in (0.05, 0.5):
        gamma, distance = np.quantile(gammas, share), np.quantile(off, 1 - share)
        for statistic, cut, p in (
            (-gammas, -gamma, _ranks.gamma_p(gamma, n=n, draws=draws)),
            (off, distance, _ranks.distance_p(distance, n=n, draws=draws)),
        ):
            assert abs((statistic >= cut - 1e-12).mean() - p) < 4 * np.sqrt(p * (1 - p) / len(sets))


def test_the_band_is_the_gamma_test():
    rng = np.random.default_rng(2)
    n, draws = 100, 49
    low, high = _ranks.band(n=n, draws=draws, alpha=0.2)
    for _ in range(200):
        ranked = rng.integers(0, draws + 1, n)
        share = _ranks.counts(ranked, draws=draws) / n
        outside = bool(((share < low - 1e-12) | (share > high + 1e-12)).any())
        assert outside == (_ranks.gamma_p(_ranks.gamma(ranked, draws=draws), n=n, draws=draws) <= 0.2)


def test_gamma_is_that_of_bayesflow():
    from bayesflow.diagnostics.metrics.calibration_log_gamma import gamma_discrepancy

    rng = np.random.default_rng(3)
    for _ in range(5):
        ranked = rng.integers(0, 20, 60)
        theirs = gamma_discrepancy(ranked, num_post_draws=19)
        assert _ranks.gamma(ranked, draws=19) == pytest.approx(theirs, rel=1e-9)


def test_sbc_raises_false_alarms_as_often_as_alpha_says(exact):
    """200 verdicts on uniform ranks of five quantities: at most alpha, and not far below it."""
    rng = np.random.default_rng(4)
    few = replace(exact.design, datasets=100)
    judged = [_sbc.judge(_uniform(rng), design=few, alpha=0.05) for _ in range(200)]
    assert 2 <= sum(not found.ok for found in judged) <= 20
    chi_square = np.array([found.chi_square_p["a"] for found in judged])
    assert abs((chi_square < 0.5).mean() - 0.5) < 4 * np.sqrt(0.25 / 200)
    assert abs((chi_square < 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 200)


def _uniform(rng):
    return {name: rng.integers(0, 100, 100) for name in "abcde"}


def test_coverage_raises_false_alarms_as_rarely_as_alpha_says():
    """20,000 sets of uniform positions: the limits hold for all four levels together."""
    rng, n = np.random.default_rng(5), 100
    levels = np.array(_coverage.LEVELS)
    share = np.stack([rng.binomial(n, 0.5, 20000), *np.zeros((3, 20000))]).astype(float)
    for i in (1, 2, 3):
        rest = (levels[i] - levels[i - 1]) / (1 - levels[i - 1])
        share[i] = share[i - 1] + rng.binomial(n - share[i - 1].astype(int), rest)
    se = np.sqrt(levels * (1 - levels) / n)
    off = (share.T / n - levels) / se
    for side in (-1, 1):
        alarms = (side * off > _coverage._limit(n, alpha=0.02, side=side)).any(axis=1).mean()
        assert 0.005 < alarms < 0.02 + 4 * np.sqrt(0.02 / 20000)


def test_ties_are_broken_evenly():
    rng = np.random.default_rng(6)
    ranked = _ranks.ranks(np.zeros(4000), np.zeros((4000, 9)), rng=rng)
    assert set(ranked) == set(range(10))
    assert np.abs(np.bincount(ranked) - 400).max() < 4 * np.sqrt(400)
