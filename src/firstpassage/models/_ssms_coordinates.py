"""Coordinates in which networks learn the choices and times of a model of which only a simulator is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstpassage.models.records import Mixed, Symmetry

_SHORTEST = 1e-6  # s, of a decision: keeps logarithms finite where the data are impossible


@dataclass(frozen=True, eq=False, kw_only=True)
class Coordinates:
    """Measure times from the earliest possible one, on a logarithmic scale, and choices by indicators.

    Parameters
    ----------
    features : tuple of str
        Parameters that matter but for the earliest time.
    positive : tuple of str
        Those of them that are positive throughout the box.
    codes : tuple of float
        Of the choices.
    earliest : tuple of (str, float)
        Parameters and weights whose sum every response time exceeds; empty for 0.
    """

    features: tuple[str, ...]
    positive: tuple[str, ...]
    codes: tuple[float, ...]
    earliest: tuple[tuple[str, float], ...]

    def symmetry(self) -> Symmetry:
        """Give a ratio network log times, and the change of units that belongs to them."""
        return Symmetry(
            invariants=self._invariants, log_scale=self._log_scale, evidence=self._evidence, possible=self._possible
        )

    def mixed(self) -> Mixed:
        """Split a trial into the choice and the log time."""
        return Mixed(
            categories=self.codes, category=_response, features=self._of_category, value=self._value,
            inverse=self._inverse, possible=self._possible,
        )  # fmt: skip

    def _start(self, theta: Mapping[str, Any]) -> Any:
        """Add up the earliest time."""
        return sum(weight * theta[name] for name, weight in self.earliest) if self.earliest else 0.0

    def _time(self, x: Any, theta: Mapping[str, Any]) -> Any:
        """Give the time since the earliest one."""
        import jax.numpy as jnp

        return jnp.maximum(x[..., 0] - self._start(theta), _SHORTEST)

    def _values(self, theta: Mapping[str, Any]) -> list[Any]:
        """Give the parameters, the logs of positive ones, and the products of two, which many models depend on."""
        import jax.numpy as jnp

        values = [theta[name] for name in self.features]
        products = [a * b for i, a in enumerate(values) for b in values[:i]]
        return [*values, *(jnp.log(theta[name]) for name in self.positive), *products]

    def _indicators(self, category: Any) -> list[Any]:
        """Tell the choice by one number for each code but the first."""
        import jax.numpy as jnp

        category = jnp.asarray(category)
        return [jnp.where(category == code, 1.0, -1.0) for code in self.codes[1:]]

    def _invariants(self, x: Any, theta: Mapping[str, Any]) -> Any:
        """Put parameters, the log time and the choice side by side; the products let a small network tell choices."""
        import jax.numpy as jnp

        choice, time = self._indicators(x[..., 1]), self._time(x, theta)
        products = [theta[name] * own for name in self.features for own in choice]
        columns = [*self._values(theta), *products, *choice, jnp.log(time), jnp.sqrt(time), time / (1 + time)]
        return _side_by_side(columns)

    def _log_scale(self, x: Any, theta: Mapping[str, Any]) -> Any:
        """Give the log Jacobian of the log time."""
        import jax.numpy as jnp

        return -jnp.log(self._time(x, theta))

    def _evidence(self, x: Any) -> Any:
        """Give smooth coordinates of the data alone."""
        import jax.numpy as jnp

        rt = x[..., 0]
        return _side_by_side([jnp.log(rt + 0.05), rt / 2, jnp.sqrt(rt), jnp.exp(-rt), *self._indicators(x[..., 1])])

    def _possible(self, x: Any, theta: Mapping[str, Any]) -> Any:
        """Tell where the response comes after the earliest time."""
        return x[..., 0] > self._start(theta)

    def _of_category(self, theta: Mapping[str, Any], category: Any) -> Any:
        """Put parameters, the choice and their products side by side."""
        choice = self._indicators(category)
        products = (theta[name] * own for name in self.features for own in choice)
        return _side_by_side([*self._values(theta), *products, *choice])

    def _value(self, x: Any, theta: Mapping[str, Any]) -> tuple[Any, Any]:
        """Give the log time and its log Jacobian."""
        import jax.numpy as jnp

        u = jnp.log(self._time(x, theta))
        return u, -u

    def _inverse(self, u: Any, category: Any, theta: Mapping[str, Any]) -> Any:
        """Undo `_value`: rt and response."""
        import jax.numpy as jnp

        rt = self._start(theta) + jnp.exp(u)
        return _side_by_side([rt, jnp.asarray(category, rt.dtype)])


def summary(x: np.ndarray, *, codes: tuple[float, ...]) -> np.ndarray:
    """Summarise sets of choices (dataset, trial, 2): each choice against the others."""
    from firstpassage.models import choice_summary

    own = codes[-1:] if len(codes) == 2 else codes
    parts = [np.stack([x[..., 0], np.where(x[..., 1] == code, 1.0, -1.0)], axis=-1) for code in own]
    return np.concatenate([choice_summary.summary(part) for part in parts], axis=1)


def _response(x: Any) -> Any:
    """Give the response."""
    return x[..., 1]


def _side_by_side(columns: list[Any]) -> Any:
    """Stack columns that broadcast."""
    import jax.numpy as jnp

    return jnp.stack(jnp.broadcast_arrays(*columns), axis=-1)
