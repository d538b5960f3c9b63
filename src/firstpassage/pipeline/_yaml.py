"""YAML of a configuration: read with clear errors, and written with meanings and ranges as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from firstpassage.errors import ArtefactError, ModelError

_WIDTH = 110  # characters of a comment
_LARGE = 10**15  # bounds beyond are none that anybody meets


def read(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Parameters
    ----------
    path : Path
        A YAML file.

    Returns
    -------
    dict
        Its content; empty for an empty file.

    Raises
    ------
    ArtefactError
        If there is no such file, or it cannot be read.
    ModelError
        If it is not YAML, or not a mapping of names that each come once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ArtefactError(
            f"there is no configuration {path}. Check the path, or write one: firstpassage config MODEL > {path.name}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"the configuration {path} must be a text file; got {error}. Check the path.") from None
    try:
        found = yaml.load(text, Loader=_Once)
    except yaml.YAMLError as error:
        raise ModelError(f"{path} must be YAML; got {_place(error)}. Mend that line.") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ModelError(f"{path} must hold settings, one name: value a line; got {found!r:.60}. Write budget: 100000.")
    return found


def written(config: BaseModel) -> str:
    """Write all settings with their meanings and ranges.

    Parameters
    ----------
    config : BaseModel
        The settings.

    Returns
    -------
    str
        YAML.
    """
    return "\n".join(_section(config, indent="")).lstrip("\n") + "\n"


class _Once(yaml.SafeLoader):
    """Refuse a key that comes twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping."""
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _place(error: yaml.YAMLError) -> str:
    """Say what is wrong, and where."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    return f"{error.problem} in line {error.problem_mark.line + 1}"


def _section(config: BaseModel, *, indent: str) -> list[str]:
    """Write the fields of one section."""
    schema = type(config).model_json_schema(mode="validation")
    plain = config.model_dump(mode="json")
    lines: list[str] = []
    for name, field in type(config).model_fields.items():
        if field.exclude:
            continue
        value = vars(config)[name]
        nested = isinstance(value, BaseModel)
        says = "" if nested else f" {_range(schema['properties'][name])}."
        lines += [""] if nested and not indent else []
        lines += textwrap.wrap(f"{field.description}{says}", _WIDTH, initial_indent=f"{indent}# ",
                               subsequent_indent=f"{indent}# ")  # fmt: skip
        if nested:
            lines += [f"{indent}{name}:", *_section(value, indent=f"{indent}  ")]
        else:
            lines += [f"{indent}{line}" for line in _lines(name, plain[name])]
    return lines


def _lines(name: str, value: Any) -> list[str]:
    """Write one setting: names with values below each other, all else in one line."""
    if isinstance(value, dict) and value:
        inner = [line for key, one in value.items() for line in _lines(key, one)]
        return [f"{name}:", *(f"  {line}" for line in inner)]
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return [f"{name}: {text.strip()[1:-1]}"]


def _range(schema: Mapping[str, Any]) -> str:
    """Say what a value may be, from its JSON schema."""
    text = _kind(schema)
    return text[:1].upper() + text[1:]


def _kind(schema: Mapping[str, Any]) -> str:
    """Say what a value may be, within a sentence."""
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("prefixItems")
        return f"[{', '.join(map(_kind, items))}]" if items else f"[{_kind(schema['items'])}, ...]"
    if kind in ("integer", "number"):
        return f"{kind}{_limits(schema)}"
    words = {"string": "text", "boolean": "true or false", "null": "null", "object": "names with values"}
    return words.get(str(kind), "anything")


def _limits(schema: Mapping[str, Any]) -> str:
    """Say between which ends a number lies."""
    low = [f"from {schema['minimum']}"] if "minimum" in schema else []
    low += [f"above {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    high = [f"to {schema['maximum']}"] if schema.get("maximum", _LARGE) < _LARGE else []
    high += [f"below {schema['exclusiveMaximum']}"] if "exclusiveMaximum" in schema else []
    return "".join(f" {part}" for part in [*low, *high])
