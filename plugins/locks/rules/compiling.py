"""Compiles rules, credentials, people and settings into a door's access list. Pure functions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from devices.access.lists import Credential as Listed
from devices.access.lists import DoorAccess, Rule
from plugins.locks.models import AccessRule, Credential, DoorSettings, VisitPass
from plugins.locks.store import pass_rows


@dataclass(frozen=True)
class RuleBook:
    """Everything that the store has about access, with the employees."""

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
    """Those that have not expired."""
    audit: int
    """Number of the latest audit entry when this was read."""


def roll(book: RuleBook) -> dict[str, Listed]:
    """Fingerprint → credential, for all cards and those PINs that open alone; ended ones are left out.

    A card of a former employee has no rules, and so is in no door's list.
    """
    living = [credential for credential in book.credentials if credential.ended_at is None]
    pins = {
        (credential.person, credential.kind): credential.fingerprint
        for credential in living
        if credential.person and credential.kind != "card"
    }
    return {
        credential.fingerprint: Listed(
            ref=credential.ref,
            rules=_rules_of(credential, book),
            pin=pins.get((credential.person, "pin")) if credential.kind == "card" and credential.person else None,
            duress=pins.get((credential.person, "duress")) if credential.kind == "card" and credential.person else None,
            first=_seconds(credential.first),
            until=_seconds(credential.until),
            is_duress=credential.kind == "duress",
            in_lockdown=credential.in_lockdown,
            arrives=credential.person is not None,
        )
        for credential in living
        if credential.kind == "card" or credential.opens_alone
    }


def rules_at(door: str, zone: str, rules: Iterable[AccessRule]) -> tuple[Rule, ...]:
    return tuple(
        Rule(id=rule.id, times=rule.times, asks=rule.asks)
        for rule in sorted(rules, key=lambda rule: rule.id)
        if rule.where.has(door, zone)
    )


def access_of(
    door: str,
    zone: str,
    book: RuleBook,
    *,
    pulse_ms: int,
    time_zone: str,
    holidays: Iterable[date],
    version: int,
    made_at: datetime,
    valid_until: datetime,
) -> DoorAccess:
    settings = book.settings.get(door, DoorSettings())
    return DoorAccess(
        door=door,
        version=version,
        made_at=made_at,
        audit=book.audit,
        valid_until=valid_until,
        time_zone=time_zone,
        holidays=frozenset(holidays),
        rules=rules_at(door, zone, book.rules),
        opening=settings.opening if settings.opening and settings.opening.times.weekly else None,  # else it never shut
        lockdown="" in book.locked_down or zone in book.locked_down,
        passback=settings.passback,
        without_clock=settings.without_clock,
        revoked_passes=pass_rows.revoked(book.passes).get(door, frozenset()),
        pulse_ms=settings.pulse_ms or pulse_ms,
        held_open_seconds=settings.held_open_seconds,
        tells_grants=settings.tells_grants,
    )


def _rules_of(credential: Credential, book: RuleBook) -> frozenset[int]:
    return frozenset(
        rule.id
        for rule in book.rules
        if credential.ref in rule.who.credentials or _is_for(rule, credential.person, book)
    )


def _is_for(rule: AccessRule, person: str | None, book: RuleBook) -> bool:
    """Whether a rule applies to a person; never to a former employee."""
    if person is None or person not in book.units:
        return False
    who = rule.who
    in_group = bool(who.groups) and not book.groups.get(person, frozenset()).isdisjoint(who.groups)
    return who.everybody or in_group or book.units[person] in who.units or person in who.people


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
