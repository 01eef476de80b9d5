"""Limits the connections to the web port, and closes unauthenticated ones when there are too many.

A connection is proven once a session, a token or a device's account was used on it; it is then never closed by the
limit. Of the others, the oldest is closed to admit a new one, so that a client has time to authenticate however many
there are (a browser needs a tenth of a second). Those from an address with a recently proven connection are closed
last.
"""

import asyncio
import contextlib
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator

from aiohttp import web
from prometheus_client import Counter, Gauge

HEAD_SECONDS = 10.0
"""Time limit for a request's head, from the first byte, and for the TLS handshake."""
KNOWN_SECONDS = 7 * 86_400.0
MAX_KNOWN_ADDRESSES = 10_000
BACKLOG = 4096
MAX_ACCEPTS = BACKLOG
MAX_FILES = 65_536
OTHER_FILES = 256
"""Reserved for database, broker, logs and plugins."""
PAUSE_SECONDS = 0.1

connections_open = Gauge("web_connections", "Open connections to the web port", ["proven"])
connections_ended = Counter("web_connections_ended_total", "Connections that were ended by the hub", ["why"])


def allow_many_files() -> None:
    """Raise the limit of open files as far as possible; Debian's default is 1 024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for(wanted: int) -> int:
    """How many connections the limit of open files allows, `wanted` at most; a WebSocket needs a second one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, (soft - OTHER_FILES) // 2))


class Connections:
    """Accept connections with `listening`; mark authenticated ones with `prove`."""

    def __init__(self, limit: int, limit_per_address: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit`: of all connections; `limit_per_address`: of unproven ones from one address."""
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._clock = clock
        self._proven: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        self._neighbours: dict[Connection, None] = {}
        """Unproven, from known addresses. Both in the order of arrival."""
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._known_addresses: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._proven) + len(self._strangers) + len(self._neighbours)

    def admit(self, connection: "Connection") -> bool:
        """Admit a connection, closing the oldest unproven one if there are too many; False if all are proven."""
        address = connection.address
        is_known = self._clock() - self._known_addresses.get(address, float("-inf")) < KNOWN_SECONDS
        others = self._by_address.setdefault(address, {})
        if len(others) >= (max(self._limit // 2, self._limit_per_address) if is_known else self._limit_per_address):
            self._end(next(iter(others)), "too many from one address")
            others = self._by_address.setdefault(address, {})
        if len(self) >= self._limit:
            oldest = next(iter(self._strangers or self._neighbours), None)
            if oldest is None:
                self._remove_if_empty(address)
                connections_ended.labels("no room").inc()
                return False
            self._end(oldest, "too many")
            others = self._by_address.setdefault(address, {})
        others[connection] = None
        (self._neighbours if is_known else self._strangers)[connection] = None
        self._update_gauges()
        return True

    def prove(self, connection: "Connection") -> None:
        """The client has authenticated: keep the connection."""
        if connection in self._proven or not self._remove_unproven(connection):
            return
        self._proven.add(connection)
        self._known_addresses.pop(connection.address, None)
        self._known_addresses[connection.address] = self._clock()
        if len(self._known_addresses) > MAX_KNOWN_ADDRESSES:
            del self._known_addresses[next(iter(self._known_addresses))]
        self._update_gauges()

    def remove(self, connection: "Connection") -> None:
        """The connection has ended; may be called twice."""
        self._remove_unproven(connection)
        self._proven.discard(connection)
        self._update_gauges()

    @contextlib.asynccontextmanager
    async def listening(
        self, server: web.Server, host: str, port: int, tls: ssl.SSLContext | None
    ) -> AsyncIterator[None]:
        """Accept connections for `server` inside. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listeners = [_listener(family, address) for family, _, _, _, address in dict.fromkeys(addresses)]
        serving: set[asyncio.Task[None]] = set()

        def start(accepted: socket.socket, address: tuple[object, ...]) -> None:
            task = asyncio.create_task(self._serve_connection(server, accepted, str(address[0]), tls), name="greet")
            serving.add(task)
            task.add_done_callback(serving.discard)

        async def accept(listener: socket.socket) -> None:
            while True:
                try:
                    start(*await loop.sock_accept(listener))
                    for accepted, address in _pending_at(listener):
                        accepted.setblocking(False)
                        start(accepted, address)
                except OSError:  # out of file descriptors: close an unproven connection
                    self._end_oldest("no files")
                    await asyncio.sleep(PAUSE_SECONDS)

        accepting = [asyncio.create_task(accept(listener), name="accept") for listener in listeners]
        try:
            yield
        finally:
            for task in (*accepting, *serving):
                task.cancel()
            await asyncio.gather(*accepting, *serving, return_exceptions=True)
            for listener in listeners:
                listener.close()

    async def _serve_connection(
        self, server: web.Server, accepted: socket.socket, address: str, tls: ssl.SSLContext | None
    ) -> None:
        connection = Connection(self, server(), accepted, address)
        if not self.admit(connection):
            accepted.close()
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=HEAD_SECONDS if tls else None
            )
        except OSError:  # also of TLS: closed by the client or by us, or too slow
            self.remove(connection)
        except BaseException:
            self.remove(connection)
            accepted.close()
            raise

    def _end_oldest(self, reason: str) -> None:
        oldest = next(iter(self._strangers or self._neighbours), None)
        if oldest is not None:
            self._end(oldest, reason)

    def _end(self, connection: "Connection", reason: str) -> None:
        connections_ended.labels(reason).inc()
        self.remove(connection)
        connection.abort()

    def _remove_unproven(self, connection: "Connection") -> bool:
        """Remove it from the unproven ones; whether it was one."""
        was_unproven = connection in self._strangers or connection in self._neighbours
        self._strangers.pop(connection, None)
        self._neighbours.pop(connection, None)
        self._by_address.get(connection.address, {}).pop(connection, None)
        self._remove_if_empty(connection.address)
        return was_unproven

    def _remove_if_empty(self, address: str) -> None:
        if not self._by_address.get(address, True):
            del self._by_address[address]

    def _update_gauges(self) -> None:
        connections_open.labels("yes").set(len(self._proven))
        connections_open.labels("no").set(len(self._strangers) + len(self._neighbours))


class Connection(asyncio.Protocol):
    """Between the socket and aiohttp's protocol: forwards data, and closes the connection if a request is too slow."""

    def __init__(
        self, connections: Connections, inner: asyncio.Protocol, accepted: socket.socket, address: str
    ) -> None:
        self.address = address
        self._connections = connections
        self._inner = inner
        self._socket: socket.socket | None = accepted
        self._transport: asyncio.Transport | None = None
        self._is_busy = False
        self._deadline: asyncio.TimerHandle | None = None

    def request_began(self) -> None:
        """The request's head was received."""
        self._is_busy = True
        self._cancel_deadline()

    def request_ended(self) -> None:
        self._is_busy = False

    def stop_reading(self) -> None:
        """Do not read the rest of a refused request."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def prove(self) -> None:
        self._connections.prove(self)

    def abort(self) -> None:
        """Close it at once, also before the TLS handshake."""
        if self._transport is not None:
            self._transport.abort()
        elif self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (it is of a TCP connection)
        self._transport, self._socket = transport, None
        self._start_deadline()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy and self._deadline is None:
            self._start_deadline()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self._connections.remove(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _start_deadline(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        connections_ended.labels("half a request").inc()
        self.abort()


def connection_of(request: web.BaseRequest) -> Connection | None:
    """The request's connection; None if it has ended."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol if isinstance(protocol, Connection) else None


def prove(request: web.BaseRequest) -> None:
    """Mark the request's connection as authenticated."""
    if (connection := connection_of(request)) is not None:
        connection.prove()


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _pending_at(listener: socket.socket) -> Iterator[tuple[socket.socket, tuple[object, ...]]]:
    """Further pending connections: one for each iteration of the loop is too slow to keep the backlog short."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(MAX_ACCEPTS):
            yield listener.accept()
