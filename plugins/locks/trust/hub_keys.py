"""The hub's signing keys and their rotation, without locking any door out.

Lists signed by the old key announce the new one to every door. Once all doors report that they trust it, the new key
signs and the old one's private half is destroyed. Passes that the old key signed stay valid until they expire; then
doors forget it too. So doors trust two keys during a rotation, and otherwise one.
"""

import asyncio
from collections.abc import Callable

import structlog
from nacl.signing import VerifyKey
from sqlalchemy import Connection

from devices.contract import door
from devices.contract.door import Command, Signed
from hub.plugin import Context, now
from plugins.locks.doors.states import DoorStates
from plugins.locks.models import HubKey, HubKeyError
from plugins.locks.rules.access import Access
from plugins.locks.store import hub_key_rows
from plugins.locks.trust.signing import Signer, SigningError

log = structlog.get_logger("locks")

THE_HUB = "hub"
"""The actor in the audit log of what the hub does by itself."""
LOOK_SECONDS = 1.0
RETRY_SECONDS = 10.0


class HubKeys:
    """`keys`: those that some door may trust, as stored, the oldest first."""

    def __init__(self, context: Context, signer: Signer, access: Access, states: DoorStates) -> None:
        self.keys: list[HubKey] = []
        self._context = context
        self._signer = signer
        self._access = access
        self._states = states
        self._changing = asyncio.Lock()
        self._is_rotating = asyncio.Event()

    async def load(self) -> None:
        """Read the keys from the store."""
        self.keys = await self._context.store.read(hub_key_rows.trusted)
        (self._is_rotating.set if len(self.keys) > 1 else self._is_rotating.clear)()

    # -- signing

    async def sign(self, command: Command) -> Signed:
        """Raises SigningError."""
        return await self.sign_content(command.encoded())

    async def sign_content(self, content: bytes, key: str | None = None) -> Signed:
        """Sign the bytes of a command, list or pass, with the current key unless one is named. Raises SigningError."""
        return await self._signer.sign(content, key or (await self.current()).id)

    async def current(self) -> HubKey:
        """The key that signs, which every door trusts. Created when there is none yet. Raises SigningError."""
        async with self._changing:
            if self._signs() is None:
                await self.load()  # a command-line tool may have created one
            return self._signs() or await self._make(THE_HUB)

    async def trusted(self) -> dict[str, VerifyKey]:
        """The keys that doors shall trust, by id. Raises SigningError."""
        await self.current()
        return {key.id: VerifyKey(bytes.fromhex(key.verify_key)) for key in self.keys if key.is_made}

    # -- rotation

    @property
    def coming(self) -> HubKey | None:
        """The new key that is being announced to the doors; None when no rotation is going on."""
        fresh = [key for key in self.keys if key.retired_at is None]
        return fresh[-1] if len(fresh) > 1 else None

    def unaware(self) -> list[str]:
        """Doors that have not reported yet that they trust the new key."""
        name = self.coming.id if self.coming else None
        doors = [device.id for device in self._context.devices.of_kind(door.KIND) if device.id in self._states]
        return [door_id for door_id in doors if name not in self._states.hub_keys(door_id)]

    def orphaned_doors(self) -> list[str]:
        """Doors that report other keys only: they must be enrolled anew."""
        ours = {key.id for key in self.keys}
        doors = [device.id for device in self._context.devices.of_kind(door.KIND)]
        return [door_id for door_id in doors if (trusted := set(self._states.hub_keys(door_id))) and not trusted & ours]

    async def begin(self, actor: str) -> str:
        """Create a key and announce it to the doors; its id. Raises HubKeyError during another rotation."""
        await self.current()
        async with self._changing:
            if self.coming is not None:
                raise HubKeyError(f"{self.coming.id} is still being announced to the doors")
            made = await self._make(actor)
        self._access.changed.set()
        return made.id

    async def end_now(self, name: str, actor: str) -> None:
        """End a key that may be compromised: everything that it signed becomes invalid, including passes.

        Doors that do not trust the newest key yet must be enrolled anew. Raises HubKeyError for the newest key, and
        for an unknown one.
        """
        async with self._changing:
            if name not in {key.id for key in self.keys[:-1]}:
                raise HubKeyError(f"{name} is the newest key, or there is none of that name")
            if not self.keys[-1].is_made:
                raise HubKeyError(f"{self.keys[-1].id} is not made yet, and no door can know it")
            await self._end(name, actor)

    async def watch(self) -> None:
        """Run forever: advance a rotation when the doors trust the new key, and when the old passes have expired."""
        while True:
            await self._is_rotating.wait()
            try:
                async with self._changing:
                    await self._settle()
                await asyncio.sleep(LOOK_SECONDS)
            except SigningError as error:
                log.warning("hub_key_rotation_failed", problem=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _settle(self) -> None:
        coming = self.coming
        if coming is not None and not coming.is_made:
            await self._finish(coming)
        elif coming is not None and not self.unaware():
            old, known = self.keys[-2].id, self._states.keys()
            await self._changed(
                old, lambda connection: hub_key_rows.retire_if_known(connection, old, THE_HUB, now(), known)
            )
        for key in self.keys:
            if key.retired_at is not None and not self.passes_of(key.id):
                await self._end(key.id, THE_HUB)

    def passes_of(self, name: str) -> int:
        """The number of valid passes that this key has signed."""
        at = now()
        return sum(
            visit_pass.key == name and visit_pass.until > at and not visit_pass.is_over
            for visit_pass in self._access.rule_book.passes
        )

    def _signs(self) -> HubKey | None:
        return next((key for key in self.keys if key.is_made and key.retired_at is None), None)

    async def _make(self, actor: str) -> HubKey:
        """Create a key, or finish one that a crash left intended."""
        if not self.keys or self.keys[-1].is_made:
            await self._context.store.write(lambda connection: hub_key_rows.intend(connection, actor, now()))
            await self.load()
        return await self._finish(self.keys[-1])

    async def _finish(self, intended: HubKey) -> HubKey:
        verify_key = await self._signer.make(intended.id)
        await self._context.store.write(lambda connection: hub_key_rows.made(connection, intended.id, verify_key))
        await self.load()
        self._access.changed.set()
        return next(key for key in self.keys if key.id == intended.id)

    async def _end(self, name: str, actor: str) -> None:
        def write(connection: Connection) -> bool:
            hub_key_rows.retire(connection, name, actor, now())
            hub_key_rows.end(connection, name, actor, now())
            return True

        await self._changed(name, write)

    async def _changed(self, name: str, write: Callable[[Connection], bool]) -> None:
        """Destroy the private half of a key, if `write` has retired it."""
        if not await self._context.store.write(write):
            return
        await self.load()
        self._access.changed.set()
        self._context.live.touch("doors")
        try:
            await self._signer.destroy(name)
        except SigningError as error:
            log.warning("hub_key_destroy_failed", key=name, problem=str(error))  # it is when the signer starts next
