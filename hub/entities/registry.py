"""The entities that there are: found by announcements, changed by messages, told to watchers and to the history."""

import asyncio
import time
from collections import Counter as Counts
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
from prometheus_client import Counter, Gauge
from slugify import slugify

from devices.wire.connection import Received, Wire
from hub.entities.configs import BinarySensor, Common, Maker, Sensor, topics_of
from hub.entities.discovery import Announced, Announcement, DiscoveryError, read
from hub.entities.doubts import Doubts
from hub.entities.entity import MOMENTARY, Availability, Change, Entity, FoundDevice, Value, key_of
from hub.entities.listening import listeners_of
from hub.entities.orders import EXPIRY_SECONDS, GUARDED, Order, command_topics
from hub.entities.ownership import Ownership
from hub.entities.topics import Topics
from hub.entities.watching import Watcher
from hub.store.live import Live

log = structlog.get_logger("entities")

announcements_total = Counter("announcements_total", "Announcements of devices", ["outcome"])
unreadable_total = Counter("entity_messages_unreadable_total", "Messages that an entity could not read", ["component"])
entities_known = Gauge("entities", "Entities of devices that have announced themselves")

MOST_MISTAKES = 50
MOST_TEXT = 2_000
PAGE_SECONDS = 1.0
"""Pages that show many entities hear of changes this often."""
MOST_PICTURES = 200
MOST_ENTITIES = 50_000
CLOCKED = ("sensor", "binary_sensor")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class Entities:
    """`take` gets every message that is not of our own branch; all else follows from it. Its one task is `tick`."""

    def __init__(self, prefix: str, root: str, live: Live, remember: Callable[[list[Change]], None]) -> None:
        self.prefix = prefix
        self.devices: dict[str, FoundDevice] = {}
        self.mistakes: dict[str, str] = {}
        """Topic → what is wrong with its announcement."""
        self.wire: Wire | None = None
        self.generation = 0
        """Counts connections: what the broker had kept is news once in each."""
        self.pictures: dict[str, tuple[bytes, str]] = {}
        """Entity → the image that it shows, and its type."""
        self.expiring: dict[Entity, float] = {}
        self.turning_off: dict[Entity, float] = {}
        self.own_announcement: Callable[[str, bytes], None] = lambda _topic, _raw: None
        self.ownership = Ownership()
        self.doubts = Doubts(self.ownership)
        self._root = root
        self._ours = (root, f"{root}-shown", "#", "+")
        self._guarded: Counts[str] = Counts()
        self._live = live
        self._remember = remember
        self._known: dict[str, Entity] = {}
        self._at: dict[str, dict[str, Entity]] = {}
        self._identities: dict[str, FoundDevice] = {}
        self._topics = Topics(self.unreadable)
        self._availability: dict[tuple[object, ...], Availability] = {}
        self._changes: list[Change] = []
        self._watchers: set[Watcher] = set()
        self._is_telling = False
        self._page_is_old = False

    # -- asking

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def get(self, entity_id: str) -> Entity | None:
        return self._known.get(entity_id)

    def watch(self, *components: str, ids: frozenset[str] = frozenset()) -> Watcher:
        """Tell this watcher of changes, of all entities or of some, until `unwatch`."""
        watcher = Watcher(frozenset(components), ids)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    async def changes(self, *components: str, ids: frozenset[str] = frozenset()) -> AsyncIterator[list[Change]]:
        watcher = self.watch(*components, ids=ids)
        try:
            while True:
                yield await watcher.changes()
        finally:
            self.unwatch(watcher)

    # -- the connection

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        self._topics.attach(wire)
        self.doubts.wire = wire
        wire.subscribe(f"{self.prefix}/+/+/config")
        wire.subscribe(f"{self.prefix}/+/+/+/config")

    def came_back(self) -> None:
        """A connection is new: say so, as devices that keep nothing for us announce themselves then."""
        self.generation += 1
        if self.wire is not None:
            self.wire.publish(f"{self.prefix}/status", b"online")

    def goodbye(self) -> None:
        """We stop in good order; the broker says the same in our name when we do not."""
        if self.wire is not None:
            self.wire.publish(f"{self.prefix}/status", b"offline")

    def send(self, entity: Entity, message: Order) -> bool:
        """False, and nothing sent, while the broker is away."""
        if self.wire is None or not self.wire.publish(
            message.topic, message.payload, qos=message.qos, retain=message.retain, expiry_seconds=EXPIRY_SECONDS
        ):
            return False
        if message.assumed is not None and getattr(entity.config, "state_topic", None) is None:
            entity.assumed = True
            self.put(entity, message.assumed)
        return True

    # -- the way in

    def take(self, received: Received) -> None:
        """Called by the wire. Never raises, and acknowledges whatever comes: it would not get better."""
        topic = received.topic
        try:
            self._topics.hand(topic, received.payload, retained=received.retained)
            if topic.endswith("/config") and topic.startswith(f"{self.prefix}/"):
                self._announce(topic, received.payload)
        except Exception as error:  # noqa: BLE001 (what strangers send must not stop the hub from hearing others)
            log.error("message_rejected", error=type(error).__name__)  # noqa: TRY400 (it may quote)
        finally:
            if received.qos and self.wire is not None:
                self.wire.acknowledge(received)

    def keep_picture(self, entity: Entity, picture: bytes, kind: str) -> None:
        """The newest of each, and of the newest MOST_PICTURES."""
        self.pictures.pop(entity.id, None)
        self.pictures[entity.id] = (picture, kind)
        while len(self.pictures) > MOST_PICTURES:
            del self.pictures[next(iter(self.pictures))]

    def put(self, entity: Entity, value: Value, *, always: bool = False) -> None:
        """The entity's state is this now; `always`: it counts as a change though it is the same."""
        at = entity.heard_at = time.time()
        if entity.problem is not None:
            entity.problem = None
        if value != entity.value or always or entity.changed_at is None:
            self._become(entity, value, at)
        if entity.component in CLOCKED:
            self._set_clocks(entity)

    def _become(self, entity: Entity, value: Value, at: float) -> None:
        if entity.component != "tag":
            entity.value = value
        entity.changed_at = at
        is_known = entity.availability is None or entity.component in MOMENTARY or entity.availability.is_there
        self._tell(Change(entity, value if is_known else None, at))

    def unreadable(self, entity: Entity, why: str) -> None:
        unreadable_total.labels(entity.component).inc()
        if entity.problem != why:
            entity.problem = why
            self._page_is_old = True
            log.warning("entity_message_unreadable", component=entity.component)  # what and why stand on its page

    def availability_changed(self, availability: Availability) -> None:
        """What its entities' state is has changed with it, also for the history."""
        at = time.time()
        for entity in availability.entities:
            if entity.component not in MOMENTARY:
                self._tell(Change(entity, entity.state, at))

    async def tick(self) -> None:
        """Values that have not come again in time are unknown; pages are told. Runs until cancelled."""
        while True:
            await asyncio.sleep(PAGE_SECONDS)
            now = time.monotonic()
            for entity in [one for one, end in self.expiring.items() if end < now]:
                del self.expiring[entity]
                self._become(entity, None, time.time())
            for entity in [one for one, end in self.turning_off.items() if end < now]:
                del self.turning_off[entity]
                self._become(entity, "off", time.time())
            self.doubts.put_back(now)
            if self._page_is_old:
                self._page_is_old = False
                self._live.touch("found")

    def _set_clocks(self, entity: Entity) -> None:
        config = entity.config
        if isinstance(config, Sensor | BinarySensor) and config.expire_after:
            self.expiring[entity] = time.monotonic() + config.expire_after
        if isinstance(config, BinarySensor) and config.off_delay:
            if entity.value == "on":
                self.turning_off[entity] = time.monotonic() + config.off_delay
            else:
                self.turning_off.pop(entity, None)

    def _tell(self, change: Change) -> None:
        """Once a turn of the loop, all that have changed in it."""
        self._changes.append(change)
        if not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell_all)

    def _tell_all(self) -> None:
        self._is_telling = False
        changes, self._changes = self._changes, []
        self._remember(changes)
        for watcher in self._watchers:
            watcher.tell(changes)
        self._page_is_old = True

    # -- announcements

    def _announce(self, topic: str, raw: bytes) -> None:
        if topic.split("/")[2].startswith(f"{self._root}_"):
            return self.own_announcement(topic, raw)
        try:
            announcement = read(self.prefix, topic, raw)
        except DiscoveryError as error:
            return self._mistaken(topic, str(error))
        if announcement is not None and not self.doubts.is_put_back(topic, raw):
            self._take(announcement, raw)
        return None

    def _take(self, announcement: Announcement, raw: bytes) -> None:
        topic = announcement.topic
        if (why := self.doubts.why(announcement, self._at.get(topic, {}))) is not None:
            self.doubts.doubt(topic)
            return self._mistaken(topic, why)
        self.mistakes.pop(topic, None)
        if announcement.migrates:
            return None  # it comes by another topic, and goes on until then
        mistakes = [*announcement.mistakes, *self._apply(announcement)]
        self.doubts.believe(topic, raw, self._at.get(topic, {}).values())
        if mistakes:
            return self._mistaken(topic, "\n".join(mistakes))
        announcements_total.labels("taken").inc()
        return None

    def take_away(self, device: FoundDevice) -> None:
        """By IT's word: it is gone, and so are its announcements."""
        for topic in {one.place[0] for one in device.entities.values()}:
            for entity in self._at.pop(topic, {}).values():
                self._remove(entity)
            self.doubts.forget(topic)
            self.mistakes.pop(topic, None)
            if self.wire is not None:
                self.wire.publish(topic, b"", qos=1, retain=True)

    def is_doubted(self, device: FoundDevice) -> bool:
        """Somebody has said that it is gone, or elsewhere."""
        return any(one.place[0] in self.doubts.topics for one in device.entities.values())

    def _apply(self, announcement: Announcement) -> list[str]:
        """What is not named any more goes, what is named comes or changes; what was wrong with it."""
        self._page_is_old = True
        mistakes = []
        here = self._at.setdefault(announcement.topic, {})
        named = {one.key for one in announcement.components if one.config is not None}
        for key in [key for key in here if key not in named]:
            self._remove(here.pop(key))
        for one in announcement.components:
            if one.config is not None:
                try:
                    self._add(here, announcement, one, one.config)
                except DiscoveryError as error:
                    mistakes.append(str(error))
        if not here:
            del self._at[announcement.topic]
        return mistakes

    def _mistaken(self, topic: str, text: str) -> None:
        announcements_total.labels("refused").inc()
        log.warning("announcement_refused", bytes=len(text))  # the page Found devices says which and why
        if len(self.mistakes) >= MOST_MISTAKES:
            del self.mistakes[next(iter(self.mistakes))]
        self.mistakes[topic] = text[:MOST_TEXT]
        self._page_is_old = True

    def _add(self, here: dict[str, Entity], announcement: Announcement, one: Announced, config: Common) -> None:
        self._refuse_ours(announcement.topic, one.key, config)
        self.ownership.must_be_one(announcement.topic, one.key, config)
        if len(self._known) >= MOST_ENTITIES:
            raise DiscoveryError(f"{announcement.topic}: there are {MOST_ENTITIES} entities already")
        name = config.unique_id or config.object_id or _last(config.default_entity_id)
        name = name or "_".join(filter(None, (announcement.object_id, one.key)))
        entity_id = f"{one.component}.{_slug(name)}"
        known, before = self._known.get(entity_id), here.get(one.key)
        if known is not None and known is not before:
            if known.device is not self._identities.get(next(iter(_identities(config.device, entity_id)))):
                raise DiscoveryError(
                    f"{announcement.topic}: unique_id: expected one of its own, this is {known.place[0]}'s too"
                )
            self.ownership.must_replace(announcement.topic, known.config, config)
            self._forget(known)  # the same thing, announced anew by another topic
        if before is not None:
            if before.config == config and before.id == entity_id:
                return  # said again
            self._remove(before, is_replaced=True)
        entity = Entity(
            entity_id, one.component, (announcement.topic, one.key), config, self._device(config, entity_id)
        )
        if (last := before or known) is not None and last.id == entity_id:
            entity.value, entity.changed_at, entity.number = last.value, last.changed_at, last.number
            entity.heard_at, entity.attributes = last.heard_at, last.attributes
        if entity.component in GUARDED:
            self._guarded.update(command_topics(entity))
        here[one.key] = self._known[entity_id] = entity.device.entities[entity_id] = entity
        entities_known.set(len(self._known))
        for topic, qos, listen in listeners_of(self, entity, self._availability_of(entity)):
            self._topics.listen(topic, qos, listen)

    def _remove(self, entity: Entity, *, is_replaced: bool = False) -> None:
        """Gone from all that know it; with its device, when nothing else is of it."""
        if self._known.get(entity.id) is entity:
            del self._known[entity.id]
        entities_known.set(len(self._known))
        self.expiring.pop(entity, None)
        self.turning_off.pop(entity, None)
        self.pictures.pop(entity.id, None)
        if entity.component in GUARDED:
            self._guarded.subtract(command_topics(entity))
        for topic in {topic for topic, _, _ in listeners_of(self, entity, None)}:
            self._topics.unlisten(topic, lambda listen: getattr(listen, "entity", None) is entity)
        self._leave_availability(entity)
        device = entity.device
        if device.entities.get(entity.id) is entity:
            del device.entities[entity.id]
        if not device.entities and not is_replaced:
            self.devices.pop(device.id, None)
            self._identities = {key: one for key, one in self._identities.items() if one is not device}
        self._page_is_old = True

    def _leave_availability(self, entity: Entity) -> None:
        if (key := key_of(entity.config)) is not None and entity.availability is not None:
            entity.availability.entities.remove(entity)
            if not entity.availability.entities:
                gone = self._availability.pop(key)
                for source in gone.sources:
                    self._topics.unlisten(source.topic, lambda listen: getattr(listen, "availability", None) is gone)

    def _forget(self, entity: Entity) -> None:
        """Another topic announces it now; the old one may be cleared without harm."""
        here = self._at.get(entity.place[0], {})
        here.pop(entity.place[1], None)
        self._remove(entity, is_replaced=True)

    def _refuse_ours(self, topic: str, key: str, config: Common) -> None:
        """The hub reads and writes everything: nobody may have it do so with our own branches in their name."""
        where = f"components.{key}." if key else ""
        named = topics_of(config) + [("availability", source.topic) for source in config.availability or ()]
        for name, value in named:
            if self._is_ours(value):
                raise DiscoveryError(
                    f"{topic}: {where}{name}: expected a topic outside {self._root}/, {self._root}-shown/, "
                    f"{self.prefix}/…/config and $…"
                )

    def _is_ours(self, topic: str) -> bool:
        first, _, rest = topic.partition("/")
        if first in self._ours or first.startswith("$"):
            return True
        return first == self.prefix and ("+" in rest or "#" in rest or rest == "status" or rest.endswith("config"))

    def opens(self, entity: Entity) -> bool:
        """Whether telling it something may open a building: it is a lock or a cover, or speaks to one's topic."""
        if entity.component in GUARDED:
            return True
        mine = command_topics(entity)
        return any(
            one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
            for one in mine
            for other in +self._guarded
        )

    def needs_leave(self, entity: Entity) -> bool:
        """Whether IT must have allowed that it is told anything: it opens a building, or is nobody's."""
        return self.opens(entity) or self.ownership.commands_of_nobody(entity.config)

    def _device(self, config: Common, entity_id: str) -> FoundDevice:
        names = _identities(config.device, entity_id)
        device = next((self._identities[name] for name in names if name in self._identities), None)
        if device is None:
            base = _slug(names[0].partition(" ")[2])
            device_id, count = base, 1
            while device_id in self.devices:
                count += 1
                device_id = f"{base}_{count}"
            device = FoundDevice(device_id, device_id)
        self.devices[device.id] = device
        self._identities |= dict.fromkeys(names, device)
        maker = config.device
        if maker is not None:
            if device.maker is None or maker.name is not None:
                device.maker = maker
            device.name = maker.name or device.name
        elif config.name:
            device.name = config.name
        device.origin = config.origin or device.origin
        return device

    def _availability_of(self, entity: Entity) -> Availability | None:
        """Its own or one that it shares; None when it is shared and listens already."""
        key = key_of(entity.config)
        if key is None:
            return None
        shared = self._availability.get(key)
        is_new = shared is None
        if shared is None:
            shared = self._availability[key] = Availability(entity.config)
        shared.entities.append(entity)
        entity.availability = shared
        return shared if is_new else None


def _identities(maker: Maker | None, entity_id: str) -> list[str]:
    """By which an entity's device is known; an entity that names none is a device of its own."""
    if maker is None:
        return [f"entity {entity_id}"]
    return [*(f"id {one}" for one in maker.identifiers), *(f"{kind} {address}" for kind, address in maker.connections)]


def _slug(text: str) -> str:
    if text and PLAIN.issuperset(text):
        return text
    return str(slugify(text, separator="_")) or "unnamed"


def _last(entity_id: str | None) -> str | None:
    return entity_id.rpartition(".")[2] if entity_id else None
