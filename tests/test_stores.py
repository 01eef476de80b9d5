"""The list of what runs on both databases is true."""

import re
from pathlib import Path

import pytest

from tests.stores import BOTH

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
OF_THE_DOORS = "access"


@pytest.mark.parametrize("name", sorted(BOTH))
def test_there_is_such_a_test(name: str) -> None:
    file, _, function = name.partition("::")
    assert re.search(rf"def {function or 'test_'}", (ROOT / file).read_text())


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_plugins_rows_are_tried_on_both(plugin: str) -> None:
    subject = OF_THE_DOORS if plugin == "locks" else plugin
    assert any(name.startswith(f"tests/test_{subject}.py::") for name in BOTH)
