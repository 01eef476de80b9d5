"""Holding doors open, locking and shutting them down, and credentials that are lost, for programs."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from devices.access.credentials import MAX_PRINTED, UID_PATTERN, CredentialError
from devices.access.lists import Ref
from devices.contract import door
from devices.contract.door import MAX_HOLD_SECONDS
from devices.contract.payload import Id, clean
from hub.plugin import Context
from hub.plugin.api import (
    Call,
    Document,
    FieldError,
    Moment,
    Nothing,
    Page,
    PageQuery,
    ProblemError,
    Query,
    Request,
    Whole,
    found,
    operation,
    page_of,
)
from plugins.locks.api.doors import READ, RETRY_SECONDS, DoorPath, GivenReason, PulseResult, Reason, must_reach
from plugins.locks.models import (
    Credential,
    KnownCredentialError,
    Order,
    Result,
    TooManyCommandsError,
    UnknownCredentialError,
    UnknownDoorError,
)
from plugins.locks.operating.lockdowns import Lockdowns
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import Permissions
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside

Label = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=80)]
Zone = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=100)]


class OrderRequest(Request):
    """How a door shall stand. `resume` goes back to its opening schedule."""

    verb: Literal["hold_open", "lock", "resume"]
    hold_seconds: Whole = Field(default=3600, ge=1, le=MAX_HOLD_SECONDS, description="of hold_open")
    reason: Reason = Field(default="", description="stands in the audit log")


class LockdownRequest(Request):
    """Shut a zone to all but the named, or open it again. Never the way out."""

    zone: Zone = Field(description="empty: the whole site")
    is_on: bool
    reason: GivenReason = Field(description="why; stands in the audit log")


class Forgiving(Request):
    """Why somebody who counts as inside may come in again."""

    reason: GivenReason = Field(description="stands in the audit log")


class Told(Document):
    """What each door answered; one that is away hears of it by its list."""

    results: dict[str, Result]


class LockdownDocument(Document):
    zone: str
    since: datetime
    actor: str
    reason: str


class LockdownPage(Page[LockdownDocument]):
    """What is shut down now, by zone."""


class CredentialPath(Query):
    credential: Ref


class CredentialDocument(Document):
    """A card or a PIN. What it is nobody knows: only its keyed hash is kept."""

    ref: str
    kind: str
    person: str | None = Field(description="the employee's id; null: nobody's")
    label: str
    opens_alone: bool
    in_lockdown: bool
    first: datetime | None
    until: datetime | None
    made_at: datetime
    ended_at: datetime | None = Field(description="null: it counts")
    ended_why: str | None


class CredentialQuery(PageQuery):
    ended: bool = Field(default=False, description="the latest cards that were lost or handed in, instead")


class CredentialPage(Page[CredentialDocument]):
    """Credentials that count, by their pseudonym."""


class WiegandCard(Request):
    """By what is programmed on it; how much its bits hold is told when it is too much."""

    bits: Literal[26, 34, 37]
    facility: int = Field(ge=0, le=2**16 - 1)
    number: int = Field(ge=0, le=MAX_PRINTED, description="of 37 bits also the printed one, with facility 0")


class UidCard(Request):
    """By the card's own number, as a reader gives it: hexadecimal, the most significant byte first."""

    uid: Annotated[str, StringConstraints(pattern=UID_PATTERN)]


class NewCard(Request):
    """A card for an employee, or for nobody: a visitor's or a firm's."""

    card: WiegandCard | UidCard
    person: Id | None = Field(default=None, description="the employee's id; none: nobody's")
    label: Label = Field(default="", description="what you call it; no name is needed")
    until: Moment | None = Field(default=None, description="none: until further notice")


class Ending(Request):
    why: Literal["lost", "returned"]


class InLockdown(Request):
    opens: bool = Field(description="also doors that are shut down")


ACT: dict[str, Any] = {"scope": "doors:stand", "asks_again": True}
KEYS: dict[str, Any] = {"scope": "credentials:write", "roles": {"caretaker", "it"}, "is_personal": True}


class AccessApi:
    def __init__(
        self,
        context: Context,
        access: Access,
        locks: Locks,
        lockdowns: Lockdowns,
        permissions: Permissions,
        inside: Inside,
    ) -> None:
        self._context = context
        self._permissions = permissions
        self._access = access
        self._locks = locks
        self._lockdowns = lockdowns
        self._inside = inside

    @operation(
        "POST",
        "/doors/{door}/order",
        summary="Hold a door open, lock it, or let it follow its schedule",
        roles=lambda self: self._permissions.roles("resume"),
        **ACT,
    )
    async def order(self, call: Call[DoorPath, Nothing, OrderRequest]) -> PulseResult:
        wanted = call.body
        must_reach(self._permissions, call.caller, wanted.verb, self._context.devices.get(call.path.door))
        order = Order(wanted.verb, hold_seconds=wanted.hold_seconds if wanted.verb == "hold_open" else None)
        try:
            return PulseResult(result=await self._locks.send(call.path.door, order, call.caller.name, wanted.reason))
        except UnknownDoorError:
            raise ProblemError("not-found", "There is no such door.") from None
        except TooManyCommandsError:
            raise ProblemError(
                "too-many-requests", "This door has been told too often.", headers={"Retry-After": str(RETRY_SECONDS)}
            ) from None

    @operation(
        "POST",
        "/lockdown",
        summary="Begin or end a lockdown",
        roles=lambda self: self._permissions.roles("lockdown"),
        **ACT,
    )
    async def lockdown(self, call: Call[Nothing, Nothing, LockdownRequest]) -> Told:
        if call.caller.scopes is None and not self._permissions.may(call.caller.roles, "lockdown", call.body.zone):
            raise ProblemError("forbidden", "The session's roles do not reach this zone.")
        zones = {device.where.zone for device in self._context.devices.of_kind(door.KIND)} | {""}
        if call.body.is_on and call.body.zone not in zones:
            nowhere = FieldError(at="body/zone", detail="no door is in this zone")
            raise ProblemError("invalid", "Look at `errors`.", errors=[nowhere])
        change = self._lockdowns.begin if call.body.is_on else self._lockdowns.end
        return Told(results=await change(call.body.zone, call.caller.name, call.body.reason))

    @operation("GET", "/lockdowns", summary="What is shut down", **READ)
    async def lockdowns(self, call: Call[Nothing, PageQuery, Nothing]) -> LockdownPage:
        part, following = page_of(await self._lockdowns.current(), lambda lockdown: f"zone {lockdown.zone}", call.query)
        return LockdownPage(items=[LockdownDocument.model_validate(lockdown) for lockdown in part], next=following)

    @operation(
        "GET",
        "/credentials",
        summary="Cards and PINs, as pseudonyms",
        is_personal=True,
        scope="credentials:read",
        roles={"caretaker", "it"},
    )
    async def credentials(self, call: Call[Nothing, CredentialQuery, Nothing]) -> CredentialPage:
        shown = await self._access.recently_ended() if call.query.ended else self._access.rule_book.credentials
        part, following = page_of(shown, lambda credential: credential.ref, call.query)
        return CredentialPage(
            items=[CredentialDocument.model_validate(credential) for credential in part], next=following
        )

    @operation(
        "POST",
        "/credentials",
        summary="Add a card",
        status=201,
        location="/credentials",
        problems=("conflict",),
        asks_again=True,
        **KEYS,
    )
    async def add(self, call: Call[Nothing, Nothing, NewCard]) -> CredentialDocument:
        wanted, access = call.body, self._access
        if wanted.person is not None and wanted.person not in access.names:
            nobody = FieldError(at="body/person", detail="no such employee")
            raise ProblemError("invalid", "Look at `errors`.", errors=[nobody])
        try:
            match wanted.card:
                case WiegandCard(bits=bits, facility=facility, number=number):
                    shown = access.card_fingerprint(bits, facility, number)
                case UidCard(uid=uid):
                    shown = access.uid_fingerprint(bytes.fromhex(uid))
            ref = await access.add_card(shown, wanted.person, wanted.label, call.caller.name, until=wanted.until)
        except CredentialError as error:
            wrong = FieldError(at="body/card", detail=str(error))
            raise ProblemError("invalid", "Look at `errors`.", errors=[wrong]) from None
        except KnownCredentialError:
            raise ProblemError("conflict", "Somebody has this card already.") from None
        return CredentialDocument.model_validate(self._found(ref))

    @operation(
        "POST",
        "/credentials/{credential}/end",
        summary="A card is lost or handed in: it is gone from every door",
        **KEYS,
    )
    async def end(self, call: Call[CredentialPath, Nothing, Ending]) -> CredentialDocument:
        credential = self._found(call.path.credential)
        try:
            at = await self._access.end_credential(credential.ref, call.body.why, call.caller.name)
        except UnknownCredentialError:
            raise ProblemError("not-found", "There is no such credential.") from None
        return CredentialDocument.model_validate(replace(credential, ended_at=at, ended_why=call.body.why))

    @operation(
        "POST",
        "/credentials/{credential}/restore",
        summary="What was lost is found: it opens doors again",
        problems=("conflict",),
        asks_again=True,
        **KEYS,
    )
    async def restore(self, call: Call[CredentialPath, Nothing, Nothing]) -> CredentialDocument:
        try:
            await self._access.restore_credential(call.path.credential, call.caller.name)
        except UnknownCredentialError:
            raise ProblemError("not-found", "There is no such card that was lost or handed in.") from None
        except KnownCredentialError:
            raise ProblemError("conflict", "Somebody else has this card now.") from None
        return CredentialDocument.model_validate(self._found(call.path.credential))

    @operation(
        "POST",
        "/credentials/{credential}/forgive",
        summary="Anti-passback: it may come in again, though it counts as inside",
        asks_again=True,
        **KEYS,
    )
    async def forgive(self, call: Call[CredentialPath, Nothing, Forgiving]) -> None:
        await self._inside.forgive(self._found(call.path.credential).ref, call.caller.name, call.body.reason)

    @operation(
        "POST",
        "/doors/{door}/forgive",
        summary="Anti-passback: whoever counts as inside, behind this door, may come in again",
        roles={"caretaker", "it"},
        **ACT,
    )
    async def forgive_all_behind(self, call: Call[DoorPath, Nothing, Forgiving]) -> None:
        try:
            await self._inside.forgive_all_behind(call.path.door, call.caller.name, call.body.reason)
        except UnknownDoorError:
            raise ProblemError("not-found", "There is no such door.") from None

    @operation(
        "POST",
        "/credentials/{credential}/lockdown",
        summary="Whether it opens doors that are shut down",
        asks_again=True,
        **KEYS,
    )
    async def name_for_lockdown(self, call: Call[CredentialPath, Nothing, InLockdown]) -> CredentialDocument:
        ref = self._found(call.path.credential).ref
        try:
            await self._access.set_opens_in_lockdown(ref, call.caller.name, opens=call.body.opens)
        except UnknownCredentialError:
            raise ProblemError("not-found", "There is no such credential.") from None
        return CredentialDocument.model_validate(self._found(ref))

    def _found(self, ref: str) -> Credential:
        return found(
            next((credential for credential in self._access.rule_book.credentials if credential.ref == ref), None),
            "such credential",
        )
