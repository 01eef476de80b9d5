"""The listeners of an entity's topics: state, attributes, picture, availability."""

from collections.abc import Iterator
from typing import Protocol

from hub.entities import reading
from hub.entities.configs import BinarySensor, Common, Cover, Image, Sensor, Update
from hub.entities.entity import MOMENTARY, Availability, Entity, Value
from hub.entities.reading import UNCHANGED, Reader, UnreadableError
from hub.entities.templating.templates import Payload, Template, template
from hub.entities.templating.words import TemplateError, TooSlowError
from hub.entities.topics import Listen

Subscription = tuple[str, int, Listen]
"""Topic filter, QoS, listener."""


class Registry(Protocol):
    """What listeners call. `generation` counts connections: a retained message is processed once for each."""

    generation: int

    def set_state(self, entity: Entity, value: Value, *, always: bool = False) -> None: ...

    def unreadable(self, entity: Entity, reason: str) -> None: ...

    def set_picture(self, entity: Entity, picture: bytes, kind: str) -> None: ...

    def availability_changed(self, availability: Availability) -> None: ...


def listeners_of(entities: Registry, entity: Entity, availability: Availability | None) -> Iterator[Subscription]:
    """All listeners of an entity, and those of `availability` if given."""
    config, qos = entity.config, min(entity.config.qos, 1)
    topic, rule = reading.main_topic(entity.component, config)
    if topic is not None and (read := reading.READERS.get(entity.component)) is not None:
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
    """Retained messages are processed once for each connection; those of momentary events never."""

    __slots__ = ("entities", "entity", "generation", "is_muted", "template")

    def __init__(self, entities: Registry, entity: Entity, rule: str | None) -> None:
        self.entities = entities
        self.entity = entity
        self.template: Template | None = template(rule) if rule else None
        self.generation = -1
        self.is_muted = False
        """Its template was too slow once, and is not rendered again."""

    def is_stale(self, retained: bool) -> bool:
        generation = self.entities.generation
        stale = retained and (self.generation == generation or self.entity.component in MOMENTARY)
        self.generation = generation
        return stale

    @property
    def is_costly(self) -> bool:
        """Whether a message makes a template of the device's run."""
        return self.template is not None and not self.template.is_plain

    def text(self, payload: Payload) -> str:
        return payload.text if self.template is None else self.template.read(payload)


class StateListener(_Listener):
    __slots__ = ("always", "read")

    def __init__(self, entities: Registry, entity: Entity, rule: str | None, read: Reader) -> None:
        super().__init__(entities, entity, rule)
        self.read = read
        self.always = entity.component in MOMENTARY or _is_forced(entity.config)

    def __call__(self, payload: Payload, retained: bool) -> None:
        if (retained and self.is_stale(retained)) or self.is_muted:
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
            return self.entities.unreadable(entity, _reason(error))
        if value is not UNCHANGED:
            entity.assumed = False
            self.entities.set_state(entity, value, always=self.always)  # type: ignore[arg-type]
        return None


class AttributesListener(_Listener):
    __slots__ = ()

    def __call__(self, payload: Payload, retained: bool) -> None:
        if self.is_muted or self.is_stale(retained):
            return
        try:
            self.entity.attributes = reading.attributes_of(self.text(payload))
        except TooSlowError as error:
            self.is_muted = True
            self.entities.unreadable(self.entity, f"its attributes' template is not run any more: {error}")
        except (TemplateError, ValueError) as error:
            self.entities.unreadable(self.entity, f"attributes: {_reason(error)}")


class PictureListener(_Listener):
    __slots__ = ()

    def __init__(self, entities: Registry, entity: Entity) -> None:
        super().__init__(entities, entity, None)

    def __call__(self, payload: Payload, retained: bool) -> None:
        config = self.entity.config
        if self.is_stale(retained) or not isinstance(config, Image) or not payload.raw:
            return None
        try:
            picture = reading.image_of(config, payload.raw)
        except UnreadableError as error:
            return self.entities.unreadable(self.entity, str(error))
        self.entities.set_picture(self.entity, picture, config.content_type)
        self.entities.set_state(self.entity, reading.picture_hash(picture))
        return None


class AvailabilityListener:
    __slots__ = ("availability", "entities", "generation", "is_costly", "number")

    def __init__(self, entities: Registry, availability: Availability, number: int) -> None:
        self.entities = entities
        self.availability = availability
        self.number = number
        self.generation = -1
        rule = availability.sources[number].value_template
        self.is_costly = rule is not None and not template(rule).is_plain

    def __call__(self, payload: Payload, retained: bool) -> None:
        generation = self.entities.generation
        if retained and self.generation == generation:
            return
        self.generation = generation
        if self.availability.update(self.number, payload):
            self.entities.availability_changed(self.availability)


def _is_forced(config: Common) -> bool:
    return isinstance(config, Sensor | BinarySensor) and config.force_update


def _reason(error: Exception) -> str:
    """The error's text, except for a decoding error: that would quote the message."""
    return "expected UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
