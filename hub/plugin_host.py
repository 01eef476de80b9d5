"""Finding, starting and guarding plugins. A plugin's failure is its own: nothing here lets it reach the hub."""

import asyncio
import importlib
import importlib.util
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import structlog
from prometheus_client import Counter

from hub.settings import Configuration, ConfigurationError, Section

log = structlog.get_logger("plugins")

GROUP = "kommunevert"
START_SECONDS = 20
MOST_FAILURES = 10
WITHIN_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 60.0

failures_total = Counter("plugin_failures_total", "Failures of plugins", ["plugin", "where"])

State = Literal["off", "loaded", "running", "failed", "quarantined"]


@dataclass
class Loaded:
    """One plugin, whatever became of it."""

    name: str
    folder: Path | None = None
    module: ModuleType | None = None
    settings: Section | None = None
    instance: Any = None
    state: State = "loaded"
    reason: str | None = None
    version: str = "?"
    failures: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MOST_FAILURES))
    jobs: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def last_failure(self) -> str | None:
        return self.failures[-1][1] if self.failures else None


class PluginHost:
    """Keeps count of failures (`hub.hooks.Blame`) and quarantines a plugin that keeps failing."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.plugins: dict[str, Loaded] = {}
        self._changed = changed
        self._all_started = asyncio.Event()

    # -- finding

    def find(self, configuration: Configuration) -> None:
        """Import every plugin that is not switched off and check its settings.

        Raises ConfigurationError with all mistakes at once. A plugin that cannot be imported is marked as failed.
        """
        mistakes: list[str] = []
        sources = _sources(configuration.hub.plugin_directory)
        for name in configuration.hub.plugins:
            if name not in sources:
                known = ", ".join(sorted(sources))
                mistakes.append(
                    configuration.mistake(("plugins", name), f"there is no such plugin; installed: {known}")
                )
        for name, source in sources.items():
            plugin = self.plugins[name] = Loaded(name)
            if configuration.plugin_section(name) is False:
                plugin.state = "off"
                continue
            self._import(plugin, source)
            if plugin.module is None:
                continue
            try:
                plugin.settings = configuration.plugin_settings(name, plugin.module.Plugin.settings_model)
            except ConfigurationError as error:
                mistakes += error.mistakes
        if mistakes:
            raise ConfigurationError(mistakes)

    def _import(self, plugin: Loaded, source: "EntryPoint | Path") -> None:
        try:
            plugin.module = source.load() if isinstance(source, EntryPoint) else _import_folder(source)
            plugin.module.Plugin  # noqa: B018 (is it one?)
            plugin.folder = Path(str(plugin.module.__file__)).resolve().parent
            plugin.version = _version(source)
        except Exception as error:  # noqa: BLE001 (a plugin's import may raise anything)
            plugin.module = None
            self.fail(plugin.name, f"cannot be imported: {type(error).__name__}: {error}")

    # -- starting

    async def start(self, name: str, make: Callable[[Loaded], Awaitable[Any]]) -> None:
        """`make` migrates, builds and starts the plugin; whatever it raises is the plugin's failure."""
        plugin = self.plugins[name]
        try:
            async with asyncio.timeout(START_SECONDS):
                plugin.instance = await make(plugin)
            plugin.state = "running"
        except Exception as error:
            log.exception("plugin_not_started", plugin=name)
            self.fail(name, f"did not start: {type(error).__name__}: {error}")

    def begin(self) -> None:
        """All plugins have started, so all can answer: let their jobs run."""
        self._all_started.set()

    def run(self, name: str, job: str, work: Callable[[], Awaitable[None]]) -> None:
        plugin = self.plugins[name]
        plugin.jobs[job] = asyncio.create_task(self._keep_running(plugin, job, work), name=f"{name}: {job}")

    async def _keep_running(self, plugin: Loaded, job: str, work: Callable[[], Awaitable[None]]) -> None:
        await self._all_started.wait()
        wait = 1.0
        while True:
            began = time.monotonic()
            try:
                await work()
                return
            except Exception as error:  # noqa: BLE001
                self.failed(plugin.name, f"job {job}", error)
            if time.monotonic() - began > LONGEST_WAIT_SECONDS:
                wait = 1.0
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def stop(self) -> None:
        jobs = [job for plugin in self.plugins.values() for job in plugin.jobs.values()]
        for job in jobs:
            job.cancel()
        if jobs:
            _, stuck = await asyncio.wait(jobs, timeout=5)
            for job in stuck:
                log.error("job_does_not_stop", job=job.get_name())

    # -- blame

    def failed(self, plugin: str, where: str, error: BaseException) -> None:
        """Count it; ten within a minute are too many. The log has the type and place, never the content."""
        failures_total.labels(plugin, where.split(" ", maxsplit=1)[0]).inc()
        line = _place(error)
        log.error("plugin_failed", plugin=plugin, where=where, error=type(error).__name__, line=line)
        loaded = self.plugins.get(plugin)
        if loaded is None:
            return
        loaded.failures.append((time.monotonic(), f"{where}: {type(error).__name__} at {line}"))
        oldest = loaded.failures[0][0]
        if len(loaded.failures) == MOST_FAILURES and time.monotonic() - oldest < WITHIN_SECONDS:
            self._quarantine(loaded, f"{MOST_FAILURES} failures within a minute; the last: {loaded.last_failure}")
        self._changed()

    def blocked(self, plugin: str, where: str, seconds: float) -> None:
        """From the watchdog."""
        self.failed(plugin, f"blocked the loop for {seconds:.1f} s at {where}", TimeoutError())

    def fail(self, name: str, reason: str) -> None:
        self.plugins[name].state = "failed"
        self.plugins[name].reason = reason
        log.error("plugin_out", plugin=name, reason=reason)
        self._changed()

    def is_quarantined(self, plugin: str) -> bool:
        loaded = self.plugins.get(plugin)
        return loaded is not None and loaded.state in ("quarantined", "failed")

    def release(self, plugin: str) -> None:
        """IT has mended it, or wants to try again."""
        loaded = self.plugins[plugin]
        if loaded.state == "quarantined":
            loaded.state, loaded.reason = "running", None
            loaded.failures.clear()
            self._changed()

    def folders(self) -> dict[Path, str]:
        return {plugin.folder: plugin.name for plugin in self.plugins.values() if plugin.folder}

    def _quarantine(self, plugin: Loaded, reason: str) -> None:
        if plugin.state == "running":
            plugin.state, plugin.reason = "quarantined", reason
            log.error("plugin_quarantined", plugin=plugin.name, reason=reason)


def _sources(directory: Path | None) -> "dict[str, EntryPoint | Path]":
    found: dict[str, EntryPoint | Path] = {point.name: point for point in entry_points(group=GROUP)}
    if directory is not None and directory.is_dir():
        found |= {path.parent.name: path.parent for path in sorted(directory.glob("*/__init__.py"))}
    return found


def _import_folder(folder: Path) -> ModuleType:
    name = f"kommunevert_plugin_{folder.name}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no Python package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _version(source: "EntryPoint | Path") -> str:
    if isinstance(source, EntryPoint) and source.dist is not None:
        return source.dist.version
    return "folder"


def _place(error: BaseException) -> str:
    """The innermost line of the traceback: `service.py:42`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
