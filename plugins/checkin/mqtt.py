"""The kiosks' topics: searches, visits and check-outs in; search results, receipts and answers out."""

import asyncio
import time
from datetime import timedelta

import structlog

from devices.contract import kiosk
from hub.plugin import Context, Device, Event, Incoming, Limiter
from hub.plugin.calendar import other_days, week_of
from hub.plugin.hooks import UnansweredError
from plugins.checkin.config import Settings
from plugins.checkin.enumeration import EnumerationGuard
from plugins.checkin.models import (
    NewVisit,
    TooManyVisitsError,
    UnknownHostError,
    UnknownNumberError,
    Visit,
    VisitIdTakenError,
)
from plugins.checkin.service import Visits

log = structlog.get_logger("checkin")

RESEND_SECONDS = 3.0
FREQUENT_TRIES = 40
LATER_RESEND_SECONDS = 60.0
SHOWN_PER_MINUTE = 120
OVER_LIMIT_SECONDS, LOG_SECONDS = 600.0, 10.0


class Kiosks:
    def __init__(self, context: Context, settings: Settings, visits: Visits) -> None:
        self._context = context
        self._settings = settings
        self._visits = visits
        self._searches = Limiter(settings.searches_per_minute, 60)
        self._enumeration = EnumerationGuard(settings.beginnings_in_ten_minutes)
        self._check_outs = Limiter(settings.check_outs_per_minute, 60)
        self._answers_shown = Limiter(SHOWN_PER_MINUTE, 60)
        self._over_limit_at: dict[str, float] = {}
        """Kiosk → when it last sent more than it may, by the monotonic clock."""
        self._sent: dict[str, tuple[float, int]] = {}
        """Visit → when its answer was last sent, by the monotonic clock, and how often."""

    def listen(self) -> None:
        self._context.speaks(kiosk.CHANNELS)
        self._context.receive(kiosk.KIND, "search", kiosk.Search, self.search)
        self._context.receive(kiosk.KIND, "visit", kiosk.Visit, self.visit, self.malformed)
        self._context.receive(kiosk.KIND, "shown", kiosk.AnswerShown, self.answer_shown)
        self._context.receive(kiosk.KIND, "ask", kiosk.Ask, self.ask)
        self._context.receive(kiosk.KIND, "checkout", kiosk.CheckOut, self.check_out, self.malformed)

    async def search(self, incoming: Incoming[kiosk.Search]) -> None:
        device, text = incoming.device.id, incoming.message.text
        wait = self._searches.wait_seconds(device) or self._enumeration.wait_seconds(text, device)
        if wait:
            self._context.live.touch("visits")
        hosts = [] if wait else await self._visits.find_hosts(text, kiosk.MAX_HOSTS, device)
        found = [kiosk.Host(id=host.id, name=host.name, unit=host.unit) for host in hosts]
        answer = kiosk.Found(search=incoming.message.id, hosts=found, wait_seconds=int(wait) + 1 if wait else 0)
        self._context.send(incoming.device, "found", answer)

    async def visit(self, incoming: Incoming[kiosk.Visit]) -> None:
        """The receipt goes out after the commit, and only then may the kiosk say "registered" (D1)."""
        message, device = incoming.message, incoming.device
        new = NewVisit(
            message.id, message.host, message.visitor, message.company, message.language, message.arrived_at, device.id,
            is_at_kiosk=True,
        )  # fmt: skip
        try:
            number, host_is_told = await self._visits.register(new, self._offset(device))
        except TooManyVisitsError as error:
            return self._ask_to_wait(device, message.id, "visit", error.wait_seconds)
        except UnknownHostError:
            return self._refuse(device, message.id, "unknown_host")
        except VisitIdTakenError:
            return self._refuse(device, message.id, "malformed")
        except UnansweredError as error:
            log.warning("visit_deferred", reason=str(error))
            return None  # no receipt: the kiosk resends the visit
        self._context.devices.note_clock(device.id, message.arrived_at)
        receipt = kiosk.Receipt(of=message.id, result="registered", number=number, host_is_told=host_is_told)
        self._context.send(device, "receipt", receipt)
        return None

    async def check_out(self, incoming: Incoming[kiosk.CheckOut]) -> None:
        message, device = incoming.message, incoming.device
        if wait := self._check_outs.wait_seconds(device.id):
            return self._ask_to_wait(device, message.id, "checkout", wait)
        try:
            await self._visits.check_out_by_number(
                message.number, message.id, device.id, message.left_at, self._offset(device)
            )
        except UnknownNumberError:
            return self._refuse(device, message.id, "unknown_number")
        self._context.send(device, "receipt", kiosk.Receipt(of=message.id, result="checked_out"))
        return None

    async def answer_shown(self, incoming: Incoming[kiosk.AnswerShown]) -> None:
        message = incoming.message
        if self._answers_shown.wait_seconds(incoming.device.id):
            return
        await self._visits.record_shown(message.visit, incoming.device.id, is_seen=message.is_seen)

    async def ask(self, incoming: Incoming[kiosk.Ask]) -> None:
        """A visitor asks for the host's answer. Shares the rate limit of check-outs, against guessing numbers."""
        message = incoming.message
        if wait := self._check_outs.wait_seconds(incoming.device.id):
            told = kiosk.Told(of=message.id, result="unknown_number", wait_seconds=int(wait) + 1)
        else:
            try:
                answer = await self._visits.answer_for(message.number)
                told = kiosk.Told(of=message.id, result="answered" if answer else "no_answer", answer=answer)
            except UnknownNumberError:
                told = kiosk.Told(of=message.id, result="unknown_number")
        self._context.send(incoming.device, "told", told)

    def malformed(self, device: Device, message_id: str) -> None:
        self._refuse(device, message_id, "malformed")

    async def send_answers(self, events: list[Event]) -> None:
        for event in events:
            visit = await self._visits.get(event.subject)
            if visit is not None:
                self._send_answer(visit)

    async def resend_answers(self) -> None:
        """Run forever: resend hosts' answers until the kiosk acknowledges them, since its sessions are not kept.

        Every few seconds at first, then once a minute, for as long as an answer is valid.
        """
        while True:
            await asyncio.sleep(RESEND_SECONDS)
            visits = {
                visit.id: visit for visit in await self._visits.unshown_answers(timedelta(seconds=kiosk.ANSWER_SECONDS))
            }
            self._sent = {name: sent for name, sent in self._sent.items() if name in visits}
            for name, visit in visits.items():
                at, count = self._sent.get(name, (0.0, 0))
                if time.monotonic() - at >= (RESEND_SECONDS if count < FREQUENT_TRIES else LATER_RESEND_SECONDS):
                    self._send_answer(visit)

    def _send_answer(self, visit: Visit) -> None:
        device = None if visit.kiosk is None else self._context.devices.get(visit.kiosk)
        if device is not None and visit.answer is not None:
            self._sent[visit.id] = (time.monotonic(), self._sent.get(visit.id, (0.0, 0))[1] + 1)
            self._context.send(device, "answer", kiosk.HostAnswer(visit=visit.id, answer=visit.answer))

    async def publish_offer(self, only: str | None = None) -> None:
        """Publish the content of the first page, retained, to every kiosk or to one."""
        offer = await self._offer()
        for device in self._context.devices.of_kind(kiosk.KIND):
            if only in (None, device.id):
                self._context.send(device, "offer", offer)

    async def _offer(self) -> kiosk.Offer:
        site, calendar = self._context.site, self._context.calendar
        return kiosk.Offer(
            site_name=site.name,
            languages=list(site.languages),
            signposts=self._settings.signposts,
            waiting_seconds=self._settings.waiting_seconds,
            time_zone=site.time_zone,
            hours=week_of(calendar),
            other_days=await other_days(calendar, site, self._context.translator),
        )

    def over_limit(self) -> list[Device]:
        """The kiosks that have sent more than they may, in the last ten minutes."""
        since = time.monotonic() - OVER_LIMIT_SECONDS
        found = (self._context.devices.get(device) for device, at in self._over_limit_at.items() if at > since)
        return [device for device in found if device is not None]

    def enumerated(self) -> list[Device]:
        """The kiosks at which somebody seems to enumerate employees' names."""
        found = map(self._context.devices.get, self._enumeration.suspected())
        return [device for device in found if device is not None]

    def _ask_to_wait(self, device: Device, message_id: str, what: str, wait: float) -> None:
        """Ask the kiosk to resend a message later, because of the rate limit."""
        at = time.monotonic()
        if at - self._over_limit_at.get(device.id, 0.0) > LOG_SECONDS:
            self._over_limit_at[device.id] = at
            self._context.devices.note_refusal(device.id, f"{what}: too many, it waits")
            self._context.live.touch("visits")
            log.warning("rate_limited", device=device.id, what=what)
        receipt = kiosk.Receipt(of=message_id, result="wait", wait_seconds=int(wait) + 1)
        self._context.send(device, "receipt", receipt)

    def _offset(self, device: Device) -> float | None:
        vitals = self._context.devices.vitals(device.id)
        return None if vitals.heartbeat is None else vitals.clock_offset_seconds

    def _refuse(self, device: Device, message_id: str, reason: kiosk.Refusal) -> None:
        log.info("message_refused", device=device.id, reason=reason)
        self._context.send(device, "receipt", kiosk.Receipt(of=message_id, result="refused", reason=reason))
