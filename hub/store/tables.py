"""The kernel's own tables."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, false, text

from hub.store.store import Utc

metadata = MetaData()

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("happened_at", Utc, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Index("event_kind", "kind", "id"),
    Index("event_happened", "happened_at"),
    sqlite_autoincrement=True,
)

follower = Table(
    "follower",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("last_event", Integer, nullable=False),
)

parked_event = Table(
    "parked_event",
    metadata,
    Column("follower", String(120), primary_key=True),
    Column("event", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Column("parked_at", Utc, nullable=False),
    Column("error", String(80), nullable=False),
    Column("given_up_at", Utc),
)
"""What a follower could not take. An event that stands here is kept until it is taken or given up."""

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("happened_at", Utc, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("details", Text),
    Column("salt", LargeBinary),
    Column("commitment", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("audit_kept", "happened_at", sqlite_where=text("salt IS NOT NULL")),
)

device = Table(
    "device",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("name", String(80), nullable=False),
    Column("place", String(250), nullable=False),
    Column("site", String(60), nullable=False),
    Column("building", String(60), nullable=False),
    Column("floor", String(60), nullable=False),
    Column("zone", String(80), nullable=False),
    Column("first_heard_at", Utc),
    Column("secret_hash", String(200), nullable=False),
    Column("enrolled_at", Utc, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

absence = Table(
    "absence",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("device", String(64), nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("noticed_by", String(20), nullable=False),
    Column("ended_by", String(20)),
    Index("absence_device", "device", "began_at"),
    sqlite_autoincrement=True,
)

hub_life = Table(
    "hub_life",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("at", Utc, nullable=False),
)

gateway = Table(
    "gateway",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("secret_hash", String(200), nullable=False),
    Column("filters", JSON, nullable=False),
    Column("announces", Boolean, nullable=False),
    Column("made_at", Utc, nullable=False),
)

waiting_secret = Table(
    "waiting_secret",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("secret", String(200), nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("subject", String(40), primary_key=True),
    Column("number", Integer, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("password_hash", String(200), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("is_shut", Boolean, nullable=False, server_default=false()),
)

session = Table(
    "session",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("account", String(120), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("source", String(20), nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("confirmed_at", Utc),
    Index("session_seen", "seen_at"),
)

entity_setting = Table(
    "entity_setting",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("is_allowed", Boolean, nullable=False),
    Column("likeness", String(32)),
    Column("keep_days", Integer),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("made_by", String(120), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("last_used_at", Utc),
    Column("revoked_at", Utc),
    Column("parent", String(32)),
)

api_answer = Table(
    "api_answer",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("answer", LargeBinary),
    Index("api_answer_made", "made_at"),
)

plugin_choice = Table(
    "plugin_choice",
    metadata,
    Column("plugin", String(64), primary_key=True),
    Column("is_on", Boolean),
    Column("settings", JSON(none_as_null=True)),
    Column("changed_at", Utc, nullable=False),
    Column("changed_by", String(120), nullable=False),
)

found_place = Table(
    "found_place",
    metadata,
    Column("device", String(255), primary_key=True),
    Column("site", String(60), nullable=False),
    Column("building", String(60), nullable=False),
    Column("floor", String(60), nullable=False),
    Column("zone", String(60), nullable=False),
)

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("service", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("spans", JSON, nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("made_by", String(120), nullable=False),
)
"""`day` is a date by the site's clock, 2026-12-24."""

job = Table(
    "job",
    metadata,
    Column("plugin", String(64), primary_key=True),
    Column("job", String(80), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("is_scheduled", Boolean, nullable=False),
    Column("mark", String(32), nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("next_at", Utc, nullable=False),
    Column("data", JSON, nullable=False),
    Column("starts", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started_at", Utc),
    Column("ended_at", Utc),
    Column("error", String(80)),
    Column("given_up_at", Utc),
    Index("job_next", "plugin", "next_at"),
)
"""`key` is empty for a schedule. `next_at` is `due_at`, or later while a failure is tried again. `starts`: those whose
end is not written yet."""
