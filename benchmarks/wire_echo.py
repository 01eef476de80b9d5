"""The other end of P3's bare round trip: what comes below `down/echo` goes back on `up/echo`."""

import asyncio
import sys

from devices.wire.connection import Address, Received, Wire


async def main() -> None:
    port, account, secret, mine = sys.argv[1:]

    def back(received: Received) -> None:
        wire.acknowledge(received)
        wire.publish(f"{mine}/up/echo", received.payload)

    wire = Wire(Address("127.0.0.1", int(port), account, secret), on_message=back)
    wire.subscribe(f"{mine}/down/echo")
    running = asyncio.create_task(wire.run())
    await wire.until_connected()
    print("ready", flush=True)
    await running


asyncio.run(main())
