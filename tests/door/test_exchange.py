"""The rules of D2, one by one."""

from secrets import token_hex

import pytest
from nacl.signing import SigningKey

from devices.contract.door import COMMAND_SECONDS, ChallengeRequest, Command, Signed
from devices.contract.payload import MAX_PAYLOAD_BYTES, new_id
from devices.door.deciding.exchange import Act, Exchange, Refuse

HUB = SigningKey.generate()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exchange(clock: Clock) -> Exchange:
    return Exchange("door-1", HUB.verify_key, "hub-1", clock=clock)


def ask(exchange: Exchange, command: str):
    return exchange.challenge(ChallengeRequest(command=command).encoded(), retained=False)


def order(command: str, nonce: str, key: SigningKey = HUB, key_id: str = "hub-1", **changes: object) -> bytes:
    fields = {
        "door": "door-1",
        "command": command,
        "verb": "pulse",
        "pulse_ms": 500,
        "nonce": nonce,
        "audit": 7,
    }
    content = Command.model_construct(**(fields | changes)).encoded()
    return Signed.carrying(content, key.sign(content).signature, key_id).encoded()


def test_a_good_command_is_acted_on_once(exchange: Exchange) -> None:
    challenge = ask(exchange, "c1")
    payload = order("c1", challenge.nonce)
    decision = exchange.decide(payload, retained=False)
    assert isinstance(decision, Act)
    assert decision.command.pulse_ms == 500
    assert exchange.decide(payload, retained=False) == Refuse("replayed")


def test_the_nonce_is_forgotten_before_anybody_acts(exchange: Exchange) -> None:
    """Even when the relay fails: the same command never gets a second try."""
    payload = order("c1", ask(exchange, "c1").nonce)
    exchange.decide(payload, retained=False)
    assert ask(exchange, "c1") is None
    assert isinstance(exchange.decide(payload, retained=False), Refuse)


@pytest.mark.parametrize(("age", "acts"), [(0, True), (COMMAND_SECONDS, True), (COMMAND_SECONDS + 0.001, False)])
def test_a_nonce_lives_for_five_seconds(exchange: Exchange, clock: Clock, age: float, acts: bool) -> None:
    payload = order("c1", ask(exchange, "c1").nonce)
    clock.now += age
    assert isinstance(exchange.decide(payload, retained=False), Act) == acts
    if not acts:
        assert exchange.decide(payload, retained=False) == Refuse("no_challenge")  # spent, and no second answer


def test_a_clock_that_went_back_is_no_young_nonce(exchange: Exchange, clock: Clock) -> None:
    payload = order("c1", ask(exchange, "c1").nonce)
    clock.now -= 1
    assert exchange.decide(payload, retained=False) == Refuse("late", "c1")


def test_the_age_limit_can_be_given(clock: Clock) -> None:
    exchange = Exchange("door-1", HUB.verify_key, "hub-1", clock=clock, age_limit=0.5)
    payload = order("c1", ask(exchange, "c1").nonce)
    clock.now += 0.6
    assert exchange.decide(payload, retained=False) == Refuse("late", "c1")


def test_a_request_that_comes_twice_gets_the_same_nonce_as_old_as_it_is(exchange: Exchange, clock: Clock) -> None:
    first = ask(exchange, "c1")
    clock.now += 3
    assert ask(exchange, "c1") == first
    clock.now += 3
    assert ask(exchange, "c1") != first


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"key": SigningKey.generate()}, Refuse("bad_signature")),
        ({"key_id": "hub-2"}, Refuse("bad_signature")),
        ({"door": "door-2"}, Refuse("other_door")),
        ({"nonce": token_hex(16)}, Refuse("no_challenge")),
        ({"command": "c2"}, Refuse("no_challenge")),
        ({"nonce": "short"}, Refuse("malformed")),
    ],
)
def test_a_bad_command_does_not_disturb_the_honest_one(exchange: Exchange, changes: dict, refused: Refuse) -> None:
    challenge = ask(exchange, "c1")
    fields = {"command": "c1", "nonce": challenge.nonce} | changes
    assert exchange.decide(order(**fields), retained=False) == refused
    assert exchange.decide(order("c1", challenge.nonce), retained=True) == Refuse("retained")
    assert isinstance(exchange.decide(order("c1", challenge.nonce), retained=False), Act)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verb": "self_destruct"}, "unknown_verb"),
        ({"verb": "deny", "why": "unknown"}, "unknown_verb"),
        ({"verb": "hold_open"}, "malformed"),
        ({"pulse_ms": 0}, "malformed"),
        ({"pulse_ms": 3_600_000}, "malformed"),
    ],
)
def test_what_the_hub_signed_but_the_door_cannot_do_is_answered(exchange: Exchange, changes: dict, reason: str) -> None:
    challenge = ask(exchange, "c1")
    assert exchange.decide(order("c1", challenge.nonce, **changes), retained=False) == Refuse(reason, "c1")
    assert isinstance(exchange.decide(order("c1", challenge.nonce), retained=False), Refuse)


def test_one_changed_byte_is_enough(exchange: Exchange) -> None:
    """Any flipped bit of the content or the signature."""
    challenge = ask(exchange, "c1")
    signed = Signed.model_validate_json(order("c1", challenge.nonce))
    for place in range(len(signed.content)):
        content = bytearray(signed.content)
        content[place] ^= 1
        changed = Signed.carrying(bytes(content), signed.signature, "hub-1").encoded()
        assert exchange.decide(changed, retained=False) == Refuse("bad_signature")
    for signature in (b"", signed.signature[:-1], signed.signature + b"x", bytes(64)):
        changed = Signed.carrying(signed.content, signature, "hub-1").encoded()
        assert exchange.decide(changed, retained=False) == Refuse("bad_signature")


@pytest.mark.parametrize("payload", [b"", b"{", b"null", b"\xff\xfe", b'{"content":"eA==","key":"x"}', b"[" * 90_000])
def test_nonsense_is_malformed(exchange: Exchange, payload: bytes) -> None:
    assert exchange.decide(payload, retained=False) == Refuse("malformed")
    assert exchange.challenge(payload, retained=False) is None


def test_a_good_command_that_is_too_long_is_refused_unread(exchange: Exchange) -> None:
    challenge = ask(exchange, "c1")
    payload = order("c1", challenge.nonce) + b" " * MAX_PAYLOAD_BYTES
    assert exchange.decide(payload, retained=False) == Refuse("malformed")


def test_a_retained_request_gets_no_challenge(exchange: Exchange) -> None:
    assert exchange.challenge(ChallengeRequest(command="c1").encoded(), retained=True) is None


def test_an_overtaken_challenge_is_answered_once(exchange: Exchange) -> None:
    first, second = ask(exchange, "c1"), ask(exchange, "c2")
    assert exchange.decide(order("c1", first.nonce), retained=False) == Refuse("no_challenge", "c1")
    assert exchange.decide(order("c1", first.nonce), retained=False) == Refuse("no_challenge")
    assert isinstance(exchange.decide(order("c2", second.nonce), retained=False), Act)


def test_a_rebooted_door_remembers_what_it_did_and_no_nonce(exchange: Exchange, clock: Clock) -> None:
    payload = order("c1", ask(exchange, "c1").nonce)
    rebooted = Exchange("door-1", HUB.verify_key, "hub-1", clock=clock, acted=["c0"])
    assert rebooted.decide(payload, retained=False) == Refuse("no_challenge")
    assert ask(rebooted, "c0") is None
    assert rebooted.decide(order("c0", token_hex(16)), retained=False) == Refuse("replayed")


def test_what_is_remembered_is_bounded(exchange: Exchange) -> None:
    for _ in range(3000):
        command = new_id()
        exchange.decide(order(command, ask(exchange, command).nonce), retained=False)
        ask(exchange, new_id())
    assert len(exchange._issued) <= 64
    assert len(exchange._acted) <= 1000
