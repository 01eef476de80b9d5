"""Access lists as a hub makes them, for one door of a test."""

from datetime import UTC, datetime, timedelta

from nacl.signing import SigningKey, VerifyKey

from devices.access.credentials import card, fingerprint, typed_pin
from devices.access.lists import AccessList, Credential, DoorAccess, Rule
from devices.contract.door import Signed

KEY = bytes(range(32))
KARI = "26:12:3456"
"""As a simulated reader is told of it."""


def shown(text: str) -> str:
    return fingerprint(KEY, text)


def signed_list(hub: SigningKey, door: VerifyKey, version: int = 1, **changes: object) -> bytes:
    """Kari's card opens at all times; `changes` are of DoorAccess."""
    now = datetime.now(UTC)
    made = {
        "door": "door-1",
        "version": version,
        "made_at": now - timedelta(minutes=1),
        "valid_until": now + timedelta(hours=36),
        "rules": (Rule(id=1),),
        "pulse_ms": 700,
    }
    access = DoorAccess.model_validate(made | changes)
    roll = {
        shown(card(26, 12, 3456)): Credential("kari", frozenset({1})),
        shown(typed_pin("482913")): Credential("pin-1", frozenset({1})),
    }
    content = AccessList.of(access, roll, KEY, {"hub-1": hub.verify_key.encode().hex()}).sealed(door)
    return Signed.sign_content(content, hub, "hub-1").encoded()
