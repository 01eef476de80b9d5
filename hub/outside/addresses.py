"""Restricts calls to addresses from settings: public addresses, and those in `outside.allowed` (SSRF).

Otherwise, whoever may set a webhook could make the hub call internal machines, or itself. Each connection is checked,
after name resolution and redirects, whatever library makes it, by an audit hook (PEP 578).
"""

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from hub.language.mistakes import MistakeError
from hub.language.translation import N_

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses embedded in IPv6 (RFC 6052)."""
CONNECTING_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class RefusedAddressError(OSError):
    """The connection is not allowed; libraries treat it as a failed one."""


class Outside:
    """Raises MistakeError for what is neither a network nor a host's name."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        networks = [(one, _network(one)) for one in allowed]
        self._networks = [network for _, network in networks if network is not None]
        self._hosts = [one for one, network in networks if network is None]

    @contextmanager
    def calling(self) -> Iterator["Call"]:
        """Restrict connections made inside, also in a thread (`asyncio.to_thread`); the Call says what was refused."""
        call = Call(self)
        token = _calling.set(call)
        try:
            yield call
        finally:
            _calling.reset(token)

    def has(self, address: str) -> bool:
        """Whether the address is allowed. May block: allowed host names are resolved."""
        try:
            parsed = _unwrapped(address)
        except ValueError:
            return False
        if parsed.is_global and not parsed.is_multicast:
            return True
        return any(parsed in one for one in self._networks) or any(
            str(parsed) in _addresses(one) for one in self._hosts
        )


class Call:
    """One outgoing call."""

    def __init__(self, outside: Outside) -> None:
        self.refused: str | None = None
        """The address that was refused."""
        self._outside = outside

    def check(self, address: object) -> None:
        """Raises RefusedAddressError. `address` as for a socket: host and port, or a path."""
        host = str(address[0]) if isinstance(address, tuple) and address else ""
        if not self._outside.has(host):
            self.refused = host or "this machine"
            raise RefusedAddressError(f"{self.refused} is in a private network, and outside.allowed does not name it")


_calling: ContextVar[Call | None] = ContextVar("calling", default=None)


def _network(text: str) -> Any:
    try:
        return ip_network(text)
    except ValueError:
        if "/" in text or not text.strip() or text != text.strip():
            mistake = N_("%(text)s is neither a network, such as 10.0.5.0/24, nor a host")
            raise MistakeError(mistake, text=text) from None
        return None


def _unwrapped(text: str) -> IPv4Address | IPv6Address:
    """The address that is reached: an embedded IPv4 address instead of the IPv6 one. Raises ValueError."""
    parsed = ip_address(text.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        within = parsed.ipv4_mapped or parsed.sixtofour
        if within is None and parsed in NAT64:
            within = IPv4Address(int(parsed) & 0xFFFF_FFFF)
        return within or parsed
    return parsed


def _addresses(host: str) -> set[str]:
    try:
        return {str(_unwrapped(str(one[4][0]))) for one in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _on_audit_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event in CONNECTING_EVENTS and (call := _calling.get()) is not None:
        call.check(arguments[1])


sys.addaudithook(_on_audit_event)
