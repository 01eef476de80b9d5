"""Who may import whom (docs/architecture.md), and that no drawer is opened."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACT_FOR_THE_HUB = {
    f"devices.contract.{name}"
    for name in ("messages", "topics", "channels", "alive", "enrolment", "pairing", "opening")
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)


def ours(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in imports(path):
            if name.split(".")[0] in ("hub", "plugins", "devices", "tests", "benchmarks"):
                yield path.relative_to(ROOT), name


def under(name: str, *allowed: str) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


def test_the_hub_knows_nobody_above_it() -> None:
    assert [(path, name) for path, name in ours("hub") if not under(name, "hub", *CONTRACT_FOR_THE_HUB)] == []


@pytest.mark.parametrize("plugin", ["directory", "checkin", "notify", "signage", "locks"])
def test_a_plugin_knows_the_hub_and_the_contract_and_never_another_plugin(plugin: str) -> None:
    allowed = ("hub", "devices.contract", "devices.access", f"plugins.{plugin}")
    assert [(path, name) for path, name in ours(f"plugins/{plugin}") if not under(name, *allowed)] == []


def test_devices_know_the_contract_and_the_wire() -> None:
    assert [(path, name) for path, name in ours("devices") if not under(name, "devices", "hub.wire")] == []


def test_the_decision_at_a_door_knows_neither_the_hub_nor_a_controller() -> None:
    allowed = ("devices.access", *CONTRACT_FOR_THE_HUB)
    assert [(path, name) for path, name in ours("devices/access") if not under(name, *allowed)] == []


def test_services_know_no_edge() -> None:
    """No service imports MQTT or pages, and no edge writes a table."""
    edges = [path for name in ("mqtt", "web") for path in (ROOT / "plugins").glob(f"*/{name}.py")]
    assert edges
    for path in edges:
        assert not [name for name in imports(path) if ".tables" in name], path
    for path in (ROOT / "plugins").glob("*/service.py"):
        assert not [name for name in imports(path) if ".web" in name or name.startswith("aiohttp")], path


def test_there_are_no_drawers() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [
        path for folder in ("hub", "plugins", "devices") for path in (ROOT / folder).rglob("*") if path.stem in drawers
    ]
    assert found == []
