"""What an entity can be told, and the message that tells it."""

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
"""An order that a device gets later than this is none any more (where the broker speaks MQTT 5)."""
GUARDED = frozenset({"cover", "lock"})
"""These open a building: an administrator must have allowed it for the entity."""


class OrderError(ValueError):
    """An order that this entity does not take; the text says what it takes."""


Said = tuple[str, str, Value]
"""Topic, payload, and the state that it leads to."""


@dataclass(frozen=True, slots=True)
class Order:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    assumed: Value | None
    """The state it leads to, for an entity that never says its state itself."""


def command_topics(entity: Entity) -> list[str]:
    """Where it is told something."""
    found = [getattr(entity.config, name, None) for name in ("command_topic", "set_position_topic")]
    return [topic for topic in found if topic]


def likeness(entity: Entity) -> str:
    """What somebody who allows orders has seen of it: another when it is announced elsewhere, or says other things."""
    config = entity.config
    words = [entity.id, *entity.place, *sorted(config.device.identifiers if config.device else ())]
    words += [
        f"{one.name}={getattr(config, one.name)}"
        for one in fields(config)
        if one.name.startswith(("payload_", "state_", "command_", "set_position", "value_template", "position_"))
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def verbs(entity: Entity) -> list[str]:
    """What can be asked of it, in the order in which buttons for it should stand."""
    return _verbs(entity.config)


def order(entity: Entity, verb: str, value: str | float | None = None) -> Order:
    """Raises OrderError, also when the device's command template fails."""
    offered = verbs(entity)
    if verb not in offered:
        raise OrderError(f"{entity.id} takes {', '.join(offered) or 'no orders'}, not {verb}")
    config: Commanded = entity.config  # type: ignore[assignment]
    try:
        topic, text, assumed = _said(config, verb, value)
    except TemplateError as error:
        raise OrderError(f"the device's command template fails: {error}") from None
    is_retained = config.retain and entity.component not in GUARDED
    return Order(topic, text.encode(), min(config.qos, 1), is_retained, assumed)


# -- by component: what it takes, and how it is said


@singledispatch
def _verbs(_config: Common) -> list[str]:
    return []


@singledispatch
def _said(config: Common, _verb: str, _value: Any) -> Said:
    raise TypeError(type(config).__name__)


@_verbs.register
def _(config: Lock) -> list[str]:
    """None for one that wants a code: nobody can give one here, and it would stand in logs; an empty one is none."""
    if config.code_format is not None:
        return []
    return ["lock", "unlock", *(["open"] if config.payload_open is not None else [])]


@_said.register
def _(config: Lock, verb: str, _value: Any) -> Said:
    reached = {"lock": "locked", "unlock": "unlocked", "open": "open"}[verb]
    return config.command_topic, _made(config.command_template, getattr(config, f"payload_{verb}"), code=""), reached


@_verbs.register
def _(_config: Switch) -> list[str]:
    return ["on", "off"]


@_said.register
def _(config: Switch, verb: str, _value: Any) -> Said:
    return config.command_topic, _made(config.command_template, getattr(config, f"payload_{verb}")), verb


@_said.register
def _(config: Siren, verb: str, _value: Any) -> Said:
    payload = getattr(config, f"payload_{verb}")
    rule = config.command_template if verb == "on" else config.command_off_template or config.command_template
    plain = orjson.dumps({"state": payload}).decode()
    return config.command_topic, _made(rule, payload) if rule else plain, verb


@_verbs.register
def _(_config: Button) -> list[str]:
    return ["press"]


@_said.register
def _(config: Button, _verb: str, _value: Any) -> Said:
    return config.command_topic, _made(config.command_template, config.payload_press), None


@_verbs.register(Number)
@_verbs.register(Select)
@_verbs.register(Text)
def _(_config: Commanded) -> list[str]:
    return ["set"]


@_said.register(Number)
@_said.register(Select)
@_said.register(Text)
def _(config: Any, _verb: str, value: Any) -> Said:
    checked = _checked(config, value)
    return config.command_topic, _made(config.command_template, checked), checked


@_verbs.register
def _(config: Update) -> list[str]:
    return ["install"] if config.command_topic and config.payload_install else []


@_said.register
def _(config: Update, _verb: str, _value: Any) -> Said:
    return config.command_topic or "", config.payload_install or "", None


@_verbs.register
def _(config: Cover) -> list[str]:
    moves = ("open", "close", "stop") if config.command_topic else ()
    said = [verb for verb in moves if getattr(config, f"payload_{verb}") is not None]
    return [*said, *(["set_position"] if config.set_position_topic else [])]


@_said.register
def _(config: Cover, verb: str, value: Any) -> Said:
    if verb != "set_position":
        reached = {"open": "open", "close": "closed", "stop": None}[verb]
        return config.command_topic or "", getattr(config, f"payload_{verb}"), reached
    percent = _in_range(value, 0, 100)
    whole = config.position_open - config.position_closed
    position = round(config.position_closed + whole * percent / 100)
    text = _made(config.set_position_template, position, position=percent)
    return config.set_position_topic or "", text, "closed" if percent == 0 else "open"


def _checked(config: Commanded, value: Any) -> str | float:
    if isinstance(config, Number):
        wanted = _in_range(value, config.min, config.max)
        return int(wanted) if wanted.is_integer() else wanted
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
        wanted = float(value)
    except (TypeError, ValueError):
        raise OrderError(f"expected a number from {least:g} to {most:g}") from None
    if not least <= wanted <= most:
        raise OrderError(f"expected a number from {least:g} to {most:g}")
    return wanted


def _made(rule: str | None, value: Any, **more: Any) -> str:
    return template(rule).render(value=value, **more) if rule else str(value)
