"""The AsyncAPI 3 document of all MQTT messages, made from the channels that contract modules and plugins declare.

Written from the hub's side: it receives what stands below `up` and sends what stands below `down`.
"""

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from devices.contract.channels import Channel
from devices.contract.payload import MAX_PAYLOAD_BYTES, Payload
from hub.configuration.settings import ExternalBroker, HubSettings

VERSION = "3.0.0"
BINDING = {"bindingVersion": "0.2.0"}
DISCOVERY_CONFIGURATION = "discovery.config"


def asyncapi(
    settings: HubSettings, channels: Iterable[Channel], kinds: Iterable[str], *, version: str
) -> dict[str, Any]:
    """The whole document. `kinds` are the kinds of device that some plugin drives."""
    ordered = sorted(channels, key=_name)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Kommunevert: messages between the hub and its devices",
            "version": version,
            "description": (
                "JSON in UTF-8 over MQTT 5. Unknown fields are ignored; what the hub sends has at most "
                f"{MAX_PAYLOAD_BYTES} bytes. docs/mqtt.md tells the same in words, with the rules for receipts "
                "and retained messages."
            ),
            "license": {"name": "EUPL-1.2", "url": "https://eupl.eu/1.2/en/"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(settings),
        "channels": {_name(channel): _channel(channel, settings, sorted(kinds)) for channel in ordered}
        | _discovery_channels(),
        "operations": {_name(channel): _operation(channel) for channel in ordered} | _discovery_operations(),
        "components": {
            "messages": {_name(channel): _message(channel) for channel in ordered}
            | {DISCOVERY_CONFIGURATION: _discovery_message()},
            "schemas": _schemas(ordered),
        },
    }


def _name(channel: Channel) -> str:
    return f"{channel.kind or 'device'}.{channel.direction}.{channel.what.replace('/', '.')}"


def _servers(settings: HubSettings) -> dict[str, Any]:
    broker = settings.broker
    host = broker.host if isinstance(broker, ExternalBroker) else "localhost"
    browsers = settings.web.address.split("://", 1)
    return {
        "broker": {
            "host": f"{host}:{broker.port}",
            "protocol": "mqtt",
            "protocolVersion": "5.0",
            "description": "For programs. The user name is the device's id, and the client id is the user name.",
        },
        "browsers": {
            "host": browsers[1],
            "pathname": "/mqtt",
            "protocol": "wss" if browsers[0] == "https" else "ws",
            "protocolVersion": "5.0",
            "description": "The same broker for devices that are browsers, through the hub's web port.",
        },
    }


def _channel(channel: Channel, settings: HubSettings, kinds: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "root": {"description": "the hub's setting `root`", "default": settings.root},
        "site": {"description": "the hub's setting `site.id`"},
        "device": {"description": "the device's id, as it was enrolled"},
    }
    if channel.kind is None:
        parameters["kind"] = {"description": "the device's kind", "enum": kinds} if kinds else {}
    return {
        "address": f"{{root}}/{{site}}/{channel.kind or '{kind}'}/{{device}}/{channel.direction}/{channel.what}",
        "description": channel.summary,
        "parameters": parameters,
        "messages": {_name(channel): {"$ref": f"#/components/messages/{_name(channel)}"}},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    name = _name(channel)
    mqtt: dict[str, Any] = {"qos": channel.qos, "retain": channel.retained, **BINDING}
    if channel.expiry_seconds is not None:
        mqtt["messageExpiryInterval"] = channel.expiry_seconds
    return {
        "action": "receive" if channel.direction == "up" else "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": channel.summary,
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "bindings": {"mqtt": mqtt},
    }


def _message(channel: Channel) -> dict[str, Any]:
    """A signed envelope says what its `content` holds: draft 7 has words for its coding, none for its model."""
    payload: dict[str, Any] = {"$ref": f"#/components/schemas/{channel.model.__name__}"}
    title = channel.model.__name__
    if channel.carries is not None:
        title = f"{title}({channel.carries.__name__})"
        content = {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": "application/json",
            "x-content-schema": {"$ref": f"#/components/schemas/{channel.carries.__name__}"},
        }
        payload = {"allOf": [payload], "type": "object", "properties": {"content": content}}
    return {"name": _name(channel), "title": title, "contentType": "application/json", "payload": payload}


def _schemas(channels: list[Channel]) -> dict[str, Any]:
    """As each side may send them: what has a default may be left out. Raises ValueError for two models of one name."""
    models: dict[type[Payload], None] = {}
    for channel in channels:
        models |= dict.fromkeys([channel.model, *([channel.carries] if channel.carries else [])])
    names = [model.__name__ for model in models]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two messages have the same name: {', '.join(sorted(doubled))}")
    _, whole = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    return {name: older_tuples(model) for name, model in sorted(whole.get("$defs", {}).items())}


def older_tuples(node: Any) -> Any:
    """`prefixItems` in the words of JSON Schema draft 7, which AsyncAPI 3 speaks: an `items` list."""
    if isinstance(node, list):
        return [older_tuples(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: older_tuples(value) for key, value in node.items()}
    if "prefixItems" in changed:
        changed["items"] = changed.pop("prefixItems")
        changed["additionalItems"] = False
    return changed


# -- Home Assistant's discovery, by which devices that are not ours announce themselves

_FORMS = {
    "single": ("homeassistant/{component}/{object}/config", "one entity"),
    "node": ("homeassistant/{component}/{node}/{object}/config", "one entity of a node"),
    "device": ("homeassistant/device/{object}/config", "a device with all its entities under `components`"),
}
_PARAMETERS = {
    "component": "`lock`, `sensor`, `binary_sensor`, `switch` …",
    "node": "what the entities of one gateway or device have in common",
    "object": "the entity's id, or the device's in the device form",
}


def _discovery_channels() -> dict[str, Any]:
    message = {DISCOVERY_CONFIGURATION: {"$ref": f"#/components/messages/{DISCOVERY_CONFIGURATION}"}}
    return {
        f"discovery.{form}": {
            "address": address,
            "description": f"Home Assistant's MQTT discovery: {what}. Retained; an empty payload takes it away.",
            "parameters": {
                name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in address
            },
            "messages": message,
        }
        for form, (address, what) in _FORMS.items()
    }


def _discovery_operations() -> dict[str, Any]:
    return {
        f"discovery.{form}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/discovery.{form}"},
            "summary": f"a device that is not ours announces {what}",
            "messages": [{"$ref": f"#/channels/discovery.{form}/messages/{DISCOVERY_CONFIGURATION}"}],
            "bindings": {"mqtt": {"qos": 1, "retain": True, **BINDING}},
        }
        for form, (_, what) in _FORMS.items()
    }


def _discovery_message() -> dict[str, Any]:
    return {
        "name": DISCOVERY_CONFIGURATION,
        "title": "Home Assistant discovery configuration",
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "description": (
                "Home Assistant's format, with its abbreviations and `~`; the keys depend on the component. "
                "https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery"
            ),
            "properties": {
                "unique_id": {"type": "string"},
                "name": {"type": ["string", "null"]},
                "state_topic": {"type": "string"},
                "command_topic": {"type": "string"},
                "availability_topic": {"type": "string"},
                "value_template": {"type": "string", "description": "Jinja2"},
                "device": {"type": "object"},
                "origin": {"type": "object"},
                "components": {"type": "object", "additionalProperties": {"type": "object"}},
            },
        },
    }
