"""Emptying the outbox: apprise does the sending, this does the trying again."""

import asyncio
import hashlib
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import apprise
import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Row, func, select, update

from hub.hookspecs import Health
from hub.plugin import N_, Context
from hub.store import now
from plugins.notify.config import Settings
from plugins.notify.tables import outbox

log = structlog.get_logger("notify")

MAIL = "mail"
SHARED, OWN = "webhook", "own"
AT_ONCE = 8
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LOOK_SECONDS = 30.0

sent_total = Counter("notify_sent_total", "Messages sent", ["channel"])
failed_total = Counter("notify_failed_total", "Tries that failed", ["channel"])


class Sender:
    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._ring = asyncio.Event()
        self._problems: dict[str, str] = {}
        self._webhooks = {channel_of(SHARED, one): one for one in settings.webhooks}
        self._webhooks |= {channel_of(OWN, one.address): one.address for one in settings.own_webhooks}
        self._asset = apprise.AppriseAsset(app_id="Kommunevert", app_desc="Kommunevert", image_url_mask=None)

    def wake(self) -> None:
        self._ring.set()

    async def send_again_and_again(self) -> None:
        while True:
            self._ring.clear()
            due = await self._context.store.read(lambda connection: _due(connection, now()))
            if due:
                await asyncio.gather(*(self._send(row) for row in due))
                continue
            wait = await self._context.store.read(lambda connection: _seconds_to_next(connection, now()))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, LOOK_SECONDS)):
                    await self._ring.wait()

    async def health(self) -> Health:
        waiting, oldest = await self._context.store.read(_waiting)
        problem = "; ".join(f"{channel}: {text}" for channel, text in sorted(self._problems.items())) or None
        if problem and oldest:
            problem += f"; {waiting} waiting, the oldest for {round((now() - oldest).total_seconds() / 60)} minutes"
        return Health(problem, {N_("messages waiting"): waiting})

    async def _send(self, row: Row[Any]) -> None:
        problem = await asyncio.to_thread(self._try, row)
        at = now()
        if problem is None:
            self._problems.pop(row.channel, None)
            sent_total.labels(row.channel).inc()
            values: dict[str, Any] = {"sent_at": at, "address": None, "title": None, "text": None}
        else:
            self._problems[row.channel] = problem
            failed_total.labels(row.channel).inc()
            log.warning("not_sent", channel=row.channel, tries=row.tries + 1, problem=problem)
            values = {"tries": row.tries + 1, "next_at": at + min(FIRST_WAIT * 2**row.tries, LONGEST_WAIT)}
            if at - row.made_at > timedelta(hours=self._settings.give_up_hours):
                values |= {"given_up_at": at, "address": None, "title": None, "text": None}
        tell = problem is None or row.tries == 0  # once that it is late, and once that it has gone

        def write(connection: Connection) -> None:
            _update(row.message, row.channel, values, connection)
            if tell:
                self._context.emit(connection, "tried", row.message, sent=problem is None)

        await self._context.store.write(write)
        self._context.live.touch("plugins")

    def _try(self, row: Row[Any]) -> str | None:
        """In a thread: apprise blocks. What went wrong, without addresses; None when it is sent."""
        address = self._address(row)
        if address is None:
            return "this channel is not configured any more"
        sending = apprise.Apprise(asset=self._asset)
        sending.add(address)
        if sending.notify(body=row.text, title=row.title, body_format=apprise.NotifyFormat.TEXT):
            return None
        return f"{self._place(row.channel)} did not take the message"

    def _address(self, row: Row[Any]) -> str | None:
        if row.channel != MAIL:
            return self._webhooks.get(row.channel)
        mail = self._settings.mail
        if mail is None:
            return None
        mode = {"starttls": "starttls", "tls": "ssl", "none": "insecure"}[mail.security]
        secret = mail.secret_file.read_text().strip() if mail.secret_file else ""
        user = f"{quote(mail.user, safe='')}:{quote(secret, safe='')}@" if mail.user else ""
        return (
            f"{'mailto' if mail.security == 'none' else 'mailtos'}://{user}{mail.host}:{mail.port}"
            f"?from={quote(mail.sender)}&to={quote(row.address)}&mode={mode}&format=text&cto=5&rto=10"
        )

    def _place(self, channel: str) -> str:
        if channel == MAIL and self._settings.mail:
            return f"{self._settings.mail.host}:{self._settings.mail.port}"
        return "the webhook"


def channel_of(kind: str, address: str) -> str:
    """A webhook's channel by its address, which is a secret: one that moves in the list keeps its messages."""
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def _due(connection: Connection, at: datetime) -> list[Row[Any]]:
    rows = connection.execute(
        select(outbox)
        .where(outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None), outbox.c.next_at <= at)
        .order_by(outbox.c.next_at)
        .limit(AT_ONCE)
    )
    return list(rows)


def _seconds_to_next(connection: Connection, at: datetime) -> float:
    next_at = connection.execute(
        select(func.min(outbox.c.next_at)).where(outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None))
    ).scalar()
    return LOOK_SECONDS if next_at is None else max((next_at - at).total_seconds(), 0)


def _waiting(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(
        select(func.count(), func.min(outbox.c.made_at)).where(
            outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None)
        )
    ).one()
    return row[0], row[1]


def _update(message: str, channel: str, values: dict[str, Any], connection: Connection) -> None:
    connection.execute(update(outbox).where(outbox.c.message == message, outbox.c.channel == channel).values(**values))
