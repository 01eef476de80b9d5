"""The page Keys: cards and PINs are added, ended and restored."""

import re
from datetime import datetime, time, timedelta
from typing import Any

from aiohttp import web

from devices.access.credentials import MAX_CARD, MAX_PRINTED, UID_PATTERN
from devices.contract import door
from devices.contract.payload import clean, new_id
from hub.plugin import N_, Context, MistakeError
from hub.plugin.web import Form, number_in, see, session_of
from plugins.locks.config import Settings
from plugins.locks.models import Credential, KnownCredentialError, UnknownCredentialError
from plugins.locks.operating.access_requests import AccessRequests
from plugins.locks.permissions import EDITORS
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside
from plugins.locks.rules.naming import find_person, name_of
from plugins.locks.web.form_tokens import FormTokens
from plugins.locks.web.times_form import parse_day

LEARN_SECONDS = 30.0
MAX_SHOWN = 200
MAX_LABEL = 80
UID = re.compile(UID_PATTERN, re.IGNORECASE)
KNOWN = N_("Somebody has this card already.")
NOT_SHOWN = N_("No new card was shown. Try again, and hold the card to the reader while the button counts.")


class KeyPages:
    def __init__(
        self, context: Context, settings: Settings, access: Access, access_requests: AccessRequests, inside: Inside
    ) -> None:
        self._context = context
        self._settings = settings
        self._access = access
        self._access_requests = access_requests
        self._inside = inside
        self._form_tokens = FormTokens()
        pages = context.pages
        pages.page("/keys", EDITORS, self.keys)
        pages.action("/keys", EDITORS, self.find, Form(must=("q",)))
        pages.action(
            "/keys/card",
            EDITORS,
            self.add_card,
            Form(must=("person", "label", "until", "door")),
            Form(must=("person", "label", "format", "facility", "number")),
            asks_again=True,
        )
        pages.action(
            "/keys/pin",
            EDITORS,
            self.give_pin,
            Form(must=("once", "person", "kind"), may=("opens_alone",), choices={"kind": ("pin", "duress")}),
            asks_again=True,
        )
        pages.action(  # whoever takes something away is never held up
            "/keys/{ref}/end", EDITORS, self.end, Form(must=("why",), choices={"why": ("lost", "returned")})
        )
        pages.action("/keys/{ref}/forgive", EDITORS, self.forgive, asks_again=True)
        pages.action("/keys/{ref}/again", EDITORS, self.again, asks_again=True)
        pages.action(
            "/keys/{ref}/lockdown",
            EDITORS,
            self.in_lockdown,
            Form(must=("opens",), choices={"opens": ("yes", "no")}),
            asks_again=True,
        )

    async def keys(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def find(self, request: web.Request) -> web.StreamResponse:
        """A search, sent as a form so that names are not in addresses."""
        return await self._page(request, sought=str((await request.post()).get("q", "")).strip())

    async def add_card(self, request: web.Request) -> web.StreamResponse:
        """Add a card by its number, or learn the next unknown one at a door within LEARN_SECONDS."""
        sent, actor = await request.post(), session_of(request).account
        label = str(clean(str(sent.get("label", "")))).strip()[:MAX_LABEL]
        try:
            person = self._holder(str(sent.get("person", "")).strip(), label)
            until = self._end_of(str(sent.get("until", "")))
            ref = await self._access.add_card(await self._shown(sent), person, label, actor, until=until)
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        except KnownCredentialError:
            return await self._page(request, mistake=MistakeError(KNOWN), sent=sent, status=409)
        except TimeoutError:
            return await self._page(request, mistake=MistakeError(NOT_SHOWN), sent=sent, status=409)
        return see(f"/keys?done={ref}#notice")

    async def give_pin(self, request: web.Request) -> web.StreamResponse:
        """The new PIN is only in the response."""
        sent = await request.post()
        try:
            person = find_person(str(sent.get("person", "")), self._access.names)
            self._form_tokens.use(str(sent.get("once", "")))
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        is_duress = sent.get("kind") == "duress"
        has_one = any(
            (credential.person, credential.kind) == (person, sent.get("kind"))
            for credential in self._access.rule_book.credentials
        )
        digits = await self._access.give_pin(
            person, session_of(request).account, opens_alone="opens_alone" in sent, is_duress=is_duress
        )
        of = self._access.names[person].name
        return await self._page(request, digits=digits, of=of, is_duress=is_duress, had_one=has_one)

    async def end(self, request: web.Request) -> web.StreamResponse:
        why = str((await request.post())["why"])
        return await self._changed(
            request, self._access.end_credential(request.match_info["ref"], why, session_of(request).account)
        )

    async def again(self, request: web.Request) -> web.StreamResponse:
        """Restore a card that was lost."""
        return await self._changed(
            request, self._access.restore_credential(request.match_info["ref"], session_of(request).account)
        )

    async def forgive(self, request: web.Request) -> web.StreamResponse:
        """Anti-passback: let this credential enter again."""
        ref = request.match_info["ref"]
        if not any(credential.ref == ref for credential in self._access.rule_book.credentials):
            raise web.HTTPNotFound(text="There is no such card or PIN, or it has ended.")
        await self._inside.forgive(ref, session_of(request).account, "")
        return see(f"/keys?done={ref}#notice")

    async def in_lockdown(self, request: web.Request) -> web.StreamResponse:
        opens = (await request.post()).get("opens") == "yes"
        return await self._changed(
            request,
            self._access.set_opens_in_lockdown(request.match_info["ref"], session_of(request).account, opens=opens),
        )

    # --

    def _holder(self, person: str, label: str) -> str | None:
        """The employee's id; None for a card without a holder, which needs a label. Raises MistakeError."""
        if not person and not label:
            raise MistakeError(N_("Say whose the card is, or what you call it."))
        return find_person(person, self._access.names) if person else None

    async def _shown(self, sent: Any) -> str:
        """The card's fingerprint. Raises TimeoutError, MistakeError."""
        if door_id := str(sent.get("door", "")):
            if self._context.devices.get(door_id) is None:
                raise web.HTTPNotFound(text="There is no such door.")
            return await self._access_requests.learn(door_id, LEARN_SECONDS)
        number = re.sub(r"[\s:-]", "", str(sent.get("number", "")))
        if sent.get("format") == "uid":
            if not UID.fullmatch(number):
                raise MistakeError(N_("A card's own number is pairs of 0-9 and a-f, such as 04a2b3c4."))
            return self._access.uid_fingerprint(bytes.fromhex(number))
        bits = number_in(str(sent.get("format", "")))
        if bits not in MAX_CARD:
            raise MistakeError(N_("Choose the card's format."))
        most_facility, most_number = MAX_CARD[bits]
        code = str(sent.get("facility", "")).strip()
        if bits == 37 and not code:  # noqa: PLR2004 (one number is printed on it, and no facility code)
            most_number = MAX_PRINTED
        facility = number_in(code or "0", most_facility)
        if facility is None or (card := number_in(number, most_number)) is None:
            raise MistakeError(
                N_("A card of %(bits)s bits has a facility code up to %(facility)s and a number up to %(number)s."),
                bits=bits, facility=most_facility, number=most_number,
            )  # fmt: skip
        return self._access.card_fingerprint(bits, facility, card)

    def _end_of(self, text: str) -> datetime | None:
        """The end of the last valid day. Raises MistakeError."""
        day = parse_day(text)
        return None if day is None else datetime.combine(day + timedelta(days=1), time(), self._context.site.zone)

    async def _changed(self, request: web.Request, change: Any) -> web.StreamResponse:
        """Await the change and return to the page, which shows it."""
        try:
            await change
        except UnknownCredentialError:
            raise web.HTTPNotFound(text="There is no such card or PIN, or it has ended.") from None
        except KnownCredentialError:
            raise web.HTTPConflict(text="Somebody else has this card now.") from None
        return see(f"/keys?done={request.match_info['ref']}#notice")

    async def _page(
        self, request: web.Request, *, sought: str = "", status: int = 200, **values: Any
    ) -> web.StreamResponse:
        is_narrowed = "named" in request.query
        people, ended = self._access.names, await self._access.recently_ended()
        named = [(name_of(credential, people), credential) for credential in self._access.rule_book.credentials]
        found = [
            (name, credential)
            for name, credential in named
            if _is_found(name, credential, sought.casefold()) and (credential.in_lockdown or not is_narrowed)
        ]
        found.sort(key=lambda row: (row[0].casefold(), row[1].kind))
        changed = request.query.get("done", "") if request.method == "GET" else ""
        shown: dict[str, Any] = {"mistake": None, "sent": {}, "digits": None, "of": "", "is_duress": False}
        return await self._context.pages.render(
            request,
            "keys.html",
            status=status,
            found=found[:MAX_SHOWN],
            total=len(found),
            sought=sought,
            is_narrowed=is_narrowed,
            changed=next(((name, credential) for name, credential in named if credential.ref == changed), None),
            gone=next(
                ((name_of(credential, people), credential) for credential in ended if credential.ref == changed), None
            ),
            once=new_id(),
            people=people,
            ended=[(name_of(credential, people), credential) for credential in ended],
            doors=sorted(self._context.devices.of_kind(door.KIND), key=lambda device: device.name),
            seconds=round(LEARN_SECONDS),
            has_passback=any(settings.passback != "off" for settings in self._access.rule_book.settings.values()),
            may_search=session_of(request).roles >= self._settings.may_search_people,
            **(shown | values),
        )


def _is_found(name: str, credential: Credential, sought: str) -> bool:
    return (
        not sought
        or sought in name.casefold()
        or sought in credential.label.casefold()
        or sought == credential.ref.casefold()
    )
