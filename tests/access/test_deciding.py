"""The one decision: what it grants, and that a door with its list in hand decides as the hub does."""

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from devices.access.credentials import CredentialError, card, fingerprint, is_easily_guessed, pin, readings, turned, uid
from devices.access.deciding import Circumstances, Fingerprints, Reason, decide, is_open_for_all
from devices.access.lists import AccessList, Credential, DoorAccess, ListError, Opening, Rule
from devices.access.times import DAY_MINUTES, Hours, OtherDay, Times, Weekly
from devices.contract.door import Signed

KEY = bytes(range(32))
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""Ten o'clock in Oslo."""
WORK = Times(weekly=(Weekly(days={1, 2, 3, 4, 5}, start=7 * 60, end=16 * 60),), on_holidays="never")


def shown(text: str) -> str:
    return fingerprint(KEY, text)


CARD, OTHER, PIN, DURESS = (shown(text) for text in (card(26, 12, 3456), uid(b"\4\xa2"), "pin:481593", "pin:907314"))


def access(**changes: object) -> DoorAccess:
    made = {
        "door": "door-1",
        "version": 1,
        "made_at": MONDAY - timedelta(hours=1),
        "valid_until": MONDAY + timedelta(hours=36),
        "rules": (Rule(id=1, times=WORK), Rule(id=2, asks="card_and_pin")),
    }
    return DoorAccess.model_validate(made | changes)


def roll(**changes: object) -> dict[str, Credential]:
    made = {"ref": "kari", "rules": frozenset({1, 2}), "pin": PIN, "duress": DURESS}
    return {CARD: Credential(**(made | changes))}  # type: ignore[arg-type]


def reason(what: Fingerprints | None = None, at: datetime = MONDAY, **changes: object) -> Reason:
    return decide(access(**changes), roll(), what or Fingerprints(CARD), at).reason


def test_a_card_opens_within_its_hours_and_with_its_pin_at_all_others() -> None:
    night = MONDAY + timedelta(hours=12)
    assert reason() == "granted"
    assert reason(at=night) == "pin_wanted"
    assert reason(Fingerprints(CARD, PIN), night) == "granted"
    assert reason(Fingerprints(CARD, shown("pin:111222")), night) == "wrong_pin"
    assert reason(Fingerprints(card=OTHER)) == "unknown"
    assert reason(rules=(Rule(id=1, times=WORK),), at=night) == "not_now"
    assert reason(rules=(Rule(id=3),)) == "not_here"
    assert reason(holidays={date(2026, 11, 23)}) == "pin_wanted"


@pytest.mark.parametrize("at", [MONDAY, MONDAY + timedelta(hours=12)])
def test_a_duress_pin_opens_and_tells(at: datetime) -> None:
    decision = decide(access(), roll(), Fingerprints(CARD, DURESS), at)
    assert (decision.reason, decision.is_duress) == ("granted", True)


@pytest.mark.parametrize("shown", ["uid:04a2b3c4", "card:34:1186:46020"])
def test_one_card_is_one_credential_whatever_reads_it(shown: str) -> None:
    """34 bits of Wiegand are the four bytes of the card's own number."""
    assert readings(shown) == ("uid:04a2b3c4", "card:34:1186:46020")
    assert readings("card:26:12:3456") == ("card:26:12:3456",)
    assert readings("uid:04a2b3c4d5e6f7") == ("uid:04a2b3c4d5e6f7",)
    assert turned(turned(shown)) == "uid:04a2b3c4"
    assert turned(shown) == "uid:c4b3a204"
    assert turned("card:26:12:3456") == "card:26:12:3456"


def test_the_number_printed_on_a_card_of_37_bits_can_be_typed() -> None:
    assert card(37, 0, 2**19 - 1) == "card:37:0:524287"
    assert card(37, 0, 12 * 2**19 + 3456) == "card:37:12:3456"
    for wrong in (2**35, -1):
        with pytest.raises(CredentialError):
            card(37, 0, wrong)
    with pytest.raises(CredentialError):
        card(37, 1, 2**19)


def test_a_pin_that_opens_alone_is_nothing_beside_a_card() -> None:
    alone = {PIN: Credential("ola", frozenset({1}))}
    assert decide(access(), alone, Fingerprints(pin=PIN), MONDAY).is_granted
    assert decide(access(), alone, Fingerprints(card=OTHER, pin=PIN), MONDAY).reason == "unknown"
    only_both = access(rules=(Rule(id=1, asks="card_and_pin"),))
    assert not decide(only_both, alone, Fingerprints(pin=PIN), MONDAY).is_granted


def test_lockdown_lets_only_the_named_in_and_shuts_what_stood_open() -> None:
    closed = access(lockdown=True, opening=Opening(times=WORK))
    assert decide(closed, roll(), Fingerprints(CARD), MONDAY).reason == "lockdown"
    assert decide(closed, roll(in_lockdown=True), Fingerprints(CARD), MONDAY).is_granted
    assert not is_open_for_all(closed, MONDAY, has_arrived=True)


def test_a_list_that_has_run_out_and_a_clock_that_is_wrong_decide_nothing() -> None:
    assert reason(at=MONDAY + timedelta(hours=36)) == "list_expired"
    assert reason(at=MONDAY - timedelta(hours=2)) == "clock_wrong"
    assert reason(at=MONDAY - timedelta(hours=1, minutes=1)) == "granted"


def test_a_credential_has_days_of_its_own() -> None:
    seconds = int(MONDAY.timestamp())
    assert decide(access(), roll(first=seconds + 1), Fingerprints(CARD), MONDAY).reason == "not_yet"
    assert decide(access(), roll(first=seconds, until=seconds + 1), Fingerprints(CARD), MONDAY).is_granted
    assert decide(access(), roll(until=seconds), Fingerprints(CARD), MONDAY).reason == "expired"


@pytest.mark.parametrize(
    ("mode", "expected", "is_told"), [("off", "granted", False), ("soft", "granted", True), ("hard", "passback", False)]
)
def test_whoever_is_inside_already(mode: str, expected: str, is_told: bool) -> None:
    decision = decide(access(passback=mode), roll(), Fingerprints(CARD), MONDAY, Circumstances(inside=True))
    assert (decision.reason, decision.passes_back) == (expected, is_told)
    assert decide(access(passback=mode), roll(), Fingerprints(CARD), MONDAY, Circumstances(inside=None)).is_granted


def test_the_other_door_of_a_sluice_is_open() -> None:
    assert decide(access(), roll(), Fingerprints(CARD), MONDAY, Circumstances(interlocked=True)).reason == "interlock"


def test_the_opening_waits_for_the_first_to_arrive() -> None:
    door = access(opening=Opening(times=WORK, after_arrival=True))
    assert not is_open_for_all(door, MONDAY, has_arrived=False)
    assert is_open_for_all(door, MONDAY, has_arrived=True)
    assert not is_open_for_all(door, MONDAY + timedelta(hours=12), has_arrived=True)
    assert not is_open_for_all(door, MONDAY + timedelta(hours=36), has_arrived=True)


# -- times


def oslo(text: str) -> datetime:
    return access().local(datetime.fromisoformat(text).astimezone(UTC))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-29T01:59+01:00", True),  # the clock is turned to 03:00 a second later
        ("2026-03-29T03:00+02:00", False),
        ("2026-10-25T02:30+02:00", True),  # the hour that comes twice
        ("2026-10-25T02:30+01:00", True),
        ("2026-10-25T03:00+01:00", False),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(at: str, expected: bool) -> None:
    night = Times(weekly=(Weekly(days={7}, start=60, end=180),))
    assert night.hold(oslo(at), frozenset()) is expected


def test_hours_reach_past_midnight_into_a_day_that_has_none() -> None:
    late = Times(weekly=(Weekly(days={5}, start=22 * 60, end=6 * 60),))
    assert late.hold(oslo("2026-11-27T23:00+01:00"), frozenset())
    assert late.hold(oslo("2026-11-28T05:59+01:00"), frozenset())
    assert not late.hold(oslo("2026-11-28T06:00+01:00"), frozenset())
    assert not late.hold(oslo("2026-11-27T05:00+01:00"), frozenset())


def test_one_date_has_other_hours_than_its_weekday() -> None:
    times = WORK.model_copy(
        update={
            "exceptions": (
                OtherDay(on=date(2026, 11, 23)),
                OtherDay(on=date(2026, 12, 25), hours=(Hours(start=600, end=660),)),
            )
        }
    )
    assert not times.hold(oslo("2026-11-23T10:00+01:00"), frozenset())
    assert times.hold(oslo("2026-12-25T10:30+01:00"), frozenset({date(2026, 12, 25)}))


@given(
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES),
    st.sets(st.integers(1, 7), min_size=1),
    st.integers(0, 20_000),
)
def test_a_span_holds_for_its_length_after_its_beginning(start: int, end: int, days: set[int], minute: int) -> None:
    times = Times(weekly=(Weekly(days=days, start=start, end=end),))
    at = datetime(2026, 11, 23) + timedelta(minutes=minute)  # noqa: DTZ001 (a wall clock)
    length = end - start if end > start else end - start + DAY_MINUTES
    began = [at.replace(hour=0, minute=0) + timedelta(days=back, minutes=start) for back in (0, -1)]
    expected = any(day.isoweekday() in days and day <= at < day + timedelta(minutes=length) for day in began)
    assert times.hold(at, frozenset()) is expected


# -- what is shown


def test_a_pin_is_long_enough_and_no_run() -> None:
    for bad in ("12345", "1234567890123", "12345a", "111111", "123456", "987654", "121212", "123123", "١٢٣٤٥٦"):
        with pytest.raises(CredentialError):
            pin(bad)
    assert pin("481593") == "pin:481593"
    assert is_easily_guessed("890123")


def test_a_fingerprint_says_nothing_without_the_key() -> None:
    assert fingerprint(KEY, "pin:481593") != fingerprint(bytes(32), "pin:481593")
    assert "481593" not in fingerprint(KEY, "pin:481593")
    assert len({fingerprint(KEY, card(26, 0, number)) for number in range(20_000)}) == 20_000


# -- the list

refs = st.text("abcdef0123456789", min_size=4, max_size=12)
hours = st.builds(
    Weekly,
    start=st.integers(0, DAY_MINUTES - 1),
    end=st.integers(0, DAY_MINUTES),
    days=st.sets(st.integers(1, 7), min_size=1),
)
times_ = st.builds(
    Times, weekly=st.lists(hours, max_size=2).map(tuple), on_holidays=st.sampled_from(["as_usual", "never"])
)
rules_ = st.lists(
    st.builds(Rule, id=st.integers(1, 5), times=times_, asks=st.sampled_from(["one", "card_and_pin"])),
    max_size=4,
    unique_by=lambda rule: rule.id,
)
prints = st.sampled_from([CARD, OTHER, PIN, DURESS, shown("card:26:1:1")])
seconds = st.none() | st.integers(int(MONDAY.timestamp()) - 90_000, int(MONDAY.timestamp()) + 200_000)
people = st.builds(
    Credential,
    ref=refs,
    rules=st.frozensets(st.integers(1, 6), max_size=4),
    pin=st.none() | prints,
    duress=st.none() | prints,
    first=seconds,
    until=seconds,
    is_duress=st.booleans(),
    in_lockdown=st.booleans(),
    arrives=st.booleans(),
)


@given(
    rules_,
    st.dictionaries(prints, people),
    st.builds(Fingerprints, card=st.none() | prints, pin=st.none() | prints),
    st.integers(-7200, 200_000),
    st.booleans(),
    st.sampled_from(["off", "soft", "hard"]),
    st.builds(Circumstances, inside=st.none() | st.booleans(), interlocked=st.booleans()),
)
def test_the_door_with_its_list_decides_as_the_hub_does(
    rules: list[Rule],
    everybody: dict[str, Credential],
    what: Fingerprints,
    later: int,
    lockdown: bool,
    passback: str,
    known: Circumstances,
) -> None:
    """On the list as it has travelled: sealed, opened, and with those credentials only that this door knows."""
    door = access(rules=tuple(rules), lockdown=lockdown, passback=passback, holidays={date(2026, 11, 24)})
    own, hub = SigningKey.generate(), SigningKey.generate()
    content = AccessList.of(door, everybody, KEY, {}).sealed(own.verify_key)
    assert Signed.sign_content(content, hub, "hub-1").is_by(hub.verify_key)
    there = AccessList.opened(content, own)
    at = MONDAY + timedelta(seconds=later)
    here, yonder = decide(door, everybody, what, at, known), decide(there.access, there.roll(), what, at, known)
    assert (here.is_granted, here.is_duress, here.passes_back) == (
        yonder.is_granted,
        yonder.is_duress,
        yonder.passes_back,
    )
    if here.reason not in ("not_here", "not_yet", "expired", "lockdown"):  # of somebody who is not on this door's list
        assert here.reason == yonder.reason


def test_ten_thousand_credentials_fit_and_are_for_one_door_only() -> None:
    own, other = SigningKey.generate(), SigningKey.generate()
    many = {
        shown(f"card:26:1:{number}"): Credential(
            hashlib.sha256(str(number).encode()).hexdigest()[:10],
            frozenset({1, 2}),
            pin=shown(f"pin:{number}"),
            until=2_000_000_000,
        )
        for number in range(10_000)
    }
    whole = AccessList.of(access(), many, KEY, {"hub-1": "0" * 64})
    content = whole.sealed(own.verify_key)
    assert len(Signed.sign_content(content, other, "hub-1").encoded()) <= 400_000
    assert AccessList.opened(content, own).roll() == many
    with pytest.raises(ListError, match="another door"):
        AccessList.opened(content, other)
    with pytest.raises(ListError):
        AccessList.opened(content[:-1] + bytes([content[-1] ^ 1]), own)
    with pytest.raises(ListError, match="no list"):
        AccessList.opened(b"{}", own)
