"""Compiles, signs and publishes each door's access list (docs/doors.md)."""

import asyncio
import hashlib
import threading
from datetime import datetime, timedelta

import orjson
import structlog
from nacl.signing import VerifyKey

from devices.access.lists import AccessList, Columns, Roll
from devices.contract import door
from hub.plugin import Context, Device, now
from plugins.locks.doors.mqtt import DoorTopics
from plugins.locks.doors.states import DoorStates
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.access import Access
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.signing import SigningError

log = structlog.get_logger("locks")

LOOK_SECONDS = 60.0
RETRY_SECONDS = 2.0
AT_ONCE = 8
SIGNED_BYTES = 300
"""Overhead of the signed envelope: signature, key, punctuation."""
FORMAT = 2
"""Version of the list format; lists in an older format are made anew."""
GATHER_SECONDS = 0.05
"""Debounce: a burst of changes, as after reading the directory, makes one list."""


class Lists:
    def __init__(
        self, context: Context, access: Access, hub_keys: HubKeys, doors: DoorTopics, states: DoorStates
    ) -> None:
        self.problem: str | None = None
        self._sent: dict[str, int] = {}
        """Door → version of the list that was published last."""
        self._context = context
        self._access = access
        self._hub_keys = hub_keys
        self._doors = doors
        self._states = states
        self._latest: dict[str, int] = {}
        """Door → version of the latest list in the store."""
        states.on_list = self._on_list_version

    async def run(self) -> None:
        """Run forever: make lists when something has changed, and before they expire."""
        while True:
            self._access.changed.clear()
            try:
                self.problem = None
                await self.make()
                wait = LOOK_SECONDS
            except SigningError as error:
                self.problem = f"no lists for the doors: {error}"
                wait = RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._access.changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(GATHER_SECONDS)

    def _on_list_version(self, door_id: str, version: int) -> None:
        """Make a newer list at once for a door that is ahead of us, as after restoring an older database."""
        if door_id in self._latest and version > self._latest[door_id]:
            self._access.changed.set()

    async def make(self) -> None:
        """Make new lists for doors whose list is out of date or past half its validity.

        Several concurrently, so that commits are grouped. Raises SigningError.
        """
        latest = await self._context.store.read(access_rows.lists)
        self._latest |= {door_id: row.version for door_id, row in latest.items()}
        credentials = _PackedCredentials(self._access.roll)
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(device: Device) -> None:
            async with turns:
                await self._make(device, latest.get(device.id), credentials)

        doors = [device for device in self._context.devices.of_kind(door.KIND) if device.id in self._states]
        for ended in await asyncio.gather(*map(in_turn, doors), return_exceptions=True):
            if ended is not None:
                raise ended

    async def republish(self) -> None:
        """Publish the latest lists again, after a reconnect to the broker."""
        for device in self._context.devices.of_kind(door.KIND):
            found = await self._context.store.read(lambda c, device=device: access_rows.payload(c, device.id))  # type: ignore[misc]
            if found is not None and found[0] >= self._sent.get(device.id, 0):  # else a newer one was sent meanwhile
                self._doors.send_list(device, door.Signed.model_validate_json(found[1]))

    async def _make(
        self, device: Device, latest: access_rows.ListRow | None, credentials: "_PackedCredentials"
    ) -> None:
        settings = self._access.settings_of(device.id)
        lasting = timedelta(hours=settings.offline_hours)
        at_door = self._states.list_version(device.id)  # higher than ours after an older database was restored
        version, made_at = max(latest.version if latest else 0, at_door) + 1, now()
        key = self._states.key(device.id)
        assert key is not None  # noqa: S101 (it stands there)
        access = self._access.compile(device.id, device.where.zone, version, made_at + lasting)
        if self._access.roll is not credentials.roll:
            return  # the rule book was reloaded meanwhile; `changed` is set, and the next run makes the list
        hub_keys = {name: key.encode().hex() for name, key in (await self._hub_keys.trusted()).items()}
        whole = AccessList(access=access, key=self._access.key.hex(), hub_keys=hub_keys)
        packed, of_packed = await asyncio.to_thread(credentials.of, frozenset(rule.id for rule in access.rules))
        digest = await asyncio.to_thread(_digest, whole, of_packed, key)
        is_good = latest is not None and latest.has_payload and latest.digest == digest and at_door <= latest.version
        if latest is not None and is_good and not _is_old(latest, lasting, made_at):
            return
        content = await asyncio.to_thread(whole.sealed, key, packed)
        if (size := len(content) * 4 // 3 + SIGNED_BYTES) > door.MAX_LIST_BYTES:
            self.problem = f"the list of {device.id} is too long: {size} bytes, at most {door.MAX_LIST_BYTES}"
            log.error("list_too_long", door=device.id, size=size)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        self._latest[device.id] = version
        until = access.valid_until
        await self._context.store.write(
            lambda connection: access_rows.intend_list(connection, device.id, version, digest, sha256, made_at, until)
        )
        signed = await self._hub_keys.sign_content(content)
        payload = signed.encoded()
        await self._context.store.write(
            lambda connection: access_rows.save_payload(connection, device.id, version, payload)
        )
        self._sent[device.id] = version
        self._doors.send_list(device, signed)


class _PackedCredentials:
    """Cache of packed credentials by set of rules, since many doors have the same rules. Thread-safe."""

    def __init__(self, roll: Roll) -> None:
        self.roll = roll
        self._known: dict[frozenset[int], tuple[bytes, bytes]] = {}
        self._packing = threading.Lock()

    def of(self, rules: frozenset[int]) -> tuple[bytes, bytes]:
        """The packed credentials for these rules, and their digest."""
        with self._packing:
            if rules not in self._known:
                packed = Columns.of(self.roll, rules).packed()
                self._known[rules] = packed, hashlib.sha256(packed).digest()
            return self._known[rules]


def _digest(whole: AccessList, of_credentials: bytes, key: VerifyKey) -> str:
    """Digest of a list's content and recipient, without version and times."""
    made = {"version", "made_at", "valid_until", "audit"}
    content = whole.model_dump(mode="json", exclude={"access": made, "credentials": True})
    content["format"] = FORMAT
    content["access"]["holidays"] = sorted(content["access"]["holidays"])
    encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(encoded + of_credentials + key.encode()).hexdigest()


def _is_old(latest: access_rows.ListRow, lasting: timedelta, at: datetime) -> bool:
    """Whether a list is past half its validity, or was made for another validity period."""
    return lasting > timedelta() and not lasting / 2 < latest.valid_until - at <= lasting
