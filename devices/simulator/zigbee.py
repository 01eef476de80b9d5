"""A Zigbee2MQTT: one connection for a whole network, the form of one component, one JSON state for each device."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from devices.contract.payload import Payload
from devices.simulator.connection import Login
from devices.simulator.discovered import Network
from devices.simulator.habits import Habits

Z2M = "zigbee2mqtt"
LOW_BATTERY = 3000
MILD_CELSIUS = 21.0

What = Literal["contact", "climate", "button", "lock", "motion"]
IN_TURN: tuple[What, ...] = ("contact", "climate", "button", "lock")
MODELS: dict[What, str] = {
    "contact": "MCCGQ11LM",
    "climate": "WSDCGQ11LM",
    "button": "WXKG11LM",
    "lock": "YMF40",
    "motion": "RTCGQ11LM",
}
BATTERY = {
    "device_class": "battery",
    "unit_of_measurement": "%",
    "entity_category": "diagnostic",
    "value_template": "{{ value_json.battery }}",
}


class Thing(Payload):
    """One device behind a Zigbee2MQTT."""

    what: What
    name: str = Field(pattern="^[^/+#]+$", description="part of its topics")
    area: str = ""


def things(count: int) -> list[Thing]:
    """Each kind in turn, with names that are numbers."""
    return [Thing(what=IN_TURN[number % len(IN_TURN)], name=f"sim-zigbee-{number}") for number in range(count)]


class Zigbee(Network):
    def __init__(self, login: Login, prefix: str, behind: Sequence[Thing], seed: int, habits: Habits) -> None:
        super().__init__(login, prefix, len(behind), seed, habits)
        self._things = behind
        self._locked = dict.fromkeys((thing.name for thing in behind if thing.what == "lock"), True)
        self._battery = [self.random.uniform(20, 100) for _ in behind]
        self._celsius = [self.random.gauss(MILD_CELSIUS, 1.0) for _ in behind]

    @property
    def availability(self) -> str:
        return f"{self.prefix}/bridge/state"

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            announcement
            for number, thing in enumerate(self._things)
            for announcement in self._announcement(number, thing)
        ]

    def _announcement(self, number: int, thing: Thing) -> list[tuple[str, dict[str, Any]]]:
        address = f"0x00158d{number:010x}"
        device = {
            "identifiers": [f"{self.prefix}_{address}"],
            "manufacturer": "Simulert",
            "model": MODELS[thing.what],
            "name": thing.name,
        }
        shared: dict[str, Any] = {
            "availability": [{"topic": self.availability}],
            "device": device | ({"suggested_area": thing.area} if thing.area else {}),
            "origin": {"name": "Zigbee2MQTT", "sw": "1.40.1", "url": "https://www.zigbee2mqtt.io"},
            "state_topic": f"{self.prefix}/{thing.name}",
        }

        def entity(component: str, key: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
            own = {"unique_id": f"{address}_{key}_{self.prefix}"}
            return f"homeassistant/{component}/{address}-{self.prefix}/{key}/config", own | shared | config

        return [entity(*self._main(thing)), entity("sensor", "battery", BATTERY)]

    def _main(self, thing: Thing) -> tuple[str, str, dict[str, Any]]:
        """What it is there for: component, key and configuration. A device class is name enough."""
        topic = f"{self.prefix}/{thing.name}"
        match thing.what:
            case "contact":
                meaning = {"device_class": "door", "payload_on": False, "payload_off": True}
                return "binary_sensor", "contact", meaning | {"value_template": "{{ value_json.contact }}"}
            case "motion":
                meaning = {"device_class": "occupancy", "payload_on": True, "payload_off": False}
                return "binary_sensor", "occupancy", meaning | {"value_template": "{{ value_json.occupancy }}"}
            case "climate":
                unit = {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}
                return "sensor", "temperature", unit | {"value_template": "{{ value_json.temperature }}"}
            case "button":
                event = {"name": "Action", "event_types": ["single", "double", "hold"], "state_topic": f"{topic}/press"}
                template = '{{ {"event_type": value_json.action} | to_json }}'
                return "event", "action", event | {"value_template": template}
            case "lock":
                order = {"command_topic": f"{topic}/set", "payload_lock": "LOCK", "payload_unlock": "UNLOCK"}
                words = {"name": None, "state_locked": "LOCK", "state_unlocked": "UNLOCK"}
                return "lock", "lock", order | words | {"value_template": "{{ value_json.state }}"}

    def update(self, number: int) -> None:
        thing = self._things[number]
        self._battery[number] = max(1.0, self._battery[number] - self.random.random() * self.habits.pace / LOW_BATTERY)
        state: dict[str, Any] = {
            "battery": round(self._battery[number]),
            "linkquality": self.random.randint(40, 255),
        }
        match thing.what:
            case "contact":
                state["contact"] = self.random.random() < 0.7  # noqa: PLR2004 (doors are mostly closed)
            case "motion":
                state["occupancy"] = self.random.random() < 0.4  # noqa: PLR2004 (people come and go)
            case "climate":
                drift = 0.1 * (MILD_CELSIUS - self._celsius[number])
                self._celsius[number] += drift + self.random.gauss(0, 0.2)
                state["temperature"] = round(self._celsius[number], 1)
            case "button":
                if self.connection.is_ready and self.random.random() < 0.3:  # noqa: PLR2004 (a button is pressed seldom)
                    action = self.random.choice(("single", "double", "hold"))
                    self.publish(f"{self.prefix}/{thing.name}/press", {"action": action})
            case "lock":
                state["state"] = "LOCK" if self._locked[thing.name] else "UNLOCK"
        self.publish(f"{self.prefix}/{thing.name}", state)

    def on_command(self, topic: str, payload: bytes, retained: bool) -> None:
        name = topic.removeprefix(f"{self.prefix}/").removesuffix("/set")
        if name in self._locked and not retained and payload in (b"LOCK", b"UNLOCK"):
            self._locked[name] = payload == b"LOCK"
            self.update(next(number for number, thing in enumerate(self._things) if thing.name == name))
