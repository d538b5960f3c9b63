"""Plan of a sweep: a base, a grid and runs make configurations, each checked and named before any is run."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstpassage.errors import FirstPassageError, ModelError
from firstpassage.models.parameter import Parameter
from firstpassage.pipeline import _own_model, _yaml
from firstpassage.pipeline._config import RunConfig
from firstpassage.pipeline._prepare import prepare

_KEYS = ("base", "grid", "runs")
_MOST = 10_000  # configurations, beyond which a value too many was surely written
_LONGEST = 100  # letters of a label


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Hold one configuration of a sweep.

    Parameters
    ----------
    name : str
        Of its folder: the main settings, and a hash of all.
    config : RunConfig
        Without open settings, and with absolute paths.
    settings : mapping
        All that determines the run, as JSON holds it.
    parameters : tuple of Parameter
        Of its model.
    """

    name: str
    config: RunConfig
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...]


def configurations(
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    base: RunConfig | Mapping[str, Any] | None = None,
    runs: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[RunConfig, ...]:
    """Make the configurations of a sweep: every one of `runs` at every point of the grid.

    Parameters
    ----------
    grid : mapping of str to sequence, optional
        Values by setting, such as ``{"optimiser.learning_rate": [1e-3, 1e-4], "seed": [1, 2]}``: their full product.
    base : RunConfig or mapping, optional
        What all have in common.
    runs : sequence of mapping, optional
        Settings that belong together, one mapping for each run, with dots or sections.

    Returns
    -------
    tuple of RunConfig
        The last setting of the grid changes fastest. What they set goes before the environment, and this before
        the base.

    Raises
    ------
    ModelError
        If there is none, a setting is unknown, set twice or out of its range.

    Examples
    --------
    >>> grid = {"budget": [1000, 2000], "optimiser.batch": [64, 128]}
    >>> [(c.budget, c.optimiser.batch) for c in configurations(grid, base={"model": {"name": "gaussian"}})]
    [(1000, 64), (1000, 128), (2000, 64), (2000, 128)]
    """
    if grid is None and runs is None and base is None:
        raise ModelError("a sweep needs a grid, runs or a base; got none. Write grid: {seed: [1, 2, 3]}.")
    resolved = isinstance(base, RunConfig)  # the environment has had its say
    common = base.model_dump(mode="json", exclude_unset=True) if isinstance(base, RunConfig) else _section(base)
    points = _points(grid)
    listed = _listed(runs)
    for key, given in itertools.product(points[0], listed):
        if any(_same(key, other) for other in flat(given)):
            raise ModelError(f"{key} must be set by grid or by runs; got it from both. Leave it out of one.")
    chosen = [_merged(given, point) for given in listed for point in points]
    made = []
    for place, settings in enumerate(chosen):
        given = _merged(common, flat(settings)) if resolved else {"file": common, **settings}
        with _told(place, len(chosen), settings):
            made.append(RunConfig(**given))
    return tuple(made)


def read(path: str | Path) -> tuple[RunConfig, ...]:
    """Read the configurations of a sweep from a YAML file.

    Parameters
    ----------
    path : str or Path
        With ``base``, ``grid`` and ``runs``, as in `configurations`.

    Returns
    -------
    tuple of RunConfig
        One for each run.

    Raises
    ------
    ArtefactError
        If the file cannot be read.
    ModelError
        If it is no YAML, or its settings cannot be used.
    """
    content = _yaml.read(Path(path))
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        raise ModelError(
            f"{path} must hold {', '.join(_KEYS)}; got {', '.join(unknown)}. Write settings that all runs share under "
            "base, and those that vary under grid or runs."
        )
    return configurations(content.get("grid"), base=content.get("base"), runs=content.get("runs"))


def plan(configs: Iterable[RunConfig]) -> tuple[Planned, ...]:
    """Check every configuration, and find what its folder is called.

    Parameters
    ----------
    configs : iterable of RunConfig
        At least one.

    Returns
    -------
    tuple of Planned
        In the same order.

    Raises
    ------
    ModelError
        If there is none, one is no RunConfig, two are the same, or settings cannot be used.
    DataError
        If simulations or data cannot be used.

    Examples
    --------
    >>> plan([RunConfig(model={"name": "gaussian"}, budget=50_000)])[0].name
    'nre_gaussian_50K_lr0.002_b128_s1-a1de2c05'
    """
    given = tuple(configs)
    if not given:
        raise ModelError("a sweep needs at least one configuration; got none. Fill grid or runs.")
    found: dict[str, Planned] = {}
    labels = _labels(given)
    for place, config in enumerate(given):
        with _told(place, len(given), labels[place]):
            one = _planned(config)
        if one.name in found:
            first = list(found).index(one.name) + 1
            raise ModelError(
                f"configurations must differ; {first} and {place + 1} of {len(given)} are both {one.name}. "
                "Leave one of them out."
            )
        found[one.name] = one
    return tuple(found.values())


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write sections as names with dots.

    Parameters
    ----------
    settings : mapping
        May be nested.

    Returns
    -------
    dict
        Not nested; an empty section is left out.

    Examples
    --------
    >>> flat({"optimiser": {"batch": 64}, "seed": 1})
    {'optimiser.batch': 64, 'seed': 1}
    """
    return dict(_pairs(settings, above=""))


def varying(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the settings that differ between configurations that have them.

    Parameters
    ----------
    settings : sequence of mapping
        Of each configuration, without sections.

    Returns
    -------
    list of str
        In the order of the settings.

    Examples
    --------
    >>> varying([{"method": "npe", "seed": 1, "network.layers": 3}, {"method": "nre", "seed": 1}])
    ['method']
    """
    values: dict[str, set[str]] = {}
    for one in settings:
        for key, value in one.items():
            values.setdefault(key, set()).add(json.dumps(value))
    return [key for key, different in values.items() if len(different) > 1]


def _planned(config: Any) -> Planned:
    """Check one configuration."""
    if not isinstance(config, RunConfig):
        raise ModelError(f"expected a RunConfig, got {type(config).__name__}. Make one by pipeline.RunConfig(...).")
    if config.output is not None:
        raise ModelError(
            f"output must be left out of a sweep; got {config.output!r}. Choose the sweep's folder by into."
        )
    prepared = prepare(config)
    return Planned(
        name=prepared.name, config=_absolute(prepared.config), settings=prepared.settings,
        parameters=tuple(prepared.model.parameters),
    )  # fmt: skip


def _labels(configs: Sequence[Any]) -> list[dict[str, Any]]:
    """Take what varies of each configuration."""
    settings = [flat(one.model_dump(mode="json")) if isinstance(one, RunConfig) else {} for one in configs]
    names = varying(settings)
    return [{name: one[name] for name in names if name in one} for one in settings]


def _absolute(config: RunConfig) -> RunConfig:
    """Name files so that a process which started elsewhere finds them."""
    section, observed = config.model, config.observed
    if _own_model.own(section.name):
        path, _, attribute = section.name.rpartition(":")
        section = section.model_copy(update={"name": f"{Path(path).resolve()}:{attribute}"})
    if observed.data is not None:
        observed = observed.model_copy(update={"data": str(Path(observed.data).resolve())})
    table = None if config.simulations is None else str(Path(config.simulations).resolve())
    return config.model_copy(update={"model": section, "observed": observed, "simulations": table})


@contextmanager
def _told(place: int, number: int, settings: Mapping[str, Any]) -> Iterator[None]:
    """Say of which configuration an error is."""
    words = ", ".join(f"{key} {value}" for key, value in flat(settings).items())
    label = f" ({words[:_LONGEST]})" if words else ""
    try:
        yield
    except FirstPassageError as error:
        where = f"configuration {place + 1} of {number}{label}: " if number > 1 else ""
        raise type(error)(f"{where}{error}") from None


def _section(base: Any) -> dict[str, Any]:
    """Check the base."""
    if base is not None and not isinstance(base, Mapping):
        raise ModelError(f"base must hold settings, one name: value a line; got {base!r:.60}. Write budget: 100000.")
    return _nested(base or {}, where="base")


def _points(grid: Any) -> list[dict[str, Any]]:
    """List the points of a grid: one without settings if there is no grid."""
    if grid is None:
        return [{}]
    if not isinstance(grid, Mapping) or not grid:
        raise ModelError(f"grid must hold lists of values by setting; got {grid!r:.60}. Write seed: [1, 2, 3].")
    for key, values in grid.items():
        if not isinstance(key, str) or isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ModelError(f"grid.{key} must be a list of values; got {values!r:.60}. Write {key}: [..., ...].")
        if not list(values):
            raise ModelError(f"grid.{key} must have at least one value; got an empty list. Fill it, or leave it out.")
    number = math.prod(len(list(values)) for values in grid.values())
    if number > _MOST:
        raise ModelError(f"a sweep has at most {_MOST:,} configurations; got {number:,}. Leave values out.")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _listed(runs: Any) -> list[dict[str, Any]]:
    """Check the list of runs: one without settings if there is no list."""
    if runs is None:
        return [{}]
    if isinstance(runs, (str, bytes, Mapping)) or not isinstance(runs, Sequence) or not runs:
        raise ModelError(f"runs must be a list of settings; got {runs!r:.60}. Write a line - budget: 100000 for each.")
    for place, one in enumerate(runs):
        if not isinstance(one, Mapping) or not all(isinstance(key, str) for key in one):
            raise ModelError(
                f"runs must be a list of settings; number {place + 1} is {one!r:.60}. Write seed: 1 there."
            )
    return [_nested(one, where=f"number {place + 1} of runs") for place, one in enumerate(runs)]


def _merged(given: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Put the settings of a run and of a point of the grid together."""
    return _nested({**flat(given), **point}, where="grid")


def _nested(settings: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Write names with dots as sections."""
    found: dict[str, Any] = {}
    for key, value in _pairs(settings, above=""):
        if any(_same(key, other) for other in found):
            raise ModelError(f"{where} must set {key} once; got it twice. Leave one of them out.")
        found[key] = value
    made: dict[str, Any] = {}
    for key, value in found.items():
        *sections, last = key.split(".")
        place = made
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return made


def _pairs(settings: Mapping[str, Any], *, above: str) -> Iterator[tuple[str, Any]]:
    """List settings by names with dots, which may come twice."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, above=f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _same(one: str, other: str) -> bool:
    """Tell whether two settings are the same, or one is a section that has the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
