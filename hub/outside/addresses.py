"""Where the hub calls when somebody's setting says so: public addresses, and what `outside.allowed` names.

Whoever may set a webhook could otherwise have the hub ask the municipality's own machines, or the hub itself. Looked at
is where a connection goes, after names are resolved and redirects followed, whatever library makes it: Python tells of
each connection before it is made (PEP 578).
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
"""IPv4 addresses within IPv6's (RFC 6052)."""
CALLS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class RefusedAddressError(OSError):
    """A connection that was not made; libraries take it for one that failed."""


class Outside:
    """Raises MistakeError for what is neither a network nor a host's name."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        networks = [(one, _network(one)) for one in allowed]
        self._networks = [network for _, network in networks if network is not None]
        self._hosts = [one for one, network in networks if network is None]

    @contextmanager
    def calling(self) -> Iterator["Call"]:
        """Around the call, also one in a thread (`asyncio.to_thread`); what it was kept from stands in the Call."""
        call = Call(self)
        token = _calling.set(call)
        try:
            yield call
        finally:
            _calling.reset(token)

    def has(self, address: str) -> bool:
        """Whether the hub may go there. It may block: a host that is allowed by its name is looked up."""
        try:
            found = _unwrapped(address)
        except ValueError:
            return False
        if found.is_global and not found.is_multicast:
            return True
        return any(found in one for one in self._networks) or any(str(found) in _addresses(one) for one in self._hosts)


class Call:
    """One call to the outside."""

    def __init__(self, outside: Outside) -> None:
        self.refused: str | None = None
        """The address that it was kept from."""
        self._outside = outside

    def must_reach(self, address: object) -> None:
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
    """An IPv4 address that stands within an IPv6 one is the one that is reached. Raises ValueError."""
    found = ip_address(text.partition("%")[0])
    if isinstance(found, IPv6Address):
        within = found.ipv4_mapped or found.sixtofour
        if within is None and found in NAT64:
            within = IPv4Address(int(found) & 0xFFFF_FFFF)
        return within or found
    return found


def _addresses(host: str) -> set[str]:
    try:
        return {str(_unwrapped(str(one[4][0]))) for one in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event in CALLS and (call := _calling.get()) is not None:
        call.must_reach(arguments[1])


sys.addaudithook(_look)
