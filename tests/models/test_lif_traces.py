"""Traces as users have them: read, checked with one clear error each, spikes detected where the voltage falls."""

import numpy as np
import pandas as pd
import pytest

import firstpassage as fp
from firstpassage.errors import DataError
from firstpassage.models import lif_traces
from firstpassage.models.lif_recording import Recording

RECORDING = Recording()


@pytest.fixture(scope="module")
def simulated():
    """300 cells of the prior, one trace each: (cell, sample)."""
    model = fp.lif()
    theta = model.prior(300, seed=1)
    made = model.likelihood(theta, seed=2)
    return theta, made["voltage"][:, 0].astype(float), made["spikes"][:, 0].astype(float)


@pytest.fixture
def cell():
    """Two traces with two spikes each, 10 ms apart."""
    spikes = np.zeros((2, 1000))
    spikes[:, [300, 350]] = 1.0
    rng = np.random.default_rng(1)
    return {"voltage": rng.normal(-65.0, 1.0, (2, 1000)), "spikes": spikes}


def read(data, recording=RECORDING):
    return lif_traces.read(data, recording=recording)


def as_table(cell):
    traces = len(cell["voltage"])
    return pd.DataFrame({
        "trace": np.repeat(np.arange(1, traces + 1), 1000), "time": np.tile(np.arange(1000) * 0.2, traces),
        "voltage": cell["voltage"].ravel(), "spikes": cell["spikes"].ravel().astype(int),
        "depth": np.repeat([1.5, 2.5][:traces], 1000), "drift": np.arange(1000 * traces),
    })  # fmt: skip


def test_all_forms_of_the_same_data_are_read_alike(cell):
    x = read(cell)
    assert x.shape == (2, 2000)
    assert np.array_equal(x[:, :1000], cell["voltage"])
    assert np.array_equal(x[:, 1000:], cell["spikes"])
    with_channel = {name: value[..., None] for name, value in cell.items()}
    for form in (x, with_channel, as_table(cell), {"voltage": cell["voltage"].tolist(), "spikes": cell["spikes"] > 0}):
        assert np.array_equal(read(form), x)
    first = {name: value[0] for name, value in cell.items()}
    assert np.array_equal(read(first), x[:1])
    assert np.array_equal(read(as_table(cell).iloc[:1000].drop(columns=["trace", "time"])), x[:1])


def test_traces_are_listed_with_what_is_constant_in_each(cell):
    listed = lif_traces.table(as_table(cell), recording=RECORDING)
    assert listed["trace"].tolist() == [1, 2]
    assert listed["depth"].tolist() == [1.5, 2.5]
    assert listed["spikes"].tolist() == [2, 2]
    assert np.allclose(listed["first_spike"], 60.0)
    assert np.allclose(listed["mean_voltage"], cell["voltage"].mean(axis=1))
    assert "drift" not in listed
    silent = {**cell, "spikes": np.zeros((2, 1000))}
    assert lif_traces.table(silent, recording=RECORDING)["first_spike"].isna().all()


def changed(name, place, value):
    def change(cell):
        cell[name][place] = value
        return cell

    return change


BAD = {
    "one sample is NaN": (changed("voltage", (1, 17), np.nan), "1 of 2000 samples are not .first: trace 1, sample 17"),
    "infinite": (changed("voltage", (0, 3), np.inf), "trace 0, sample 3, inf"),
    "volts": (lambda cell: {**cell, "voltage": cell["voltage"] / 1000}, "looks like volts. Multiply by 1000"),
    "microvolts": (lambda cell: {**cell, "voltage": cell["voltage"] * 1000}, "looks like microvolts"),
    "a spike is 2": (changed("spikes", (0, 5), 2.0), "1 of 2000 are not .first: trace 0, sample 5, 2"),
    "a spike is NaN": (changed("spikes", (1, 5), np.nan), "spikes must be 0 or 1 .*trace 1, sample 5, nan"),
    "spikes are times": (lambda cell: {**cell, "spikes": [[60.0, 70.0]] * 2}, "spikes must have 1000 samples"),
    "refractory": (
        changed("spikes", (1, 310), 1.0),
        "a spike at sample 310 of trace 1 lies 2 ms after the one at sample 300, inside the refractory time of 2 ms",
    ),
    "spike at the end": (changed("spikes", (0, 999), 1.0), r"at the last sample.*trace 0, sample 999\)"),
    "spike at the start": (changed("spikes", (1, 0), 1.0), r"at the first sample.*trace 1, sample 0\)"),
    "too short": (lambda cell: {k: v[:, :-1] for k, v in cell.items()}, "must have 1000 samples.*got 999"),
    "too long": (lambda cell: {k: np.tile(v, 2) for k, v in cell.items()}, "got 2000.*fp.lif.T=400"),
    "other shapes": (lambda cell: {**cell, "spikes": cell["spikes"][:1]}, r"must have one shape; got \(2, 1000\) and"),
    "four axes": (lambda cell: {**cell, "voltage": cell["voltage"][None, :, :, None]}, r"must have shape \(sample,\)"),
    "empty": (lambda cell: {"voltage": [], "spikes": []}, "voltage is empty"),
    "no traces": (lambda cell: {k: v[:0] for k, v in cell.items()}, "voltage is empty"),
    "no spikes": (lambda cell: {"voltage": cell["voltage"]}, "data have no spikes.*detect_spikes"),
    "no voltage": (lambda cell: {"spikes": cell["spikes"]}, "data must have voltage and spikes"),
    "unknown names": (lambda cell: {**cell, "current": 1}, "data may have voltage, spikes.*got also current"),
    "text": (lambda cell: {**cell, "voltage": [["-70"] * 1000] * 2}, "voltage must be numbers"),
    "ragged": (lambda cell: {**cell, "voltage": [[-70.0] * 1000, [-70.0] * 999]}, "equally many in each trace"),
    "booleans": (lambda cell: {**cell, "voltage": cell["voltage"] > 0}, "voltage must be numbers"),
    "complex": (lambda cell: {**cell, "voltage": cell["voltage"] + 0j}, "voltage must be numbers"),
    "masked": (
        lambda cell: {**cell, "voltage": np.ma.masked_greater(cell["voltage"], -65.0)}, "no masked values",
    ),
    "a condition without stimulus": (lambda cell: {**cell, "condition": [0, 1]}, "data have a stimulus, but the model"),
    "an array": (lambda cell: cell["voltage"], "Name its parts"),
    "nothing": (lambda cell: None, "got NoneType"),
    "an empty table": (lambda cell: as_table(cell).iloc[:0], "the table is empty"),
    "an uneven table": (lambda cell: as_table(cell).iloc[:-1], r"equally many samples; they have \[1000, 999\]"),
    "other times": (lambda cell: as_table(cell).assign(time=lambda t: t["time"] / 9), "time must go on by dt=0.2 ms"),
    "traces unnamed": (lambda cell: as_table(cell).drop(columns="trace"), "time must go on by dt=0.2 ms"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_data_are_refused(cell, name):
    change, words = BAD[name]
    with pytest.raises(DataError, match=words):
        read(change(cell))


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"condition": [0, 2]}, "condition must be a whole number from 0 to 1"),
        ({"condition": [0]}, "for each of 2 traces"),
        ({"stimulus": np.zeros(1000)}, "stimulus must be finite currents in pA, of the shape of voltage"),
        ({"stimulus": np.full((2, 1000), np.nan)}, "stimulus must be finite"),
    ],
)
def test_bad_stimuli_are_refused(cell, further, words):
    recording = Recording(stimulus=np.zeros((2, 1000)))
    assert read(cell, recording).shape == (2, 3000)
    with pytest.raises(DataError, match=words):
        read({**cell, **further}, recording)


def test_a_spike_just_after_the_refractory_time_is_possible(cell):
    cell["spikes"][1, 311] = 1.0
    assert read(cell)[1, 1000:].sum() == 3
    with pytest.raises(DataError, match="a spike at sample 311 of trace 1 lies 2.2 ms"):
        read(cell, Recording(tref=2.2))


def test_detected_spikes_are_the_true_ones(simulated):
    """Under the reference prior, with 1 mV of noise, hardly any spike is missed, misplaced or made up."""
    _, voltage, spikes = simulated
    found = lif_traces.detect_spikes(voltage, RECORDING)
    assert spikes.sum() > 2500
    assert np.abs(found - spikes).sum() <= 2
    read({"voltage": voltage, "spikes": found})


def test_spikes_are_detected_in_more_noise_and_near_the_end(simulated):
    _, voltage, spikes = simulated
    noisy = voltage[:100] + np.random.default_rng(3).normal(0.0, np.sqrt(3.0), voltage[:100].shape)  # 2 mV in all
    found = lif_traces.detect_spikes(noisy, Recording(obs_noise_std=2.0))
    assert (found * spikes[:100]).sum() > 0.97 * spikes[:100].sum()
    assert (found * (1 - spikes[:100])).sum() < 0.03 * spikes[:100].sum()
    trace = int(spikes.sum(axis=1).argmax())
    last = int(np.flatnonzero(spikes[trace])[-1])
    assert lif_traces.detect_spikes(voltage[trace, : last + 2], RECORDING)[last] == 1


def test_no_spikes_are_detected_where_there_are_none(simulated):
    theta, voltage, spikes = simulated
    silent = spikes.sum(axis=1) == 0
    assert silent.sum() > 5
    assert not lif_traces.detect_spikes(voltage[silent], RECORDING).any()
    assert not lif_traces.detect_spikes(np.full(50, -70.0), RECORDING).any()
    del theta


def test_settings_of_a_model_will_do_for_detection(simulated):
    _, voltage, _ = simulated
    settings = fp.lif().settings
    found = lif_traces.detect_spikes(voltage[0], settings)
    assert found.shape == (1000,)
    assert np.array_equal(found, lif_traces.detect_spikes(voltage[:1], RECORDING)[0])
    with pytest.raises(DataError, match="sample 4"):
        lif_traces.detect_spikes([-70.0] * 4 + [np.nan], settings)
    with pytest.raises(DataError, match="looks like volts"):
        lif_traces.detect_spikes(voltage[0] / 1000, settings)
    with pytest.raises(DataError, match="voltage must have shape"):
        lif_traces.detect_spikes([], settings)


def test_cells_are_read_one_by_one(cell):
    """A list of cells is many data sets, and errors name the cell."""
    model = fp.lif()
    bad = {**cell, "voltage": cell["voltage"] / 1000}
    with pytest.raises(DataError, match=r"data set 1.*looks like volts"):
        model.exact.sample([cell, bad], draws=10, seed=1)
