"""`/mqtt`: the broker on the same origin as the pages, so that browsers need only one certificate and port.

Bytes are forwarded unchanged; the broker authenticates. It is connected by TCP, not by its WebSockets, which in
Mosquitto 2.0 delay large retained messages, and only once a CONNECT was received.
"""

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from devices.wire.connection import Address
from hub.web.connections import prove

READ_BYTES = 65_536
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0
"""Time limit for the closing handshake."""
FIRST_PACKET_SECONDS = 10.0
"""Time limit for the CONNECT packet, and for the broker's response to it."""
CONNECT, CONNACK = 0x10, 0x20
"""The first byte of either packet (MQTT 5 § 3.1 and 3.2)."""


def proxy(broker: Address) -> web.RouteDef:
    async def serve(request: web.Request) -> web.StreamResponse:
        if not _is_same_origin(request):
            raise web.HTTPForbidden(text="This connection came from another site.")
        browser = web.WebSocketResponse(
            protocols=("mqtt",), heartbeat=None, max_msg_size=READ_BYTES, compress=False, timeout=CLOSE_SECONDS
        )
        await browser.prepare(request)
        try:
            first_packet = await _first_packet(browser)
            if first_packet is not None:
                await _forward(request, browser, first_packet, broker)
        finally:
            await browser.close()
        return browser

    return web.get("/mqtt", serve)


def _is_same_origin(request: web.Request) -> bool:
    """Whether the request comes from our page, or from a program, which sends neither header."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.split("://", 1)[-1] == request.host


async def _first_packet(browser: web.WebSocketResponse) -> bytes | None:
    """The first data, if it is a CONNECT packet; None otherwise, or if nothing is received in time."""
    try:
        async with asyncio.timeout(FIRST_PACKET_SECONDS):
            first = await browser.receive()
    except TimeoutError:
        await browser.close(code=WSCloseCode.POLICY_VIOLATION, message=b"CONNECT did not come")
        return None
    if first.type is not WSMsgType.BINARY or first.data[:1] != bytes([CONNECT]):
        return None
    return bytes(first.data)


async def _forward(request: web.Request, browser: web.WebSocketResponse, first_packet: bytes, broker: Address) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls)
    except (OSError, TimeoutError):
        await browser.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"the broker does not answer")
        return
    try:
        writer.write(first_packet)
        down = asyncio.create_task(_down(request, reader, browser))
        up = asyncio.create_task(_up(browser, writer))
        await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
        for task in (down, up):
            task.cancel()
        await asyncio.gather(down, up, return_exceptions=True)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _down(request: web.Request, reader: asyncio.StreamReader, browser: web.WebSocketResponse) -> None:
    async with asyncio.timeout(FIRST_PACKET_SECONDS):
        data = await reader.read(READ_BYTES)
    if _is_connack_success(data):
        prove(request)
    while data:
        await browser.send_bytes(data)
        data = await reader.read(READ_BYTES)


async def _up(browser: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in browser:
        if message.type is not WSMsgType.BINARY:
            return
        writer.write(message.data)
        await writer.drain()


def _is_connack_success(data: bytes) -> bool:
    """Whether it begins with a successful CONNACK: fixed header, length in 1 to 4 bytes, flags, code."""
    length_ends = next((at for at in range(1, min(5, len(data))) if not data[at] & 0x80), None)
    return data[:1] == bytes([CONNACK]) and length_ends is not None and data[length_ends + 2 : length_ends + 3] == b"\0"
