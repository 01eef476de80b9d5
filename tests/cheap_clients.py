"""Clients without a login who send what is cheap to send and was dear to read: `python -m tests.cheap_clients PORT`.

Each of four threads sends one kind of request over and over. A line with the statuses that each was answered comes
when standard input ends.
"""

import gzip
import json
import socket
import sys
import threading
import zlib
from collections import Counter
from contextlib import suppress

FORM = "application/x-www-form-urlencoded"
PARTS = 13_000
FIELDS = 100_000
BOMB_BYTES = 200_000_000
SECONDS = 20.0


def requests() -> dict[str, list[bytes]]:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    bomb = gzip.compress(bytes(BOMB_BYTES), 9)
    deflated = zlib.compress(b"a=1&" * (BOMB_BYTES // 100), 9)
    return {
        "parts": [
            posted("/login", "multipart/form-data; boundary=x", part * PARTS + b"--x--\r\n"),
            posted("/language", "multipart/form-data; boundary=x", part * PARTS + b"--x--\r\n"),
        ],
        "bombs": [
            posted("/login", FORM, bomb, "gzip"),
            posted("/pair", "application/json", bomb, "gzip"),
            posted("/answer/x", FORM, deflated, "deflate"),
            posted("/api/v1/tokens", "application/json", bomb, "gzip"),
        ],
        "fields": [posted("/login", FORM, b"a=1&" * FIELDS), posted("/answer/x", FORM, b"%41=%41&" * FIELDS)],
        "documents": [b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
    }


def posted(path: str, kind: str, body: bytes, encoding: str = "") -> bytes:
    packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\n{packed}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send(port: int, wanted: list[bytes], stopped: threading.Event, answered: Counter[str]) -> None:
    while not stopped.is_set():
        for one in wanted:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
                    with suppress(OSError):  # refused before all of it was taken
                        connection.sendall(one)
                    answer = connection.recv(64)
                    answered[answer.split(b" ")[1].decode() if answer else "none"] += 1
            except OSError as error:
                answered[type(error).__name__] += 1


def main() -> None:
    port, stopped = int(sys.argv[1]), threading.Event()
    answered: dict[str, Counter[str]] = {}
    threads = []
    for name, wanted in requests().items():
        answered[name] = Counter()
        threads.append(threading.Thread(target=send, args=(port, wanted, stopped, answered[name])))
    for thread in threads:
        thread.start()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sys.stdin.read()
    stopped.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(answered) + "\n")


if __name__ == "__main__":
    main()
