"""Any sequential sampling model of ssm-simulators by its name: a simulator, without an exact likelihood.

References
----------
ssm-simulators (Fengler and contributors), https://github.com/lnccbrown/ssm-simulators.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from firstpassage.errors import DataError, DataWarning, ModelError
from firstpassage.models import _ssms_trials, choices
from firstpassage.models._ssms_coordinates import Coordinates, summary
from firstpassage.models.model import Model, Schema
from firstpassage.models.parameter import Parameter, with_bounds

# The same seed gives other trials in each process, of which 11 to 71 % have no time.
_UNSOUND = frozenset({"ddm_truncnormt"})


def from_ssms(
    name: str,
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    delta_t: float = 0.001,
    max_t: float = 20.0,
) -> Model:
    """Make a model of ssm-simulators, for estimators that need simulations only.

    Parameters, their order, their bounds and the codes of the responses are those of ssm-simulators. Trials that have
    not ended by `max_t`, or have no response time, are drawn again: the model is that of responses which come before.
    Such a model is called ``ssms_`` and its name; ``load(path, model=from_ssms(name))`` loads what was trained on it.

    Parameters
    ----------
    name : str
        Such as ``"angle"``; ``list(ssms.config.model_config)`` lists them.
    bounds : mapping of str to (float, float), optional
        Narrower bounds than the simulator's own.
    delta_t : float, seconds
        Time step of the simulator.
    max_t : float, seconds
        When it stops. The longer, the more a trial costs, also one that ends early.

    Returns
    -------
    Model
        With parameters in the simulator's order and uniform priors; data are columns rt (s) and response.

    Raises
    ------
    ModelError
        If ssm-simulators is not installed or has no such model, a setting is wrong, or what it simulates are no
        choices with response times throughout the box.

    Warns
    -----
    DataWarning
        Of the time step, which makes decision times too long, and of trials that end after `max_t`.

    Examples
    --------
    >>> model = from_ssms("angle")
    >>> model.parameter_names
    ('v', 'a', 'z', 't', 'theta')
    >>> model.likelihood(model.prior(3, seed=1), trials=5, seed=2)["rt"].shape
    (3, 5)
    """
    config = _config(name)
    _check_times(delta_t=delta_t, max_t=max_t)
    parameters = _parameters(name, config, bounds or {})
    codes = tuple(float(c) for c in config.get("choices") or range(config["nchoices"]))
    setup = _ssms_trials.Setup(
        name=name, parameters=tuple(p.name for p in parameters), codes=codes, delta_t=delta_t, max_t=max_t
    )
    found = _ssms_trials.examine(setup, {p.name: p.bounds for p in parameters}, edge=config.get("ndt_edge_shift"))
    _warn(setup, found)
    return _model(setup, found, parameters)


def _config(name: Any) -> Mapping[str, Any]:
    """Find what ssm-simulators says of a model."""
    try:
        from ssms.config import model_config
    except ImportError:
        raise ModelError('from_ssms needs ssm-simulators: pip install "firstpassage[hssm]".') from None
    if name not in model_config:
        near = difflib.get_close_matches(str(name), list(model_config), n=3, cutoff=0.5)
        meant = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See list(ssms.config.model_config)."
        raise ModelError(f"ssm-simulators has no model {name!r} among its {len(model_config)}. {meant}")
    if name in _UNSOUND:
        raise ModelError(
            f"ssm-simulators {version('ssm-simulators')} gives other trials of {name!r} in each process, whatever the "
            "seed, and loses many. Use another model, such as 'ddm_st'."
        )
    return model_config[name]


def _check_times(*, delta_t: Any, max_t: Any) -> None:
    """Refuse a time step and an end that cannot be."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (delta_t, max_t))
    if not (numbers and 0 < delta_t < max_t / 100 < float("inf")):
        raise ModelError(
            f"delta_t and max_t must be seconds, 0 < delta_t < max_t / 100; got {delta_t!r} and {max_t!r}. "
            "Use .001 and 20."
        )


def _parameters(
    name: str, config: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]
) -> tuple[Parameter, ...]:
    """Take names, order and bounds; a bound that is another parameter becomes that one's lower bound."""
    own: Any = config["param_bounds"]
    if not isinstance(own, Mapping):
        own = {p: (own[0][i], own[1][i]) for i, p in enumerate(config["params"])}
    box = {p: (float(own[p][0]), _number(own[p][1], own)) for p in config["params"]}
    usual = [Parameter(p, bounds=box[p], unit="s" if p == "t" else None) for p in box]
    made = with_bounds(usual, bounds, model=name)
    for p in made:
        if p.bounds[0] < box[p.name][0] or p.bounds[1] > box[p.name][1]:
            raise ModelError(f"the bounds of {p.name} must lie within the simulator's {box[p.name]}; got {p.bounds}.")
    return made


def _number(bound: Any, bounds: Mapping[str, Any]) -> float:
    """Give an upper bound that may be another parameter."""
    return float(bounds[bound][0] if isinstance(bound, str) else bound)


def _warn(setup: _ssms_trials.Setup, found: _ssms_trials.Found) -> None:
    """Say what is wrong with the simulated times."""
    words = []
    if found.stepped:
        words.append(
            f"ssm-simulators draws {setup.name} in steps of {setup.delta_t:g} s, so that decisions take too long: by "
            "0.6 % to 13 % in its ddm at steps of 0.001 s, most where boundaries are close. A smaller delta_t helps."
        )
    if found.late:
        words.append(
            f"{found.late:.2%} of the trials, over the box, have no response before max_t = {setup.max_t:g} s and are "
            "drawn again."
        )
    if words:
        warnings.warn(" ".join(words), DataWarning, stacklevel=3)


def _model(setup: _ssms_trials.Setup, found: _ssms_trials.Found, parameters: tuple[Parameter, ...]) -> Model:
    """Put the model together."""
    moved = {"t"} if found.shifts and found.earliest else set()
    coordinates = Coordinates(
        features=tuple(p.name for p in parameters if p.name not in moved),
        positive=tuple(p.name for p in parameters if p.name not in moved and p.bounds[0] > 0),
        codes=setup.codes,
        earliest=found.earliest,
    )
    at_t = found.earliest == (("t", 1.0),)
    return Model(
        name=f"ssms_{setup.name}",
        parameters=parameters,
        likelihood=partial(_ssms_trials.simulate, setup=setup),
        schema=Schema(
            trial="choice", columns=choices.COLUMNS, read=partial(_read, setup=setup),
            limits=choices.limits if at_t else None,
        ),
        symmetry=coordinates.symmetry(),
        mixed=coordinates.mixed(),
        summary=partial(summary, codes=setup.codes),
        settings={
            "simulator": f"ssm-simulators {version('ssm-simulators')}",
            "delta_t": setup.delta_t,
            "max_t": setup.max_t,
        },
    )  # fmt: skip


def _read(data: Any, *, setup: _ssms_trials.Setup) -> np.ndarray:
    """Read choices that the simulator could have made."""
    codes = choices.BOUNDARIES if set(setup.codes) == set(choices.BOUNDARIES) else setup.codes
    x = choices.read(data, codes=codes)
    late = x[:, 0] >= setup.last
    if late.any():
        raise DataError(
            f"rt must be below max_t = {setup.max_t:g} s, when the simulator of {setup.name} stops; "
            f"{int(late.sum())} of {len(x)} are not (first: trial {int(np.argmax(late))}). Drop them, or set a larger "
            "max_t and train again."
        )
    return x
