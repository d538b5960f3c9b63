"""Example data that come with the package: small, simulated, their truth known."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING

from firstpassage.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_FILES = {"foraging": "foraging_session", "lif": "lif_recording"}
NAMES = tuple(_FILES)


def example(name: str) -> pd.DataFrame:
    """Read example data.

    Parameters
    ----------
    name : {"foraging", "lif"}
        "foraging": sites of one mouse in patches of two odours, columns session, patch, odor, patch_time (in units of
        88.73 cm), reward, stop; the end of each session cuts off a visit. "lif": three traces of one neuron, columns
        trace, time (ms), voltage (mV), spikes (0 or 1).

    Returns
    -------
    DataFrame
        ``.attrs`` hold the parameters that made it, for foraging by odor, under ``"truth"``, and the ``"seed"``.

    Raises
    ------
    DataError
        If there is no such example.

    Examples
    --------
    >>> sites = example("foraging")
    >>> sites.attrs["truth"]["A"]["drift_rate"]
    0.25
    """
    if name not in NAMES:
        raise DataError(f"there is no example {name!r}; the examples are: {', '.join(NAMES)}.")
    import pandas as pd

    folder = resources.files("firstpassage") / "data"
    with (folder / f"{_FILES[name]}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    table.attrs.update(json.loads((folder / f"{_FILES[name]}.json").read_text(encoding="utf-8")))
    return table
