"""Finding and importing plugins: installed packages by their entry point, and folders of the plugin directory."""

import importlib
import importlib.metadata
import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from hub.hosting import code as plugin_code
from hub.hosting.version import IncompatibleError, check_api
from hub.language.translation import forget_catalogues

GROUP = "kommunevert"
OUR_PACKAGE = "kommunevert"
IMPORT_SECONDS = 20.0

Source = EntryPoint | Path


def sources(directory: Path | None) -> dict[str, Source]:
    """Each plugin's name and where it comes from; a folder wins over a package of the same name."""
    found: dict[str, Source] = {point.name: point for point in entry_points(group=GROUP)}
    if directory is not None and directory.is_dir():
        found |= {path.parent.name: path.parent.resolve() for path in sorted(directory.glob("*/__init__.py"))}
    return found


def is_ours(source: Source) -> bool:
    """Whether it is part of Kommunevert."""
    return isinstance(source, EntryPoint) and source.dist is not None and source.dist.name == OUR_PACKAGE


def version(source: Source) -> str:
    if isinstance(source, EntryPoint):
        return source.dist.version if source.dist is not None else "?"
    return plugin_code.literal(source / "__init__.py", "__version__") or "folder"


def load(source: Source) -> ModuleType:
    """Import the plugin; a folder is imported again. Raises IncompatibleError, or whatever the import raises."""
    return _imported(source, lambda: _import(source))


def load_contract(source: EntryPoint) -> None:
    """Import the contract of a plugin, which may be switched off. Raises as `load`."""
    _imported(source, lambda: importlib.import_module(f"{source.module}.contract"))


def _imported(source: Source, load: Callable[[], ModuleType]) -> ModuleType:
    """Import others' code in a thread of its own, which is abandoned if it does not end in time."""
    _check_api(source)
    if is_ours(source):
        return load()
    result: list[ModuleType] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            result.append(load())
        except BaseException as error:  # noqa: BLE001 (SystemExit too: it is raised below)
            raised.append(error)

    thread = threading.Thread(target=work, name=f"Thread-import {source.name}", daemon=True)
    thread.start()
    thread.join(IMPORT_SECONDS)
    if raised:
        raise raised[0] if isinstance(raised[0], Exception) else ImportError(f"raised {type(raised[0]).__name__}")
    if not result:
        raise ImportError(f"its import has not come to an end within {IMPORT_SECONDS:g} s")
    return result[0]


def hook_names(folder: Path) -> set[str]:
    """The hooks that the code in this folder implements, by static analysis, for a plugin that is not running."""
    found: set[str] = set()
    for path in folder.glob("*.py"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found |= set(re.findall(r"@hookimpl\b[^\n]*\n\s*(?:async\s+)?def\s+(\w+)", text))
    return found


def folder_of(source: Source) -> Path | None:
    """The folder of its code, without importing it (an entry point's parent packages are imported)."""
    if isinstance(source, Path):
        return source
    try:
        spec = importlib.util.find_spec(source.module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def _import(source: Source) -> ModuleType:
    module = source.load() if isinstance(source, EntryPoint) else _import_folder(source)
    if not hasattr(module, "Plugin"):
        raise ImportError("it has no class `Plugin`")
    found: ModuleType = module
    return found


def _import_folder(folder: Path) -> ModuleType:
    name = f"kommunevert_plugin_{folder.name}"
    for known in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[known]
    forget_catalogues(folder)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no Python package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _check_api(source: Source) -> None:
    """Raises IncompatibleError, and imports nothing of the plugin's."""
    folder = folder_of(source)
    wanted = plugin_code.literal(folder / "__init__.py", "kommunevert_api") if folder else None
    if wanted is not None:
        check_api(wanted)
    if isinstance(source, EntryPoint) and source.dist is not None and not is_ours(source):
        from packaging.requirements import Requirement  # noqa: PLC0415 (80 ms, for others' packages only)

        installed = importlib.metadata.version(OUR_PACKAGE)
        for requirement in map(Requirement, source.dist.requires or ()):
            if requirement.name == OUR_PACKAGE and not requirement.specifier.contains(installed, prereleases=True):
                raise IncompatibleError(f"its package needs {requirement}; this is {OUR_PACKAGE} {installed}")
