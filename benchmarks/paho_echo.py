"""The limit in P2: paho in its own thread, which sends each visit's id back as a receipt and does nothing else."""

import socket
import sys

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    port, account, secret = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    client = Client(CallbackAPIVersion.VERSION2, account)
    client.username_pw_set(account, secret)

    def answer(client: Client, _userdata: object, message: MQTTMessage) -> None:
        at = message.payload.find(b'"id":"') + 6
        receipt = b'{"of":"' + bytes(message.payload[at : at + 32]) + b'","result":"registered"}'
        client.publish(message.topic.replace("/up/visit", "/down/receipt"), receipt, 0)

    client.on_message = answer
    client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.on_connect = lambda client, *_: client.subscribe("kommunevert/bench/+/+/up/#", 1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", port)
    client.loop_forever()


main()
