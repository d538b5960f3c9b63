"""Pair plots: limits that are given, and those that cannot be used."""

import arviz_base
import numpy as np
import pytest

import firstpassage as fp

PARAMETERS = [fp.Parameter(name, bounds=(-3, 3)) for name in "vw"]
DRAWS = arviz_base.from_dict({"posterior": {name: np.random.default_rng(1).normal(size=(2, 60)) for name in "vw"}})


def test_axes_end_where_the_limits_say():
    limits = {"v": (-3.0, 3.0)}
    panels = fp.plots.pairs(DRAWS, parameters=PARAMETERS, truth={"v": 0.0, "w": 9.0}, limits=limits)
    assert panels[0, 0].get_xlim() == panels[1, 0].get_xlim() == (-3.0, 3.0)
    low, high = panels[1, 1].get_xlim()
    assert low < -1 and high > 9, "draws and truth are seen where no limits are given"
    assert panels[1, 0].get_ylim() == (low, high)


@pytest.mark.parametrize("limits", [{"x": (0, 1)}, {"v": (1, 0)}, {"v": (0, 1, 2)}])
def test_limits_that_cannot_be_used_are_refused(limits):
    with pytest.raises(fp.DataError, match=r"limits must map some of v, w to \(lower, upper\)"):
        fp.plots.pairs(DRAWS, parameters=PARAMETERS, limits=limits)
