"""Registering visitors, notifying hosts, and checking out. No MQTT and no pages here."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hub.plugin import N_, Context, Event, Limiter, after_commit, audit, now
from hub.plugin.hooks import HeldData
from plugins.checkin import rows
from plugins.checkin.config import Settings
from plugins.checkin.contract import Present
from plugins.checkin.inside import Inside
from plugins.checkin.models import (
    NewVisit,
    TooManyVisitsError,
    UnknownHostError,
    UnknownNumberError,
    Visit,
    VisitIdTakenError,
)
from plugins.checkin.timing import by_our_clock, timing_of
from plugins.directory.contract import Person, find_hosts
from plugins.directory.contract import host as host_question
from plugins.notify.contract import Answer, Message, MessageState, can_reach, deliver, forget_messages

log = structlog.get_logger("checkin")

ANSWERS: tuple[Answer, ...] = ("coming", "five_minutes", "ask_desk")
SWEEP_SECONDS = 60
HOST_SECONDS = 600.0
MAX_ACCEPTED = 5_000


class Visits:
    def __init__(self, context: Context, settings: Settings) -> None:
        self.inside = Inside(context)
        self._day = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
        """Cache: the last end of a day, and until when that is valid."""
        self._context = context
        self._settings = settings
        self._messages = Limiter(settings.messages_per_host, HOST_SECONDS)
        self._new_visits = Limiter(settings.visits_per_minute, 60)
        self._accepted: OrderedDict[str, None] = OrderedDict()
        """Recently accepted visits: resent ones do not count towards the rate limit."""

    async def find_hosts(self, text: str, limit: int, device: str | None) -> list[Person]:
        """`device`: the kiosk where somebody searches; None: at the desk."""
        found = await self._context.hooks.all(find_hosts, text=text, limit=limit, device=device)
        return [person for people in found for person in people][:limit]

    async def register(self, new: NewVisit, offset_seconds: float | None = None) -> tuple[str | None, bool]:
        """The visit's number, and whether the host is notified; committed when it returns.

        `offset_seconds`: how far the kiosk's clock is ahead of ours, None when unknown. Hosts are not notified of
        registrations that arrive so late that the visitor may have gone: the desk decides.

        Raises TooManyVisitsError, VisitIdTakenError, or UnknownHostError, but accepts a resent visit whose host is
        gone. Raises hub.hooks.UnansweredError while the directory does not answer.
        """
        self._check_rate(new)
        host = await self._context.hooks.required(host_question, person_id=new.host)
        if host is None:
            known = await self.get(new.id)
            if known is None:
                raise UnknownHostError(new.id)
            if known.kiosk != new.kiosk:
                raise VisitIdTakenError(new.id)
            return known.number, known.told is not False

        at = now()
        timing = timing_of(new.arrived_at, at, offset_seconds, self._last_day_end(at))
        arrival = rows.Arrival(new, host, at, timing)
        try:
            number = await self._context.store.write_with_others(self._add_all, arrival)
        except SQLAlchemyError:
            self.inside.reload()  # the connection may have been lost after the commit
            raise
        if number == rows.ID_TAKEN:
            raise VisitIdTakenError(new.id)
        is_notified = timing != "late" and await self._context.hooks.first(can_reach, person=host) is not None
        return number, is_notified

    def _add_all(self, connection: Connection, arrivals: list[rows.Arrival]) -> list[str | None]:
        numbers, fresh = rows.add_all(connection, arrivals)
        if fresh:
            self._context.emit(connection, "arrived", *fresh)
            self._context.touch(connection, "visits")
            news = set(fresh)
            new = [
                arrival
                for arrival, number in zip(arrivals, numbers, strict=True)
                if arrival.new.id in news and number != rows.ID_TAKEN
            ]
            for arrival in new:
                if not arrival.new.is_at_kiosk:
                    audit.record(connection, arrival.new.by, "visit.registered", arrival.new.id)
            after_commit(connection, lambda: self.inside.arrived(new))
        return numbers

    def _check_rate(self, new: NewVisit) -> None:
        """Raises TooManyVisitsError."""
        if new.id not in self._accepted and (wait := self._new_visits.wait_seconds(new.by)):
            raise TooManyVisitsError(wait)
        self._accepted[new.id] = None
        if len(self._accepted) > MAX_ACCEPTED:
            self._accepted.popitem(last=False)

    async def check_out_by_number(
        self, number: str, check_out: str, by: str, left_at: datetime, offset_seconds: float | None = None
    ) -> None:
        """At the kiosk `by`; idempotent by the check-out's id. `left_at` is by the kiosk's clock.

        `offset_seconds` as for `register`. Raises UnknownNumberError.
        """
        at = now()
        has_waited = timing_of(left_at, at, offset_seconds, self._last_day_end(at)) in ("waited", "late")
        corrected_at = by_our_clock(left_at, offset_seconds) if has_waited else at

        def write(connection: Connection) -> None:
            left = rows.check_out_by_number(connection, number, check_out, by, at, corrected_at)
            if left is not None:
                self._left(connection, left)

        await self._context.store.write(write)

    async def check_out(self, visit_id: str, actor: str) -> None:
        def write(connection: Connection) -> None:
            if rows.check_out(connection, visit_id, actor, now()):
                audit.record(connection, actor, "visit.checked_out", visit_id)
                self._left(connection, visit_id)

        await self._context.store.write(write)

    async def undo_check_out(self, visit_id: str, actor: str) -> None:
        def write(connection: Connection) -> None:
            back = rows.undo_check_out(connection, visit_id)
            if back is not None:
                audit.record(connection, actor, "visit.check_out_undone", visit_id)
                self._context.touch(connection, "visits")
                after_commit(connection, lambda: self.inside.update(back))

        await self._context.store.write(write)

    async def confirm(self, visit_id: str, actor: str) -> None:
        """Confirm that a visitor whose registration came late is here; the host is notified now."""

        def write(connection: Connection) -> None:
            here = rows.confirm(connection, visit_id)
            if here is not None:
                audit.record(connection, actor, "visit.confirmed", visit_id)
                self._context.emit(connection, "arrived", visit_id)
                self._context.touch(connection, "visits")
                after_commit(connection, lambda: self.inside.update(here))

        await self._context.store.write(write)

    async def record_answer(self, message_id: str, answer: Answer) -> None:
        """The host has answered one of our messages."""
        if not message_id.startswith(MESSAGE):
            return
        visit_id = message_id.removeprefix(MESSAGE)

        def write(connection: Connection) -> None:
            if rows.answer(connection, visit_id, answer, now()):
                self._context.emit(connection, "answered", visit_id)
                self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def record_shown(self, visit_id: str, device: str, *, is_seen: bool) -> None:
        """The kiosk reports whether the visitor has seen the answer."""

        def write(connection: Connection) -> None:
            if rows.set_seen(connection, visit_id, device, is_seen=is_seen):
                self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def answer_for(self, number: str) -> Answer | None:
        """The host's answer for the visitor with this number. Raises UnknownNumberError."""

        def write(connection: Connection) -> Answer | None:
            found = rows.read_answer(connection, number)
            if found is None:
                raise UnknownNumberError(number)
            self._context.touch(connection, "visits")
            return found[1]

        return await self._context.store.write(write)

    async def unshown_answers(self, within: timedelta) -> list[Visit]:
        """Visits with an answer younger than `within` that their kiosk has not acknowledged."""
        since = now() - within
        return await self._context.store.read(lambda connection: rows.unshown_answers(connection, since))

    async def notify_hosts(self, events: list[Event]) -> None:
        """Raises the errors of `deliver`; the events then come again, and messages are idempotent by their id."""
        ids = [event.subject for event in events]
        visits = await self._context.store.read(lambda connection: rows.get_all(connection, ids))
        waiting = [
            visit for visit in visits if visit.is_inside and visit.visitor is not None and visit.timing != "late"
        ]
        async with asyncio.TaskGroup() as group:
            tasks = {visit.id: group.create_task(self._notify_host(visit)) for visit in waiting}
        without_channel = [visit_id for visit_id, task in tasks.items() if not task.result()]

        def write(connection: Connection) -> None:
            rows.set_told(connection, without_channel, told=False)
            self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def record_delivery(self, message_id: str, *, sent: bool) -> None:
        """A channel has delivered our message, or is late, so that the desk calls the host."""
        if not message_id.startswith(MESSAGE):
            return
        visit_id = message_id.removeprefix(MESSAGE)

        def write(connection: Connection) -> None:
            rows.set_told(connection, [visit_id], told=sent)
            self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def _notify_host(self, visit: Visit) -> bool:
        host = await self._context.hooks.required(host_question, person_id=visit.host or "")
        if host is None or self._messages.wait_seconds(host.id):
            return False
        return await self._context.hooks.some(deliver, message=self._message(visit, host))

    async def get(self, visit_id: str) -> Visit | None:
        return await self._context.store.read(lambda connection: rows.get(connection, visit_id))

    async def today(self) -> list[Visit]:
        start = now().astimezone(self._context.site.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return await self._context.store.read(lambda connection: rows.since(connection, start))

    async def present(self) -> list[Present]:
        return await self.inside.people()

    async def phones(self, visits: list[Visit]) -> dict[str, str]:
        """Host id → phone number, for hosts who have one, as far as the directory answers."""
        ids = {visit.host for visit in visits if visit.host is not None}
        hosts = await asyncio.gather(*(self._context.hooks.first(host_question, person_id=host_id) for host_id in ids))
        return {host.id: host.phone for host in hosts if host is not None and host.phone}

    async def count_inside(self) -> int:
        return await self._context.store.read(rows.count_inside)

    async def held(self) -> HeldData:
        count, oldest = await self._context.store.read(rows.count_remembered)
        hours = f"{self._settings.keep_hours:g}"
        return HeldData(N_("visitors"), count, N_("%(hours)s hours after they left"), oldest, {"hours": hours})

    async def forget_messages(self, events: list[Event]) -> None:
        """Delete messages of deleted visits in all channels. Raises their errors; the events then come again."""
        await self._context.hooks.must(forget_messages, message_ids=[MESSAGE + event.subject for event in events])

    async def message_state(self, message_id: str) -> MessageState | None:
        if not message_id.startswith(MESSAGE):
            return None
        visit = await self.get(message_id.removeprefix(MESSAGE))
        if visit is None or not visit.is_inside:
            return MessageState(is_over=True)
        if visit.answer is None:
            return MessageState(is_over=False)
        at_desk = visit.kiosk is None or visit.answer == "ask_desk" or visit.answer_seen is False
        return MessageState(False, "shown" if visit.answer_seen else "desk" if at_desk else "not_shown")

    async def end_days(self) -> None:
        """Run forever: check out forgotten visitors at the end of the day, and delete expired personal data."""
        while True:
            at = now()
            ended = self._last_day_end(at)
            forget_before = at - timedelta(hours=self._settings.keep_hours)

            def write(
                connection: Connection, ended: datetime = ended, at: datetime = at, before: datetime = forget_before
            ) -> None:
                left, forgotten = rows.end_day(connection, ended, at), rows.forget(connection, before)
                if forgotten:
                    self._context.emit(connection, "forgotten", *forgotten)
                if left or forgotten:
                    self._context.touch(connection, "visits")
                if left:
                    after_commit(connection, self.inside.reload)

            await self._context.store.write(write)
            await asyncio.sleep(SWEEP_SECONDS)

    def _last_day_end(self, at: datetime) -> datetime:
        """Cached, since every registration needs it and time zones are slow."""
        ended, ends = self._day
        if not ended <= at < ends:
            ended = self._latest_end(at)
            self._day = ended, min(self._latest_end(ended + timedelta(hours=36)), at + timedelta(hours=1))
        return self._day[0]

    def _latest_end(self, at: datetime) -> datetime:
        here = at.astimezone(self._context.site.zone)
        end = here.replace(hour=self._settings.day_ends_at_hour, minute=0, second=0, microsecond=0)
        return end if end <= here else end - timedelta(days=1)

    def _left(self, connection: Connection, visit_id: str) -> None:
        self._context.emit(connection, "left", visit_id)
        self._context.touch(connection, "visits")
        after_commit(connection, lambda: self.inside.left(visit_id))

    def _message(self, visit: Visit, host: Person) -> Message:
        language = self._context.site.languages[0]
        words = self._context.translator
        who = f"{visit.visitor} ({visit.company})" if visit.company else str(visit.visitor)
        body = [words.text(language, "%(who)s is waiting for you at %(site)s.", who=who, site=self._context.site.name)]
        if visit.timing == "waited":  # the kiosk's clock is right then
            when = f"{visit.arrived_at.astimezone(self._context.site.zone):%H:%M}"
            body += [words.text(language, "Registered at %(time)s; the tablet had no contact until now.", time=when)]
        return Message(
            id=MESSAGE + visit.id,
            to=host,
            subject=words.text(language, "Your visitor is here"),
            body="\n".join(body),
            language=language,
            answers=ANSWERS,
        )


MESSAGE = "visit-"
"""Prefix of our messages' ids."""
