"""A simulated device's connection to the broker: a minimal MQTT 3.1.1, so that ten thousand fit into one process.

It reconnects by itself, with growing, jittered waits. There is no ping: every device publishes more often than its
keepalive.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from devices.wire.connection import longest_wait

KEEPALIVE_SECONDS = 60
CONNECT_SECONDS = 30
SHORTEST_WAIT_SECONDS = 0.5
"""Ten thousand devices reconnect at the same time."""
CONNACK, PUBLISH, SUBACK = 2, 3, 9


@dataclass(frozen=True, slots=True)
class Login:
    host: str
    port: int
    account: str
    secret: str


class Connection(asyncio.Protocol):
    """`on_ready` is called after each subscription, `on_message` with topic, payload and whether it was retained."""

    __slots__ = (
        "_away_since",
        "_buffer",
        "_closed",
        "_connecting",
        "_failures",
        "_hello",
        "_login",
        "_number",
        "_on_message",
        "_on_ready",
        "_random",
        "_transport",
        "is_ready",
    )

    def __init__(
        self,
        login: Login,
        subscribe: str,
        will: tuple[str, bytes] | None,
        on_ready: Callable[[], None],
        on_message: Callable[[str, bytes, bool], None],
        random: Random,
    ) -> None:
        self.is_ready = False
        self._login = login
        self._hello = _connect(login, will) + _packet(0x82, b"\x00\x01" + _text(subscribe) + b"\x01")
        self._on_ready = on_ready
        self._on_message = on_message
        self._random = random
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._buffer = b""
        self._number = 0
        self._failures = 0
        self._away_since = 0.0
        self._closed = False

    def open(self, after_seconds: float = 0.0) -> None:
        """Connect, now or later, and reconnect whenever the connection is lost."""
        self._closed = False
        if self._connecting is None and self._transport is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(after_seconds))

    def cut(self) -> None:
        """Disconnect as a power cut would, without DISCONNECT, so that the broker publishes the last will."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._transport is not None:
            self._transport.abort()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """False, and nothing sent, while there is no connection."""
        if not self.is_ready or self._transport is None:
            return False
        first = 0x30 | (qos << 1) | retain
        number = b""
        if qos:
            self._number = self._number % 65_535 + 1
            number = struct.pack("!H", self._number)
        self._transport.write(_packet(first, _text(topic) + number + payload))
        return True

    # -- the line

    async def _connect(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await loop.create_connection(lambda: self, self._login.host, self._login.port)
            except (OSError, TimeoutError):
                await asyncio.sleep(self._wait_seconds())
                continue
            self._connecting = None
            return

    def _wait_seconds(self) -> float:
        now = time.monotonic()
        if self._failures == 0:
            self._away_since = now
        self._failures += 1
        longest = max(longest_wait(self._failures, now - self._away_since), SHORTEST_WAIT_SECONDS)
        return longest * self._random.uniform(0.5, 1.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP has no other)
        self._transport = transport
        self._buffer = b""
        transport.write(self._hello)

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_ready = False
        self._transport = None
        if not self._closed:
            self.open(self._wait_seconds())

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        start, end = 0, len(data)
        while end - start >= 2:  # noqa: PLR2004 (no packet is shorter)
            at, length, shift = start + 1, 0, 0
            while at < end:
                digit = data[at]
                length |= (digit & 127) << shift
                at, shift = at + 1, shift + 7
                if not digit & 128:
                    break
            else:
                break
            if at + length > end:
                break
            self._handle_packet(data[start], data[at : at + length])
            start = at + length
        self._buffer = data[start:]

    def _handle_packet(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == PUBLISH:
            after = 2 + (body[0] << 8 | body[1])
            topic = body[2:after].decode()
            if first & 6 and self._transport is not None:
                self._transport.write(b"\x40\x02" + body[after : after + 2])
                after += 2
            self._on_message(topic, body[after:], bool(first & 1))
        elif kind == CONNACK and body[1] and self._transport is not None:
            self._transport.abort()  # refused; tried again with the usual waits, as a device would
        elif kind == SUBACK:
            self.is_ready = True
            self._failures = 0
            self._on_ready()


def _connect(login: Login, will: tuple[str, bytes] | None) -> bytes:
    flags, extra = 0xC2, b""
    if will is not None:
        flags |= 0x2C  # a retained last will with QoS 1
        extra = _text(will[0]) + _text(will[1])
    head = _text("MQTT") + b"\x04" + bytes([flags]) + struct.pack("!H", KEEPALIVE_SECONDS)
    return _packet(0x10, head + _text(login.account) + extra + _text(login.account) + _text(login.secret))


def _text(data: str | bytes) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return struct.pack("!H", len(raw)) + raw


def _packet(first: int, rest: bytes) -> bytes:
    size, length = bytearray(), len(rest)
    while True:
        digit, length = length & 0x7F, length >> 7
        size.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + bytes(size) + rest
