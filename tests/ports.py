"""Ports for tests' servers."""

import os
import random
import socket
from contextlib import suppress

FIRST = 20_000
EACH = 3_000


def _in_turn() -> list[int]:
    """Below the range that the kernel takes for outgoing connections: those would come in between.

    Tests that run side by side take theirs from different ranges.
    """
    first = FIRST + EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return random.sample(range(first, first + EACH), EACH)


_waiting: list[int] = []


def free_port() -> int:
    """Each once before any comes again: a test asks for several before it uses the first."""
    while True:
        if not _waiting:
            _waiting.extend(_in_turn())
        port = _waiting.pop()
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
