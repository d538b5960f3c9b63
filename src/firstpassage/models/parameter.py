"""Parameter: the one record from which order, adapters, labels, priors and checks derive."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any

from firstpassage import _priors
from firstpassage.errors import ModelError

_TAKEN = frozenset({"data", "trials", "seed", "name", "likelihood", "observed", "self", "dataset", "batch_shape"})
_LEAST = 1e-3  # share of a prior that its bounds must hold: the rest is drawn in vain


@dataclass(frozen=True)
class Parameter:
    """Describe one parameter of a model.

    Parameters
    ----------
    name : str
        A Python identifier, such as ``"v"``.
    bounds : (float, float)
        The training box: finite, lower below upper, in the parameter's unit.
    prior : distribution, optional
        A NumPyro distribution, a PyMC one such as ``pm.Normal.dist(0, 1)``, or any object with ``sample(n, rng)`` and
        a ``log_prob`` in JAX (and ``support``, two ends, if it has any). None is uniform on the bounds.
    truncate : bool
        Cut the prior to the bounds, with its density normalised there. Else draws outside of them are errors.
    symbol : str, optional
        For axis labels, TeX allowed; the name if None.
    unit : str, optional
        For axis labels, such as ``"s"``.

    Raises
    ------
    ModelError
        If the name or the bounds cannot be used.

    Examples
    --------
    >>> Parameter("v", bounds=(-3, 3), unit="1/s").label
    'v (1/s)'
    """

    name: str
    _: KW_ONLY
    bounds: tuple[float, float]
    prior: Any = None
    truncate: bool = False
    symbol: str | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        """Refuse names and bounds that cannot be used."""
        name = self.name
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ModelError(f"a parameter's name must be a Python identifier; got {name!r}. Use one such as 'drift'.")
        if name in _TAKEN:
            raise ModelError(f"a parameter cannot be called {name!r}, an argument has that name. Use another.")
        object.__setattr__(self, "bounds", _bounds(name, self.bounds))
        object.__setattr__(self, "prior", _priors.scalar(name, self.prior))
        if self.truncate and self.prior is not None and not self.log_mass > math.log(_LEAST):
            raise ModelError(
                f"the prior of {name} must have at least {_LEAST:g} of its mass in the bounds {self.bounds} to be cut "
                "to them; got less. Widen the bounds, or choose another prior."
            )

    @cached_property
    def log_mass(self) -> float:
        """Log of the share of the prior that the bounds hold, where it is cut to them; else 0."""
        if self.prior is None or not self.truncate:
            return 0.0
        return math.log(max(_priors.mass(self.prior, self.bounds), 1e-300))

    @property
    def label(self) -> str:
        """Axis label: symbol (unit)."""
        symbol = self.symbol or self.name
        return f"{symbol} ({self.unit})" if self.unit else symbol


def with_bounds(
    parameters: Sequence[Parameter], bounds: Mapping[str, tuple[float, float]], *, model: str
) -> tuple[Parameter, ...]:
    """Replace bounds by name.

    Parameters
    ----------
    parameters : sequence of Parameter
        Those of the model.
    bounds : mapping of str to (float, float)
        Other bounds, for some of them.
    model : str
        Its name, for the error.

    Returns
    -------
    tuple of Parameter
        In the same order.

    Raises
    ------
    ModelError
        If a name is unknown, or bounds are no interval.

    Examples
    --------
    >>> with_bounds([Parameter("v", bounds=(-3, 3))], {"v": (0, 1)}, model="ddm")[0].bounds
    (0.0, 1.0)
    """
    names = [p.name for p in parameters]
    unknown = sorted(set(bounds) - set(names))
    if unknown:
        raise ModelError(f"bounds name {unknown}; the parameters of {model} are {', '.join(names)}.")
    return tuple(replace(p, bounds=bounds.get(p.name, p.bounds)) for p in parameters)


def _bounds(name: str, bounds: Any) -> tuple[float, float]:
    """Check a pair of bounds."""
    try:
        low, high = (float(b) for b in bounds)
    except (TypeError, ValueError):
        raise ModelError(f"the bounds of {name} must be two numbers (lower, upper); got {bounds!r}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ModelError(f"the bounds of {name} must be finite with lower < upper; got ({low}, {high}).")
    return low, high
