"""From an announcement's topic and payload to checked configurations.

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
from hub.entities.templating.depth import MOST_LEVELS, is_too_deep

TOPIC = re.compile(r"(\w+)/(?:([A-Za-z0-9_-]+)/)?([A-Za-z0-9_-]+)/config")
LARGEST_ANNOUNCEMENT = 65_536
MOST_COMPONENTS = 200
MOST_TEMPLATES = 16_384
"""Characters of templates in one announcement: they are compiled on the loop."""
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
"""What a device says once for all its components."""
REMOVED = {"platform"}
"""A component that says no more than this is gone."""


class DiscoveryError(ValueError):
    """An announcement that cannot be taken: which one, which key, what was expected."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One component of an announcement. `key` is "" in the form of one component; no `config`: it is gone."""

    key: str
    component: str
    config: Common | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one topic says. What it does not name any more is gone; `migrates`: it comes again by another topic."""

    topic: str
    object_id: str
    components: tuple[Announced, ...] = ()
    mistakes: tuple[str, ...] = ()
    """Components of a device that are wrong; the others are taken."""
    migrates: bool = False


def read(prefix: str, topic: str, raw: bytes) -> Announcement | None:
    """None: the topic is no announcement's. Raises DiscoveryError."""
    found = TOPIC.fullmatch(topic[len(prefix) + 1 :])
    if found is None:
        if topic.endswith("/config"):
            raise DiscoveryError(f"{topic}: expected {prefix}/<component>/[<node>/]<object>/config, of A-Z a-z 0-9 _ -")
        return None
    component, node, name = found.groups()
    object_id = f"{node}_{name}" if node else name
    if not raw:
        return Announcement(topic, object_id)
    said = _expanded(topic, raw)
    if said.get("migrate_discovery") is True:
        return Announcement(topic, object_id, migrates=True)
    if component == "device":
        components, mistakes = [], []
        for key, config in _components(topic, said):
            try:
                components.append(_announced(key, config))
            except ConfigError as error:
                mistakes.append(f"{topic}: components.{key}.{error}")
        return Announcement(topic, object_id, tuple(components), tuple(mistakes))
    try:
        return Announcement(topic, object_id, (Announced("", component, checked(component, said)),))
    except ConfigError as error:
        raise DiscoveryError(f"{topic}: {error}") from None


def _announced(key: str, config: dict[str, Any]) -> Announced:
    platform = config.get("platform")
    if not isinstance(platform, str):
        raise ConfigError("platform: expected the component's kind, such as sensor")
    if set(config) - set(SHARED) <= REMOVED:
        return Announced(key, platform, None)
    if config.get("unique_id") is None and platform not in ("device_automation", "tag"):
        raise ConfigError("unique_id: field required")
    return Announced(key, platform, checked(platform, config))


def _expanded(topic: str, raw: bytes) -> dict[str, Any]:
    if len(raw) > LARGEST_ANNOUNCEMENT:
        raise DiscoveryError(f"{topic}: expected at most {LARGEST_ANNOUNCEMENT} bytes (found {len(raw)})")
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DiscoveryError(f"{topic}: expected JSON: {error}") from None
    if not isinstance(said, dict):
        raise DiscoveryError(f"{topic}: expected a JSON object (found {type(said).__name__})")
    if is_too_deep(raw, said):
        raise DiscoveryError(f"{topic}: expected at most {MOST_LEVELS} objects and lists in one another")
    said = _long(said)
    if _template_characters(said) > MOST_TEMPLATES:
        raise DiscoveryError(f"{topic}: expected templates of at most {MOST_TEMPLATES} characters in all")
    base = said.pop("~", None)
    if base is not None:
        if not isinstance(base, str):
            raise DiscoveryError(f"{topic}: ~: expected a text (found {type(base).__name__})")
        _fill(said, base)
    return said


def _template_characters(said: dict[str, Any]) -> int:
    own = {value for key, value in said.items() if key.endswith("template") and isinstance(value, str)}
    components = said.get("components")
    inner = [one for one in components.values() if isinstance(one, dict)] if isinstance(components, dict) else []
    return sum(map(len, own)) + sum(map(_template_characters, inner))


def _long(said: dict[str, Any]) -> dict[str, Any]:
    """With long names, at every level that has names."""
    names = abbreviations.CONFIG
    said = {names.get(key, key): value for key, value in said.items()}
    for part, short in (("device", abbreviations.DEVICE), ("origin", abbreviations.ORIGIN)):
        if isinstance(inner := said.get(part), dict):
            said[part] = {short.get(key, key): value for key, value in inner.items()}
    sources = said.get("availability")
    if sources is not None:
        listed = sources if isinstance(sources, list) else [sources]
        said["availability"] = [
            {names.get(key, key): value for key, value in one.items()} if isinstance(one, dict) else one
            for one in listed
        ]
    if isinstance(components := said.get("components"), dict):
        said["components"] = {
            key: _long(config) if isinstance(config, dict) else config for key, config in components.items()
        }
    return said


def _fill(said: dict[str, Any], base: str) -> None:
    """`~` at the beginning or end of a topic is the base topic."""
    for key, value in said.items():
        if key.endswith("topic") and isinstance(value, str):
            said[key] = _filled(value, base)
    for source in said.get("availability") or ():
        if isinstance(source, dict) and isinstance(source.get("topic"), str):
            source["topic"] = _filled(source["topic"], base)
    components = said.get("components")
    for config in components.values() if isinstance(components, dict) else ():
        if isinstance(config, dict):
            _fill(config, str(config.pop("~", base)))


def _filled(value: str, base: str) -> str:
    if value.startswith("~"):
        return base + value[1:]
    return value[:-1] + base if value.endswith("~") else value


def _components(topic: str, said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in ("device", "origin", "components"):
        if not isinstance(said.get(key), dict):
            found = "nothing" if key not in said else type(said[key]).__name__
            raise DiscoveryError(f"{topic}: {key}: expected an object (found {found})")
    if len(said["components"]) > MOST_COMPONENTS:
        raise DiscoveryError(f"{topic}: components: expected at most {MOST_COMPONENTS}")
    shared = {key: said[key] for key in SHARED if key in said}
    for key, config in said["components"].items():
        if not isinstance(config, dict):
            raise DiscoveryError(f"{topic}: components.{key}: expected an object (found {type(config).__name__})")
        yield key, shared | config | {"device": said["device"], "origin": said["origin"]}
