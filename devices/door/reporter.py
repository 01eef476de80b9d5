"""Publishes the door's messages to the hub; events and outcomes in order, resent until they are acknowledged."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import structlog

from devices.access.deciding import Reason
from devices.contract.door import (
    RESEND_BATCH,
    RESEND_SECONDS,
    Event,
    EventKind,
    Outcome,
    Refusal,
    Signed,
)
from devices.contract.payload import Payload
from devices.door.deciding.clock import TimeOfDay
from devices.door.deciding.flood import FloodGate, HeldBack
from devices.door.identity import Identity
from devices.door.memory.journal import Applied, Entry, Journal, Receipt
from devices.door.memory.recorder import Recorder
from devices.wire.connection import Wire

log = structlog.get_logger("door")

COUNT_SECONDS = 10.0
Why = Refusal | Reason


class Reporter:
    """Set `wire` before use. Nothing but `run` and `report_durably` waits."""

    wire: Wire

    def __init__(
        self, identity: Identity, journal: Journal, clock: Callable[[], float], time_of_day: TimeOfDay
    ) -> None:
        self.boot, self.mark = journal.boot, journal.mark
        self._identity = identity
        self._time_of_day = time_of_day
        self._seq = 0
        self._names = 0
        self._gate = FloodGate(clock, journal.held())
        self._in_flight: set[str] = set()
        self._wake = asyncio.Event()
        journal.number_unnumbered(self._with_number)
        self.recorder = Recorder(journal, on_applied=self._on_applied, on_stuck=self._on_stuck)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recorder.run(), name="door journal")
            group.create_task(self._send_in_order(), name="door in order")
            group.create_task(self._send_counts(), name="door count")

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def signed(self, message: Payload) -> Signed:
        return Signed.sign(message, self._identity.own_key, self._identity.door)

    def publish(
        self, what: str, message: Payload, *, qos: int = 1, retain: bool = False, expiry_seconds: int | None = None
    ) -> bool:
        topic = self._identity.topic("up", what)
        return self.wire.publish(topic, message.encoded(), qos=qos, retain=retain, expiry_seconds=expiry_seconds)

    def resend(self) -> None:
        """Send everything that waits, after a reconnect."""
        self._in_flight.clear()
        self._wake.set()

    def acknowledge(self, of: str) -> None:
        self._in_flight.discard(of)
        self.recorder.put(Receipt(of))

    def report_outcome(self, outcome: Outcome, persisted: tuple[str, str] | None = None) -> None:
        """Publish at once, and store until it is acknowledged.

        With `persisted` it is published only when that is durable.
        """
        signed = self.signed(outcome)
        if persisted is None and self.publish("outcome", signed):
            self._in_flight.add(outcome.command)
        did = outcome.result == "done"
        self.recorder.put(Entry(outcome.command, "outcome", signed.encoded(), acted=did, persisted=persisted))

    def report(self, kind: EventKind, reason: Why | None = None, **fields: Any) -> None:
        """Report an event. `fields`: of an Event about a reader or credential; those are never counted together."""
        now = datetime.now(UTC)
        if fields or self._gate.admits((kind, reason), now):
            self.save_time(at_once=True)
            self._queue(kind, reason, HeldBack(1, now), fields)

    async def report_durably(
        self, kind: EventKind, reason: Why | None, *, persisted: tuple[str, str] | None = None, **fields: Any
    ) -> bool:
        """As `report`; True when the event and `persisted` are on disk."""
        self.save_time(at_once=True)
        entry = self._entry(kind, reason, HeldBack(1, datetime.now(UTC)), fields)
        return await self.recorder.write(replace(entry, persisted=persisted))

    def save_time(self, *, at_once: bool) -> None:
        """Persist the time, as a lower limit for the next start."""
        saved = self._time_of_day.save(at_once=at_once)
        if saved is not None:
            self.recorder.persist(*saved)

    # --

    def _entry(self, kind: EventKind, reason: Why | None, happened: HeldBack, fields: dict[str, Any]) -> Entry:
        self._names += 1
        event = Event(
            id=f"{self.boot}-e{self._names}-{self.mark}",
            door=self._identity.door,
            kind=kind,
            reason=reason,
            count=happened.count,
            happened_at=happened.first_at,
            **fields,
        )
        counted = None if fields else (kind, reason)
        return Entry(event.id, kind, numbered=partial(self._numbered, event), key=counted, counts=happened)

    def _numbered(self, event: Event, number: int) -> bytes:
        """Runs in the journal's thread."""
        return self.signed(event.model_copy(update={"n": number})).encoded()

    def _with_number(self, payload: bytes, number: int) -> bytes:
        old = Signed.model_validate_json(payload)
        return self._numbered(Event.model_validate_json(old.content), number)

    def _queue(self, kind: EventKind, reason: Why | None, happened: HeldBack, fields: dict[str, Any]) -> None:
        """Queue for the journal; counted in the flood gate when there is no room."""
        if not self.recorder.put(self._entry(kind, reason, happened, fields)):
            self._gate.hold((kind, reason), happened)

    def _on_applied(self, applied: Applied) -> None:
        """The journal has written changes: send what waits, and count rejected entries."""
        if applied.waiting:
            self._wake.set()
        for entry in applied.rejected:
            if entry.counts:
                self._gate.hold(entry.key or (entry.kind, None), entry.counts)

    def _on_stuck(self, entries: list[Entry]) -> None:
        """The disk fails: publish these entries once without a number; they come again numbered when it recovers."""
        for entry in entries:
            if entry.persisted is not None:
                continue  # not reported as done, since a power cut would undo it
            payload = entry.payload or (entry.numbered(0) if entry.numbered else b"")
            self.wire.publish(self._identity.topic("up", entry.what), payload)

    async def _send_in_order(self) -> None:
        """Run forever: send the oldest RESEND_BATCH entries, and resend every RESEND_SECONDS until acknowledged."""
        loop = asyncio.get_running_loop()
        again_at = loop.time() + RESEND_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(again_at):
                    await self._wake.wait()
            except TimeoutError:
                self._in_flight.clear()
                again_at = loop.time() + RESEND_SECONDS
            self._wake.clear()
            if not self.wire.connected or not self.recorder.waiting:
                continue
            for entry in await self.recorder.oldest(RESEND_BATCH):
                topic = self._identity.topic("up", entry.what)
                if entry.id not in self._in_flight and self.wire.publish(topic, entry.payload):
                    self._in_flight.add(entry.id)

    async def _send_counts(self) -> None:
        remembered = dict(self._gate.held)
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            for (kind, reason), held in self._gate.due().items():
                self._queue(cast("EventKind", kind), cast("Why | None", reason), held, {})
            if self._gate.held != remembered:
                remembered = dict(self._gate.held)
                await self.recorder.remember_held(remembered)
