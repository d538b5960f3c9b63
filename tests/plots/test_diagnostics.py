"""Figures of the diagnostics show the numbers of the results, named, in the colour of the method."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import arviz_base
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import stats

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.diagnostics import Cost, Simulated
from firstpassage.diagnostics._count_band import count_band
from firstpassage.diagnostics._ranks import distance_critical, grid, ranks
from firstpassage.diagnostics._sbc import judge
from firstpassage.errors import DataError

MODEL = fp.ddm()
PARAMETERS = MODEL.parameters
NAMES = [p.name for p in PARAMETERS]
DATASETS, DRAWS = 60, 19


def simulated(kind: str = "npe") -> Simulated:
    """Truths and draws of a normal posterior of known width, without any sampling."""
    rng = np.random.default_rng(1)
    middle = {p.name: rng.uniform(*p.bounds, DATASETS) for p in PARAMETERS}
    width = {p.name: 0.1 * (p.bounds[1] - p.bounds[0]) for p in PARAMETERS}
    return Simulated(
        model=MODEL, kind=kind, parameters=PARAMETERS, data=(), trials=np.full(DATASETS, 200), seed=1, seconds=1.0,
        truth={k: middle[k] + width[k] * rng.normal(size=DATASETS) for k in NAMES},
        draws={k: middle[k][:, None] + width[k] * rng.normal(size=(DATASETS, DRAWS)) for k in NAMES},
        prior_sd={k: width[k] * 10 / math.sqrt(12) for k in NAMES},
        ess=np.full(DATASETS, float(DRAWS)), r_hat=np.full(DATASETS, np.nan),
    )  # fmt: skip


FOUND = simulated()
RECOVERY, COVERAGE = diagnostics.recovery(FOUND), diagnostics.coverage(FOUND)
RANKS = {k: ranks(FOUND.truth[k], FOUND.draws[k], rng=np.random.default_rng(2)) for k in NAMES}
SBC = judge(RANKS | {"log likelihood": RANKS["v"][::-1]}, design=FOUND.design, alpha=0.05)
TARP = diagnostics.Tarp(
    design=FOUND.design, level=grid(DRAWS), coverage=grid(DRAWS) ** 1.2, distance=0.07, p=0.6, alpha=0.05,
    critical=distance_critical(n=DATASETS, draws=DRAWS, alpha=0.05),
)  # fmt: skip
COSTS = {
    "npe": Cost(training=2400, each=0.06),
    "nre": Cost(training=600, each=4),
    "exact": Cost(training=0, each=8),
}
GREEN = plots.COLOURS["npe"].lower()


def posterior(shift: float = 0.0, draws: int = 300, names=NAMES):
    rng = np.random.default_rng(3)
    drawn = rng.normal(size=(4, draws // 4, 4))
    drawn[..., 2] = 0.8 * drawn[..., 0] + 0.6 * drawn[..., 2]
    values = {p.name: np.mean(p.bounds) + shift + 0.1 * drawn[..., i] for i, p in enumerate(PARAMETERS)}
    return arviz_base.from_dict({"posterior": {k: values[k] for k in names}})


def square(n: int = 4) -> np.ndarray:
    return plots.canvas(rows=n, columns=n)


def texts(panel) -> set[str]:
    return {text.get_text() for text in panel.get_legend().get_texts()}


@pytest.mark.parametrize("number, shape", [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (6, (2, 3)), (8, (2, 4))])
def test_a_grid_has_full_rows_and_fits_the_column_of_a_report(number, shape):
    axes = plots.grid(number)
    assert len(axes) == number == len(axes[0].figure.axes)
    assert axes[0].get_gridspec().get_geometry() == shape
    assert axes[0].figure.get_figwidth() <= 900 / 110 + 0.05


@pytest.mark.parametrize("number", [0, True, 1.5])
def test_a_grid_needs_a_number_of_panels(number):
    with pytest.raises(DataError, match="positive integer"):
        plots.grid(number)


def test_recovery_shows_every_mean_and_sd_at_its_truth():
    panels = plots.recovery(RECOVERY, parameters=PARAMETERS, ax=plots.grid(4))
    for panel, parameter in zip(panels, PARAMETERS, strict=True):
        points, bars = panel.containers[0].lines[0], panel.containers[0].lines[2][0]
        assert np.array_equal(points.get_xdata(), FOUND.truth[parameter.name])
        assert np.array_equal(points.get_ydata(), FOUND.draws[parameter.name].mean(axis=1))
        assert to_hex(points.get_color()) == GREEN
        lengths = np.array([segment[1, 1] - segment[0, 1] for segment in bars.get_segments()])
        assert lengths == pytest.approx(2 * RECOVERY.sd[parameter.name])
        assert panel.get_xlabel().replace("\n", " ") == f"true {parameter.label}"
        assert panel.get_xlim() == panel.get_ylim()
        assert f"{RECOVERY.parameters[parameter.name].correlation:.2f}" in panel.get_title("right")
    identity = next(line for line in panels[0].get_lines() if to_hex(line.get_color()) == "#000000")
    assert identity.get_slope() == 1


def test_recovery_wears_the_colour_of_the_method_that_was_sampled():
    other = replace(RECOVERY, design=replace(RECOVERY.design, kind="nle"))
    points = plots.recovery(other, ax=plots.grid(4))[0].containers[0].lines[0]
    assert to_hex(points.get_color()) == plots.COLOURS["nle"].lower()


def test_the_calibration_histogram_shows_counts_and_their_bands():
    panels = plots.calibration_histogram(SBC, parameters=PARAMETERS, ax=plots.grid(5))
    assert [panel.get_title("left") for panel in panels] == ["$v$", "$a$", "$z$", "$t$", "log likelihood"]
    for panel, counts in zip(panels, SBC.counts.values(), strict=True):
        joint, one, expected, *filled = [patch.get_data() for patch in panel.patches]
        assert all(np.array_equal(part.values, counts) and np.array_equal(part.edges, SBC.edges) for part in filled)
        assert np.array_equal(expected.values, SBC.expected)
        assert (joint.baseline <= one.baseline).all() and (joint.values >= one.values).all()
        assert counts.sum() == DATASETS
        assert to_hex(panel.patches[-1].get_edgecolor()) == GREEN
    assert texts(panels[0]) == {"95 %, each", "95 %, all"}


def test_calibrated_counts_leave_their_band_as_often_as_it_says():
    shares = (0.1,) * 4 + (0.2,) * 3
    low, high = count_band(100, shares, alpha=0.05)
    counts = np.random.default_rng(1).multinomial(100, shares, size=20_000)
    out = ((counts < low) | (counts > high)).any(axis=1).mean()
    assert 0.02 < out < 0.055  # below .05, by as much as counts are discrete
    wide_low, wide_high = count_band(100, shares, alpha=0.01)
    assert (wide_low <= low).all() and (wide_high >= high).all()


def test_a_band_of_one_free_bin_is_binomial():
    low, high = count_band(50, (0.3, 0.7), alpha=0.05)
    inside = stats.binom.cdf(high[0], 50, 0.3) - stats.binom.cdf(low[0] - 1, 50, 0.3)
    assert 0.95 <= inside < 0.98
    assert (low[1], high[1]) == (50 - high[0], 50 - low[0])


def test_the_calibration_ecdf_shows_differences_and_the_bands_of_the_verdict():
    panels = plots.calibration_ecdf(SBC, parameters=PARAMETERS, ax=plots.grid(5))
    assert panels[3].get_xlabel() == "fractional rank" and panels[0].get_xlabel() == ""
    assert [panel.get_ylabel() for panel in panels] == ["ECDF difference", "", "", "ECDF difference", ""]
    for panel, difference in zip(panels, SBC.difference.values(), strict=True):
        line = panel.get_lines()[-1]
        assert np.array_equal(line.get_xdata()[1:-1], SBC.z)
        assert np.array_equal(line.get_ydata(), [0, *difference, 0])
        assert to_hex(line.get_color()) == GREEN
        joint = panel.collections[0].get_paths()[0].vertices[:, 1]
        assert joint.max() == SBC.joint_high.max() and joint.min() == SBC.joint_low.min()
        assert panel.collections[1].get_paths()[0].vertices[:, 1].max() == SBC.high.max()


def test_tiny_p_values_are_not_written_out():
    bad = replace(SBC, gamma_p=dict.fromkeys(SBC.gamma_p, 1e-30))
    assert plots.calibration_ecdf(bad, ax=plots.grid(5))[0].get_title("right") == "p < 0.0001"


def test_coverage_shows_shares_with_errors_and_says_which_side_is_worse():
    panel = plots.coverage(COVERAGE, parameters=PARAMETERS, ax=plots.grid(1))
    drawn = {container.get_label(): container.lines[0].get_ydata() for container in panel.containers}
    assert list(drawn) == ["$v$", "$a$", "$z$", "$t$", "mean"]
    for name, values in zip(NAMES, drawn.values(), strict=False):
        assert values == pytest.approx(100 * (COVERAGE.share[name] - COVERAGE.levels))
    assert drawn["mean"] == pytest.approx(100 * (COVERAGE.mean - COVERAGE.levels))
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["50", "80", "90", "95"]
    above, below = panel.texts
    assert above.get_text().startswith("conservative") and above.get_position()[1] > 0.5
    assert below.get_text().startswith("overconfident") and below.get_position()[1] < 0.5
    band = panel.patches[0].get_data()
    assert band.values == pytest.approx(100 * (COVERAGE.high - COVERAGE.levels))
    assert band.baseline == pytest.approx(100 * (COVERAGE.low - COVERAGE.levels))


def test_tarp_shows_coverage_and_its_band():
    panel = plots.tarp(TARP, ax=plots.grid(1))
    line = panel.get_lines()[-1]
    assert np.array_equal(line.get_xdata()[1:-1], TARP.level)
    assert np.array_equal(line.get_ydata()[1:-1], TARP.coverage)
    assert to_hex(line.get_color()) == GREEN and texts(panel) == {"95 % band", "NPE"}
    x, y = panel.collections[0].get_paths()[0].vertices.T
    middle = y[np.isclose(x, 0.5)]
    assert np.unique(middle.round(9)) == pytest.approx([0.5 - TARP.critical, 0.5 + TARP.critical])


def test_pairs_peak_where_the_draws_are_and_wear_the_methods_colours():
    shown = PARAMETERS[:3]
    panels = plots.pairs({"npe": posterior(0.2), "exact": posterior()}, parameters=shown, ax=square(3))
    for i, parameter in enumerate(shown):
        for line, shift, colour in zip(panels[i, i].get_lines(), (0.2, 0.0), (GREEN, "#000000"), strict=False):
            grid, density = line.get_data()
            assert grid[np.argmax(density)] == pytest.approx(np.mean(parameter.bounds) + shift, abs=0.08)
            assert to_hex(line.get_color()) == colour
    assert [panel.get_xlabel() for panel in panels[-1]] == [p.label for p in shown]
    assert [panel.get_ylabel() for panel in panels[1:, 0]] == [p.label for p in shown[1:]]
    assert texts(panels[0, -1]) == {"NPE", "exact", "prior"}
    assert not panels[0, 1].axison and panels[1, 0].axison


def test_the_regions_of_a_pair_hold_the_share_of_draws_that_they_say():
    tree = posterior(draws=2000, names=["v", "z"])
    panels = plots.pairs({"exact": tree}, parameters=[PARAMETERS[0], PARAMETERS[2]], ax=square(2))
    points = np.column_stack([tree["posterior"][name].values.ravel() for name in ("v", "z")])
    outer, inner = (path.contains_points(points) for path in panels[1, 0].collections[0].get_paths())
    assert outer.mean() == pytest.approx(0.9, abs=0.03)
    assert inner.mean() == pytest.approx(0.5, abs=0.04)


def test_truth_is_black_in_every_panel_of_its_parameter_and_always_in_sight():
    truth = {"v": 2.9, "a": 1.4, "z": 0.5, "t": 1.0}
    panels = plots.pairs({"npe": posterior()}, parameters=PARAMETERS[:3], truth=truth, ax=square(3))
    for row, column in zip(*np.tril_indices(3), strict=True):
        lines = [line for line in panels[row, column].get_lines() if to_hex(line.get_color()) == "#000000"]
        assert lines[0].get_xdata() == [truth[NAMES[column]]] * 2
        if row > column:
            assert lines[1].get_ydata() == [truth[NAMES[row]]] * 2
    low, high = panels[2, 0].get_xlim()
    assert low < 2.9 < high


def test_the_prior_of_a_pair_plot_is_uniform_on_the_box_unless_given():
    box = [fp.Parameter("v", bounds=(-3, 3))]
    line = plots.pairs({"npe": posterior(names=["v"])}, parameters=box, ax=square(1))[0, 0].get_lines()[-1]
    assert line.get_ydata()[1:-1] == pytest.approx(1 / 6)
    given = {"v": np.random.default_rng(1).normal(0.0, 0.2, 2000)}
    line = plots.pairs({"npe": posterior(names=["v"])}, parameters=box, prior=given, ax=square(1))[0, 0].get_lines()[-1]
    assert line.get_ydata().max() == pytest.approx(stats.norm.pdf(0, 0, 0.2), rel=0.1)
    import numpyro.distributions as dist

    normal = [fp.Parameter("v", bounds=(-3, 3), prior=dist.Normal(0.0, 0.5))]
    line = plots.pairs({"npe": posterior(names=["v"])}, parameters=normal, ax=square(1))[0, 0].get_lines()[-1]
    assert line.get_ydata().max() == pytest.approx(stats.norm.pdf(0, 0, 0.5), rel=1e-3)


def test_a_single_tree_is_drawn_as_the_kind_that_it_names():
    tree = posterior()
    tree.attrs["kind"] = "nle"
    panels = plots.pairs(tree, parameters=PARAMETERS[:2], ax=square(2))
    assert to_hex(panels[0, 0].get_lines()[0].get_color()) == plots.COLOURS["nle"].lower()
    assert texts(panels[0, -1]) == {"NLE", "prior"}


def test_few_or_collinear_draws_are_shown_themselves():
    values = {"v": np.linspace(-1, 1, 200)[None], "a": np.linspace(0.5, 2, 200)[None]}
    panels = plots.pairs({"npe": arviz_base.from_dict({"posterior": values})}, parameters=PARAMETERS[:2], ax=square(2))
    assert np.array_equal(panels[1, 0].get_lines()[0].get_ydata(), values["a"][0])


def test_pairs_refuse_what_is_missing():
    with pytest.raises(DataError, match="no t"):
        plots.pairs({"npe": posterior(names=["v", "a", "z"])}, parameters=PARAMETERS)
    with pytest.raises(DataError, match="truth must have every parameter"):
        plots.pairs({"npe": posterior()}, parameters=PARAMETERS, truth={"v": 1.0})
    with pytest.raises(DataError, match=r"shape \(4, 4\)"):
        plots.pairs({"npe": posterior()}, parameters=PARAMETERS, ax=plots.grid(4))
    with pytest.raises(DataError, match="not be empty"):
        plots.pairs({}, parameters=PARAMETERS)


def test_the_numbers_of_a_pair_plot_are_those_of_the_draws():
    tree = posterior()
    found = plots.pairs_numbers({"npe": tree}, parameters=PARAMETERS, truth=dict.fromkeys(NAMES, 1.0))
    npe = found["methods"]["npe"]
    assert npe["draws"] == 300 and found["truth"]["t"] == 1.0
    assert npe["parameters"]["a"]["mean"] == pytest.approx(float(tree["posterior"]["a"].mean()))
    v, z = (tree["posterior"][name].values.ravel() for name in "vz")
    assert npe["correlation"][0, 2] == pytest.approx(np.corrcoef(v, z)[0, 1])


def test_break_even_finds_where_costs_are_equal():
    found = diagnostics.break_even(COSTS)
    pairs = {(c.method, c.other): c.datasets for c in found.crossings}
    assert pairs == pytest.approx({
        ("nre", "exact"): 600 / 4, ("npe", "exact"): 2400 / 7.94, ("npe", "nre"): 1800 / 3.94,
    })  # fmt: skip
    for crossing in found.crossings:
        both = [COSTS[name].total(crossing.datasets) for name in (crossing.method, crossing.other)]
        assert both == pytest.approx([crossing.seconds] * 2)
    assert [found.cheapest(n) for n in (100, 300, 1000)] == ["exact", "nre", "npe"]
    assert "npe is cheaper than exact from 303 data sets" in found.verdict
    json.dumps(found.numbers(), allow_nan=False)


def test_lines_that_never_cross_or_cross_before_the_first_data_set_have_no_break_even():
    assert diagnostics.break_even({"nle": Cost(training=9, each=8), "exact": Cost(training=0, each=8)}).crossings == ()
    assert diagnostics.break_even({"npe": Cost(training=1, each=1), "exact": Cost(training=0, each=8)}).crossings == ()


def test_break_even_shows_totals_and_marks_the_crossings():
    panel = plots.break_even(COSTS, ax=plots.grid(1))
    lines = {line.get_label(): line for line in panel.get_lines()}
    for method, label in (("npe", "NPE"), ("nre", "NRE"), ("exact", "exact")):
        n, total = lines[label].get_data()
        assert total == pytest.approx(COSTS[method].training + COSTS[method].each * n)
        assert to_hex(lines[label].get_color()) == plots.COLOURS[method].lower()
    rings = sorted(line.get_xdata()[0] for line in panel.get_lines() if line.get_marker() == "o")
    assert rings == pytest.approx([150, 2400 / 7.94, 1800 / 3.94])
    written = [text.get_text() for text in panel.texts]
    assert written[:2] == ["150", "457"], "where the cheapest method changes"
    assert "NPE < exact: 303" in written[2]
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


@pytest.mark.parametrize("costs", [{}, {"npe": (1.0, 2.0)}])
def test_break_even_needs_costs(costs):
    with pytest.raises(DataError, match="Use diagnostics.Cost"):
        plots.break_even(costs)


@pytest.mark.parametrize("training, each", [(-1, 1), (1, 0), (math.nan, 1), (1, math.inf)])
def test_a_cost_is_a_time(training, each):
    with pytest.raises(DataError, match="CPU seconds"):
        Cost(training=training, each=each)


def comparison(kind: str = "nre", datasets: int = 6) -> diagnostics.Comparison:
    rng = np.random.default_rng(4)

    def distance(error: float) -> diagnostics.Distance:
        shift = {name: error * rng.normal(size=datasets) for name in NAMES}
        ratio = {name: 1 + error * rng.normal(size=datasets) for name in NAMES}
        return diagnostics.Distance(shift=shift, sd_ratio=ratio, c2st=0.5 + error * rng.uniform(size=datasets))

    return diagnostics.Comparison(
        kind=kind, trials=np.full(datasets, 200), learned=distance(0.2), floor=distance(0.03), error=None, seed=1,
        sum_error=None, r_hat=1.0, limits=diagnostics.Limits(shift_worst=0.4),
    )  # fmt: skip


def test_a_comparison_shows_every_data_set_beside_the_exact_against_itself():
    result = comparison()
    panels = plots.comparison(result, parameters=PARAMETERS, ax=plots.grid(3))
    blue = plots.COLOURS["nre"].lower()
    for panel, wanted in zip(panels[:2], ("shift", "sd_ratio"), strict=True):
        points = [line for line in panel.get_lines() if line.get_marker() == "o"]
        given = [*vars(result.learned)[wanted].values(), *vars(result.floor)[wanted].values()]
        assert all(np.array_equal(line.get_ydata(), x) for line, x in zip(points, given, strict=True))
        assert [to_hex(line.get_color()) for line in points] == [blue] * 4 + ["#000000"] * 4
        for i, line in enumerate(points):
            assert line.get_xdata().round() == pytest.approx(i % 4), "over the name of its parameter"
        assert [tick.get_text() for tick in panel.get_xticklabels()] == ["$v$", "$a$", "$z$", "$t$"]
    learned, floor = (line.get_ydata() for line in panels[2].get_lines() if line.get_marker() == "o")
    assert np.array_equal(learned, result.learned.c2st) and np.array_equal(floor, result.floor.c2st)
    dotted = [line.get_ydata()[0] for line in panels[0].get_lines() if line.get_linestyle() == ":"]
    assert dotted == [-0.4, 0.4]
    assert texts(panels[0]) == {"NRE", "exact again"}
    assert [panel.get_ylabel() for panel in panels] == [
        "shift of the mean (exact sd)",
        "sd / exact sd",
        "C2ST accuracy",
    ]


def test_a_comparison_of_one_data_set_is_drawn_too():
    panels = plots.comparison(comparison(datasets=1), ax=plots.grid(3))
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == NAMES


def checked(conditions=("",), far: float = 0.0) -> diagnostics.Ppc:
    """Statistics of made-up replicates; the last one of the data lies `far` sd off."""
    rng = np.random.default_rng(5)
    names = tuple(f"{c}: {s}" if c else s for c in conditions for s in ("share upper", "mean rt"))
    replicated = rng.normal(5.0, 2.0, (200, len(names)))
    observed = replicated[0].copy()
    observed[-1] = np.median(replicated[:, -1]) + far * replicated[:, -1].std()
    return diagnostics.Ppc(names=names, observed=observed, replicated=replicated, kind="npe", seed=1)


PPC = checked()


def test_a_predictive_check_shows_the_data_among_the_replicates():
    panel = plots.ppc(PPC, ax=plots.grid(1))[0]
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["share upper", "mean rt"]
    middle, sd = np.median(PPC.replicated, axis=0), PPC.replicated.std(axis=0)
    points = [line for line in panel.get_lines() if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == pytest.approx((PPC.observed - middle) / sd)
    assert {to_hex(line.get_color()) for line in points} == {"#000000"}
    bars = [line.get_xdata() for line in panel.get_lines() if to_hex(line.get_color()) == GREEN]
    for row in range(2):
        wide, narrow = bars[2 * row : 2 * row + 2]
        z = (PPC.replicated[:, row] - middle[row]) / sd[row]
        assert wide == pytest.approx(np.quantile(z, [0.05, 0.95]))
        assert narrow == pytest.approx(np.quantile(z, [0.25, 0.75]))
    assert texts(panel) == {"90 %", "50 %", "data"}


def test_data_far_out_are_an_arrow_at_the_edge_with_its_value_and_a_bold_p():
    panel = plots.ppc(checked(far=12.0), ax=plots.grid(1))[0]
    arrow = next(line for line in panel.get_lines() if line.get_marker() == ">")
    assert arrow.get_xdata()[0] == panel.get_xlim()[1]
    written = {text.get_text(): text for text in panel.texts}
    assert "12" in written
    assert written["1.00"].get_fontweight() == "bold"


def test_a_predictive_check_has_a_panel_for_each_condition():
    result = checked(("easy", "hard"))
    panels = plots.ppc(result, ax=plots.grid(2))
    assert [panel.get_title("left") for panel in panels] == ["easy", "hard"]
    points = [line.get_xdata()[0] for panel in panels for line in panel.get_lines() if line.get_marker() == "o"]
    z = (result.observed - np.median(result.replicated, axis=0)) / result.replicated.std(axis=0)
    assert points == pytest.approx(z)


DRAWN = {
    plots.recovery: (RECOVERY, 4),
    plots.calibration_histogram: (SBC, 5),
    plots.calibration_ecdf: (SBC, 5),
    plots.coverage: (COVERAGE, 1),
    plots.tarp: (TARP, 1),
    plots.comparison: (comparison(), 3),
    plots.ppc: (PPC, 1),
}


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_every_figure_refuses_what_it_cannot_draw(draw):
    result, number = DRAWN[draw]
    with pytest.raises(DataError, match=f"expected a {type(result).__name__}, got dict"):
        draw({})
    with pytest.raises(DataError, match=f"ax must hold {number} axes"):
        draw(result, ax=plots.grid(number + 1))


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_without_axes_a_figure_is_made_and_without_parameters_names_are_written(draw):
    import matplotlib.pyplot as plt

    result, number = DRAWN[draw]
    panels = np.atleast_1d(draw(result))
    figure = panels[0].figure
    plt.close(figure)
    assert len(figure.axes) == len(panels) == number


def test_the_numbers_of_a_figure_hold_what_is_drawn(tmp_path):
    for result, name in ((RECOVERY, "mean"), (SBC, "difference"), (COVERAGE, "share"), (TARP, "coverage")):
        found = plots.numbers(result)
        assert found["verdict"] == result.verdict
        assert np.array_equal(found["drawn"][name], vars(result)[name])
    assert (plots.numbers(SBC)["drawn"]["count_low"] < SBC.expected).all()
    panel = plots.tarp(TARP, ax=plots.grid(1))
    plots.save(panel.figure, tmp_path / "tarp.png", numbers=plots.numbers(TARP), caption="n = 60, seed 1")
    stored = json.loads((tmp_path / "tarp.json").read_text())
    assert stored["drawn"]["coverage"] == pytest.approx(TARP.coverage, rel=1e-5)
    with pytest.raises(DataError, match="expected a result"):
        plots.numbers({"no": "result"})
