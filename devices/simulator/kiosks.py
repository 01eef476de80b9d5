"""Kiosks with visitors, and players."""

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError

from devices.contract import kiosk, screen
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Payload, new_id
from devices.simulator.device import Device
from devices.simulator.habits import Habits

RESEND_SECONDS = 10
LETTERS = ("kar", "ann", "ole", "per", "ing", "hei", "lar", "nin", "mar", "ber", "sol", "tor")
VISITORS = ("Ola Simulert", "Åse Simulert", "Nina Simulert", "Amir Simulert", "Ewa Simulert")


class Kiosk(Device):
    """Visitors come by the hour of the day, find a host, register, and most check out again.

    `receipted` is called with the id of each visit that the hub has acknowledged.
    """

    has_battery = True

    def __init__(self, enrolment: Enrolment, seed: int, habits: Habits, receipted: Callable[[str], None]) -> None:
        super().__init__(enrolment, seed, habits)
        self._receipted = receipted
        self._waiting: dict[str, tuple[str, Payload]] = {}
        self._started = False

    @property
    def outbox(self) -> int:
        return len(self._waiting)

    def on_connect(self) -> None:
        self._send_waiting()
        if not self._started:
            self._started = True
            self._schedule_visitor()
            self._resend()

    def on_message(self, what: str, payload: bytes) -> None:
        try:
            if what == "found":
                self._found(kiosk.Found.model_validate_json(payload))
            elif what == "receipt":
                self._receipt(kiosk.Receipt.model_validate_json(payload))
        except ValidationError:
            return  # a newer hub; a real kiosk ignores it as well

    def _schedule_visitor(self) -> None:
        seconds, somebody = self.habits.until_visitor(self.random)

        def comes() -> None:
            if somebody:
                self.publish("search", kiosk.Search(id=new_id(), text=self.random.choice(LETTERS)))
            self._schedule_visitor()

        self.later(seconds, comes)

    def _found(self, found: kiosk.Found) -> None:
        if found.hosts:
            self._post("visit", self.visit_to(self.random.choice(found.hosts).id))

    def visit_to(self, host: str) -> kiosk.Visit:
        return kiosk.Visit(id=new_id(), host=host, visitor=self.random.choice(VISITORS), arrived_at=datetime.now(UTC))

    def _post(self, what: str, message: kiosk.Visit | kiosk.CheckOut) -> None:
        self._waiting[message.id] = (what, message)
        self.publish(what, message)

    def _receipt(self, receipt: kiosk.Receipt) -> None:
        if receipt.result == "wait":  # it stays, and is sent again with the others
            return
        if self._waiting.pop(receipt.of, None) is None or receipt.number is None:
            return
        self._receipted(receipt.of)
        leaving = kiosk.CheckOut(id=new_id(), number=receipt.number, left_at=datetime.now(UTC))
        self.later(self.habits.stay(self.random), lambda: self._post("checkout", leaving))

    def _resend(self) -> None:
        self._send_waiting()
        self.later(RESEND_SECONDS * self.random.uniform(0.8, 1.2), self._resend)

    def _send_waiting(self) -> None:
        for what, message in self._waiting.values():
            self.publish(what, message)


class Player(Device):
    """Stores the revision of its programme."""

    def __init__(self, enrolment: Enrolment, seed: int, habits: Habits) -> None:
        super().__init__(enrolment, seed, habits)
        self.revision: str | None = None

    def on_message(self, what: str, payload: bytes) -> None:
        if what == "programme" and payload:
            self.revision = screen.Programme.model_validate_json(payload).revision
