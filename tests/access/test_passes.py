"""A pass opens its doors in its time, and a text that the hub did not sign opens nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from pydantic import ValidationError

from devices.access.deciding import Circumstances, Decision, Fingerprints, decide
from devices.access.lists import DoorAccess
from devices.access.passes import MAX_CHARACTERS, PREFIX, Pass, PassError, read_pass

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HUB = SigningKey(bytes(range(32)))
KEYS = {"hub-1": HUB.verify_key}


def a_pass(**changes: object) -> Pass:
    first, until = (int((NOW + timedelta(hours=hours)).timestamp()) for hours in (-1, 1))
    made = {"id": "p1", "doors": ("door-1", "door-2"), "first": first, "until": until, "once": True}
    return Pass.model_validate(made | changes)


def text_of(one: Pass, key: SigningKey = HUB, key_id: str = "hub-1") -> str:
    return one.text(key_id, key.sign(PREFIX + one.content()).signature)


def decided(one: Pass, at: datetime = NOW, known: Circumstances | None = None, **changes: object) -> Decision:
    made = {"door": "door-1", "version": 1, "made_at": NOW - timedelta(hours=2), "valid_until": NOW + timedelta(days=1)}
    access = DoorAccess.model_validate(made | changes)
    return decide(access, {}, Fingerprints(visit_pass=one), at, known or Circumstances())


def test_what_was_signed_is_read() -> None:
    assert read_pass(text_of(a_pass()), KEYS) == a_pass()
    longest = a_pass(doors=tuple(f"floor-2-door-{n}-east" for n in range(8)))
    assert len(text_of(longest)) <= MAX_CHARACTERS


@given(st.integers(0, 10_000), st.integers(0, 127))
def test_a_changed_character_is_refused(place: int, character: int) -> None:
    text = text_of(a_pass())
    place %= len(text)
    changed = text[:place] + chr(character) + text[place + 1 :]
    try:
        found = read_pass(changed, KEYS)
    except PassError:
        return
    assert found == a_pass()  # the last letter of Base64 has bits that count for nothing


@given(st.text(max_size=600))
def test_any_text_is_refused_in_order(text: str) -> None:
    with pytest.raises(PassError):
        read_pass(text, KEYS)
    with pytest.raises(PassError):
        read_pass(f"KV1.hub-1.{text}.{text}", KEYS)


def test_another_key_and_another_kind_of_content_are_refused() -> None:
    with pytest.raises(PassError):
        read_pass(text_of(a_pass(), SigningKey.generate()), KEYS)
    with pytest.raises(PassError):
        read_pass(text_of(a_pass(), key_id="hub-2"), KEYS)
    without_prefix = a_pass().text("hub-1", HUB.sign(a_pass().content()).signature)
    with pytest.raises(PassError):
        read_pass(without_prefix, KEYS)
    with pytest.raises(ValidationError):
        a_pass(until=1)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("granted", {}),
        ("not_here", {"door": "door-3"}),
        ("revoked", {"revoked_passes": {"p1"}}),
        ("granted", {"revoked_passes": {"p2"}}),
        ("lockdown", {"lockdown": True}),
        ("not_yet", {"at": NOW - timedelta(minutes=61)}),
        ("expired", {"at": NOW + timedelta(hours=1)}),
        ("granted", {"at": NOW + timedelta(minutes=59)}),
        ("list_expired", {"valid_until": NOW}),
        ("used", {"known": Circumstances(used=True)}),
        ("interlock", {"known": Circumstances(interlocked=True)}),
    ],
)
def test_where_and_when_it_opens(reason: str, change: dict[str, object]) -> None:
    decision = decided(a_pass(), **change)  # type: ignore[arg-type]
    assert decision.reason == reason
    assert decision.visit_pass == "p1"


def test_one_for_many_passages_is_never_used_up() -> None:
    assert decided(a_pass(once=False), known=Circumstances(used=True)).is_granted
