"""Rooms and floors (docs/architecture.md): a room imports only from those below it, and no drawer is opened.

Plugins are found by looking. What stands under `if TYPE_CHECKING` or inside a function counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILES = 20

FLOORS = {
    top: floors.split()
    for top, floors in {
        "hub": "language outside configuration store hooks work calendar accounts broker devices web api entities "
        "plugin hosting console hub toolkit demo cli __main__",
        "plugins.locks": "config models wording permissions store doors rules history trust operating plans services api "
        "web",
        "devices": "contract access contract.door contract.typescript wire parent locale door simulator",
        "devices.door": "deciding memory hardware readers",
    }.items()
}
"""Lowest first. A longer name is a part with a floor of its own; what is not named stands above all."""
KNOWS_THE_HUB = ("hub.cli", "hub.demo", "hub.toolkit", "hub.__main__")
CONTRACT_FOR_THE_HUB = tuple(
    f"devices.contract.{name}" for name in ("payload", "topics", "channels", "alive", "enrolment", "pairing", "opening")
)


def modules(*folders: str) -> dict[str, Path]:
    """Dotted name → file, without migrations, which stay as they were written."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules("hub", "plugins", "devices")
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


def imports(path: Path) -> Iterator[str]:
    """Modules of ours, by their full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                yield inner if inner in MODULES else node.module


def under(name: str, *allowed: str) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


IMPORTS = {
    name: sorted(
        {one for one in imports(path) if under(one, "hub", "plugins", "devices", "tests", "benchmarks")} - {name}
    )
    for name, path in MODULES.items()
}


def wrong(top: str, *allowed: str) -> list[str]:
    return [
        f"{name} imports {one}"
        for name, found in IMPORTS.items()
        if under(name, top)
        for one in found
        if not under(one, *allowed)
    ]


def floor_of(top: str, name: str) -> int:
    """By the longest name in the list that it stands under."""
    inner = name.removeprefix(top).removeprefix(".")
    found = [one for one in FLOORS[top] if under(inner, one)]
    return FLOORS[top].index(max(found, key=len)) if found else len(FLOORS[top])


@pytest.mark.parametrize("top", FLOORS)
def test_nobody_imports_from_a_floor_above(top: str) -> None:
    upwards = [
        f"{name} imports {one}"
        for name, found in IMPORTS.items()
        if under(name, top)
        for one in found
        if under(one, top) and floor_of(top, one) > floor_of(top, name)
    ]
    assert upwards == []


def test_every_room_of_the_hub_has_a_floor() -> None:
    """The plugins of our own that have rooms have theirs written down, too."""
    assert [name for name in MODULES if name.startswith("hub.") and floor_of("hub", name) == len(FLOORS["hub"])] == []
    with_rooms = {
        f"plugins.{name}"
        for name in PLUGINS
        if any((path.parent / "__init__.py").exists() for path in (ROOT / "plugins" / name).glob("*/*.py"))
    }
    assert with_rooms == {top for top in FLOORS if top.startswith("plugins.")}


def circles() -> Iterator[list[str]]:
    """Modules that import one another, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def walk(name: str) -> Iterator[list[str]]:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for one in IMPORTS[name]:
            if one not in IMPORTS:
                continue
            if one not in order:
                yield from walk(one)
                lowest[name] = min(lowest[name], lowest[one])
            elif one in stack:
                lowest[name] = min(lowest[name], order[one])
        if lowest[name] == order[name]:
            circle = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(circle) > 1:
                yield circle

    for name in IMPORTS:
        if name not in order:
            yield from walk(name)


def test_no_files_import_one_another() -> None:
    assert list(circles()) == []


def test_the_hub_knows_no_plugin_and_of_devices_only_what_all_of_them_say() -> None:
    assert wrong("hub", "hub", "devices.wire", *CONTRACT_FOR_THE_HUB) == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_knows_what_is_public_and_of_other_plugins_their_contract(plugin: str) -> None:
    contracts = [f"plugins.{one}.contract" for one in PLUGINS]
    assert (
        wrong(f"plugins.{plugin}", "hub.plugin", "devices.contract", "devices.access", f"plugins.{plugin}", *contracts)
        == []
    )


def test_the_whole_hub_is_for_commands_demo_and_toolkit() -> None:
    users = [name for name, found in IMPORTS.items() if "hub.hub" in found]
    assert [name for name in users if not under(name, *KNOWS_THE_HUB)] == []


def test_devices_know_neither_hub_nor_plugins() -> None:
    assert wrong("devices", "devices") == []


def test_the_decision_at_a_door_knows_neither_the_hub_nor_a_controller() -> None:
    assert wrong("devices.access", "devices.access", *CONTRACT_FOR_THE_HUB) == []


def test_services_know_no_edge() -> None:
    """No service imports MQTT or pages, and no edge writes a table."""
    edges = [path for name in ("mqtt", "web") for path in (ROOT / "plugins").glob(f"*/{name}.py")]
    assert edges
    for path in edges:
        assert not [name for name in imports(path) if ".tables" in name], path
    for path in (ROOT / "plugins").glob("*/service.py"):
        assert not [name for name in imports(path) if ".web" in name or name.startswith("aiohttp")], path


def test_no_room_is_crowded() -> None:
    rooms = {path.parent for path in MODULES.values()}
    crowded = {room: len(list(room.glob("*.py"))) for room in rooms if len(list(room.glob("*.py"))) > MAX_FILES}
    assert crowded == {}


def test_there_are_no_drawers() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [
        path for folder in ("hub", "plugins", "devices") for path in (ROOT / folder).rglob("*") if path.stem in drawers
    ]
    assert found == []
