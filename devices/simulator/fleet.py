"""A fleet: any number of kiosks, players, doors and discovered devices in one process, the same for the same seed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from devices.contract import door, kiosk, screen
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Id, Payload
from devices.simulator.connection import Login
from devices.simulator.device import Device
from devices.simulator.discovered import EspHome, Network
from devices.simulator.doors import Door
from devices.simulator.habits import Habits
from devices.simulator.kiosks import Kiosk, Player
from devices.simulator.zigbee import Z2M, Thing, Zigbee, things

START_SECONDS = 5.0
STARTS_PER_SECOND = 400.0


class GatewayLogin(Payload):
    """An account for devices of other makers, and how many sensors it has."""

    account: Id
    secret: str = Field(repr=False)
    host: str
    port: int
    topic: str = Field(description="the first part of its topics")
    sensors: int = Field(default=0, ge=0)
    things: list[Thing] = Field(default_factory=list, description="by name, instead of so many sensors")


class Plan(Payload):
    """The file that `kommunevert simulate` writes: who is there, with their accounts."""

    devices: list[Enrolment] = Field(default_factory=list)
    gateways: list[GatewayLogin] = Field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Raises OSError, or pydantic.ValidationError that names the field."""
        return cls.model_validate_json(path.read_text())


class Fleet:
    """`start` it on the running loop; `stop` cuts everything at once."""

    def __init__(self, plan: Plan, seed: int, habits: Habits) -> None:
        self.receipted: list[str] = []
        """Ids of visits that the hub has acknowledged."""
        self.devices: list[Device] = [self._device(enrolment, seed, habits) for enrolment in plan.devices]
        self.networks: list[Network] = [_network(gateway, seed, habits) for gateway in plan.gateways]

    def start(self) -> None:
        """Spread over some seconds, as after a power cut."""
        within = max(START_SECONDS, len(self.devices) / STARTS_PER_SECOND)
        for member in self._all():
            member.start(within)

    def stop(self) -> None:
        for member in self._all():
            member.stop()

    def connected(self) -> int:
        return sum(member.connection.is_ready for member in self._all())

    def figures(self) -> dict[str, int]:
        return {
            "connections": len(self.devices) + len(self.networks),
            "connected": self.connected(),
            "receipted": len(self.receipted),
            "waiting": sum(device.outbox for device in self.devices),
            "pulses": sum(device.pulses for device in self.devices if isinstance(device, Door)),
            "updates": sum(network.updates for network in self.networks),
        }

    async def until_connected(self) -> None:
        """Return when all are connected at the same time."""
        total = len(self.devices) + len(self.networks)
        while self.connected() < total:
            await asyncio.sleep(0.05)

    def _device(self, enrolment: Enrolment, seed: int, habits: Habits) -> Device:
        match enrolment.kind:
            case kiosk.KIND:
                return Kiosk(enrolment, seed, habits, self.receipted.append)
            case screen.KIND:
                return Player(enrolment, seed, habits)
            case door.KIND:
                return Door(enrolment, seed, habits)
            case other:
                raise ValueError(f"{enrolment.device}: there is no simulated {other}")

    def _all(self) -> Iterator[Device | Network]:
        yield from self.devices
        yield from self.networks


def _network(gateway: GatewayLogin, seed: int, habits: Habits) -> Network:
    login = Login(gateway.host, gateway.port, gateway.account, gateway.secret)
    if gateway.topic.startswith(Z2M):
        return Zigbee(login, gateway.topic, gateway.things or things(gateway.sensors), seed, habits)
    return EspHome(login, gateway.topic, gateway.sensors, seed, habits)
