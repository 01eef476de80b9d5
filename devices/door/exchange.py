"""Whether a command may move the relay (D2). Pure: no I/O, the clock and the randomness come from outside.

The door remembers one nonce. A command must bring it back, signed, within `age_limit` seconds by the door's
own steady clock, and the nonce is forgotten before anything moves. So a recorded, repeated, late, reordered,
retained or foreign command finds no nonce, and a reboot forgets the only one there is (I3, I4).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from secrets import token_hex

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
)
from devices.contract.messages import MAX_PAYLOAD_BYTES, Id, Message

NONCE_BYTES = 16
MOST_GIVEN = 64
MOST_ACTED = 1000


@dataclass(frozen=True, slots=True)
class Act:
    """Move the relay now, in this turn of the loop. The nonce is spent already."""

    command: Command


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing. `answer` is the command that the hub waits for, when this is about one."""

    reason: Refusal
    answer: str | None = None


class _Claim(Message):
    """The fields that every command has, also one with a verb of tomorrow."""

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
    """The challenges that this door gives and the commands that it may act on.

    `acted` are commands that the door acted on before its last start, as far as the journal knows.
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
        self._hub_key = hub_key
        self._hub_key_id = hub_key_id
        self._clock = clock
        self._age_limit = age_limit
        self._make_nonce = make_nonce
        self._pending: _Pending | None = None
        self._given: OrderedDict[str, str] = OrderedDict()
        self._acted: OrderedDict[str, None] = OrderedDict.fromkeys(acted)

    def challenge(self, payload: bytes, *, retained: bool) -> Challenge | None:
        """The challenge for a request; None when the request is none of ours to answer.

        A request that arrives twice gets the same nonce, as old as it is: were the second one fresh, the
        hub's answer to the first would fail.
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
            self._given[pending.nonce] = command
            _trim(self._given, MOST_GIVEN)
        return Challenge(door=self._door, command=command, nonce=pending.nonce)

    def decide(self, payload: bytes, *, retained: bool) -> Act | Refuse:
        """What to do about a command. A nonce that Act rests on is forgotten when this returns."""
        if retained:
            return Refuse("retained")
        claim = self._claim(payload)
        if isinstance(claim, Refuse):
            return claim
        if claim.command in self._acted:
            return Refuse("replayed")
        pending = self._pending
        if pending is None or (pending.nonce, pending.command) != (claim.nonce, claim.command):
            return self._refuse_unasked(claim)
        self._pending = None
        del self._given[claim.nonce]
        decision = self._judge(payload, claim, pending)
        if isinstance(decision, Act):
            self._acted[claim.command] = None
            _trim(self._acted, MOST_ACTED)
        return decision

    def _judge(self, payload: bytes, claim: _Claim, pending: _Pending) -> Act | Refuse:
        """A command that brought the nonce back, which is spent by now."""
        if not self._is_young(pending, self._clock()):
            return Refuse("late", claim.command)
        if claim.verb != "pulse":
            return Refuse("unknown_verb", claim.command)
        try:
            return Act(Command.model_validate_json(Signed.model_validate_json(payload).content))
        except ValidationError:
            return Refuse("malformed", claim.command)

    def _claim(self, payload: bytes) -> _Claim | Refuse:
        """Who says what: the signed fields, once the signature is the hub's and the door is this one."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Refuse("malformed")
        try:
            signed = Signed.model_validate_json(payload)
        except ValidationError:
            return Refuse("malformed")
        if self._hub_key_id not in {None, signed.key} or not signed.is_by(self._hub_key):
            return Refuse("bad_signature")
        try:
            claim = _Claim.model_validate_json(signed.content)
        except ValidationError:
            return Refuse("malformed")
        return claim if claim.door == self._door else Refuse("other_door")

    def _refuse_unasked(self, claim: _Claim) -> Refuse:
        """The hub waits for an answer only to a challenge that was given and then overtaken by another."""
        overtaken = self._given.get(claim.nonce) == claim.command
        if not overtaken:
            return Refuse("no_challenge")
        del self._given[claim.nonce]
        return Refuse("no_challenge", claim.command)

    def _is_young(self, pending: _Pending, now: float) -> bool:
        return 0 <= now - pending.since <= self._age_limit


def _trim(remembered: "OrderedDict[str, str] | OrderedDict[str, None]", most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
