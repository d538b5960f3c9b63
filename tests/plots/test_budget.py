"""Accuracy against simulations: lines are the means of posteriors of the same method and number of rounds."""

import pandas as pd
import pytest

from firstpassage import plots
from firstpassage.errors import DataError


def table():
    rows = [
        {"method": method, "rounds": rounds, "simulations": n, "c2st": 0.5 + 100 / n + 0.01 * number, "shift_mean": 0.1}
        for method in ("nle", "npe")
        for rounds in (1, 4)
        for n in (1000, 3000)
        for number in range(3)
    ]
    return pd.DataFrame(rows)


def test_lines_join_the_means():
    panels = plots.budget(table(), ax=plots.canvas(rows=1, columns=2)[0])
    lines = {line.get_label(): line for line in panels[0].lines}
    assert {"NLE, one round", "NLE, 4 rounds", "NPE, one round", "NPE, 4 rounds"} <= set(lines)
    assert lines["NPE, 4 rounds"].get_ydata() == pytest.approx([0.61, 0.5433], abs=1e-3)
    assert lines["NPE, 4 rounds"].get_linestyle() == "-"
    assert lines["NPE, one round"].get_linestyle() == "--"


def test_a_missing_column_is_refused():
    with pytest.raises(DataError, match="rounds"):
        plots.budget(table().drop(columns="rounds"))
