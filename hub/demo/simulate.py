"""Creates accounts for a simulated fleet, and the plan that `python -m devices.simulator` reads.

Accounts are reused by the next run: `data/simulator/plan.json` has their secrets, and is readable by its owner only.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from devices.contract.enrolment import Enrolment
from devices.contract.payload import Id
from hub.broker.mosquitto import broker_connection
from hub.configuration.settings import Section, read_section
from hub.configuration.shipped import shipped
from hub.devices.registry import NewDevice, Place

if TYPE_CHECKING:
    from hub.hub import Hub

ACTOR = "command line"
FLOORS = ("Kjellar", "1. etasje", "2. etasje", "3. etasje", "4. etasje")
BUILDINGS = ("Rådhuset", "Helsehuset", "Biblioteket", "Skulen", "Kulturhuset")
NODE_SENSORS = 10


class SimulationError(Exception):
    """The hub cannot have such a fleet; the text says why."""


class SimulatedKind(Section):
    name: str
    count: int = Field(ge=0, description="where nobody says how many")


class FleetFile(Section):
    """`fleet.yaml`: the kinds of device that `devices.simulator` can simulate."""

    kinds: dict[Id, SimulatedKind]


def usual_counts(hub: "Hub") -> dict[str, int]:
    """The default number of each kind that a plugin of this hub drives."""
    return {kind: one.count for kind, one in _simulated().items() if kind in hub.enroller.kinds()}


async def make_plan(hub: "Hub", counts: Mapping[str, int], sensors: int = 0) -> Path:
    """Enrol missing devices, `sim-…`, and write the plan. Raises SimulationError, or OSError.

    `counts`: the number by kind. Half of the sensors are behind a Zigbee2MQTT, half in ESPHome nodes.
    """
    for kind in counts:
        if kind not in _simulated():
            raise SimulationError(f"nobody can play {kind}; there are {', '.join(_simulated())}")
        if kind not in hub.enroller.kinds():
            raise SimulationError(f"no plugin of this hub drives the kind {kind}")
    way = broker_connection(hub.settings.broker, None)
    if way.get("ca_file"):
        raise SimulationError("the simulated fleet speaks plain MQTT, and this broker has TLS")
    path = hub.settings.data / "simulator" / "plan.json"
    known = json.loads(path.read_text()) if path.exists() else {"devices": [], "gateways": []}
    devices = await _devices(hub, counts, {one["device"]: one for one in known["devices"]})
    gateways = await _gateways(hub, sensors, {one["account"]: one for one in known["gateways"]})
    where = {"host": way["host"], "port": way["port"]}
    plan = {"devices": [one | where for one in devices], "gateways": [one | where for one in gateways]}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(plan, file)
    return path


async def _devices(hub: "Hub", counts: Mapping[str, int], known: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = [
        NewDevice(f"sim-{kind}-{number}", kind, f"{_simulated()[kind].name} {number}", _place(number))
        for kind, count in counts.items()
        for number in range(1, count + 1)
    ]
    missing = [one for one in wanted if one.id not in known or hub.devices.get(one.id) is None]
    fresh = await hub.enroller.enrol_many(missing, ACTOR) if missing else []
    known |= {one.device: _as_json(one) for one in fresh}
    return [known[one.id] for one in wanted]


async def _gateways(hub: "Hub", sensors: int, known: dict[str, Any]) -> list[dict[str, Any]]:
    zigbee = sensors // 2
    nodes = -(-(sensors - zigbee) // NODE_SENSORS)
    wanted = [("sim-zigbee2mqtt", "zigbee2mqtt-sim", zigbee)] if zigbee else []
    for number in range(nodes):
        remaining = sensors - zigbee - number * NODE_SENSORS
        wanted.append((f"sim-esp-{number + 1}", f"sim-esp-{number + 1}", min(NODE_SENSORS, remaining)))
    gateways = []
    for account, topic, count in wanted:
        one = known.get(account)
        if one is None or hub.gateways.get(account) is None:
            one = {"account": account, "secret": await hub.admission.add_gateway(account, [f"{topic}/#"], ACTOR)}
        gateways.append(one | {"topic": topic, "sensors": count})
    return gateways


@cache
def _simulated() -> dict[str, SimulatedKind]:
    return read_section(shipped("demo/fleet.yaml"), FleetFile).kinds


def _place(number: int) -> Place:
    return Place("", BUILDINGS[number % len(BUILDINGS)], FLOORS[number // len(BUILDINGS) % len(FLOORS)], "")


def _as_json(enrolment: Enrolment) -> dict[str, Any]:
    gateways: dict[str, Any] = json.loads(enrolment.encoded())
    return gateways
