"""The latest signed state of each door, and protection against replayed states."""

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
    received: float | None = None
    is_saved: bool = False
    is_shown_fresh: bool = False
    """Open pages show this state as fresh, and must be updated when it becomes stale."""


class DoorStates:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, _Known] = {}
        self.on_list: Callable[[str, int], None] = lambda _door, _version: None
        """Callback with the door's id and newest list version, called for every state received."""

    async def load(self) -> None:
        """Read doors and their keys from the store; a door enrolled anew starts over."""
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

    def update(self, state: door.State) -> bool:
        """Apply a received state, in order of arrival. False for a replayed one."""
        known = self._known[state.door]
        if (state.boot, state.seq) <= (known.boot, known.seq):
            self._context.devices.note_refusal(state.door, "state: played again")
            return False
        before, known.state = known.state, state
        known.boot, known.seq, known.received = state.boot, state.seq, time.monotonic()
        known.is_saved = before is not None and _looks(before) == _looks(state)
        if not known.is_shown_fresh or before is None or _shows(before) != _shows(state):
            known.is_shown_fresh = True
            self._context.live.touch("doors")
        self.on_list(state.door, self.list_version(state.door))
        return True

    async def watch_silence(self) -> None:
        """Run forever: update pages when a state becomes stale, so that a silent door is not shown as locked (I9)."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            oldest = time.monotonic() - door.CONFIRMED_SECONDS
            stale = [
                known for known in self._known.values() if known.is_shown_fresh and (known.received or 0.0) < oldest
            ]
            for known in stale:
                known.is_shown_fresh = False
            if stale:
                self._context.live.touch("doors")

    async def save(self, state: door.State) -> None:
        """Save the door's position (boot, seq), but only when the visible state has changed."""
        if not self._known[state.door].is_saved:
            await self._context.store.write(lambda connection: rows.save_position(connection, state))

    def keys(self) -> dict[str, str]:
        """Each door's own key, hexadecimal."""
        return {door_id: known.key.encode().hex() for door_id, known in self._known.items()}

    def list_version(self, door_id: str) -> int:
        """The newest list version that the door has reported since the hub started; 0 when none."""
        known = self._known.get(door_id)
        return max(known.state.list_version, known.state.list_newest) if known and known.state else 0

    def hub_keys(self, door_id: str) -> tuple[str, ...]:
        """The ids of the hub keys that the door has reported to trust since the hub started."""
        known = self._known.get(door_id)
        return known.state.hub_keys if known and known.state else ()

    def of(self, door_id: str) -> DoorState:
        """The state to show: unknown without a confirmation younger than 30 s (I9)."""
        known = self._known.get(door_id)
        if known is None or known.state is None or known.received is None:
            return UNKNOWN
        age, state = time.monotonic() - known.received, known.state
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
    """The fields that pages show. The end of a hold is rounded, since the page counts down by itself."""
    ends_at = round((state.sent_at.timestamp() + state.hold_seconds) / 5) if state.hold_seconds else 0
    return *_looks(state), ends_at, state.power, state.list_until, state.inputs, state.knows_time


def _looks(state: door.State) -> tuple[object, ...]:
    return state.lock, state.contact, state.mode, state.lockdown, state.list_version
