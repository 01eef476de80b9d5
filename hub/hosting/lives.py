"""The lives of plugins: each is started, stopped, put aside and started anew, while the hub goes on."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from pluggy import PluginValidationError
from pydantic import ValidationError

from hub.api.operations import Api, Operation
from hub.configuration.explaining import explained
from hub.configuration.settings import ConfigurationError
from hub.devices.mqtt import receive_signs_of_life
from hub.hooks.guard import DescribedError, call_guarded, guarded, kernel_task
from hub.hooks.pausable_timeout import PausableTimeout
from hub.hooks.specifications import project
from hub.hosting.choices import model_of
from hub.hosting.host import BOOT_STEP_SECONDS, Loaded
from hub.hosting.kernel import Kernel
from hub.hosting.routes import PluginRoutes
from hub.outside.addresses import Outside
from hub.plugin import Context
from hub.plugin.store import PluginStore
from hub.store.migrating import migrate
from hub.store.store import now
from hub.web.pages import Pages, Serve, Shell

log = structlog.get_logger("plugins")

START_SECONDS = 20
STOP_SECONDS = 5
END_SECONDS = 7
"""Longer than the guard leaves a task that ignores its cancellation (hub/hooks/guard.py)."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0
"""A plugin that did not start, or is in quarantine, is started again by itself, with waits that double."""
RECOVERED_SECONDS = 600.0
"""Whoever has run for so long begins again with the first wait."""


class PluginLives:
    """`routes` are the pages of those that run."""

    def __init__(self, kernel: Kernel) -> None:
        self.routes = PluginRoutes()
        self._kernel = kernel
        self._host = kernel.host
        self._choices = kernel.choices
        self._shell: Shell
        self._locks: dict[str, asyncio.Lock] = {}
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._changing: set[asyncio.Task[None]] = set()
        self._is_ready = self._is_closing = False
        kernel.host.quarantined = lambda plugin: self._later(self._put_aside(plugin))

    # -- all of them

    async def start_all(self, shell: Shell) -> None:
        """One after the other, in the order of the entry points; those that the console has switched off not."""
        self._shell = shell
        await self._choices.read()
        for name, plugin in self._host.plugins.items():
            if not self._choices.should_run(name):
                plugin.state = "off"
            elif plugin.state == "off":
                plugin.state = "loaded"
            if plugin.state == "failed":
                self._retry_later(plugin)
            elif plugin.state == "loaded":
                await self.start(name)

    def ready(self) -> None:
        """The hub serves: from now on a plugin that starts disturbs somebody."""
        self._is_ready = True

    async def close(self) -> None:
        self._is_closing = True
        for retry in self._retries.values():
            retry.cancel()
        if self._changing:
            await asyncio.wait(self._changing, timeout=STOP_SECONDS)
        names = [name for name, plugin in self._host.plugins.items() if plugin.instance is not None]
        await asyncio.gather(*(self.stop(name) for name in reversed(names)))

    def operations(self) -> list[Operation]:
        """What those that run offer in the HTTP API."""
        running = [plugin.context for plugin in self._host.plugins.values() if plugin.context is not None]
        return [operation for context in running for operation in context.api.operations]

    # -- one of them

    async def start(self, name: str) -> None:
        """With the hub. Whatever goes wrong is the plugin's failure, and is tried again."""
        async with self._lock(name):
            await self._start(self._host.plugins[name], is_just_loaded=True)

    async def stop(self, name: str) -> None:
        async with self._lock(name):
            await self._stop(self._host.plugins[name])

    async def restart(self, name: str) -> None:
        """Anew, with its settings and a folder's code as they are now; also one in quarantine or not started."""
        async with self._lock(name):
            plugin = self._host.plugins[name]
            await self._stop(plugin)
            plugin.tries = 0
            await self._start(plugin)

    async def switch(self, name: str, *, is_on: bool) -> None:
        async with self._lock(name):
            plugin = self._host.plugins[name]
            await self._stop(plugin)
            plugin.tries = 0
            if is_on:
                await self._start(plugin)
            else:
                plugin.state, plugin.reason, plugin.retry_at = "off", None, None
                plugin.forgive()
                self._cancel_retry(plugin)
                self._host.changed()

    # -- how

    async def _start(self, plugin: Loaded, *, is_just_loaded: bool = False) -> None:
        """A folder is imported anew unless it `is_just_loaded`: somebody may have edited it."""
        host = self._host
        self._cancel_retry(plugin)
        plugin.state, plugin.reason = "loaded", None
        plugin.retry_at = None
        plugin.start_seconds = None if self._is_ready else BOOT_STEP_SECONDS
        plugin.forgive()
        try:
            with PausableTimeout(START_SECONDS):
                if plugin.module is None or (isinstance(plugin.source, Path) and not is_just_loaded):
                    await asyncio.to_thread(host.load, plugin)
                if plugin.module is not None:
                    await self._make(plugin)
        except ConfigurationError as error:
            host.fail(plugin.name, f"its settings are wrong: {error}")
        except Exception as error:
            log.exception("plugin_start_failed", plugin=plugin.name)
            host.fail(plugin.name, f"did not start: {type(error).__name__}: {error}")
        plugin.start_seconds = None
        if host.is_quarantined(plugin.name):  # it has failed
            await self._clear(plugin)
            self._retry_later(plugin)
            return
        plugin.state, plugin.running_since = "running", asyncio.get_running_loop().time()
        host.changed()
        if self._is_ready:
            receive_signs_of_life(self._kernel.mqtt, self._kernel.enroller.kinds())
            await self._kernel.hooks.one(plugin.name, project)

    async def _make(self, plugin: Loaded) -> None:
        kernel, name = self._kernel, plugin.name
        assert plugin.module is not None  # noqa: S101 (it was imported)
        assert plugin.folder is not None  # noqa: S101
        folder = plugin.folder
        plugin.settings = self.settings(plugin)
        if (folder / "migrations").is_dir():
            data = kernel.configuration.hub.data
            await kernel.store.write(lambda connection: migrate(connection, name, folder / "migrations", data))
        pages = Pages(name, folder, self._shell, self._guard)
        api = Api(name)
        context = plugin.context = self._context(plugin, pages, api)
        instance = plugin.instance = call_guarded(plugin, plugin.module.Plugin, context, plugin.settings)
        try:
            kernel.hooks.register(name, instance)
        except PluginValidationError:  # it may answer a hook of a plugin that is switched off
            await asyncio.to_thread(self._host.import_contracts)
            kernel.hooks.register(name, instance)
        await guarded(plugin, call_guarded(plugin, instance.start))
        kernel.enroller.driven |= context.driven
        self.routes.put(name, [*kernel.api_server.offer(api.operations), *pages.routes])

    def settings(self, plugin: Loaded) -> Any:
        """Those from the console where there are any, else the file's. Raises ConfigurationError."""
        choice = self._choices.get(plugin.name)
        configuration = self._kernel.configuration
        if choice is None or choice.settings is None:
            return self._host.check_settings(plugin, configuration)
        model = model_of(plugin)
        try:
            section = self._choices.section_in_force(plugin)
            return call_guarded(plugin, configuration.validated, model, section)
        except ValidationError as error:
            wrong = explained(model, error.errors(include_input=False))
            raise ConfigurationError(
                [f"set on the console, {'.'.join(map(str, at))}: {text}" for at, text in wrong]
            ) from None

    async def _stop(self, plugin: Loaded) -> None:
        await self._halt(plugin)
        await self._clear(plugin)
        plugin.state = "loaded"

    async def _put_aside(self, plugin: Loaded) -> None:
        """Quarantine: nothing of it runs, whoever asks for it hears so, and it is tried again later."""
        async with self._lock(plugin.name):
            if plugin.state == "quarantined":
                if asyncio.get_running_loop().time() - plugin.running_since > RECOVERED_SECONDS:
                    plugin.tries = 0
                await self._halt(plugin)
                self._retry_later(plugin)

    async def _halt(self, plugin: Loaded) -> None:
        """Jobs, its own `stop`, and what it left running."""
        await _end(plugin.jobs.values())
        plugin.jobs.clear()
        stop = getattr(plugin.instance, "stop", None)
        if stop is not None:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await guarded(plugin, call_guarded(plugin, stop))
            except Exception as error:  # noqa: BLE001
                self._host.failed(plugin.name, "stop", error)
        left = [task for task in plugin.tasks if not task.done()]
        if left:
            log.warning("plugin_leaked_tasks", plugin=plugin.name, tasks=len(left))
            if not await _end(left):
                self._host.failed(plugin.name, "stop", DescribedError("leaves tasks running that do not end"))
        plugin.tasks.clear()

    async def _clear(self, plugin: Loaded) -> None:
        """As if it had never started."""
        kernel, name = self._kernel, plugin.name
        kernel.hooks.unregister(name)
        kernel.mqtt.remove_plugin(name)
        self.routes.remove(name)
        kernel.api_server.withdraw(name)
        await _end([*plugin.jobs.values(), *plugin.tasks])
        plugin.jobs.clear()
        if plugin.context is not None:
            for kind in plugin.context.driven:
                kernel.enroller.driven.pop(kind, None)
            plugin.context._end()  # noqa: SLF001 (nobody else may)
        plugin.context = plugin.instance = None

    def _retry_later(self, plugin: Loaded) -> None:
        if self._is_closing:
            return
        wait = min(FIRST_RETRY_SECONDS * 2**plugin.tries, LONGEST_RETRY_SECONDS)
        plugin.tries += 1
        plugin.retry_at = now() + timedelta(seconds=wait)
        self._host.changed()
        self._retries[plugin.name] = asyncio.get_running_loop().call_later(
            wait, lambda: self._later(self._retry(plugin))
        )

    def _cancel_retry(self, plugin: Loaded) -> None:
        if (retry := self._retries.pop(plugin.name, None)) is not None:
            retry.cancel()

    async def _retry(self, plugin: Loaded) -> None:
        async with self._lock(plugin.name):
            if plugin.state == "quarantined":
                await self._stop(plugin)
            if plugin.state in ("failed", "loaded"):
                await self._start(plugin)

    def _later(self, change: Any) -> None:
        task = kernel_task(change)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _context(self, plugin: Loaded, pages: Pages, api: Api) -> Context:
        kernel, settings, name = self._kernel, self._kernel.configuration.hub, plugin.name
        assert plugin.folder is not None  # noqa: S101
        return Context(
            name=name,
            folder=plugin.folder,
            data=kernel.configuration.hub.data,
            site=settings.site,
            calendar=kernel.calendar,
            web_address=settings.web.address,
            outside=Outside(settings.outside.allowed),
            store=PluginStore(kernel.store, name, self._kept_the_writer(name), has_own_reader=not plugin.is_ours),
            hooks=kernel.hooks,
            events=kernel.events,
            live=kernel.live,
            devices=kernel.devices,
            mqtt=kernel.mqtt,
            entities=kernel.entities,
            commands=kernel.commands,
            found_places=kernel.found_places,
            pages=pages,
            api=api,
            translator=pages.translator,
            run=kernel.host.run,
        )

    def _kept_the_writer(self, name: str) -> Callable[[float], None]:
        def kept(seconds: float) -> None:
            self._host.failed(name, "store", DescribedError(f"kept all others from writing for {seconds:.1f} s"))

        return kept

    def _guard(self, name: str, path: str, serve: Serve) -> Serve:
        """Its requests are the plugin's steps on the loop; what they raise is told as its, and never puts it aside."""
        host = self._host
        plugin = host.plugins[name]

        async def guarded_page(request: web.Request) -> web.StreamResponse:
            if host.is_quarantined(name):
                raise web.HTTPServiceUnavailable(text=f"The plugin {name} is out of order.")
            try:
                answer = await guarded(plugin, call_guarded(plugin, serve, request))
                if not isinstance(answer, web.StreamResponse):
                    raise TypeError(f"a page gives a response, not {type(answer).__name__}")  # noqa: TRY301
            except web.HTTPException:
                raise
            except Exception as error:
                host.raised(name, f"page {path}", error)
                raise
            return answer

        return guarded_page


async def _end(tasks: Any) -> bool:
    """Cancel them; False when some do not end in time."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if not waiting:
        return True
    _, stuck = await asyncio.wait(waiting, timeout=END_SECONDS)
    for task in stuck:
        log.error("task_stuck", task=task.get_name())
    with suppress(asyncio.CancelledError, Exception):
        await asyncio.gather(*(task for task in waiting if task.done()), return_exceptions=True)
    return not stuck
