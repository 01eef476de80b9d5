"""The limit in P1: paho in its own thread, which counts messages and does nothing else."""

import socket
import sys
import time

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

PORT, WANTED = int(sys.argv[1]), int(sys.argv[2])
count = 0


def counted(client: Client, _userdata: object, _message: MQTTMessage) -> None:
    global count  # noqa: PLW0603 (it does nothing else)
    count += 1
    if count == WANTED:
        print(time.perf_counter(), flush=True)
        client.disconnect()


client = Client(CallbackAPIVersion.VERSION2, "count")
client.on_message = counted
client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.on_connect = lambda client, *_: client.subscribe("fleet/+/+", 0)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", PORT)
client.loop_forever()
