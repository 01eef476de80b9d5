"""`kommunevert plugin new` writes a plugin that works, and `plugin check` says how good one is."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.toolkit.check import DEMANDS, Grade, grade
from hub.toolkit.scaffold import ScaffoldError, write_plugin

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NEXT: dict[str | None, Any] = {None: "bronze", "bronze": "silver", "silver": "gold"}
OURS = ("directory", "checkin", "notify", "signage", "locks")


def wrong(found: Grade) -> list[str]:
    return [line for _, lines in found.results for line in lines]


def test_a_new_plugin_is_gold(tmp_path: Path) -> None:
    """By the command, as a newcomer would: its test passes, its words are complete, its types and style are good."""
    command = [sys.executable, "-m", "hub", "plugin"]
    options: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}
    made = subprocess.run([*command, "new", "front_notes", "--out", str(tmp_path)], check=False, **options)
    assert made.returncode == 0, made.stderr
    checked = subprocess.run(
        [*command, "check", str(tmp_path / "front_notes"), "--least", "gold"], check=False, **options
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "front_notes: gold" in checked.stdout


@pytest.mark.parametrize("name", ["Notes", "1note", "class", "json", "locks", "a-b", "../x"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScaffoldError):
        write_plugin(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "reached", "said"),
    [
        (replaced("__init__.py", "class Plugin", "1 / 0\n\n\nclass Plugin"), None, "cannot be imported"),
        (replaced("service.py", "await asyncio.sleep", "__import__('time'); import time; time.sleep"), None, "time.sleep"),
        (replaced("service.py", "import asyncio\n", "import asyncio\nimport plugins.locks.models\n"), None, "plugins.locks"),
        (replaced("locale/nn/LC_MESSAGES/messages.po", "Skriv ned", ""), None, "not translated"),
        (replaced("config.py", 'description="notes and their writers are forgotten after this"', ""), "bronze", "keep_days"),
        (replaced("tables.py", "String(500), nullable=False)", "String(500)), Column('more', String(5))"), "bronze", "differ"),
        (replaced("__init__.py", "async def health", "async def healthy"), None, "healthy"),
        (replaced("service.py", "-> list[Note]:", "-> list[int]:"), "silver", "error"),
        (replaced("models.py", '"""A note."""', ""), "silver", "docstring"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(
    tmp_path: Path, change: Callable[[Path], None], reached: str | None, said: str
) -> None:
    folder = write_plugin("front_notes", tmp_path)
    change(folder)
    found = await grade(folder, run_tests=False, up_to=NEXT[reached])
    assert found.reached == reached
    assert any(said in line for line in wrong(found)), wrong(found)


@pytest.mark.parametrize("name", OURS)
async def test_our_own_are_gold(tmp_path: Path, name: str) -> None:
    """Their tests run beside this one."""
    section = {"source": {"kind": "ldif", "file": str(tmp_path / "nobody.ldif")}} if name == "directory" else None
    found = await grade(ROOT / "plugins" / name, section, run_tests=False)
    assert wrong(found) == []
    assert found.reached == "gold"


def test_the_page_says_what_each_grade_demands() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    written = re.findall(r"^\| (bronze|silver|gold) \| (.*) \|$", page, re.MULTILINE)
    assert written == [(demand.level, demand.text) for demand in DEMANDS]
