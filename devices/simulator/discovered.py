"""Devices that are not ours, as Zigbee2MQTT and ESPHome announce them in Home Assistant's discovery format.

One connection is a whole Zigbee network or one ESPHome node, as it is in the field: Zigbee2MQTT with the form of one
component and one JSON state for each device, ESPHome with the device form and a plain topic for each entity.
"""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

from devices.simulator.connection import Connection, Login
from devices.simulator.habits import Habits

Z2M = "zigbee2mqtt"
UPDATE_SECONDS = 60.0
NODE_SENSORS = 10
LOW_BATTERY = 3000


class Network:
    """What both have in common: one connection, announcements at each connection, states at their own pace."""

    def __init__(self, login: Login, prefix: str, count: int, seed: int, habits: Habits) -> None:
        self.prefix = prefix
        self.count = count
        self.habits = habits
        self.random = Random(f"{seed}/{login.account}")  # noqa: S311 (weather and people, no secrets)
        self.updates = 0
        self._started = False
        self.connection = Connection(
            login, f"{prefix}/+/set", (self.availability, b"offline"), self._ready, self.asked, self.random
        )

    @property
    def availability(self) -> str:
        raise NotImplementedError

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        raise NotImplementedError

    def update(self, number: int) -> None:
        """Say how number `number` is."""
        raise NotImplementedError

    def asked(self, topic: str, payload: bytes, retained: bool) -> None:
        """Somebody wants something of a device."""

    def start(self, within_seconds: float) -> None:
        self.connection.open(self.random.uniform(0, within_seconds))

    def stop(self) -> None:
        self.connection.cut()

    def say(self, topic: str, payload: bytes | dict[str, Any], *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.updates += self.connection.publish(topic, data, qos=0, retain=retain)

    def _ready(self) -> None:
        for topic, announcement in self.announcements():
            self.connection.publish(topic, json.dumps(announcement).encode(), retain=True)
        self.connection.publish(self.availability, b"online", retain=True)
        for number in range(self.count):
            self.update(number)
        if not self._started:
            self._started = True
            for number in range(self.count):
                self._again(number)

    def _again(self, number: int) -> None:
        def again() -> None:
            self.update(number)
            self._again(number)

        seconds = UPDATE_SECONDS * self.random.uniform(0.3, 1.7) / self.habits.pace
        self.later(seconds, again)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, work)


class Zigbee(Network):
    """A Zigbee2MQTT with door contacts, climate sensors, buttons and locks, in turn."""

    def __init__(self, login: Login, prefix: str, count: int, seed: int, habits: Habits) -> None:
        super().__init__(login, prefix, count, seed, habits)
        self._locked = dict.fromkeys(range(count), True)
        self._battery = {number: self.random.uniform(20, 100) for number in range(count)}

    @property
    def availability(self) -> str:
        return f"{self.prefix}/bridge/state"

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        return [one for number in range(self.count) for one in self._announcement(number)]

    def _announcement(self, number: int) -> list[tuple[str, dict[str, Any]]]:
        address, name = f"0x00158d{number:010x}", self._name(number)
        what = ("contact", "climate", "button", "lock")[number % 4]
        shared: dict[str, Any] = {
            "availability": [{"topic": self.availability}],
            "device": {
                "identifiers": [f"{self.prefix}_{address}"],
                "manufacturer": "Simulert",
                "model": {"contact": "MCCGQ11LM", "climate": "WSDCGQ11LM", "button": "WXKG11LM", "lock": "YMF40"}[what],
                "name": name,
            },
            "origin": {"name": "Zigbee2MQTT", "sw": "1.40.1", "url": "https://www.zigbee2mqtt.io"},
        }

        def entity(component: str, key: str, **config: Any) -> tuple[str, dict[str, Any]]:
            own = {"unique_id": f"{address}_{key}_{self.prefix}", "state_topic": f"{self.prefix}/{name}"}
            return f"homeassistant/{component}/{address}-{self.prefix}/{key}/config", own | shared | config

        found = [
            entity(
                "sensor",
                "battery",
                name="Battery",
                device_class="battery",
                unit_of_measurement="%",
                value_template="{{ value_json.battery }}",
            )
        ]
        if what == "contact":
            found += [
                entity(
                    "binary_sensor",
                    "contact",
                    name="Contact",
                    device_class="door",
                    payload_on=False,
                    payload_off=True,
                    value_template="{{ value_json.contact }}",
                )
            ]
        elif what == "climate":
            found += [
                entity(
                    "sensor",
                    "temperature",
                    name="Temperature",
                    device_class="temperature",
                    unit_of_measurement="°C",
                    value_template="{{ value_json.temperature }}",
                )
            ]
        elif what == "button":
            found += [
                entity(
                    "event",
                    "action",
                    name="Action",
                    event_types=["single", "double", "hold"],
                    value_template='{{ {"event_type": value_json.action} | to_json }}',
                    state_topic=f"{self.prefix}/{name}/press",
                )
            ]
        else:
            found += [
                entity(
                    "lock",
                    "lock",
                    name=None,
                    command_topic=f"{self.prefix}/{name}/set",
                    payload_lock="LOCK",
                    payload_unlock="UNLOCK",
                    state_locked="LOCK",
                    state_unlocked="UNLOCK",
                    value_template="{{ value_json.state }}",
                )
            ]
        return found

    def update(self, number: int) -> None:
        name = self._name(number)
        self._battery[number] = max(1.0, self._battery[number] - self.random.random() * self.habits.pace / LOW_BATTERY)
        state: dict[str, Any] = {
            "battery": round(self._battery[number]),
            "linkquality": self.random.randint(40, 255),
        }
        match number % 4:
            case 0:
                state["contact"] = self.random.random() < 0.7  # noqa: PLR2004 (doors are mostly closed)
            case 1:
                state["temperature"] = round(21 + self.random.gauss(0, 1.2), 1)
            case 2:
                if self.connection.is_ready and self.random.random() < 0.3:  # noqa: PLR2004 (a button is pressed seldom)
                    action = self.random.choice(("single", "double", "hold"))
                    self.say(f"{self.prefix}/{name}/press", {"action": action})
            case _:
                state["state"] = "LOCK" if self._locked[number] else "UNLOCK"
        self.say(f"{self.prefix}/{name}", state)

    def asked(self, topic: str, payload: bytes, retained: bool) -> None:
        name = topic.split("/")[1]
        number = int(name.rsplit("-", 1)[1])
        if number % 4 == 3 and not retained and payload in (b"LOCK", b"UNLOCK"):  # noqa: PLR2004 (the locks)
            self._locked[number] = payload == b"LOCK"
            self.update(number)

    def _name(self, number: int) -> str:
        return f"sim-zigbee-{number}"


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
        self.say(f"{self.prefix}/sensor/t{number}/state", value.encode(), retain=True)

    def asked(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic.endswith("/restart/set") and not retained and payload == b"PRESS":
            self.connection.cut()
            self.later(self.random.uniform(2, 5), self.connection.open)
