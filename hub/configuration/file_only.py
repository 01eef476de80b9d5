"""Settings that the file alone decides: which files the hub reads, where their secrets go, and who gets a role.

Whoever may change settings on the console or by the API would otherwise read any file of the hub's: name it as a
password file, beside a server of their own. The rule is in docs/decisions/0011-settings-on-the-console.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import to_jsonable_python

PATHS = {"path", "file-path", "directory-path"}
MARK = "file_only"
WHY = (
    "can only be set in the configuration file, because it decides which files the hub reads, where secrets are sent, "
    "or who gets a role"
)


class FileOnlyError(ValueError):
    """Something was sent that only the file sets; `names` are the settings."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"{', '.join(names)}: {WHY}")
        self.names = names


def names(model: type[BaseModel]) -> frozenset[str]:
    """The settings of a plugin that the file alone decides.

    One with a path, or something marked `json_schema_extra={"file_only": True}`, anywhere in it. A path among the
    plugin's settings themselves has neighbours that may say where its secret goes: then it is all of them.
    """
    found: set[str] = set()
    for by_alias in (False, True):
        try:
            schema = model.model_json_schema(by_alias=by_alias)
        except PydanticInvalidForJsonSchema:  # nobody can tell what is in it
            return frozenset(model.model_fields)
        settings: dict[str, Any] = schema.get("properties", {})
        if any(_has_path(node) for one in settings.values() for node in _nodes(one, {})):
            found |= settings.keys()
        found |= {name for name, one in settings.items() if any(map(_is_alone, _nodes(one, schema.get("$defs", {}))))}
    return frozenset(found)


def in_force(model: type[BaseModel], kept: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept from the console, with what the file alone decides."""
    alone = names(model)
    mine = {name: value for name, value in kept.items() if name not in alone}
    return mine | {name: to_jsonable_python(value) for name, value in file.items() if name in alone}


def refuse_changes(model: type[BaseModel], sent: Mapping[str, Any], file: Mapping[str, Any]) -> None:
    """Raises FileOnlyError. What is left out, or sent as it stands in the file, is no change."""
    alone = names(model) & sent.keys()
    if wrong := sorted(one for one in alone if sent[one] != to_jsonable_python(file.get(one))):
        raise FileOnlyError(wrong)


def _nodes(node: Any, definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every part of a JSON schema, with the definitions that it refers to, each once."""
    waiting, seen = [node], set[str]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            yield one
            waiting += one.values()
            name = str(one.get("$ref", "")).removeprefix("#/$defs/")
            if name not in seen and name in definitions:
                seen.add(name)
                waiting.append(definitions[name])


def _has_path(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("format"), str) and node["format"] in PATHS


def _is_alone(node: Mapping[str, Any]) -> bool:
    return _has_path(node) or node.get(MARK) is True
