"""Connects a socket to a broker, with TCP_NODELAY and optional TLS, and buffers its reads and writes."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

READ_BYTES = 65_536
BACKLOG_BYTES = 1_048_576


@dataclass(frozen=True)
class Address:
    """Where a broker is and who we are there. The client id is the account's name (D5)."""

    host: str
    port: int
    account: str
    secret: str
    tls: ssl.SSLContext | None = None


class BufferedSocket:
    """A socket for paho that reads from a buffer, and buffers writes until `flush`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._incoming = b""
        self._position = 0
        self._outgoing = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def pending(self) -> int:
        """Bytes in our buffer and in that of TLS, which the selector does not see."""
        inside_tls = self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0
        return len(self._incoming) - self._position + inside_tls

    def recv(self, size: int) -> bytes:
        if self._position >= len(self._incoming):
            self._incoming = self._sock.recv(READ_BYTES)
            self._position = 0
        end = self._position + size
        taken = self._incoming[self._position : end]
        self._position += len(taken)
        return taken

    def send(self, data: bytes | bytearray) -> int:
        if len(self._outgoing) > BACKLOG_BYTES:
            raise BlockingIOError
        self._outgoing += data
        return len(data)

    def flush(self) -> bool:
        """Write as much as the kernel accepts; True when nothing is left. Raises OSError for a dead connection."""
        while self._outgoing:
            try:
                sent = self._sock.send(self._outgoing)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return False
            del self._outgoing[:sent]
        return True

    def close(self) -> None:
        """Flush and close: paho closes right after it has written DISCONNECT."""
        with suppress(OSError):
            self.flush()
        with suppress(OSError):  # a reset connection may raise here
            self._sock.close()


async def opened(address: Address) -> socket.socket:
    """A connected, non-blocking socket with TCP_NODELAY; the TLS handshake is done. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    error: OSError = OSError(f"no address for {address.host}")
    for family, kind, protocol, _, target in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, target)
            return await _secured(sock, address)
        except OSError as failure:
            sock.close()
            error = failure
        except BaseException:
            sock.close()
            raise
    raise error


async def _secured(sock: socket.socket, address: Address) -> socket.socket:
    if address.tls is None:
        return sock
    secure = address.tls.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
    while True:
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            await _selected(secure, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
        except ssl.SSLWantWriteError:
            await _selected(secure, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)
        else:
            return secure


async def _selected(sock: socket.socket, add: Callable[..., Any], remove: Callable[..., Any]) -> None:
    ready = asyncio.Event()
    add(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock.fileno())
