"""Ports for tests' servers."""

import os
import random
import socket
from contextlib import suppress

FIRST = 20_000
EACH = 3_000


def free_port() -> int:
    """Below the range that the kernel takes for outgoing connections: those would come in between.

    Tests that run side by side take theirs from different ranges: two would else be given the same one at times.
    """
    first = FIRST + EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = random.randrange(first, first + EACH)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
