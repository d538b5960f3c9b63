"""Configuration of a run: arguments, then environment, then a YAML file, then defaults; unknown keys are errors."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from firstpassage.errors import ModelError
from firstpassage.pipeline import _yaml
from firstpassage.pipeline._sections import (
    ModelSection,
    NleNetwork,
    NpeNetwork,
    NreNetwork,
    Observed,
    Optimiser,
    Sampler,
    Validation,
)

_PREFIX = "FIRSTPASSAGE_"
_FILE = "file"
_LISTED = "firstpassage config MODEL lists all settings"
_SHOWN = 4  # errors in a message


class RunConfig(BaseSettings):
    """Hold all settings of a run.

    Each is taken from the arguments; else from the environment, as in ``FIRSTPASSAGE_BUDGET=50000`` or
    ``FIRSTPASSAGE_SAMPLER__DRAWS=500``; else from a file; else it has its default.

    Parameters
    ----------
    file : str, Path or mapping, optional
        A YAML file; ``firstpassage config`` prints one. Or what such a file holds.
    model : mapping or ModelSection
        name, bounds, settings.
    method : {"npe", "nle", "nre"}
        Which estimator.
    budget : int
        Pairs simulated over all epochs, or taken from the table of simulations.
    simulations : str, optional
        A table to train from.
    rounds : int
        Rounds of simulations; after the first where parameters are plausible given the observed data.
    network : mapping or NpeNetwork, NleNetwork, NreNetwork
        Networks of the method.
    optimiser, observed, sampler, validation : mapping or section
        Training; test observation; sampler; sizes of the checks.
    seed : int
        Of everything.
    output : str, optional
        Folder of the run.

    Raises
    ------
    ModelError
        If a key is unknown, or a value has the wrong type or is out of its range.
    ArtefactError
        If the file cannot be read.

    Examples
    --------
    >>> config = RunConfig(model={"name": "gaussian"}, budget=50_000, sampler={"draws": 500})
    >>> config.budget, config.sampler.draws, config.sampler.tune
    (50000, 500, 1000)
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=_PREFIX, env_nested_delimiter="__", validate_default=True,
        allow_inf_nan=False,
    )  # fmt: skip

    model: ModelSection = Field(default=ModelSection(), description="The model.")
    method: Literal["npe", "nle", "nre"] = Field(
        default="nre",
        description="Learn the posterior (npe), the likelihood (nle), or its ratio to the evidence (nre).",
    )
    budget: int = Field(
        default=1_000_000,
        ge=1,
        le=100_000_000_000,
        description="Pairs of parameters and data over all epochs: data sets for npe, single trials for nle and nre.",
    )
    simulations: str | None = Field(
        default=None,
        description="File or pool of simulations to train from, by firstpassage simulate; fresh ones if null.",
    )
    rounds: int = Field(
        default=1, ge=1, le=100,
        description="Rounds of simulations towards the observed data alone; then checks of other data are left out.",
    )  # fmt: skip
    network: Annotated[NpeNetwork | NleNetwork | NreNetwork, Field(discriminator="method")] = Field(
        default=NreNetwork(), description="Networks of the method, and what only this method has."
    )
    optimiser: Optimiser = Field(default=Optimiser(), description="Training.")
    observed: Observed = Field(default=Observed(), description="The data whose posterior is sampled.")
    sampler: Sampler = Field(default=Sampler(), description="The sampler of that posterior.")
    validation: Validation = Field(default=Validation(), description="Checks on simulated data sets.")
    seed: int = Field(default=1, ge=0, le=2**63 - 1, description="Of everything; the same seed gives the same numbers.")
    output: str | None = Field(
        default=None, description="Folder of the run; runs/ and a name made of the settings if null."
    )

    def __init__(self, **given: Any) -> None:
        _check_environment()
        if given.get(_FILE) is not None and not isinstance(given[_FILE], Mapping):
            given[_FILE] = _yaml.read(Path(given[_FILE]))
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise ModelError(_words(error)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; pydantic-settings calls this."""
        del dotenv_settings, file_secret_settings
        arguments: Any = init_settings
        content = arguments.init_kwargs.pop(_FILE, None) or {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=content)

    @field_validator("budget", mode="before")
    @classmethod
    def _plain(cls, budget: Any) -> Any:
        """Take 1e6, which YAML and the environment give as text."""
        try:
            number = float(budget) if isinstance(budget, str) else budget
        except ValueError:
            return budget
        return int(number) if isinstance(number, float) and number.is_integer() else budget

    @model_validator(mode="before")
    @classmethod
    def _of_method(cls, given: Any) -> Any:
        """Say of which method the network is."""
        network = given.get("network") or {}
        if isinstance(network, Mapping):
            given = {**given, "network": {"method": given.get("method", "nre"), **network}}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse sections that do not go together."""
        if self.network.method != self.method:
            raise ValueError(f"network must be one of {self.method}; got one of {self.network.method}. Leave it out.")
        if self.observed.data is not None and (self.observed.truth is not None or self.observed.trials is not None):
            raise ValueError(
                "observed must be a file, or trials and truth of a simulation; got both. Leave out observed.data, or "
                "the others."
            )
        return self

    def text(self) -> str:
        """Write all settings as YAML, with their meanings and ranges as comments.

        Returns
        -------
        str
            What ``RunConfig(file=...)`` and ``firstpassage run`` read.
        """
        return _yaml.written(self)


def _check_environment() -> None:
    """Refuse variables that mean no setting."""
    for name in os.environ:
        if name.upper().startswith(_PREFIX):
            key = name[len(_PREFIX) :].partition("__")[0].lower()
            if key not in RunConfig.model_fields:
                raise ModelError(
                    f"the environment variable {name} must name a setting; got {key!r}. {_meant(key, RunConfig)}"
                )


def _words(found: ValidationError) -> str:
    """Put what pydantic found into sentences: expected, got, remedy."""
    errors = [one for one in found.errors(include_url=False) if one["type"] != "union_tag_invalid"]  # follows another
    more = f" And {len(errors) - _SHOWN} more." if len(errors) > _SHOWN else ""
    return " ".join(_sentence(one) for one in errors[:_SHOWN]) + more


def _sentence(error: Any) -> str:
    """Write one error."""
    place = [str(part) for part in error["loc"]]
    owner: Any = RunConfig
    names = []
    for part in place:
        if part in ("npe", "nle", "nre"):
            owner = {"npe": NpeNetwork, "nle": NleNetwork, "nre": NreNetwork}[part]
            continue
        names.append(part)
        section = isinstance(owner, type) and issubclass(owner, BaseModel)
        fields: Mapping[str, Any] = owner.model_fields if section else {}
        owner = fields[part].annotation if part in fields else owner
    where = ".".join(names)
    if error["type"] == "extra_forbidden":
        return f"there is no setting {where}; got {error['input']!r:.60} for it. {_meant(names[-1], owner)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    expected = error["msg"].removeprefix("Input should be ").partition(", unable")[0]
    return f"{where} must be {expected}; got {error['input']!r:.60}. Change it; {_LISTED} with their ranges."


def _meant(key: str, owner: Any) -> str:
    """Guess which setting was meant, or list those that there are."""
    known = [name for name, field in owner.model_fields.items() if not field.exclude]
    near = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Leave it out; there are {', '.join(known)}."
