"""Figures show the numbers they are given, in one look, and change no global setting (see conftest)."""

from __future__ import annotations

import json

import arviz_base
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import firstpassage as fp
from firstpassage import plots
from firstpassage.diagnostics import Banded, Visits, response_times
from firstpassage.errors import ArtefactError, DataError

MODEL = fp.ddm()
DATA = np.column_stack([np.linspace(0.5, 2, 50), np.tile([1.0, -1.0], 25)])


def draws(shift: float = 0.0):
    rng = np.random.default_rng(1)
    values = {p.name: np.mean(p.bounds) + shift + 0.1 * rng.normal(size=(4, 300)) for p in MODEL.parameters}
    return arviz_base.from_dict({"posterior": values})


def replicates() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.stack([np.column_stack([rng.uniform(0.5, 2, 50), DATA[:, 1]]) for _ in range(30)])


def banded(values, at=None) -> Banded:
    values = np.asarray(values, dtype=float)
    at = np.arange(len(values) + 1) if at is None else at
    return Banded(at=at, observed=values, median=values + 0.1, low=values - 0.1, high=values + 0.2)


def test_visits_show_what_they_are_given_in_the_colour_of_the_method():
    found = Visits(
        residence=banded([0.1, 0.4, 0.2]), stops=banded([0.2, 0.8]), hazard=banded([0.1, 0.3, np.nan], np.arange(3)),
        arrivals=np.array([50, 20, 10]), whole=30, cut=1, replicates=9, seed=1,
    )  # fmt: skip
    panels = plots.visits(found, method="nle")
    for panel, curve in zip(panels, (found.residence, found.stops, found.hazard), strict=True):
        points = panel.get_lines()[-1]
        assert points.get_linestyle() == "None"
        assert np.array_equal(points.get_ydata(), curve.observed, equal_nan=True)
        assert panel.get_ylim()[1] > np.nanmax(curve.high)
    assert to_hex(panels[2].get_lines()[0].get_color()) == plots.COLOURS["nle"].lower()
    assert [t.get_text() for t in panels[0].get_legend().get_texts()] == ["data", "NLE median", "90 % band"]
    assert panels[0].get_xlabel() == "distance in the patch (88.73 cm)"
    with pytest.raises(DataError, match=r"expected a Visits, got dict\. Make one by diagnostics.visits"):
        plots.visits(found.numbers())
    with pytest.raises(DataError, match="ax must hold 3 axes"):
        plots.visits(found, ax=plots.canvas(rows=1, columns=2)[0])


def test_every_method_has_a_colour_of_its_own_and_exact_is_black():
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)
    assert plots.COLOURS["exact"] == "#000000"


def test_marginals_are_labelled_by_symbol_and_unit():
    panels = plots.marginals({"nre": draws(), "exact": draws()}, parameters=MODEL.parameters)
    assert [panel.get_xlabel() for panel in panels] == [p.label for p in MODEL.parameters]
    assert "half" in panels[1].get_xlabel(), "a is half the boundary separation"
    assert {t.get_text() for t in panels[-1].get_legend().get_texts()} == {"NRE", "exact"}


def test_marginals_peak_where_the_draws_are_and_wear_the_methods_colours():
    panels = plots.canvas(rows=1, columns=4)
    plots.marginals({"nre": draws(0.3), "exact": draws()}, parameters=MODEL.parameters, ax=panels[0])
    for panel, parameter in zip(panels[0], MODEL.parameters, strict=True):
        for line, method, shift in zip(panel.get_lines(), ("nre", "exact"), (0.3, 0.0), strict=True):
            grid, density = line.get_data()
            assert grid[np.argmax(density)] == pytest.approx(np.mean(parameter.bounds) + shift, abs=0.06)
            assert to_hex(line.get_color()) == plots.COLOURS[method].lower()


def test_truth_is_a_black_line_at_its_value():
    truth = {"v": 0.1, "a": 1.4, "z": 0.5, "t": 1.0}
    panels = plots.marginals({"nre": draws()}, parameters=MODEL.parameters, truth=truth)
    for panel, (name, value) in zip(panels, truth.items(), strict=True):
        line = panel.get_lines()[-1]
        assert list(line.get_xdata()) == [value, value], name
        assert to_hex(line.get_color()) == "#000000"


def test_marginals_refuse_draws_without_the_parameter():
    with pytest.raises(DataError, match="no w"):
        plots.marginals({"nre": draws()}, parameters=[fp.Parameter("w", bounds=(0, 1))])
    with pytest.raises(DataError, match="4 axes"):
        plots.marginals({"nre": draws()}, parameters=MODEL.parameters, ax=plots.canvas(rows=1, columns=2))


def test_predictive_mirrors_the_lower_responses():
    panel = plots.canvas(rows=1, columns=1)[0, 0]
    assert plots.predictive(DATA, replicates(), method="exact", ax=panel) is panel
    found = response_times(DATA, replicates())
    heights = [patch.get_data().values for patch in panel.patches]
    assert np.array_equal(heights[0], found.observed["upper"])
    assert np.array_equal(heights[4], -found.observed["lower"])
    assert panel.get_xlabel() == "response time (s)"
    assert panel.get_ylabel() == "density (1/s)"


def test_loss_shows_both_losses():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2, 1], "validation_loss": [3.5, 2.5, 1.5]})
    panel = plots.loss(history, ax=plots.canvas(rows=1, columns=1)[0, 0])
    assert [list(line.get_ydata()) for line in panel.get_lines()] == [[3, 2, 1], [3.5, 2.5, 1.5]]
    with pytest.raises(DataError, match="validation_loss"):
        plots.loss(history[["epoch", "loss"]])


def test_a_saved_figure_is_small_and_has_its_numbers_beside_it(tmp_path):
    panels = plots.canvas(rows=3, columns=4)
    for row in panels:
        plots.marginals({"nre": draws(0.3), "exact": draws()}, parameters=MODEL.parameters, ax=row)
    numbers = {"x": np.array([1.0, np.nan]), "n": 3}
    path = plots.save(panels[0, 0].figure, tmp_path / "m.png", numbers=numbers, caption="n = 3, seed 1")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert path.stat().st_size < 150_000
    assert json.loads((tmp_path / "m.json").read_text()) == {
        "caption": "n = 3, seed 1",
        "x": [1.0, None],
        "n": 3,
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.png"]


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        panel = plots.predictive(DATA, replicates(), ax=plots.canvas(rows=1, columns=1)[0, 0])
        plots.save(panel.figure, tmp_path / f"{name}.png", numbers={}, caption="")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_figure_that_cannot_be_saved_says_so(tmp_path):
    figure = plots.canvas(rows=1, columns=1)[0, 0].figure
    with pytest.raises(ArtefactError, match=".png"):
        plots.save(figure, tmp_path / "m.jpg", numbers={}, caption="")
    with pytest.raises(ArtefactError, match="cannot write"):
        plots.save(figure, tmp_path / "missing" / "m.png", numbers={}, caption="")
