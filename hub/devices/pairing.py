"""Pairing codes: who waits for an account, and which account they got. In memory: after a restart devices ask anew."""

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from devices.contract.enrolment import Enrolment
from devices.contract.pairing import ALPHABET, CODE_LENGTH, VALID_SECONDS

MOST_WAITING = 500
IPV6 = 6
COLLECT_SECONDS = 120
"""How long an account is handed out again to the same claim, in case the answer got lost on its way."""


class UnknownCodeError(LookupError):
    """No device shows this code now: it is mistyped, too old, or used already."""


@dataclass
class Waiting:
    """A device that shows a code. `address` and `program` are for the administrator to recognise it by."""

    code: str
    kind: str
    address: str
    program: str
    asked_at: float
    enrolment: Enrolment | None = field(default=None, repr=False)
    confirmed_at: float = 0.0
    is_collected: bool = False
    crowd: str = ""
    """Who may be one and the same; worked out once, as a flood is compared again and again."""

    def __post_init__(self) -> None:
        self.crowd = _crowd(self.address)


class Pairing:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_claim: dict[bytes, Waiting] = {}
        self._by_code: dict[str, Waiting] = {}

    def ask(self, claim: str, kind: str, address: str, program: str) -> Waiting:
        """A code for the claim; the same claim keeps its code.

        When too many wait, the oldest of the largest crowd goes: whoever floods pushes out their own.
        """
        self._forget_old()
        known = self._by_claim.get(_digest(claim))
        if known is not None and known.enrolment is None:
            return known
        if len(self._by_claim) >= MOST_WAITING:
            self._make_room()
        waiting = Waiting(self._free_code(), kind, address, program, self._clock())
        self._by_claim[_digest(claim)] = self._by_code[waiting.code] = waiting
        return waiting

    def find(self, code: str) -> Waiting:
        """Whoever shows it, and has no account yet. Raises UnknownCodeError."""
        self._forget_old()
        try:
            return self._by_code[normal(code)]
        except KeyError:
            raise UnknownCodeError(code) from None

    def take(self, code: str) -> Waiting:
        """The code is used up from here on. Raises UnknownCodeError."""
        waiting = self.find(code)
        del self._by_code[waiting.code]
        return waiting

    def give(self, waiting: Waiting, enrolment: Enrolment) -> None:
        waiting.enrolment = enrolment
        waiting.confirmed_at = self._clock()

    def collect(self, claim: str) -> Waiting | None:
        """None: there is no such claim any more."""
        self._forget_old()
        waiting = self._by_claim.get(_digest(claim))
        if waiting is not None and waiting.enrolment is not None:
            waiting.is_collected = True
        return waiting

    def arrived(self, device: str) -> None:
        """The device uses its account: nobody gets it again."""
        for claim, waiting in list(self._by_claim.items()):
            if waiting.is_collected and waiting.enrolment is not None and waiting.enrolment.device == device:
                del self._by_claim[claim]

    def _forget_old(self) -> None:
        now = self._clock()
        for claim, waiting in list(self._by_claim.items()):
            given = waiting.enrolment is not None
            if now > (waiting.confirmed_at + COLLECT_SECONDS if given else waiting.asked_at + VALID_SECONDS):
                del self._by_claim[claim]
                if self._by_code.get(waiting.code) is waiting:
                    del self._by_code[waiting.code]

    def _make_room(self) -> None:
        waiting = [(claim, one) for claim, one in self._by_claim.items() if one.enrolment is None]
        crowds = Counter(one.crowd for _, one in waiting)
        for crowd, _ in crowds.most_common(1):
            claim, oldest = next((claim, one) for claim, one in waiting if one.crowd == crowd)
            del self._by_claim[claim]
            self._by_code.pop(oldest.code, None)

    def _free_code(self) -> str:
        while True:
            code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            if code not in self._by_code:
                return code


def _crowd(address: str) -> str:
    """Who may be one and the same: an address, of IPv6 the network."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == IPV6 else address


def normal(code: str) -> str:
    """As people type it: small letters, a space or a hyphen in the middle."""
    return "".join(one for one in code.upper() if one.isalnum())


def _digest(claim: str) -> bytes:
    return hashlib.sha256(claim.encode()).digest()
