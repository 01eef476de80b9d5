"""What `make dev` starts the hub anew for, and what a page takes up without that."""

import json
from pathlib import Path

import pytest

from hub.toolkit.watching import counts
from hub.web.assets import Assets, MissingAssetsError


@pytest.mark.parametrize(
    ("path", "is_restart"),
    [
        ("hub/web/pages.py", True),
        ("plugins/locks/locale/nn/LC_MESSAGES/messages.po", True),
        ("config/demo/demo.yaml", True),
        ("plugins/locks/templates/doors.html", False),
        ("hub/web/console.css", False),
        ("hub/static/dist/manifest.json", False),
        ("plugins/.venv/lib/thing.py", False),
    ],
)
def test_the_hub_starts_anew_for_what_it_reads_at_its_start(path: str, is_restart: bool) -> None:
    assert counts("modified", path) is is_restart


def test_a_page_names_what_was_built_last(tmp_path: Path) -> None:
    with pytest.raises(MissingAssetsError):
        Assets(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"console.js": "console-1.js"}))
    assets = Assets(tmp_path)
    assert assets.url("console.js") == "/static/dist/console-1.js"
    new = tmp_path / "manifest.new"
    new.write_text(json.dumps({"console.js": "console-2.js"}))
    new.replace(manifest)
    assert assets.url("console.js") == "/static/dist/console-2.js"
    manifest.unlink()
    assert assets.url("console.js") == "/static/dist/console-2.js"
