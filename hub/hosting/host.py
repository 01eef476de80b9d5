"""All plugins, the state of each, and the count of its failures."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import structlog
from prometheus_client import Counter

from hub.configuration.settings import Configuration, ConfigurationError, Section
from hub.hooks.guard import DescribedError, PluginBlockedError, call_guarded, guarded, kernel_task
from hub.hosting import finding as plugin_finding
from hub.hosting.finding import Source
from hub.hosting.version import IncompatibleError
from hub.store.store import Store
from hub.store.trouble import in_store, is_disk_failure

if TYPE_CHECKING:
    from hub.plugin import Context

log = structlog.get_logger("plugins")

MAX_FAILURES = 10
WITHIN_SECONDS = 60.0
MAX_FAILURES_IN_A_ROW = 10
ROW_WITHIN_SECONDS = 600.0
"""Failures at one place that are further apart are not counted as in a row."""
MAX_BLOCKS = 3
BLOCKS_WITHIN_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
AFTER_STORE_SECONDS = 0.5
SLOW_SECONDS = 60.0
REDUCED_TIME = 0.1
"""The part of a hook's time limit that a plugin gets for SLOW_SECONDS after it was late: others wait for the answer."""
STEP_SECONDS = 1.0
OUR_STEP_SECONDS = 10.0
"""Blocking the loop is reported after a quarter of a second, and interrupted after this time (hooks/watchdog.py)."""
GRACE_SECONDS = 1.0
OUR_GRACE_SECONDS = 5.0
BOOT_STEP_SECONDS = 5.0
"""While the hub starts, nobody waits for the loop."""

LOOP = "loop"

failures_total = Counter("plugin_failures_total", "Failures of plugins", ["plugin", "where"])

State = Literal["off", "loaded", "running", "failed", "quarantined"]


@dataclass(eq=False)
class HostedPlugin:
    """One plugin, in whatever state."""

    name: str
    source: Source | None = None
    is_ours: bool = False
    folder: Path | None = None
    module: ModuleType | None = None
    settings: Section | None = None
    context: "Context | None" = None
    instance: Any = None
    state: State = "loaded"
    reason: str | None = None
    version: str = "?"
    tries: int = 0
    """Failed starts and quarantines since it last ran for RECOVERED_SECONDS."""
    running_since: float = 0.0
    retry_at: datetime | None = None
    """When it is restarted automatically; None while it runs."""
    start_seconds: float | None = BOOT_STEP_SECONDS
    """How long one step may take while it starts; None afterwards."""
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FAILURES))
    """The times of the latest counted failures, by the monotonic clock."""
    last_failure: str | None = None
    blocks: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_BLOCKS))
    in_a_row: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By place: the failures without a success between them, and when the last one was."""
    slow_until: dict[str, float] = field(default_factory=dict)
    loops: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    """All tasks that its code has started (hub/hooks/guard.py)."""

    @property
    def step_seconds(self) -> float:
        if self.is_ours:
            return OUR_STEP_SECONDS
        if self.start_seconds is not None:
            return self.start_seconds
        return STEP_SECONDS

    @property
    def grace_seconds(self) -> float:
        return OUR_GRACE_SECONDS if self.is_ours else GRACE_SECONDS

    def reset_failures(self) -> None:
        self.failures.clear()
        self.last_failure = None
        self.blocks.clear()
        self.in_a_row.clear()
        self.slow_until.clear()


class PluginHost:
    """Counts failures (`hub.hooks.asking.Blame`) and quarantines a plugin that fails repeatedly."""

    def __init__(self, changed: Callable[[], None], store: Store) -> None:
        self.plugins: dict[str, HostedPlugin] = {}
        self.quarantined: Callable[[HostedPlugin], None] = lambda _plugin: None
        """Called with a plugin that was quarantined, to stop it."""
        self._changed = changed
        self._store = store
        self._all_started = asyncio.Event()

    # -- finding

    def find(self, configuration: Configuration) -> None:
        """Import every plugin that is not switched off and check its settings.

        Raises ConfigurationError with all mistakes at once. A plugin that cannot be imported is marked as failed.
        """
        mistakes: list[str] = []
        places: list[tuple[str | int, ...]] = []
        sources = plugin_finding.sources(configuration.hub.plugin_directory)
        for name in configuration.hub.plugins:
            if name not in sources:
                known = ", ".join(sorted(sources))
                mistakes.append(
                    configuration.mistake(("plugins", name), f"there is no such plugin; installed: {known}")
                )
        for name, source in sources.items():
            plugin = self.plugins[name] = HostedPlugin(name, source, plugin_finding.is_ours(source))
            plugin.version = plugin_finding.version(source)
            if configuration.plugin_section(name) is False:
                plugin.state = "off"
                continue
            self.load(plugin)
            if plugin.module is None:
                continue
            try:
                plugin.settings = self.check_settings(plugin, configuration)
            except ConfigurationError as error:
                mistakes += error.mistakes
                places += error.places
            except Exception as error:  # noqa: BLE001 (the model is the plugin's, and may raise anything)
                self.fail(name, f"its settings cannot be checked: {type(error).__name__} at {_place(error)}")
                plugin.module = None
        if mistakes:
            raise ConfigurationError(mistakes, places)

    def load(self, plugin: HostedPlugin) -> None:
        """Import the plugin; on failure `module` is None. May be called in a thread."""
        assert plugin.source is not None  # noqa: S101 (`find` gave it one)
        plugin.module = None
        try:
            plugin.version = plugin_finding.version(plugin.source)
            plugin.folder = plugin_finding.folder_of(plugin.source)
            module = plugin_finding.load(plugin.source)
            plugin.folder = Path(str(module.__file__)).resolve().parent
            plugin.module = module
        except IncompatibleError as error:
            self.fail(plugin.name, f"is not loaded: {error}")
        except Exception as error:  # noqa: BLE001 (a plugin's import may raise anything)
            self.fail(plugin.name, f"cannot be imported: {type(error).__name__}: {error}")

    @staticmethod
    def check_settings(plugin: HostedPlugin, configuration: Configuration) -> Section:
        """Raises ConfigurationError."""
        assert plugin.module is not None  # noqa: S101
        model: type[Section] = plugin.module.Plugin.settings_model
        checked: Section = call_guarded(plugin, configuration.plugin_settings, plugin.name, model)
        return checked

    # -- jobs

    def begin(self) -> None:
        """Let jobs run: all plugins have started, so all can answer."""
        self._all_started.set()

    def run(self, name: str, job: str, work: Callable[[], Awaitable[None]]) -> None:
        plugin = self.plugins[name]
        if (before := plugin.loops.get(job)) is not None:
            before.cancel()
        plugin.loops[job] = kernel_task(self._run_job(plugin, job, work), name=f"{name}: {job}")

    async def _run_job(self, plugin: HostedPlugin, job: str, work: Callable[[], Awaitable[None]]) -> None:
        await self._all_started.wait()
        wait = 1.0
        while True:
            began = time.monotonic()
            try:
                await guarded(plugin, call_guarded(plugin, work))
                return
            except Exception as error:  # noqa: BLE001
                if in_store(error):
                    self.failed(plugin.name, f"job {job}", error)
                    await asyncio.sleep(AFTER_STORE_SECONDS)
                    await self._store.wait_available()
                    continue
                if time.monotonic() - began > LONGEST_WAIT_SECONDS:
                    wait = 1.0
                    self.succeeded(plugin.name, f"job {job}")
                self.failed(plugin.name, f"job {job}", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    # -- failures

    def owner(self, name: str) -> HostedPlugin | None:
        return self.plugins.get(name)

    def failed(self, plugin: str, where: str, error: BaseException) -> None:
        """Count a failure; ten within a minute, or ten in a row at one place, quarantine the plugin.

        Failures caused by the store, the broker or the disk do not count.
        """
        hosted = self._log_failure(plugin, where, error)
        if hosted is None:
            return
        at = time.monotonic()
        hosted.failures.append(at)
        count, last = hosted.in_a_row.get(where, (0, at))
        count = count + 1 if at - last < ROW_WITHIN_SECONDS else 1
        hosted.in_a_row[where] = count, at
        if len(hosted.failures) == MAX_FAILURES and at - hosted.failures[0] < WITHIN_SECONDS:
            self._quarantine(hosted, f"{MAX_FAILURES} failures within a minute; the last: {hosted.last_failure}")
        elif count >= MAX_FAILURES_IN_A_ROW and where != LOOP:  # there is no success to reset the count for the loop
            self._quarantine(hosted, f"{count} failures in a row; the last: {hosted.last_failure}")
        self._changed()

    def raised(self, plugin: str, where: str, error: BaseException) -> None:
        """A failure of a page or operation: displayed, never counted, so that odd input cannot quarantine a plugin."""
        if self._log_failure(plugin, where, error) is not None:
            self._changed()

    def _log_failure(self, plugin: str, where: str, error: BaseException) -> HostedPlugin | None:
        """Log the failure; the plugin if it is responsible, None if the store, the broker or the disk is.

        The log has the type and line, never the text.
        """
        failures_total.labels(plugin, where.split(" ", maxsplit=1)[0]).inc()
        line = _place(error)
        log.error("plugin_failed", plugin=plugin, where=where, error=type(error).__name__, line=line)
        hosted = self.plugins.get(plugin)
        if hosted is None or isinstance(error, PluginBlockedError):  # the watchdog has counted that
            return None
        if (
            in_store(error)
            or is_disk_failure(error)
            or (isinstance(error, TimeoutError) and self._store.problem is not None)
        ):
            return None
        description = str(error) if isinstance(error, DescribedError) else f"{_type_name(error)} at {line}"
        hosted.last_failure = f"{where}: {description}"
        return hosted

    def succeeded(self, plugin: str, where: str) -> None:
        hosted = self.plugins.get(plugin)
        if hosted is not None and hosted.in_a_row:
            hosted.in_a_row.pop(where, None)

    def late(self, plugin: str, hook: str, time_limit: float) -> None:
        """Count a timeout. For SLOW_SECONDS the plugin then gets less time for this hook."""
        hosted = self.plugins.get(plugin)
        now = time.monotonic()
        if hosted is None or hosted.slow_until.get(hook, 0.0) > now or self._store.problem is not None:
            return  # its time was reduced, or it waits for our store
        hosted.slow_until[hook] = now + SLOW_SECONDS
        self.failed(plugin, f"hook {hook}", DescribedError(f"no answer within {time_limit:g} s"))

    def time_limit_for(self, plugin: str, hook: str, time_limit: float) -> float:
        hosted = self.plugins.get(plugin)
        if hosted is None or not hosted.slow_until or hosted.slow_until.get(hook, 0.0) < time.monotonic():
            return time_limit
        return time_limit * REDUCED_TIME

    def blocked(self, plugin: str, where: str, seconds: float) -> None:
        """Called by the watchdog when a plugin blocks the loop, and again when it is interrupted.

        Three interrupts quarantine the plugin.
        """
        hosted = self.plugins.get(plugin)
        if hosted is None:
            return
        if seconds < hosted.step_seconds:
            self.failed(plugin, LOOP, DescribedError(f"blocked the loop for {seconds:.2f} s at {where}"))
            return
        if hosted.is_ours or hosted.state != "running":
            return
        hosted.blocks.append(time.monotonic())
        if len(hosted.blocks) == MAX_BLOCKS and time.monotonic() - hosted.blocks[0] < BLOCKS_WITHIN_SECONDS:
            minutes = f"{BLOCKS_WITHIN_SECONDS / 60:g}"
            self._quarantine(
                hosted,
                f"blocked the loop and was interrupted {MAX_BLOCKS} times within {minutes} minutes; the last: {where}",
            )

    def fail(self, name: str, reason: str) -> None:
        self.plugins[name].state = "failed"
        self.plugins[name].reason = reason
        log.error("plugin_disabled", plugin=name, reason=reason)
        self._changed()

    def is_quarantined(self, plugin: str) -> bool:
        """Whether its code must not be called."""
        hosted = self.plugins.get(plugin)
        return hosted is not None and hosted.state in ("quarantined", "failed", "off")

    def missing(self, hook: str) -> list[str]:
        """Plugins that implement this hook but are not running; those switched off are left out."""
        return [
            plugin.name
            for plugin in self.plugins.values()
            if (plugin.state in ("failed", "quarantined") or (plugin.state == "loaded" and plugin.instance is None))
            and plugin.folder is not None
            and hook in plugin_finding.hook_names(plugin.folder)
        ]

    def import_contracts(self) -> None:
        """Import the contracts of all plugins, for the hooks that they declare. May be called in a thread."""
        for plugin in self.plugins.values():
            if isinstance(plugin.source, EntryPoint):
                with suppress(Exception):  # it may have none, and its import may raise anything
                    plugin_finding.load_contract(plugin.source)

    def owners(self) -> list[HostedPlugin]:
        """The plugins whose code may run."""
        return [plugin for plugin in self.plugins.values() if plugin.module is not None]

    def changed(self) -> None:
        self._changed()

    def _quarantine(self, plugin: HostedPlugin, reason: str) -> None:
        if plugin.state == "running":
            plugin.state, plugin.reason = "quarantined", reason
            log.error("plugin_quarantined", plugin=plugin.name, reason=reason)
            self.quarantined(plugin)


def _type_name(error: BaseException) -> str:
    """The type's name; for PluginRaisedError its text, which names the BaseException."""
    return str(error).removeprefix("raised ") if type(error).__name__ == "PluginRaisedError" else type(error).__name__


def _place(error: BaseException) -> str:
    """The innermost line of the traceback: `service.py:42`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
