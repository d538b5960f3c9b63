"""Make the example data of the integrate-and-fire neuron, src/firstpassage/data/lif_recording.csv, and its truth.

    python scripts/make_lif_recording.py [--into FOLDER]

Three traces of one cell of 200 ms each, under a noisy current. The loop is written out in plain Python, step by step,
apart from the package's own simulator; voltages are rounded to .01 mV.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "src" / "firstpassage" / "data"
SEED = 200_020
TRACES = 3
TRUTH = {"V_th": -54.0, "tau_m": 9.0, "g_L": 9.5, "V_reset": -73.0, "V_init": -71.0, "E_L": -69.0}  # mV, ms, nS
CONSTANTS = {
    "T": 200.0, "dt": 0.2, "tref": 2.0, "I_mean": 200.0, "I_std": 50.0, "obs_noise_std": 1.0, "v_clip": [-100.0, 100.0],
}  # fmt: skip
COLUMNS = ("trace", "time", "voltage", "spikes")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=DATA)
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content.encode())
        print(folder / name)


def files() -> dict[str, str]:
    """Make the text of both files."""
    rng = np.random.default_rng(SEED)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number in range(1, TRACES + 1):
        writer.writerows((number, *row) for row in trace(rng, **TRUTH))
    known = {"truth": TRUTH, "seed": SEED, "traces": TRACES, "constants": CONSTANTS}
    return {"lif_recording.csv": table.getvalue(), "lif_recording.json": json.dumps(known, indent=1) + "\n"}


def trace(
    rng: np.random.Generator, *, V_th: float, tau_m: float, g_L: float, V_reset: float, V_init: float, E_L: float
) -> Iterator[tuple[str, str, int]]:
    """Go through one trace: time, observed voltage and spike of each sample."""
    c = CONSTANTS
    samples, held = round(c["T"] / c["dt"]), round(c["tref"] / c["dt"])
    v, refractory = V_init, 0
    for i in range(samples):
        spike = 0
        if i < samples - 1:
            if refractory > 0:
                v, refractory = V_reset, refractory - 1
            elif v >= V_th:
                spike, v, refractory = 1, V_reset, held
        yield f"{i * c['dt']:.1f}", f"{rng.normal(v, c['obs_noise_std']):.2f}", spike
        current = rng.normal(c["I_mean"], c["I_std"])
        v += c["dt"] / tau_m * (-(v - E_L) + current / g_L)
        v = min(max(v, c["v_clip"][0]), c["v_clip"][1])


if __name__ == "__main__":
    main()
