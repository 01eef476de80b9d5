"""The configurations that a device may announce: the keys of each component, validated.

The source is Home Assistant's documentation of its MQTT integrations. Unknown keys are ignored, so that a device may
be newer than we are. Slotted dataclasses: a large building has thousands of entities, and a pydantic model costs
three times the memory.
"""

import sys
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from hub.entities.templating.templates import template
from hub.entities.templating.words import TemplateError

LONGEST_TOPIC = 1024
LONGEST_TEXT = 500
CONFIG = ConfigDict(extra="ignore", defer_build=True)
"""Deferred: the validator of a component is built when a device first announces one."""


def _topic(text: str) -> str:
    if not text or "\0" in text or len(text) > LONGEST_TOPIC:
        raise ValueError(f"is no topic: 1 to {LONGEST_TOPIC} characters")
    return sys.intern(text)


def _without_wildcards(text: str) -> str:
    if "+" in text or "#" in text:
        raise ValueError("is published to, so it may hold neither + nor #")
    return text


def _filter(text: str) -> str:
    levels = text.split("/")
    wild = [number for number, level in enumerate(levels) if level != "+" and ("+" in level or "#" in level)]
    if any(levels[number] != "#" or number != len(levels) - 1 for number in wild):
        raise ValueError("is no topic filter: + and # stand for whole levels, # only at the end")
    return text


def _template(text: str) -> str:
    try:
        template(text)
    except TemplateError as error:
        raise ValueError(f"is no template that may run here: {error}") from None
    return sys.intern(text)


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _encoding(value: object) -> object:
    return "" if value is None else str(value).lower()


def _truth(value: object) -> object:
    """Booleans as in YAML and Home Assistant."""
    return {"yes": True, "no": False, "enable": True, "disable": False}.get(str(value).lower(), value)


def _written(value: object) -> object:
    """`"payload_on": false` means the text that a template makes of false."""
    return str(value) if isinstance(value, bool | int | float) else value


Text = Annotated[str, Field(max_length=LONGEST_TEXT), BeforeValidator(_written), AfterValidator(sys.intern)]
Subscribed = Annotated[str, AfterValidator(_topic), AfterValidator(_filter)]
Published = Annotated[str, AfterValidator(_topic), AfterValidator(_without_wildcards)]
Rule = Annotated[str, AfterValidator(_template)]
Texts = Annotated[list[Text], Field(max_length=200), BeforeValidator(_listed)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Maker:
    """`device`: maker, model and identifiers."""

    identifiers: Annotated[list[Text], Field(max_length=10), BeforeValidator(_listed)] = Field(default_factory=list)
    connections: list[tuple[Text, Text]] = Field(default_factory=list, max_length=10)
    name: Text | None = None
    manufacturer: Text | None = None
    model: Text | None = None
    model_id: Text | None = None
    hw_version: Text | None = None
    sw_version: Text | None = None
    serial_number: Text | None = None
    suggested_area: Text | None = None
    via_device: Text | None = None
    configuration_url: Text | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Origin:
    """`origin`: the announcing program."""

    name: Text
    sw_version: Text | None = None
    support_url: Text | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Source:
    """One availability topic."""

    topic: Subscribed
    payload_available: Text = "online"
    payload_not_available: Text = "offline"
    value_template: Rule | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Common:
    name: Text | None = None
    unique_id: Text | None = None
    object_id: Text | None = None
    default_entity_id: Text | None = None
    device: Maker | None = None
    origin: Origin | None = None
    qos: Annotated[int, Field(ge=0, le=2)] = 0
    encoding: Annotated[Literal["utf-8", ""], BeforeValidator(_encoding)] = "utf-8"
    enabled_by_default: Truth = True
    entity_category: Literal["config", "diagnostic"] | None = None
    icon: Text | None = None
    device_class: Text | None = None
    availability: Annotated[list[Source], Field(max_length=10), BeforeValidator(_listed)] | None = None
    availability_mode: Literal["all", "any", "latest"] = "latest"
    availability_topic: Subscribed | None = None
    availability_template: Rule | None = None
    payload_available: Text = "online"
    payload_not_available: Text = "offline"
    json_attributes_topic: Subscribed | None = None
    json_attributes_template: Rule | None = None

    @property
    def sources(self) -> list[Source]:
        if self.availability is not None:
            return self.availability
        if self.availability_topic is None:
            return []
        return [
            Source(
                topic=self.availability_topic,
                payload_available=self.payload_available,
                payload_not_available=self.payload_not_available,
                value_template=self.availability_template,
            )
        ]


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Stated(Common):
    """A component with a required state topic."""

    state_topic: Subscribed
    value_template: Rule | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Commanded(Common):
    """A component that takes orders. Without a state topic its state is the last order."""

    command_topic: Published | None = None
    command_template: Rule | None = None
    state_topic: Subscribed | None = None
    value_template: Rule | None = None
    optimistic: Truth = False
    retain: Truth = False


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Sensor(Stated):
    unit_of_measurement: Text | None = None
    state_class: Text | None = None
    expire_after: Seconds = 0
    force_update: Truth = False
    suggested_display_precision: int | None = None
    options: Texts | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class BinarySensor(Stated):
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    expire_after: Seconds = 0
    off_delay: Seconds = 0
    force_update: Truth = False


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Event(Stated):
    event_types: Texts


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Lock(Commanded):
    command_topic: Published
    code_format: Text | None = None
    payload_lock: Text = "LOCK"
    payload_unlock: Text = "UNLOCK"
    payload_open: Text | None = None
    payload_reset: Text = "None"
    state_locked: Text = "LOCKED"
    state_locking: Text = "LOCKING"
    state_unlocked: Text = "UNLOCKED"
    state_unlocking: Text = "UNLOCKING"
    state_jammed: Text = "JAMMED"
    state_open: Text = "OPEN"
    state_opening: Text = "OPENING"


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Switch(Commanded):
    command_topic: Published
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    state_on: Text | None = None
    state_off: Text | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Siren(Switch):
    state_value_template: Rule | None = None
    command_off_template: Rule | None = None
    available_tones: Texts | None = None
    support_duration: Truth = True
    support_volume_set: Truth = True


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Button(Commanded):
    command_topic: Published
    payload_press: Text = "PRESS"


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Number(Commanded):
    command_topic: Published
    min: float = 1.0
    max: float = 100.0
    step: float = 1.0
    unit_of_measurement: Text | None = None
    payload_reset: Text = "None"


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Select(Commanded):
    command_topic: Published
    options: Texts


@dataclass(config=CONFIG, slots=True, kw_only=True)
class TextField(Commanded):
    command_topic: Published
    min: int = 0
    max: int = 255
    pattern: Text | None = None
    mode: Literal["text", "password"] = "text"


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Update(Commanded):
    latest_version_topic: Subscribed | None = None
    latest_version_template: Rule | None = None
    payload_install: Text | None = None
    release_summary: Text | None = None
    release_url: Text | None = None
    title: Text | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Cover(Commanded):
    payload_open: Text | None = "OPEN"
    payload_close: Text | None = "CLOSE"
    payload_stop: Text | None = "STOP"
    state_open: Text = "open"
    state_opening: Text = "opening"
    state_closed: Text = "closed"
    state_closing: Text = "closing"
    state_stopped: Text = "stopped"
    position_topic: Subscribed | None = None
    position_template: Rule | None = None
    set_position_topic: Published | None = None
    set_position_template: Rule | None = None
    position_open: int = 100
    position_closed: int = 0


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Image(Common):
    image_topic: Subscribed | None = None
    image_encoding: Literal["b64"] | None = None
    content_type: Text = "image/jpeg"
    url_topic: Subscribed | None = None
    url_template: Rule | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Trigger(Common):
    """`device_automation`: a momentary event, such as a button press."""

    automation_type: Literal["trigger"] = "trigger"
    topic: Subscribed
    type: Text
    subtype: Text
    payload: Text | None = None
    value_template: Rule | None = None


@dataclass(config=CONFIG, slots=True, kw_only=True)
class Tag(Common):
    topic: Subscribed
    value_template: Rule | None = None


COMPONENTS: dict[str, type[Common]] = {
    "binary_sensor": BinarySensor,
    "button": Button,
    "cover": Cover,
    "device_automation": Trigger,
    "event": Event,
    "image": Image,
    "lock": Lock,
    "number": Number,
    "select": Select,
    "sensor": Sensor,
    "siren": Siren,
    "switch": Switch,
    "tag": Tag,
    "text": TextField,
    "update": Update,
}
_CHECKS: dict[str, TypeAdapter[Common]] = {
    name: TypeAdapter(model) for name, model in (COMPONENTS | {"unsupported": Common}).items()
}
_NEEDED_TOGETHER = (("value_template", "state_topic"), ("position_template", "position_topic"))


class ConfigError(ValueError):
    """An invalid announcement: the key, what was expected, and the type of what was found (never its content)."""


def checked(component: str, config: dict[str, Any]) -> Common:
    """The validated model; only the common keys for an unsupported component. Raises ConfigError."""
    try:
        model = _CHECKS.get(component, _CHECKS["unsupported"]).validate_python(config)
    except ValidationError as error:
        raise ConfigError("; ".join(_described(dict(each)) for each in error.errors()[:3])) from None
    if isinstance(model, Cover):
        for key, needed in _NEEDED_TOGETHER:
            if getattr(model, key) is not None and getattr(model, needed) is None:
                raise ConfigError(f"{key}: expected a {needed} beside it")
    if isinstance(model, Image) and (model.image_topic is None) == (model.url_topic is None):
        raise ConfigError("image_topic: expected either image_topic or url_topic")
    if model.availability is not None and model.availability_topic is not None:
        raise ConfigError("availability: expected no availability_topic beside it")
    if model.device is not None and not (model.device.identifiers or model.device.connections):
        raise ConfigError("device: expected identifiers or connections")
    return model


def _described(item: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"] if not str(part).startswith(("function-", "literal")))
    text = str(item["msg"]).removeprefix("Value error, ")
    actual = "" if item["type"] == "missing" else f" (found {type(item['input']).__name__})"
    return f"{where}: {text[0].lower()}{text[1:]}{actual}"


def topics_of(config: Common, endings: tuple[str, ...] = ("topic",)) -> list[tuple[str, str]]:
    """Field name and topic, for the fields whose names have one of these endings."""
    names = _fields_ending(type(config), endings)  # type: ignore[arg-type]  # a class is hashable, whatever its instances are
    return [(name, value) for name in names if isinstance(value := getattr(config, name), str)]


@cache
def _fields_ending(kind: type[Common], endings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name.endswith(endings))
