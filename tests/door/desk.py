"""The hub's side of the door contract as a test plays it, with the attacker's tools too."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nacl.signing import SigningKey

from devices.access.lists import AccessList, DoorAccess, Roll
from devices.contract.door import (
    AccessRequest,
    Challenge,
    ChallengeRequest,
    Command,
    Event,
    EventReceipt,
    Outcome,
    Signed,
    State,
)
from devices.contract.payload import Payload, new_id
from devices.wire.connection import Received, Wire
from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")
M = TypeVar("M", bound=Payload)
MODELS: dict[str, type[Payload]] = {
    "state": State,
    "challenge": Challenge,
    "outcome": Outcome,
    "event": Event,
    "shown": AccessRequest,
}


@dataclass
class Heard:
    """One message from the door, its signature verified where it has one."""

    what: str
    message: Payload | None
    payload: bytes


class Desk:
    """Hears everything of one door; `wire` is connected as the account `hub`."""

    def __init__(self, branch: str, hub_key: SigningKey, door_key: SigningKey) -> None:
        self.branch = branch
        self.door = branch.rpartition("/")[2]
        self.hub_key = hub_key
        self.heard: list[Heard] = []
        self.wire: Wire
        self._door_key = door_key.verify_key
        self._news = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    def hear(self, received: Received) -> None:
        direction, what = received.topic.removeprefix(self.branch + "/").split("/")
        self.wire.acknowledge(received)
        if direction != "up":
            return
        model = MODELS.get(what)
        message = None
        if model is not None:
            signed = Signed.model_validate_json(received.payload)
            assert signed.key == self.door
            message = signed.opened(self._door_key, model)
        self.heard.append(Heard(what, message, received.payload))
        task = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, found: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
        """What `found` gives once it is neither None nor empty nor False; asked at each message."""
        async with asyncio.timeout(seconds), self._news:
            while not (result := found()):
                await self._news.wait()
            return result

    def all(self, model: type[M]) -> list[M]:
        return [heard.message for heard in self.heard if isinstance(heard.message, model)]

    def events(self, kind: str, reason: str | None = None) -> list[Event]:
        return [event for event in self.all(Event) if (event.kind, event.reason) == (kind, reason)]

    def outcomes(self, command: str) -> list[Outcome]:
        return [outcome for outcome in self.all(Outcome) if outcome.command == command]

    async def until_ready(self) -> State:
        """The door is up and its lock is known."""
        return await self.until(
            lambda: next((state for state in reversed(self.all(State)) if state.lock == "locked"), None)
        )

    # -- what a hub says -----

    def say(self, what: str, payload: bytes, *, retain: bool = False) -> None:
        assert self.wire.publish(f"{self.branch}/down/{what}", payload, retain=retain)

    async def challenge(self, command: str) -> Challenge:
        self.say("challenge", ChallengeRequest(command=command).encoded())
        return await self.until(
            lambda: next((given for given in self.all(Challenge) if given.command == command), None)
        )

    def signed(self, challenge: Challenge, *, pulse_ms: int = 700, **changes: object) -> bytes:
        """The command that a hub would answer this challenge with, apart from `changes`."""
        key = changes.pop("key", self.hub_key)
        fields = {"door": self.door, "command": challenge.command, "verb": "pulse", "pulse_ms": pulse_ms}
        fields |= {"nonce": challenge.nonce, "audit": 1} | changes
        content = Command.model_construct(**fields).encoded()
        return Signed.carrying(content, key.sign(content).signature, "hub-1").encoded()

    async def tell(self, verb: str, **fields: object) -> Outcome:
        """The whole exchange for another verb than `pulse`."""
        outcome, _ = await self.open(verb=verb, pulse_ms=None, **fields)
        return outcome

    def list_of(self, access: DoorAccess, roll: Roll, key: bytes, **hub_keys: SigningKey) -> bytes:
        """A list as the hub makes it, for this door."""
        keys = {name: one.verify_key.encode().hex() for name, one in (hub_keys or {"hub_1": self.hub_key}).items()}
        named = {name.replace("_", "-"): text for name, text in keys.items()}
        content = AccessList.of(access, roll, key, named).sealed(self._door_key)
        return Signed.sign_content(content, self.hub_key, "hub-1").encoded()

    async def open(self, **changes: object) -> tuple[Outcome, bytes]:
        """A whole exchange: the outcome, and the command as it travelled."""
        command = new_id()
        payload = self.signed(await self.challenge(command), **changes)
        self.say("command", payload)
        outcomes = await self.until(lambda: self.outcomes(command))
        return outcomes[0], payload

    def receipt(self, of: str) -> None:
        self.say("receipt", EventReceipt(of=of).encoded())

    @staticmethod
    def nonsense() -> bytes:
        return b'{"content": "' + b64encode(b"{}") + b'", "signature": 7}'
