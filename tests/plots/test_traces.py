"""Figures of predicted traces show data, bands and counts, with units, in the colours of all figures."""

from __future__ import annotations

import json

import arviz_base
import numpy as np
import pytest
from matplotlib.colors import to_hex

import firstpassage as fp
from firstpassage import diagnostics, plots
from firstpassage.errors import DataError

MODEL = fp.lif(T=40.0)
THETA = {"V_th": -55.0, "tau_m": 8.0, "g_L": 10.0, "V_reset": -72.0, "V_init": -70.0, "E_L": -66.0}
GREEN, GREY, BLACK = plots.COLOURS["npe"].lower(), "#8c8c8c", "#000000"


@pytest.fixture(scope="module")
def found():
    made = MODEL.likelihood({k: np.array([v]) for k, v in THETA.items()}, trials=2, seed=1)
    rng = np.random.default_rng(1)
    values = {k: v + 0.05 * rng.normal(size=(1, 60)) for k, v in THETA.items()}
    draws = arviz_base.from_dict({"posterior": values})
    return diagnostics.traces(MODEL, draws, {k: v[0] for k, v in made.items()}, seed=1, replicates=60)


def texts(panel) -> list[str]:
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_voltage_has_data_spikes_median_and_band(found):
    panels = plots.traces(found, method="npe", ax=plots.canvas(rows=2, columns=1)[:, 0])
    for i, panel in enumerate(panels):
        median, data = panel.lines
        assert to_hex(median.get_color()) == GREEN and to_hex(data.get_color()) == BLACK
        assert np.array_equal(data.get_ydata(), found.voltage[i])
        assert np.array_equal(median.get_ydata(), found.posterior.median[i])
        band, marks = panel.collections
        assert to_hex(band.get_facecolor()[0]) == GREEN
        places = [segment[0, 0] for segment in marks.get_segments()]
        assert places == pytest.approx(0.2 * np.flatnonzero(found.spikes[i]))
        assert min(segment[:, 1].min() for segment in marks.get_segments()) > found.voltage[i].max()
    assert panels[1].get_xlabel() == "time (ms)" and panels[0].get_ylabel() == "voltage (mV)"
    assert texts(panels[0]) == ["data, spikes", "NPE median", "90 % band"] and panels[1].get_legend() is None


def test_the_exact_posterior_is_grey_beside_black_data(found):
    panels = plots.traces(found, method="exact", ax=plots.canvas(rows=2, columns=1)[:, 0])
    assert [to_hex(line.get_color()) for line in panels[0].lines] == [GREY, BLACK]


def test_counts_are_shares_of_posterior_and_prior_with_the_data(found):
    panel = plots.spike_counts(found, method="npe", ax=plots.grid(1)[0])
    filled, outline, prior = panel.patches
    for steps, counts in (
        (filled, found.posterior.counts),
        (outline, found.posterior.counts),
        (prior, found.prior.counts),
    ):
        values, edges, _ = steps.get_data()
        shares = [np.mean((counts > low) & (counts < high)) for low, high in zip(edges, edges[1:], strict=False)]
        assert values == pytest.approx(np.array(shares)) and values.sum() == pytest.approx(1.0)
    assert prior.get_linestyle() in (":", "dotted") and to_hex(filled.get_facecolor()) == GREEN
    (line,) = panel.lines
    assert set(line.get_xdata()) == {found.spikes.sum()} and to_hex(line.get_color()) == BLACK
    assert panel.get_xlabel() == "spikes in 2 traces" and panel.get_ylabel() == "share of replicates"
    assert texts(panel) == ["NPE", "prior", "data"]
    assert f"mid-p {found.posterior.mid_p:.2f}, prior {found.prior.mid_p:.2f}" == panel.get_title(loc="right")


def test_many_counts_share_bins(found):
    many = found.prior.counts.copy()
    many[0] = 400
    from dataclasses import replace

    panel = plots.spike_counts(replace(found, prior=replace(found.prior, counts=many)), ax=plots.grid(1)[0])
    values, edges, _ = panel.patches[0].get_data()
    assert len(values) <= 62 and edges[-1] >= 400 and values.sum() == pytest.approx(1.0)


def test_figures_are_saved_with_their_numbers(found, tmp_path):
    panels = plots.traces(found, method="npe", ax=plots.canvas(rows=2, columns=1, width=8.2, height=2.4)[:, 0])
    numbers = found.numbers() | {"drawn": found.drawn()}
    path = plots.save(panels[0].figure, tmp_path / "a.png", numbers=numbers, caption="n = 2 traces, seed 1")
    read = json.loads(path.with_suffix(".json").read_text())
    assert np.shape(read["drawn"]["high"]) == (2, 200) and len(read["drawn"]["counts"]) == 60
    assert read["posterior"]["statistics"]["spikes"]["observed"] == found.spikes.sum()


def test_parameters_of_the_neuron_are_named_with_their_units():
    rng = np.random.default_rng(1)
    box = {p.name: p.bounds for p in MODEL.parameters}
    draws = arviz_base.from_dict({"posterior": {k: rng.uniform(*v, size=(2, 50)) for k, v in box.items()}})
    panels = plots.marginals({"npe": draws}, parameters=MODEL.parameters, truth=THETA, ax=plots.grid(6))
    assert [panel.get_xlabel() for panel in panels] == [
        *("$V_{th}$ (mV)", r"$\tau_m$ (ms)", "$g_L$ (nS)"), *("$V_{reset}$ (mV)", "$V_{init}$ (mV)", "$E_L$ (mV)")
    ]  # fmt: skip
    assert [bool(panel.get_legend()) for panel in panels] == [False, False, True, False, False, False]
    assert [panel.get_ylabel() for panel in panels[[0, 1, 3]]] == ["posterior density", "", "posterior density"]


def test_what_is_no_result_is_refused(found):
    for draw in (plots.traces, plots.spike_counts):
        with pytest.raises(DataError, match=r"expected a Traces, got dict\. Make one by diagnostics.traces"):
            draw({})
    with pytest.raises(DataError, match="ax must hold 2 axes"):
        plots.traces(found, ax=plots.grid(1))
