"""Priors whose bounds depend on each other, declared as data, with coordinates in which every draw obeys them.

A parameter may have to stay below another one by a gap: its prior is then a normal distribution cut off there. The
coordinates go the other way, from the lowest parameter of such a chain up: each lies between what the one below leaves
and its own upper end, and is mapped to the real line by the normal distribution function. Clipped parameters have the
logarithm's standard score as coordinate, so that all beyond a bound is the bound itself, an atom.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from firstpassage.errors import ModelError

Family = Literal["TruncatedNormal", "ClippedLogNormal"]

_EDGE = {4: 1e-6, 8: 1e-12}  # share of an interval that is kept free of each end, by bytes of a float
_ROUNDING = 1e-9  # of a gap, forgiven
_NARROWEST = 1e-3  # width of a span
_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """Describe the prior of one parameter, given those that were drawn before it.

    Parameters
    ----------
    name : str
        Of the parameter.
    family : {"TruncatedNormal", "ClippedLogNormal"}
        A normal distribution cut off at the bounds; or a log-normal one, clipped to them.
    location, scale : float
        Of the normal distribution, or of the logarithm.
    lower, upper : float
        Bounds.
    below : str, optional
        A parameter drawn before, below which this one stays. For truncated normals only.
    gap : float
        At least so far below it: the upper end is ``min(upper, theta[below] - gap)``.

    Raises
    ------
    ModelError
        If the numbers make no distribution.

    Examples
    --------
    >>> Conditional(name="x", family="TruncatedNormal", location=0.0, scale=1.0, lower=-1.0, upper=2.0).below is None
    True
    """

    name: str
    family: Family
    location: float
    scale: float
    lower: float
    upper: float
    below: str | None = None
    gap: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if self.family not in get_args(Family):
            raise ModelError(f"the prior of {self.name} must be {' or '.join(get_args(Family))}; got {self.family!r}.")
        for field in ("location", "scale", "lower", "upper", "gap"):
            object.__setattr__(self, field, _finite(self.name, field, getattr(self, field)))
        if self.scale <= 0 or self.lower >= self.upper or self.gap < 0:
            raise ModelError(
                f"the prior of {self.name} needs scale > 0, lower < upper and gap >= 0; got scale {self.scale:g}, "
                f"lower {self.lower:g}, upper {self.upper:g}, gap {self.gap:g}."
            )
        if self.family == "ClippedLogNormal" and (self.lower <= 0 or self.below is not None):
            raise ModelError(
                f"{self.name} has a log-normal prior: its lower bound must be positive and it cannot stay below "
                f"another parameter; got lower {self.lower:g}, below {self.below!r}."
            )


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Hold the joint prior of all parameters of a model.

    Coordinates are real numbers, one for each parameter, in the order of the names; every point of them is a parameter
    set that the prior allows.

    Parameters
    ----------
    conditionals : tuple of Conditional
        In the order of drawing.
    names : tuple of str
        In the order of the model's parameters.

    Raises
    ------
    ModelError
        If the names do not fit, or a parameter has no room below another one.

    Examples
    --------
    >>> high = Conditional(name="high", family="TruncatedNormal", location=0.0, scale=1.0, lower=-1.0, upper=2.0)
    >>> low = Conditional(name="low", family="TruncatedNormal", location=0.0, scale=1.0, lower=-3.0, upper=2.0,
    ...                   below="high", gap=0.5)
    >>> joint = Joint(conditionals=(high, low), names=("low", "high"))
    >>> theta = joint.parameters(joint.sample(100, np.random.default_rng(1)))
    >>> bool((theta["high"] - theta["low"] >= 0.5).all())
    True
    """

    conditionals: tuple[Conditional, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse names that do not fit, and intervals that may be empty."""
        drawn = [c.name for c in self.conditionals]
        if sorted(drawn) != sorted(self.names) or len(set(drawn)) != len(drawn) or not drawn:
            raise ModelError(
                f"a joint prior needs one conditional for each of {', '.join(self.names)}; got {', '.join(drawn)}."
            )
        for i, c in enumerate(self.conditionals):
            if c.below is None:
                continue
            if c.below not in drawn[:i]:
                raise ModelError(f"{c.name} stays below {c.below!r}, which must be drawn before it; got {drawn}.")
            _check_room(c, self.conditionals[drawn.index(c.below)])

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates, in the order of the parameters."""
        return tuple(f"z_{name}" for name in self.names)

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Lower bound and highest possible value of every parameter, in the order of the names."""
        found: dict[str, tuple[float, float]] = {}
        for c in self.conditionals:
            upper = c.upper if c.below is None else min(c.upper, found[c.below][1] - c.gap)
            found[c.name] = (c.lower, upper)
        return {name: found[name] for name in self.names}

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw from the prior, in its coordinates.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray, shape (n, coordinate), float64
            `parameters` turns them into parameters.
        """
        from scipy.special import log_ndtr, ndtri_exp

        theta: dict[str, np.ndarray] = {}
        scores: dict[str, np.ndarray] = {}
        for c in self.conditionals:
            if c.family == "ClippedLogNormal":
                scores[c.name] = rng.standard_normal(n)
                theta[c.name] = np.exp(c.location + c.scale * scores[c.name])
                continue
            share = rng.uniform(size=n)
            low, high, sign = _standard_ends(c, theta, np)
            with np.errstate(divide="ignore"):  # a share of 0
                log_share = np.logaddexp(np.log1p(-share) + log_ndtr(low), np.log(share) + log_ndtr(high))
            theta[c.name] = c.location + c.scale * sign * ndtri_exp(log_share)
        z = self.place(theta)
        for name, score in scores.items():
            z[:, self.names.index(name)] = score
        return z

    def parameters(self, z: Any) -> dict[str, Any]:
        """Turn coordinates into parameters.

        Parameters
        ----------
        z : ndarray or jax.Array, shape (..., coordinate)
            Any real numbers.

        Returns
        -------
        dict of str to ndarray or jax.Array, shape (...)
            Inside the prior's support, atoms exactly so; differentiable in JAX.
        """
        library, z = _library(z), _floating(z)
        edge = _EDGE[z.dtype.itemsize]
        theta: dict[str, Any] = {}
        for c in reversed(self.conditionals):
            u = z[..., self.names.index(c.name)]
            if c.family == "ClippedLogNormal":
                theta[c.name] = _clipped(c, u, library.np)
            else:
                low, high = self._interval(c, theta, library.np)
                theta[c.name] = low + (high - low) * library.np.clip(library.ndtr(u), edge, 1 - edge)
        return {name: theta[name] for name in self.names}

    def log_prob(self, z: Any) -> Any:
        """Evaluate the log density of the prior in its coordinates.

        Parameters
        ----------
        z : ndarray or jax.Array, shape (..., coordinate)
            Coordinates.

        Returns
        -------
        ndarray or jax.Array, shape (...)
            Nats; normalised over the coordinates.
        """
        library, z = _library(z), _floating(z)
        theta = self.parameters(z)
        total = -0.5 * library.np.sum(z**2, axis=-1) - len(self.names) * _LOG_ROOT_2_PI
        for c in self.conditionals:
            if c.family == "TruncatedNormal":
                low, high = self._interval(c, theta, library.np)
                total = total + _log_truncated(c, theta, library) + library.np.log(high - low)
        return total

    def place(self, theta: Mapping[str, Any]) -> Any:
        """Turn parameters into coordinates: the inverse of `parameters`.

        Parameters
        ----------
        theta : mapping of str to ndarray or jax.Array, shape (...)
            Inside the prior's support. What lies at or beyond the bound of a clipped parameter gets its coordinate.

        Returns
        -------
        ndarray or jax.Array, shape (..., coordinate)
            Finite.
        """
        values = {name: _floating(theta[name]) for name in self.names}
        library = _library(values[self.names[0]])
        columns = []
        for name in self.names:
            c, value = self._conditional(name), values[name]
            if c.family == "ClippedLogNormal":
                columns.append((library.np.log(library.np.clip(value, c.lower, c.upper)) - c.location) / c.scale)
                continue
            low, high = self._interval(c, values, library.np)
            edge = _EDGE[value.dtype.itemsize]
            columns.append(library.ndtri(library.np.clip((value - low) / (high - low), edge, 1 - edge)))
        return library.np.stack(columns, axis=-1)

    def spans(self, centre: np.ndarray, spread: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Give parameters at coordinates, and how wide a spread of the coordinates is in them.

        Parameters
        ----------
        centre, spread : ndarray, shape (..., coordinate)
            Coordinates, and their spread; positive.

        Returns
        -------
        dict of str to (ndarray, ndarray), shape (...)
            Value and width; the width is positive.
        """
        low, middle, high = (self.parameters(centre + side * spread) for side in (-1, 0, 1))
        return {name: (middle[name], np.maximum((high[name] - low[name]) / 2, _NARROWEST)) for name in self.names}

    def log_density(self, theta: Mapping[str, Any]) -> Any:
        """Evaluate the log prior of parameters.

        Parameters
        ----------
        theta : mapping of str to ndarray or jax.Array, shape (...)
            Parameter sets.

        Returns
        -------
        ndarray or jax.Array, shape (...)
            A density for all but clipped parameters at a bound, which count with the log of the mass there; -inf
            outside the support.
        """
        values = {name: _floating(theta[name]) for name in self.names}
        library = _library(values[self.names[0]])
        xp = library.np
        inside = xp.isfinite(sum(values.values()))
        for c in self.conditionals:
            inside = inside & (values[c.name] >= c.lower) & (values[c.name] <= self.bounds[c.name][1])
            if c.below is not None:
                inside = inside & (values[c.name] <= values[c.below] - c.gap + _ROUNDING)
        middle = {name: float(np.mean(self.bounds[name])) for name in self.names}
        safe = {c.name: xp.where(inside, values[c.name], self._within(c, middle)) for c in self.conditionals}
        each = {"ClippedLogNormal": _log_clipped, "TruncatedNormal": _log_truncated}
        return xp.where(inside, sum(each[c.family](c, safe, library) for c in self.conditionals), -xp.inf)

    def _conditional(self, name: str) -> Conditional:
        """Find the conditional of a parameter."""
        return next(c for c in self.conditionals if c.name == name)

    def _within(self, c: Conditional, middle: Mapping[str, float]) -> float:
        """Give a value that leaves room for those that stay below it."""
        return middle[c.name] if c.below is None else c.lower

    def _interval(self, c: Conditional, theta: Mapping[str, Any], xp: Any) -> tuple[Any, float]:
        """Give the interval of a parameter in the coordinates, given those that stay below it."""
        low: Any = c.lower
        for other in self.conditionals:
            if other.below == c.name:
                low = xp.maximum(low, theta[other.name] + other.gap)
        return low, self.bounds[c.name][1]


class _Library(NamedTuple):
    """NumPy with SciPy, or their likes in JAX."""

    np: Any
    ndtr: Any
    ndtri: Any
    log_ndtr: Any


def _library(z: Any) -> _Library:
    """Choose the library by the type of an array."""
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(z, jax.Array):
        import jax.numpy as jnp
        from jax.scipy import special as in_jax

        return _Library(jnp, in_jax.ndtr, in_jax.ndtri, in_jax.log_ndtr)
    from scipy import special

    return _Library(np, special.ndtr, special.ndtri, special.log_ndtr)


def _floating(z: Any) -> Any:
    """Give an array of NumPy in float64; leave one of JAX as it is."""
    jax = sys.modules.get("jax")
    return z if jax is not None and isinstance(z, jax.Array) else np.asarray(z, dtype=np.float64)


def _clipped(c: Conditional, u: Any, xp: Any) -> Any:
    """Give a clipped parameter: exactly the bound from the coordinate of the bound on."""
    low, high = ((math.log(bound) - c.location) / c.scale for bound in (c.lower, c.upper))
    value = xp.exp(c.location + c.scale * xp.clip(u, low, high))  # clipped before exp: no overflow, finite gradient
    return xp.where(u >= high, c.upper, xp.where(u <= low, c.lower, xp.clip(value, c.lower, c.upper)))


def _log_clipped(c: Conditional, theta: Mapping[str, Any], library: _Library) -> Any:
    """Give the log density of a clipped parameter, or the log mass at its bounds."""
    xp, value = library.np, theta[c.name]
    low, high = ((math.log(bound) - c.location) / c.scale for bound in (c.lower, c.upper))
    log_value = xp.log(value)
    score = (log_value - c.location) / c.scale
    density = -0.5 * score**2 - math.log(c.scale) - _LOG_ROOT_2_PI - log_value
    atoms = [math.log(0.5 * math.erfc(-end / math.sqrt(2))) if end > -35 else -math.inf for end in (low, -high)]
    return xp.where(value <= c.lower, atoms[0], xp.where(value >= c.upper, atoms[1], density))


def _standard_ends(c: Conditional, theta: Mapping[str, Any], xp: Any) -> tuple[Any, Any, Any]:
    """Give both ends of a truncated normal in its standard scores, mirrored to the side where tails are accurate."""
    upper = c.upper if c.below is None else xp.minimum(c.upper, theta[c.below] - c.gap)
    low, high = (c.lower - c.location) / c.scale, (upper - c.location) / c.scale
    return (-high, -low, -1.0) if low > 0 else (low, high, 1.0)


def _log_truncated(c: Conditional, theta: Mapping[str, Any], library: _Library) -> Any:
    """Give the log density of a truncated normal, given the parameter below which it stays."""
    low, high, _ = _standard_ends(c, theta, library.np)
    log_low, log_high = (library.log_ndtr(library.np.asarray(end, dtype=theta[c.name].dtype)) for end in (low, high))
    log_mass = log_high + library.np.log1p(-library.np.exp(log_low - log_high))
    score = (theta[c.name] - c.location) / c.scale
    return -0.5 * score**2 - math.log(c.scale) - _LOG_ROOT_2_PI - log_mass


def _check_room(c: Conditional, above: Conditional) -> None:
    """Refuse a parameter that has no room below another one wherever that may be."""
    highest = min(c.upper, above.lower - c.gap)
    if highest <= c.lower:
        raise ModelError(
            f"the prior cannot be satisfied: with {above.name} at its lower bound {above.lower:g}, {c.name} must lie "
            f"between {c.lower:g} and {highest:g}. Lower the lower bound of {c.name}, or raise that of {above.name}."
        )


def _finite(name: str, field: str, value: Any) -> float:
    """Return a finite number as a float."""
    if isinstance(value, (bool, str)) or not np.isscalar(value) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ModelError(f"{field} of the prior of {name} must be a finite number; got {value!r}.")
    return float(value)  # type: ignore[arg-type]
