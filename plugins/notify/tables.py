"""Messages, and the outbox: a row for each channel that a message has still to go by."""

from sqlalchemy import JSON, Column, Index, Integer, MetaData, String, Table, Text

from hub.plugin.tables import Utc

metadata = MetaData()

message = Table(
    "notify_message",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("person", String(64), nullable=False),
    Column("subject", Text),
    Column("body", Text),
    Column("language", String(3), nullable=False),
    Column("answers", JSON, nullable=False),
    Column("answer", String(20)),
    Column("made_at", Utc, nullable=False),
    Column("answered_at", Utc),
)

outbox = Table(
    "notify_outbox",
    metadata,
    Column("message", String(80), primary_key=True),
    Column("channel", String(20), primary_key=True),
    Column("address", String(320)),
    Column("title", Text),
    Column("text", Text),
    Column("made_at", Utc, nullable=False),
    Column("next_at", Utc, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sent_at", Utc),
    Column("given_up_at", Utc),
    Column("problem", String(200)),
    Index("notify_outbox_next", "sent_at", "given_up_at", "next_at"),
)
