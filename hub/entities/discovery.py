"""Parses an announcement's topic and payload into validated configurations.

Two forms (Home Assistant's documentation, "MQTT discovery"):

    <prefix>/<component>/[<node>/]<object>/config    one component
    <prefix>/device/[<node>/]<object>/config         a whole device, with its components in `components`
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from hub.entities import abbreviations
from hub.entities.configs import Common, ConfigError, checked
from hub.entities.templating.depth import MAX_LEVELS, is_too_deep

TOPIC = re.compile(r"(\w+)/(?:([A-Za-z0-9_-]+)/)?([A-Za-z0-9_-]+)/config")
MAX_ANNOUNCEMENT_BYTES = 65_536
MAX_COMPONENTS = 200
MAX_TEMPLATE_CHARACTERS = 16_384
"""In one announcement: templates are compiled on the event loop."""
SHARED = (
    "availability",
    "availability_topic",
    "availability_template",
    "availability_mode",
    "payload_available",
    "payload_not_available",
    "device",
    "origin",
    "command_topic",
    "state_topic",
    "qos",
    "encoding",
)
"""Keys that a device announcement gives once for all its components."""
REMOVAL_KEYS = {"platform"}
"""A component with no other keys has been removed."""


class DiscoveryError(ValueError):
    """An invalid announcement. The text names the topic, the key, and what was expected."""


@dataclass(frozen=True, slots=True)
class AnnouncedComponent:
    """One component of an announcement.

    `key` is "" in the single-component form; `config` is None if it was removed.
    """

    key: str
    component: str
    config: Common | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """The content of one topic. Components it no longer names have been removed.

    `migrates`: the components are about to be announced on another topic.
    """

    topic: str
    object_id: str
    components: tuple[AnnouncedComponent, ...] = ()
    errors: tuple[str, ...] = ()
    """What is wrong with components that were left out; the others are valid."""
    migrates: bool = False


def read(prefix: str, topic: str, raw: bytes) -> Announcement | None:
    """None if the topic is not an announcement topic. Raises DiscoveryError."""
    match = TOPIC.fullmatch(topic[len(prefix) + 1 :])
    if match is None:
        if topic.endswith("/config"):
            raise DiscoveryError(f"{topic}: expected {prefix}/<component>/[<node>/]<object>/config, of A-Z a-z 0-9 _ -")
        return None
    component, node, name = match.groups()
    object_id = f"{node}_{name}" if node else name
    if not raw:
        return Announcement(topic, object_id)
    payload = _decoded(topic, raw)
    if payload.get("migrate_discovery") is True:
        return Announcement(topic, object_id, migrates=True)
    if component == "device":
        components, errors = [], []
        for key, config in _components(topic, payload):
            try:
                components.append(_component(key, config))
            except ConfigError as error:
                errors.append(f"{topic}: components.{key}.{error}")
        return Announcement(topic, object_id, tuple(components), tuple(errors))
    try:
        return Announcement(topic, object_id, (AnnouncedComponent("", component, checked(component, payload)),))
    except ConfigError as error:
        raise DiscoveryError(f"{topic}: {error}") from None


def _component(key: str, config: dict[str, Any]) -> AnnouncedComponent:
    platform = config.get("platform")
    if not isinstance(platform, str):
        raise ConfigError("platform: expected the component's kind, such as sensor")
    if set(config) - set(SHARED) <= REMOVAL_KEYS:
        return AnnouncedComponent(key, platform, None)
    if config.get("unique_id") is None and platform not in ("device_automation", "tag"):
        raise ConfigError("unique_id: field required")
    return AnnouncedComponent(key, platform, checked(platform, config))


def _decoded(topic: str, raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_ANNOUNCEMENT_BYTES:
        raise DiscoveryError(f"{topic}: expected at most {MAX_ANNOUNCEMENT_BYTES} bytes (found {len(raw)})")
    try:
        payload = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DiscoveryError(f"{topic}: expected JSON: {error}") from None
    if not isinstance(payload, dict):
        raise DiscoveryError(f"{topic}: expected a JSON object (found {type(payload).__name__})")
    if is_too_deep(raw, payload):
        raise DiscoveryError(f"{topic}: expected at most {MAX_LEVELS} objects and lists in one another")
    payload = _with_long_names(payload)
    if _template_characters(payload) > MAX_TEMPLATE_CHARACTERS:
        raise DiscoveryError(f"{topic}: expected templates of at most {MAX_TEMPLATE_CHARACTERS} characters in all")
    base = payload.pop("~", None)
    if base is not None:
        if not isinstance(base, str):
            raise DiscoveryError(f"{topic}: ~: expected a text (found {type(base).__name__})")
        _fill_in_base(payload, base)
    return payload


def _template_characters(payload: dict[str, Any]) -> int:
    own = {value for key, value in payload.items() if key.endswith("template") and isinstance(value, str)}
    components = payload.get("components")
    inner = (
        [config for config in components.values() if isinstance(config, dict)] if isinstance(components, dict) else []
    )
    return sum(map(len, own)) + sum(map(_template_characters, inner))


def _with_long_names(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with abbreviated keys expanded, at every level."""
    names = abbreviations.CONFIG
    payload = {names.get(key, key): value for key, value in payload.items()}
    for part, short in (("device", abbreviations.DEVICE), ("origin", abbreviations.ORIGIN)):
        if isinstance(inner := payload.get(part), dict):
            payload[part] = {short.get(key, key): value for key, value in inner.items()}
    sources = payload.get("availability")
    if sources is not None:
        listed = sources if isinstance(sources, list) else [sources]
        payload["availability"] = [
            {names.get(key, key): value for key, value in source.items()} if isinstance(source, dict) else source
            for source in listed
        ]
    if isinstance(components := payload.get("components"), dict):
        payload["components"] = {
            key: _with_long_names(config) if isinstance(config, dict) else config for key, config in components.items()
        }
    return payload


def _fill_in_base(payload: dict[str, Any], base: str) -> None:
    """Replace `~` at the beginning or end of topics by the base topic, in place."""
    for key, value in payload.items():
        if key.endswith("topic") and isinstance(value, str):
            payload[key] = _with_base(value, base)
    for source in payload.get("availability") or ():
        if isinstance(source, dict) and isinstance(source.get("topic"), str):
            source["topic"] = _with_base(source["topic"], base)
    components = payload.get("components")
    for config in components.values() if isinstance(components, dict) else ():
        if isinstance(config, dict):
            _fill_in_base(config, str(config.pop("~", base)))


def _with_base(value: str, base: str) -> str:
    if value.startswith("~"):
        return base + value[1:]
    return value[:-1] + base if value.endswith("~") else value


def _components(topic: str, payload: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in ("device", "origin", "components"):
        if not isinstance(payload.get(key), dict):
            actual = "nothing" if key not in payload else type(payload[key]).__name__
            raise DiscoveryError(f"{topic}: {key}: expected an object (found {actual})")
    if len(payload["components"]) > MAX_COMPONENTS:
        raise DiscoveryError(f"{topic}: components: expected at most {MAX_COMPONENTS}")
    shared = {key: payload[key] for key in SHARED if key in payload}
    for key, config in payload["components"].items():
        if not isinstance(config, dict):
            raise DiscoveryError(f"{topic}: components.{key}: expected an object (found {type(config).__name__})")
        yield key, shared | config | {"device": payload["device"], "origin": payload["origin"]}
