"""Who is connected to the web port, and who must give way when there are too many.

A connection has proven itself when a session, a token or a device's account has come by it; then nobody else ends it.
All others may be ended at any time: the newest is let in and the oldest goes, so that whoever has something to prove
has the time for it however many there are (a browser needs a tenth of a second, a stranger's socket may wait for ever).
Those from an address from which somebody has proven themselves lately go last.
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
"""How long the head of a request may take, from the first byte, and the handshake of TLS."""
KNOWN_FOR_SECONDS = 7 * 86_400.0
MOST_KNOWN = 10_000
BACKLOG = 4096
AT_ONCE = BACKLOG
MOST_FILES = 65_536
OTHER_FILES = 256
"""What the hub opens besides: database, broker, logs, plugins."""
PAUSE_SECONDS = 0.1

connections_open = Gauge("web_connections", "Open connections to the web port", ["proven"])
connections_ended = Counter("web_connections_ended_total", "Connections that were ended by the hub", ["why"])


def allow_many_files() -> None:
    """Raise the limit of open files as far as the system lets us: Debian starts programs with 1 024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for(wanted: int) -> int:
    """How many connections the limit of open files allows, `wanted` at most; a WebSocket needs a second one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, (soft - OTHER_FILES) // 2))


class Connections:
    """Listen with `listening`; mark those that have proven themselves with `prove`."""

    def __init__(self, most: int, most_from_one: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: in all; `most_from_one`: from one address, of those that have proven nothing."""
        self._most = most
        self._most_from_one = most_from_one
        self._clock = clock
        self._proven: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        self._neighbours: dict[Connection, None] = {}
        """Unproven, from addresses that are known. Both in the order of arrival."""
        self._from: dict[str, dict[Connection, None]] = {}
        self._known: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._proven) + len(self._strangers) + len(self._neighbours)

    def arrived(self, connection: "Connection") -> bool:
        """Count it in, and end another that has proven nothing if there are too many. False: there is no room."""
        address = connection.address
        is_known = self._clock() - self._known.get(address, float("-inf")) < KNOWN_FOR_SECONDS
        others = self._from.setdefault(address, {})
        if len(others) >= (max(self._most // 2, self._most_from_one) if is_known else self._most_from_one):
            self._end(next(iter(others)), "too many from one address")
            others = self._from.setdefault(address, {})
        if len(self) >= self._most:
            oldest = next(iter(self._strangers or self._neighbours), None)
            if oldest is None:
                self._tidy(address)
                connections_ended.labels("no room").inc()
                return False
            self._end(oldest, "too many")
            others = self._from.setdefault(address, {})
        others[connection] = None
        (self._neighbours if is_known else self._strangers)[connection] = None
        self._count()
        return True

    def prove(self, connection: "Connection") -> None:
        """It belongs to somebody with an account: it stays."""
        if connection in self._proven or not self._leave(connection):
            return
        self._proven.add(connection)
        self._known.pop(connection.address, None)
        self._known[connection.address] = self._clock()
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._count()

    def gone(self, connection: "Connection") -> None:
        """It has ended; may be said twice."""
        self._leave(connection)
        self._proven.discard(connection)
        self._count()

    @contextlib.asynccontextmanager
    async def listening(
        self, server: web.Server, host: str, port: int, tls: ssl.SSLContext | None
    ) -> AsyncIterator[None]:
        """Accept connections for `server` inside. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listeners = [_listener(family, address) for family, _, _, _, address in dict.fromkeys(found)]
        greeted: set[asyncio.Task[None]] = set()

        def greet(accepted: socket.socket, address: tuple[object, ...]) -> None:
            task = asyncio.create_task(self._greet(server, accepted, str(address[0]), tls), name="greet")
            greeted.add(task)
            task.add_done_callback(greeted.discard)

        async def accept(listener: socket.socket) -> None:
            while True:
                try:
                    greet(*await loop.sock_accept(listener))
                    for accepted, address in _waiting_at(listener):
                        accepted.setblocking(False)
                        greet(accepted, address)
                except OSError:  # no file is free: nobody may be let in, and those who proved nothing give way
                    self._end_oldest("no files")
                    await asyncio.sleep(PAUSE_SECONDS)

        accepting = [asyncio.create_task(accept(one), name="accept") for one in listeners]
        try:
            yield
        finally:
            for task in (*accepting, *greeted):
                task.cancel()
            await asyncio.gather(*accepting, *greeted, return_exceptions=True)
            for one in listeners:
                one.close()

    async def _greet(
        self, server: web.Server, accepted: socket.socket, address: str, tls: ssl.SSLContext | None
    ) -> None:
        connection = Connection(self, server(), accepted, address)
        if not self.arrived(connection):
            accepted.close()
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=HEAD_SECONDS if tls else None
            )
        except OSError:  # of TLS too: ended by the other, by us, or too slow
            self.gone(connection)
        except BaseException:
            self.gone(connection)
            accepted.close()
            raise

    def _end_oldest(self, why: str) -> None:
        oldest = next(iter(self._strangers or self._neighbours), None)
        if oldest is not None:
            self._end(oldest, why)

    def _end(self, connection: "Connection", why: str) -> None:
        connections_ended.labels(why).inc()
        self.gone(connection)
        connection.abort()

    def _leave(self, connection: "Connection") -> bool:
        """Whether it was among those that have proven nothing."""
        was_there = connection in self._strangers or connection in self._neighbours
        self._strangers.pop(connection, None)
        self._neighbours.pop(connection, None)
        self._from.get(connection.address, {}).pop(connection, None)
        self._tidy(connection.address)
        return was_there

    def _tidy(self, address: str) -> None:
        if not self._from.get(address, True):
            del self._from[address]

    def _count(self) -> None:
        connections_open.labels("yes").set(len(self._proven))
        connections_open.labels("no").set(len(self._strangers) + len(self._neighbours))


class Connection(asyncio.Protocol):
    """Between the socket and aiohttp's handler: passes on what comes, and ends who never ends a request."""

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
        """Its head is here."""
        self._is_busy = True
        self._let_be()

    def request_ended(self) -> None:
        self._is_busy = False

    def read_no_more(self) -> None:
        """The rest of what was refused: to read it costs us what its sender wants it to cost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def prove(self) -> None:
        self._connections.prove(self)

    def abort(self) -> None:
        """End it at once, also before TLS has said a word."""
        if self._transport is not None:
            self._transport.abort()
        elif self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    # -- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (it is of a TCP connection)
        self._transport, self._socket = transport, None
        self._wait()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy and self._deadline is None:
            self._wait()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_be()
        self._connections.gone(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _wait(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._too_slow)

    def _let_be(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        connections_ended.labels("half a request").inc()
        self.abort()


def connection_of(request: web.BaseRequest) -> Connection | None:
    """None where it has ended meanwhile."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol if isinstance(protocol, Connection) else None


def prove(request: web.BaseRequest) -> None:
    """Whoever sent this has an account."""
    if (connection := connection_of(request)) is not None:
        connection.prove()


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _waiting_at(listener: socket.socket) -> Iterator[tuple[socket.socket, tuple[object, ...]]]:
    """Those who stand in line too: one for each turn of the loop is too few, and nobody joins a line that is full."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(AT_ONCE):
            yield listener.accept()
