"""Messages: stored in the outbox once, answered once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from hub.plugin import N_, Context, Event, Run, after_commit, now
from hub.plugin.hooks import HeldData
from hub.plugin.settings import usable_address
from plugins.directory.contract import Person
from plugins.notify.config import Settings
from plugins.notify.contract import Answer, Message, message_answered, message_delivered, message_state
from plugins.notify.sending import MAIL, OWN, SHARED, channel_of
from plugins.notify.tables import message as message_table
from plugins.notify.tables import outbox
from plugins.notify.tokens import Tokens

MAX_SHOWN = 1000
A_DAY = timedelta(days=1)
"""Pending messages stay this much longer, so that a clock that jumps ahead deletes none of them."""


@dataclass(frozen=True)
class Notice:
    """A message as shown to the person who answers it."""

    id: str
    subject: str | None
    body: str | None
    answers: list[Answer]
    answer: Answer | None
    made_at: datetime
    is_open: bool
    seen: Literal["shown", "not_shown", "desk"] | None
    """Whether the answer has reached whoever waits for it."""


@dataclass(frozen=True)
class OutboxEntry:
    """The delivery of one message by one channel, without its content."""

    message: str
    channel: str
    made_at: datetime
    next_at: datetime
    tries: int
    sent_at: datetime | None
    given_up_at: datetime | None
    problem: str | None


class Notices:
    def __init__(
        self, context: Context, settings: Settings, tokens: Tokens, added: Callable[[Iterable[dict[str, Any]]], None]
    ) -> None:
        """`added` is called with new rows of the outbox after their commit."""
        self._context = context
        self._added = added
        self._settings = settings
        self._tokens = tokens

    def can_reach(self, person: Person) -> bool:
        has_mail = self._address(person) is not None
        return has_mail or bool(self._settings.webhooks) or bool(self._own_webhooks(person))

    async def deliver(self, message: Message) -> bool:
        """True once it is committed; idempotent by the message's id."""
        if not self.can_reach(message.to):
            return False
        await self._context.store.write_with_others(self._add_all, message)
        return True

    def _add_all(self, connection: Connection, messages: list[Message]) -> list[None]:
        at = now()
        ids = [message.id for message in messages]
        known = set(connection.execute(select(message_table.c.id).where(message_table.c.id.in_(ids))).scalars())
        fresh = {message.id: message for message in messages if message.id not in known}
        if fresh:
            connection.execute(insert(message_table), [_row(message, at) for message in fresh.values()])
            rows = [row for message in fresh.values() for row in self._outbox_rows(message, at)]
            connection.execute(insert(outbox), rows)
            after_commit(connection, lambda: self._added(rows))
        return [None] * len(messages)

    async def notice(self, message_id: str) -> Notice | None:
        row = await self._context.store.read(
            lambda connection: connection.execute(select(message_table).where(message_table.c.id == message_id)).first()
        )
        if row is None:
            return None
        is_open = row.answer is None and now() < row.made_at + timedelta(hours=self._settings.answer_hours)
        state = await self._context.hooks.first(message_state, message_id=message_id)
        if state is not None and state.is_over:
            is_open = False
        return Notice(
            row.id,
            row.subject,
            row.body,
            row.answers,
            row.answer,
            row.made_at,
            is_open,
            None if state is None or row.answer is None else state.answer or "not_shown",
        )

    async def outbox(self) -> list[OutboxEntry]:
        """The newest MAX_SHOWN entries, including sent ones."""
        return await self._context.store.read(_outbox)

    async def answer(self, message_id: str, chosen: Answer) -> bool:
        """Store the answer. False when the message was answered before."""

        def write(connection: Connection) -> bool:
            at = now()
            done = connection.execute(
                update(message_table)
                .where(message_table.c.id == message_id, message_table.c.answer.is_(None))
                .values(answer=chosen, answered_at=at, subject=None, body=None)
            )
            if done.rowcount:
                _cancel_pending(connection, message_id, at)
                self._context.emit(connection, "answered", message_id, answer=chosen)
            return done.rowcount == 1

        return await self._context.store.write(write)

    async def forward_deliveries(self, events: list[Event]) -> None:
        """Tell the plugins about deliveries. Raises their errors; the events then come again."""
        for event in events:
            await self._context.hooks.must(message_delivered, message_id=event.subject, sent=event.data["sent"])

    async def forward_answers(self, events: list[Event]) -> None:
        """Tell the plugins about answers. Raises their errors; the events then come again."""
        for event in events:
            await self._context.hooks.must(message_answered, message_id=event.subject, answer=event.data["answer"])

    async def delete(self, message_ids: list[str]) -> None:
        """Delete messages at once, sent or not."""

        def write(connection: Connection) -> None:
            connection.execute(delete(outbox).where(outbox.c.message.in_(message_ids)))
            connection.execute(delete(message_table).where(message_table.c.id.in_(message_ids)))

        await self._context.store.write(write)

    async def delete_expired(self, run: Run) -> None:
        """Delete messages that can neither be sent nor answered any more."""
        del run
        before = now() - timedelta(hours=self._keep_hours)
        await self._context.store.write(lambda connection: _delete_before(connection, before))

    async def held(self) -> HeldData:
        count, oldest = await self._context.store.read(_held)
        hours = f"{self._keep_hours:g}"
        return HeldData(N_("messages with a visitor's name"), count, N_("%(hours)s hours"), oldest, {"hours": hours})

    @property
    def _keep_hours(self) -> float:
        return max(self._settings.answer_hours, self._settings.give_up_hours)

    def _outbox_rows(self, message: Message, at: datetime) -> list[dict[str, Any]]:
        """The full text for mail and for a chat of the person's own.

        Shared channels get neither the visitor's name nor the link, since others read them.
        """
        text = self._context.translator.text
        link = f"{self._context.web_address}/answer/{self._tokens.make(message.id)}"
        ask = f"\n\n{text(message.language, 'Answer here:')} {link}\n" if message.answers else "\n"
        rest = {"message": message.id, "made_at": at, "next_at": at, "tries": 0}
        rows: list[dict[str, Any]] = []
        if (address := self._address(message.to)) is not None:
            rows += [rest | {"channel": MAIL, "address": address, "title": message.subject, "text": message.body + ask}]
        whole = {"address": None, "title": message.subject, "text": message.body + ask}
        rows += [rest | whole | {"channel": channel_of(OWN, address)} for address in self._own_webhooks(message.to)]
        short = {"address": None, "title": message.subject, "text": f"{message.to.name}: {message.subject}\n"}
        rows += [
            rest | short | {"channel": channel_of(SHARED, address)}
            for address in dict.fromkeys(self._settings.webhooks)
        ]
        return rows

    def _address(self, person: Person) -> str | None:
        """The person's mail address; None when there is none, or it is unusable, as the directory's page then says."""
        if self._settings.mail is None or person.mail is None:
            return None
        try:
            return usable_address(person.mail)
        except ValueError:
            return None

    def _own_webhooks(self, person: Person) -> list[str]:
        if person.mail is None:
            return []
        mine = person.mail.casefold()
        return list(
            dict.fromkeys(webhook.address for webhook in self._settings.own_webhooks if webhook.mail.casefold() == mine)
        )


def _row(message: Message, at: datetime) -> dict[str, object]:
    return {
        "id": message.id,
        "person": message.to.id,
        "subject": message.subject,
        "body": message.body,
        "language": message.language,
        "answers": list(message.answers),
        "made_at": at,
    }


def _cancel_pending(connection: Connection, message_id: str, at: datetime) -> None:
    """Cancel pending deliveries of a message that has been answered."""
    waits = (outbox.c.message == message_id) & outbox.c.sent_at.is_(None) & outbox.c.given_up_at.is_(None)
    connection.execute(
        update(outbox).where(waits).values(given_up_at=at, problem=None, address=None, title=None, text=None)
    )


def _delete_before(connection: Connection, before: datetime) -> None:
    """Delete messages and outbox rows made before."""
    is_done = outbox.c.sent_at.is_not(None) | outbox.c.given_up_at.is_not(None)
    connection.execute(delete(outbox).where(outbox.c.made_at < before, is_done | (outbox.c.made_at < before - A_DAY)))
    connection.execute(delete(message_table).where(message_table.c.made_at < before))


def _outbox(connection: Connection) -> list[OutboxEntry]:
    columns = [outbox.c[name] for name in OutboxEntry.__dataclass_fields__]
    newest = select(*columns).order_by(outbox.c.made_at.desc()).limit(MAX_SHOWN)
    return [OutboxEntry(**row._asdict()) for row in connection.execute(newest)]


def _held(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(
        select(func.count(), func.min(message_table.c.made_at)).where(message_table.c.body.is_not(None))
    ).one()
    return row[0], row[1]
