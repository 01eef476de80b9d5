"""What the door says to the hub: now, or when there is contact; in order, and until it has a receipt."""

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


class Telling:
    """`wire` is given before the first word. Everything but `run` and `keep` returns at once."""

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
        self._on_its_way: set[str] = set()
        self._tell_now = asyncio.Event()
        journal.number_old(self._with_number)
        self.recorder = Recorder(journal, on_applied=self._recorded, on_stuck=self._stuck)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recorder.run(), name="door journal")
            group.create_task(self._tell_in_order(), name="door in order")
            group.create_task(self._tell_counts(), name="door count")

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

    def has_contact(self) -> None:
        """Again: what waits is sent."""
        self._on_its_way.clear()
        self._tell_now.set()

    def receipted(self, of: str) -> None:
        self._on_its_way.discard(of)
        self.recorder.put(Receipt(of))

    def answer(self, outcome: Outcome, lasting: tuple[str, str] | None = None) -> None:
        """Told at once, and kept until the receipt: the line may break before it is told.

        Where something must outlive a restart, it is told when that is durable.
        """
        signed = self.signed(outcome)
        if lasting is None and self.publish("outcome", signed):
            self._on_its_way.add(outcome.command)
        did = outcome.result == "done"
        self.recorder.put(Entry(outcome.command, "outcome", signed.encoded(), acted=did, lasting=lasting))

    def happened(self, kind: EventKind, reason: Why | None = None, **fields: Any) -> None:
        """`fields` are those of an Event about a reader or a credential; what has any is never counted together."""
        now = datetime.now(UTC)
        if fields or self._gate.admits((kind, reason), now):
            self.note_time(at_once=True)
            self._report(kind, reason, HeldBack(1, now), fields)

    async def keep(
        self, kind: EventKind, reason: Why | None, *, lasting: tuple[str, str] | None = None, **fields: Any
    ) -> bool:
        """As `happened`, and on the disk when it returns True, together with what is to outlive a restart."""
        self.note_time(at_once=True)
        entry = self._entry(kind, reason, HeldBack(1, datetime.now(UTC)), fields)
        return await self.recorder.keep(replace(entry, lasting=lasting))

    def note_time(self, *, at_once: bool) -> None:
        """Onto the disk: at the next start it is later than this."""
        noted = self._time_of_day.note(at_once=at_once)
        if noted is not None:
            self.recorder.put_lasting(*noted)

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
        """In the journal's thread."""
        return self.signed(event.model_copy(update={"n": number})).encoded()

    def _with_number(self, payload: bytes, number: int) -> bytes:
        old = Signed.model_validate_json(payload)
        return self._numbered(Event.model_validate_json(old.content), number)

    def _report(self, kind: EventKind, reason: Why | None, happened: HeldBack, fields: dict[str, Any]) -> None:
        """Onto the disk; it is told when it is durable, or when there is no room counted."""
        if not self.recorder.put(self._entry(kind, reason, happened, fields)):
            self._gate.hold((kind, reason), happened)

    def _recorded(self, applied: Applied) -> None:
        """What is durable is told, after all that is older and waits too; a receipt makes room for the next."""
        if applied.waiting:
            self._tell_now.set()
        for entry in applied.no_room:
            if entry.counts:
                self._gate.hold(entry.key or (entry.kind, None), entry.counts)

    def _stuck(self, entries: list[Entry]) -> None:
        """The disk does not take them: said once, without a number, and again with one when it does."""
        for entry in entries:
            if entry.lasting is not None:
                continue  # "done" is not said of what a power cut would undo
            payload = entry.payload or (entry.numbered(0) if entry.numbered else b"")
            self.wire.publish(self._identity.topic("up", entry.what), payload)

    async def _tell_in_order(self) -> None:
        """The oldest RESEND_BATCH, each once; and every RESEND_SECONDS once more what has no receipt yet."""
        loop = asyncio.get_running_loop()
        again_at = loop.time() + RESEND_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(again_at):
                    await self._tell_now.wait()
            except TimeoutError:
                self._on_its_way.clear()
                again_at = loop.time() + RESEND_SECONDS
            self._tell_now.clear()
            if not self.wire.connected or not self.recorder.waiting:
                continue
            for entry in await self.recorder.oldest(RESEND_BATCH):
                topic = self._identity.topic("up", entry.what)
                if entry.id not in self._on_its_way and self.wire.publish(topic, entry.payload):
                    self._on_its_way.add(entry.id)

    async def _tell_counts(self) -> None:
        remembered = dict(self._gate.held)
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            for (kind, reason), held in self._gate.due().items():
                self._report(cast("EventKind", kind), cast("Why | None", reason), held, {})
            if self._gate.held != remembered:
                remembered = dict(self._gate.held)
                await self.recorder.remember_held(remembered)
