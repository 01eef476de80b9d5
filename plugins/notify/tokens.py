"""Signed tokens in answer links: whoever holds the link may answer this one message."""

import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer


class Tokens:
    def __init__(self, key_file: Path) -> None:
        self._serializer = URLSafeSerializer(_key(key_file), salt="kommunevert answer")

    def make(self, message_id: str) -> str:
        return str(self._serializer.dumps(message_id))

    def message_id(self, token: str) -> str | None:
        """None when it is not one of ours."""
        try:
            found = self._serializer.loads(token)
        except BadSignature:
            return None
        return found if isinstance(found, str) else None


def _key(path: Path) -> str:
    """The key, created at the first start and stored, so that links survive a restart."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()
