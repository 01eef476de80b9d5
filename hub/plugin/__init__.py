"""All that a plugin imports of the hub: `from hub.plugin import Context, PluginSettings, hookimpl`.

Here is what every plugin needs; beside it are `hooks`, `tables`, `settings`, `web`, `api`, `calendar` and `entities`.

A plugin is a package with a class `Plugin`: its settings as `settings_model`, a constructor that takes a Context,
`async start()`, and hook implementations as methods. docs/plugins.md walks through one.
"""

from collections.abc import Awaitable, Callable, Iterable
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

if TYPE_CHECKING:
    from hub.entities.watching import Watcher

__all__ = [
    "N_",
    "Change",
    "Channel",
    "Context",
    "Device",
    "Entity",
    "Event",
    "Incoming",
    "Limiter",
    "MistakeError",
    "NotYetError",
    "PersonIds",
    "Place",
    "Plugin",
    "PluginSettings",
    "Remark",
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
        """Subscribe, serve, follow. Tables are migrated already; the broker may still be away.

        A plugin may have `async def stop()` besides: its jobs have been cancelled then, and it has five seconds. And
        `@staticmethod async def look_over(settings, *, trying) -> list[Remark]`, for `kommunevert check`: what would
        not work with these settings. It changes nothing, and connects to others only when `trying`.
        """


class Context:
    """What one plugin may touch, in its own name, so that what it touches is known and shown."""

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
        """Declare a kind of device, and what people call one: `name` is a message, `N_("Sensor")`.

        With `page` its devices are browsers on that path, enrolled by a link to it. With `program` they are computers
        that run this command: with an enrolment file, or with `--pair`, which prints a code. `subject`: what you
        `touch` when something about one has changed.
        """
        self.driven[kind] = Kind(self.name, name, page, program, subject)

    def speaks(self, channels: Iterable[Channel]) -> None:
        """Declare the messages between this plugin and its devices: their QoS, and their place in AsyncAPI.

        QoS 0 is right for what the device asks for again anyway, such as a receipt, and spares two packets.
        """
        self._mqtt.declare(channels, self.name)

    def receive(
        self,
        kind: str,
        what: str,
        model: type[M],
        take: Callable[[Incoming[M]], Awaitable[None]],
        on_malformed: Callable[[Device, str], None] | None = None,
    ) -> None:
        """Have `take` called with each valid message at `<kind>/+/up/<what>` from a known device.

        Calls begin in the order of arrival and may overlap; writes are committed in the order asked for. The broker
        gets its acknowledgement when `take` has returned, so return after the commit. A retained message is refused:
        it is old by nature.
        `on_malformed` gets the device and the id of a message that is wrong but for its id.
        """
        self.handled.append(f"{kind}/+/up/{what}")
        self._mqtt.receive(self.name, kind, what, model, take, on_malformed=on_malformed)

    def send(
        self,
        device: Device,
        what: str,
        message: Payload | None,
        *,
        retain: bool | None = None,
    ) -> bool:
        """Publish below the device's `down`, as the channel is declared. False while the broker is away.

        None, with `retain=True` where the channel is not retained, clears what lies in the broker.
        Raises PayloadTooLargeError, or UndeclaredMessageError for what `speaks` has not declared.
        """
        return self._mqtt.send(self.name, device, what, message, retain=retain)

    # -- found devices

    def watch(self, take: Callable[[list[Change]], Awaitable[None]], *components: str) -> None:
        """Hand changes of found devices' entities to `take` as they gather, of these components or of all.

        What happens and is over (a button's press, component `event` or `device_automation`) comes as a change whose
        value is what happened. Changes are not kept: what comes while the hub is down, or while `take` fails, is lost.
        """
        watcher = self.entities.watch(*components)
        self._watchers.append(watcher)

        async def hand_on() -> None:
            while True:
                await take(await watcher.changes())

        self.run(f"watch {' '.join(components) or 'all'}", hand_on)

    def place_of(self, entity: Entity) -> Place:
        """Where its device is: by an administrator's word, else by its own."""
        return self._found_places.of(entity.device)

    def may_be_told(self, entity: Entity) -> bool:
        """What may open a building takes orders only where an administrator has allowed it."""
        return self._commands.may_command(entity)

    def opens_building(self, entity: Entity) -> bool:
        """It is a lock or a cover, or speaks to one's topic."""
        return self.entities.opens(entity)

    async def command(
        self, entity_id: str, verb: str, value: str | float | None = None, reason: str = "", *, actor: str | None = None
    ) -> None:
        """Tell an entity something, in this plugin's name or a person's, written into the audit log first.

        Raises UnknownEntityError, NotAllowedError, UnreachableError (hub.entities.commands), OrderError
        (hub.entities.orders).
        """
        await self._commands.send(entity_id, verb, value, actor or f"plugin {self.name}", reason)

    # -- what happens

    def emit(self, connection: Connection, what: str, *subjects: str, **data: Any) -> None:
        """Write `<plugin>.<what>` for each subject in this transaction. Ids only, nothing personal."""
        self._events.emit(connection, f"{self.name}.{what}", list(subjects), **data)

    async def follow(self, what: str, take: Callable[[list[Event]], Awaitable[None]]) -> None:
        """Hand this plugin's own events of that kind to `take`, in order, at least once, also across a crash.

        `take` gets those that have gathered. When it raises it gets them again, each subject by itself; those that it
        cannot take come again with growing waits for a day, and hold up nothing but what is of the same subject.
        """
        follower = f"{self.name}:{what}"
        await self._events.join(follower)

        async def follow() -> None:
            place = await self._events.join(follower)  # also after a failure: it goes on where it was
            await self._events.follow(follower, place, {f"{self.name}.{what}"}, take)

        self.run(f"follow {what}", follow)

    def run(self, job: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run in the background until the hub stops; started again with growing waits when it raises."""
        self._run(self.name, job, work)

    def _end(self) -> None:
        """The plugin stops."""
        for watcher in self._watchers:
            self.entities.unwatch(watcher)
        self.store.close()

    def touch(self, connection: Connection, subject: str) -> None:
        """Tell the pages that show `subject`, once this transaction is durable."""
        after_commit(connection, _Touch(self.live, subject))


class _Touch:
    """Equal for equal subjects, so that a burst tells once."""

    def __init__(self, live: Live, subject: str) -> None:
        self._live = live
        self._subject = subject

    def __call__(self) -> None:
        self._live.touch(self._subject)

    def __hash__(self) -> int:
        return hash(self._subject)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Touch) and other._subject == self._subject
