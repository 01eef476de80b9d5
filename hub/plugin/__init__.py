"""The public interface for plugins: `from hub.plugin import Context, PluginSettings, hookimpl`.

This module has what every plugin needs; beside it are `hooks`, `tables`, `settings`, `web`, `api`, `calendar` and
`entities`.

A plugin is a package with a class `Plugin`: its settings as `settings_model`, a constructor that takes a Context,
`async start()`, and hook implementations as methods. docs/plugins.md walks through one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from sqlalchemy import Connection

from devices.contract.channels import Channel
from devices.contract.payload import Payload
from hub.api.operations import Api
from hub.calendar.opening import Calendar
from hub.configuration.remarks import Remark
from hub.configuration.settings import Section as PluginSettings
from hub.configuration.settings import SiteSettings
from hub.devices.kinds import Kind
from hub.devices.mqtt import Incoming, Mqtt
from hub.devices.registry import Device, Devices, Place, Vitals
from hub.entities.commands import Commands
from hub.entities.entity import Change, Entity
from hub.entities.places import FoundPlaces
from hub.entities.registry import Entities
from hub.hooks.asking import Hooks
from hub.hooks.limits import Limiter
from hub.hooks.specifications import NotYetError, hookimpl
from hub.language.mistakes import MistakeError
from hub.language.translation import N_, Translator
from hub.outside.addresses import Outside
from hub.plugin.store import PluginStore
from hub.store import audit
from hub.store.events import Event, Events
from hub.store.live import Live
from hub.store.person_ids import PersonIds
from hub.store.retention import delete_part, in_parts
from hub.store.store import after_commit, now
from hub.store.trouble import in_store
from hub.web.pages import Pages
from hub.work.job_rows import Run
from hub.work.jobs import LIMIT_SECONDS, Jobs
from hub.work.schedules import Daily, Every, Schedule

if TYPE_CHECKING:
    from hub.entities.watching import Watcher

__all__ = [
    "N_",
    "Change",
    "Channel",
    "Context",
    "Daily",
    "Device",
    "Entity",
    "Event",
    "Every",
    "Incoming",
    "Limiter",
    "MistakeError",
    "NotYetError",
    "PersonIds",
    "Place",
    "Plugin",
    "PluginSettings",
    "Remark",
    "Run",
    "Vitals",
    "after_commit",
    "audit",
    "delete_part",
    "hookimpl",
    "in_parts",
    "in_store",
    "now",
]

M = TypeVar("M", bound=Payload)


class Plugin(Protocol):
    """What the hub expects of a plugin's class."""

    settings_model: ClassVar[type[PluginSettings]]

    def __init__(self, context: "Context", settings: Any) -> None: ...

    async def start(self) -> None:
        """Register message handlers, pages and followers. Tables are migrated; the broker may still be away.

        A plugin may also have `async def stop()`, called after its jobs were cancelled, with five seconds. And
        `@staticmethod async def look_over(settings, *, trying) -> list[Remark]`, for `kommunevert check`: what would
        not work with these settings. It changes nothing, and connects to others only if `trying`.
        """


class Context:
    """What the kernel gives to one plugin. Everything is done in the plugin's name, so that the console can list it."""

    def __init__(
        self,
        *,
        name: str,
        folder: Path,
        data: Path,
        site: SiteSettings,
        calendar: Calendar,
        web_address: str,
        outside: Outside,
        store: PluginStore,
        hooks: Hooks,
        events: Events,
        jobs: Jobs,
        live: Live,
        devices: Devices,
        mqtt: Mqtt,
        entities: Entities,
        commands: Commands,
        found_places: FoundPlaces,
        pages: Pages,
        api: Api,
        translator: Translator,
        run: Callable[[str, str, Callable[[], Awaitable[None]]], None],
    ) -> None:
        self.name = name
        self.folder = folder
        self.data = data
        self.site = site
        self.calendar = calendar
        self.web_address = web_address
        self.outside = outside
        self.store = store
        self.hooks = hooks
        self.live = live
        self.devices = devices
        self.entities = entities
        self.pages = pages
        self.api = api
        self.translator = translator
        self.handled: list[str] = []
        self.driven: dict[str, Kind] = {}
        self._events = events
        self._jobs = jobs
        self._mqtt = mqtt
        self._commands = commands
        self._found_places = found_places
        self._run = run
        self._watchers: list[Watcher] = []

    # -- devices

    def drives(
        self,
        kind: str,
        name: str,
        *,
        page: str | None = None,
        program: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Declare a kind of device, and its name for people: `name` is a message, `N_("Sensor")`.

        With `page` its devices are browsers on that path, enrolled by a link to it. With `program` they are computers
        that run this command: with an enrolment file, or with `--pair`, which prints a code. `subject`: what you
        `touch` when one of them has changed.
        """
        self.driven[kind] = Kind(self.name, name, page, program, subject)

    def speaks(self, channels: Iterable[Channel]) -> None:
        """Declare the messages between this plugin and its devices, with their QoS, for AsyncAPI too.

        QoS 0 suits what the device requests again anyway, such as a receipt, and saves two packets.
        """
        self._mqtt.declare(channels, self.name)

    def receive(
        self,
        kind: str,
        what: str,
        model: type[M],
        handler: Callable[[Incoming[M]], Awaitable[None]],
        on_malformed: Callable[[Device, str], None] | None = None,
    ) -> None:
        """Call `handler` with each valid message on `<kind>/+/up/<what>` from an enrolled device.

        Calls start in the order of arrival and may overlap; writes are committed in the order of the calls. The message
        is acknowledged when `handler` returns, so return after the commit. Retained messages are refused: they are old.
        `on_malformed` is called with the device and the id of an invalid message that has a valid id.
        """
        self.handled.append(f"{kind}/+/up/{what}")
        self._mqtt.receive(self.name, kind, what, model, handler, on_malformed=on_malformed)

    def send(
        self,
        device: Device,
        what: str,
        message: Payload | None,
        *,
        retain: bool | None = None,
    ) -> bool:
        """Publish below the device's `down`, as the channel is declared. False if the broker is away.

        None clears the retained message; with `retain=True` also if the channel is not declared as retained.
        Raises PayloadTooLargeError, or UndeclaredMessageError for what `speaks` has not declared.
        """
        return self._mqtt.send(self.name, device, what, message, retain=retain)

    # -- found devices

    def watch(self, handler: Callable[[list[Change]], Awaitable[None]], *components: str) -> None:
        """Call `handler` with changes of found devices' entities, of these components or of all.

        A momentary event (a button press, component `event` or `device_automation`) is a change whose value is the
        event. Changes are not stored: those while the hub is down, or while `handler` fails, are lost.
        """
        watcher = self.entities.watch(*components)
        self._watchers.append(watcher)

        async def deliver() -> None:
            while True:
                await handler(await watcher.changes())

        self.run(f"watch {' '.join(components) or 'all'}", deliver)

    def place_of(self, entity: Entity) -> Place:
        """Where its device is: the place that an administrator chose, else the area that the device suggests."""
        return self._found_places.of(entity.device)

    def may_command(self, entity: Entity) -> bool:
        """Whether it takes commands: for what may open a building, only if an administrator has allowed it."""
        return self._commands.may_command(entity)

    def opens_building(self, entity: Entity) -> bool:
        """Whether it is a lock or a cover, or shares a command topic with one."""
        return self.entities.opens(entity)

    async def command(
        self, entity_id: str, verb: str, value: str | float | None = None, reason: str = "", *, actor: str | None = None
    ) -> None:
        """Send a command to an entity, in this plugin's name or a person's, recorded in the audit log first.

        Raises UnknownEntityError, NotAllowedError, UnreachableError (hub.entities.commands), OrderError
        (hub.entities.orders).
        """
        await self._commands.send(entity_id, verb, value, actor or f"plugin {self.name}", reason)

    # -- events and jobs

    def emit(self, connection: Connection, what: str, *subjects: str, **data: Any) -> None:
        """Write the event `<plugin>.<what>` for each subject in this transaction. Ids only, no personal data."""
        self._events.emit(connection, f"{self.name}.{what}", list(subjects), **data)

    async def follow(self, what: str, handler: Callable[[list[Event]], Awaitable[None]]) -> None:
        """Call `handler` with batches of this plugin's own events of that kind, in order, at least once.

        Also after a crash. If it raises, each subject is retried alone; failing events are retried with growing waits
        for a day, and block only later events of the same subject.
        """
        follower = f"{self.name}:{what}"
        await self._events.join(follower)

        async def follow() -> None:
            position = await self._events.join(follower)  # also after a failure: it continues at its position
            await self._events.follow(follower, position, {f"{self.name}.{what}"}, handler)

        self.run(f"follow {what}", follow)

    async def every(
        self, job: str, schedule: Schedule, work: Callable[[Run], Awaitable[None]], *, seconds: float = LIMIT_SECONDS
    ) -> None:
        """Run `work` by this schedule, in `start`. A time that passed while the hub was away is made up for, once.

        A run that raises, or takes longer than `seconds`, is tried again after 5, 10, 20 s … 1 h, or at its next time
        if that is sooner.
        """
        await self._jobs.every(self.name, job, schedule, work, seconds=seconds)

    def on_due(self, job: str, work: Callable[[Run], Awaitable[None]], *, seconds: float = LIMIT_SECONDS) -> None:
        """Run `work` for each `at` of this job, in `start`. A run that fails is tried again for a day."""
        self._jobs.on_due(self.name, job, work, seconds=seconds)

    def at(
        self, connection: Connection, job: str, key: str, due_at: datetime, data: Mapping[str, Any] | None = None
    ) -> None:
        """Have `job` run once when it is due, if this transaction is committed. The same key again moves it.

        `data` holds ids, nothing personal, and at most 4 096 bytes as JSON. Raises ValueError, TooManyJobsError.
        """
        self._jobs.at(connection, self.name, job, key, due_at, data or {})

    def cancel(self, connection: Connection, job: str, key: str) -> None:
        """Take an `at` back. A run that has begun goes on."""
        self._jobs.cancel(connection, self.name, job, key)

    def run(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop in the background until the hub stops; restarted with growing waits if it raises."""
        self._run(self.name, name, loop)

    def _end(self) -> None:
        """The plugin stops."""
        for watcher in self._watchers:
            self.entities.unwatch(watcher)
        self.store.close()

    def touch(self, connection: Connection, subject: str) -> None:
        """Notify pages that show `subject`, once this transaction is durable."""
        after_commit(connection, _Touch(self.live, subject))


class _Touch:
    """Equal for equal subjects, so that they are notified once a commit."""

    def __init__(self, live: Live, subject: str) -> None:
        self._live = live
        self._subject = subject

    def __call__(self) -> None:
        self._live.touch(self._subject)

    def __hash__(self) -> int:
        return hash(self._subject)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Touch) and other._subject == self._subject
