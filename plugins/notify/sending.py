"""Emptying the outbox: each message is tried by itself, at its own times, and none waits for another.

While the hub runs, waits go by the monotonic clock: a clock that is set back or forward moves nothing.
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
from plugins.notify.mail import Letter, NotNowError, NotReachedError, RefusedError
from plugins.notify.tables import outbox

log = structlog.get_logger("notify")

MAIL = "mail"
SHARED, OWN = "webhook", "own"
AT_ONCE = 8
AT_ONCE_TO_ONE = 2
"""One mailbox whose server keeps us waiting does not take the places of all others."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LONGEST_CHANNEL_WAIT = timedelta(minutes=1)
LATE_SECONDS = 8.0
"""Whoever asked hears then that nobody has been told yet: the desk calls."""
LOOK_SECONDS = 30.0

sent_total = Counter("notify_sent_total", "Messages sent", ["channel"])
failed_total = Counter("notify_failed_total", "Tries that failed", ["channel"])

Key = tuple[str, str]
"""A message and its channel."""


@dataclass(slots=True)
class _Waiting:
    """A row of the outbox that has still to go; times are of the monotonic clock."""

    address: str | None
    tries: int
    since: float
    due: float
    late: float
    is_going: bool = False
    problem: str | None = None


@dataclass(slots=True)
class _Down:
    """A channel whose server cannot be reached: one message tries it, the others wait."""

    wait: timedelta
    until: float
    problem: str


@dataclass(slots=True)
class _State:
    waiting: dict[Key, _Waiting] = field(default_factory=dict)
    down: dict[str, _Down] = field(default_factory=dict)


class Sender:
    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._ring = asyncio.Event()
        self._state = _State()
        self._webhooks = {channel_of(SHARED, one): one for one in settings.webhooks}
        self._webhooks |= {channel_of(OWN, one.address): one.address for one in settings.own_webhooks}

    def added(self, rows: Iterable[dict[str, Any]]) -> None:
        """New rows of the outbox, once they are durable."""
        at = time.monotonic()
        for row in rows:
            key = (row["message"], row["channel"])
            self._state.waiting.setdefault(key, _Waiting(row["address"], 0, at, at, at + LATE_SECONDS))
        self._ring.set()

    async def send_again_and_again(self) -> None:
        self._state = _State(await self._context.store.read(_open))
        async with asyncio.TaskGroup() as group:
            while True:
                self._ring.clear()
                at = time.monotonic()
                for key in self._startable(at):
                    self._state.waiting[key].is_going = True
                    group.create_task(self._go(key))
                for key in [key for key, one in self._state.waiting.items() if one.late <= at]:
                    self._state.waiting[key].late = float("inf")
                    group.create_task(self._keep(key, {}, is_sent=False))
                try:
                    async with asyncio.timeout(self._seconds_to_next(at)):
                        await self._ring.wait()
                except TimeoutError:
                    continue

    async def health(self) -> Health:
        waiting = self._state.waiting
        problems = {f"{name}: {one.problem}" for name, one in self._state.down.items()}
        problems |= {f"{key[1]}: {one.problem}" for key, one in waiting.items() if one.problem}
        given_up, reasons = await self._context.store.read(_given_up)
        problem = "; ".join(sorted(problems)) or None
        if problem and waiting:
            minutes = round((time.monotonic() - min(one.since for one in waiting.values())) / 60)
            problem += f"; {len(waiting)} waiting, the oldest for {minutes} minutes"
        if given_up:
            problem = f"{problem}; " if problem else ""
            problem += f"{given_up} given up: {'; '.join(reasons)}"
        return Health(problem, {N_("messages waiting"): len(waiting), N_("messages given up"): given_up})

    # -- which, and when

    def _startable(self, at: float) -> list[Key]:
        """Those that are due, as far as their channels have places; of a channel that is down one, to see."""
        going: dict[str, int] = {}
        to: dict[tuple[str, str | None], int] = {}
        for (_, channel), one in self._state.waiting.items():
            if one.is_going:
                going[channel] = going.get(channel, 0) + 1
                to[channel, one.address] = to.get((channel, one.address), 0) + 1
        found = []
        for (message, channel), one in sorted(self._state.waiting.items(), key=lambda item: item[1].due):
            down = self._state.down.get(channel)
            places = AT_ONCE if down is None else 1 if down.until <= at else 0
            is_free = going.get(channel, 0) < places and to.get((channel, one.address), 0) < AT_ONCE_TO_ONE
            if not one.is_going and one.due <= at and is_free:
                going[channel] = going.get(channel, 0) + 1
                to[channel, one.address] = to.get((channel, one.address), 0) + 1
                found.append((message, channel))
        return found

    def _seconds_to_next(self, at: float) -> float:
        """What is due already waits for a place, and its being free rings."""
        waiting = self._state.waiting.values()
        times = [one.late for one in waiting] + [one.due for one in waiting if one.due > at]
        times += [one.until for one in self._state.down.values() if one.until > at]
        return max(min([*times, at + LOOK_SECONDS]) - at, 0.001)

    # -- one of them

    async def _go(self, key: Key) -> None:
        channel = key[1]
        began = time.monotonic()
        try:
            row = await self._context.store.read(lambda connection: _row(connection, key))
            if row is None:  # answered or forgotten meanwhile
                self._state.waiting.pop(key, None)
                return
            await self._try(row)
        except NotReachedError as error:
            self._is_down(channel, str(error), began)
            await self._failed(key, str(error), may_come_again=True)
        except RefusedError as error:
            self._is_up(channel)
            await self._failed(key, str(error), may_come_again=False)
        except NotNowError as error:
            self._is_up(channel)
            await self._failed(key, str(error), may_come_again=True)
        except Exception as error:
            log.exception("sending_failed", channel=channel)  # whatever one message does, the others go on
            await self._failed(key, type(error).__name__, may_come_again=True)
        else:
            self._is_up(channel)
            sent_total.labels(channel).inc()
            await self._keep(key, {"sent_at": now(), **_NOTHING_LEFT}, is_sent=True)
            self._state.waiting.pop(key, None)
        finally:
            if key in self._state.waiting:
                self._state.waiting[key].is_going = False
            self._ring.set()
            self._context.live.touch("plugins")

    async def _try(self, row: Row[Any]) -> None:
        """Raises what `mail.send` raises."""
        if row.channel != MAIL:
            return await self._try_webhook(row)
        if self._settings.mail is None:
            raise NotNowError("this channel is not configured any more")
        letter = Letter(
            f"{row.message} {row.channel}", row.made_at, self._context.site.name, row.address, row.title, row.text
        )
        return await mail.send(self._settings.mail, letter)

    async def _try_webhook(self, row: Row[Any]) -> None:
        address = self._webhooks.get(row.channel)
        if address is None:
            raise NotNowError("this channel is not configured any more")
        with self._context.outside.calling() as call:
            is_sent = await asyncio.to_thread(_send_to_chat, address, row.title, row.text)
        if call.refused is not None:
            raise NotNowError(
                f"the webhook leads to {call.refused}, in a private network, and outside.allowed does not name it"
            )
        if not is_sent:
            raise NotNowError("the webhook did not take the message")

    async def _failed(self, key: Key, problem: str, *, may_come_again: bool) -> None:
        one = self._state.waiting[key]
        failed_total.labels(key[1]).inc()
        log.warning("not_sent", channel=key[1], tries=one.tries + 1, problem=problem)
        at = time.monotonic()
        wait = min(FIRST_WAIT * 2 ** min(one.tries, 20), LONGEST_WAIT)
        one.tries, one.problem, one.due = one.tries + 1, problem, at + wait.total_seconds()
        values: dict[str, Any] = {"tries": one.tries, "next_at": now() + wait, "problem": problem}
        is_over = not may_come_again or at - one.since > self._settings.give_up_hours * 3600
        if is_over:
            values |= {"given_up_at": now(), **_NOTHING_LEFT}
        one.late = float("inf")
        await self._keep(key, values, is_sent=False)
        if is_over:
            self._state.waiting.pop(key, None)

    async def _keep(self, key: Key, values: dict[str, Any], *, is_sent: bool) -> None:
        """Write down what has come of it, however long the database is away: it is not sent again meanwhile."""

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

    # -- the channel

    def _is_down(self, channel: str, problem: str, began: float) -> None:
        down = self._state.down.get(channel)
        if down is not None and began < down.until - down.wait.total_seconds():
            return  # it was on its way already when another found out
        wait = FIRST_WAIT if down is None else min(down.wait * 2, LONGEST_CHANNEL_WAIT)
        self._state.down[channel] = _Down(wait, time.monotonic() + wait.total_seconds(), problem)

    def _is_up(self, channel: str) -> None:
        if self._state.down.pop(channel, None) is not None:
            for (_, name), one in self._state.waiting.items():
                if name == channel:
                    one.due, one.problem = min(one.due, time.monotonic()), None


_NOTHING_LEFT = {"address": None, "title": None, "text": None}


def channel_of(kind: str, address: str) -> str:
    """A webhook's channel by its address, which is a secret: one that moves in the list keeps its messages."""
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def _open(connection: Connection) -> dict[Key, _Waiting]:
    """What has still to go, after a start. What seems due later than it can be is due now: the clock was set back."""
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
    """A channel that many read tells nobody by itself, where there is one of the person's own.

    And what one of those has brought is not undone by another that is late.
    """
    rows = connection.execute(select(outbox.c.channel, outbox.c.sent_at).where(outbox.c.message == key[0])).all()
    own = [row for row in rows if not row.channel.startswith(f"{SHARED}-")]
    if own and key[1].startswith(f"{SHARED}-"):
        return False
    return is_sent or not any(row.sent_at for row in (own or rows))


def _given_up(connection: Connection) -> tuple[int, list[str]]:
    """How many, and why; not those whose person has answered by another channel."""
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
