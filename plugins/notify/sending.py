"""Sends the messages in the outbox, each with its own retries, concurrently.

While the hub runs, retries are timed by the monotonic clock, so that setting the clock has no effect.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Connection, Row, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from hub.plugin import N_, Context, now
from hub.plugin.hooks import Health
from plugins.notify import mail
from plugins.notify.config import Settings
from plugins.notify.mail import Letter, PermanentError, TemporaryError, UnreachableError
from plugins.notify.tables import outbox

log = structlog.get_logger("notify")

MAIL = "mail"
SHARED, OWN = "webhook", "own"
MAX_CONCURRENT = 8
MAX_CONCURRENT_PER_ADDRESS = 2
"""So that one slow mailbox does not block all others."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LONGEST_CHANNEL_WAIT = timedelta(minutes=1)
LATE_SECONDS = 8.0
"""After this long without delivery the sender of the message is informed, and the desk calls."""
LOOK_SECONDS = 30.0

sent_total = Counter("notify_sent_total", "Messages sent", ["channel"])
failed_total = Counter("notify_failed_total", "Tries that failed", ["channel"])

Key = tuple[str, str]
"""A message and its channel."""


@dataclass(slots=True)
class _Waiting:
    """A pending row of the outbox; times are of the monotonic clock."""

    address: str | None
    tries: int
    since: float
    due: float
    late: float
    is_sending: bool = False
    problem: str | None = None


@dataclass(slots=True)
class _Outage:
    """A channel whose server cannot be reached: one message at a time tries it, the others wait."""

    wait: timedelta
    until: float
    problem: str


@dataclass(slots=True)
class _State:
    waiting: dict[Key, _Waiting] = field(default_factory=dict)
    outages: dict[str, _Outage] = field(default_factory=dict)


class Sender:
    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._wake = asyncio.Event()
        self._state = _State()
        self._webhooks = {channel_of(SHARED, address): address for address in settings.webhooks}
        self._webhooks |= {channel_of(OWN, webhook.address): webhook.address for webhook in settings.own_webhooks}

    def added(self, rows: Iterable[dict[str, Any]]) -> None:
        """New rows of the outbox; call it after their commit."""
        at = time.monotonic()
        for row in rows:
            key = (row["message"], row["channel"])
            self._state.waiting.setdefault(key, _Waiting(row["address"], 0, at, at, at + LATE_SECONDS))
        self._wake.set()

    async def run(self) -> None:
        """Run forever: read pending rows once, then send what is due."""
        self._state = _State(await self._context.store.read(_open))
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                at = time.monotonic()
                for key in self._startable(at):
                    self._state.waiting[key].is_sending = True
                    group.create_task(self._send(key))
                for key in [key for key, pending in self._state.waiting.items() if pending.late <= at]:
                    self._state.waiting[key].late = float("inf")
                    group.create_task(self._save(key, {}, is_sent=False))
                try:
                    async with asyncio.timeout(self._seconds_to_next(at)):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def health(self) -> Health:
        waiting = self._state.waiting
        problems = {f"{name}: {outage.problem}" for name, outage in self._state.outages.items()}
        problems |= {f"{key[1]}: {pending.problem}" for key, pending in waiting.items() if pending.problem}
        given_up, reasons = await self._context.store.read(_given_up)
        problem = "; ".join(sorted(problems)) or None
        if problem and waiting:
            minutes = round((time.monotonic() - min(pending.since for pending in waiting.values())) / 60)
            problem += f"; {len(waiting)} waiting, the oldest for {minutes} minutes"
        if given_up:
            problem = f"{problem}; " if problem else ""
            problem += f"{given_up} given up: {'; '.join(reasons)}"
        return Health(problem, {N_("messages waiting"): len(waiting), N_("messages given up"): given_up})

    # -- scheduling

    def _startable(self, at: float) -> list[Key]:
        """Due messages within the concurrency limits; only one for a channel that is down."""
        sending: dict[str, int] = {}
        to: dict[tuple[str, str | None], int] = {}
        for (_, channel), pending in self._state.waiting.items():
            if pending.is_sending:
                sending[channel] = sending.get(channel, 0) + 1
                to[channel, pending.address] = to.get((channel, pending.address), 0) + 1
        found = []
        for (message, channel), pending in sorted(self._state.waiting.items(), key=lambda item: item[1].due):
            outage = self._state.outages.get(channel)
            places = MAX_CONCURRENT if outage is None else 1 if outage.until <= at else 0
            is_free = (
                sending.get(channel, 0) < places and to.get((channel, pending.address), 0) < MAX_CONCURRENT_PER_ADDRESS
            )
            if not pending.is_sending and pending.due <= at and is_free:
                sending[channel] = sending.get(channel, 0) + 1
                to[channel, pending.address] = to.get((channel, pending.address), 0) + 1
                found.append((message, channel))
        return found

    def _seconds_to_next(self, at: float) -> float:
        """Seconds until the next message is due; due ones that wait for a place are woken when one is free."""
        waiting = self._state.waiting.values()
        times = [pending.late for pending in waiting] + [pending.due for pending in waiting if pending.due > at]
        times += [outage.until for outage in self._state.outages.values() if outage.until > at]
        return max(min([*times, at + LOOK_SECONDS]) - at, 0.001)

    # -- one message

    async def _send(self, key: Key) -> None:
        channel = key[1]
        began = time.monotonic()
        try:
            row = await self._context.store.read(lambda connection: _row(connection, key))
            if row is None:  # answered or forgotten meanwhile
                self._state.waiting.pop(key, None)
                return
            await self._deliver(row)
        except UnreachableError as error:
            self._mark_down(channel, str(error), began)
            await self._record_failure(key, str(error), may_come_again=True)
        except PermanentError as error:
            self._mark_up(channel)
            await self._record_failure(key, str(error), may_come_again=False)
        except TemporaryError as error:
            self._mark_up(channel)
            await self._record_failure(key, str(error), may_come_again=True)
        except Exception as error:
            log.exception("sending_failed", channel=channel)  # whatever one message does, the others go on
            await self._record_failure(key, type(error).__name__, may_come_again=True)
        else:
            self._mark_up(channel)
            sent_total.labels(channel).inc()
            await self._save(key, {"sent_at": now(), **_NOTHING_LEFT}, is_sent=True)
            self._state.waiting.pop(key, None)
        finally:
            if key in self._state.waiting:
                self._state.waiting[key].is_sending = False
            self._wake.set()
            self._context.live.touch("plugins")

    async def _deliver(self, row: Row[Any]) -> None:
        """Raises the errors of `mail.send`."""
        if row.channel != MAIL:
            return await self._deliver_to_webhook(row)
        if self._settings.mail is None:
            raise TemporaryError("this channel is not configured any more")
        letter = Letter(
            f"{row.message} {row.channel}", row.made_at, self._context.site.name, row.address, row.title, row.text
        )
        return await mail.send(self._settings.mail, letter)

    async def _deliver_to_webhook(self, row: Row[Any]) -> None:
        address = self._webhooks.get(row.channel)
        if address is None:
            raise TemporaryError("this channel is not configured any more")
        with self._context.outside.calling() as call:
            is_sent = await asyncio.to_thread(_send_to_chat, address, row.title, row.text)
        if call.refused is not None:
            raise TemporaryError(
                f"the webhook leads to {call.refused}, in a private network, and outside.allowed does not name it"
            )
        if not is_sent:
            raise TemporaryError("the webhook did not take the message")

    async def _record_failure(self, key: Key, problem: str, *, may_come_again: bool) -> None:
        pending = self._state.waiting[key]
        failed_total.labels(key[1]).inc()
        log.warning("message_not_sent", channel=key[1], tries=pending.tries + 1, problem=problem)
        at = time.monotonic()
        wait = min(FIRST_WAIT * 2 ** min(pending.tries, 20), LONGEST_WAIT)
        pending.tries, pending.problem, pending.due = pending.tries + 1, problem, at + wait.total_seconds()
        values: dict[str, Any] = {"tries": pending.tries, "next_at": now() + wait, "problem": problem}
        is_over = not may_come_again or at - pending.since > self._settings.give_up_hours * 3600
        if is_over:
            values |= {"given_up_at": now(), **_NOTHING_LEFT}
        pending.late = float("inf")
        await self._save(key, values, is_sent=False)
        if is_over:
            self._state.waiting.pop(key, None)

    async def _save(self, key: Key, values: dict[str, Any], *, is_sent: bool) -> None:
        """Save the result, with retries while the database is away; the message is not sent again meanwhile."""

        def write(connection: Connection) -> None:
            if _row(connection, key) is None:  # answered or forgotten meanwhile
                return
            if values:
                connection.execute(update(outbox).where(_is(key)).values(**values))
            if _is_news(connection, key, is_sent=is_sent):
                self._context.emit(connection, "tried", key[0], sent=is_sent)

        wait = 1.0
        while True:
            try:
                return await self._context.store.write(write)
            except SQLAlchemyError as error:
                log.warning("outbox_write_failed", problem=type(error).__name__)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LOOK_SECONDS)

    # -- channels

    def _mark_down(self, channel: str, problem: str, began: float) -> None:
        outage = self._state.outages.get(channel)
        if outage is not None and began < outage.until - outage.wait.total_seconds():
            return  # it had started before the outage was noticed
        wait = FIRST_WAIT if outage is None else min(outage.wait * 2, LONGEST_CHANNEL_WAIT)
        self._state.outages[channel] = _Outage(wait, time.monotonic() + wait.total_seconds(), problem)

    def _mark_up(self, channel: str) -> None:
        if self._state.outages.pop(channel, None) is not None:
            for (_, name), pending in self._state.waiting.items():
                if name == channel:
                    pending.due, pending.problem = min(pending.due, time.monotonic()), None


_NOTHING_LEFT = {"address": None, "title": None, "text": None}


def channel_of(kind: str, address: str) -> str:
    """A webhook's channel name, by a hash of its address: the address is a secret, and its position may change."""
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def _open(connection: Connection) -> dict[Key, _Waiting]:
    """Pending rows after a start. A row due later than possible is due now: the clock was set back."""
    wall, at = now(), time.monotonic()
    found = {}
    for row in connection.execute(select(outbox).where(_is_open()).order_by(outbox.c.next_at)):
        longest = min(FIRST_WAIT * 2 ** min(max(row.tries - 1, 0), 20), LONGEST_WAIT)
        wait = row.next_at - wall
        seconds = wait.total_seconds() if row.tries and timedelta() < wait <= longest else 0.0
        age = max((wall - row.made_at).total_seconds(), 0.0)
        found[row.message, row.channel] = _Waiting(
            row.address, row.tries, at - age, at + seconds, at + LATE_SECONDS, problem=row.problem
        )
    return found


def _row(connection: Connection, key: Key) -> Row[Any] | None:
    return connection.execute(select(outbox).where(_is(key), _is_open())).first()


def _is_news(connection: Connection, key: Key, *, is_sent: bool) -> bool:
    """Whether a result must be reported: not for a shared channel where the person has one of their own.

    A failure is not reported either once another channel has delivered the message.
    """
    rows = connection.execute(select(outbox.c.channel, outbox.c.sent_at).where(outbox.c.message == key[0])).all()
    own = [row for row in rows if not row.channel.startswith(f"{SHARED}-")]
    if own and key[1].startswith(f"{SHARED}-"):
        return False
    return is_sent or not any(row.sent_at for row in (own or rows))


def _given_up(connection: Connection) -> tuple[int, list[str]]:
    """The number of failed messages and the reasons, without those answered by another channel."""
    given_up = outbox.c.given_up_at.is_not(None) & outbox.c.problem.is_not(None)
    rows = connection.execute(select(outbox.c.problem, func.count()).where(given_up).group_by(outbox.c.problem)).all()
    return sum(count for _, count in rows), sorted(why for why, _ in rows)


def _is(key: Key) -> ColumnElement[bool]:
    return (outbox.c.message == key[0]) & (outbox.c.channel == key[1])


def _is_open() -> ColumnElement[bool]:
    return outbox.c.sent_at.is_(None) & outbox.c.given_up_at.is_(None)


def _send_to_chat(address: str, title: str, text: str) -> bool:
    from plugins.notify import webhook  # noqa: PLC0415 (4 MB, for those who have such addresses)

    return webhook.send(address, title, text)
