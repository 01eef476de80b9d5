"""MQTT 3.1.1 by hand, for load: a client costs the generator next to nothing, so that the hub is what is measured."""

import asyncio
import struct
from collections.abc import Callable


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


def publish(topic: str, payload: bytes, number: int, *, retain: bool = False) -> bytes:
    """QoS 1 with a packet number; 0: QoS 0."""
    return (
        _packet(0x32 | retain, _text(topic) + struct.pack("!H", number) + payload)
        if number
        else _packet(0x30 | retain, _text(topic) + payload)
    )


class RawClient(asyncio.Protocol):
    """One connection. `on_payload` gets the payload of every message that comes."""

    def __init__(self, account: str, secret: str, subscribe: str, on_payload: Callable[[bytes], None]) -> None:
        self._hello = _packet(
            0x10, _text("MQTT") + b"\x04\xc2" + struct.pack("!H", 60) + _text(account) + _text(account) + _text(secret)
        ) + _packet(0x82, b"\x00\x01" + _text(subscribe) + b"\x00")
        self._on_payload = on_payload
        self._buffer = b""
        self._number = 0
        self._unacknowledged = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        if qos:
            self._number = self._number % 65_535 + 1
            self._unacknowledged += 1
            self._quiet.clear()
        self._transport.write(publish(topic, payload, self._number if qos else 0, retain=retain))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drained(self) -> None:
        """The broker takes more."""
        await asyncio.sleep(0)
        await self._writable.wait()

    async def all_acknowledged(self) -> None:
        await self._quiet.wait()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        start, end = 0, len(data)
        while end - start >= 2:
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
            kind = data[start] >> 4
            if kind == 3:
                body = at + 2 + (data[at] << 8 | data[at + 1])
                if data[start] & 6:
                    self._transport.write(b"\x40\x02" + data[body : body + 2])
                    body += 2
                self._on_payload(data[body : at + length])
            elif kind == 4:
                self._unacknowledged -= 1
                if not self._unacknowledged:
                    self._quiet.set()
            elif kind == 9 and not self.subscribed.done():
                self.subscribed.set_result(None)
            start = at + length
        self._buffer = data[start:]
