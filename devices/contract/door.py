"""What a door controller and the hub say to each other (kind `door`). CHANNELS has QoS, retained and expiry.

    down/list          Signed(AccessList)        retained: who may pass when, sealed for this door (devices/access)
    up/state           Signed(State)             at every change and every STATE_SECONDS
    up/shown           Signed(AccessRequest)     something was shown at a reader; a challenge for the hub's answer
    down/challenge     ChallengeRequest          the hub has committed an intent and asks for a challenge
    up/challenge       Signed(Challenge)         a fresh nonce; the door remembers one
    down/command       Signed(Command)           signed by the hub, good once, for COMMAND_SECONDS
    up/outcome         Signed(Outcome)           what the door did; sent again until the receipt comes
    up/event           Signed(Event)             what happened at the door; sent again until the receipt comes
    down/receipt       EventReceipt              after the durable commit; `of` is an event's id, or the id
                                                 of the command whose outcome is committed

What is shown at a reader goes to the hub as keyed hashes with a challenge of the door's own; the hub decides, commits
an intent and answers with a Command: `pulse` or `deny`. No answer within ANSWER_SECONDS, or no contact: the door
decides by its list, with the same function, and forgets the challenge, so that a late answer opens nothing.

A signature covers the exact bytes that travel in `content`; nobody serialises JSON again to check it. The
door measures a challenge's age by its own monotonic clock (D2), so no clock or disk can be turned back on it.

Every refused command is an Event. It is an Outcome too when the hub waits for one: the hub's signature is
good, the door gave a challenge for this command since it started, and has not answered the command yet. So no
forged, replayed or stale message can make an Outcome that contradicts an earlier one; a command that a
restarted controller knows nothing of gets no Outcome and ends at the hub as unknown.

The door sends events and outcomes again after a reconnect and every RESEND_SECONDS, oldest first, at most
RESEND_BATCH at a time, so the hub sees some twice: the same (door, id) or the same command is one thing, and
gets its receipt again. Events are numbered without gaps, also across restarts, and handed over in order: the hub
takes `n` only after `n - 1`, and every State says which are still waiting. What is neither taken nor waiting is lost,
and an alarm.
"""

from base64 import b64encode
from typing import Annotated, Literal, TypeVar

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from pydantic import AwareDatetime, Base64Bytes, Field, StringConstraints, ValidationError, model_validator

from devices.access.credentials import Fingerprint
from devices.access.deciding import Reason
from devices.access.lists import Ref
from devices.contract.channels import Channel
from devices.contract.payload import DeviceTime, Id, Payload

M = TypeVar("M", bound=Payload)
Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

KIND = "door"
COMMAND_SECONDS = 5.0
STATE_SECONDS = 10
RESEND_SECONDS = 10
RESEND_BATCH = 50
CONFIRMED_SECONDS = 30
"""A state older than this is shown as unknown (I9)."""
MAX_PULSE_MS = 30_000
MAX_HOLD_SECONDS = 12 * 3600
ANSWER_SECONDS = 0.7
"""So long somebody waits at a reader for the hub before the door decides by itself."""
PIN_SECONDS = 15.0
"""Between a card and its PIN."""
MAX_LIST_BYTES = 400_000

Lock = Literal["locked", "unlocked", "unknown"]
Contact = Literal["open", "closed", "unknown"]
Refusal = Literal[
    "bad_signature",
    "other_door",
    "retained",
    "no_challenge",
    "replayed",
    "late",
    "unknown_verb",
    "malformed",
    "hardware_failed",
]
"""`hardware_failed`: the command was good and its nonce is spent, but the relay could not be driven."""
Verb = Literal["pulse", "hold_open", "lock", "resume", "lockdown", "lift_lockdown", "deny"]
"""`pulse` opens for a moment, `hold_open` for `hold_seconds`, `lock` locks until `resume`, which goes back to the
opening schedule. `lockdown` refuses credentials but for named ones. `deny` answers an access request, and moves
nothing."""
Mode = Literal["schedule", "held_open", "locked"]
Power = Literal["fail_safe", "fail_secure"]
"""What the lock does without power: lets go, or stays locked. The way out is free with either (TEK17 § 11-14)."""
Side = Literal["in", "out"]
Input = Literal["fire", "tamper", "mains_lost", "reader_lost"]
EventKind = Literal[
    "command_refused",
    "forced_open",
    "exit_button",
    "started",
    "granted",
    "denied",
    "not_opened",
    "held_too_long",
    "closed_again",
    "opened_by_schedule",
    "closed_by_schedule",
    "hold_ended",
    "list_taken",
    "list_refused",
    "too_many_tries",
    "tamper",
    "tamper_over",
    "fire",
    "fire_over",
    "mains_lost",
    "mains_back",
    "reader_lost",
    "reader_back",
    "reader_refused",
    "clock_wrong",
    "clock_right",
]
"""`granted` and `denied` are decisions that the door made by its list; the hub knows its own. `fire` is the input of
the fire alarm, which releases the lock by its own wires: it is seen here and never commanded."""


class ForgedError(ValueError):
    """A signed message whose signature, key or content is not what it must be."""


class Signed(Payload):
    """`content` and `signature` are Base64 in JSON; `key` names the key that signed."""

    content: Base64Bytes
    signature: Base64Bytes
    key: str = Field(max_length=40)

    @classmethod
    def sign(cls, message: Payload, key: SigningKey, key_id: str) -> "Signed":
        return cls.sign_content(message.encoded(), key, key_id)

    @classmethod
    def sign_content(cls, content: bytes, key: SigningKey, key_id: str) -> "Signed":
        return cls.carrying(content, key.sign(content).signature, key_id)

    @classmethod
    def carrying(cls, content: bytes, signature: bytes, key_id: str) -> "Signed":
        """From raw bytes: the model itself takes Base64, as it stands in JSON."""
        return cls(content=b64encode(content), signature=b64encode(signature), key=key_id)

    def is_by(self, key: VerifyKey) -> bool:
        """True when `key` signed exactly these bytes."""
        try:
            key.verify(self.content, self.signature)
        except (BadSignatureError, ValueError):  # ValueError: a signature of the wrong length
            return False
        return True

    def opened(self, key: VerifyKey, model: type[M]) -> M:
        """The message inside. Raises ForgedError when `key` did not sign it or the content is malformed."""
        if not self.is_by(key):
            raise ForgedError("BadSignatureError")
        try:
            return model.model_validate_json(self.content)
        except ValidationError as error:
            raise ForgedError(type(error).__name__) from error


class State(Payload):
    """(`boot`, `seq`) only grows, so that an old state cannot be played again.

    A controller that has lost its disk counts from 1 again: it is enrolled again, with a new key, and the hub
    forgets (`boot`, `seq`) together with the old key.
    """

    door: Id
    boot: int = Field(ge=0, description="counts the controller's starts")
    seq: int = Field(ge=0)
    lock: Lock
    contact: Contact
    sent_at: AwareDatetime
    power: Power = "fail_secure"
    mode: Mode = "schedule"
    hold_seconds: int = Field(default=0, ge=0, description="how long it is still held open")
    lockdown: bool = False
    list_version: int = Field(default=0, ge=0, description="0: it has none")
    list_newest: int = Field(default=0, ge=0, description="the newest that it ever had: an older one is not taken")
    list_until: AwareDatetime | None = None
    hub_keys: tuple[str, ...] = Field(default=(), description="ids of the keys whose commands it takes")
    inputs: tuple[Input, ...] = ()
    mark: str = Field(default="", max_length=16, description="of the journal; another one: it was begun anew")
    waiting_from: int | None = Field(default=None, ge=1, description="the oldest event without a receipt; none: none")
    newest: int = Field(default=0, ge=0, description="the number of the latest event")
    knows_time: bool = Field(default=True, description="false: it decides nothing by its clock")


class AccessRequest(Payload):
    """`id` is the command id that the answer must carry, `nonce` the challenge."""

    door: Id
    id: Id
    nonce: Nonce
    reader: str = Field(max_length=40)
    side: Side = "in"
    card: Fingerprint | None = None
    pin: Fingerprint | None = None
    code: str | None = Field(default=None, max_length=500, repr=False, description="of a QR pass")
    list_version: int = Field(ge=0)
    shown_at: DeviceTime


class ChallengeRequest(Payload):
    command: Id


class Challenge(Payload):
    door: Id
    command: Id
    nonce: Nonce


class Command(Payload):
    door: Id
    command: Id
    verb: Verb
    pulse_ms: int | None = Field(default=None, gt=0, le=MAX_PULSE_MS)
    hold_seconds: int | None = Field(default=None, gt=0, le=MAX_HOLD_SECONDS, description="by the door's own clock")
    why: Reason | None = Field(default=None, description="of a denial, for the reader's light and sound")
    nonce: Nonce
    audit: int = Field(ge=1, description="the audit entry of the committed intent")

    @model_validator(mode="after")
    def _has_what_its_verb_needs(self) -> "Command":
        needs = {"pulse": self.pulse_ms, "hold_open": self.hold_seconds, "deny": self.why}
        if self.verb in needs and needs[self.verb] is None:
            raise ValueError(f"{self.verb} needs its field")
        return self


class Outcome(Payload):
    door: Id
    command: Id
    result: Literal["done", "refused"]
    reason: Refusal | None = None
    boot: int
    seq: int
    lock: Lock
    contact: Contact


class Event(Payload):
    """What happened at the door. `id` is boot, sequence and a mark of the door's journal.

    A flood is counted: after a burst one event stands for `count` of the same kind and reason, the first of
    them at `happened_at`.
    """

    id: Id
    door: Id
    n: int = Field(
        default=0,
        ge=0,
        description="without gaps, for as long as the journal lives; 0: the disk is stuck, it comes again",
    )
    kind: EventKind
    reason: Refusal | Reason | None = None
    count: int = Field(default=1, ge=1)
    happened_at: DeviceTime
    reader: str | None = Field(default=None, max_length=40)
    side: Side | None = None
    credential: Ref | None = Field(default=None, description="a pseudonym; whose it is, the hub knows")
    shown: Fingerprint | None = Field(default=None, description="what was shown and is unknown, as a keyed hash")
    visit_pass: Id | None = None
    rule: int | None = None
    is_duress: bool = False
    passes_back: bool = False


class EventReceipt(Payload):
    of: Id = Field(description="an Event's id, or the command id of an Outcome")


_EXPIRY = int(COMMAND_SECONDS)

CHANNELS = (
    Channel(
        "down",
        "list",
        Signed,
        "who may pass when; sealed for this door",
        retained=True,
        most_bytes=MAX_LIST_BYTES,
        kind=KIND,
    ),
    Channel(
        "up",
        "shown",
        Signed,
        f"shown at a reader; good for {COMMAND_SECONDS:g} s",
        expiry_seconds=_EXPIRY,
        carries=AccessRequest,
        kind=KIND,
    ),
    Channel("up", "state", Signed, f"at every change and every {STATE_SECONDS} s", carries=State, kind=KIND),
    Channel(
        "down",
        "challenge",
        ChallengeRequest,
        "the hub has committed an intent and asks for a challenge",
        expiry_seconds=_EXPIRY,
        kind=KIND,
    ),
    Channel("up", "challenge", Signed, "a fresh nonce; the door remembers one", carries=Challenge, kind=KIND),
    Channel(
        "down",
        "command",
        Signed,
        f"signed by the hub, good once, for {COMMAND_SECONDS:g} s",
        expiry_seconds=_EXPIRY,
        carries=Command,
        kind=KIND,
    ),
    Channel(
        "up", "outcome", Signed, "what the door did; sent again until the receipt comes", carries=Outcome, kind=KIND
    ),
    Channel(
        "up", "event", Signed, "what happened at the door; sent again until the receipt comes", carries=Event, kind=KIND
    ),
    Channel("down", "receipt", EventReceipt, "after the durable commit", qos=0, kind=KIND),
)
