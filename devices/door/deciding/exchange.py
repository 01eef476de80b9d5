"""Whether a command may move the relay (D2). Pure: no I/O, the clock and the randomness come from outside.

The door remembers one nonce for what the hub asks, and one for what was shown at its reader, so that neither
overtakes the other. A command must bring one back, signed, within `age_limit` seconds by the door's own steady clock,
and the nonce is forgotten before anything moves. So a recorded, repeated, late, reordered, retained or foreign command
finds no nonce, and a reboot forgets those there are (I3, I4).
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
MOST_GIVEN = 64
MOST_ACTED = 1000
VERBS = frozenset(get_args(Verb))
ANSWERS = frozenset({"pulse", "deny"})
"""What may be said to somebody at the reader; a denial, and nobody else is denied."""


@dataclass(frozen=True, slots=True)
class Act:
    """Do it now, in this turn of the loop. The nonce is spent already."""

    command: Command
    answers_shown: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing. `answer` is the command that the hub waits for, when this is about one."""

    reason: Refusal
    answer: str | None = None


class _Claim(Payload):
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

    `acted` are commands that the door acted on before its last start, as far as the journal knows. A key id of None
    stands for any: an enrolment may name none.
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
        self._shown: _Pending | None = None
        self._given: OrderedDict[str, str] = OrderedDict()
        self._acted: OrderedDict[str, None] = OrderedDict.fromkeys(acted)

    def believe(self, keys: Mapping[str, VerifyKey]) -> None:
        """Whose commands count from now on, by key id; none: the enrolment's key again."""
        self._keys = {key_id: key for key_id, key in keys.items()} or self._enrolled  # noqa: C416 (for its type)

    def key(self, key_id: str) -> VerifyKey | None:
        """The hub's key of this id, as far as it is believed."""
        return self._keys.get(key_id) or self._keys.get(None)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(sorted(key_id for key_id in self._keys if key_id))

    def shown(self, command: str) -> Nonce:
        """A fresh nonce for the answer to what was just shown; the one before is forgotten."""
        self._shown = _Pending(command, self._make_nonce(), self._clock())
        return self._shown.nonce

    def decided_alone(self) -> None:
        """The door has decided by its list: an answer that comes now opens nothing."""
        self._shown = None

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
        wanted = (claim.nonce, claim.command)
        if self._shown is not None and wanted == (self._shown.nonce, self._shown.command):
            pending, self._shown = self._shown, None
            decision = self._judge(payload, claim, pending, ANSWERS, answers_shown=True)
        elif self._pending is not None and wanted == (self._pending.nonce, self._pending.command):
            pending, self._pending = self._pending, None
            del self._given[claim.nonce]
            decision = self._judge(payload, claim, pending, VERBS - {"deny"}, answers_shown=False)
        else:
            return self._refuse_unasked(claim)
        if isinstance(decision, Act):
            self._acted[claim.command] = None
            _trim(self._acted, MOST_ACTED)
        return decision

    def _judge(
        self, payload: bytes, claim: _Claim, pending: _Pending, verbs: frozenset[str], *, answers_shown: bool
    ) -> Act | Refuse:
        """A command that brought the nonce back, which is spent by now."""
        if not self._is_young(pending, self._clock()):
            return Refuse("late", claim.command)
        if claim.verb not in verbs:
            return Refuse("unknown_verb", claim.command)
        try:
            command = Command.model_validate_json(Signed.model_validate_json(payload).content)
        except ValidationError:
            return Refuse("malformed", claim.command)
        return Act(command, answers_shown)

    def _claim(self, payload: bytes) -> _Claim | Refuse:
        """Who says what: the signed fields, once the signature is the hub's and the door is this one."""
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
