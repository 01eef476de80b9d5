"""How each door stands, by its own signed word, and whether that word is the latest."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nacl.signing import VerifyKey

from devices.contract import door
from hub.plugin import Context
from plugins.locks.models import DoorState
from plugins.locks.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS = 1.0
UNKNOWN = DoorState("unknown", "unknown", None)


@dataclass
class _Known:
    key: VerifyKey
    boot: int
    seq: int
    state: door.State | None = None
    heard: float | None = None
    is_kept: bool = False
    is_shown_fresh: bool = False
    """Pages have been told that its word is fresh; they are told when it no longer is."""


class Standing:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, _Known] = {}
        self.on_list: Callable[[str, int], None] = lambda _door, _version: None
        """Told of the newest list that a door has had, whenever it says something of itself."""

    async def load(self) -> None:
        """The doors of the store."""
        found = await self._context.store.read(rows.doors)
        for door_id, position in found.items():
            key = VerifyKey(bytes.fromhex(position.verify_key))
            known = self._known.get(door_id)
            if known is None or known.key != key:
                self._known[door_id] = _Known(key, position.boot, position.seq)
        for gone in set(self._known) - set(found):
            del self._known[gone]

    def __contains__(self, door_id: str) -> bool:
        return door_id in self._known

    def key(self, door_id: str) -> VerifyKey | None:
        known = self._known.get(door_id)
        return known.key if known else None

    def note(self, state: door.State) -> bool:
        """At once, in the order of arrival. False for one that is played again."""
        known = self._known[state.door]
        if (state.boot, state.seq) <= (known.boot, known.seq):
            self._context.devices.refused(state.door, "state: played again")
            return False
        before, known.state = known.state, state
        known.boot, known.seq, known.heard = state.boot, state.seq, time.monotonic()
        known.is_kept = before is not None and _looks(before) == _looks(state)
        if not known.is_shown_fresh or before is None or _shows(before) != _shows(state):
            known.is_shown_fresh = True
            self._context.live.touch("doors")
        self.on_list(state.door, self.list_version(state.door))
        return True

    async def watch_silence(self) -> None:
        """For ever: a door that says nothing sends no event, and pages must not show it as locked any longer (I9)."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            oldest = time.monotonic() - door.CONFIRMED_SECONDS
            stale = [one for one in self._known.values() if one.is_shown_fresh and (one.heard or 0.0) < oldest]
            for known in stale:
                known.is_shown_fresh = False
            if stale:
                self._context.live.touch("doors")

    async def keep(self, state: door.State) -> None:
        """How far it has come, when it looks otherwise than before."""
        if not self._known[state.door].is_kept:
            await self._context.store.write(lambda connection: rows.keep_position(connection, state))

    def keys(self) -> dict[str, str]:
        """Each door's own key, hexadecimal."""
        return {door_id: known.key.encode().hex() for door_id, known in self._known.items()}

    def list_version(self, door_id: str) -> int:
        """Of the newest list that it has said it has had, since the hub started."""
        known = self._known.get(door_id)
        return max(known.state.list_version, known.state.list_newest) if known and known.state else 0

    def hub_keys(self, door_id: str) -> tuple[str, ...]:
        """The ids of the hub's keys that it has said it believes, since the hub started."""
        known = self._known.get(door_id)
        return known.state.hub_keys if known and known.state else ()

    def of(self, door_id: str) -> DoorState:
        """As it may be shown: unknown without a confirmation younger than 30 s (I9)."""
        known = self._known.get(door_id)
        if known is None or known.state is None or known.heard is None:
            return UNKNOWN
        age, state = time.monotonic() - known.heard, known.state
        is_fresh = age <= door.CONFIRMED_SECONDS
        return DoorState(
            lock=state.lock if is_fresh else "unknown",
            contact=state.contact if is_fresh else "unknown",
            age_seconds=age,
            mode=state.mode,
            hold_seconds=max(0, state.hold_seconds - int(age)),
            lockdown=state.lockdown,
            power=state.power,
            list_version=state.list_version,
            list_until=state.list_until,
            inputs=state.inputs if is_fresh else (),
            knows_time=state.knows_time,
        )

    def opened_until(self, door_id: str) -> datetime | None:
        """When a door that is held open locks again."""
        state = self.of(door_id)
        if state.mode != "held_open" or not state.hold_seconds:
            return None
        return datetime.now(UTC) + timedelta(seconds=state.hold_seconds)


def _shows(state: door.State) -> tuple[object, ...]:
    """What pages show of it. The seconds that are left of a hold run down by themselves."""
    ends_at = round((state.sent_at.timestamp() + state.hold_seconds) / 5) if state.hold_seconds else 0
    return *_looks(state), ends_at, state.power, state.list_until, state.inputs, state.knows_time


def _looks(state: door.State) -> tuple[object, ...]:
    return state.lock, state.contact, state.mode, state.lockdown, state.list_version
