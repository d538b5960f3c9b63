"""What was learned in rounds belongs to one observation: its digest, a warning at any other, the narrowed box."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firstpassage.errors import DataWarning

if TYPE_CHECKING:
    from firstpassage.estimators.posterior import Posterior
    from firstpassage.likelihood import Likelihood

_SHOWN = 8  # characters of a digest in a message


def digest(x: np.ndarray) -> str:
    """Compute the digest of the data of one subject, as `read` returns them."""
    values = np.ascontiguousarray(x, dtype=np.float64)
    return hashlib.sha256(f"{values.shape} ".encode() + values.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class ReadOne:
    """Read data, and warn where they are not the ones that the rounds were made for.

    Parameters
    ----------
    read : callable
        Of the model.
    observed : str
        The digest of the observed data.
    """

    read: Callable[[Any], np.ndarray]
    observed: str

    def __call__(self, data: Any) -> np.ndarray:
        """Give what the model's own function gives."""
        x = self.read(data)
        found = digest(x)
        if found != self.observed:
            warnings.warn(
                f"this estimator was trained in rounds for one data set (digest {self.observed[:_SHOWN]}); got another "
                f"one ({found[:_SHOWN]}), for which it may be wrong. Train with observed=... for it, or with rounds=1 "
                "for all data.",
                DataWarning,
                stacklevel=3,
            )
        return x


def bound(learned: Likelihood | Posterior, card: Mapping[str, Any]) -> Any:
    """Bind what was learned in rounds to its observation; anything else stays as it is."""
    rounds = card.get("rounds")
    if rounds is None:
        return learned
    box = rounds["box"] or {}
    parameters = tuple(
        replace(p, bounds=tuple(box[p.name])) if p.name in box else p for p in learned.parameters
    )  # fmt: skip
    return replace(learned, read=ReadOne(learned.read, rounds["observed"]), parameters=parameters)
