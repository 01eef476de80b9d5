"""Pairing codes: devices waiting for an account, and accounts to be collected.

In memory: after a restart devices request a new code.
"""

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from devices.contract.enrolment import Enrolment
from devices.contract.pairing import ALPHABET, CODE_LENGTH, VALID_SECONDS

MAX_WAITING = 500
IPV6 = 6
COLLECT_SECONDS = 120
"""How long the same claim can collect its account again, in case the response was lost."""


class UnknownCodeError(LookupError):
    """No waiting device has this code: it is mistyped, expired or used."""


@dataclass
class Waiting:
    """A device that waits for pairing. `address` and `program` help the administrator to recognise it."""

    code: str
    kind: str
    address: str
    program: str
    requested_at: float
    enrolment: Enrolment | None = field(default=None, repr=False)
    confirmed_at: float = 0.0
    is_collected: bool = False
    network: str = ""
    """The address, or its IPv6 network; computed once, as it is compared often in a flood."""

    def __post_init__(self) -> None:
        self.network = _network(self.address)


class Pairing:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_claim: dict[bytes, Waiting] = {}
        self._by_code: dict[str, Waiting] = {}

    def request_code(self, claim: str, kind: str, address: str, program: str) -> Waiting:
        """A code for the claim; the same claim gets the same code.

        If too many wait, the oldest from the network with most is dropped: a flood displaces only itself.
        """
        self._forget_old()
        known = self._by_claim.get(_digest(claim))
        if known is not None and known.enrolment is None:
            return known
        if len(self._by_claim) >= MAX_WAITING:
            self._make_room()
        waiting = Waiting(self._free_code(), kind, address, program, self._clock())
        self._by_claim[_digest(claim)] = self._by_code[waiting.code] = waiting
        return waiting

    def find(self, code: str) -> Waiting:
        """The device that waits with this code. Raises UnknownCodeError."""
        self._forget_old()
        try:
            return self._by_code[normalized(code)]
        except KeyError:
            raise UnknownCodeError(code) from None

    def take(self, code: str) -> Waiting:
        """As `find`, and the code can no longer be used. Raises UnknownCodeError."""
        waiting = self.find(code)
        del self._by_code[waiting.code]
        return waiting

    def complete(self, waiting: Waiting, enrolment: Enrolment) -> None:
        waiting.enrolment = enrolment
        waiting.confirmed_at = self._clock()

    def collect(self, claim: str) -> Waiting | None:
        """The waiting device, with its enrolment once there is one; None if the claim is unknown or expired."""
        self._forget_old()
        waiting = self._by_claim.get(_digest(claim))
        if waiting is not None and waiting.enrolment is not None:
            waiting.is_collected = True
        return waiting

    def mark_connected(self, device: str) -> None:
        """The device uses its account, which can no longer be collected."""
        for claim, waiting in list(self._by_claim.items()):
            if waiting.is_collected and waiting.enrolment is not None and waiting.enrolment.device == device:
                del self._by_claim[claim]

    def _forget_old(self) -> None:
        now = self._clock()
        for claim, waiting in list(self._by_claim.items()):
            is_complete = waiting.enrolment is not None
            if now > (waiting.confirmed_at + COLLECT_SECONDS if is_complete else waiting.requested_at + VALID_SECONDS):
                del self._by_claim[claim]
                if self._by_code.get(waiting.code) is waiting:
                    del self._by_code[waiting.code]

    def _make_room(self) -> None:
        waiting = [(claim, one) for claim, one in self._by_claim.items() if one.enrolment is None]
        networks = Counter(one.network for _, one in waiting)
        for network, _ in networks.most_common(1):
            claim, oldest = next((claim, one) for claim, one in waiting if one.network == network)
            del self._by_claim[claim]
            self._by_code.pop(oldest.code, None)

    def _free_code(self) -> str:
        while True:
            code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            if code not in self._by_code:
                return code


def _network(address: str) -> str:
    """An IPv4 address as it is; for IPv6 its /64 network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == IPV6 else address


def normalized(code: str) -> str:
    """A code as typed: lower case letters, spaces and hyphens are accepted."""
    return "".join(one for one in code.upper() if one.isalnum())


def _digest(claim: str) -> bytes:
    return hashlib.sha256(claim.encode()).digest()
