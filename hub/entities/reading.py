"""Reads messages: for each component, a function from the text that the template rendered to a value.

States are named as in Home Assistant (`locked`, `on`, `opening`); "None" means unknown. A reader returns UNCHANGED if
the message does not affect the state.
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
MAX_STATE_LENGTH = 255
MAX_ATTRIBUTES_LENGTH = 16_384
MAX_IMAGE_BYTES = 49_152


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()
LOST_VALUES: Final = frozenset({"nan", "-nan", "inf", "-inf", "infinity", "-infinity"})
"""Texts, in lower case, for a value that the device has lost, as C, Python and JSON5 print such numbers."""
FREE_TEXT_COMPONENTS: Final = frozenset({"text", "tag", "event", "device_automation"})
"""Components whose state may be any text."""
Reader = Callable[[Entity, str], "Value | _Unchanged"]


def is_lost(entity: Entity, text: str) -> bool:
    """Whether the text means that the device has lost the value: the state is then unknown."""
    return (
        len(text) <= len("-infinity") and text.lower() in LOST_VALUES and entity.component not in FREE_TEXT_COMPONENTS
    )


class UnreadableError(ValueError):
    """A message that is invalid for this entity. The text says what was expected, never what was received."""


def sensor(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Sensor = entity.config  # type: ignore[assignment]
    if not text:
        return UNCHANGED
    if text == UNKNOWN or text == "unknown":  # noqa: PLR1714 (on the hot path)
        return None
    if config.unit_of_measurement is None and config.state_class is None:
        if config.options is not None and text not in config.options:
            raise UnreadableError(f"expected one of {', '.join(config.options)}")
        return text[:MAX_STATE_LENGTH]
    return _number(text)


def binary_sensor(entity: Entity, text: str) -> "Value | _Unchanged":
    config: BinarySensor = entity.config  # type: ignore[assignment]
    return _looked_up({config.payload_on: "on", config.payload_off: "off"}, text)


def lock(entity: Entity, text: str) -> "Value | _Unchanged":
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
        return None  # `undefined`, `uncalibrated`, 254: whatever it means, it must not be taken for locked
    return _looked_up(words, text)


def switch(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Switch = entity.config  # type: ignore[assignment]
    return _looked_up({config.state_on or config.payload_on: "on", config.state_off or config.payload_off: "off"}, text)


def siren(entity: Entity, text: str) -> "Value | _Unchanged":
    """Plain text, or JSON with `state` and the tone, duration and volume."""
    config: Siren = entity.config  # type: ignore[assignment]
    words = {config.state_on or config.payload_on: "on", config.state_off or config.payload_off: "off", UNKNOWN: None}
    if text in words:
        return words[text]
    if not text:
        return UNCHANGED
    payload = _object(text)
    entity.attributes |= {key: payload[key] for key in ("tone", "duration", "volume_level") if key in payload}
    if "state" not in payload:
        return UNCHANGED
    return _looked_up(words, str(payload["state"]))


def number(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Number = entity.config  # type: ignore[assignment]
    if not text:
        return UNCHANGED
    if text == config.payload_reset:
        return None
    value = _number(text)
    if not config.min <= value <= config.max:
        raise UnreadableError(f"expected a number from {config.min:g} to {config.max:g}")
    return value


def select(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Select = entity.config  # type: ignore[assignment]
    return _looked_up({option: option for option in config.options}, text)


def text_field(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Text = entity.config  # type: ignore[assignment]
    if not config.min <= len(text) <= config.max:
        raise UnreadableError(f"expected {config.min} to {config.max} characters")
    return text


def cover(entity: Entity, text: str) -> "Value | _Unchanged":
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
    return _looked_up(words, text)


def cover_position(entity: Entity, text: str) -> "Value | _Unchanged":
    """Percent open, whatever range the device uses. It sets the state if there is no state topic."""
    config: Cover = entity.config  # type: ignore[assignment]
    if not text:
        return UNCHANGED
    whole = config.position_open - config.position_closed
    part = (_number(text) - config.position_closed) / whole if whole else 0
    entity.attributes["position"] = round(100 * min(1.0, max(0.0, part)))
    if config.state_topic is not None:
        return UNCHANGED
    return "closed" if entity.attributes["position"] == 0 else "open"


def event(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Event = entity.config  # type: ignore[assignment]
    if not text or text in (UNKNOWN, "{}"):
        return UNCHANGED
    payload = _object(text)
    kind = payload.pop("event_type", None)
    if kind not in config.event_types:
        raise UnreadableError(f"event_type: expected one of {', '.join(config.event_types)}")
    entity.attributes = payload
    return str(kind)


def trigger(entity: Entity, text: str) -> "Value | _Unchanged":
    config: Trigger = entity.config  # type: ignore[assignment]
    if config.payload is not None and text != config.payload:
        return UNCHANGED
    return f"{config.type} {config.subtype}".strip()


def tag(_entity: Entity, text: str) -> "Value | _Unchanged":
    """A tag may identify its holder: the registry passes it to watchers and stores it nowhere."""
    return text[:MAX_STATE_LENGTH] or UNCHANGED


def update(entity: Entity, text: str) -> "Value | _Unchanged":
    """Plain text is the installed version; or JSON. The state is on if there is a newer version."""
    if not text:
        return UNCHANGED
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError:
        decoded = text
    payload: dict[str, Any] = decoded if isinstance(decoded, dict) else {"installed_version": text}
    known = ("installed_version", "latest_version", "title", "release_summary", "release_url", "in_progress")
    entity.attributes |= {key: payload[key] for key in known if key in payload}
    return _is_newer(entity)


def latest_version(entity: Entity, text: str) -> "Value | _Unchanged":
    if not text:
        return UNCHANGED
    entity.attributes["latest_version"] = text
    return _is_newer(entity)


def _is_newer(entity: Entity) -> Value:
    installed, latest = (entity.attributes.get(f"{which}_version") for which in ("installed", "latest"))
    if installed is None or latest is None:
        return None
    return "on" if str(installed) != str(latest) else "off"


def image_of(config: Image, raw: bytes) -> bytes:
    """The decoded picture. Raises UnreadableError."""
    if config.image_encoding == "b64":
        try:
            raw = b64decode(raw, validate=True)
        except Base64Error:
            raise UnreadableError("expected Base64") from None
    if len(raw) > MAX_IMAGE_BYTES:
        raise UnreadableError(f"expected at most {MAX_IMAGE_BYTES} bytes")
    return raw


def image_url(_entity: Entity, text: str) -> "Value | _Unchanged":
    if not text:
        return UNCHANGED
    if not text.startswith(("http://", "https://")):
        raise UnreadableError("expected an address that begins with http:// or https://")
    return text


def picture_hash(picture: bytes) -> str:
    """An image entity's value; it differs for each picture."""
    return hashlib.sha256(picture).hexdigest()[:16]


READERS: dict[str, Reader] = {
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
"""By component; for its main topic."""


def attributes_of(text: str) -> dict[str, Any]:
    if len(text) > MAX_ATTRIBUTES_LENGTH:
        raise UnreadableError(f"expected at most {MAX_ATTRIBUTES_LENGTH} characters")
    return _object(text)


def main_topic(component: str, config: Common) -> tuple[str | None, str | None]:
    """The component's state topic, and its template."""
    if component in ("device_automation", "tag"):
        return config.topic, config.value_template  # type: ignore[attr-defined]
    if component == "siren":
        return config.state_topic, config.state_value_template or config.value_template  # type: ignore[attr-defined]
    return getattr(config, "state_topic", None), getattr(config, "value_template", None)


def _looked_up(words: "dict[str, Any]", text: str) -> "Value | _Unchanged":
    if text in words:
        value: Value = words[text]
        return value
    if not text:
        return UNCHANGED
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
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnreadableError("expected JSON") from None
    if not isinstance(value, dict):
        raise UnreadableError("expected a JSON object")
    return value
