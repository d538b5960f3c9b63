"""Design: the size of a calibration study, which every report repeats."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from firstpassage.models import plain

if TYPE_CHECKING:
    from firstpassage.models.model import Model

_SMALL = "trials"  # of which data sets have many


@dataclass(frozen=True, kw_only=True)
class Design:
    """Say what was simulated and sampled, in numbers that go into every report.

    Parameters
    ----------
    model, kind : str
        Name of the model, and what the sampler is.
    datasets, draws : int
        Numbers of data sets, and of draws kept for each.
    trials : (int, int)
        Fewest and most trials of a data set.
    seed : int
        Of everything.
    prior : str
        Which prior truths and posterior have.
    short : int
        Data sets with an effective sample size below `draws`.
    ess, r_hat : float
        Smallest effective sample size and largest R-hat over the data sets; NaN for independent draws.
    seconds : float
        Wall time of the sampling.
    unit : str
        What the trials are called.
    """

    model: str
    kind: str
    datasets: int
    draws: int
    trials: tuple[int, int]
    seed: int
    prior: str
    short: int
    ess: float
    r_hat: float
    seconds: float
    unit: str = "trials"

    def numbers(self) -> dict[str, Any]:
        """List the fields for a JSON file.

        Returns
        -------
        dict
            By name.
        """
        return asdict(self)

    @property
    def words(self) -> str:
        """Say the size in words, with a warning where draws are not independent."""
        low, high = self.trials
        size = f"{low}" if low == high else f"{low} to {high}"
        unit = self.unit.removesuffix("s") if high == 1 else self.unit
        text = f"{self.datasets} data sets of {size} {unit}, {self.draws} draws each"
        if self.short:
            text += f" ({self.short} data sets have an ESS below {self.draws})"
        return text


def unit(model: Model) -> str:
    """Name the trials of a model in reports."""
    trial = plain.schema(model).trial
    return f"{trial}s" if trial in ("window", "trace") else _SMALL
