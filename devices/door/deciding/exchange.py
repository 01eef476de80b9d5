"""Whether a command may move the relay (D2). Pure: no I/O, clock and randomness are injected.

The door remembers one nonce for the hub's requests and one for its own access requests. A command must return one,
signed, within `age_limit` seconds by the door's monotonic clock, and the nonce is deleted before anything moves. So a
recorded, repeated, late, reordered, retained or foreign command finds no nonce, nor does any after a reboot (I3, I4).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import get_args

from nacl.signing import VerifyKey
from pydantic import ValidationError

from devices.contract.door import (
    COMMAND_SECONDS,
    Challenge,
    ChallengeRequest,
    Command,
    Nonce,
    Refusal,
    Signed,
    Verb,
)
from devices.contract.payload import MAX_PAYLOAD_BYTES, Id, Payload

NONCE_BYTES = 16
MAX_ISSUED = 64
MAX_ACTED = 1000
VERBS = frozenset(get_args(Verb))
ANSWERS = frozenset({"pulse", "deny"})
"""Verbs that may answer an access request; only such an answer can be a denial."""


@dataclass(frozen=True, slots=True)
class Act:
    """Execute the command now, without awaiting anything. Its nonce is spent already."""

    command: Command
    answers_request: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing. `answer`: the command whose outcome the hub waits for, if any."""

    reason: Refusal
    answer: str | None = None


class _Claim(Payload):
    """The fields that every command has, including ones with unknown verbs."""

    door: Id
    command: Id
    verb: str
    nonce: Nonce


@dataclass(frozen=True, slots=True)
class _Pending:
    command: str
    nonce: str
    since: float


class Exchange:
    """Issues challenges and checks commands against them.

    `acted`: commands executed before the last start, as far as the journal knows. A key id of None matches any: an
    enrolment may name none.
    """

    def __init__(
        self,
        door: str,
        hub_key: VerifyKey,
        hub_key_id: str | None,
        *,
        clock: Callable[[], float],
        age_limit: float = COMMAND_SECONDS,
        make_nonce: Callable[[], str] = lambda: token_hex(NONCE_BYTES),
        acted: Iterable[str] = (),
    ) -> None:
        self._door = door
        self._enrolled: dict[str | None, VerifyKey] = {hub_key_id: hub_key}
        self._keys = self._enrolled
        self._clock = clock
        self._age_limit = age_limit
        self._make_nonce = make_nonce
        self._pending: _Pending | None = None
        self._request: _Pending | None = None
        self._issued: OrderedDict[str, str] = OrderedDict()
        self._acted: OrderedDict[str, None] = OrderedDict.fromkeys(acted)

    def trust(self, keys: Mapping[str, VerifyKey]) -> None:
        """Accept commands signed by these keys, by key id; empty: by the enrolment's key."""
        self._keys = {key_id: key for key_id, key in keys.items()} or self._enrolled  # noqa: C416 (for its type)

    def key(self, key_id: str) -> VerifyKey | None:
        """The trusted key with this id."""
        return self._keys.get(key_id) or self._keys.get(None)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(sorted(key_id for key_id in self._keys if key_id))

    def new_request_nonce(self, command: str) -> Nonce:
        """A fresh nonce for an access request; it replaces the previous one."""
        self._request = _Pending(command, self._make_nonce(), self._clock())
        return self._request.nonce

    def forget_request(self) -> None:
        """The door decides by itself: a later answer is not accepted."""
        self._request = None

    def challenge(self, payload: bytes, *, retained: bool) -> Challenge | None:
        """The challenge for a request; None for an invalid, retained or repeated one.

        A request that arrives twice gets the same nonce, without renewing its age: a fresh one would invalidate the
        hub's answer to the first.
        """
        if retained or len(payload) > MAX_PAYLOAD_BYTES:
            return None
        try:
            command = ChallengeRequest.model_validate_json(payload).command
        except ValidationError:
            return None
        if command in self._acted:
            return None
        now = self._clock()
        pending = self._pending
        if pending is None or pending.command != command or not self._is_young(pending, now):
            pending = self._pending = _Pending(command, self._make_nonce(), now)
            self._issued[pending.nonce] = command
            _trim(self._issued, MAX_ISSUED)
        return Challenge(door=self._door, command=command, nonce=pending.nonce)

    def decide(self, payload: bytes, *, retained: bool) -> Act | Refuse:
        """Check a command. The nonce of an accepted command is deleted when this returns."""
        if retained:
            return Refuse("retained")
        claim = self._claim(payload)
        if isinstance(claim, Refuse):
            return claim
        if claim.command in self._acted:
            return Refuse("replayed")
        wanted = (claim.nonce, claim.command)
        if self._request is not None and wanted == (self._request.nonce, self._request.command):
            pending, self._request = self._request, None
            decision = self._judge(payload, claim, pending, ANSWERS, answers_request=True)
        elif self._pending is not None and wanted == (self._pending.nonce, self._pending.command):
            pending, self._pending = self._pending, None
            del self._issued[claim.nonce]
            decision = self._judge(payload, claim, pending, VERBS - {"deny"}, answers_request=False)
        else:
            return self._refuse_unasked(claim)
        if isinstance(decision, Act):
            self._acted[claim.command] = None
            _trim(self._acted, MAX_ACTED)
        return decision

    def _judge(
        self, payload: bytes, claim: _Claim, pending: _Pending, verbs: frozenset[str], *, answers_request: bool
    ) -> Act | Refuse:
        """Check a command that returned a nonce, which is deleted already."""
        if not self._is_young(pending, self._clock()):
            return Refuse("late", claim.command)
        if claim.verb not in verbs:
            return Refuse("unknown_verb", claim.command)
        try:
            command = Command.model_validate_json(Signed.model_validate_json(payload).content)
        except ValidationError:
            return Refuse("malformed", claim.command)
        return Act(command, answers_request)

    def _claim(self, payload: bytes) -> _Claim | Refuse:
        """The signed fields, after checking the signature and the door's id."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Refuse("malformed")
        try:
            signed = Signed.model_validate_json(payload)
        except ValidationError:
            return Refuse("malformed")
        key = self.key(signed.key)
        if key is None or not signed.is_by(key):
            return Refuse("bad_signature")
        try:
            claim = _Claim.model_validate_json(signed.content)
        except ValidationError:
            return Refuse("malformed")
        return claim if claim.door == self._door else Refuse("other_door")

    def _refuse_unasked(self, claim: _Claim) -> Refuse:
        """The hub waits for an outcome only when its challenge was issued and then replaced by another."""
        overtaken = self._issued.get(claim.nonce) == claim.command
        if not overtaken:
            return Refuse("no_challenge")
        del self._issued[claim.nonce]
        return Refuse("no_challenge", claim.command)

    def _is_young(self, pending: _Pending, now: float) -> bool:
        return 0 <= now - pending.since <= self._age_limit


def _trim(remembered: "OrderedDict[str, str] | OrderedDict[str, None]", most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
