"""The models that this package brings, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from firstpassage.errors import ModelError
from firstpassage.models.model import Model

NAMES = ("ddm", "foraging", "lif", "gaussian", "poisson")


def make(name: str, *, bounds: Mapping[str, tuple[float, float]] | None = None, **settings: Any) -> Model:
    """Make a model by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    bounds : mapping of str to (float, float), optional
        Other bounds of the box than the model's own.
    **settings
        Constants of the model.

    Returns
    -------
    Model
        As the factory of that name makes it.

    Raises
    ------
    ModelError
        If there is no such model, or it does not take these settings.

    Examples
    --------
    >>> make("ddm").name
    'ddm'
    """
    if name not in NAMES:
        raise ModelError(f"there is no model {name!r}; the models are {', '.join(NAMES)}.")
    factory: Callable[..., Model] = getattr(import_module(f"firstpassage.models.{name}"), name)
    try:
        return factory(bounds=bounds, **settings)
    except TypeError:
        raise ModelError(f"{name} does not take the settings {sorted(settings)}.") from None
