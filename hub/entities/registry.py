"""The registry of found devices' entities: created by announcements, updated by messages.

Watchers and the history are notified of changes.
"""

import asyncio
import time
from collections import Counter as Counts
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
from prometheus_client import Counter, Gauge
from slugify import slugify

from devices.wire.connection import Received, Wire
from hub.entities.configs import BinarySensor, Common, Maker, Sensor, topics_of
from hub.entities.discovery import AnnouncedComponent, Announcement, DiscoveryError, read
from hub.entities.disputes import Disputes
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
entities_gauge = Gauge("entities", "Entities of devices that have announced themselves")

MAX_ERRORS = 50
MAX_ERROR_LENGTH = 2_000
TICK_SECONDS = 1.0
"""How often pages that show many entities are refreshed, and timers are checked."""
MAX_PICTURES = 200
MAX_ENTITIES = 50_000
TIMED_COMPONENTS = ("sensor", "binary_sensor")
SLUG_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class Entities:
    """`on_message` is called with every message outside our own branch; `tick` is its only task."""

    def __init__(self, prefix: str, root: str, live: Live, record_history: Callable[[list[Change]], None]) -> None:
        self.prefix = prefix
        self.devices: dict[str, FoundDevice] = {}
        self.errors: dict[str, str] = {}
        """Topic → what is wrong with its announcement."""
        self.wire: Wire | None = None
        self.generation = 0
        """Counts connections: a retained message is processed once for each."""
        self.pictures: dict[str, tuple[bytes, str]] = {}
        """Entity id → its image and content type."""
        self.expiring: dict[Entity, float] = {}
        self.turning_off: dict[Entity, float] = {}
        self.on_own_announcement: Callable[[str, bytes], None] = lambda _topic, _raw: None
        self.ownership = Ownership()
        self.disputes = Disputes(self.ownership)
        self._root = root
        self._reserved_roots = (root, f"{root}-shown", "#", "+")
        self._guarded_topics: Counts[str] = Counts()
        self._live = live
        self._record_history = record_history
        self._by_id: dict[str, Entity] = {}
        self._by_topic: dict[str, dict[str, Entity]] = {}
        self._devices_by_identity: dict[str, FoundDevice] = {}
        self._topics = Topics(self.unreadable)
        self._availability: dict[tuple[object, ...], Availability] = {}
        self._changes: list[Change] = []
        self._watchers: set[Watcher] = set()
        self._is_notifying_soon = False
        self._pages_are_stale = False

    # -- queries

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, entity_id: str) -> Entity | None:
        return self._by_id.get(entity_id)

    def watch(self, *components: str, ids: frozenset[str] = frozenset()) -> Watcher:
        """A watcher that is notified of changes, of all entities or of some, until `unwatch`."""
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
        self.disputes.wire = wire
        wire.subscribe(f"{self.prefix}/+/+/config")
        wire.subscribe(f"{self.prefix}/+/+/+/config")

    def on_connected(self) -> None:
        """Publish our birth message: devices whose announcements are not retained announce themselves again."""
        self.generation += 1
        if self.wire is not None:
            self.wire.publish(f"{self.prefix}/status", b"online")

    def announce_offline(self) -> None:
        """At an orderly stop; otherwise the broker publishes the same as our last will."""
        if self.wire is not None:
            self.wire.publish(f"{self.prefix}/status", b"offline")

    def send(self, entity: Entity, message: Order) -> bool:
        """Publish an order; False while the broker is away."""
        if self.wire is None or not self.wire.publish(
            message.topic, message.payload, qos=message.qos, retain=message.retain, expiry_seconds=EXPIRY_SECONDS
        ):
            return False
        if message.assumed is not None and getattr(entity.config, "state_topic", None) is None:
            entity.assumed = True
            self.set_state(entity, message.assumed)
        return True

    # -- messages

    def on_message(self, received: Received) -> None:
        """Called by the wire. Never raises, and acknowledges every message: redelivery would not help."""
        topic = received.topic
        try:
            self._topics.dispatch(topic, received.payload, retained=received.retained)
            if topic.endswith("/config") and topic.startswith(f"{self.prefix}/"):
                self._on_announcement(topic, received.payload)
        except Exception as error:  # noqa: BLE001 (a message from outside must not stop the hub from reading others)
            log.error("message_rejected", error=type(error).__name__)  # noqa: TRY400 (it may quote)
        finally:
            if received.qos and self.wire is not None:
                self.wire.acknowledge(received)

    def set_picture(self, entity: Entity, picture: bytes, kind: str) -> None:
        """Keep the latest picture of each entity, and of the newest MAX_PICTURES."""
        self.pictures.pop(entity.id, None)
        self.pictures[entity.id] = (picture, kind)
        while len(self.pictures) > MAX_PICTURES:
            del self.pictures[next(iter(self.pictures))]

    def set_state(self, entity: Entity, value: Value, *, always: bool = False) -> None:
        """Set the entity's state. `always`: notify watchers even if it is the same."""
        at = entity.last_seen_at = time.time()
        if entity.problem is not None:
            entity.problem = None
        if value != entity.value or always or entity.changed_at is None:
            self._change_state(entity, value, at)
        if entity.component in TIMED_COMPONENTS:
            self._set_timers(entity)

    def _change_state(self, entity: Entity, value: Value, at: float) -> None:
        if entity.component != "tag":
            entity.value = value
        entity.changed_at = at
        is_known = entity.availability is None or entity.component in MOMENTARY or entity.availability.is_online
        self._queue_change(Change(entity, value if is_known else None, at))

    def unreadable(self, entity: Entity, reason: str) -> None:
        unreadable_total.labels(entity.component).inc()
        if entity.problem != reason:
            entity.problem = reason
            self._pages_are_stale = True
            log.warning("entity_message_unreadable", component=entity.component)  # the details are on its page

    def availability_changed(self, availability: Availability) -> None:
        """The state of its entities changes with it, also for the history."""
        at = time.time()
        for entity in availability.entities:
            if entity.component not in MOMENTARY:
                self._queue_change(Change(entity, entity.state, at))

    async def tick(self) -> None:
        """Expire values that were not repeated in time, and refresh pages. Runs until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for entity in [entity for entity, end in self.expiring.items() if end < now]:
                del self.expiring[entity]
                self._change_state(entity, None, time.time())
            for entity in [entity for entity, end in self.turning_off.items() if end < now]:
                del self.turning_off[entity]
                self._change_state(entity, "off", time.time())
            self.disputes.restore_due(now)
            if self._pages_are_stale:
                self._pages_are_stale = False
                self._live.touch("found")

    def _set_timers(self, entity: Entity) -> None:
        config = entity.config
        if isinstance(config, Sensor | BinarySensor) and config.expire_after:
            self.expiring[entity] = time.monotonic() + config.expire_after
        if isinstance(config, BinarySensor) and config.off_delay:
            if entity.value == "on":
                self.turning_off[entity] = time.monotonic() + config.off_delay
            else:
                self.turning_off.pop(entity, None)

    def _queue_change(self, change: Change) -> None:
        """Watchers are notified once for each iteration of the event loop."""
        self._changes.append(change)
        if not self._is_notifying_soon:
            self._is_notifying_soon = True
            asyncio.get_running_loop().call_soon(self._notify_watchers)

    def _notify_watchers(self) -> None:
        self._is_notifying_soon = False
        changes, self._changes = self._changes, []
        self._record_history(changes)
        for watcher in self._watchers:
            watcher.notify(changes)
        self._pages_are_stale = True

    # -- announcements

    def _on_announcement(self, topic: str, raw: bytes) -> None:
        if topic.split("/")[2].startswith(f"{self._root}_"):
            return self.on_own_announcement(topic, raw)
        try:
            announcement = read(self.prefix, topic, raw)
        except DiscoveryError as error:
            return self._reject(topic, str(error))
        if announcement is not None and not self.disputes.is_own_restore(topic, raw):
            self._accept(announcement, raw)
        return None

    def _accept(self, announcement: Announcement, raw: bytes) -> None:
        topic = announcement.topic
        if (reason := self.disputes.objection(announcement, self._by_topic.get(topic, {}))) is not None:
            self.disputes.dispute(topic)
            return self._reject(topic, reason)
        self.errors.pop(topic, None)
        if announcement.migrates:
            return None  # another topic will announce it; until then it stays
        errors = [*announcement.errors, *self._apply(announcement)]
        self.disputes.accept(topic, raw, self._by_topic.get(topic, {}).values())
        if errors:
            return self._reject(topic, "\n".join(errors))
        announcements_total.labels("taken").inc()
        return None

    def remove_device(self, device: FoundDevice) -> None:
        """Remove the device, its entities, and its retained announcements, as IT asked."""
        for topic in {entity.place[0] for entity in device.entities.values()}:
            for entity in self._by_topic.pop(topic, {}).values():
                self._remove(entity)
            self.disputes.forget(topic)
            self.errors.pop(topic, None)
            if self.wire is not None:
                self.wire.publish(topic, b"", qos=1, retain=True)

    def is_disputed(self, device: FoundDevice) -> bool:
        """Whether an announcement that removes or redirects one of its entities is disputed."""
        return any(entity.place[0] in self.disputes.topics for entity in device.entities.values())

    def _apply(self, announcement: Announcement) -> list[str]:
        """Remove entities that are no longer named, add or update the others. Returns the errors."""
        self._pages_are_stale = True
        errors = []
        entities = self._by_topic.setdefault(announcement.topic, {})
        named = {component.key for component in announcement.components if component.config is not None}
        for key in [key for key in entities if key not in named]:
            self._remove(entities.pop(key))
        for component in announcement.components:
            if component.config is not None:
                try:
                    self._add(entities, announcement, component, component.config)
                except DiscoveryError as error:
                    errors.append(str(error))
        if not entities:
            del self._by_topic[announcement.topic]
        return errors

    def _reject(self, topic: str, text: str) -> None:
        announcements_total.labels("refused").inc()
        log.warning("announcement_refused", bytes=len(text))  # the page Found devices has the details
        if len(self.errors) >= MAX_ERRORS:
            del self.errors[next(iter(self.errors))]
        self.errors[topic] = text[:MAX_ERROR_LENGTH]
        self._pages_are_stale = True

    def _add(
        self, entities: dict[str, Entity], announcement: Announcement, component: AnnouncedComponent, config: Common
    ) -> None:
        self._refuse_reserved_topics(announcement.topic, component.key, config)
        self.ownership.require_common_owner(announcement.topic, component.key, config)
        if len(self._by_id) >= MAX_ENTITIES:
            raise DiscoveryError(f"{announcement.topic}: there are {MAX_ENTITIES} entities already")
        name = config.unique_id or config.object_id or _object_id(config.default_entity_id)
        name = name or "_".join(filter(None, (announcement.object_id, component.key)))
        entity_id = f"{component.component}.{_slug(name)}"
        known, before = self._by_id.get(entity_id), entities.get(component.key)
        if known is not None and known is not before:
            if known.device is not self._devices_by_identity.get(_identities(config.device, entity_id)[0]):
                raise DiscoveryError(
                    f"{announcement.topic}: unique_id: expected one of its own, this is {known.place[0]}'s too"
                )
            self.ownership.require_same_owner(announcement.topic, known.config, config)
            self._forget_replaced(known)  # the same entity, now announced on another topic
        if before is not None:
            if before.config == config and before.id == entity_id:
                return  # unchanged
            self._remove(before, is_replaced=True)
        entity = Entity(
            entity_id, component.component, (announcement.topic, component.key), config, self._device(config, entity_id)
        )
        if (last := before or known) is not None and last.id == entity_id:
            entity.value, entity.changed_at, entity.number = last.value, last.changed_at, last.number
            entity.last_seen_at, entity.attributes = last.last_seen_at, last.attributes
        if entity.component in GUARDED:
            self._guarded_topics.update(command_topics(entity))
        entities[component.key] = self._by_id[entity_id] = entity.device.entities[entity_id] = entity
        entities_gauge.set(len(self._by_id))
        for topic, qos, listen in listeners_of(self, entity, self._availability_of(entity)):
            self._topics.listen(topic, qos, listen)

    def _remove(self, entity: Entity, *, is_replaced: bool = False) -> None:
        """Remove the entity, and its device if it has no others."""
        if self._by_id.get(entity.id) is entity:
            del self._by_id[entity.id]
        entities_gauge.set(len(self._by_id))
        self.expiring.pop(entity, None)
        self.turning_off.pop(entity, None)
        self.pictures.pop(entity.id, None)
        if entity.component in GUARDED:
            self._guarded_topics.subtract(command_topics(entity))
        for topic in {topic for topic, _, _ in listeners_of(self, entity, None)}:
            self._topics.unlisten(topic, lambda listen: getattr(listen, "entity", None) is entity)
        self._remove_availability(entity)
        device = entity.device
        if device.entities.get(entity.id) is entity:
            del device.entities[entity.id]
        if not device.entities and not is_replaced:
            self.devices.pop(device.id, None)
            self._devices_by_identity = {
                key: other for key, other in self._devices_by_identity.items() if other is not device
            }
        self._pages_are_stale = True

    def _remove_availability(self, entity: Entity) -> None:
        if (key := key_of(entity.config)) is not None and entity.availability is not None:
            entity.availability.entities.remove(entity)
            if not entity.availability.entities:
                gone = self._availability.pop(key)
                for source in gone.sources:
                    self._topics.unlisten(source.topic, lambda listen: getattr(listen, "availability", None) is gone)

    def _forget_replaced(self, entity: Entity) -> None:
        """Another topic announces it now; clearing the old topic must not remove it."""
        entities = self._by_topic.get(entity.place[0], {})
        entities.pop(entity.place[1], None)
        self._remove(entity, is_replaced=True)

    def _refuse_reserved_topics(self, topic: str, key: str, config: Common) -> None:
        """The hub may read and write every topic: an announcement must not make it use our own branches."""
        where = f"components.{key}." if key else ""
        named = topics_of(config) + [("availability", source.topic) for source in config.availability or ()]
        for name, value in named:
            if self._is_reserved(value):
                raise DiscoveryError(
                    f"{topic}: {where}{name}: expected a topic outside {self._root}/, {self._root}-shown/, "
                    f"{self.prefix}/…/config and $…"
                )

    def _is_reserved(self, topic: str) -> bool:
        first, _, rest = topic.partition("/")
        if first in self._reserved_roots or first.startswith("$"):
            return True
        return first == self.prefix and ("+" in rest or "#" in rest or rest == "status" or rest.endswith("config"))

    def opens(self, entity: Entity) -> bool:
        """Whether a command to it may open a building: it is a lock or a cover, or shares a command topic with one."""
        if entity.component in GUARDED:
            return True
        return any(
            topic == guarded or topic.startswith(f"{guarded}/") or guarded.startswith(f"{topic}/")
            for topic in command_topics(entity)
            for guarded in +self._guarded_topics
        )

    def needs_permission(self, entity: Entity) -> bool:
        """Whether IT must allow commands first: it may open a building, or no account owns its command topics."""
        return self.opens(entity) or self.ownership.has_unowned_commands(entity.config)

    def _device(self, config: Common, entity_id: str) -> FoundDevice:
        names = _identities(config.device, entity_id)
        device = next((self._devices_by_identity[name] for name in names if name in self._devices_by_identity), None)
        if device is None:
            base = _slug(names[0].partition(" ")[2])
            device_id, count = base, 1
            while device_id in self.devices:
                count += 1
                device_id = f"{base}_{count}"
            device = FoundDevice(device_id, device_id)
        self.devices[device.id] = device
        self._devices_by_identity |= dict.fromkeys(names, device)
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
        """The entity's availability, if its topics are not subscribed to yet; None otherwise, or if it has none."""
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
    """The identities of an entity's device; an entity without a device is a device of its own."""
    if maker is None:
        return [f"entity {entity_id}"]
    return [
        *(f"id {identifier}" for identifier in maker.identifiers),
        *(f"{kind} {address}" for kind, address in maker.connections),
    ]


def _slug(text: str) -> str:
    if text and SLUG_CHARACTERS.issuperset(text):
        return text
    return str(slugify(text, separator="_")) or "unnamed"


def _object_id(entity_id: str | None) -> str | None:
    return entity_id.rpartition(".")[2] if entity_id else None
