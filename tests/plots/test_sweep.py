"""The comparison of a sweep has a row for each run, in the colour of its method, with what is not done named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import firstpassage as fp
from firstpassage import plots
from firstpassage.errors import DataError

COLUMNS = {
    "name": ["nre_ddm_1K-a", "npe_ddm_1K-b", "nre_ddm_2K-c"],
    "status": ["done", "failed", "done"],
    "method": ["nre", "npe", "nre"],
    "optimiser.learning_rate": [1e-3, 1e-3, 5e-4],
    "seconds": [5.0, 1.0, 7.0],
    "validation_loss": [2.5, np.nan, 2.25],
    "recovery.v.relative_rmse": [0.5, np.nan, 0.25],
    "recovery.a.relative_rmse": [0.75, np.nan, 0.125],
    "sbc.v.gamma_p": [0.5, np.nan, 1e-3],
    "exact.v.shift": [0.1, np.nan, -0.2],
    "error": [None, "ValueError: broke", None],
}
TABLE = pd.DataFrame(COLUMNS)


def drawn(panel, colour):
    """List the points of a colour, left to right in their rows."""
    lines = [line for line in panel.lines if line.get_marker() not in ("None", None, "")]
    return [tuple(map(float, line.get_xdata())) for line in lines if to_hex(line.get_color()) == colour.lower()]


def test_each_panel_shows_the_numbers_of_its_columns():
    loss, recovery, sbc, exact = plots.sweep(TABLE, parameters=fp.ddm().parameters)
    blue = plots.COLOURS["nre"]
    assert drawn(loss, blue) == [(2.5, 2.25)]
    assert drawn(recovery, blue) == [(0.5, 0.25), (0.75, 0.125)]
    assert drawn(sbc, blue) == [(0.5, 1e-3)] and sbc.get_xscale() == "log"
    assert drawn(exact, blue) == [(0.1, -0.2)] and exact.get_xlabel() == "shift (exact sd)"
    assert np.isnan(drawn(loss, plots.COLOURS["npe"])[0]).all(), "what failed has no numbers"


def test_runs_are_named_by_what_varies_with_the_first_on_top():
    panel = plots.sweep(TABLE)[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "nre, rate 0.001", "npe, rate 0.001", "nre, rate 0.0005",
    ]  # fmt: skip
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    assert [(text.get_text(), text.get_position()[1]) for text in panel.texts] == [("failed", 1)]
    many = pd.concat([TABLE] * 30, ignore_index=True)
    panel = plots.sweep(many)[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["run 1", "run 90"]


def test_only_panels_with_columns_are_drawn_and_the_summary_may_come_from_its_file(tmp_path):
    few = TABLE.drop(columns=[name for name in TABLE if name.startswith(("sbc", "exact"))])
    few.to_csv(tmp_path / "sweep_summary.csv", index=False)
    assert len(plots.sweep(pd.read_csv(tmp_path / "sweep_summary.csv"))) == 2
    axes = plots.canvas(rows=1, columns=2)[0]
    assert list(plots.sweep(few, ax=axes)) == list(axes)


@pytest.mark.parametrize("wrong", [None, [1, 2], pd.DataFrame({"name": ["a"]}), TABLE[["name", "status", "seconds"]]])
def test_what_is_no_summary_is_refused(wrong):
    with pytest.raises(DataError, match="expected (the summary|a run that is done)"):
        plots.sweep(wrong)
