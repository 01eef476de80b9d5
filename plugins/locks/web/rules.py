"""The page Access: rules, one rule with a preview of its changes, and who can pass a door at some time."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from pydantic import ValidationError

from devices.contract import door
from devices.contract.payload import clean
from hub.plugin import N_, Context, Device, MistakeError, now
from hub.plugin.web import Form, number_in, see, session_of
from plugins.locks.models import AccessRule, UnknownRuleError, Where, Who
from plugins.locks.permissions import EDITORS
from plugins.locks.rules import what_if
from plugins.locks.rules.access import Access
from plugins.locks.rules.compiling import RuleBook
from plugins.locks.rules.groups import ambiguous
from plugins.locks.rules.naming import find_people, find_person, name_of, names_of
from plugins.locks.rules.what_if import Foreseen
from plugins.locks.web.times_form import TIMES, clock, parse_moment, parse_times, times_as_form, typed_form
from plugins.locks.wording import WHY

MAX_SHOWN = 100
MAX_NAME = 80
RULE = Form(
    must=("name", "people", *TIMES.must),
    may=("everybody", "everywhere", "with_pin", "preview", *TIMES.may),
    many=("unit", "group", "credential", "zone", "door"),
    rows=TIMES.rows,
    many_in_rows=TIMES.many_in_rows,
)


@dataclass(frozen=True)
class ChangeRow:
    """A change for the page: who, at which door, hours a week before and after."""

    who: str
    door: str
    before: float
    after: float


class RulePages:
    def __init__(self, context: Context, access: Access) -> None:
        self._context = context
        self._access = access
        pages = context.pages
        pages.page("/access", EDITORS, self.rules)
        pages.page("/access/rules/{rule}", EDITORS, self.rule)
        pages.action("/access", EDITORS, self.ask, Form(must=("door", "at", "who")))
        pages.action("/access/rules/{rule}", EDITORS, self.save, RULE, asks_again=True)
        pages.action("/access/rules/{rule}/drop", EDITORS, self.drop)

    async def rules(self, request: web.Request) -> web.StreamResponse:
        return await self._list(request, {})

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Who can pass a door at some time; sent as a form so that names are not in addresses."""
        return await self._list(request, await request.post())

    async def _list(self, request: web.Request, sent: Mapping[str, Any]) -> web.StreamResponse:
        book, people = self._access.rule_book, self._access.names
        holders = Counter(rule for credential in self._access.roll.values() for rule in credential.rules)
        return await self._context.pages.render(
            request,
            "rules.html",
            rules=book.rules,
            holders=holders,
            ambiguous={rule.id: ambiguous(rule, book.groups) for rule in book.rules},
            doors=self._doors(),
            door_names=self._door_names(),
            people=people,
            labels=names_of(self._access, {ref for rule in book.rules for ref in rule.who.credentials}),
            of_day=clock,
            why=WHY,
            **await self._foreseen(sent),
        )

    async def rule(self, request: web.Request) -> web.StreamResponse:
        return await self._form(request, self._asked_for(request))

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Save the rule, or with `preview` show what it would change."""
        number, sent = _number(request), await request.post()
        try:
            rule = self._rule_in(number, sent)
        except MistakeError as mistake:
            return await self._form(request, _typed(number, sent), mistake=mistake, sent=sent, status=422)
        if "preview" in sent:
            after = what_if.with_rule(self._access.rule_book, rule)
            return await self._form(request, rule, preview=await self._changes(after))
        try:
            await self._access.save_rule(rule, session_of(request).account)
        except UnknownRuleError:
            raise web.HTTPNotFound(text="There is no such rule any more.") from None
        return see("/access")

    async def drop(self, request: web.Request) -> web.StreamResponse:
        with suppress(UnknownRuleError):  # already deleted
            await self._access.delete_rule(_number(request), session_of(request).account)
        return see("/access")

    # -- previews

    async def _changes(self, after: RuleBook) -> list[ChangeRow]:
        found = await self._access.preview_changes(after)
        names = names_of(self._access, {change.ref for change in found})
        doors = self._door_names()
        shown = {ChangeRow(names[change.ref], doors[change.door], change.before, change.after) for change in found}
        return sorted(shown, key=lambda change: (change.who, change.door))

    async def _foreseen(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the part "who can pass this door at this time"."""
        asked, doors = str(sent.get("door", "")), {device.id for device in self._doors()}
        local = now().astimezone(self._context.site.zone)
        shown: dict[str, Any] = {
            "asked": asked, "at": local.strftime("%Y-%m-%dT%H:%M"), "sought": str(sent.get("who", "")),
            "foreseen": None, "mistake": None,
            "rule_names": {rule.id: rule.name for rule in self._access.rule_book.rules},
        }  # fmt: skip
        if asked not in doors:
            return shown
        try:
            at = parse_moment(str(sent.get("at", "")) or shown["at"], self._context.site.zone)
            refs = self._refs_of(shown["sought"])
        except MistakeError as mistake:
            return shown | {"mistake": mistake}
        found = await self._access.foresee(asked, at, refs)
        names = names_of(self._access, {foreseen.ref for foreseen in found})
        rows = [
            (names[foreseen.ref], foreseen)
            for foreseen in found
            if foreseen.ref in names and (refs is not None or foreseen.passes)
        ]
        return shown | {"at": at.strftime("%Y-%m-%dT%H:%M"), "foreseen": _by_name(rows)}

    def _refs_of(self, who: str) -> set[str] | None:
        """The credentials of one employee, or of everybody. Raises MistakeError."""
        if not who.strip():
            return None
        person = find_person(who, self._access.names)
        return {credential.ref for credential in self._access.rule_book.credentials if credential.person == person}

    # -- the form

    async def _form(
        self,
        request: web.Request,
        rule: AccessRule,
        *,
        mistake: MistakeError | None = None,
        sent: Any = None,
        preview: list[ChangeRow] | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        people = self._access.names
        return await self._context.pages.render(
            request,
            "rule.html",
            status=status,
            rule=rule,
            mistake=mistake,
            people_text=str(sent.get("people", ""))
            if sent is not None
            else "\n".join(
                people[person_id].name if person_id in people else person_id for person_id in rule.who.people
            ),
            times=typed_form(sent) if sent is not None else times_as_form(rule.times if rule.id or rule.name else None),
            units=sorted(set(self._access.rule_book.units.values()) | set(rule.who.units)),
            groups=sorted(self._groups() | set(rule.who.groups)),
            ambiguous=ambiguous(rule, self._access.rule_book.groups),
            loose=[
                (credential.ref, name_of(credential, people))
                for credential in self._access.rule_book.credentials
                if credential.person is None
            ],
            doors=self._doors(),
            zones=sorted({device.where.zone for device in self._doors() if device.where.zone} | set(rule.where.zones)),
            preview=None if preview is None else preview[:MAX_SHOWN],
            more=0 if preview is None else max(0, len(preview) - MAX_SHOWN),
        )

    def _groups(self) -> set[str]:
        """The DNs of all groups that employees are in."""
        return {group for names in self._access.rule_book.groups.values() for group in names if "=" in group}

    def _rule_in(self, number: int, sent: Any) -> AccessRule:
        """Raises MistakeError."""
        people = find_people(str(sent.get("people", "")), self._access.names)
        who, where = _who(sent, people), _where(sent)
        if who == Who():
            raise MistakeError(N_("Say for whom the rule is."))
        if where == Where():
            raise MistakeError(N_("Say at which doors the rule holds."))
        name = str(clean(str(sent.get("name", ""))))[:MAX_NAME]
        if not name:
            raise MistakeError(N_("Give the rule a name."))
        return AccessRule(id=number, name=name, who=who, where=where, times=parse_times(sent), asks=_asks(sent))

    def _asked_for(self, request: web.Request) -> AccessRule:
        number = _number(request)
        if not number:
            return AccessRule.model_construct(id=0, name="", who=Who(), where=Where(), asks="one")
        found = next((rule for rule in self._access.rule_book.rules if rule.id == number), None)
        if found is None:
            raise web.HTTPNotFound(text="There is no such rule.")
        return found

    def _doors(self) -> list[Device]:
        return sorted(self._context.devices.of_kind(door.KIND), key=lambda device: device.name)

    def _door_names(self) -> dict[str, str]:
        return {device.id: device.name for device in self._doors()}


def _typed(number: int, sent: Any) -> AccessRule:
    """A rule from a form, not validated; people and times are passed to the page separately."""
    return AccessRule.model_construct(
        id=number, name=str(sent.get("name", "")), who=_who(sent, ()), where=_where(sent), asks=_asks(sent)
    )


def _who(sent: Any, people: tuple[str, ...]) -> Who:
    parts = {name: tuple(sent.getall(name.removesuffix("s"), [])) for name in ("units", "groups", "credentials")}
    try:
        return Who(everybody="everybody" in sent, people=people, **parts)
    except ValidationError:  # no page has sent that
        raise web.HTTPBadRequest(text="A unit, a group or a card in this form is none.") from None


def _where(sent: Any) -> Where:
    try:
        return Where(
            everywhere="everywhere" in sent, zones=tuple(sent.getall("zone", [])), doors=tuple(sent.getall("door", []))
        )
    except ValidationError:
        raise web.HTTPBadRequest(text="A zone or a door in this form is none.") from None


def _asks(sent: Any) -> Literal["one", "card_and_pin"]:
    return "card_and_pin" if "with_pin" in sent else "one"


def _number(request: web.Request) -> int:
    text = request.match_info["rule"]
    if text == "new":
        return 0
    if not (number := number_in(text)):
        raise web.HTTPNotFound(text="There is no such rule.")
    return number


def _by_name(rows: list[tuple[str, Foreseen]]) -> list[tuple[str, Foreseen]]:
    return sorted(rows, key=lambda row: row[0].casefold())[:MAX_SHOWN]
