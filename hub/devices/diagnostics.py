"""Diagnostics of a device for remote support: no name, no secret, no personal data."""

from datetime import UTC, datetime
from typing import Any

from hub.devices.admission import Admission
from hub.devices.mqtt import Mqtt
from hub.devices.registry import Device, Devices
from hub.work.parts import Condition


class Diagnostics:
    def __init__(self, devices: Devices, mqtt: Mqtt, admission: Admission, condition: Condition) -> None:
        self._devices = devices
        self._mqtt = mqtt
        self._admission = admission
        self._condition = condition

    async def of(self, device: Device) -> dict[str, Any]:
        """JSON-like, with times as datetimes."""
        vitals, (absences, absences_in_all) = (
            self._devices.vitals(device.id),
            await self._devices.absences.of(device.id),
        )
        branch = self._mqtt.branch(device)
        return {
            "made_at": datetime.now(UTC),
            "device": device.id,
            "kind": device.kind,
            "enrolled_at": device.enrolled_at,
            "first_heard_at": device.first_seen_at,
            "is_alive": vitals.is_alive,
            "last_heard_at": vitals.last_seen_at,
            "said_goodbye": vitals.is_known_offline,
            "heartbeat": vitals.heartbeat.model_dump(mode="json") if vitals.heartbeat else None,
            "clock_offset_seconds": vitals.clock_offset_seconds,
            "messages_refused": vitals.refused,
            "last_refusal": vitals.last_refusal,
            "account": {
                "broker_knows_it": device.id not in self._admission.missing_accounts,
                "writes": f"{branch}/up/#",
                "reads": f"{branch}/down/#",
            },
            "absences": [vars(one) for one in absences],
            "absences_in_all": absences_in_all,
            "hub": self._condition.in_words(),
        }
