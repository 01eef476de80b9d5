"""Simulated doors: the real exchange of challenge and signed command, people behind it, and a lock in memory."""

import time
from datetime import UTC, datetime

from pydantic import ValidationError

from devices.contract import door
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Payload
from devices.door.deciding.exchange import Act, Exchange, Refuse
from devices.door.identity import Identity
from devices.simulator.device import Device
from devices.simulator.habits import Habits

PASSES_PER_VISITOR = 4.0
"""Passages through a door for each visitor of a kiosk in the same hour."""


class Door(Device):
    """Opened by the hub, and by people with a key or the exit button."""

    def __init__(self, enrolment: Enrolment, seed: int, habits: Habits) -> None:
        super().__init__(enrolment, seed, habits)
        self._identity = Identity.of(enrolment)
        self._exchange = Exchange(self.id, self._identity.hub_key, enrolment.hub_key_id, clock=time.monotonic)
        self._boot = int(time.time())  # a simulation keeps no journal, and each of its starts is later
        self._seq = 0
        self._lock: door.Lock = "locked"
        self._contact: door.Contact = "closed"
        self._unacknowledged: dict[str, tuple[str, door.Signed]] = {}
        self._started = False
        self.pulses = 0

    @property
    def outbox(self) -> int:
        return len(self._unacknowledged)

    def on_connect(self) -> None:
        self._publish_state()
        for what, signed in self._unacknowledged.values():
            self.publish(what, signed)
        if not self._started:
            self._started = True
            self._resend()
            self._schedule_visitor()

    def on_message(self, what: str, payload: bytes) -> None:
        if what == "challenge":
            challenge = self._exchange.challenge(payload, retained=False)
            if challenge is not None:
                self.publish("challenge", self._signed(challenge))
        elif what == "command" and payload:
            self._command(payload)
        elif what == "receipt":
            try:
                self._unacknowledged.pop(door.EventReceipt.model_validate_json(payload).of, None)
            except ValidationError:
                return

    def _command(self, payload: bytes) -> None:
        match self._exchange.decide(payload, retained=False):
            case Act(door.Command(pulse_ms=int(pulse_ms)) as command):
                self.pulses += 1
                self._set_state("unlocked", self._contact)
                self._answer(command.command, None)
                self.later(pulse_ms / 1000, lambda: self._set_state("locked", self._contact))
                if pulse_ms > 1000 and self.random.random() < 0.9:  # noqa: PLR2004 (somebody goes through)
                    self.later(self.random.uniform(0.3, 1.0), self._open)
            case Refuse(reason, str(answer)):
                self._answer(answer, reason)
            case _:
                return

    def _answer(self, command: str, reason: door.Refusal | None) -> None:
        outcome = door.Outcome(
            door=self.id,
            command=command,
            result="refused" if reason else "done",
            reason=reason,
            boot=self._boot,
            seq=self._next(),
            lock=self._lock,
            contact=self._contact,
        )
        signed = self._signed(outcome)
        self._unacknowledged[command] = ("outcome", signed)
        self.publish("outcome", signed)

    def _schedule_visitor(self) -> None:
        seconds, somebody = self.habits.until_visitor(self.random)

        def comes() -> None:
            if somebody and self._lock == "locked":
                self._open()
            self._schedule_visitor()

        self.later(seconds / PASSES_PER_VISITOR, comes)

    def _open(self) -> None:
        self._set_state(self._lock, "open")
        self.later(self.random.uniform(1.5, 5.0), lambda: self._set_state(self._lock, "closed"))

    def _set_state(self, lock: door.Lock, contact: door.Contact) -> None:
        if (lock, contact) != (self._lock, self._contact):
            self._lock, self._contact = lock, contact
            self._publish_state()

    def _resend(self) -> None:
        def again() -> None:
            self._publish_state()
            for what, signed in self._unacknowledged.values():
                self.publish(what, signed)
            self._resend()

        self.later(door.STATE_SECONDS * self.random.uniform(0.9, 1.1), again)

    def _publish_state(self) -> None:
        if self.connection.is_ready:
            state = door.State(
                door=self.id,
                boot=self._boot,
                seq=self._next(),
                lock=self._lock,
                contact=self._contact,
                sent_at=datetime.now(UTC),
            )
            self.publish("state", self._signed(state))

    def _signed(self, message: Payload) -> door.Signed:
        return door.Signed.sign(message, self._identity.own_key, self.id)

    def _next(self) -> int:
        self._seq += 1
        return self._seq
