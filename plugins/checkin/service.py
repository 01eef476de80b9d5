"""What happens to visits. No MQTT and no pages here."""

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
    AnothersVisitError,
    NewVisit,
    TooManyVisitsError,
    UnknownHostError,
    UnknownNumberError,
    Visit,
)
from plugins.checkin.timing import by_our_clock, timing_of
from plugins.directory.contract import Person, find_hosts
from plugins.directory.contract import host as host_question
from plugins.notify.contract import Answer, Message, MessageState, can_reach, deliver, forget_messages

log = structlog.get_logger("checkin")

ANSWERS: tuple[Answer, ...] = ("coming", "five_minutes", "ask_desk")
SWEEP_SECONDS = 60
HOST_SECONDS = 600.0
MOST_LET_IN = 5_000


class Visits:
    def __init__(self, context: Context, settings: Settings) -> None:
        self.inside = Inside(context)
        self._day = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
        """When the last day ended, and until when that is known."""
        self._context = context
        self._settings = settings
        self._messages = Limiter(settings.messages_per_host, HOST_SECONDS)
        self._new_visits = Limiter(settings.visits_per_minute, 60)
        self._let_in: OrderedDict[str, None] = OrderedDict()
        """The newest visits that were let in: sent again, they are no new ones."""

    async def find_hosts(self, text: str, limit: int, device: str | None) -> list[Person]:
        """`device`: the kiosk where somebody searches; None: at the desk."""
        found = await self._context.hooks.every(find_hosts, text=text, limit=limit, device=device)
        return [person for people in found for person in people][:limit]

    async def register(self, new: NewVisit, offset_seconds: float | None = None) -> tuple[str | None, bool]:
        """The visit's number, and whether the host is told; durable when it returns.

        `offset_seconds`: what the kiosk's clock is ahead of ours, None when it is not known. What is registered so late
        that the visitor may have gone is not told to the host as if it were now: the desk decides.

        Raises TooManyVisitsError, AnothersVisitError, or UnknownHostError; a visit that is in the store already is
        accepted again without its host. Raises hub.hooks.UnansweredError while the directory is not there to be asked:
        nobody is refused for that.
        """
        self._let(new)
        host = await self._context.hooks.certain(host_question, person_id=new.host)
        if host is None:
            known = await self.get(new.id)
            if known is None:
                raise UnknownHostError(new.id)
            if known.kiosk != new.kiosk:
                raise AnothersVisitError(new.id)
            return known.number, known.told is not False

        at = now()
        timing = timing_of(new.said_at, at, offset_seconds, self._last_day_end(at))
        arrival = rows.Arrival(new, host, at, timing)
        try:
            number = await self._context.store.write_with_others(self._add_all, arrival)
        except SQLAlchemyError:
            self.inside.changed()  # a connection that is lost during the commit does not say whether it was done
            raise
        if number == rows.ANOTHERS:
            raise AnothersVisitError(new.id)
        return number, timing != "late" and await self._context.hooks.any(can_reach, person=host)

    def _add_all(self, connection: Connection, arrivals: list[rows.Arrival]) -> list[str | None]:
        numbers, fresh = rows.add_all(connection, arrivals)
        if fresh:
            self._context.emit(connection, "arrived", *fresh)
            self._context.touch(connection, "visits")
            news = set(fresh)
            new = [
                one
                for one, number in zip(arrivals, numbers, strict=True)
                if one.new.id in news and number != rows.ANOTHERS
            ]
            for one in new:
                if not one.new.is_at_kiosk:
                    audit.record(connection, one.new.by, "visit.registered", one.new.id)
            after_commit(connection, lambda: self.inside.arrived(new))
        return numbers

    def _let(self, new: NewVisit) -> None:
        """Raises TooManyVisitsError."""
        if new.id not in self._let_in and (wait := self._new_visits.wait_seconds(new.by)):
            raise TooManyVisitsError(wait)
        self._let_in[new.id] = None
        if len(self._let_in) > MOST_LET_IN:
            self._let_in.popitem(last=False)

    async def check_out_by_number(
        self, number: str, check_out: str, by: str, left_at: datetime, offset_seconds: float | None = None
    ) -> None:
        """At the kiosk `by`; the same id of a check-out twice is one. `left_at` is by the kiosk's clock.

        `offset_seconds` as for `register`. Raises UnknownNumberError.
        """
        at = now()
        has_waited = timing_of(left_at, at, offset_seconds, self._last_day_end(at)) in ("waited", "late")
        said = by_our_clock(left_at, offset_seconds) if has_waited else at

        def write(connection: Connection) -> None:
            left = rows.check_out_by_number(connection, number, check_out, by, at, said)
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
                after_commit(connection, lambda: self.inside.stays(back))

        await self._context.store.write(write)

    async def is_here(self, visit_id: str, actor: str) -> None:
        """Somebody whose registration came late is here: the host is told now."""

        def write(connection: Connection) -> None:
            here = rows.is_here(connection, visit_id)
            if here is not None:
                audit.record(connection, actor, "visit.confirmed", visit_id)
                self._context.emit(connection, "arrived", visit_id)
                self._context.touch(connection, "visits")
                after_commit(connection, lambda: self.inside.stays(here))

        await self._context.store.write(write)

    async def answered(self, message_id: str, answer: Answer) -> None:
        """The host has answered our message."""
        if not message_id.startswith(MESSAGE):
            return
        visit_id = message_id.removeprefix(MESSAGE)

        def write(connection: Connection) -> None:
            if rows.answer(connection, visit_id, answer, now()):
                self._context.emit(connection, "answered", visit_id)
                self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def shown(self, visit_id: str, device: str, *, is_seen: bool) -> None:
        """The kiosk of the visit says what became of the answer."""

        def write(connection: Connection) -> None:
            if rows.set_seen(connection, visit_id, device, is_seen=is_seen):
                self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def ask(self, number: str) -> Answer | None:
        """What the host of the visitor with this number has answered. Raises UnknownNumberError."""

        def write(connection: Connection) -> Answer | None:
            found = rows.ask(connection, number)
            if found is None:
                raise UnknownNumberError(number)
            self._context.touch(connection, "visits")
            return found[1]

        return await self._context.store.write(write)

    async def unshown(self, within: timedelta) -> list[Visit]:
        """Visits whose answer is younger, and of which their kiosk has not said what became of it."""
        since = now() - within
        return await self._context.store.read(lambda connection: rows.unshown(connection, since))

    async def tell_hosts(self, events: list[Event]) -> None:
        """Raises what `deliver` raises when nobody took it: the events come again, and a message's id makes it one."""
        ids = [event.subject for event in events]
        visits = await self._context.store.read(lambda connection: rows.get_all(connection, ids))
        waiting = [one for one in visits if one.is_inside and one.visitor is not None and one.timing != "late"]
        async with asyncio.TaskGroup() as group:
            tasks = {one.id: group.create_task(self._tell_host(one)) for one in waiting}
        without_channel = [visit_id for visit_id, task in tasks.items() if not task.result()]

        def write(connection: Connection) -> None:
            rows.set_told(connection, without_channel, told=False)
            self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def message_tried(self, message_id: str, *, sent: bool) -> None:
        """A channel took our message, or is late: the desk sees which, and calls the host if it is."""
        if not message_id.startswith(MESSAGE):
            return
        visit_id = message_id.removeprefix(MESSAGE)

        def write(connection: Connection) -> None:
            rows.set_told(connection, [visit_id], told=sent)
            self._context.touch(connection, "visits")

        await self._context.store.write(write)

    async def _tell_host(self, visit: Visit) -> bool:
        host = await self._context.hooks.certain(host_question, person_id=visit.host or "")
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
        """The hosts' numbers, by the hosts' ids; of those who have one, as far as the directory answers."""
        ids = {one.host for one in visits if one.host is not None}
        hosts = await asyncio.gather(*(self._context.hooks.first(host_question, person_id=one) for one in ids))
        return {host.id: host.phone for host in hosts if host is not None and host.phone}

    async def count_inside(self) -> int:
        return await self._context.store.read(rows.count_inside)

    async def held(self) -> HeldData:
        count, oldest = await self._context.store.read(rows.count_remembered)
        hours = f"{self._settings.keep_hours:g}"
        return HeldData(N_("visitors"), count, N_("%(hours)s hours after they left"), oldest, {"hours": hours})

    async def forget_messages(self, events: list[Event]) -> None:
        """What channels hold of visits ends with the visits. Raises what they raise, and comes again then."""
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
        """Check out at the end of the day who forgot to, and forget who left long enough ago."""
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
                    after_commit(connection, self.inside.changed)

            await self._context.store.write(write)
            await asyncio.sleep(SWEEP_SECONDS)

    def _last_day_end(self, at: datetime) -> datetime:
        """Kept until the next one: every visitor asks, and time zones take their time."""
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
"""What our messages' ids begin with."""
