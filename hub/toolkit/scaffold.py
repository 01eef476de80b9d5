"""Creates a new plugin from `scaffold_files`: with some of everything, and a test that passes."""

import keyword
import re
import sys
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from hub.hosting.finding import sources
from hub.hosting.version import API_VERSION

FOLDER = Path(__file__).resolve().parent / "scaffold_files"
SUFFIX = ".j2"


class ScaffoldError(Exception):
    """The plugin could not be written; the text says why."""


def write_plugin(name: str, out: Path) -> Path:
    """Write the plugin `name` below `out`; returns its folder. Raises ScaffoldError or OSError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise ScaffoldError(f"{name}: a plugin's name is a word of small letters, digits and _, such as `lostfound`")
    if name in sources(None):
        raise ScaffoldError(f"{name}: there is an installed plugin of that name")
    target = out / name
    if target.exists():
        raise ScaffoldError(f"{target} is there already")
    words = Environment(
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (the output is code, and the name is validated above)
    )
    dashed = name.replace("_", "-")
    values = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "path": dashed,
        "kind": f"{dashed}-button",
        "api": API_VERSION,
    }
    for source in sorted(FOLDER.rglob(f"*{SUFFIX}")):
        inside = words.from_string(source.relative_to(FOLDER).as_posix()).render(values)
        path = target / inside.removesuffix(SUFFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words.from_string(source.read_text(encoding="utf-8")).render(values), encoding="utf-8")
    return target
