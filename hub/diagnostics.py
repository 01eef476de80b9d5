"""What whoever helps from afar needs to know of a device: no name, no secret, nothing about a person."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.devices import Device

if TYPE_CHECKING:
    from hub.hub import Hub


async def diagnostics_of(hub: "Hub", device: Device) -> dict[str, Any]:
    """With times as datetimes."""
    vitals, absences = hub.devices.vitals(device.id), await hub.devices.absences.of(device.id)
    branch = hub.mqtt.branch(device)
    return {
        "made_at": datetime.now(UTC),
        "device": device.id,
        "kind": device.kind,
        "enrolled_at": device.enrolled_at,
        "first_heard_at": device.first_heard_at,
        "is_alive": vitals.is_alive,
        "last_heard_at": vitals.heard_time,
        "said_goodbye": vitals.said_goodbye,
        "heartbeat": vitals.heartbeat.model_dump(mode="json") if vitals.heartbeat else None,
        "clock_offset_seconds": vitals.clock_offset_seconds,
        "messages_refused": vitals.refused,
        "last_refusal": vitals.last_refusal,
        "account": {
            "broker_knows_it": device.id not in hub.admission.unknown,
            "writes": f"{branch}/up/#",
            "reads": f"{branch}/down/#",
        },
        "absences": [vars(one) for one in absences[0]],
        "absences_in_all": absences[1],
        "hub": {part: problem or "ok" for part, problem in hub.problems().items()} | hub.remarks(),
    }
