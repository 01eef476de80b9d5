"""Background load in P3: heartbeats of many devices at a rate."""

import asyncio
import sys
import time

from benchmarks.raw_mqtt import RawClient


async def main() -> None:
    rate = float(sys.argv[1])
    clients = []
    for one in sys.argv[2:]:
        port, account, secret, mine = one.split("|")
        _, client = await asyncio.get_running_loop().create_connection(
            lambda account=account, secret=secret, mine=mine: RawClient(
                account, secret, f"{mine}/down/x", lambda _: None
            ),  # type: ignore[misc]
            "127.0.0.1",
            int(port),
        )
        await client.subscribed
        clients.append((client, f"{mine}/up/heartbeat"))
    print("ready", flush=True)
    began, count = time.perf_counter(), 0
    while True:
        while count < (time.perf_counter() - began) * rate:
            client, topic = clients[count % len(clients)]
            client.publish(topic, b'{"sent_at":"2026-11-23T12:00:00Z","version":"1","uptime_seconds":1}', qos=0)
            count += 1
        await asyncio.sleep(0.005)


asyncio.run(main())
