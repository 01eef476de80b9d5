"""`/mqtt`: the broker on the same origin as the pages, so that one certificate and one port serve a browser.

Bytes pass as they are; the broker checks the account. We speak TCP to it, not its WebSockets, which in Mosquitto 2.0
hold large retained messages back. The broker is not troubled before somebody says CONNECT.
"""

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from devices.wire.connection import Address
from hub.web.connections import prove

READ_BYTES = 65_536
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0
"""How long the other may take to take leave."""
HELLO_SECONDS = 10.0
"""How long CONNECT may take from the WebSocket's beginning, and the broker's answer after it."""
CONNECT, CONNACK = 0x10, 0x20
"""The first byte of either packet (MQTT 5 § 3.1 and 3.2)."""


def proxy(broker: Address) -> web.RouteDef:
    async def serve(request: web.Request) -> web.StreamResponse:
        if not _is_our_page(request):
            raise web.HTTPForbidden(text="This connection came from another site.")
        browser = web.WebSocketResponse(
            protocols=("mqtt",), heartbeat=None, max_msg_size=READ_BYTES, compress=False, timeout=CLOSE_SECONDS
        )
        await browser.prepare(request)
        try:
            hello = await _hello(browser)
            if hello is not None:
                await _pass_on(request, browser, hello, broker)
        finally:
            await browser.close()
        return browser

    return web.get("/mqtt", serve)


def _is_our_page(request: web.Request) -> bool:
    """A browser says on whose page it was asked to connect; a program says nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.split("://", 1)[-1] == request.host


async def _hello(browser: web.WebSocketResponse) -> bytes | None:
    """The beginning of CONNECT; None for whoever says something else, or nothing."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            first = await browser.receive()
    except TimeoutError:
        await browser.close(code=WSCloseCode.POLICY_VIOLATION, message=b"CONNECT did not come")
        return None
    if first.type is not WSMsgType.BINARY or first.data[:1] != bytes([CONNECT]):
        return None
    return bytes(first.data)


async def _pass_on(request: web.Request, browser: web.WebSocketResponse, hello: bytes, broker: Address) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls)
    except (OSError, TimeoutError):
        await browser.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"the broker does not answer")
        return
    try:
        writer.write(hello)
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
    async with asyncio.timeout(HELLO_SECONDS):
        data = await reader.read(READ_BYTES)
    if _is_welcome(data):
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


def _is_welcome(data: bytes) -> bool:
    """Whether it begins with a CONNACK of success: fixed header, length in 1 to 4 bytes, flags, code."""
    length_ends = next((at for at in range(1, min(5, len(data))) if not data[at] & 0x80), None)
    return data[:1] == bytes([CONNACK]) and length_ends is not None and data[length_ends + 2 : length_ends + 3] == b"\0"
