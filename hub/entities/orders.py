"""The orders that an entity takes, and the MQTT message for each."""

import hashlib
from dataclasses import dataclass, fields
from functools import singledispatch
from typing import Any

import orjson
import regex

from hub.entities.configs import Button, Commanded, Common, Cover, Lock, Number, Select, Siren, Switch, Update
from hub.entities.configs import TextField as Text
from hub.entities.entity import Entity, Value
from hub.entities.templating.templates import template
from hub.entities.templating.words import TemplateError

EXPIRY_SECONDS = 10
"""Message expiry: the broker does not deliver an order later than this (MQTT 5 only)."""
GUARDED = frozenset({"cover", "lock"})
"""Components that may open a building: an administrator must first allow orders to the entity."""


class OrderError(ValueError):
    """An order that this entity does not take; the text says which it does."""


Message = tuple[str, str, Value]
"""Topic, payload, and the resulting state."""


@dataclass(frozen=True, slots=True)
class Order:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    assumed: Value | None
    """The resulting state, for an entity that does not report its own."""


def command_topics(entity: Entity) -> list[str]:
    """The topics that it takes orders on."""
    topics = [getattr(entity.config, name, None) for name in ("command_topic", "set_position_topic")]
    return [topic for topic in topics if topic]


def fingerprint(entity: Entity) -> str:
    """A hash of what an administrator allowed: it changes when the entity's topic, payloads or templates change."""
    config = entity.config
    words = [entity.id, *entity.place, *sorted(config.device.identifiers if config.device else ())]
    words += [
        f"{field.name}={getattr(config, field.name)}"
        for field in fields(config)
        if field.name.startswith(("payload_", "state_", "command_", "set_position", "value_template", "position_"))
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def verbs(entity: Entity) -> list[str]:
    """The orders that it takes, in the order in which their buttons are displayed."""
    return _verbs(entity.config)


def order(entity: Entity, verb: str, value: str | float | None = None) -> Order:
    """The message for an order. Raises OrderError, also if the device's command template fails."""
    offered = verbs(entity)
    if verb not in offered:
        raise OrderError(f"{entity.id} takes {', '.join(offered) or 'no orders'}, not {verb}")
    config: Commanded = entity.config  # type: ignore[assignment]
    try:
        topic, text, assumed = _message(config, verb, value)
    except TemplateError as error:
        raise OrderError(f"the device's command template fails: {error}") from None
    is_retained = config.retain and entity.component not in GUARDED
    return Order(topic, text.encode(), min(config.qos, 1), is_retained, assumed)


# -- by component: the verbs, and the message for each


@singledispatch
def _verbs(_config: Common) -> list[str]:
    return []


@singledispatch
def _message(config: Common, _verb: str, _value: Any) -> Message:
    raise TypeError(type(config).__name__)


@_verbs.register
def _(config: Lock) -> list[str]:
    """None for a lock that needs a code: there is no way to enter one, and it would end up in logs."""
    if config.code_format is not None:
        return []
    return ["lock", "unlock", *(["open"] if config.payload_open is not None else [])]


@_message.register
def _(config: Lock, verb: str, _value: Any) -> Message:
    state = {"lock": "locked", "unlock": "unlocked", "open": "open"}[verb]
    return config.command_topic, _rendered(config.command_template, getattr(config, f"payload_{verb}"), code=""), state


@_verbs.register
def _(_config: Switch) -> list[str]:
    return ["on", "off"]


@_message.register
def _(config: Switch, verb: str, _value: Any) -> Message:
    return config.command_topic, _rendered(config.command_template, getattr(config, f"payload_{verb}")), verb


@_message.register
def _(config: Siren, verb: str, _value: Any) -> Message:
    payload = getattr(config, f"payload_{verb}")
    rule = config.command_template if verb == "on" else config.command_off_template or config.command_template
    plain = orjson.dumps({"state": payload}).decode()
    return config.command_topic, _rendered(rule, payload) if rule else plain, verb


@_verbs.register
def _(_config: Button) -> list[str]:
    return ["press"]


@_message.register
def _(config: Button, _verb: str, _value: Any) -> Message:
    return config.command_topic, _rendered(config.command_template, config.payload_press), None


@_verbs.register(Number)
@_verbs.register(Select)
@_verbs.register(Text)
def _(_config: Commanded) -> list[str]:
    return ["set"]


@_message.register(Number)
@_message.register(Select)
@_message.register(Text)
def _(config: Any, _verb: str, value: Any) -> Message:
    validated = _validated(config, value)
    return config.command_topic, _rendered(config.command_template, validated), validated


@_verbs.register
def _(config: Update) -> list[str]:
    return ["install"] if config.command_topic and config.payload_install else []


@_message.register
def _(config: Update, _verb: str, _value: Any) -> Message:
    return config.command_topic or "", config.payload_install or "", None


@_verbs.register
def _(config: Cover) -> list[str]:
    moves = ("open", "close", "stop") if config.command_topic else ()
    offered = [verb for verb in moves if getattr(config, f"payload_{verb}") is not None]
    return [*offered, *(["set_position"] if config.set_position_topic else [])]


@_message.register
def _(config: Cover, verb: str, value: Any) -> Message:
    if verb != "set_position":
        state = {"open": "open", "close": "closed", "stop": None}[verb]
        return config.command_topic or "", getattr(config, f"payload_{verb}"), state
    percent = _in_range(value, 0, 100)
    whole = config.position_open - config.position_closed
    position = round(config.position_closed + whole * percent / 100)
    text = _rendered(config.set_position_template, position, position=percent)
    return config.set_position_topic or "", text, "closed" if percent == 0 else "open"


def _validated(config: Commanded, value: Any) -> str | float:
    if isinstance(config, Number):
        number = _in_range(value, config.min, config.max)
        return int(number) if number.is_integer() else number
    text = str(value if value is not None else "")
    if isinstance(config, Select) and text not in config.options:
        raise OrderError(f"expected one of {', '.join(config.options)}")
    if isinstance(config, Text):
        if not config.min <= len(text) <= config.max:
            raise OrderError(f"expected {config.min} to {config.max} characters")
        if config.pattern and not _matches(config.pattern, text):
            raise OrderError(f"expected text of the form {config.pattern}")
    return text


def _matches(pattern: str, text: str) -> bool:
    try:
        return regex.fullmatch(pattern, text, timeout=0.02) is not None
    except (regex.error, TimeoutError):
        return False


def _in_range(value: Any, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise OrderError(f"expected a number from {least:g} to {most:g}") from None
    if not least <= number <= most:
        raise OrderError(f"expected a number from {least:g} to {most:g}")
    return number


def _rendered(rule: str | None, value: Any, **more: Any) -> str:
    return template(rule).render(value=value, **more) if rule else str(value)
