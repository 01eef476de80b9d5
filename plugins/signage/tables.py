"""Notices that the desk puts on the screens."""

from sqlalchemy import JSON, Column, MetaData, String, Table

from hub.plugin.tables import Utc

metadata = MetaData()

notice = Table(
    "signage_notice",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("severity", String(10), nullable=False),
    Column("title", JSON, nullable=False),
    Column("text", JSON, nullable=False),
    Column("since", Utc),
    Column("until", Utc),
    Column("screens", JSON(none_as_null=True)),
    Column("made_at", Utc, nullable=False),
    Column("made_by", String(120), nullable=False),
)

off = Table(
    "signage_off",
    metadata,
    Column("screen", String(64), primary_key=True),
)
