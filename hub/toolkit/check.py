"""How good a plugin is: bronze, silver or gold. What each demands stands in docs/plugins.md, and a test compares.

Bronze: it works and hurts nobody. Silver: IT can run it. Gold: others can go on with it.
"""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import BaseModel
from ruamel.yaml import YAML
from sqlalchemy import Connection, MetaData

from hub.configuration.settings import Configuration, ConfigurationError, Section, models_in
from hub.hosting import code as plugin_code
from hub.hosting.finding import folder_of, sources
from hub.hosting.host import HostedPlugin
from hub.hub import Hub
from hub.language import catalogues

Level = Literal["bronze", "silver", "gold"]
LEVELS: tuple[Level, ...] = ("bronze", "silver", "gold")
TEST_SECONDS = 300
MOST_LINES = 400
RULES = "E4,E7,E9,F,B,ASYNC"
NOT_RULES = "ASYNC110,ASYNC240"
"""Waiting for a file or a process in a loop, and small files beside the code, are what a plugin may do."""


@dataclass
class Inspection:
    """What a look at the plugin has found: its files, and how it starts in an empty hub."""

    name: str
    folder: Path
    plugin: HostedPlugin | None = None
    hooks: list[str] = field(default_factory=list)
    problem: str | None = None
    tables: MetaData | None = None
    differences: list[str] = field(default_factory=list)
    run_tests: bool = True


@dataclass(frozen=True)
class Demand:
    level: Level
    text: str
    wrong: Callable[[Inspection], Iterator[str]]


@dataclass(frozen=True)
class Grade:
    """`reached` is None when bronze is not met. For each demand what is wrong, nothing when it is met."""

    reached: Level | None
    found: list[tuple[Demand, list[str]]]


async def grade(
    folder: Path, section: dict[str, Any] | None = None, *, run_tests: bool = True, up_to: Level = "gold"
) -> Grade:
    """`section` is what would stand under `plugins: NAME:`, for a plugin that needs settings."""
    looked = Inspection(folder.name, folder.resolve(), run_tests=run_tests)
    await _start(looked, section or {})
    levels = LEVELS[: LEVELS.index(up_to) + 1]
    found = [(demand, list(demand.wrong(looked))) for demand in DEMANDS if demand.level in levels]
    reached: Level | None = None
    for level in levels:
        if any(wrong for demand, wrong in found if demand.level == level):
            break
        reached = level
    return Grade(reached, found)


async def _start(looked: Inspection, section: dict[str, Any]) -> None:
    """In a hub of its own, on an empty store, with all other plugins switched off."""
    installed = sources(None)
    is_installed = looked.name in installed and folder_of(installed[looked.name]) == looked.folder
    directory = None if is_installed else looked.folder.parent
    others = {name: False for name in sources(directory) if name != looked.name}
    with tempfile.TemporaryDirectory() as data:
        path = Path(data) / "check.yaml"
        tree: dict[str, Any] = {"data": data, "plugins": others | {looked.name: section}}
        if directory is not None:
            tree["plugin_directory"] = str(directory)
        YAML().dump(tree, path)
        try:
            hub = Hub(Configuration.read(path))
        except ConfigurationError as error:
            looked.problem = f"with its default settings: {error.mistakes[0]}"
            return
        async with hub.store_only():
            looked.plugin = plugin = hub.host.plugins[looked.name]
            if plugin.state != "running":
                looked.problem = plugin.reason or plugin.state
                return
            looked.hooks = hub.hooks.implemented_by(looked.name)
            tables = sys.modules.get(f"{plugin.module.__name__}.tables") if plugin.module else None
            looked.tables = getattr(tables, "metadata", None)
            if looked.tables is not None:
                metadata, name = looked.tables, looked.name
                looked.differences = await hub.store.read(lambda connection: _differences(connection, metadata, name))
        if plugin.last_failure is not None:
            looked.problem = plugin.last_failure


def _differences(connection: Connection, tables: MetaData, name: str) -> list[str]:
    """Between the tables that the migrations made and those that the code has."""

    def is_own(found: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or found in tables.tables or bool(found and found.startswith(f"{name}_"))

    options = {"include_name": is_own, "compare_type": False}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), tables)
    return [f"the migrations and tables.py differ: {str(one)[:120]}" for one in found]


# -- bronze


def _starts(looked: Inspection) -> Iterator[str]:
    if looked.problem is not None:
        yield looked.problem


def _words(looked: Inspection) -> Iterator[str]:
    try:
        yield from catalogues.problems(catalogues.owner(looked.folder), catalogues.owner(catalogues.HUB))
    except (catalogues.NoLiteralError, SyntaxError) as error:
        yield str(error)


def _imports(looked: Inspection) -> Iterator[str]:
    yield from plugin_code.private_imports(looked.folder, looked.name)


def _blocking(looked: Inspection) -> Iterator[str]:
    yield from plugin_code.blocking_calls(looked.folder)


# -- silver


def _settings(looked: Inspection) -> Iterator[str]:
    if looked.plugin is not None and looked.plugin.module is not None:
        yield from _undescribed(looked.plugin.module.Plugin.settings_model, "")


def _undescribed(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, one in model.model_fields.items():
        if not one.description:
            yield f"the setting {path}{name} has no description"
        for inner in models_in(one.annotation):
            if issubclass(inner, Section):  # a message's model is described where messages are
                yield from _undescribed(inner, f"{path}{name}.")


def _tables(looked: Inspection) -> Iterator[str]:
    yield from looked.differences
    for table in looked.tables.tables if looked.tables is not None else ():
        if not table.startswith(f"{looked.name}_"):
            yield f"the table {table} does not begin with {looked.name}_"


def _health(looked: Inspection) -> Iterator[str]:
    if "health" not in looked.hooks:
        yield "it does not answer `health`"


def _held(looked: Inspection) -> Iterator[str]:
    if looked.tables is not None and "held_data" not in looked.hooks:
        yield "it has tables and does not answer `held_data`; one that holds nothing personal answers an empty list"


def _tests(looked: Inspection) -> Iterator[str]:
    beside = looked.folder.parents[1] / "tests"
    found = sorted(looked.folder.glob("tests/test_*.py")) or sorted(beside.glob(f"test_{looked.name}*.py"))
    if not found:
        yield "it has no tests/test_*.py"
    elif looked.run_tests:
        done = _run(["-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, found)], looked.folder.parent)
        if done is None:
            yield "pytest is not installed: pip install 'kommunevert[test]'"
        elif done.returncode != 0:
            yield "its tests fail: " + (done.stdout.strip().splitlines() or ["?"])[-1]


# -- gold


def _types(looked: Inspection) -> Iterator[str]:
    cache = Path(tempfile.gettempdir()) / "kommunevert-mypy"
    options = ["--strict", "--no-error-summary", "--cache-dir", str(cache)]
    done = _run(["-m", "mypy", *options, looked.folder.name], looked.folder.parent)
    if done is None:
        yield "mypy is not installed: pip install 'kommunevert[check]'"
    elif done.returncode != 0:
        yield from (line for line in done.stdout.splitlines() if ": error: " in line)


def _lint(looked: Inspection) -> Iterator[str]:
    done = _run(
        [
            *("-m", "ruff", "check", "--isolated", "--quiet", "--output-format", "concise"),
            *("--select", RULES, "--ignore", NOT_RULES, str(looked.folder)),
        ],
        looked.folder.parent,
    )
    if done is None:
        yield "ruff is not installed: pip install 'kommunevert[check]'"
    elif done.returncode != 0:
        yield from done.stdout.splitlines()


def _docstrings(looked: Inspection) -> Iterator[str]:
    yield from plugin_code.undocumented(looked.folder)


def _short(looked: Inspection) -> Iterator[str]:
    for path in plugin_code.files(looked.folder):
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES:
            yield f"{path.name} has {lines} lines"


def _version(looked: Inspection) -> Iterator[str]:
    if not plugin_code.literal(looked.folder / "__init__.py", "kommunevert_api"):
        yield "__init__.py does not say `kommunevert_api = …`"


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str] | None:
    """Python with these arguments; None when the module is not installed."""
    if importlib.util.find_spec(arguments[1]) is None:
        return None
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TEST_SECONDS, check=False)


DEMANDS = (
    Demand("bronze", "It is imported, fits this version, starts and stops in an empty hub; its hooks fit.", _starts),
    Demand("bronze", "The words nn, nb and en are complete.", _words),
    Demand("bronze", "It imports only what is public of the hub, and of another plugin its contract.", _imports),
    Demand(
        "bronze",
        "No coroutine calls what blocks, such as `time.sleep` or `subprocess.run`.",
        _blocking,
    ),
    Demand("silver", "Every setting has a description.", _settings),
    Demand("silver", "The migrations make the tables of `tables.py`; their names begin with its own.", _tables),
    Demand("silver", "It answers `health`.", _health),
    Demand("silver", "If it has tables, it answers `held_data`.", _held),
    Demand("silver", "It has tests, and they pass.", _tests),
    Demand("gold", "`mypy --strict` finds nothing.", _types),
    Demand("gold", f"ruff finds nothing ({RULES}).", _lint),
    Demand("gold", "Every file says in its first line what it is about.", _docstrings),
    Demand("gold", f"No file has more than {MOST_LINES} lines.", _short),
    Demand("gold", "It says for which version it is written (`kommunevert_api`).", _version),
)
