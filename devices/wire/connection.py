"""MQTT 5 on the asyncio loop: paho-mqtt without its thread. Public: hub and devices share it.

Three things make it quick (measured; see docs/decisions/0002-mqtt-wiring.md): one read of 64 KiB serves
many packets, all packets written in one turn of the loop leave in one send, and TCP_NODELAY is set —
without it a QoS 1 round trip costs 44 ms.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.wire.line import Address, BufferedSocket, opened
from devices.wire.reconnecting import ReconnectPolicy, longest_wait

__all__ = ["Address", "Received", "Will", "Wire", "longest_wait"]

log = structlog.get_logger("wire")

PACKET_BYTES = 16_384
"""Of one SUBSCRIBE; a broker may refuse a larger packet than 64 KiB."""
TURN_SECONDS = 0.005
"""How long one wake-up may process messages before it yields to the loop."""
CONNECT_SECONDS = 10
TAKEN_OVER = 0x8E
"""MQTT 5 § 3.14.2.1: another connection uses our client id."""


@dataclass(frozen=True)
class Will:
    """Published with QoS 1 by the broker when the connection is lost."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """One message. A QoS 1 message is not acknowledged until `Wire.acknowledge` is called with it."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    number: int
    connection: int
    read_at: float = 0.0
    """By `time.monotonic`."""
    connected_seconds: float = 0.0
    """Age of the connection when the message was read: early ones have waited at the broker."""
    expires_in: int | None = None
    """Remaining message expiry in seconds (MQTT 5 § 3.3.2.3.3)."""


class _Client(Client):
    """paho, but over a socket that was connected on the loop."""

    prepared: BufferedSocket
    received: Callable[[str, bytes, int, bool, int], None]

    def _create_socket(self) -> Any:
        return self.prepared

    def _handle_publish(self) -> MQTTErrorCode:
        """A message without properties, as nearly all are, straight from its bytes (MQTT 5 § 3.3).

        paho makes a Properties object for each, with tables of its own, and that costs as much as all the rest.
        """
        command, packet = self._in_packet["command"], self._in_packet["packet"]
        qos = command >> 1 & 3
        end = 2 + (packet[0] << 8 | packet[1])
        rest = end + 2 if qos else end
        if qos > 1 or packet[rest] != 0:
            return super()._handle_publish()
        try:
            topic = str(packet[2:end], "utf-8")
        except UnicodeDecodeError:
            return super()._handle_publish()
        number = packet[end] << 8 | packet[end + 1] if qos else 0
        self.received(topic, bytes(packet[rest + 1 :]), qos, bool(command & 1), number)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Wire:
    """One connection that reconnects by itself.

    `on_message` and `on_ready` are called on the loop and must not block. `on_ready` is called after every (re)connect,
    when the subscriptions have been renewed; publish retained messages there.
    """

    def __init__(
        self,
        address: Address,
        *,
        on_message: Callable[[Received], None],
        on_ready: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
        will: Will | None = None,
        keep_session_seconds: int = 0,
        keepalive_seconds: int = 15,
    ) -> None:
        self.instance = secrets.token_hex(8)
        """Random id of this start, which tells apart two programs that use one account."""
        self._reconnects = ReconnectPolicy()
        self._was_taken_over = False
        self.address = address
        self.problem: str | None = "not connected yet"
        self._on_message = on_message
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._keep_session_seconds = keep_session_seconds
        self._keepalive_seconds = keepalive_seconds
        self._filters: dict[str, SubscribeOptions] = {}
        self._connection = 0
        self._connected_at = 0.0
        self._refusal: str | None = None
        self._ready = asyncio.Event()
        self._closed = asyncio.Event()
        self._flushing = False
        self._is_read_scheduled = False
        self._client = self._make_client(will)
        self._socket: BufferedSocket | None = None

    # -- public

    @property
    def connected(self) -> bool:
        return self._ready.is_set()

    @property
    def taken_over(self) -> int:
        """How often another connection with our account has ended ours."""
        return self._reconnects.taken_over

    async def until_connected(self) -> None:
        await self._ready.wait()

    def subscribe(self, topic_filter: str, qos: int = 1, *, retain_as_published: bool = False) -> None:
        """Now and after every reconnect.

        `retain_as_published`: `Received.retained` is what the sender wrote (MQTT 5 § 3.8.3.1). Without it the
        broker says so only of what it had kept before the subscription.
        """
        options = SubscribeOptions(qos=qos, retainAsPublished=retain_as_published)
        self._filters[topic_filter] = options
        if self.connected:
            self._client.subscribe(topic_filter, options=options)

    def subscribe_all(self, filters: Mapping[str, int]) -> None:
        """As `subscribe`, for many (filter → QoS), in few packets."""
        wanted = {topic_filter: SubscribeOptions(qos=qos) for topic_filter, qos in filters.items()}
        self._filters |= wanted
        if self.connected:
            self._subscribe(wanted)

    def unsubscribe(self, filters: Collection[str]) -> None:
        for topic_filter in filters:
            self._filters.pop(topic_filter, None)
        if filters and self.connected:
            for packet in _packets(filters):
                self._client.unsubscribe(packet)

    def _subscribe(self, filters: Mapping[str, SubscribeOptions]) -> None:
        for packet in _packets(filters):
            self._client.subscribe([(topic_filter, filters[topic_filter]) for topic_filter in packet])

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_seconds: int | None = None,
    ) -> bool:
        """Queue one message; False, and nothing queued, while there is no connection.

        Delivery is not guaranteed: what must arrive needs a receipt of its own.
        """
        if not self.connected:
            return False
        properties = None
        if expiry_seconds is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_seconds
        self._client.publish(topic, payload, qos, retain, properties)
        return True

    def acknowledge(self, message: Received) -> None:
        """Call when the message's effects are durable. Messages of an earlier connection are delivered again."""
        if message.qos and message.connection == self._connection and self._socket is not None:
            self._client.ack(message.number, message.qos)

    @property
    def connected_seconds(self) -> float:
        """Seconds since the current or last connection was established."""
        return time.monotonic() - self._connected_at

    async def run(self) -> None:
        """Connect, serve, and connect again with growing, jittered waits, until cancelled."""
        while True:
            try:
                async with self._connected():
                    await self._until_ready()
                    await self._closed.wait()
                    self.problem = f"{self.address.host}:{self.address.port}: connection lost"
            except (OSError, TimeoutError) as error:
                self.problem = f"{self.address.host}:{self.address.port}: {error or type(error).__name__}"
            longest, is_taken = self._reconnects.lost(is_reported=self._was_taken_over)
            self._was_taken_over = False
            if is_taken:
                self.problem = f"another device uses the account {self.address.account}"
            wait = longest * random.uniform(0.5, 1)  # noqa: S311 (spreads devices, is no secret)
            log.warning("mqtt_disconnected", problem=self.problem, retry_seconds=round(wait, 1))
            await asyncio.sleep(wait)

    # -- the connection

    async def _until_ready(self) -> None:
        """Raises TimeoutError without an answer from the broker, ConnectionError when it closes the connection."""
        ready = asyncio.create_task(self._ready.wait(), name="mqtt ready")
        closed = asyncio.create_task(self._closed.wait(), name="mqtt closed")
        try:
            await asyncio.wait({ready, closed}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                raise ConnectionError(self._refusal or "closed by the broker")
            if not ready.done():
                raise TimeoutError("no answer from the broker")
        finally:
            ready.cancel()
            closed.cancel()

    def _make_client(self, will: Will | None) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.address.account,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(self.address.account, self.address.secret)
        client.max_inflight_messages_set(1000)
        client.suppress_exceptions = True
        if will:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.received = self._received
        client.on_connect = self._on_connack
        client.on_message = self._on_paho_message
        client.on_disconnect = self._on_disconnect
        client.on_socket_register_write = lambda *_: self._flush_soon()
        client.on_socket_unregister_write = lambda *_: None
        client.on_socket_close = self._on_socket_close
        return client

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        async with asyncio.timeout(CONNECT_SECONDS):
            sock = await opened(self.address)
        self._connection += 1
        self._refusal = None
        self._closed.clear()
        self._socket = self._client.prepared = BufferedSocket(sock)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._keep_session_seconds
        properties.ReceiveMaximum = 2000
        self._client.connect_async(
            self.address.host,
            self.address.port,
            self._keepalive_seconds,
            clean_start=self._keep_session_seconds == 0,
            properties=properties,
        )
        self._client.reconnect()
        asyncio.get_running_loop().add_reader(sock, self._read)
        ticking = asyncio.create_task(self._tick(), name="mqtt keepalive")
        try:
            yield
        finally:
            ticking.cancel()
            self._close()
            await asyncio.gather(ticking, return_exceptions=True)  # a suppressed CancelledError might be our own

    def _close(self) -> None:
        if self._socket is None:
            return
        if self.connected:
            self._client.disconnect()
            self._flush()
        if self._socket is not None:
            self._client._sock_close()  # noqa: SLF001 (paho has no public way to drop a line at once)

    def _on_socket_close(self, _client: object, _userdata: object, sock: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        self._socket = None
        was_ready = self._ready.is_set()
        self._ready.clear()
        self._closed.set()
        if was_ready:
            self._on_lost()

    async def _tick(self) -> None:
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            await asyncio.sleep(1)
        self._drop()

    def _on_disconnect(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        if reason.value == TAKEN_OVER:
            self._was_taken_over = True

    def _on_connack(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            self._refusal = f"refuses {self.address.account}: {reason}"
            log.warning("mqtt_refused", reason=str(reason), account=self.address.account)
            return
        self.problem = None
        self._connected_at = time.monotonic()
        self._reconnects.connected()
        self._subscribe(self._filters)
        self._ready.set()
        try:
            self._on_ready()
        except Exception:
            log.exception("mqtt_ready_callback_failed")  # paho would swallow it without a word

    def _on_paho_message(self, _client: object, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._client.ack(message.mid, message.qos)
            return
        expires_in = getattr(message.properties, "MessageExpiryInterval", None)
        self._received(topic, bytes(message.payload), message.qos, message.retain, message.mid, expires_in)

    def _received(
        self, topic: str, payload: bytes, qos: int, retained: bool, number: int, expires_in: int | None = None
    ) -> None:
        read_at = time.monotonic()
        connected = self.connected_seconds
        try:
            self._on_message(
                Received(topic, payload, qos, retained, number, self._connection, read_at, connected, expires_in)
            )
        except Exception:
            log.exception("mqtt_message_callback_failed")  # paho would swallow it without a word

    # -- reading and writing

    def _read(self) -> None:
        if self._is_read_scheduled:
            return None  # scheduled already
        sock = self._socket
        end = time.monotonic() + TURN_SECONDS
        while sock is not None and sock is self._socket:
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._drop()
            if not sock.pending():
                return None
            if time.monotonic() > end:
                self._is_read_scheduled = True
                asyncio.get_running_loop().call_soon(self._continue_reading, sock)
                return None
        return None

    def _continue_reading(self, sock: BufferedSocket) -> None:
        self._is_read_scheduled = False
        if sock is self._socket and sock.pending():
            self._read()

    def _flush_soon(self) -> None:
        """Flush once per loop iteration, after all writes of this iteration."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        sock = self._socket
        if sock is None:
            return None
        loop = asyncio.get_running_loop()
        if self._client.loop_write() not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN):
            return self._drop()
        if sock is not self._socket:
            return None  # paho has written DISCONNECT, and closed
        try:
            empty = sock.flush()
        except OSError:
            return self._drop()
        if not empty or self._client.want_write():
            loop.add_writer(sock.fileno(), self._flush)
        else:
            loop.remove_writer(sock.fileno())
        return None

    def _drop(self) -> None:
        if self._socket is not None:
            self._client._sock_close()  # noqa: SLF001


def _packets(filters: Iterable[str]) -> Iterator[list[str]]:
    """Filters in batches that fit into one packet each."""
    packet: list[str] = []
    size = 0
    for topic_filter in filters:
        packet.append(topic_filter)
        size += len(topic_filter.encode()) + 3
        if size > PACKET_BYTES:
            yield packet
            packet, size = [], 0
    if packet:
        yield packet
