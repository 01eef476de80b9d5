"""The hub, from top to bottom: store, accounts, broker, plugins, pages, ready."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from devices.wire.connection import Address, Received, Will, Wire
from hub.accounts.accounts import Accounts
from hub.accounts.tokens import Tokens
from hub.api.event_stream import EventStream
from hub.api.operations import Api, Operation
from hub.api.serving import ApiServer
from hub.broker.dynamic_security import DynamicSecurity
from hub.broker.mosquitto import HUB_ACCOUNT, Broker
from hub.calendar.device_hours import call_daily
from hub.calendar.exceptions import Exceptions
from hub.calendar.opening import Calendar
from hub.configuration.data_folder import create_reserve, free_reserve, open_data_folder
from hub.configuration.settings import Configuration, ExternalBroker, OwnBroker
from hub.console.audit.api import AuditApi
from hub.console.audit.pages import SystemPages
from hub.console.devices.api import DeviceApi
from hub.console.devices.pages import DevicePages
from hub.console.found.api import EntityApi
from hub.console.found.pages import FoundPages
from hub.console.found.stream import entity_stream
from hub.console.gateways.api import AccountApi
from hub.console.gateways.pages import GatewayPages
from hub.console.jobs.api import JobApi
from hub.console.jobs.pages import JobPages
from hub.console.login.limits import LoginLimits
from hub.console.login.pages import login_pages
from hub.console.login.password_again import password_required
from hub.console.logins.pages import AccountPages
from hub.console.opening_hours.api import OpeningApi
from hub.console.opening_hours.pages import OpeningPages
from hub.console.pairing.api import PairingApi
from hub.console.pairing.pages import PairingPages
from hub.console.plugins.api import PluginApi
from hub.console.plugins.choices_api import PluginChoiceApi
from hub.console.plugins.pages import PluginPages
from hub.console.search.api import SearchApi
from hub.console.search.pages import SearchPage
from hub.console.tokens.api import TokenApi
from hub.console.tokens.pages import ApiPages
from hub.devices.absences import note_alive
from hub.devices.admission import Admission
from hub.devices.diagnostics import Diagnostics
from hub.devices.enroller import Enroller
from hub.devices.gateways import Gateways
from hub.devices.mqtt import Mqtt, receive_signs_of_life
from hub.devices.pairing import Pairing
from hub.devices.registry import Devices
from hub.entities.announcing import Announcer
from hub.entities.commands import Commands
from hub.entities.history import History
from hub.entities.places import FoundPlaces
from hub.entities.registry import Entities
from hub.hooks.asking import Hooks
from hub.hooks.guard import plugin_tasks_owned
from hub.hooks.specifications import devices_changed, opening_changed, project
from hub.hooks.unhandled import unhandled_exceptions_logged
from hub.hooks.watchdog import Watchdog
from hub.hosting.choices import Choices
from hub.hosting.choosing import Choosing
from hub.hosting.host import PluginHost
from hub.hosting.kernel import Kernel
from hub.hosting.lifecycle import PluginLifecycle
from hub.store.events import Events
from hub.store.folder_lock import FolderLock
from hub.store.live import Live
from hub.store.migrating import migrate
from hub.store.retention import in_parts, release_free_pages
from hub.store.store import Store, now
from hub.store.trouble import check_database, in_store
from hub.web.assets import Assets
from hub.web.connections import Connections, room_for
from hub.web.health import health_routes
from hub.web.live_stream import live_stream
from hub.web.mqtt_proxy import proxy
from hub.web.pages import KERNEL, Pages, Shell
from hub.web.security import middlewares
from hub.web.stream_access import StreamAccess
from hub.work.jobs import Jobs
from hub.work.parts import Condition, Parts

log = structlog.get_logger("hub")

MIGRATIONS = Path(__file__).resolve().parent / "store" / "migrations"
SESSION_SECONDS = 3600
"""How long the broker queues devices' messages while the hub is away. A fallback: devices resend until the receipt."""
STOP_SECONDS = 5
STORE_TRY_SECONDS = 0.5
ROOM_SECONDS = 5
LINGER_SECONDS = 2.0
"""How long the rest of a refused request is read and discarded, so that its sender reads the response."""
KEEPALIVE_SECONDS = 150.0
"""Longer than reverse proxies', which would otherwise reuse a connection that we are closing."""
EVENTS_KEPT = timedelta(days=7)
FORGET_SECONDS = 3600
ROLES_SECONDS = 60


class Hub:
    """One municipality's hub. `async with hub.running():` starts it and stops it again."""

    def __init__(self, configuration: Configuration) -> None:
        """Imports the plugins and checks all settings. Raises ConfigurationError before anything is started."""
        self.configuration = configuration
        self.settings = configuration.hub
        self.live = Live()
        self.store = Store(self.settings.store_url)
        self.calendar = Calendar(self.settings.calendar, self.settings.site.zone)
        self.exceptions = Exceptions(self.store, self.calendar)
        self.store.on_state_change = lambda: self.live.touch("plugins")
        self.parts = Parts(self.store, lambda: self.live.touch("plugins"))
        self.host = PluginHost(lambda: self.live.touch("plugins"), self.store)
        self.host.find(configuration)
        self.hooks = Hooks(self.host)
        self.events = Events(self.store)
        self.jobs = Jobs(self.store, self.host, self.live, self.settings.site.zone)
        self.devices = Devices(self.store, self.live)
        self.gateways = Gateways(self.store, self.settings.root)
        self.accounts = Accounts(self.store, self.hooks)
        self.history = History(self.settings.data / "history.db", self.settings.history.days)
        self.entities = Entities(self.settings.discovery.prefix, self.settings.root, self.live, self.history.record)
        self.announcing = Announcer(
            self.settings.discovery,
            self.settings.root,
            self.settings.site.id,
            self.devices,
            self.hooks,
            self.live,
            self.store,
            lambda: self.enroller.subjects(),  # noqa: PLW0108 (it is made further down)
        )
        self.entities.on_own_announcement = self.announcing.on_announcement
        self.entities.ownership.reaching = self.gateways.reaching
        self.entities.ownership.announcers = self.gateways.announcers
        self.found_places = FoundPlaces(self.store)
        self.commands = Commands(self.store, self.hooks, self.entities, self.history)
        self.tokens = Tokens(self.store)
        self.mqtt = Mqtt(self.settings.root, self.settings.site.id, self.devices, self.host, self._on_other_topic)
        self.broker: Broker | None = None
        self.dynamic_security = self._dynamic_security()
        self.admission = self._admission()
        self.enroller = Enroller(self.settings, self.devices, self.gateways, self.admission, self.hooks, self.mqtt)
        self.pairing = Pairing()
        self.devices.on_arrival = self.pairing.mark_connected
        self.plugins_started = False
        self.stream_access = StreamAccess(self.accounts, self.tokens)
        self.event_stream = EventStream(self.events, self.stream_access)
        per_minute = self.settings.web.api_requests_per_minute
        self.api_server = ApiServer(self.tokens, self.store, self.host, requests_per_minute=per_minute)
        self.choices = Choices(self.store, configuration)
        self.lifecycle = PluginLifecycle(self._kernel())
        self.choosing = Choosing(self.store, self.choices, self.lifecycle)
        self.condition = Condition(self.problems, self.remarks)
        self.diagnostics = Diagnostics(self.devices, self.mqtt, self.admission, self.condition)
        self._kernel_operations = self._make_operations()
        self._to_project = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """Ready inside. Raises one of hub.command.REFUSALS, or OSError."""
        async with AsyncExitStack() as stack:
            stack.enter_context(unhandled_exceptions_logged())
            stack.enter_context(plugin_tasks_owned())
            shell = Shell(self.settings.site, self.hooks, Assets(), self.live)

            await self._lock_data(stack)
            calendar = asyncio.create_task(self.calendar.prepare(self.settings.data), name="prepare the calendar")
            stack.callback(calendar.cancel)
            await self._open_store(stack, is_the_hub=True)
            await self._run_in_background(stack, "store", self._probe_store)
            self.broker = self._own_broker()

            self.admission.broker = self.broker.accounts if self.broker else self.dynamic_security
            if self.broker is not None:
                await self.admission.sync()
                await self.broker.start()
                stack.push_async_callback(self.broker.stop)
                await self._run_in_background(stack, "broker", self.broker.watch)

            await self.history.open()
            stack.callback(self.history.close)
            await self._run_in_background(stack, "history", self.history.run)

            stack.push_async_callback(self.mqtt.close)
            address = self._broker_address()
            wire = Wire(
                address,
                on_message=self._on_message if self.dynamic_security else self.mqtt.on_message,
                on_ready=self._on_connected,
                on_lost=self._on_disconnected,
                will=Will(f"{self.entities.prefix}/status", b"offline", retain=False),
                keep_session_seconds=SESSION_SECONDS,
            )
            await self._run_in_background(stack, "watchdog", Watchdog(self.host.owners, self.host.blocked).run)

            stack.push_async_callback(self.lifecycle.close)
            await calendar
            await self.lifecycle.start_all(shell)
            self.host.begin()
            receive_signs_of_life(self.mqtt, self.enroller.kinds())
            self.mqtt.attach(wire)
            self.entities.attach(wire)
            self.announcing.attach(wire)
            if self.dynamic_security is not None:
                self.dynamic_security.attach(wire)
            await self._run_in_background(stack, "mqtt", wire.run)
            stack.callback(self.entities.announce_offline)
            await self._run_in_background(stack, "accounts", lambda: self.admission.watch(self._devices_changed))
            await self._run_in_background(stack, "projections", self._project)
            await self._run_in_background(stack, "entities", self.entities.tick)
            stack.push_async_callback(self.announcing.close)
            await self._run_in_background(stack, "announcing", self.announcing.run)
            await self.devices.absences.start()
            stack.push_async_callback(self.devices.absences.write, is_last=True)
            for name, work in (
                ("absences", self._check_absences),
                ("jobs", self.jobs.run),
                ("old events", self._delete_old),
                ("roles", self._refresh_roles),
                ("days", lambda: call_daily(self.settings.site.zone, self._day_begins)),
                ("room", self._reserve_room),
            ):
                await self._run_in_background(stack, name, work)

            await self._serve(stack, shell, address)
            self.plugins_started = True
            self.lifecycle.ready()
            log.info("hub_ready", address=self.settings.web.address)
            yield self

    @asynccontextmanager
    async def store_only(self) -> AsyncIterator["Hub"]:
        """Store and plugins, but no broker, pages or jobs: for commands, also beside a running hub."""
        async with AsyncExitStack() as stack:
            open_data_folder(self.settings.data)
            await self._open_store(stack)
            stack.push_async_callback(self.lifecycle.close)
            await self.lifecycle.start_all(Shell(self.settings.site, self.hooks, Assets(), self.live))
            yield self

    def operations(self) -> list[Operation]:
        """All operations of the HTTP API: the kernel's and those of running plugins."""
        return [*self._kernel_operations, *self.lifecycle.operations()]

    def problems(self) -> dict[str, str | None]:
        """Part → its problem, or None."""
        wire = self.mqtt.wire
        problems = {
            "store": self.store.problem,
            "broker": self.broker.problem if self.broker else None,
            "accounts": self.admission.problem,
            "history": self.history.problem,
            "mqtt": None if wire and wire.connected else (wire.problem if wire else None) or "not connected",
            "plugins": None if self.plugins_started else "starting",
        }
        problems |= {f"part {name}": problem for name, problem in self.parts.problems.items()}
        for plugin in self.host.plugins.values():
            if plugin.state in ("failed", "quarantined"):
                problems[f"plugin {plugin.name}"] = plugin.reason
        return problems

    def remarks(self) -> dict[str, str]:
        """Part → what needs attention, although the hub itself works."""
        duplicated = sorted(one.id for one in self.devices if self.devices.vitals(one.id).is_duplicated)
        return {"devices": f"several use one account: {', '.join(duplicated)}"} if duplicated else {}

    # -- parts

    async def _lock_data(self, stack: AsyncExitStack) -> None:
        """Lock the data folder. A database that was not closed properly is checked."""
        open_data_folder(self.settings.data)
        free_reserve(self.settings.data)
        lock = stack.enter_context(FolderLock(self.settings.data))
        if not lock.was_closed_in_order:
            await asyncio.to_thread(check_database, self.store.path, lock.sound_at)
            lock.mark_sound()

    async def _open_store(self, stack: AsyncExitStack, *, is_the_hub: bool = False) -> None:
        await self.store.open(is_the_hub=is_the_hub)
        stack.push_async_callback(self.store.close)
        await self.store.write(lambda connection: migrate(connection, "hub", MIGRATIONS, self.settings.data))
        await self.admission.load()
        await self.commands.load()
        await self.found_places.load()
        await self.exceptions.load()

    def _kernel(self) -> Kernel:
        return Kernel(
            configuration=self.configuration,
            host=self.host,
            choices=self.choices,
            store=self.store,
            hooks=self.hooks,
            events=self.events,
            jobs=self.jobs,
            live=self.live,
            calendar=self.calendar,
            devices=self.devices,
            enroller=self.enroller,
            mqtt=self.mqtt,
            entities=self.entities,
            commands=self.commands,
            found_places=self.found_places,
            api_server=self.api_server,
        )

    def _make_operations(self) -> list[Operation]:
        api = Api("hub")
        api.offer(
            DeviceApi(self.devices, self.enroller, self.diagnostics),
            AccountApi(self.gateways, self.admission),
            EntityApi(self.entities, self.commands, self.history),
            OpeningApi(self.exceptions, self.opening_changed),
            PairingApi(self.pairing, self.devices, self.enroller, self.settings.web.address),
            PluginApi(self.host, self.choosing, self.hooks, self.condition),
            PluginChoiceApi(self.host, self.choosing),
            AuditApi(self.store),
            JobApi(self.store, self.jobs),
            TokenApi(self.tokens, self.operations),
            SearchApi(self.hooks),
            self.event_stream,
        )
        return api.operations

    def _own_broker(self) -> Broker | None:
        settings = self.settings
        if isinstance(settings.broker, OwnBroker):
            return Broker(settings.broker, settings.data / "broker")
        return None

    def _dynamic_security(self) -> DynamicSecurity | None:
        settings = self.settings.broker
        if isinstance(settings, ExternalBroker) and settings.accounts == "dynamic_security":
            return DynamicSecurity(settings.account)
        return None

    def _admission(self) -> Admission:
        settings = self.settings
        own = settings.broker.account if isinstance(settings.broker, ExternalBroker) else HUB_ACCOUNT
        admission = Admission(self.store, self.devices, self.gateways, settings.root, settings.site.id, own)
        admission.needs_secrets = self.dynamic_security is not None
        return admission

    def _broker_address(self) -> Address:
        if self.broker is not None:
            return self.broker.address
        settings = self.settings.broker
        assert isinstance(settings, ExternalBroker)  # noqa: S101 (the only other kind)
        tls = ssl.create_default_context(cafile=str(settings.ca_file)) if settings.ca_file else None
        secret = settings.secret_file.read_text().strip()
        return Address(settings.host, settings.port, settings.account, secret, tls)

    async def _serve(self, stack: AsyncExitStack, shell: Shell, broker: Address) -> None:
        secure = self.settings.web.address.startswith("https:")
        kernel = Pages("hub", KERNEL, shell, lambda _owner, _path, serve: serve)
        shell.ask_again = password_required(kernel, self.accounts)
        limits = LoginLimits(self.settings.data / "keys" / "browser.key", is_secure=secure)
        shell.wrong_tries = limits.pending_warning
        login_pages(kernel, self.accounts, limits, is_secure=secure)
        system = SystemPages(kernel, self.store)
        DevicePages(kernel, self.devices, self.admission, self.enroller, self.diagnostics)
        AccountPages(kernel, self.accounts, self.tokens)
        ApiPages(kernel, self.tokens, self.operations, self.settings.web.address)
        FoundPages(kernel, self.entities, self.commands, self.history, self.found_places, self.devices, self.condition)
        PluginPages(
            kernel,
            self.host,
            self.lifecycle,
            self.choosing,
            self.hooks,
            self.events,
            self.jobs,
            self.mqtt,
            self.condition,
        )
        JobPages(kernel, self.store, self.jobs)
        SearchPage(kernel, self.hooks)
        OpeningPages(kernel, self.calendar, self.exceptions, self.opening_changed)
        GatewayPages(kernel, self.gateways, self.admission)
        PairingPages(kernel, self.pairing, self.devices, self.enroller, self.settings.web.public_url)
        guards = middlewares(self.accounts, system.error, is_secure=secure)
        app = web.Application(middlewares=guards, client_max_size=1_048_576)
        app.add_routes(self.api_server.offer(self._kernel_operations))
        app.add_routes([*kernel.routes, *health_routes(self.condition)])
        app.add_routes([live_stream(self.live, self.stream_access), entity_stream(self.entities, self.stream_access)])
        app.add_routes([proxy(broker)])
        app.add_routes([web.get("/static/dist/{name:.+}", shell.assets.serve)])
        app.router.register_resource(self.lifecycle.routes)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(self.event_stream.close)
        tls = None
        if self.settings.web.tls is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self.settings.web.tls.certificate, self.settings.web.tls.key)
        assert runner.server is not None  # noqa: S101 (since setup)
        connections = Connections(room_for(self.settings.web.connections), self.settings.web.connections_per_address)
        await stack.enter_async_context(
            connections.listening(runner.server, self.settings.web.host, self.settings.web.port, tls)
        )

    def _on_message(self, received: Received) -> None:
        if self.dynamic_security is None or not self.dynamic_security.on_response(received):
            self.mqtt.on_message(received)

    def _on_other_topic(self, received: Received) -> None:
        if received.topic.startswith(self.announcing.branch):
            self.announcing.on_order(received)
        else:
            self.entities.on_message(received)

    def _on_connected(self) -> None:
        self.devices.absences.set_connected(is_connected=True)
        self.live.touch("plugins")
        self.entities.on_connected()
        self.announcing.on_connected()
        if self.dynamic_security is not None:
            self.admission.request_sync()
        self._to_project.set()

    def _on_disconnected(self) -> None:
        self.devices.absences.set_connected(is_connected=False)
        self.live.touch("plugins")
        if self.dynamic_security is not None:
            self.dynamic_security.on_disconnected()

    async def _devices_changed(self) -> None:
        """Another program has changed devices: plugins must read them again."""
        self.live.touch("devices")
        await self.hooks.all(devices_changed)
        self._to_project.set()

    async def _day_begins(self) -> None:
        await self.calendar.prepare(self.settings.data)
        await self.opening_changed()

    async def opening_changed(self) -> None:
        """The hours of the site or a service have changed, or a new day has begun."""
        await self.hooks.all(opening_changed)

    async def _project(self) -> None:
        """Retained topics are projections of the store: publish them again whenever the connection is new."""
        while True:
            await self._to_project.wait()
            self._to_project.clear()
            for revoked in await self.devices.revoked_devices():
                self.mqtt.clear(revoked)  # the broker was away when it was revoked, or its last will came later
            await self.hooks.all(project)

    async def _refresh_roles(self) -> None:
        """Refresh sessions' roles once a minute, and when the directory touches `people`."""
        refreshed_at = time.monotonic()
        async for changed in self.live.changes(ROLES_SECONDS):
            if "people" in changed or time.monotonic() - refreshed_at >= ROLES_SECONDS:
                await self.accounts.refresh_roles()
                refreshed_at = time.monotonic()

    async def _delete_old(self) -> None:
        while True:
            await self.events.forget(now() - EVENTS_KEPT)
            await self.devices.absences.forget()
            await self.exceptions.forget(now().astimezone(self.settings.site.zone).date())
            await in_parts(self.store, release_free_pages)
            await asyncio.sleep(FORGET_SECONDS)

    async def _probe_store(self) -> None:
        """After a database failure, write repeatedly until it succeeds, so that all waiting tasks continue."""
        while True:
            await self.store.wait_unavailable()
            await asyncio.sleep(STORE_TRY_SECONDS)
            try:
                await self.store.write(note_alive)
            except Exception as error:
                if not in_store(error):
                    raise

    async def _reserve_room(self) -> None:
        while True:
            await asyncio.to_thread(create_reserve, self.settings.data)
            await asyncio.sleep(ROOM_SECONDS)

    async def _check_absences(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.devices.check_absences()
            if await self.devices.absences.write():
                self.live.touch("devices")

    async def _run_in_background(self, stack: AsyncExitStack, name: str, work: Callable[[], Any]) -> None:
        """Run in the background until the stack unwinds, restarted when it fails."""
        task = asyncio.create_task(self.parts.run(name, work), name=name)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_SECONDS)

        stack.push_async_callback(stop)
