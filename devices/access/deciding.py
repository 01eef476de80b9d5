"""Whether a credential may pass a door now: one pure function, used by the hub and by the doors alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from devices.access.lists import Credential, DoorAccess, Roll, Rule
from devices.access.passes import Pass

CLOCK_SLACK = timedelta(minutes=2)
"""A clock further behind the list's creation is wrong and not trusted."""

Reason = Literal[
    "granted",
    "pin_wanted",
    "unknown",
    "not_here",
    "not_now",
    "not_yet",
    "expired",
    "wrong_pin",
    "lockdown",
    "passback",
    "interlock",
    "list_expired",
    "clock_wrong",
    "revoked",
    "used",
]
"""`not_here`: no rule lets this credential through this door. `not_now`: a rule does, at other times.
`not_yet`, `expired`: the credential's own validity. `passback`: it is inside already. `interlock`: the other door of
the sluice is open. `list_expired`, `clock_wrong`: this list cannot be decided by; the way out is free. `revoked`,
`used`: of a pass."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Fingerprints of what was shown: a card, a PIN, or a card and then a PIN. Or a pass, its signature checked."""

    card: str | None = None
    pin: str | None = None
    visit_pass: Pass | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is not in the list: known to the hub, but mostly not to a door by itself."""

    inside: bool | None = None
    """Whether this credential is behind the door already, for anti-passback; None: not known."""
    interlocked: bool = False
    """The other door of a sluice stands open."""
    used: bool = False
    """A pass that is good once has let somebody in."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`credential` and `rule`: those that the decision is based on, as far as any was found."""

    reason: Reason
    credential: Credential | None = None
    rule: int | None = None
    visit_pass: str | None = None
    is_duress: bool = False
    passes_back: bool = False
    """Granted although inside already: soft anti-passback reports and admits."""

    @property
    def is_granted(self) -> bool:
        return self.reason == "granted"


NOTHING_KNOWN = Circumstances()


def decide(
    access: DoorAccess, roll: Roll, shown: Fingerprints, at: datetime | None, known: Circumstances = NOTHING_KNOWN
) -> Decision:
    """Whether what was shown may pass this door at `at` (aware); None: the time is unknown."""
    if shown.visit_pass is not None:
        reason = "clock_wrong" if at is None else _of_pass(access, shown.visit_pass, at, known)
        return Decision(reason, visit_pass=shown.visit_pass.id)
    credential = _found(roll, shown)
    refusal = _of_list(access, at) or ("unknown" if credential is None else _of_credential(access, credential, at))
    if refusal is not None or credential is None:
        return Decision(refusal or "unknown", credential)
    rules = [rule for rule in access.rules if rule.id in credential.rules]
    if not rules:
        return Decision("not_here", credential)
    now = [rule for rule in rules if _holds(access, rule, at)]
    if not now:
        return Decision("clock_wrong" if at is None else "not_now", credential, rules[0].id)
    decision = _by_factors(credential, shown, now)
    return _in_circumstances(access, decision, known) if decision.is_granted else decision


def is_open_for_all(access: DoorAccess, at: datetime | None, *, has_arrived: bool) -> bool:
    """Whether the opening schedule has the door unlocked. `has_arrived`: an employee has come that local day."""
    opening = access.opening
    if opening is None or at is None or access.lockdown or _of_list(access, at) is not None:
        return False
    return (has_arrived or not opening.after_arrival) and opening.times.hold(access.local(at), access.holidays)


def _found(roll: Roll, shown: Fingerprints) -> Credential | None:
    """By the card where there is one: a PIN that opens alone is nothing beside somebody else's card."""
    by = shown.card or shown.pin
    return roll.get(by) if by else None


def _holds(access: DoorAccess, rule: Rule, at: datetime | None) -> bool:
    return rule.times.are_always if at is None else rule.times.hold(access.local(at), access.holidays)


def _of_list(access: DoorAccess, at: datetime | None) -> Reason | None:
    """Without a time nobody can tell whether it has run out: the door's `without_clock` says what is done then."""
    if access.valid_until <= access.made_at:
        return "list_expired"  # this door decides nothing alone
    if at is None:
        return "clock_wrong" if access.without_clock == "refuse" else None
    if at >= access.valid_until:
        return "list_expired"
    return "clock_wrong" if at < access.made_at - CLOCK_SLACK else None


def _of_credential(access: DoorAccess, credential: Credential, at: datetime | None) -> Reason | None:
    if at is None and (credential.first is not None or credential.until is not None):
        return "clock_wrong"
    if at is not None and credential.first is not None and at.timestamp() < credential.first:
        return "not_yet"
    if at is not None and credential.until is not None and at.timestamp() >= credential.until:
        return "expired"
    if access.lockdown and not credential.in_lockdown:
        return "lockdown"
    return None


def _of_pass(access: DoorAccess, shown: Pass, at: datetime, known: Circumstances) -> Reason:
    """No rule and no holiday holds for a pass: somebody has named its doors and its time."""
    found: tuple[tuple[bool, Reason], ...] = (
        (access.door not in shown.doors, "not_here"),
        (at.timestamp() < shown.first, "not_yet"),
        (at.timestamp() >= shown.until, "expired"),
        (shown.id in access.revoked_passes, "revoked"),
        (access.lockdown, "lockdown"),
        (shown.once and known.used, "used"),
        (known.interlocked, "interlock"),
    )
    return _of_list(access, at) or _first(found) or "granted"


def _first(found: Iterable[tuple[bool, Reason]]) -> Reason | None:
    return next((reason for is_so, reason in found if is_so), None)


def _by_factors(credential: Credential, shown: Fingerprints, rules: Iterable[Rule]) -> Decision:
    """Decide by the least demanding of the rules that hold now."""
    rule = min(rules, key=lambda rule: (rule.asks == "card_and_pin", rule.id))
    if shown.card is None:
        if rule.asks == "card_and_pin":
            return Decision("not_here", credential, rule.id)  # a PIN alone is half of it, and it was the wrong half
        return Decision("granted", credential, rule.id, is_duress=credential.is_duress)
    if shown.pin is not None and shown.pin == credential.duress:
        return Decision("granted", credential, rule.id, is_duress=True)
    if rule.asks == "one":
        return Decision("granted", credential, rule.id)
    if shown.pin is None:
        return Decision("pin_wanted" if credential.pin else "wrong_pin", credential, rule.id)
    return Decision("granted" if shown.pin == credential.pin else "wrong_pin", credential, rule.id)


def _in_circumstances(access: DoorAccess, decision: Decision, known: Circumstances) -> Decision:
    if known.interlocked:
        return Decision("interlock", decision.credential, decision.rule)
    if not known.inside or access.passback == "off" or decision.is_duress:
        return decision
    if access.passback == "hard":
        return Decision("passback", decision.credential, decision.rule)
    return Decision("granted", decision.credential, decision.rule, passes_back=True)
