"""The pages about settings, messages and dependencies have everything that the code has."""

import configparser
import json
import re
import tomllib
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from devices.contract import alive, door, enrolment, kiosk, screen
from devices.contract.payload import Payload
from hub.configuration.settings import Configuration, HubSettings
from hub.hub import Hub

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLUGINS = ("directory", "checkin", "notify", "signage", "locks")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that stand anywhere in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def settings_in(model: type[BaseModel], path: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{path}{name}", field
        for inner in models_in(field.annotation):
            yield from settings_in(inner, f"{path}{name}.")


def all_settings() -> list[tuple[str, FieldInfo]]:
    found = list(settings_in(HubSettings, ""))
    for plugin in PLUGINS:
        model = import_module(f"plugins.{plugin}").Plugin.settings_model
        found += settings_in(model, f"plugins.{plugin}.")
    return found


def shown(field: FieldInfo) -> str | None:
    """What the page's column `default` must say; None where words say it better."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    return f"`{field.default}`" if isinstance(field.default, str | int | float | Path) else None


@pytest.mark.parametrize(("key", "field"), all_settings(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_setting_stands_on_the_page_with_its_default(key: str, field: FieldInfo) -> None:
    rows = re.findall(rf"^\| `{re.escape(key)}` \| ([^|]*) \|", page("configuration.md"), re.MULTILINE)
    assert rows, f"docs/configuration.md lacks `{key}`"
    assert shown(field) is None or shown(field) in rows, f"{key}: {shown(field)}, the page says {rows}"


def test_no_setting_on_the_page_is_invented() -> None:
    known = {key for key, _ in all_settings()}
    written = set(re.findall(r"^\| `([a-z_.]+)` \|", page("configuration.md"), re.MULTILINE))
    assert len(written) > 50
    assert written <= known, written - known


@pytest.mark.parametrize("block", YAML_BLOCK.findall(page("configuration.md")))
def test_the_examples_are_good_configurations(block: str, tmp_path: Path) -> None:
    people = "" if "directory:" in block else "plugins: {directory: false}\n"
    Hub(Configuration(block + people, "page", tmp_path))


def test_the_unit_is_one() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "config" / "kommunevert.service")
    assert unit["Service"]["ExecStart"].split()[1:3] == ["run", "--config"]
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("module", [kiosk, screen, door, alive], ids=lambda one: one.__name__.rpartition(".")[2])
def test_every_topic_stands_on_the_page(module: ModuleType) -> None:
    topics = set(re.findall(r"\b(?:up|down)/[a-z]+\b", str(module.__doc__)))
    assert topics
    missing = {one for one in topics if f"| `{one}` |" not in page("mqtt.md")}
    assert not missing, f"docs/mqtt.md lacks {missing}"


def messages() -> list[type[Payload]]:
    modules = (kiosk, screen, door, alive, enrolment)
    found: list[Any] = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return list(dict.fromkeys(one for one in found if issubclass(one, Payload) and one is not Payload))


@pytest.mark.parametrize("message", messages(), ids=lambda one: f"{one.__module__.rpartition('.')[2]}.{one.__name__}")
def test_every_field_stands_on_the_page(message: type[Payload]) -> None:
    kind = message.__module__.rpartition(".")[2]
    line = re.search(rf"^\| `{kind}\.{message.__name__}` \|(.*)$", page("mqtt.md"), re.MULTILINE)
    assert line, f"docs/mqtt.md lacks `{kind}.{message.__name__}`"
    missing = {name for name in message.model_fields if f"`{name}`" not in line[1]}
    assert not missing, f"docs/mqtt.md: {message.__name__} lacks {missing}"


def dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = json.loads((ROOT / "package.json").read_text())
    python = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
    ]
    names = [re.split(r"[<>=;\[ ]", one, maxsplit=1)[0] for one in python]
    return sorted({*names, *package["dependencies"], *package["devDependencies"]})


@pytest.mark.parametrize("name", dependencies())
def test_every_dependency_has_its_line(name: str) -> None:
    assert f"\n| `{name}` |" in page("dependencies.md")
