"""Tables of doors, commands, events, rules, credentials, passes, keys and access lists."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

from hub.plugin.tables import Utc

metadata = MetaData()

door = Table(
    "locks_door",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("verify_key", String(64), nullable=False),
    Column("boot", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("mark", String(16), nullable=False),
    Column("last_event", Integer, nullable=False),
)

BY_PEOPLE = "actor <> 'reader'"
"""Partial index: commands by people are few among the access requests."""
OPEN = "outcome IS NULL"

command = Table(
    "locks_command",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("door", String(64), nullable=False),
    Column("verb", String(20), nullable=False),
    Column("pulse_ms", Integer, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("audit", Integer, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("outcome", String(10)),
    Column("outcome_reason", String(40)),
    Column("ended_at", Utc),
    Column("signs", Text),
    Column("hold_seconds", Integer),
    Column("why", String(20)),
    Column("credential", String(32)),
    Column("detail", JSON),
    Index("locks_command_door", "door", "asked_at"),
    Index("locks_command_credential", "credential", "asked_at"),
    Index("locks_command_asked", "asked_at"),
    Index("locks_command_told", "asked_at", sqlite_where=text(BY_PEOPLE)),
    Index("locks_command_open", "asked_at", sqlite_where=text(OPEN)),
)

event = Table(
    "locks_event",
    metadata,
    Column("door", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("reason", String(40)),
    Column("count", Integer, nullable=False),
    Column("happened_at", Utc, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("credential", String(32)),
    Column("detail", JSON),
    Index("locks_event_credential", "credential", "received_at"),
    Index("locks_event_received", "received_at"),
    Index("locks_event_door", "door", "received_at"),
)

rule = Table(
    "locks_rule",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(80), nullable=False),
    Column("who", JSON, nullable=False),
    Column("where", JSON, nullable=False),
    Column("times", JSON, nullable=False),
    Column("asks", String(20), nullable=False),
    sqlite_autoincrement=True,
)
"""Numbers are never reused: an old list at a door must not apply to a new rule's people."""

credential = Table(
    "locks_credential",
    metadata,
    Column("ref", String(32), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("fingerprint", String(16), nullable=False, unique=True),
    Column("person", String(64)),
    Column("label", String(80), nullable=False),
    Column("opens_alone", Boolean, nullable=False),
    Column("in_lockdown", Boolean, nullable=False),
    Column("first", Utc),
    Column("until", Utc),
    Column("made_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("ended_why", String(20)),
)
Index("locks_credential_person", credential.c.person)

person = Table(
    "locks_person",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("unit", String(200), nullable=False),
    Column("groups", JSON, nullable=False),
)
"""Employees as last read from the directory, so that lists can be made while it is away."""

lockdown = Table(
    "locks_lockdown",
    metadata,
    Column("zone", String(100), primary_key=True),
    Column("since", Utc, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", String(200), nullable=False),
)
"""Zone "" is the whole site."""

alarm = Table(
    "locks_alarm",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("door", String(255), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
    Column("over_at", Utc),
    Column("told_at", Utc),
    Column("acknowledged_at", Utc),
    Column("acknowledged_by", String(120)),
    Column("note", String(200)),
    Index("locks_alarm_open", "acknowledged_at", "door"),
    sqlite_autoincrement=True,
)
"""One row for the same kind at the same door, until it is acknowledged or over."""

visit_pass = Table(
    "locks_pass",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("label", String(80), nullable=False),
    Column("doors", JSON, nullable=False),
    Column("first", Utc, nullable=False),
    Column("until", Utc, nullable=False),
    Column("once", Boolean, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("made_by", String(120), nullable=False),
    Column("key", String(40), nullable=False),
    Column("used_at", Utc),
    Column("revoked_at", Utc),
    Index("locks_pass_until", "until"),
    Index("locks_pass_sha256", "sha256"),
)
"""`sha256`: of the content that may be signed, with its prefix. The text itself is not stored."""

hub_key = Table(
    "locks_hub_key",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("verify_key", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("made_by", String(120), nullable=False),
    Column("retired_at", Utc),
    Column("ended_at", Utc),
)
"""The hub's public keys; `verify_key` is "" while one is only intended."""

inside = Table(
    "locks_inside",
    metadata,
    Column("credential", String(32), primary_key=True),
    Column("zone", String(100), nullable=False),
    Column("since", Utc, nullable=False),
)
"""Anti-passback: which credential is in which zone; deleted within a day."""

plan = Table(
    "locks_plan",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(80), nullable=False),
    Column("picture", Text, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    sqlite_autoincrement=True,
)

placed = Table(
    "locks_placed",
    metadata,
    Column("door", String(64), primary_key=True),
    Column("plan", Integer, nullable=False),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
)
"""A door's position, in the units of its plan's picture."""

access_list = Table(
    "locks_list",
    metadata,
    Column("door", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("valid_until", Utc, nullable=False),
    Column("payload", LargeBinary),
)
"""Each door's latest list. `digest`: of its content; `sha256`: of the sealed content that may be signed."""
