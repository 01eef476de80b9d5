"""Whom a door believes and which list it had, outside the list: a list on the disk may be lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from nacl.signing import SigningKey, VerifyKey

NAME = "trust"


@dataclass(frozen=True, slots=True)
class Trust:
    """By the newest list that was taken. It is this door's as long as its own key is; paired anew, it begins anew."""

    list_version: int = 0
    hub_keys: Mapping[str, VerifyKey] = field(default_factory=dict)

    @classmethod
    def of(cls, lasting: Mapping[str, str], own: SigningKey) -> "Trust":
        """What `kept` made before the last start."""
        kept = orjson.loads(lasting.get(NAME, "{}"))
        if kept.get("own") != own.verify_key.encode().hex():
            return cls()
        keys = {name: VerifyKey(bytes.fromhex(text)) for name, text in kept["hub_keys"].items()}
        return cls(kept["list_version"], keys)

    def kept(self, own: SigningKey) -> tuple[str, str]:
        """Its name and text, to outlive a restart."""
        keys = {name: key.encode().hex() for name, key in self.hub_keys.items()}
        said = {"own": own.verify_key.encode().hex(), "list_version": self.list_version, "hub_keys": keys}
        return NAME, orjson.dumps(said).decode()
