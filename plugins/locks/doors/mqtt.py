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


class Takes(Protocol):
    """Who handles what doors say, once it is known to be theirs."""

    def key(self, door_id: str) -> VerifyKey | None: ...

    async def state(self, state: door.State) -> None: ...

    async def outcome(self, outcome: door.Outcome) -> bool:
        """False: this door was never told such a command."""

    async def event(self, event: door.Event) -> bool:
        """True: durable, so that the door may forget it."""

    async def shown(self, shown: door.AccessRequest, read_at: float) -> None:
        """`read_at`: when it came, by `time.monotonic`."""


class NoContactError(Exception):
    """There is no connection to the broker: nothing was sent."""


class Doors:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._challenges: dict[tuple[str, str], asyncio.Future[door.Challenge]] = {}
        """By door and command: a door answers for itself."""
        self._takes: Takes | None = None

    def listen(self, takes: Takes) -> None:
        self._takes = takes
        self._context.speaks(door.CHANNELS)
        self._receive("state", door.State, takes.state)
        self._receive("challenge", door.Challenge, self._challenge)
        self._receive("outcome", door.Outcome, self._outcome)
        self._receive("event", door.Event, self._event)
        self._context.receive(door.KIND, "shown", door.Signed, self._shown)

    async def challenge(self, device: Device, command: str) -> door.Challenge:
        """Ask the door for a challenge. Raises NoContactError, or TimeoutError when it gives none."""
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
        """Retained; while there is no connection it goes out when there is one again."""
        self._context.send(device, "list", signed)

    def clear_retained(self) -> None:
        """Nobody may leave a command lying in the broker (T7); an ACL cannot forbid it, so it is swept away."""
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
                self._context.devices.refused(device_id, f"{what}: forged: {error}")
                return
            await take(message)

        self._context.receive(door.KIND, what, door.Signed, opened)

    async def _shown(self, incoming: Incoming[door.Signed]) -> None:
        """Whoever showed it while the hub was away has had the door's own answer, and waits no more."""
        if incoming.has_waited:
            log.info("shown_too_long_ago", door=incoming.device.id)
            return
        try:
            message = self._opened(incoming.device.id, incoming.message, door.AccessRequest)
        except door.ForgedError as error:
            self._context.devices.refused(incoming.device.id, f"shown: forged: {error}")
            return
        assert self._takes  # noqa: S101 (listen set it)
        await self._takes.shown(message, incoming.read_at)

    def _opened(self, device_id: str, signed: door.Signed, model: type[M]) -> M:
        """Raises ForgedError."""
        key = self._takes.key(device_id) if self._takes else None
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
        assert self._takes  # noqa: S101 (listen set it)
        if not await self._takes.outcome(outcome):
            self._context.devices.refused(outcome.door, "outcome: of no command that this door was told")
        self._receipt(outcome.door, outcome.command)

    async def _event(self, event: door.Event) -> None:
        assert self._takes  # noqa: S101
        if await self._takes.event(event):
            self._receipt(event.door, event.id)

    def _receipt(self, door_id: str, of: str) -> None:
        """After the commit; the door sends again until it comes."""
        device = self._context.devices.get(door_id)
        if device is not None:
            self._context.send(device, "receipt", door.EventReceipt(of=of))
