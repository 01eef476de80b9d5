"""Who listens to which topic for an entity: its state, its attributes, its picture, whether its device is there."""

from collections.abc import Iterator
from typing import Protocol

from hub.entities import reading
from hub.entities.configs import BinarySensor, Common, Cover, Image, Sensor, Update
from hub.entities.entity import MOMENTARY, Availability, Entity, Value
from hub.entities.reading import KEEP, Read, UnreadableError
from hub.entities.templating.templates import Payload, Template, template
from hub.entities.templating.words import TemplateError, TooSlowError
from hub.entities.topics import Listen

Wanted = tuple[str, int, Listen]
"""Topic filter, QoS, who listens."""


class Registry(Protocol):
    """What a listener tells of its entity. `generation` counts connections: what was retained is news once in each."""

    generation: int

    def put(self, entity: Entity, value: Value, *, always: bool = False) -> None: ...

    def unreadable(self, entity: Entity, why: str) -> None: ...

    def keep_picture(self, entity: Entity, picture: bytes, kind: str) -> None: ...

    def availability_changed(self, availability: Availability) -> None: ...


def listeners_of(entities: Registry, entity: Entity, availability: Availability | None) -> Iterator[Wanted]:
    """All of an entity's; `availability` too when nobody listens for it yet."""
    config, qos = entity.config, min(entity.config.qos, 1)
    topic, rule = reading.main_topic(entity.component, config)
    if topic is not None and (read := reading.READ.get(entity.component)) is not None:
        yield topic, qos, StateListener(entities, entity, rule, read)
    if isinstance(config, Cover) and config.position_topic:
        position = StateListener(entities, entity, config.position_template, reading.cover_position)
        yield config.position_topic, qos, position
    if isinstance(config, Update) and config.latest_version_topic:
        latest = StateListener(entities, entity, config.latest_version_template, reading.latest_version)
        yield config.latest_version_topic, qos, latest
    if isinstance(config, Image) and config.image_topic:
        yield config.image_topic, qos, PictureListener(entities, entity)
    if isinstance(config, Image) and config.url_topic:
        yield config.url_topic, qos, StateListener(entities, entity, config.url_template, reading.image_url)
    if config.json_attributes_topic:
        yield config.json_attributes_topic, qos, AttributesListener(entities, entity, config.json_attributes_template)
    for number, source in enumerate(availability.sources if availability else ()):
        yield source.topic, qos, AvailabilityListener(entities, availability, number)  # type: ignore[arg-type]


class _Listener:
    """Retained messages are news once a connection; what happens (a press) is never heard from the past."""

    __slots__ = ("entities", "entity", "generation", "is_muted", "template")

    def __init__(self, entities: Registry, entity: Entity, rule: str | None) -> None:
        self.entities = entities
        self.entity = entity
        self.template: Template | None = template(rule) if rule else None
        self.generation = -1
        self.is_muted = False
        """Its template was too slow once, and is not run again."""

    def is_old(self, retained: bool) -> bool:
        generation = self.entities.generation
        old = retained and (self.generation == generation or self.entity.component in MOMENTARY)
        self.generation = generation
        return old

    @property
    def costs(self) -> bool:
        """Whether something of the device's runs when it listens."""
        return self.template is not None and not self.template.is_plain

    def text(self, payload: Payload) -> str:
        return payload.text if self.template is None else self.template.read(payload)


class StateListener(_Listener):
    __slots__ = ("always", "read")

    def __init__(self, entities: Registry, entity: Entity, rule: str | None, read: Read) -> None:
        super().__init__(entities, entity, rule)
        self.read = read
        self.always = entity.component in MOMENTARY or _is_forced(entity.config)

    def __call__(self, payload: Payload, retained: bool) -> None:
        if (retained and self.is_old(retained)) or self.is_muted:
            return None
        self.generation = self.entities.generation
        entity = self.entity
        try:
            text = self.text(payload)
            value = None if reading.is_lost(entity, text) else self.read(entity, text)
        except TooSlowError as error:
            self.is_muted = True
            return self.entities.unreadable(entity, f"its template is not run any more: {error}")
        except (TemplateError, ValueError) as error:
            return self.entities.unreadable(entity, _why(error))
        if value is not KEEP:
            entity.assumed = False
            self.entities.put(entity, value, always=self.always)  # type: ignore[arg-type]
        return None


class AttributesListener(_Listener):
    __slots__ = ()

    def __call__(self, payload: Payload, retained: bool) -> None:
        if self.is_muted or self.is_old(retained):
            return
        try:
            self.entity.attributes = reading.attributes_of(self.text(payload))
        except TooSlowError as error:
            self.is_muted = True
            self.entities.unreadable(self.entity, f"its attributes' template is not run any more: {error}")
        except (TemplateError, ValueError) as error:
            self.entities.unreadable(self.entity, f"attributes: {_why(error)}")


class PictureListener(_Listener):
    __slots__ = ()

    def __init__(self, entities: Registry, entity: Entity) -> None:
        super().__init__(entities, entity, None)

    def __call__(self, payload: Payload, retained: bool) -> None:
        config = self.entity.config
        if self.is_old(retained) or not isinstance(config, Image) or not payload.raw:
            return None
        try:
            picture = reading.image_of(config, payload.raw)
        except UnreadableError as error:
            return self.entities.unreadable(self.entity, str(error))
        self.entities.keep_picture(self.entity, picture, config.content_type)
        self.entities.put(self.entity, reading.mark_of(picture))
        return None


class AvailabilityListener:
    __slots__ = ("availability", "costs", "entities", "generation", "number")

    def __init__(self, entities: Registry, availability: Availability, number: int) -> None:
        self.entities = entities
        self.availability = availability
        self.number = number
        self.generation = -1
        rule = availability.sources[number].value_template
        self.costs = rule is not None and not template(rule).is_plain

    def __call__(self, payload: Payload, retained: bool) -> None:
        generation = self.entities.generation
        if retained and self.generation == generation:
            return
        self.generation = generation
        if self.availability.take(self.number, payload):
            self.entities.availability_changed(self.availability)


def _is_forced(config: Common) -> bool:
    return isinstance(config, Sensor | BinarySensor) and config.force_update


def _why(error: Exception) -> str:
    """A decoding error would quote the message."""
    return "expected UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
