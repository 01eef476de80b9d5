"""The hub keys that a door trusts and its newest list version, apart from the list, which may be damaged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from nacl.signing import SigningKey, VerifyKey

NAME = "trust"


@dataclass(frozen=True, slots=True)
class Trust:
    """From the newest accepted list. Void when the door's own key changes, as after pairing anew."""

    list_version: int = 0
    hub_keys: Mapping[str, VerifyKey] = field(default_factory=dict)

    @classmethod
    def of(cls, persisted: Mapping[str, str], own: SigningKey) -> "Trust":
        """From the result of `as_persisted` before the last start."""
        stored = orjson.loads(persisted.get(NAME, "{}"))
        if stored.get("own") != own.verify_key.encode().hex():
            return cls()
        keys = {name: VerifyKey(bytes.fromhex(text)) for name, text in stored["hub_keys"].items()}
        return cls(stored["list_version"], keys)

    def as_persisted(self, own: SigningKey) -> tuple[str, str]:
        """Name and value to persist."""
        keys = {name: key.encode().hex() for name, key in self.hub_keys.items()}
        trust = {"own": own.verify_key.encode().hex(), "list_version": self.list_version, "hub_keys": keys}
        return NAME, orjson.dumps(trust).decode()
