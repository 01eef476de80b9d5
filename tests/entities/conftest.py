"""Found devices: what they say goes through the real broker, as everything else."""

import json
from typing import Any

from hub.hub import Hub


def say(hub: Hub, topic: str, payload: Any, *, retain: bool = True) -> None:
    """As a device would. Text and bytes as they are, all else as JSON."""
    raw = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    assert hub.mqtt.wire is not None
    assert hub.mqtt.wire.publish(topic, raw.encode() if isinstance(raw, str) else raw, retain=retain)


def announce(hub: Hub, component: str, unique_id: str, **config: Any) -> str:
    """One component; the entity's id."""
    say(hub, f"homeassistant/{component}/{unique_id}/config", {"unique_id": unique_id} | config)
    return f"{component}.{unique_id}"
