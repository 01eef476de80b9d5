"""The lifecycle of plugins: each is started, stopped, quarantined and restarted while the hub runs."""

import asyncio
from collections.abc import Callable
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
from hub.hosting.host import BOOT_STEP_SECONDS, HostedPlugin
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
"""Longer than the guard gives a task that ignores its cancellation (hub/hooks/guard.py)."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0
"""A plugin that failed to start, or is in quarantine, is restarted automatically, with doubling waits."""
RECOVERED_SECONDS = 600.0
"""A plugin that has run for so long starts again with the first wait."""


class PluginLifecycle:
    """`routes` are the pages of running plugins."""

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
        kernel.host.quarantined = lambda plugin: self._start_change(self._suspend(plugin))

    # -- all of them

    async def start_all(self, shell: Shell) -> None:
        """Start all that are not switched off, one after the other, in the order of the entry points."""
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
        """The hub serves requests: from now on a starting plugin gets less time for each step."""
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
        """The API operations of running plugins."""
        running = [plugin.context for plugin in self._host.plugins.values() if plugin.context is not None]
        return [operation for context in running for operation in context.api.operations]

    # -- one of them

    async def start(self, name: str) -> None:
        """Start at the hub's own start. A failure is the plugin's, and is retried."""
        async with self._lock(name):
            await self._start(self._host.plugins[name], is_just_loaded=True)

    async def stop(self, name: str) -> None:
        async with self._lock(name):
            await self._stop(self._host.plugins[name])

    async def restart(self, name: str) -> None:
        """Stop and start with current settings and code; also from quarantine or after a failed start."""
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
                plugin.reset_failures()
                self._cancel_retry(plugin)
                self._host.changed()

    # -- steps

    async def _start(self, plugin: HostedPlugin, *, is_just_loaded: bool = False) -> None:
        """A plugin folder is imported again, since it may have been edited, unless it `is_just_loaded`."""
        host = self._host
        self._cancel_retry(plugin)
        plugin.state, plugin.reason = "loaded", None
        plugin.retry_at = None
        plugin.start_seconds = None if self._is_ready else BOOT_STEP_SECONDS
        plugin.reset_failures()
        try:
            with PausableTimeout(START_SECONDS):
                if plugin.module is None or (isinstance(plugin.source, Path) and not is_just_loaded):
                    await asyncio.to_thread(host.load, plugin)
                if plugin.module is not None:
                    await self._instantiate(plugin)
        except ConfigurationError as error:
            host.fail(plugin.name, f"its settings are wrong: {error}")
        except Exception as error:
            log.exception("plugin_start_failed", plugin=plugin.name)
            host.fail(plugin.name, f"did not start: {type(error).__name__}: {error}")
        plugin.start_seconds = None
        if host.is_quarantined(plugin.name):  # it has failed
            await self._unregister(plugin)
            self._retry_later(plugin)
            return
        plugin.state, plugin.running_since = "running", asyncio.get_running_loop().time()
        host.changed()
        if self._is_ready:
            receive_signs_of_life(self._kernel.mqtt, self._kernel.enroller.kinds())
            await self._kernel.hooks.one(plugin.name, project)

    async def _instantiate(self, plugin: HostedPlugin) -> None:
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
        except PluginValidationError:  # it may implement a hook of a plugin that is switched off
            await asyncio.to_thread(self._host.import_contracts)
            kernel.hooks.register(name, instance)
        await guarded(plugin, call_guarded(plugin, instance.start))
        await kernel.jobs.started(name)
        kernel.enroller.driven |= context.driven
        self.routes.set_routes(name, [*kernel.api_server.offer(api.operations), *pages.routes])

    def settings(self, plugin: HostedPlugin) -> Any:
        """The settings from the console if there are any, else from the file. Raises ConfigurationError."""
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

    async def _stop(self, plugin: HostedPlugin) -> None:
        await self._shut_down(plugin)
        await self._unregister(plugin)
        plugin.state = "loaded"

    async def _suspend(self, plugin: HostedPlugin) -> None:
        """Stop the code of a quarantined plugin, and retry it later."""
        async with self._lock(plugin.name):
            if plugin.state == "quarantined":
                if asyncio.get_running_loop().time() - plugin.running_since > RECOVERED_SECONDS:
                    plugin.tries = 0
                await self._shut_down(plugin)
                self._retry_later(plugin)

    async def _shut_down(self, plugin: HostedPlugin) -> None:
        """End its jobs, call its `stop`, and end tasks that it leaked."""
        await _end(plugin.loops.values())
        plugin.loops.clear()
        await self._kernel.jobs.stopped(plugin.name)
        stop = getattr(plugin.instance, "stop", None)
        if stop is not None:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await guarded(plugin, call_guarded(plugin, stop))
            except Exception as error:  # noqa: BLE001
                self._host.failed(plugin.name, "stop", error)
        leaked = [task for task in plugin.tasks if not task.done()]
        if leaked:
            log.warning("plugin_leaked_tasks", plugin=plugin.name, tasks=len(leaked))
            if not await _end(leaked):
                self._host.failed(plugin.name, "stop", DescribedError("leaked tasks that do not end"))
        plugin.tasks.clear()

    async def _unregister(self, plugin: HostedPlugin) -> None:
        """Undo everything that the plugin has registered."""
        kernel, name = self._kernel, plugin.name
        kernel.hooks.unregister(name)
        kernel.mqtt.remove_plugin(name)
        self.routes.remove(name)
        await kernel.jobs.stopped(name)
        kernel.api_server.withdraw(name)
        await _end([*plugin.loops.values(), *plugin.tasks])
        plugin.loops.clear()
        if plugin.context is not None:
            for kind in plugin.context.driven:
                kernel.enroller.driven.pop(kind, None)
            plugin.context._end()  # noqa: SLF001 (for the lifecycle only)
        plugin.context = plugin.instance = None

    def _retry_later(self, plugin: HostedPlugin) -> None:
        if self._is_closing:
            return
        wait = min(FIRST_RETRY_SECONDS * 2**plugin.tries, LONGEST_RETRY_SECONDS)
        plugin.tries += 1
        plugin.retry_at = now() + timedelta(seconds=wait)
        self._host.changed()
        self._retries[plugin.name] = asyncio.get_running_loop().call_later(
            wait, lambda: self._start_change(self._retry(plugin))
        )

    def _cancel_retry(self, plugin: HostedPlugin) -> None:
        if (retry := self._retries.pop(plugin.name, None)) is not None:
            retry.cancel()

    async def _retry(self, plugin: HostedPlugin) -> None:
        async with self._lock(plugin.name):
            if plugin.state == "quarantined":
                await self._stop(plugin)
            if plugin.state in ("failed", "loaded"):
                await self._start(plugin)

    def _start_change(self, change: Any) -> None:
        task = kernel_task(change)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _context(self, plugin: HostedPlugin, pages: Pages, api: Api) -> Context:
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
            store=PluginStore(kernel.store, name, self._long_write_reporter(name), has_own_reader=not plugin.is_ours),
            hooks=kernel.hooks,
            events=kernel.events,
            jobs=kernel.jobs,
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

    def _long_write_reporter(self, name: str) -> Callable[[float], None]:
        def report(seconds: float) -> None:
            self._host.failed(name, "store", DescribedError(f"blocked all other writes for {seconds:.1f} s"))

        return report

    def _guard(self, name: str, path: str, serve: Serve) -> Serve:
        """Run the plugin's pages as its steps on the loop; exceptions are attributed to it, but never quarantine it."""
        host = self._host
        plugin = host.plugins[name]

        async def guarded_page(request: web.Request) -> web.StreamResponse:
            if host.is_quarantined(name):
                raise web.HTTPServiceUnavailable(text=f"The plugin {name} is out of order.")
            try:
                answer = await guarded(plugin, call_guarded(plugin, serve, request))
                if not isinstance(answer, web.StreamResponse):
                    raise TypeError(f"a page must return a response, not {type(answer).__name__}")  # noqa: TRY301
            except web.HTTPException:
                raise
            except Exception as error:
                host.raised(name, f"page {path}", error)
                raise
            return answer

        return guarded_page


async def _end(tasks: Any) -> bool:
    """Cancel the tasks; False if some do not end in time."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if not waiting:
        return True
    _, stuck = await asyncio.wait(waiting, timeout=END_SECONDS)
    for task in stuck:
        log.error("task_stuck", task=task.get_name())
    await asyncio.gather(*(task for task in waiting if task.done()), return_exceptions=True)  # else "never retrieved"
    return not stuck
