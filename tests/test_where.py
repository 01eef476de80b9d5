"""docs/where.md leads to rooms that there are, and to all of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "where.md").read_text()
NAMED = {
    name for name in re.findall(r"`([\w./]+)`", PAGE) if name.split("/")[0] in {one.name for one in ROOT.iterdir()}
}
WITHOUT_ENTRY = {"hub", "plugins", "devices", "plugins/locks"}
"""Houses: the page has their rooms."""


def test_every_path_on_the_page_exists() -> None:
    paths = set(re.findall(r"`([\w.]+/[\w./]+)`", PAGE)) | NAMED
    assert len(paths) > 50
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_room_is_on_the_page() -> None:
    rooms = {
        str(path.parent.relative_to(ROOT))
        for house in ("hub", "plugins", "devices")
        for path in (ROOT / house).rglob("__init__.py")
        if "scaffold_files" not in path.parts
    }
    assert sorted(rooms - WITHOUT_ENTRY - NAMED) == []
