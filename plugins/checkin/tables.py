"""How visits are kept. Visitor, company and host are personal: `forget` empties them."""

from sqlalchemy import Boolean, Column, Index, MetaData, String, Table

from hub.plugin.tables import Utc

metadata = MetaData()

visit = Table(
    "checkin_visit",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kiosk", String(64)),
    Column("host", String(64)),
    Column("host_name", String(200)),
    Column("host_unit", String(200)),
    Column("visitor", String(80)),
    Column("company", String(80)),
    Column("language", String(3), nullable=False),
    Column("number", String(4)),
    Column("arrived_at", Utc, nullable=False),
    Column("registered_at", Utc, nullable=False),
    Column("told", Boolean),
    Column("answer", String(20)),
    Column("answered_at", Utc),
    Column("left_at", Utc),
    Column("left_by", String(120)),
    Column("check_out", String(64)),
    Column("timing", String(10)),
    Column("answer_seen", Boolean),
    Index("checkin_visit_open", "left_at", "number"),
    Index("checkin_visit_check_out", "check_out"),
)
