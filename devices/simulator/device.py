"""The base of simulated devices of ours: status, heartbeats, and absences."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from devices.contract.alive import HEARTBEAT_SECONDS, Heartbeat, Status
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Payload, new_id
from devices.contract.topics import branch
from devices.simulator.connection import Connection, Login
from devices.simulator.habits import Habits

VERSION = "simulated"
ONLINE, OFFLINE = Status(online=True).encoded(), Status(online=False).encoded()


class Device:
    """Subclasses override `on_connect`, and `on_message` for messages below the device's `down/`."""

    has_battery = False

    def __init__(self, enrolment: Enrolment, seed: int, habits: Habits) -> None:
        self._instance = new_id()
        self.random = Random(f"{seed}/{enrolment.device}")  # noqa: S311 (people and radios, no secrets)
        self.habits = habits
        self.id = enrolment.device
        self.branch = branch(enrolment.root, enrolment.site, enrolment.kind, enrolment.device)
        self._began = time.monotonic()
        self._battery_began = self.random.uniform(20, 100)
        self._signal = self.random.randint(-82, -48)
        self._beats = False
        self.connection = Connection(
            Login(enrolment.host, enrolment.port, enrolment.device, enrolment.secret),
            f"{self.branch}/down/#",
            (f"{self.branch}/up/status", OFFLINE),
            self._ready,
            self._message,
            self.random,
        )

    def start(self, within_seconds: float) -> None:
        self.connection.open(self.random.uniform(0, within_seconds))
        if self.habits.goes_away:
            self.later(self.habits.until_absence(self.random), self._go)

    def stop(self) -> None:
        self.connection.cut()

    @property
    def outbox(self) -> int:
        """Events that wait for a receipt."""
        return 0

    def on_connect(self) -> None: ...

    def on_message(self, what: str, payload: bytes) -> None: ...

    def publish(self, what: str, message: Payload, *, qos: int = 1) -> bool:
        return self.connection.publish(f"{self.branch}/up/{what}", message.encoded(), qos=qos)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, work)

    def _ready(self) -> None:
        self.connection.publish(f"{self.branch}/up/status", ONLINE, retain=True)
        self._beat()
        if not self._beats:
            self._beats = True
            self._beat_again()
        self.on_connect()

    def _beat_again(self) -> None:
        def again() -> None:
            self._beat()
            self._beat_again()

        self.later(HEARTBEAT_SECONDS * self.random.uniform(0.9, 1.1), again)

    def _beat(self) -> None:
        uptime = time.monotonic() - self._began
        beat = Heartbeat(
            sent_at=datetime.now(UTC),
            version=VERSION,
            uptime_seconds=int(uptime),
            outbox=self.outbox,
            battery_percent=self.habits.battery(self._battery_began, uptime) if self.has_battery else None,
            instance=self._instance,
            signal_dbm=max(-100, min(-30, self._signal + self.random.randint(-3, 3))),
        )
        self.publish("heartbeat", beat, qos=0)

    def _message(self, topic: str, payload: bytes, _retained: bool) -> None:
        self.on_message(topic[len(self.branch) + 6 :], payload)

    def _go(self) -> None:
        self.connection.cut()
        self.later(self.habits.absence(self.random), self.connection.open)
        self.later(self.habits.until_absence(self.random), self._go)
