"""A door for tests of the hub, made of the contract alone: it says what a controller says and hears what one hears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from devices.access.credentials import fingerprint
from devices.access.lists import AccessList, Credential
from devices.contract import door
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Payload, new_id
from devices.door.identity import Identity
from devices.wire.connection import Received, Wire
from tests.patience import PATIENCE_SECONDS


class DoorClient:
    def __init__(self, enrolment: Enrolment) -> None:
        self.identity = Identity.of(enrolment)
        self.lists: list[AccessList] = []
        self.commands: dict[str, door.Command] = {}
        self.receipts: list[str] = []
        self.latest: dict[str, bytes] = {}
        """What was said last, as it went out."""
        self.contact: door.Contact = "closed"
        self.obeys = False
        """Whether it gives challenges and does at once what it is told."""
        self._seq = 0
        self.wire = Wire(self.identity.address(), on_message=self._take)
        self.wire.subscribe(self.identity.topic("down", "#"), retain_as_published=True)
        self._news = asyncio.Event()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["DoorClient"]:
        running = asyncio.create_task(self.wire.run())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.wire.until_connected()
            self.state()
            yield self
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def list_with(self, condition: Any) -> AccessList:
        """The newest list, once it is as wanted."""
        await self._until(lambda: bool(self.lists) and condition(self.lists[-1]))
        return self.lists[-1]

    def credential(self, text: str) -> Credential | None:
        """What the newest list says of it."""
        newest = self.lists[-1]
        return newest.roll().get(self.fingerprint(text))

    def fingerprint(self, text: str) -> str:
        return fingerprint(bytes.fromhex(self.lists[-1].key), text)

    async def show(
        self, card: str | None = None, pin: str | None = None, side: door.Side = "in", code: str | None = None
    ) -> door.Command:
        """At the reader; the hub's signed answer. On a busy machine it may come too late: then once more."""
        for _ in range(5):
            shown = self.asks(card, pin, side, code)
            with suppress(TimeoutError):
                await self._until(lambda shown=shown: shown.id in self.commands, 2)  # type: ignore[misc]
                answer = self.commands[shown.id]
                assert answer.nonce == shown.nonce
                return answer
        raise TimeoutError("the hub does not answer")

    def asks(
        self, card: str | None = None, pin: str | None = None, side: door.Side = "in", code: str | None = None
    ) -> door.AccessRequest:
        """Something is shown at the reader; whether anybody hears of it or not."""
        shown = door.AccessRequest(
            door=self.identity.door,
            id=new_id(),
            nonce=token_hex(16),
            reader="ute",
            side=side,
            card=self.fingerprint(card) if card else None,
            pin=self.fingerprint(f"pin:{pin}") if pin else None,
            code=code,
            list_version=self.lists[-1].access.version,
            shown_at=datetime.now(UTC),
        )
        self._say("shown", shown, expiry_seconds=5)
        return shown

    def state(self, **changes: Any) -> None:
        self._seq += 1
        made = {"lock": "locked", "contact": self.contact, "sent_at": datetime.now(UTC)} | changes
        self._say("state", door.State(door=self.identity.door, boot=1, seq=self._seq, **made))

    def outcome(self, command: str, result: str = "done") -> None:
        self._seq += 1
        made = {"lock": "unlocked", "contact": self.contact, "boot": 1, "seq": self._seq}
        self._say("outcome", door.Outcome(door=self.identity.door, command=command, result=result, **made))  # type: ignore[arg-type]

    def event(self, n: int, kind: str, **fields: Any) -> str:
        made = {"id": f"1-{n}-test", "n": n, "kind": kind, "happened_at": datetime.now(UTC)} | fields
        event = door.Event(door=self.identity.door, **made)
        self._say("event", event)
        return event.id

    async def receipt_of(self, name: str) -> None:
        await self._until(lambda: name in self.receipts)

    def _say(self, what: str, message: Payload, expiry_seconds: int | None = None) -> None:
        signed = door.Signed.sign(message, self.identity.own_key, self.identity.door)
        self.latest[what] = signed.encoded()
        self.wire.publish(self.identity.topic("up", what), self.latest[what], expiry_seconds=expiry_seconds)

    def _take(self, received: Received) -> None:
        self.wire.acknowledge(received)
        if not received.payload:
            return
        match received.topic.rpartition("/down/")[2]:
            case "list":
                signed = door.Signed.model_validate_json(received.payload)
                assert signed.is_by(self.identity.hub_key)
                self.lists.append(AccessList.opened(signed.content, self.identity.own_key))
            case "command":
                command = door.Signed.model_validate_json(received.payload).opened(self.identity.hub_key, door.Command)
                self.commands[command.command] = command
                if self.obeys and command.verb != "deny":
                    self.outcome(command.command)
            case "challenge" if self.obeys:
                asked = door.ChallengeRequest.model_validate_json(received.payload)
                nonce = token_hex(16)
                self._say("challenge", door.Challenge(door=self.identity.door, command=asked.command, nonce=nonce))
            case "receipt":
                self.receipts.append(door.EventReceipt.model_validate_json(received.payload).of)
        self._news.set()

    async def _until(self, condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()
