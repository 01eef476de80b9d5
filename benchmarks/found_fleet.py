"""A fleet of found devices for P1 and P4, as its own process: announcements and states, written as raw packets.

    python -m benchmarks.found_fleet PORT announce DEVICES
    python -m benchmarks.found_fleet PORT states DEVICES COUNT RATE FIRST

Three entities a device (lock, sensor, binary sensor). The last message goes to the sentinel, with QoS 1, and its value
is FIRST + COUNT. RATE 0: as fast as the broker takes it. Prints the time of the first and the last message.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from benchmarks.raw_mqtt import RawClient

KINDS = ("lock", "sensor", "binary_sensor")
SENTINEL = "sentinel"
PAYLOAD_BYTES = 200
AT_ONCE = 200


def entity(device: int, kind: str) -> str:
    return f"{kind}.d{device}_{kind}"


def announcements(devices: int) -> Iterator[tuple[str, dict[str, object]]]:
    for number in range(devices):
        device = {"identifiers": [f"d{number}"], "name": f"Device {number}", "manufacturer": "Bench", "model": "M1"}
        for kind in KINDS:
            config = {
                "name": kind, "object_id": f"d{number}_{kind}", "unique_id": f"d{number}_{kind}", "device": device,
                "state_topic": f"fleet/d{number}/{kind}", "value_template": "{{ value_json.v }}",
            }  # fmt: skip
            if kind == "lock":
                config["command_topic"] = f"fleet/d{number}/{kind}/set"
            elif kind == "sensor":
                config |= {"unit_of_measurement": "%", "state_class": "measurement"}
            yield f"homeassistant/{kind}/d{number}/{kind}/config", config
    sentinel = {"name": SENTINEL, "object_id": SENTINEL, "unique_id": SENTINEL, "state_topic": "fleet/sentinel"}
    yield "homeassistant/sensor/sentinel/config", sentinel | {"value_template": "{{ value_json.v }}"}


def payload(kind: str, count: int) -> bytes:
    """JSON of PAYLOAD_BYTES; another value each time."""
    words = {"lock": ("LOCKED", "UNLOCKED"), "binary_sensor": ("ON", "OFF")}
    value = words[kind][count % 2] if kind in words else count
    text = json.dumps({"v": value, "seq": count, "pad": ""}, separators=(",", ":"))
    return (text[:-2] + "x" * (PAYLOAD_BYTES - len(text)) + text[-2:]).encode()


async def connected(port: int) -> RawClient:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: RawClient("fleet", "x", "none", lambda _: None), "127.0.0.1", port)
    await client.subscribed
    return client


async def announce(client: RawClient, devices: int) -> None:
    for number, (topic, config) in enumerate(announcements(devices)):
        client.publish(topic, json.dumps(config).encode(), retain=True)
        if number % AT_ONCE == 0:
            await client.drained()
    await client.all_acknowledged()


async def states(client: RawClient, devices: int, count: int, rate: float, first: int) -> None:
    began = time.perf_counter()
    names = [(f"fleet/d{number}/{kind}", kind) for number in range(devices) for kind in KINDS]
    for sent in range(count):
        topic, kind = names[sent % len(names)]
        client.publish(topic, payload(kind, first + sent // len(names)), qos=0)
        if sent % AT_ONCE == 0:
            await client.drained()
            while rate and sent > (time.perf_counter() - began) * rate:
                await asyncio.sleep(0.002)
    client.publish("fleet/sentinel", json.dumps({"v": first + count}).encode())
    await client.all_acknowledged()


async def main() -> None:
    port, work, devices = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    client = await connected(port)
    began = time.perf_counter()
    if work == "announce":
        await announce(client, devices)
    else:
        await states(client, devices, int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))
    print(json.dumps([began, time.perf_counter()]), flush=True)
    client.close()


if __name__ == "__main__":
    asyncio.run(main())
