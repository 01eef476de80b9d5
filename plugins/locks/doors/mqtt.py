"""The doors' topics. Every signed message is opened with its own door's key here, and nowhere else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog
from nacl.signing import VerifyKey

from devices.contract import door
from devices.contract.payload import Payload
from hub.plugin import Context, Device, Incoming

log = structlog.get_logger("locks")

M = TypeVar("M", door.State, door.Challenge, door.Outcome, door.Event, door.AccessRequest)


class Receiver(Protocol):
    """Handles messages from doors once their signatures have been verified."""

    def key(self, door_id: str) -> VerifyKey | None: ...

    async def state(self, state: door.State) -> None: ...

    async def outcome(self, outcome: door.Outcome) -> bool:
        """False: no such command was ever sent to this door."""

    async def event(self, event: door.Event) -> bool:
        """True: committed, so the door may be sent a receipt."""

    async def access_request(self, shown: door.AccessRequest, read_at: float) -> None:
        """`read_at`: when the message was read, by `time.monotonic`."""


class NoContactError(Exception):
    """There is no connection to the broker: nothing was sent."""


class DoorTopics:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._challenges: dict[tuple[str, str], asyncio.Future[door.Challenge]] = {}
        """Pending challenge requests by (door, command)."""
        self._receiver: Receiver | None = None

    def listen(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._context.speaks(door.CHANNELS)
        self._receive("state", door.State, receiver.state)
        self._receive("challenge", door.Challenge, self._challenge)
        self._receive("outcome", door.Outcome, self._outcome)
        self._receive("event", door.Event, self._event)
        self._context.receive(door.KIND, "shown", door.Signed, self._access_request)

    async def challenge(self, device: Device, command: str) -> door.Challenge:
        """Request a challenge from the door. Raises NoContactError, or TimeoutError when none arrives."""
        future: asyncio.Future[door.Challenge] = asyncio.get_running_loop().create_future()
        self._challenges[device.id, command] = future
        try:
            self._send(device, "challenge", door.ChallengeRequest(command=command))
            async with asyncio.timeout(door.COMMAND_SECONDS):
                return await future
        finally:
            del self._challenges[device.id, command]

    def command(self, device: Device, signed: door.Signed) -> None:
        """Raises NoContactError."""
        self._send(device, "command", signed)

    def send_list(self, device: Device, signed: door.Signed) -> None:
        """Published retained; without a connection it is sent after the next reconnect."""
        self._context.send(device, "list", signed)

    def clear_retained(self) -> None:
        """Delete retained commands from the broker (T7): an ACL cannot forbid publishing them."""
        for device in self._context.devices.of_kind(door.KIND):
            self._context.send(device, "command", None, retain=True)

    def _send(self, device: Device, what: str, message: Payload) -> None:
        if not self._context.send(device, what, message):
            raise NoContactError

    def _receive(self, what: str, model: type[M], take: Callable[[M], Awaitable[None]]) -> None:
        async def opened(incoming: Incoming[door.Signed]) -> None:
            device_id = incoming.device.id
            try:
                message = self._opened(device_id, incoming.message, model)
            except door.ForgedError as error:
                self._context.devices.note_refusal(device_id, f"{what}: forged: {error}")
                return
            await take(message)

        self._context.receive(door.KIND, what, door.Signed, opened)

    async def _access_request(self, incoming: Incoming[door.Signed]) -> None:
        """Requests from before the connection are dropped: the door has decided by itself meanwhile."""
        if incoming.has_waited:
            log.info("access_request_expired", door=incoming.device.id)
            return
        try:
            message = self._opened(incoming.device.id, incoming.message, door.AccessRequest)
        except door.ForgedError as error:
            self._context.devices.note_refusal(incoming.device.id, f"shown: forged: {error}")
            return
        assert self._receiver  # noqa: S101 (listen set it)
        await self._receiver.access_request(message, incoming.read_at)

    def _opened(self, device_id: str, signed: door.Signed, model: type[M]) -> M:
        """Raises ForgedError."""
        key = self._receiver.key(device_id) if self._receiver else None
        if key is None:
            raise door.ForgedError("no key")
        message = signed.opened(key, model)
        if message.door != device_id:
            raise door.ForgedError("other door")
        return message

    async def _challenge(self, challenge: door.Challenge) -> None:
        future = self._challenges.get((challenge.door, challenge.command))
        if future is not None and not future.done():
            future.set_result(challenge)

    async def _outcome(self, outcome: door.Outcome) -> None:
        assert self._receiver  # noqa: S101 (listen set it)
        if not await self._receiver.outcome(outcome):
            self._context.devices.note_refusal(outcome.door, "outcome: unknown command")
        self._receipt(outcome.door, outcome.command)

    async def _event(self, event: door.Event) -> None:
        assert self._receiver  # noqa: S101
        if await self._receiver.event(event):
            self._receipt(event.door, event.id)

    def _receipt(self, door_id: str, of: str) -> None:
        """Acknowledge a committed event or outcome: the door resends it until then."""
        device = self._context.devices.get(door_id)
        if device is not None:
            self._context.send(device, "receipt", door.EventReceipt(of=of))
