"""Which of the hub's keys signs, which ones doors believe, and changing them without a door that stays shut.

A new key is told to every door by lists that the old key signs. When each door has said that it believes the new one,
the new one signs, and the old one's private half is destroyed. Passes that the old one signed are good until they run
out; then doors forget it too. So doors believe two keys while one takes over from the other, and else one.
"""

import asyncio
from collections.abc import Callable

import structlog
from nacl.signing import VerifyKey
from sqlalchemy import Connection

from devices.contract import door
from devices.contract.door import Command, Signed
from hub.plugin import Context, now
from plugins.locks.doors.standing import Standing
from plugins.locks.models import HubKey, HubKeyError
from plugins.locks.rules.access import Access
from plugins.locks.store import hub_key_rows
from plugins.locks.trust.signing import Signer, SigningError

log = structlog.get_logger("locks")

THE_HUB = "hub"
"""The actor of what happens by itself."""
LOOK_SECONDS = 1.0
RETRY_SECONDS = 10.0


class HubKeys:
    """All of `kept` is in the store, and its order is that of making."""

    def __init__(self, context: Context, signer: Signer, access: Access, standing: Standing) -> None:
        self.kept: list[HubKey] = []
        self._context = context
        self._signer = signer
        self._access = access
        self._standing = standing
        self._changing = asyncio.Lock()
        self._several = asyncio.Event()

    async def load(self) -> None:
        """From the store."""
        self.kept = await self._context.store.read(hub_key_rows.kept)
        (self._several.set if len(self.kept) > 1 else self._several.clear)()

    # -- signing

    async def sign(self, command: Command) -> Signed:
        """Raises SigningError."""
        return await self.sign_content(command.encoded())

    async def sign_content(self, content: bytes, key: str | None = None) -> Signed:
        """A command's bytes, a list's or a pass's; by the key that signs unless one is named. Raises SigningError."""
        return await self._signer.sign(content, key or (await self.current()).id)

    async def current(self) -> HubKey:
        """The key that signs: every door believes it. Made when there is none yet. Raises SigningError."""
        async with self._changing:
            if self._signs() is None:
                await self.load()  # a command beside this hub may have made one
            return self._signs() or await self._make(THE_HUB)

    async def believed(self) -> dict[str, VerifyKey]:
        """By id: those that doors shall obey. Raises SigningError."""
        await self.current()
        return {one.id: VerifyKey(bytes.fromhex(one.verify_key)) for one in self.kept if one.is_made}

    # -- changing

    @property
    def coming(self) -> HubKey | None:
        """The key that doors are being told of."""
        fresh = [one for one in self.kept if one.retired_at is None]
        return fresh[-1] if len(fresh) > 1 else None

    def unaware(self) -> list[str]:
        """Doors that have not said yet that they believe the key that is coming."""
        name = self.coming.id if self.coming else None
        doors = [one.id for one in self._context.devices.of_kind(door.KIND) if one.id in self._standing]
        return [one for one in doors if name not in self._standing.hub_keys(one)]

    def strangers(self) -> list[str]:
        """Doors that obey none of these keys: they must be enrolled anew."""
        ours = {one.id for one in self.kept}
        doors = [one.id for one in self._context.devices.of_kind(door.KIND)]
        return [one for one in doors if (said := set(self._standing.hub_keys(one))) and not said & ours]

    async def begin(self, actor: str) -> str:
        """Make a new key and have it told to the doors; its id. Raises HubKeyError while another is coming."""
        await self.current()
        async with self._changing:
            if self.coming is not None:
                raise HubKeyError(f"{self.coming.id} is still being told to the doors")
            made = await self._make(actor)
        self._access.changed.set()
        return made.id

    async def end_now(self, name: str, actor: str) -> None:
        """A key that somebody else may have: not believed from now on, nor what it signed, passes too.

        Doors that do not know the newest key obey nobody any more and must be enrolled anew. Raises HubKeyError for
        the newest, and for one that is not there.
        """
        async with self._changing:
            if name not in {one.id for one in self.kept[:-1]}:
                raise HubKeyError(f"{name} is the newest key, or there is none of that name")
            if not self.kept[-1].is_made:
                raise HubKeyError(f"{self.kept[-1].id} is not made yet, and no door can know it")
            await self._end(name, actor)

    async def watch(self) -> None:
        """While there is more than one: go on when the doors know the new one, and when the old passes have run out."""
        while True:
            await self._several.wait()
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
            old, known = self.kept[-2].id, self._standing.keys()
            await self._changed(
                old, lambda connection: hub_key_rows.retire_if_known(connection, old, THE_HUB, now(), known)
            )
        for one in self.kept:
            if one.retired_at is not None and not self.passes_of(one.id):
                await self._end(one.id, THE_HUB)

    def passes_of(self, name: str) -> int:
        """How many passes it has signed that are still good."""
        at = now()
        return sum(one.key == name and one.until > at and not one.is_over for one in self._access.kept.passes)

    def _signs(self) -> HubKey | None:
        return next((one for one in self.kept if one.is_made and one.retired_at is None), None)

    async def _make(self, actor: str) -> HubKey:
        """One that was intended and not made, as after a crash, is made now."""
        if not self.kept or self.kept[-1].is_made:
            await self._context.store.write(lambda connection: hub_key_rows.intend(connection, actor, now()))
            await self.load()
        return await self._finish(self.kept[-1])

    async def _finish(self, intended: HubKey) -> HubKey:
        verify_key = await self._signer.make(intended.id)
        await self._context.store.write(lambda connection: hub_key_rows.made(connection, intended.id, verify_key))
        await self.load()
        self._access.changed.set()
        return next(one for one in self.kept if one.id == intended.id)

    async def _end(self, name: str, actor: str) -> None:
        def write(connection: Connection) -> bool:
            hub_key_rows.retire(connection, name, actor, now())
            hub_key_rows.end(connection, name, actor, now())
            return True

        await self._changed(name, write)

    async def _changed(self, name: str, write: Callable[[Connection], bool]) -> None:
        """A key that signs no more, if `write` says so; its private half is destroyed."""
        if not await self._context.store.write(write):
            return
        await self.load()
        self._access.changed.set()
        self._context.live.touch("doors")
        try:
            await self._signer.destroy(name)
        except SigningError as error:
            log.warning("hub_key_destroy_failed", key=name, problem=str(error))  # it is when the signer starts next
