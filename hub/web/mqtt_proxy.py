"""`/mqtt`: the broker on the same origin as the pages, so that one certificate and one port serve a tablet.

Bytes pass as they are; the broker checks the account. We speak TCP to it, not its WebSockets, which in Mosquitto 2.0
hold large retained messages back.
"""

import asyncio
from contextlib import suppress

from aiohttp import WSMsgType, web

from hub.wire import Address

READ_BYTES = 65_536
CONNECT_SECONDS = 5


def proxy(broker: Address) -> web.RouteDef:
    async def serve(request: web.Request) -> web.StreamResponse:
        browser = web.WebSocketResponse(protocols=("mqtt",), heartbeat=None, max_msg_size=READ_BYTES, compress=False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls)
        except (OSError, TimeoutError):
            raise web.HTTPServiceUnavailable(text="The broker does not answer.") from None
        try:
            await browser.prepare(request)
            down = asyncio.create_task(_down(reader, browser))
            up = asyncio.create_task(_up(browser, writer))
            await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
            for task in (down, up):
                task.cancel()
            await asyncio.gather(down, up, return_exceptions=True)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            await browser.close()
        return browser

    return web.get("/mqtt", serve)


async def _down(reader: asyncio.StreamReader, browser: web.WebSocketResponse) -> None:
    while data := await reader.read(READ_BYTES):
        await browser.send_bytes(data)


async def _up(browser: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in browser:
        if message.type is not WSMsgType.BINARY:
            return
        writer.write(message.data)
        await writer.drain()
