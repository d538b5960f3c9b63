"""Information that is lost shows as wider posteriors; two estimators are drawn side by side."""

from __future__ import annotations

from types import SimpleNamespace

import arviz_base
import numpy as np
import pytest

import firstpassage as fp
from firstpassage import plots
from firstpassage.diagnostics import Information, information
from firstpassage.diagnostics._json import as_json
from firstpassage.errors import DataError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore:there is no", "ignore:.*data sets are doubtful")

MODEL = fp.foraging(sites=20)
WINDOWS = list(MODEL.likelihood(MODEL.prior(5, seed=1), seed=2)["window"][:, 0])


class Wider:
    """Draw from the exact posterior, with all distances from its mean made larger."""

    kind, parameters = "npe", MODEL.parameters

    def __init__(self, factor):
        self.factor = factor

    def sample(self, data, *, draws, seed):
        tree = MODEL.exact.sample(data, draws=draws, chains=1, seed=seed)["posterior"].dataset
        values = {name: self.factor * tree[name].values for name in MODEL.parameter_names}
        return arviz_base.from_dict({"posterior": values}, dims=dict.fromkeys(values, ["dataset"]))


@pytest.fixture(scope="module")
def found():
    return information(Wider(1.5), MODEL.exact, WINDOWS, seed=3, draws=500)


def test_the_width_that_was_put_in_is_found(found):
    for name in MODEL.parameter_names:
        assert found.ratio[name] == pytest.approx(np.full(5, 1.5), rel=0.25)
        assert found.quantiles[name][1] == pytest.approx(1.5, rel=0.12)
    assert found.verdict.startswith("sd over exact sd, median (10 to 90 % of 5 data sets): drift_rate 1.")
    assert '"geometric_mean"' in as_json(found.numbers())


def test_the_exact_draws_of_an_earlier_result_are_taken(found):
    again = information(Wider(1.0), MODEL.exact, WINDOWS, seed=3, draws=500, known=found)
    assert again.exact_sd is found.exact_sd
    assert again.ratio["noise_std"] == pytest.approx(np.ones(5), rel=0.25)


def test_estimators_are_drawn_side_by_side(found):
    other = Information(kind="npe", sd=found.exact_sd, exact_sd=found.exact_sd, seed=1)
    panel = plots.information(
        {"statistics": found, "raw windows": other}, parameters=MODEL.parameters, ax=plots.grid(1)
    )
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["statistics", "raw windows"]
    medians = [container.lines[0].get_ydata() for container in panel.containers]
    assert medians[0] == pytest.approx([q[1] for q in found.quantiles.values()])
    assert medians[1] == pytest.approx(np.ones(4))
    assert panel.get_yscale() == "log"
    assert plots.information(found, ax=plots.grid(1)).get_legend().get_texts()[0].get_text() == "NPE"
    assert "exact_sd" in plots.numbers(found)["drawn"]


def test_bad_inputs_are_refused(found):
    with pytest.raises(DataError, match="expected a list of data sets, one at least"):
        information(MODEL.exact, MODEL.exact, WINDOWS[0], seed=1)
    with pytest.raises(DataError, match="5, as for known"):
        information(MODEL.exact, MODEL.exact, WINDOWS[:2], seed=1, known=found)
    with pytest.raises(ModelError, match="same parameters"):
        information(SimpleNamespace(kind="npe", parameters=fp.ddm().parameters), MODEL.exact, WINDOWS, seed=1)
    with pytest.raises(DataError, match="same parameters"):
        plots.information({})
    with pytest.raises(DataError, match="expected a Information"):
        plots.information(1)
