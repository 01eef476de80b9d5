"""From rules, credentials, people and doors to what the decision needs. Pure: the same in, the same out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from devices.access.lists import Credential as Listed
from devices.access.lists import DoorAccess, Rule
from plugins.locks.models import AccessRule, Credential, DoorSettings, VisitPass
from plugins.locks.store import pass_rows


@dataclass(frozen=True)
class Kept:
    """All that the store has about access, and who works here."""

    rules: Collection[AccessRule]
    credentials: Collection[Credential]
    units: Mapping[str, str]
    """Employee → unit."""
    groups: Mapping[str, frozenset[str]]
    """Employee → groups of the directory."""
    settings: Mapping[str, DoorSettings]
    locked_down: Collection[str]
    """Zones; "" is the whole site."""
    passes: Collection[VisitPass]
    """That have not run out."""
    audit: int
    """The newest entry of the audit log when this was read."""


def roll(kept: Kept) -> dict[str, Listed]:
    """Fingerprint → credential, of all cards and of those PINs that open alone; ended ones are left out.

    A card of somebody who works here no more has no rule, and is on no door's list.
    """
    living = [one for one in kept.credentials if one.ended_at is None]
    pins = {(one.person, one.kind): one.fingerprint for one in living if one.person and one.kind != "card"}
    return {
        one.fingerprint: Listed(
            ref=one.ref,
            rules=_rules_of(one, kept),
            pin=pins.get((one.person, "pin")) if one.kind == "card" and one.person else None,
            duress=pins.get((one.person, "duress")) if one.kind == "card" and one.person else None,
            first=_seconds(one.first),
            until=_seconds(one.until),
            is_duress=one.kind == "duress",
            in_lockdown=one.in_lockdown,
            arrives=one.person is not None,
        )
        for one in living
        if one.kind == "card" or one.opens_alone
    }


def rules_at(door: str, zone: str, rules: Iterable[AccessRule]) -> tuple[Rule, ...]:
    return tuple(
        Rule(id=one.id, times=one.times, asks=one.asks)
        for one in sorted(rules, key=lambda rule: rule.id)
        if one.where.has(door, zone)
    )


def access_of(
    door: str,
    zone: str,
    kept: Kept,
    *,
    pulse_ms: int,
    time_zone: str,
    holidays: Iterable[date],
    version: int,
    made_at: datetime,
    valid_until: datetime,
) -> DoorAccess:
    settings = kept.settings.get(door, DoorSettings())
    return DoorAccess(
        door=door,
        version=version,
        made_at=made_at,
        audit=kept.audit,
        valid_until=valid_until,
        time_zone=time_zone,
        holidays=frozenset(holidays),
        rules=rules_at(door, zone, kept.rules),
        opening=settings.opening if settings.opening and settings.opening.times.weekly else None,  # else it never shut
        lockdown="" in kept.locked_down or zone in kept.locked_down,
        passback=settings.passback,
        without_clock=settings.without_clock,
        revoked_passes=pass_rows.revoked(kept.passes).get(door, frozenset()),
        pulse_ms=settings.pulse_ms or pulse_ms,
        held_open_seconds=settings.held_open_seconds,
        tells_grants=settings.tells_grants,
    )


def _rules_of(one: Credential, kept: Kept) -> frozenset[int]:
    return frozenset(
        rule.id for rule in kept.rules if one.ref in rule.who.credentials or _is_for(rule, one.person, kept)
    )


def _is_for(rule: AccessRule, person: str | None, kept: Kept) -> bool:
    """Whether an employee is among those that a rule is for. Somebody who works here no more is not."""
    if person is None or person not in kept.units:
        return False
    who = rule.who
    in_group = bool(who.groups) and not kept.groups.get(person, frozenset()).isdisjoint(who.groups)
    return who.everybody or in_group or kept.units[person] in who.units or person in who.people


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
