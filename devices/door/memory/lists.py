"""The access list on the controller's disk: accepted when the hub signed it, active once it is durable."""

import os
from dataclasses import dataclass
from pathlib import Path

import structlog
from nacl.signing import SigningKey, VerifyKey
from pydantic import ValidationError

from devices.access.lists import AccessList, Credential, DoorAccess, ListError
from devices.contract.door import MAX_LIST_BYTES, Signed
from devices.door.deciding.exchange import Exchange

log = structlog.get_logger("door.lists")


@dataclass(frozen=True, slots=True)
class ActiveList:
    """An access list that the door decides by."""

    access: DoorAccess
    roll: dict[str, Credential]
    key: bytes
    hub_keys: dict[str, VerifyKey]


class Lists:
    """All methods but `__init__` block; call them in a thread, one at a time. Raises OSError."""

    def __init__(self, folder: Path, door: str, own: SigningKey, exchange: Exchange) -> None:
        self.problem: str | None = None
        self._path = folder / "list.json"
        self._door = door
        self._own = own
        self._exchange = exchange

    def load(self) -> ActiveList | None:
        """The last active list; None without one. A damaged one is moved aside and reported as `problem`."""
        try:
            payload = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problem = f"the access list cannot be read: {error}"
            log.error("list_load_failed", error=str(error))  # noqa: TRY400 (the words say all)
            return None
        try:
            return self._opened(_signed(payload), newer_than=0)  # verified when it came; its key may be gone
        except ListError as error:
            self.problem = f"the access list on the disk {error}"
            self._path.replace(self._path.with_suffix(".damaged"))
            log.error("list_damaged", problem=str(error))  # noqa: TRY400 (the words say all)
            return None

    def is_in_use(self, payload: bytes) -> bool:
        try:
            return self._path.read_bytes() == payload
        except OSError:
            return False

    def receive(self, payload: bytes, newer_than: int) -> ActiveList:
        """Verify and store a new list; durable when this returns. Raises ListError for an invalid or older one."""
        signed = _signed(payload)
        key = self._exchange.key(signed.key)
        if key is None or not signed.is_by(key):
            raise ListError("is not signed by the hub")
        found = self._opened(signed, newer_than)
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.problem = None
        return found

    def _opened(self, signed: Signed, newer_than: int) -> ActiveList:
        found = AccessList.opened(signed.content, self._own)
        if found.access.door != self._door:
            raise ListError("is another door's")
        if found.access.version <= newer_than:
            raise ListError("is not newer than the one in use")
        hub_keys = {name: VerifyKey(bytes.fromhex(text)) for name, text in found.hub_keys.items()}
        return ActiveList(found.access, found.roll(), bytes.fromhex(found.key), hub_keys)


def _signed(payload: bytes) -> Signed:
    if len(payload) > MAX_LIST_BYTES:
        raise ListError("is too large")
    try:
        return Signed.model_validate_json(payload)
    except ValidationError:
        raise ListError("is not readable") from None
