"""Grades a plugin: bronze, silver or gold. docs/plugins.md lists the demands, and a test compares.

Bronze: it works and does no harm. Silver: IT can operate it. Gold: others can maintain it.
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
MAX_LINES = 400
RULES = "E4,E7,E9,F,B,ASYNC"
NOT_RULES = "ASYNC110,ASYNC240"
"""A plugin may poll for a file or a process, and read small files of its own."""


@dataclass
class Inspection:
    """What is known of the plugin: its files, and how it starts in an empty hub."""

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
    """`reached` is None if bronze is not met. `results`: for each demand what is wrong, empty if it is met."""

    reached: Level | None
    results: list[tuple[Demand, list[str]]]


async def grade(
    folder: Path, section: dict[str, Any] | None = None, *, run_tests: bool = True, up_to: Level = "gold"
) -> Grade:
    """Grade a plugin; `section` is its section of the configuration, if it needs settings."""
    inspection = Inspection(folder.name, folder.resolve(), run_tests=run_tests)
    await _start(inspection, section or {})
    levels = LEVELS[: LEVELS.index(up_to) + 1]
    results = [(demand, list(demand.wrong(inspection))) for demand in DEMANDS if demand.level in levels]
    reached: Level | None = None
    for level in levels:
        if any(wrong for demand, wrong in results if demand.level == level):
            break
        reached = level
    return Grade(reached, results)


async def _start(inspection: Inspection, section: dict[str, Any]) -> None:
    """Start the plugin in a hub of its own, with an empty store and all other plugins switched off."""
    installed = sources(None)
    is_installed = inspection.name in installed and folder_of(installed[inspection.name]) == inspection.folder
    directory = None if is_installed else inspection.folder.parent
    others = {name: False for name in sources(directory) if name != inspection.name}
    with tempfile.TemporaryDirectory() as data:
        path = Path(data) / "check.yaml"
        tree: dict[str, Any] = {"data": data, "plugins": others | {inspection.name: section}}
        if directory is not None:
            tree["plugin_directory"] = str(directory)
        YAML().dump(tree, path)
        try:
            hub = Hub(Configuration.read(path))
        except ConfigurationError as error:
            inspection.problem = f"with its default settings: {error.mistakes[0]}"
            return
        async with hub.store_only():
            inspection.plugin = plugin = hub.host.plugins[inspection.name]
            if plugin.state != "running":
                inspection.problem = plugin.reason or plugin.state
                return
            inspection.hooks = hub.hooks.implemented_by(inspection.name)
            tables = sys.modules.get(f"{plugin.module.__name__}.tables") if plugin.module else None
            inspection.tables = getattr(tables, "metadata", None)
            if inspection.tables is not None:
                metadata, name = inspection.tables, inspection.name
                inspection.differences = await hub.store.read(
                    lambda connection: _differences(connection, metadata, name)
                )
        if plugin.last_failure is not None:
            inspection.problem = plugin.last_failure


def _differences(connection: Connection, tables: MetaData, name: str) -> list[str]:
    """Differences between the tables made by the migrations and those in the code."""

    def is_own(results: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or results in tables.tables or bool(results and results.startswith(f"{name}_"))

    options = {"include_name": is_own, "compare_type": False}
    results = compare_metadata(MigrationContext.configure(connection, opts=options), tables)
    return [f"the migrations and tables.py differ: {str(one)[:120]}" for one in results]


# -- bronze


def _starts(inspection: Inspection) -> Iterator[str]:
    if inspection.problem is not None:
        yield inspection.problem


def _words(inspection: Inspection) -> Iterator[str]:
    try:
        yield from catalogues.problems(catalogues.owner(inspection.folder), catalogues.owner(catalogues.HUB))
    except (catalogues.NoLiteralError, SyntaxError) as error:
        yield str(error)


def _imports(inspection: Inspection) -> Iterator[str]:
    yield from plugin_code.private_imports(inspection.folder, inspection.name)


def _blocking(inspection: Inspection) -> Iterator[str]:
    yield from plugin_code.blocking_calls(inspection.folder)


# -- silver


def _settings(inspection: Inspection) -> Iterator[str]:
    if inspection.plugin is not None and inspection.plugin.module is not None:
        yield from _undescribed(inspection.plugin.module.Plugin.settings_model, "")


def _undescribed(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, one in model.model_fields.items():
        if not one.description:
            yield f"the setting {path}{name} has no description"
        for inner in models_in(one.annotation):
            if issubclass(inner, Section):  # other models are described elsewhere
                yield from _undescribed(inner, f"{path}{name}.")


def _tables(inspection: Inspection) -> Iterator[str]:
    yield from inspection.differences
    for table in inspection.tables.tables if inspection.tables is not None else ():
        if not table.startswith(f"{inspection.name}_"):
            yield f"the table {table} does not begin with {inspection.name}_"


def _health(inspection: Inspection) -> Iterator[str]:
    if "health" not in inspection.hooks:
        yield "it does not answer `health`"


def _held(inspection: Inspection) -> Iterator[str]:
    if inspection.tables is not None and "held_data" not in inspection.hooks:
        yield "it has tables and does not answer `held_data`; one that holds nothing personal answers an empty list"


def _tests(inspection: Inspection) -> Iterator[str]:
    repository_tests = inspection.folder.parents[1] / "tests"
    files = sorted(inspection.folder.glob("tests/test_*.py")) or sorted(
        repository_tests.glob(f"test_{inspection.name}*.py")
    )
    if not files:
        yield "it has no tests/test_*.py"
    elif inspection.run_tests:
        completed = _run(["-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)], inspection.folder.parent)
        if completed is None:
            yield "pytest is not installed: pip install 'kommunevert[test]'"
        elif completed.returncode != 0:
            yield "its tests fail: " + (completed.stdout.strip().splitlines() or ["?"])[-1]


# -- gold


def _types(inspection: Inspection) -> Iterator[str]:
    cache = Path(tempfile.gettempdir()) / "kommunevert-mypy"
    options = ["--strict", "--no-error-summary", "--cache-dir", str(cache)]
    completed = _run(["-m", "mypy", *options, inspection.folder.name], inspection.folder.parent)
    if completed is None:
        yield "mypy is not installed: pip install 'kommunevert[check]'"
    elif completed.returncode != 0:
        yield from (line for line in completed.stdout.splitlines() if ": error: " in line)


def _lint(inspection: Inspection) -> Iterator[str]:
    completed = _run(
        [
            *("-m", "ruff", "check", "--isolated", "--quiet", "--output-format", "concise"),
            *("--select", RULES, "--ignore", NOT_RULES, str(inspection.folder)),
        ],
        inspection.folder.parent,
    )
    if completed is None:
        yield "ruff is not installed: pip install 'kommunevert[check]'"
    elif completed.returncode != 0:
        yield from completed.stdout.splitlines()


def _docstrings(inspection: Inspection) -> Iterator[str]:
    yield from plugin_code.undocumented(inspection.folder)


def _short(inspection: Inspection) -> Iterator[str]:
    for path in plugin_code.files(inspection.folder):
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES:
            yield f"{path.name} has {lines} lines"


def _version(inspection: Inspection) -> Iterator[str]:
    if not plugin_code.literal(inspection.folder / "__init__.py", "kommunevert_api"):
        yield "__init__.py does not say `kommunevert_api = …`"


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str] | None:
    """Run Python with these arguments; None if the module is not installed."""
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
    Demand("gold", f"No file has more than {MAX_LINES} lines.", _short),
    Demand("gold", "It says for which version it is written (`kommunevert_api`).", _version),
)
