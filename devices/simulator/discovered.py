"""Devices of other makers in Home Assistant's discovery format: the base of all networks, and ESPHome.

Each ESPHome node has a connection of its own, with the device form and a plain topic for each entity.
"""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

from devices.simulator.connection import Connection, Login
from devices.simulator.habits import Habits

UPDATE_SECONDS = 60.0
READ_SECONDS = 1.0
"""From the announcements to the first states, so that readers can subscribe first."""
NODE_SENSORS = 10


class Network:
    """One connection, announcements after each connect, and periodic states."""

    def __init__(self, login: Login, prefix: str, count: int, seed: int, habits: Habits) -> None:
        self.prefix = prefix
        self.count = count
        self.habits = habits
        self.random = Random(f"{seed}/{login.account}")  # noqa: S311 (weather and people, no secrets)
        self.updates = 0
        self._started = False
        self.connection = Connection(
            login, f"{prefix}/+/set", (self.availability, b"offline"), self._ready, self.on_command, self.random
        )

    @property
    def availability(self) -> str:
        raise NotImplementedError

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        raise NotImplementedError

    def update(self, number: int) -> None:
        """Publish the state of device `number`."""
        raise NotImplementedError

    def on_command(self, topic: str, payload: bytes, retained: bool) -> None:
        """Handle a command to a device."""

    def start(self, within_seconds: float) -> None:
        self.connection.open(self.random.uniform(0, within_seconds))

    def stop(self) -> None:
        self.connection.cut()

    def publish(self, topic: str, payload: bytes | dict[str, Any], *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.updates += self.connection.publish(topic, data, qos=0, retain=retain)

    def _ready(self) -> None:
        for topic, announcement in self.announcements():
            self.connection.publish(topic, json.dumps(announcement).encode(), retain=True)
        self.connection.publish(self.availability, b"online", retain=True)
        self.later(READ_SECONDS, self._update_all)
        if not self._started:
            self._started = True
            for number in range(self.count):
                self._again(number)

    def _update_all(self) -> None:
        for number in range(self.count):
            self.update(number)

    def _again(self, number: int) -> None:
        def again() -> None:
            self.update(number)
            self._again(number)

        seconds = UPDATE_SECONDS * self.random.uniform(0.3, 1.7) / self.habits.pace
        self.later(seconds, again)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, work)


class EspHome(Network):
    """One node: temperatures, a button that restarts it, all in one announcement of the device form."""

    @property
    def availability(self) -> str:
        return f"{self.prefix}/status"

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        components: dict[str, Any] = {
            f"{self.prefix}_t{number}": {
                "p": "sensor",
                "name": f"Temperature {number}",
                "uniq_id": f"{self.prefix}_t{number}",
                "stat_t": f"{self.prefix}/sensor/t{number}/state",
                "dev_cla": "temperature",
                "unit_of_meas": "°C",
                "stat_cla": "measurement",
            }
            for number in range(self.count)
        }
        components[f"{self.prefix}_restart"] = {
            "p": "button",
            "name": "Restart",
            "uniq_id": f"{self.prefix}_restart",
            "cmd_t": f"{self.prefix}/restart/set",
            "dev_cla": "restart",
        }
        device = {"ids": [self.prefix], "name": self.prefix, "mf": "Espressif", "mdl": "esp32dev", "sw": "2024.11.3"}
        origin = {"name": "ESPHome", "sw": "2024.11.3"}
        whole = {"dev": device, "o": origin, "avty_t": self.availability, "cmps": components}
        return [(f"homeassistant/device/{self.prefix}/config", whole)]

    def update(self, number: int) -> None:
        value = f"{20 + self.random.gauss(0, 1.5):.1f}"
        self.publish(f"{self.prefix}/sensor/t{number}/state", value.encode(), retain=True)

    def on_command(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic.endswith("/restart/set") and not retained and payload == b"PRESS":
            self.connection.cut()
            self.later(self.random.uniform(2, 5), self.connection.open)
