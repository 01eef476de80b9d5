"""Settings that only the file may set: which files the hub reads, where their secrets go, and who gets a role.

Otherwise, whoever may change settings on the console or by the API could read any of the hub's files: by naming it as a
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
    """A change to settings that only the file may set; `names` are the settings."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"{', '.join(names)}: {WHY}")
        self.names = names


def names(model: type[BaseModel]) -> frozenset[str]:
    """The settings of a plugin that only the file may set.

    Those that contain a path, or something marked `json_schema_extra={"file_only": True}`. With a path at the top level
    it is all of them, since the others may define where its content is sent.
    """
    found: set[str] = set()
    for by_alias in (False, True):
        try:
            schema = model.model_json_schema(by_alias=by_alias)
        except PydanticInvalidForJsonSchema:  # its content is unknown
            return frozenset(model.model_fields)
        settings: dict[str, Any] = schema.get("properties", {})
        if any(_has_path(node) for setting in settings.values() for node in _nodes(setting, {})):
            found |= settings.keys()
        found |= {
            name
            for name, setting in settings.items()
            if any(map(_is_file_only, _nodes(setting, schema.get("$defs", {}))))
        }
    return frozenset(found)


def in_force(model: type[BaseModel], saved: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """The settings saved by the console, with those that only the file may set taken from the file."""
    file_only = names(model)
    own = {name: value for name, value in saved.items() if name not in file_only}
    return own | {name: to_jsonable_python(value) for name, value in file.items() if name in file_only}


def refuse_changes(model: type[BaseModel], sent: Mapping[str, Any], file: Mapping[str, Any]) -> None:
    """Raises FileOnlyError. A setting that is left out, or equal to the file's, is not a change."""
    file_only = names(model) & sent.keys()
    if changed := sorted(current for current in file_only if sent[current] != to_jsonable_python(file.get(current))):
        raise FileOnlyError(changed)


def _nodes(node: Any, definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a JSON schema, including referenced definitions, each once."""
    pending, seen = [node], set[str]()
    while pending:
        current = pending.pop()
        if isinstance(current, list):
            pending += current
        elif isinstance(current, dict):
            yield current
            pending += current.values()
            name = str(current.get("$ref", "")).removeprefix("#/$defs/")
            if name not in seen and name in definitions:
                seen.add(name)
                pending.append(definitions[name])


def _has_path(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("format"), str) and node["format"] in PATHS


def _is_file_only(node: Mapping[str, Any]) -> bool:
    return _has_path(node) or node.get(MARK) is True
