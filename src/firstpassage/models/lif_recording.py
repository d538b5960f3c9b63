"""Settings of a recording from the leaky integrate-and-fire neuron: duration, time step, injected current, noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from firstpassage.errors import ModelError

_WHOLE = 1e-6  # of a time step, by which a duration may miss a whole number of them


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Say how long a trace is, how finely it is sampled, what current is injected and how the voltage is observed.

    Parameters
    ----------
    T : float, ms
        Duration of a trace, a multiple of `dt`.
    dt : float, ms
        Time step, of the model and of the samples.
    tref : float, ms
        Refractory time after a spike, a multiple of `dt`.
    I_mean : float, pA
        Mean of the injected current, where no stimulus is given.
    I_std : float, pA
        Standard deviation of the current around its mean or the stimulus: drawn afresh at every step, not observed. 0
        is a current without noise.
    obs_noise_std : float, mV
        Standard deviation of the noise on the observed voltage.
    v_clip : (float, float), mV
        The voltage of the membrane is clipped to this range.
    stimulus : array_like, shape (sample,) or (condition, sample), pA, optional
        Injected current at every step, in place of `I_mean`. Traces of a cell take the conditions in turn.

    Raises
    ------
    ModelError
        If a setting cannot be.

    Examples
    --------
    >>> Recording(T=100.0).samples
    500
    """

    T: float = 200.0
    dt: float = 0.2
    tref: float = 2.0
    I_mean: float = 200.0
    I_std: float = 50.0
    obs_noise_std: float = 1.0
    v_clip: tuple[float, float] = (-100.0, 100.0)
    stimulus: Any = None  # held as a tuple of conditions, each a tuple of pA, so that recordings compare and hash

    def __post_init__(self) -> None:
        """Refuse settings of no recording."""
        for name in (field.name for field in fields(self) if field.type == "float"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        object.__setattr__(self, "v_clip", _range(self.v_clip))
        _require(self.dt > 0, "dt", self.dt, "a positive time in ms")
        _require(self.T > 0, "T", self.T, "a positive time in ms")
        _require(self.tref >= 0, "tref", self.tref, "a time in ms, at least 0")
        _require(self.I_std >= 0, "I_std", self.I_std, "a current in pA, at least 0")
        _require(self.obs_noise_std > 0, "obs_noise_std", self.obs_noise_std, "a positive voltage in mV")
        for name in ("T", "tref"):
            steps = getattr(self, name) / self.dt
            _require(
                abs(steps - round(steps)) <= _WHOLE * max(1.0, steps), name, getattr(self, name),
                f"a multiple of dt={self.dt:g} ms",
            )  # fmt: skip
        _require(self.samples >= 3, "T", self.T, f"at least three time steps of dt={self.dt:g} ms")
        _require(self.refractory < self.samples, "tref", self.tref, f"shorter than T={self.T:g} ms")
        if self.stimulus is not None:
            object.__setattr__(self, "stimulus", _stimulus(self.stimulus, self.samples))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Recording:
        """Make a recording of the settings of a model, which may hold others as well.

        Parameters
        ----------
        settings : mapping
            Such as ``fp.lif().settings``.

        Returns
        -------
        Recording
            Of those that belong to it.
        """
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    @property
    def samples(self) -> int:
        """Samples of a trace."""
        return round(self.T / self.dt)

    @property
    def refractory(self) -> int:
        """Time steps of the refractory time."""
        return round(self.tref / self.dt)

    @property
    def conditions(self) -> int:
        """Stimulus conditions; 1 without a stimulus."""
        return 1 if self.stimulus is None else len(self.stimulus)

    @property
    def blocks(self) -> int:
        """Blocks of as many columns as there are samples in a row of the data: voltage, spikes, and the stimulus."""
        return 2 if self.stimulus is None else 3

    @property
    def currents(self) -> np.ndarray:
        """Mean current of each step, shape (condition, sample), in pA."""
        if self.stimulus is None:
            return np.full((1, self.samples), self.I_mean)
        return np.array(self.stimulus, dtype=np.float64)

    @property
    def constants(self) -> dict[str, Any]:
        """Constants as the densities take them: dt (ms), refractory (steps), currents (pA), voltages (mV)."""
        low, high = self.v_clip
        return {
            "dt": self.dt, "refractory": self.refractory, "I_mean": self.I_mean, "I_std": self.I_std,
            "noise_std": self.obs_noise_std, "v_low": low, "v_high": high,
        }  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        made = {field.name: getattr(self, field.name) for field in fields(self)}
        stimulus = None if self.stimulus is None else [list(row) for row in self.stimulus]
        return made | {"v_clip": list(self.v_clip), "stimulus": stimulus}


def _number(name: str, value: Any) -> float:
    """Return a finite number as a float."""
    if isinstance(value, (bool, str)) or not np.isscalar(value) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ModelError(f"{name} must be a finite number; got {value!r}. See Recording for its unit.")
    return float(value)  # type: ignore[arg-type]


def _require(holds: bool, name: str, value: float, expected: str) -> None:
    """Refuse a setting out of its range."""
    if not holds:
        raise ModelError(f"{name} must be {expected}; got {value:g}. See Recording for the usual value.")


def _range(given: Any) -> tuple[float, float]:
    """Check the range of the membrane's voltage."""
    try:
        low, high = (_number("v_clip", value) for value in given)
    except (TypeError, ValueError):
        raise ModelError(f"v_clip must be two voltages in mV (lower, upper); got {given!r}.") from None
    _require(low < high, "the upper end of v_clip", high, f"above its lower end {low:g} mV")
    return low, high


def _stimulus(given: Any, samples: int) -> tuple[tuple[float, ...], ...]:
    """Check a stimulus: currents in pA of each step, of one condition or several."""
    try:
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"stimulus must be currents in pA; got {given!r:.60}.") from None
    if array.ndim not in (1, 2) or array.size == 0 or array.shape[-1] != samples:
        raise ModelError(
            f"stimulus must have shape ({samples},) or (condition, {samples}), one current in pA for each step of dt "
            f"in T; got {array.shape}. Cut or resample it, or change T."
        )
    bad = ~np.isfinite(array)
    if bad.any():
        raise ModelError(f"stimulus must be finite; {int(bad.sum())} of {bad.size} currents are not.")
    return tuple(tuple(row) for row in np.atleast_2d(array).tolist())
