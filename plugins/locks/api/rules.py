"""Who may pass: rules, and what comes of them at a door, for programs."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from devices.access.times import Times
from devices.contract import door
from devices.contract.payload import Id, clean
from hub.plugin import Context, now
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
    found,
    operation,
    page_of,
)
from plugins.locks.api.doors import DoorPath
from plugins.locks.models import AccessRule, ClearTimes, UnknownRuleError, Where, Who
from plugins.locks.rules.access import Access

Called = Annotated[str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=80)]


class RulePath(Query):
    rule: int = Field(ge=1, le=2**31 - 1)


class RuleRequest(Request):
    """Who may pass which doors, when, and by what."""

    name: Called
    who: Who = Who()
    where: Where = Where()
    times: ClearTimes = Field(default=Times(), description="none: always")
    asks: Literal["one", "card_and_pin"] = "one"


class RuleDocument(Document):
    """A rule. What no rule allows is not allowed."""

    id: int
    name: str
    who: Who
    where: Where
    times: Times
    asks: Literal["one", "card_and_pin"]


class RulePage(Page[RuleDocument]):
    """Rules, by number."""


class WhenQuery(PageQuery):
    at: Moment | None = Field(default=None, description="none: now")
    person: Id | None = Field(default=None, description="an employee's id; none: whoever may pass")


class ForeseenDocument(Document):
    """What would come of one card or PIN."""

    credential: str
    person: str | None = Field(description="the employee's id; null: nobody's")
    passes: bool
    needs_pin: bool
    reason: str = Field(description="as the door would say it; `granted` when it opens")
    rule: int | None = Field(description="the rule that lets it in")


class ForeseenPage(Page[ForeseenDocument]):
    """Cards and PINs at this door, by their pseudonym."""


READ: dict[str, Any] = {"scope": "rules:read", "roles": {"caretaker", "it"}, "is_personal": True}
WRITE: dict[str, Any] = READ | {"scope": "rules:write", "asks_again": True}


class RuleApi:
    def __init__(self, context: Context, access: Access) -> None:
        self._context = context
        self._access = access

    @operation("GET", "/access-rules", summary="Rules", **READ)
    async def rules(self, call: Call[Nothing, PageQuery, Nothing]) -> RulePage:
        part, following = page_of(self._access.rule_book.rules, lambda rule: f"{rule.id:010}", call.query)
        return RulePage(items=[RuleDocument.model_validate(rule) for rule in part], next=following)

    @operation("GET", "/access-rules/{rule}", summary="One rule", **READ)
    async def rule(self, call: Call[RulePath, Nothing, Nothing]) -> RuleDocument:
        return RuleDocument.model_validate(self._found(call.path.rule))

    @operation("POST", "/access-rules", summary="Make a rule", status=201, location="/access-rules/{id}", **WRITE)
    async def make(self, call: Call[Nothing, Nothing, RuleRequest]) -> RuleDocument:
        number = await self._access.save_rule(self._asked(call.body, 0), call.caller.name)
        return RuleDocument.model_validate(self._found(number))

    @operation("PUT", "/access-rules/{rule}", summary="Change a rule", **WRITE)
    async def change(self, call: Call[RulePath, Nothing, RuleRequest]) -> RuleDocument:
        try:
            await self._access.save_rule(self._asked(call.body, call.path.rule), call.caller.name)
        except UnknownRuleError:
            raise ProblemError("not-found", "There is no such rule.") from None
        return RuleDocument.model_validate(self._found(call.path.rule))

    @operation("DELETE", "/access-rules/{rule}", summary="Drop a rule", **WRITE)
    async def drop(self, call: Call[RulePath, Nothing, Nothing]) -> None:
        try:
            await self._access.delete_rule(call.path.rule, call.caller.name)
        except UnknownRuleError:
            raise ProblemError("not-found", "There is no such rule.") from None

    @operation("GET", "/doors/{door}/access", summary="Who could pass this door at some time, and why", **READ)
    async def foreseen(self, call: Call[DoorPath, WhenQuery, Nothing]) -> ForeseenPage:
        device = self._context.devices.get(call.path.door)
        found(device if device is not None and device.kind == door.KIND else None, "such door")
        wanted = call.query.person
        owners = {credential.ref: credential.person for credential in self._access.rule_book.credentials}
        refs = None if wanted is None else {ref for ref, person in owners.items() if person == wanted}
        found_here = await self._access.foresee(call.path.door, call.query.at or now(), refs)
        part, following = page_of(
            [foreseen for foreseen in found_here if refs is not None or foreseen.passes],
            lambda foreseen: foreseen.ref,
            call.query,
        )
        items = [
            ForeseenDocument(
                credential=foreseen.ref,
                person=owners.get(foreseen.ref),
                passes=foreseen.passes,
                needs_pin=foreseen.needs_pin,
                reason=foreseen.decision.reason,
                rule=foreseen.decision.rule,
            )
            for foreseen in part
        ]
        return ForeseenPage(items=items, next=following)

    def _asked(self, body: RuleRequest, number: int) -> AccessRule:
        """Raises the problem invalid for a door that is not there: a rule for it would wait for its name."""
        doors = {device.id for device in self._context.devices.of_kind(door.KIND)}
        unknown = [door_id for door_id in body.where.doors if door_id not in doors]
        if unknown:
            raise ProblemError(
                "invalid", "Look at `errors`.",
                errors=[FieldError(at="body/where/doors", detail=f"no such door: {', '.join(unknown)}")],
            )  # fmt: skip
        return AccessRule(id=number, **{name: getattr(body, name) for name in type(body).model_fields})

    def _found(self, number: int) -> AccessRule:
        return found(next((rule for rule in self._access.rule_book.rules if rule.id == number), None), "such rule")
