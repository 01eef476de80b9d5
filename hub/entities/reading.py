"""What a message means: for each component, from the text that its template made to a value.

Words are Home Assistant's (`locked`, `on`, `opening`); "None" is its word for unknown. KEEP: the message says nothing
about the state.
"""

import hashlib
import math
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, Final

import orjson

from hub.entities.configs import (
    BinarySensor,
    Common,
    Cover,
    Event,
    Image,
    Lock,
    Number,
    Select,
    Sensor,
    Siren,
    Switch,
    Trigger,
)
from hub.entities.configs import TextField as Text
from hub.entities.entity import Entity, Value

UNKNOWN: Final = "None"
LONGEST_STATE = 255
LONGEST_ATTRIBUTES = 16_384
LARGEST_IMAGE = 49_152


class _Keep:
    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = _Keep()
LOST: Final = frozenset({"nan", "-nan", "inf", "-inf", "infinity", "-infinity"})
"""What a device says, in small letters, of a value that it has lost; as numbers are printed (C, Python, JSON5)."""
WORDS: Final = frozenset({"text", "tag", "event", "device_automation"})
"""Components whose state is whatever somebody wrote."""
Read = Callable[[Entity, str], "Value | _Keep"]


def is_lost(entity: Entity, text: str) -> bool:
    """It has no state any more: what it said before is not so now."""
    return len(text) <= len("-infinity") and text.lower() in LOST and entity.component not in WORDS


class UnreadableError(ValueError):
    """A message that this entity cannot mean. The text says what was expected, and never what came."""


def sensor(entity: Entity, text: str) -> "Value | _Keep":
    config: Sensor = entity.config  # type: ignore[assignment]
    if not text:
        return KEEP
    if text == UNKNOWN or text == "unknown":  # noqa: PLR1714 (on the hot path)
        return None
    if config.unit_of_measurement is None and config.state_class is None:
        if config.options is not None and text not in config.options:
            raise UnreadableError(f"expected one of {', '.join(config.options)}")
        return text[:LONGEST_STATE]
    return _number(text)


def binary_sensor(entity: Entity, text: str) -> "Value | _Keep":
    config: BinarySensor = entity.config  # type: ignore[assignment]
    return _one_of({config.payload_on: "on", config.payload_off: "off"}, text)


def lock(entity: Entity, text: str) -> "Value | _Keep":
    config: Lock = entity.config  # type: ignore[assignment]
    if text == config.payload_reset:
        return None
    words = {
        config.state_locked: "locked",
        config.state_locking: "locking",
        config.state_unlocked: "unlocked",
        config.state_unlocking: "unlocking",
        config.state_jammed: "jammed",
        config.state_open: "open",
        config.state_opening: "opening",
    }
    if text and text not in words:
        return None  # `undefined`, `uncalibrated`, 254: whatever it means, nobody may take it for locked
    return _one_of(words, text)


def switch(entity: Entity, text: str) -> "Value | _Keep":
    config: Switch = entity.config  # type: ignore[assignment]
    return _one_of({config.state_on or config.payload_on: "on", config.state_off or config.payload_off: "off"}, text)


def siren(entity: Entity, text: str) -> "Value | _Keep":
    """Plain, or JSON with `state` and what it plays."""
    config: Siren = entity.config  # type: ignore[assignment]
    words = {config.state_on or config.payload_on: "on", config.state_off or config.payload_off: "off", UNKNOWN: None}
    if text in words:
        return words[text]
    if not text:
        return KEEP
    said = _object(text)
    entity.attributes |= {key: said[key] for key in ("tone", "duration", "volume_level") if key in said}
    if "state" not in said:
        return KEEP
    return _one_of(words, str(said["state"]))


def number(entity: Entity, text: str) -> "Value | _Keep":
    config: Number = entity.config  # type: ignore[assignment]
    if not text:
        return KEEP
    if text == config.payload_reset:
        return None
    value = _number(text)
    if not config.min <= value <= config.max:
        raise UnreadableError(f"expected a number from {config.min:g} to {config.max:g}")
    return value


def select(entity: Entity, text: str) -> "Value | _Keep":
    config: Select = entity.config  # type: ignore[assignment]
    return _one_of({option: option for option in config.options}, text)


def text_field(entity: Entity, text: str) -> "Value | _Keep":
    config: Text = entity.config  # type: ignore[assignment]
    if not config.min <= len(text) <= config.max:
        raise UnreadableError(f"expected {config.min} to {config.max} characters")
    return text


def cover(entity: Entity, text: str) -> "Value | _Keep":
    config: Cover = entity.config  # type: ignore[assignment]
    if text == config.state_stopped:
        position = entity.attributes.get("position")
        return "closed" if position == 0 or (position is None and entity.value == "closing") else "open"
    words = {
        config.state_open: "open",
        config.state_opening: "opening",
        config.state_closed: "closed",
        config.state_closing: "closing",
    }
    return _one_of(words, text)


def cover_position(entity: Entity, text: str) -> "Value | _Keep":
    """Percent open, whatever the device counts from and to. It is the state where no other topic has one."""
    config: Cover = entity.config  # type: ignore[assignment]
    if not text:
        return KEEP
    whole = config.position_open - config.position_closed
    part = (_number(text) - config.position_closed) / whole if whole else 0
    entity.attributes["position"] = round(100 * min(1.0, max(0.0, part)))
    if config.state_topic is not None:
        return KEEP
    return "closed" if entity.attributes["position"] == 0 else "open"


def event(entity: Entity, text: str) -> "Value | _Keep":
    config: Event = entity.config  # type: ignore[assignment]
    if not text or text in (UNKNOWN, "{}"):
        return KEEP
    said = _object(text)
    kind = said.pop("event_type", None)
    if kind not in config.event_types:
        raise UnreadableError(f"event_type: expected one of {', '.join(config.event_types)}")
    entity.attributes = said
    return str(kind)


def trigger(entity: Entity, text: str) -> "Value | _Keep":
    config: Trigger = entity.config  # type: ignore[assignment]
    if config.payload is not None and text != config.payload:
        return KEEP
    return f"{config.type} {config.subtype}".strip()


def tag(_entity: Entity, text: str) -> "Value | _Keep":
    """Who holds a tag may be known by it: the registry hands it on and keeps it nowhere."""
    return text[:LONGEST_STATE] or KEEP


def update(entity: Entity, text: str) -> "Value | _Keep":
    """Plain: the installed version; or JSON. On: there is a newer one."""
    if not text:
        return KEEP
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = text
    said: dict[str, Any] = found if isinstance(found, dict) else {"installed_version": text}
    known = ("installed_version", "latest_version", "title", "release_summary", "release_url", "in_progress")
    entity.attributes |= {key: said[key] for key in known if key in said}
    return _is_newer(entity)


def latest_version(entity: Entity, text: str) -> "Value | _Keep":
    if not text:
        return KEEP
    entity.attributes["latest_version"] = text
    return _is_newer(entity)


def _is_newer(entity: Entity) -> Value:
    installed, latest = (entity.attributes.get(f"{which}_version") for which in ("installed", "latest"))
    if installed is None or latest is None:
        return None
    return "on" if str(installed) != str(latest) else "off"


def image_of(config: Image, raw: bytes) -> bytes:
    """The picture itself. Raises UnreadableError."""
    if config.image_encoding == "b64":
        try:
            raw = b64decode(raw, validate=True)
        except Base64Error:
            raise UnreadableError("expected Base64") from None
    if len(raw) > LARGEST_IMAGE:
        raise UnreadableError(f"expected at most {LARGEST_IMAGE} bytes")
    return raw


def image_url(_entity: Entity, text: str) -> "Value | _Keep":
    if not text:
        return KEEP
    if not text.startswith(("http://", "https://")):
        raise UnreadableError("expected an address that begins with http:// or https://")
    return text


def mark_of(picture: bytes) -> str:
    """An image's value: another for another picture."""
    return hashlib.sha256(picture).hexdigest()[:16]


READ: dict[str, Read] = {
    "binary_sensor": binary_sensor,
    "cover": cover,
    "device_automation": trigger,
    "event": event,
    "lock": lock,
    "number": number,
    "select": select,
    "sensor": sensor,
    "siren": siren,
    "switch": switch,
    "tag": tag,
    "text": text_field,
    "update": update,
}
"""By component, for its main topic."""


def attributes_of(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_ATTRIBUTES:
        raise UnreadableError(f"expected at most {LONGEST_ATTRIBUTES} characters")
    return _object(text)


def main_topic(component: str, config: Common) -> tuple[str | None, str | None]:
    """The topic that the component's state comes by, and the template for it."""
    if component in ("device_automation", "tag"):
        return config.topic, config.value_template  # type: ignore[attr-defined]
    if component == "siren":
        return config.state_topic, config.state_value_template or config.value_template  # type: ignore[attr-defined]
    return getattr(config, "state_topic", None), getattr(config, "value_template", None)


def _one_of(words: "dict[str, Any]", text: str) -> "Value | _Keep":
    if text in words:
        found: Value = words[text]
        return found
    if not text:
        return KEEP
    if text == UNKNOWN:
        return None
    raise UnreadableError(f"expected one of {', '.join(words)}")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UnreadableError("expected a number") from None
    if not math.isfinite(value):
        raise UnreadableError("expected a number")
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnreadableError("expected JSON") from None
    if not isinstance(found, dict):
        raise UnreadableError("expected a JSON object")
    return found
